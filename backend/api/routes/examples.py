"""Examples and their images."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from backend.api.deps import Cursor, Limit, StoreDep
from backend.api.rights import VIEWER
from backend.services import examples, images
from unskew.schemas import api
from unskew.schemas.enums import Split

router = APIRouter(prefix="/projects/{slug}/examples", tags=["examples"])

# Ids are never given twice and a row's file never changes; of another login the browser must ask again.
FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Cookie, Authorization"}
ALONE = {"Content-Security-Policy": "sandbox; default-src 'none'"}  # opened by itself, a file runs nothing


@router.get("", dependencies=[VIEWER])
def page(
    store: StoreDep,
    slug: str,
    split: Split = Split.TRAIN,
    label: int | None = None,
    attribute: str | None = None,
    value: str | None = None,
    after: Cursor = None,
    limit: Limit = 100,
) -> api.ExamplePage:
    """One page of a split, in the order of the source."""
    return examples.page(
        store, slug, split=split, label=label, attribute=attribute, value=value, after=after, limit=limit
    )


@router.get("/{example_id}", dependencies=[VIEWER])
def get(store: StoreDep, slug: str, example_id: int) -> api.Example:
    """One example."""
    return examples.get(store, slug, example_id)


@router.get("/{example_id}/thumbnail", response_class=FileResponse, dependencies=[VIEWER])
def thumbnail(request: Request, store: StoreDep, slug: str, example_id: int, size: int = 128) -> Response:
    """WebP with a long side of at most 96, 128 or 256 pixels; small images are enlarged pixel by pixel."""
    file, tag = images.thumbnail(store, slug, example_id, size)
    headers = FOR_GOOD | {"ETag": tag}
    if _known(request, tag):
        return Response(status_code=304, headers=headers)
    return FileResponse(file, media_type="image/webp", headers=headers)


@router.get("/{example_id}/image", response_class=Response, dependencies=[VIEWER])
def image(request: Request, store: StoreDep, slug: str, example_id: int) -> Response:
    """The file as it was imported."""
    content, media_type, tag = images.original(store, slug, example_id)
    headers = FOR_GOOD | ALONE | {"ETag": tag}
    if _known(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _known(request: Request, tag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return given == "*" or tag in (part.strip().removeprefix("W/") for part in given.split(","))
