"""How one example is shown, whatever its kind: a picture, a text, or the columns of a row. Every gallery asks here.

The labelling grid draws its own tiles in the browser: `label_grid/example.js` is the same in JavaScript.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape

from frontend.address import BASE
from unskew.schemas.api import Example
from unskew.schemas.enums import DataKind

THUMBNAIL = 96  # px, of the galleries' pictures
API = f"{BASE}/api/v1"  # same origin as the page, so that the browser fetches images itself
WIDE = {DataKind.TEXT: 230, DataKind.TABLE: 200}  # px of a tile at least: words need room that pictures do not


def thumbnail_url(project: str, example_id: int, size: int = THUMBNAIL) -> str:
    """Path of an example's thumbnail on this server."""
    return f"{API}/projects/{project}/examples/{example_id}/thumbnail?size={size}"


def image_url(project: str, example_id: int) -> str:
    """Path of the file as it was imported."""
    return f"{API}/projects/{project}/examples/{example_id}/image"


def kind_of(example: Example) -> DataKind:
    """What an example is, by what it carries."""
    if example.text is not None:
        return DataKind.TEXT
    return DataKind.IMAGE if example.columns is None else DataKind.TABLE


def example_html(example: Example, project: str, alt: str, picture: bytes | None = None) -> str:
    """The example itself as HTML.

    Args:
        alt: one line for those who do not see the picture; texts and rows speak for themselves.
        picture: its thumbnail (WebP), to come with the page; None: the browser asks for it.
    """
    if example.text is not None:
        return f'<p class="us-text">{escape(example.text)}</p>'
    if example.columns is not None:
        rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v) or '–'}</dd>" for k, v in example.columns.items())
        return f'<dl class="us-row">{rows}</dl>'
    source = thumbnail_url(project, example.id)
    if picture is not None:
        source = f"data:image/webp;base64,{b64encode(picture).decode()}"
    return f'<img loading="lazy" src="{source}" alt="{escape(alt, quote=True)}">'


def tile_width(example: Example, wanted: int) -> int:
    """Least width of a tile [px]: as wanted for pictures, wider for words."""
    return max(wanted, WIDE.get(kind_of(example), 0))
