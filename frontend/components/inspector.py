"""The inspector: one example large, with all that is stored about it, what taught the model so, and what is near.

It opens over any page from a tile or from `?example=…` in the address, and stays open while its buttons are used.
"""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from frontend import api
from frontend.components.code import code
from frontend.components.example import example_html, image_url, kind_of, thumbnail_url
from frontend.components.messages import shown
from frontend.components.show import show
from frontend.components.strip import SMALL, strip
from unskew.charts import format as fmt
from unskew.charts.influence import pair_bars
from unskew.schemas.api import Example, ExampleDetail, Influence, ProjectDetail
from unskew.schemas.enums import DataKind, Split

ZOOMS = {"fit": 320, "2×": 640, "4×": 1280}
STRIP = 12


def inspector(project: ProjectDetail | None) -> None:
    """Open the dialog when an example was asked for."""
    asked, written = st.query_params.get("example"), st.session_state.get("_example_written")
    if asked and asked != written and asked.isdigit():
        st.session_state["example"] = int(asked)
    example_id = st.session_state.get("example")
    if example_id:  # kept after closing: a rerun that was on its way still names it in its address
        st.session_state["_example_written"] = str(example_id)
    if example_id is None or project is None:
        if asked:
            st.query_params.pop("example", None)
        return
    if asked != str(example_id):
        st.query_params["example"] = str(example_id)
    st.dialog("Example", width="large", on_dismiss=_close)(_dialog)(project)


def _close() -> None:
    st.session_state["example"] = None


def _dialog(project: ProjectDetail) -> None:
    with shown():
        detail = api.example_detail(project.slug, st.session_state["example"])
        _steps(detail.example)
        _top(project, detail)
        if detail.example.split == Split.VALIDATION:
            _influence(project, detail.example)
        if detail.example.split != Split.TEST:
            with st.expander("Nearest by attribution", key="i_near", type="compact", on_change="rerun") as box:
                if box.open:
                    _nearest(project, detail.example)


def _steps(example: Example) -> None:
    """Previous and next along the gallery that it was opened from."""
    around: list[int] = st.session_state.get("example_around", [])
    place = around.index(example.id) if example.id in around else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for name, step, key in (("Previous", -1, "J"), ("Next", 1, "K")):
            target = None if place is None else place + step
            off = target is None or not 0 <= target < len(around)
            st.button(
                name,
                key=f"i_{name.lower()}",
                shortcut=key,
                disabled=off,
                on_click=_go,
                args=(around[target] if target is not None and not off else None,),
            )
        if place is not None:
            st.caption(f"{place + 1} of {len(around)} in this row", width="content")
        zoom = st.segmented_control(
            "Zoom", list(ZOOMS), default="fit", key="i_zoom", required=True, label_visibility="collapsed"
        )
        st.session_state["i_side"] = ZOOMS[zoom or "fit"]


def _go(example_id: int | None) -> None:
    if example_id is not None:
        st.session_state["example"] = example_id
        st.session_state["_example_written"] = st.query_params["example"] = str(example_id)


def _top(project: ProjectDetail, detail: ExampleDetail) -> None:
    example = detail.example
    side: int = st.session_state.get("i_side", ZOOMS["fit"])
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.html(large(project, example, side))
        st.caption(f"`{example.path}`")
    with right:
        st.table(_facts(project, detail), border="horizontal", hide_index=True, alt="What is stored about the example")
        code(
            f'client.example_detail("{project.slug}", {example.id})',
            "GET",
            f"/projects/{project.slug}/examples/{example.id}/detail",
            key="i_code",
        )


