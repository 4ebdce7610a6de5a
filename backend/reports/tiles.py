"""Examples as reports show them: with their pictures inside; texts and rows travel in the example itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from backend.services import images
from backend.store.db import Store
from unskew.errors import NotFoundError
from unskew.schemas import api
from unskew.schemas.enums import ReportImages
from unskew.schemas.report import Tile

PIXELS = 96
PATCHES = 6  # a side of a blurred picture


def tiles(store: Store, slug: str, items: Sequence[api.Example], shown: ReportImages) -> list[Tile]:
    """One tile an example; without a picture where they are omitted, or the file is gone, changed or broken."""
    return [_tile(store, slug, item, shown) for item in items]


def _tile(store: Store, slug: str, item: api.Example, shown: ReportImages) -> Tile:
    attributes = "".join(f", {name} {value}" for name, value in item.attributes.items())
    image = "" if shown is ReportImages.OMITTED else _data_uri(store, slug, item, shown)
    if shown is not ReportImages.FULL:  # words cannot be blurred, and a file's name may say what its picture is not to
        item = item.model_copy(update={"path": "", "text": None, "columns": None})
    caption = item.label_name + (f" {item.value:+.2g}" if item.value is not None else "")
    return Tile(
        image=image,
        alt=f"{item.label_name}{', ' if item.path else ''}{item.path}{attributes}",
        caption=caption,
        example=item,
    )


def _data_uri(store: Store, slug: str, item: api.Example, shown: ReportImages) -> str:
    if item.text is not None or item.columns is not None:
        return ""
    try:
        content = images.webp(store, slug, item.id, PIXELS)
    except NotFoundError:
        return ""
    if shown is ReportImages.BLURRED:
        content = blurred(content)
    return "data:image/webp;base64," + b64encode(content).decode()


def blurred(content: bytes) -> bytes:
    """WebP of the same size made of PATCHES × PATCHES colours: what was there cannot be computed back."""
    with Image.open(BytesIO(content)) as image:
        small = image.convert("RGB").resize((PATCHES, PATCHES), Image.Resampling.BOX)
        stream = BytesIO()
        small.resize(image.size, Image.Resampling.BICUBIC).save(stream, "WEBP", quality=80)
    return stream.getvalue()
