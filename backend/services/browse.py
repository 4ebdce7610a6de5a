"""Pages of a split, filtered and in the order of a direction, of T, or as stored; and named parts of it, the views.

A page is a slice of an array of positions: stored orders and columns are read once, the chosen positions are kept, and
turning a page costs one query for its rows, whatever the size of the split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import directions, examples
from backend.store import groups, pages, saved_views, scores, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import DataError, NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split


@dataclass(frozen=True)
class Sort:
    """What a page is sorted by: a direction or a score set; neither: as stored."""

    direction: int | None = None
    score_set: int | None = None
    descending: bool = False


@dataclass(frozen=True)
class Member:
    """Examples of a group as it stands now; validation only.

    Attributes:
        group: label-major number in the set; None = in any group, -1 = in none.
    """

    group_set: int
    group: int | None = None


@dataclass(frozen=True)
class Query:
    """Which examples of a project, in which order.

    Attributes:
        view: only those of this saved view.
        member: only those of this group.
    """

    split: Split = Split.TRAIN
    rule: api.ExampleFilter = field(default_factory=api.ExampleFilter)
    view: int | None = None
    member: Member | None = None
    sort: Sort = field(default_factory=Sort)


@dataclass(frozen=True)
class Chosen:
    """Positions of a split that a page is cut from.

    Attributes:
        positions: int64 (n,), in the order asked for.
        values: float64 (n,), what they are sorted by; None = as stored.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float64] | None


def page(store: Store, slug: str, query: Query, *, after: str | None = None, limit: int = 100) -> api.ExamplePage:
    """One page; the next one follows `after`, a place in this order."""
    start = _place(after)
    with store.read() as session:
        project = project_store.get(session, slug)
        found = choose(store, session, project, query)
        some = found.positions[start : start + limit]
        values = None if found.values is None else found.values[start : start + limit]
        more = start + limit < len(found.positions)
        return api.ExamplePage(
            items=examples.at(store, session, project, query.split, some, values),
            total=len(found.positions),
            next=str(start + limit) if more else None,
        )


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise SettingsError(f"after={cursor!r} is not a cursor.", fix="Pass the `next` of the page before.")
    return int(cursor)


def choose(store: Store, session: Session, project: tables.Project, query: Query) -> Chosen:
    """The positions that rule, view and group leave, in the order asked for; kept for the pages that follow.

    Raises:
        SettingsError: an attribute that is not there, an order or a filter that this split does not have.
    """
    split, rule, view, member, sort = query.split, query.rule, query.view, query.member, query.sort
    if rule.value is not None and rule.attribute is None:
        raise SettingsError(f"Which attribute has the value {rule.value!r}?", fix="Name it as attribute.")
    if rule.attribute is not None:
        known_attribute(project, rule.attribute)
    order, versions = _order(store, session, project, split, sort)
    said = examples.votes(store, session, project.id) if rule.correct is not None else None
    votable = said is not None and split is Split.VALIDATION
    if rule.correct is not None and not votable:
        raise SettingsError(
            "Right and wrong are known of validation examples only, once there is a checkpoint.",
            fix="Choose split validation, or leave the filter out.",
        )

    labelled = None if member is None else _labelled(session, project, split, member)

    def make() -> Chosen:
        positions, values = order()
        keep = np.ones(len(positions), dtype=bool)
        if rule.label is not None:
            keep &= examples.labels(store, project, split)[positions] == rule.label
        if rule.attribute is not None:
            column = examples.attribute(store, project, split, rule.attribute)[positions]
            keep &= np.equal(column, rule.value) if rule.value is not None else np.not_equal(column, "")
        if said is not None:
            keep &= examples.right(store, project, said)[positions] == rule.correct
        if member is not None:
            keep &= _in_group(groups.assignment(session, member.group_set).group, member.group)[positions]
        if view is not None:
            keep &= np.isin(positions, view_positions(store, session, project, split, view))
        if values is not None:
            keep &= (values >= (-np.inf if rule.low is None else rule.low)) & (
                values <= (np.inf if rule.high is None else rule.high)
            )
            values = values[keep]
        return Chosen(positions[keep], values)

    voted = () if said is None else examples.voters(session, project.id)
    rules = (rule.model_dump_json(), view, member, labelled)
    return _kept((id(store), project.id, project.fingerprint, split, rules, sort, versions, voted), make)


def _labelled(session: Session, project: tables.Project, split: Split, member: Member) -> int:
    """The set's version, which rises with every label."""
    row = groups.get(session, member.group_set)
    if row.project_id != project.id:
        raise NotFoundError(f"This project has no group set {member.group_set}.")
    if split is not Split.VALIDATION:
        raise SettingsError("Groups hold validation examples only.", fix="Choose split validation.")
    n = groups.n_per_class(row) * len(project.class_names)
    if member.group is not None and not -1 <= member.group < n:
        raise SettingsError(
            f"Group set {row.name!r} has no group {member.group}.", fix=f"Choose 0 to {n - 1}, or -1: in no group."
        )
    return row.version


def _in_group(group: NDArray[np.int64], wanted: int | None) -> NDArray[np.bool_]:
    return group >= 0 if wanted is None else group == wanted


