"""Browse: a split through filters, in the order of a direction or of T, or a saved view; a tab of Data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from frontend import address, api
from frontend.components.code import as_arguments, as_python, as_query, code
from frontend.components.gallery import gallery
from frontend.components.messages import attempt
from frontend.components.rights import needs
from frontend.components.shell import require_project
from frontend.components.tables import SPLITS
from frontend.views import browse_summary
from frontend.views.browse_summary import ANY
from unskew.charts import directions as charts
from unskew.charts import format as fmt
from unskew.schemas.api import ExampleFilter, ProjectDetail, SavedView, ViewCreate
from unskew.schemas.enums import Role, Split

PAGE = 96
TILES = {"small": 60, "medium": 84, "large": 128, "huge": 220}  # least width in px
VOTES = {ANY: None, "right": True, "wrong": False}


@dataclass(frozen=True)
class Query:
    """What the controls say."""

    split: Split
    rule: ExampleFilter
    view: int | None
    member: tuple[int, int] | None  # group set, label-major group
    direction: int | None
    score_set: int | None
    descending: bool
    low: float | None = None  # of what the page is sorted by
    high: float | None = None

    @property
    def bounded(self) -> bool:
        return self.low is not None or self.high is not None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `Client.examples`, without those at rest."""
        # the rule's own bounds are None: it can be saved as a view, which has no order
        given: dict[str, Any] = {"split": self.split} | self.rule.model_dump()
        if self.member is not None:
            given |= {"group_set": self.member[0], "group": self.member[1]}
        given |= {"view": self.view, "direction": self.direction, "score_set": self.score_set}
        given |= {"descending": self.descending or None, "low": self.low, "high": self.high}
        return {name: value for name, value in given.items() if value is not None}


def browse() -> None:
    project = require_project()
    query = _controls(project)
    arguments = query.arguments()
    found = api.examples(project.slug, **arguments, limit=1)  # refuses what cannot be asked for
    with st.container(horizontal=True, vertical_alignment="center"):
        tile = _tile_size()
        summarised = browse_summary.switch()
        browse_summary.clear_button(query.rule, query.bounded or query.member is not None)
        _save(project, query, found.total)
        asked = arguments | {"limit": PAGE}
        call = f'client.examples("{project.slug}", {as_arguments(asked)})'
        code(call, "GET", f"/projects/{project.slug}/examples?{as_query(asked)}", key="b_code")
    if summarised:
        browse_summary.histograms(project, query.rule, arguments)
    sorted_by = query.direction is not None or query.score_set is not None
    gallery(project, arguments, key="b_gallery", size=PAGE, tile=tile, values=sorted_by)
    st.caption("✓ and ✗: whether most attributed checkpoints are right. Click a tile to look closer.")


def _controls(project: ProjectDetail) -> Query:
    views = {v.id: v for v in api.views(project.slug)}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = _view(views)
        splits = [s for s in SPLITS if any(c.split == s for c in project.counts)]
        if view is not None:
            splits = [view.split]
        address.restore("b_split", splits, splits[0])
        split = st.segmented_control("Split", splits, key="b_split", required=True, disabled=view is not None)
        split = address.kept("b_split", split) or splits[0]
        label = _choice("Class", "b_class", list(range(len(project.class_names))), lambda i: project.class_names[i])
        pairs = [f"{c.attribute}={c.value}" for c in project.attribute_counts]
        pair = _choice("Attribute", "b_attribute", sorted(set(pairs)), str) if pairs else None
        attribute, _, value = pair.partition("=") if pair else (None, "", None)
        member = _group(project) if split == Split.VALIDATION else None
        votes = ANY
        if split == Split.VALIDATION and api.attributions(project.slug):
            address.restore("b_vote", list(VOTES), ANY)
            votes = st.segmented_control("Models are", list(VOTES), key="b_vote", required=True) or ANY
            address.remember("b_vote", votes)
        direction, score_set, descending = _order(project, split)
        low, high = (None, None) if direction is None and score_set is None else _range()
    rule = ExampleFilter(label=label, attribute=attribute, value=value, correct=VOTES[votes])
    return Query(split, rule, view.id if view else None, member, direction, score_set, descending, low, high)


