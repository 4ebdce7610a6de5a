"""A gallery of any number of examples: the browser turns its pages by itself, without a rerun of the script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components.example import API, THUMBNAIL, WIDE
from frontend.components.strip import SMALL
from unskew.schemas.api import ProjectDetail

_FOLDER = Path(__file__).parent
_COMPONENT = st.components.v2.component(
    "unskew_gallery",
    html=(_FOLDER / "gallery.html").read_text(encoding="utf-8"),
    js=(_FOLDER / "gallery.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # its tiles are those of every strip
)


def gallery(project: ProjectDetail, query: Mapping[str, Any], *, key: str, size: int, tile: int, values: bool) -> None:
    """Show the pages of a query.

    Args:
        query: as in `GET /projects/{slug}/examples`.
        size: examples on a page.
        tile: least width of a tile [px].
        values: show what the examples are sorted by.
    """
    asked = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    _COMPONENT(
        key=key,
        data={
            "identity": f"{project.slug}:{size}:{asked}",
            "base": API,
            "project": project.slug,
            "query": asked,
            "size": size,
            "picture": THUMBNAIL,
            "tile": max(tile, WIDE.get(project.kind, 0)),
            "pixels": project.image_size <= SMALL,
            "values": values,
            "classes": project.class_names,
        },
    )