def large(project: ProjectDetail, example: Example, side: int) -> str:
    """The image at this side in pixels, scrolling inside its frame; a text or a row as it is."""
    if kind_of(example) != DataKind.IMAGE:
        return f'<div class="us-large us-whole">{example_html(example, project.slug, "")}</div>'
    pixels = " us-pixels" if project.image_size <= SMALL else ""
    alt = escape(f"{example.split} example {example.position + 1}, class {example.label_name}", quote=True)
    source = image_url(project.slug, example.id) if side > 256 else thumbnail_url(project.slug, example.id, 256)
    return (
        f'<div class="us-large{pixels}" tabindex="0" role="group" aria-label="{alt}">'
        f'<img src="{source}" alt="{alt}" style="width:{side}px;max-width:none"></div>'
    )


def _facts(project: ProjectDetail, detail: ExampleDetail) -> pd.DataFrame:
    example, names = detail.example, project.class_names
    rows = [("split", f"{example.split}, row {example.position + 1}"), ("class", example.label_name)]
    if detail.checkpoints:
        votes = pd.Series(detail.checkpoints).value_counts()
        said = ", ".join(f"{names[int(str(c))]} × {n}" for c, n in votes.items())
        rows.append((f"predicted by {fmt.plural(len(detail.checkpoints), 'checkpoint')}", said))
    if detail.loss is not None:
        rows.append(("mean loss [nats]", f"{detail.loss:.3f}"))
    rows += [(f"attribute {name}", value) for name, value in example.attributes.items()]
    rows += [(f"group in “{name}”", group or "none") for name, group in detail.groups.items()]
    rows += [(v.name, f"{fmt.signed(v.value)} (rank {fmt.count(v.rank)} of {fmt.count(v.n)})") for v in detail.values]
    return pd.DataFrame(rows, columns=["what", "value"])


def _influence(project: ProjectDetail, example: Example) -> None:
    with shown():
        found = api.example_influence(project.slug, example.id, n=STRIP)
        st.markdown("**Training examples behind it**")
        influence_strips(project, found)
        _pair(project, example, found)


def influence_strips(project: ProjectDetail, found: Influence, *, tile: int = 56) -> None:
    """Proponents and opponents as two galleries."""
    left, right = st.columns(2, gap="medium")
    for column, heading, note, items in (
        (left, "Proponents", "help it most: largest τ", found.proponents),
        (right, "Opponents", "hurt it most: smallest τ", found.opponents),
    ):
        with column:
            strip(
                items,
                project=project.slug,
                class_names=project.class_names,
                image_size=project.image_size,
                heading=heading,
                note=note,
                tile=tile,
            )
    share = fmt.percent(found.share_positive, 0)
    st.caption(f"τ on {found.target}: {share} of the training examples help. τ is comparable only within one target.")


def _pair(project: ProjectDetail, example: Example, found: Influence) -> None:
    """The example beside one training example, with τ of all that are shown."""
    by_id = {e.id: e for e in [*found.proponents, *found.opponents]}
    ranks = {e.id: f"proponent {i + 1}" for i, e in enumerate(found.proponents)}
    ranks |= {e.id: f"opponent {i + 1}" for i, e in enumerate(found.opponents)}
    chosen = st.selectbox(
        "Pair with",
        list(by_id),
        key="i_pair",
        format_func=lambda i: f"{ranks[i]}: {by_id[i].label_name}, τ = {fmt.signed(by_id[i].value or 0)}",
    )
    other = by_id[chosen]
    left, right, bars = st.columns([1, 1, 2], gap="small")
    for column, shown_example, words in (
        (left, example, f"validation, {example.label_name}"),
        (right, other, f"training, {other.label_name}, τ = {fmt.signed(other.value or 0)}"),
    ):
        with column:
            st.html(large(project, shown_example, 150))
            st.caption(words)
    with bars:
        show(pair_bars(found, chosen), key="pair_bars")


def _nearest(project: ProjectDetail, example: Example) -> None:
    with shown():
        strip(
            api.nearest(project.slug, example.id, n=24),
            project=project.slug,
            class_names=project.class_names,
            image_size=project.image_size,
            heading="Nearest",
            note="alike in what the model learned them from; the number is the distance along the class's directions",
            tile=56,
        )