def _group(project: ProjectDetail) -> tuple[int, int] | None:
    """Of a group set, as its labels stand; kept out of views, which other projects' archives take along."""
    names: dict[str, str] = {}
    for found in api.group_sets(project.slug):
        names |= {f"{found.id}.{group.id}": f"{found.name}: {group.name}" for group in found.groups}
        names[f"{found.id}.-1"] = f"{found.name}: in no group"
    chosen = _choice("Group", "b_group", list(names), lambda key: names[key]) if names else None
    if chosen is None:
        return None
    group_set, _, group = chosen.partition(".")
    return int(group_set), int(group)


def _range() -> tuple[float | None, float | None]:
    """Bounds of what the page is sorted by; empty: none."""
    found = []
    with st.container(horizontal=True, width="content", gap="small"):  # never on two lines
        for key, title in (("b_low", "From"), ("b_high", "To")):
            address.restore_number(key)
            found.append(st.number_input(title, value=None, key=key, format="%g", width=110, placeholder="any"))
            address.remember(key, found[-1])
    return found[0], found[1]


def _tile_size() -> int:
    address.restore("b_tile", list(TILES), "medium")
    chosen = st.segmented_control(
        "Tile size", list(TILES), key="b_tile", required=True, label_visibility="collapsed", persist_state="session"
    )
    address.remember("b_tile", chosen)
    return TILES[chosen or "medium"]


def _choice(title: str, key: str, options: list[Any], name: Any) -> Any:
    """A select box whose first option is "any"."""
    every = [ANY, *options]
    address.restore(key, every, ANY)
    chosen = st.selectbox(title, every, key=key, width=170, format_func=lambda o: o if o == ANY else name(o))
    address.remember(key, chosen)
    return None if chosen == ANY else chosen


def _view(views: dict[int, SavedView]) -> SavedView | None:
    if not views:
        return None
    chosen = _choice("View", "view", list(views), lambda i: f"{views[i].name} ({fmt.count(views[i].n)})")
    view = views.get(chosen)
    if view is not None and st.button(
        "Delete view", key="view_delete", icon=":material/delete:", type="tertiary", **needs(Role.LABELER)
    ):
        if attempt(lambda: api.delete_view(view.id), done=f"View “{view.name}” deleted"):
            st.rerun()
    return view


def _order(project: ProjectDetail, split: Split) -> tuple[int | None, int | None, bool]:
    """(direction, score set, descending)."""
    names: dict[str, str] = {"stored": "as stored"}
    if split != Split.TEST:
        for d in api.directions(project.slug):
            names[f"direction.{d.id}"] = f"{charts.direction_name(d)} of {d.label_name}"
    if split == Split.TRAIN:
        names |= {f"score_set.{s.id}": f"T of “{s.group_set_name}” ({s.id})" for s in api.score_sets(project.slug)}
    address.restore("sort", list(names), "stored")
    chosen = st.selectbox("Sort by", list(names), key="sort", format_func=lambda k: names[k], width=220)
    address.remember("sort", chosen)
    kind, _, number = chosen.partition(".")
    if kind == "stored":
        return None, None, False
    address.restore("down", [False, True], False)
    descending = st.toggle("Largest first", key="down")
    address.remember("down", descending)
    return (int(number), None, descending) if kind == "direction" else (None, int(number), descending)


def _save(project: ProjectDetail, query: Query, total: int) -> None:
    """Filters become a view: the rule is kept, not the rows."""
    if query.view is not None or query.member is not None or query.rule == ExampleFilter():
        return
    with st.popover("Save filters as view", icon=":material/bookmark_add:", key="b_view_box", **needs(Role.LABELER)):
        hint = "" if query.bounded else fmt.plural(total, "example")
        name = st.text_input("Name", key="b_view_name", max_chars=100, placeholder=hint)
        if query.bounded:
            st.caption("From and To are not kept: they belong to what the page is sorted by.")
        body = ViewCreate(name=name.strip() or "view", split=query.split, rule=query.rule)
        if st.button("Save view", key="b_view_save", type="primary") and attempt(
            lambda: api.create_view(project.slug, body), done=f"View “{body.name}” saved"
        ):
            st.rerun()
        code(
            f'client.create_view("{project.slug}", {as_python(body)})',
            "POST",
            f"/projects/{project.slug}/views",
            key="b_view_code",
            body=body,
        )
