"""Examples and their images."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from backend.api.deps import Cursor, Limit, StoreDep
from backend.api.rights import VIEWER
from backend.services import browse, browse_summary, examples, images, influence
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split

router = APIRouter(prefix="/projects/{slug}/examples", tags=["examples"])

# Ids are never given twice and a row's file never changes; of another login the browser must ask again.
FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Cookie, Authorization"}
ALONE = {"Content-Security-Policy": "sandbox; default-src 'none'"}  # opened by itself, a file runs nothing
Bound = Annotated[float | None, Query(allow_inf_nan=False)]
Ids = Annotated[str, Query(max_length=20_000, pattern=r"^\d+(,\d+){0,999}$")]


def _rule(
    label: int | None = None,
    attribute: str | None = None,
    value: str | None = None,
    correct: bool | None = None,
    low: Bound = None,
    high: Bound = None,
) -> api.ExampleFilter:
    return api.ExampleFilter(label=label, attribute=attribute, value=value, correct=correct, low=low, high=high)


def _member(
    group_set: int | None = None,
    group: Annotated[int | None, Query(description="label-major number in the set; -1: in no group")] = None,
) -> browse.Member | None:
    if group_set is None:
        if group is not None:
            raise SettingsError(f"Group {group} of which set?", fix="Name it as group_set.")
        return None
    return browse.Member(group_set, group)


def _query(
    rule: Annotated[api.ExampleFilter, Depends(_rule)],
    member: Annotated[browse.Member | None, Depends(_member)],
    split: Split = Split.TRAIN,
    view: int | None = None,
    direction: int | None = None,
    score_set: int | None = None,
    descending: bool = False,
) -> browse.Query:
    return browse.Query(split, rule, view, member, browse.Sort(direction, score_set, descending))


Asked = Annotated[browse.Query, Depends(_query)]


@router.get("", dependencies=[VIEWER])
def page(store: StoreDep, slug: str, query: Asked, after: Cursor = None, limit: Limit = 100) -> api.ExamplePage:
    """One page of a split: as stored, or by a direction, or by T of a score set; filtered, or of a saved view."""
    return browse.page(store, slug, query, after=after, limit=limit)


@router.get("/summary", dependencies=[VIEWER])
def summary(
    store: StoreDep,
    slug: str,
    query: Asked,
    attributes: Annotated[list[str] | None, Query(description="those to count; none named: all")] = None,
) -> api.ViewSummary:
    """What the examples of such pages are like: classes, attributes, right and wrong, and what they are sorted by."""
    return browse_summary.summary(store, slug, query, attributes=attributes)


@router.get("/by-id", dependencies=[VIEWER])
def by_id(store: StoreDep, slug: str, ids: Ids) -> list[api.Example]:
    """These examples in this order; ids separated by commas."""
    return examples.some(store, slug, [int(i) for i in ids.split(",")])


@router.get("/thumbnails", dependencies=[VIEWER])
def thumbnails(store: StoreDep, slug: str, ids: Ids, size: int = 128) -> dict[int, str]:
    """Thumbnails of a page at once, by id, base64 of WebP; those that would take longer to make than a moment are left
    out."""
    found = images.thumbnails(store, slug, [int(i) for i in ids.split(",")], size)
    return {number: b64encode(content).decode() for number, content in found.items()}


@router.get("/{example_id}", dependencies=[VIEWER])
def get(store: StoreDep, slug: str, example_id: int) -> api.Example:
    """One example."""
    return examples.get(store, slug, example_id)


@router.get("/{example_id}/detail", dependencies=[VIEWER])
def detail(store: StoreDep, slug: str, example_id: int) -> api.ExampleDetail:
    """All that is stored about it: predictions, loss, its place along directions and in T, its groups."""
    return influence.detail(store, slug, example_id)


@router.get("/{example_id}/influence", dependencies=[VIEWER])
def example_influence(
    store: StoreDep, slug: str, example_id: int, n: Annotated[int, Query(ge=1, le=influence.TOP)] = 24
) -> api.Influence:
    """Training examples that help and hurt this validation example most."""
    return influence.of_example(store, slug, example_id, n=n)


@router.get("/{example_id}/nearest", dependencies=[VIEWER])
def nearest(
    store: StoreDep, slug: str, example_id: int, n: Annotated[int, Query(ge=1, le=200)] = 24
) -> list[api.Example]:
    """Examples of its class and split that lie nearest along the class's directions; value = distance."""
    return influence.nearest(store, slug, example_id, n=n)


@router.get("/{example_id}/thumbnail", response_class=Response, dependencies=[VIEWER])
def thumbnail(request: Request, store: StoreDep, slug: str, example_id: int, size: int = 128) -> Response:
    """WebP with a long side of at most 96, 128 or 256 pixels; small images are enlarged pixel by pixel."""
    content, tag = images.thumbnail(store, slug, example_id, size)
    headers = FOR_GOOD | {"ETag": tag}
    if _known(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/webp", headers=headers)


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
