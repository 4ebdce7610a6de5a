"""Files that nobody needs any more: of deleted projects, and intermediate results.

Rows go first, in one transaction; a kill in between leaves folders without a row, which `unskew doctor --repair`
removes. What a row names is kept, whatever it is: a frozen report keeps what it needs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from backend.store import jobs, projects, references
from backend.store.db import Store
from unskew.errors import ConflictError


def collect(store: Store, *, dry_run: bool = False) -> dict[str, Any]:
    """Remove artifacts that no row names, and thumbnails and demo images of no project.

    Returns:
        artifacts (number), bytes, thumbnails (number), by_kind: bytes by kind.
    Raises:
        ConflictError: a job is queued or running: it may be about to name what it just wrote.
    """
    with store.session() as session:
        active = jobs.n_active(session)
        if active and not dry_run:
            raise ConflictError(f"{active} jobs are queued or running.", fix="Let them end, or cancel them.")
        found = references.unreferenced(session)
        if not dry_run:
            references.forget(session, [row.id for row in found])
        hashes = references.content_hashes(session)
        roots = {Path(row.source["root"]) for row in projects.list_projects(session)}
    by_kind: dict[str, int] = {}
    for row in found:
        by_kind[row.kind] = by_kind.get(row.kind, 0) + row.bytes
        if not dry_run:
            store.artifacts.remove(row.kind, row.id)
    thumbnails = [path for path in (store.data / "thumbnails").glob("*/*.webp") if path.name[:64] not in hashes]
    sources = [p for p in (store.data / "sources").iterdir() if not any(root.is_relative_to(p) for root in roots)]
    if not dry_run:
        for path in thumbnails:
            path.unlink(missing_ok=True)
        for folder in sources:
            shutil.rmtree(folder, ignore_errors=True)
    return {
        "artifacts": len(found),
        "bytes": sum(by_kind.values()),
        "thumbnails": len(thumbnails),
        "sources": len(sources),
        "by_kind": by_kind,
    }


def usage(store: Store) -> dict[str, int]:
    """Bytes on disk: artifacts by kind, thumbnails, imported images, the database, and what is free."""
    with store.read() as session:
        found = {f"artifacts/{kind}": size for kind, size in references.size_by_kind(session).items()}
    for name in ("thumbnails", "sources", "work"):
        found[name] = sum(path.stat().st_size for path in (store.data / name).rglob("*") if path.is_file())
    found["database"] = sum(path.stat().st_size for path in store.data.glob("unskew.db*"))
    found["free"] = shutil.disk_usage(store.data).free
    return found