def known_attribute(project: tables.Project, name: str) -> None:
    """Refuse an attribute that is not there."""
    if name not in project.attributes:
        known = ", ".join(project.attributes) or "none"
        raise SettingsError(f"There is no attribute {name!r}.", fix=f"This project has: {known}.")


_cache: dict[tuple[object, ...], Chosen] = {}
_CACHED = 64


def _kept(key: tuple[object, ...], make: Callable[[], Chosen]) -> Chosen:
    """Least recently used first out; a race costs one computation more, never a wrong answer."""
    found = _cache.pop(key, None)
    if found is None:
        found = make()
    _cache[key] = found
    while len(_cache) > _CACHED:
        _cache.pop(next(iter(_cache)), None)
    return found


Ordered = Callable[[], tuple[NDArray[np.int64], NDArray[np.float64] | None]]


def _order(
    store: Store, session: Session, project: tables.Project, split: Split, sort: Sort
) -> tuple[Ordered, tuple[object, ...]]:
    """A reader of the order, and what it depends on besides `sort`."""
    if sort.direction is not None and sort.score_set is not None:
        raise SettingsError("Sorted by a direction and by T at once.", fix="Choose one of them.")
    if sort.direction is not None:
        row, owner = directions.find(session, sort.direction)
        _own(owner.id, project)
        if split is Split.TEST:
            raise SettingsError("Directions know no test examples.", fix="Choose split train or validation.")

        def by_direction() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            positions, values = directions.ordered(store, row, split)
            return (positions, values) if not sort.descending else (positions[::-1], values[::-1])

        return by_direction, (row.sign,)
    if sort.score_set is not None:
        score = scores.get(session, sort.score_set)
        _own(score.project_id, project)
        if split is not Split.TRAIN:
            raise SettingsError("T is known of training examples only.", fix="Choose split train.")

        def by_t() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            positions = np.asarray(store.artifacts.load(scores.SCORES, score.artifact, "order.npy"))
            values = np.asarray(store.artifacts.load(scores.SCORES, score.artifact, "alignment.npy"))[positions]
            return (positions, values) if not sort.descending else (positions[::-1], values[::-1])

        return by_t, ()
    return lambda: (np.arange(len(examples.labels(store, project, split))), None), ()


def _own(project_id: int, project: tables.Project) -> None:
    if project_id != project.id:
        raise SettingsError("That order belongs to another project.", fix="Choose one of this project.")


# ---------------------------------------------------------------- views
def list_views(store: Store, slug: str) -> list[api.SavedView]:
    """Newest first."""
    with store.read() as session:
        project = project_store.get(session, slug)
        return [_body(store, session, project, row) for row in saved_views.list_views(session, project.id)]


def create_view(store: Store, slug: str, wanted: api.ViewCreate) -> api.SavedView:
    """Save a rule, or the examples that were picked; both: the picked ones that the rule leaves."""
    with store.session() as session:
        project = project_store.get(session, slug)
        positions = None
        if wanted.example_ids:
            found = pages.by_id(session, project.id, wanted.example_ids)
            strange = [i for i in wanted.example_ids if i not in found or found[i].split != wanted.split]
            if strange:
                raise DataError(
                    f"Example {strange[0]} is not among the {wanted.split.value} examples of this project.",
                    fix="A view holds examples of one split.",
                )
            positions = sorted(row.position for row in found.values())
        row = tables.SavedView(
            project_id=project.id,
            name=wanted.name.strip(),
            split=wanted.split,
            rule=wanted.rule.model_dump(mode="json"),
            positions=positions,
        )
        choose(store, session, project, Query(wanted.split, wanted.rule))  # refuses a rule that cannot be
        return _body(store, session, project, saved_views.add(session, row))


def get_view(store: Store, view_id: int) -> api.SavedView:
    with store.read() as session:
        row = saved_views.get(session, view_id)
        return _body(store, session, project_store.get(session, row.project_id), row)


def delete_view(store: Store, view_id: int) -> None:
    with store.session() as session:
        session.delete(saved_views.get(session, view_id))


def view_positions(
    store: Store, session: Session, project: tables.Project, split: Split, view_id: int
) -> NDArray[np.int64]:
    """Ascending positions of a view's examples.

    Raises:
        SettingsError: the view lies in another project or split.
    """
    row = saved_views.get(session, view_id)
    if row.project_id != project.id or row.split != split:
        raise SettingsError(
            f"View {row.name!r} holds {row.split} examples of project {row.project_id}.", fix="Choose its split."
        )
    found = choose(store, session, project, Query(split, api.ExampleFilter.model_validate(row.rule))).positions
    return found if row.positions is None else np.intersect1d(found, np.array(row.positions, dtype=np.int64))


def _body(store: Store, session: Session, project: tables.Project, row: tables.SavedView) -> api.SavedView:
    return api.SavedView(
        id=row.id,
        name=row.name,
        split=Split(row.split),
        rule=api.ExampleFilter.model_validate(row.rule),
        picked=row.positions is not None,
        n=len(view_positions(store, session, project, Split(row.split), row.id)),
        created_at=row.created_at,
    )
