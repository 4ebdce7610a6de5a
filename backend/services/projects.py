"""Projects: what is registered, a dry run of an import, the runs and attributions of a project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from functools import lru_cache

import numpy as np

from backend.services import examples
from backend.services.steps import steps
from backend.store import attributions as attribution_store
from backend.store import jobs as job_store
from backend.store import pages, references, tables
from backend.store import projects as project_store
from backend.store import runs as run_store
from backend.store.db import Store
from unskew import evaluation
from unskew.data import SETS, check_source
from unskew.errors import ConflictError
from unskew.schemas import api, params
from unskew.schemas.enums import Method, Split

SPLITS = {split.value: place for place, split in enumerate(Split)}


def slug_for(name: str) -> str:
    """The short name that a project of this name gets."""
    return project_store.slug(name)


def check(wanted: params.ImportParams, *, decode: bool = False) -> api.ImportCheck:
    """A dry run: every problem by row, nothing registered. `decode`: read every image too, which takes as long."""
    if wanted.source in SETS:
        return _demo_check(wanted)
    found = check_source(wanted, decode=decode)
    rows = found.examples
    counts: list[api.ClassCount] = []
    if rows is not None:
        for split in Split:
            n = np.bincount(rows.label[rows.positions(split)], minlength=len(rows.class_names))
            named = enumerate(rows.class_names)
            counts += [api.ClassCount(label=c, name=name, split=split, n=int(n[c])) for c, name in named if n[c]]
    return api.ImportCheck(
        ok=rows is not None,
        layout=found.layout,
        n_rows=0 if rows is None else len(rows),
        class_names=[] if rows is None else list(rows.class_names),
        attributes=[] if rows is None else sorted(rows.attributes),
        counts=counts,
        problems=[api.RowProblem(**vars(problem)) for problem in found.problems],
        n_problems=found.n_problems,
        warnings=found.warnings,
    )


def _demo_check(wanted: params.ImportParams) -> api.ImportCheck:
    """The sets that ship are made by the import itself, from packages that are installed."""
    warnings = []
    size = SETS[wanted.source]
    if size and wanted.image_size != size:
        warnings.append(f"The set's images are {size} pixels wide; {wanted.image_size} resamples them.")
    return api.ImportCheck(
        ok=True,
        n_rows=0,
        class_names=[],
        attributes=[],
        counts=[],
        problems=[],
        n_problems=0,
        warnings=warnings,
    )


def list_projects(store: Store, *, visible: Collection[int] | None = None) -> list[api.Project]:
    """Newest first; `visible`: numbers of those that may be seen, None for all."""
    with store.read() as session:
        rows = project_store.list_projects(session)
        seen = [row for row in rows if visible is None or row.id in visible]
        return [_project(row, _sizes(_by_class(store, row.id, row.fingerprint))) for row in seen]


def get(store: Store, slug: str) -> api.ProjectDetail:
    with store.read() as session:
        row = project_store.get(session, slug)
        by_class = _by_class(store, row.id, row.fingerprint)
        by_attribute = _by_attribute(store, row.id, row.fingerprint)
        sizes = _sizes(by_class)
        names = row.class_names
        return api.ProjectDetail(
            **_project(row, sizes).model_dump(),
            counts=[api.ClassCount(label=c, name=names[c], split=Split(split), n=n) for split, c, n in by_class],
            attribute_counts=[
                api.AttributeCount(attribute=name, value=value, label=c, split=Split(split), n=n)
                for name, value, c, split, n in by_attribute
            ],
            steps=steps(session, row, sum(sizes.values())),
            source=row.source,
        )


# Counted once, since rows never change.
@lru_cache(maxsize=1024)  # every page lists every project
def _by_class(store: Store, project_id: int, fingerprint: str) -> list[tuple[str, int, int]]:
    with store.read() as session:
        return sorted(pages.class_counts(session, project_id), key=lambda c: (SPLITS[c[0]], c[1]))


@lru_cache(maxsize=32)
def _by_attribute(store: Store, project_id: int, fingerprint: str) -> list[tuple[str, str, int, str, int]]:
    with store.read() as session:
        return pages.attribute_counts(session, project_id)


def _sizes(by_class: list[tuple[str, int, int]]) -> dict[str, int]:
    """Examples by split."""
    sizes: dict[str, int] = defaultdict(int)
    for split, _, n in by_class:
        sizes[split] += n
    return sizes


def delete(store: Store, slug: str) -> None:
    """Delete a project with its labels, results and files; the images that it was imported from stay."""
    with store.session() as session:
        project = project_store.get(session, slug)
        active = job_store.n_active(session, project.id)
        if active:
            raise ConflictError(
                f"{active} jobs of {slug!r} are queued or running.", fix="Cancel them, or let them end, then delete."
            )
        before, hashes = references.referenced(session), references.content_hashes(session, project.id)
        project_store.delete_project(session, project)
        session.flush()
        gone = [session.get_one(tables.Artifact, number) for number in before - references.referenced(session)]
        references.forget(session, [row.id for row in gone])
        hashes -= references.content_hashes(session)
    for row in gone:
        store.artifacts.remove(row.kind, row.id)
    for digest in hashes:
        for path in (store.data / "thumbnails" / digest[:2]).glob(f"{digest}-*.webp"):
            path.unlink(missing_ok=True)


def _project(row: tables.Project, sizes: dict[str, int]) -> api.Project:
    return api.Project(
        id=row.id,
        slug=row.slug,
        name=row.name,
        class_names=row.class_names,
        attributes=row.attributes,
        kind=project_store.shape(row).kind,
        image_size=project_store.shape(row).image_size,
        fingerprint=row.fingerprint,
        n_train=sizes.get(Split.TRAIN, 0),
        n_validation=sizes.get(Split.VALIDATION, 0),
        n_test=sizes.get(Split.TEST, 0),
        created_at=row.created_at,
    )


def runs_list(store: Store, slug: str) -> list[api.Run]:
    """Every training run, oldest first."""
    with store.read() as session:
        project = project_store.get(session, slug)
        return [run_body(store, project, row) for row in run_store.list_runs(session, project.id)]


def run_body(store: Store, project: tables.Project, row: tables.Run) -> api.Run:
    label = examples.labels(store, project, Split.VALIDATION)
    prediction = run_store.predictions(store.artifacts, row, Split.VALIDATION).prediction
    measured = evaluation.group_metrics(prediction, label, label, len(project.class_names))
    accuracy = [
        api.GroupAccuracy(group=c, name=name, accuracy=evaluation.wilson(int(measured.correct[c]), int(measured.n[c])))
        for c, name in enumerate(project.class_names)
        if measured.n[c]
    ]
    return api.Run(
        id=row.id,
        method=Method(row.method),
        seed=row.seed,
        removed=row.removed,
        score_set_id=row.score_set_id,
        prune_set_id=row.prune_set_id,
        n_train=row.n_train,
        seconds=row.seconds,
        has_checkpoint=row.checkpoint is not None,
        params=row.params,
        class_accuracy=accuracy,
        created_at=row.created_at,
    )


def attributions_list(store: Store, slug: str) -> list[api.Attribution]:
    """Newest first. Stale: checkpoints of another model or other training settings came later."""
    with store.read() as session:
        project = project_store.get(session, slug)
        erm = {run.id: run for run in run_store.erm_runs(session, project.id)}
        newest = erm[max(erm)].params if erm else None
        return [
            api.Attribution(
                id=row.id,
                engine=attribution_store.engine_of(row),
                run_ids=row.run_ids,
                params=row.params,
                n_train=row.n_train,
                n_targets=row.n_targets,
                projection_dim=row.projection_dim,
                diagnostics={k: v for k, v in row.diagnostics.items() if k != attribution_store.PROXIES},
                proxies=row.diagnostics.get(attribution_store.PROXIES),
                stale=bool(row.run_ids) and all(erm[i].params != newest for i in row.run_ids if i in erm),
                created_at=row.created_at,
            )
            for row in attribution_store.list_attributions(session, project.id)
        ]
