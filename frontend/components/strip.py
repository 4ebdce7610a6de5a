"""Read-only galleries: examples as small tiles with label, right or wrong, and the value that they are sorted by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from frontend import api
from frontend.components.example import THUMBNAIL, example_html, kind_of, tile_width
from unskew.charts import format as fmt
from unskew.schemas.api import Example
from unskew.schemas.enums import DataKind

SMALL = 64  # images up to this side are drawn without smoothing


def describe(example: Example, class_names: Sequence[str]) -> str:
    """One line for tooltips and screen readers."""
    parts = [f"{example.split} example {example.position + 1}", f"class {example.label_name}"]
    if example.prediction is not None:
        parts.append(f"predicted {class_names[example.prediction]}")
    parts += [f"{name}: {value}" for name, value in example.attributes.items()]
    return ", ".join(parts)


def strip_html(
    examples: Sequence[Example],
    *,
    project: str,
    class_names: Sequence[str],
    image_size: int,
    tile: int = 68,
    show_value: bool = True,
    label: str = "Examples",
    pictures: Mapping[int, bytes] | None = None,
) -> str:
    """The gallery as HTML; tiles reflow with the width. `pictures`: see `pictures_of`."""
    if not examples:
        return '<p class="us-none">No examples here.</p>'
    pixels = " us-pixels" if image_size <= SMALL else ""
    tiles = "".join(
        _tile(e, project, class_names, show_value, (pictures or {}).get(e.id), first=i == 0)
        for i, e in enumerate(examples)
    )
    style = f"--us-tile:{tile_width(examples[0], tile)}px"
    return f'<div class="us-strip{pixels}" style="{style}" role="list" aria-label="{escape(label)}">{tiles}</div>'


def pictures_of(project: str, examples: Sequence[Example]) -> dict[int, bytes]:
    """Thumbnails by example id, to come with the page: a hundred requests of a browser would take it a second."""
    return api.thumbnails(project, tuple(e.id for e in examples if kind_of(e) is DataKind.IMAGE), size=THUMBNAIL)


def _tile(
    example: Example,
    project: str,
    class_names: Sequence[str],
    show_value: bool,
    picture: bytes | None,
    *,
    first: bool,
) -> str:
    """One tile; only the first of a gallery is a tab stop, arrow keys reach the others."""
    text = escape(describe(example, class_names), quote=True)
    wrong = example.correct_share is not None and example.correct_share < 0.5
    mark = ""
    if example.correct_share is not None:
        mark = '<span class="us-no">✗</span>' if wrong else '<span class="us-ok">✓</span>'
    value = f"<span>{fmt.signed(example.value)}</span>" if show_value and example.value is not None else "<span></span>"
    caption = f"<figcaption>{value}{mark}</figcaption>" if mark or show_value else ""
    return (
        f'<figure class="us-tile{" us-wrong" if wrong else ""}" role="listitem" title="{text}">'
        f'<button type="button" class="us-open" data-example="{example.id}" tabindex="{0 if first else -1}">'
        f"{example_html(example, project, describe(example, class_names), picture)}</button>{caption}</figure>"
    )


def strip(
    examples: Sequence[Example],
    *,
    project: str,
    class_names: Sequence[str],
    image_size: int,
    heading: str = "",
    note: str = "",
    tile: int = 68,
    show_value: bool = True,
) -> None:
    """Show a gallery with its heading and one line that says what it is."""
    head = f'<p class="us-head"><b>{escape(heading)}</b><span>{escape(note)}</span></p>' if heading or note else ""
    body = strip_html(
        examples,
        project=project,
        class_names=class_names,
        image_size=image_size,
        tile=tile,
        show_value=show_value,
        label=heading or "Examples",
        pictures=pictures_of(project, examples),
    )
    st.html(head + body)
