"""What routes ask for, named once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from backend.services.downloads import Download
from backend.store.db import Store


async def _store(request: Request) -> Store:  # async: no turn of the thread pool for it
    store: Store = request.app.state.store
    return store


StoreDep = Annotated[Store, Depends(_store)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=100, description="`next` of the page before")]


def attachment(download: Download) -> Response:
    """A file to save."""
    headers = {"Content-Disposition": f'attachment; filename="{download.filename}"'}
    return Response(download.content, media_type=download.media_type, headers=headers)
