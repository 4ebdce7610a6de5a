"""Examples as reports show them: with their pictures inside; texts and rows travel in the example itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from backend.services import images
from backend.store.db import Store
from unskew.errors import NotFoundError
from unskew.schemas import api
from unskew.schemas.report import Tile

PIXELS = 96


def tiles(store: Store, slug: str, items: Sequence[api.Example]) -> list[Tile]:
    """One tile an example; without a picture where the file is gone, changed or broken."""
    return [_tile(store, slug, item) for item in items]


def _tile(store: Store, slug: str, item: api.Example) -> Tile:
    attributes = "".join(f", {name} {value}" for name, value in item.attributes.items())
    caption = item.label_name + (f" {item.value:+.2g}" if item.value is not None else "")
    return Tile(
        image=_data_uri(store, slug, item),
        alt=f"{item.label_name}, {item.path}{attributes}",
        caption=caption,
        example=item,
    )


def _data_uri(store: Store, slug: str, item: api.Example) -> str:
    if item.text is not None or item.columns is not None:
        return ""
    try:
        content = images.webp(store, slug, item.id, PIXELS)
    except NotFoundError:
        return ""
    return "data:image/webp;base64," + b64encode(content).decode()
