"""What is wrong with a project's examples since they were imported: contents that repeat, files that are gone."""

from __future__ import annotations

from pathlib import Path

from backend.services import examples
from backend.store import pages
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.schemas import api

SHOWN = 50  # groups of repeats, and missing files


def find(store: Store, slug: str) -> api.Faults:
    """Repeats by content hash, across splits first; files that cannot be found where they were imported from.

    Whether a file still holds what was imported is checked when it is opened: reading all of them takes minutes.
    """
    with store.read() as session:
        project = project_store.get(session, slug)
        repeats = pages.repeats(session, project.id)
        leaks = sum(len(group.splits) > 1 for group in repeats)
        shown = sorted(repeats, key=lambda group: (len(group.splits) < 2, group.ids))[:SHOWN]
        found = pages.by_id(session, project.id, [i for group in shown for i in group.ids])
        bodies = {e.id: e for e in examples.bodies(store, session, project, list(found.values()))}
        root = Path(project.source["root"])
        missing = [path for _, path in pages.files(session, project.id) if not _there(root / path)]
    return api.Faults(
        n_repeated=len(repeats),
        n_leaks=leaks,
        repeated=[[bodies[i] for i in group.ids] for group in shown],
        n_missing=len(missing),
        missing=missing[:SHOWN],
    )


def _there(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False
