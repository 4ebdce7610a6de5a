"""Scores and pruning: score sets with their curve, previews of a removal, and frozen prune sets."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import downloads, examples, search, subpopulations
from backend.services.composition import balancing_would_drop, composition
from backend.store import artifacts, groups, pages, prunes, scores, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import ConflictError, SettingsError
from unskew.pruning import negative_share
from unskew.schemas import api
from unskew.schemas.enums import Method, PreviewPart, PruneRule, Split, WeightRule

FEW = 20  # examples of a group below which its weight says little
MUCH = 0.4  # of a class: more than this is worth a second look
MASS_POINTS = 101


def list_score_sets(store: Store, slug: str) -> list[api.ScoreSet]:
    """Newest first."""
    with store.read() as session:
        project = project_store.get(session, slug)
        return [_score_set(store, session, project, row) for row in scores.list_score_sets(session, project.id)]


def score_set(store: Store, score_set_id: int) -> api.ScoreSet:
    with store.read() as session:
        row, project = _find(session, score_set_id)
        return _score_set(store, session, project, row)


def _find(session: Session, score_set_id: int) -> tuple[tables.ScoreSet, tables.Project]:
    row = scores.get(session, score_set_id)
    return row, project_store.get(session, row.project_id)


def _score_set(store: Store, session: Session, project: tables.Project, row: tables.ScoreSet) -> api.ScoreSet:
    group_set = groups.get(session, row.group_set_id)
    label = examples.labels(store, project, Split.TRAIN)
    weights = [api.GroupWeight.model_validate(weight) for weight in row.weights]
    stale = group_set.version != row.group_set_version
    return api.ScoreSet(
        id=row.id,
        attribution_id=row.attribution_id,
        group_set_id=row.group_set_id,
        group_set_name=group_set.name,
        group_set_version=row.group_set_version,
        method=Method(row.method),
        weight_rule=WeightRule(row.weight_rule),
        weights=weights,
        histogram=api.Histogram.model_validate(row.histogram),
        star=row.star,
        best_k=row.best_k,
        curve=search.curve(store, session, project, row),
        n_train=len(label),
        n_by_class=_by_class(label, project),
        balancing_would_drop=balancing_would_drop(store, project, group_set, label),
        stale=stale,
        warnings=_warnings(store, project, row, weights, group_set, label),
        created_at=row.created_at,
    )


def _by_class(label: NDArray[np.int64], project: tables.Project) -> list[int]:
    found: list[int] = np.bincount(label, minlength=len(project.class_names)).tolist()
    return found


def _warnings(
    store: Store,
    project: tables.Project,
    row: tables.ScoreSet,
    weights: list[api.GroupWeight],
    group_set: tables.GroupSet,
    label: NDArray[np.int64],
) -> list[str]:
    said = []
    if group_set.version != row.group_set_version:
        said.append(
            f"Labels changed since: scored with version {row.group_set_version} of “{group_set.name}”, which is now at "
            f"{group_set.version}. Score again to use them."
        )
    width = groups.n_per_class(group_set)
    if len({weight.group // width for weight in weights}) == 1 and len(project.class_names) > 1:
        said.append("The groups cover one class only: T < 0 then removes too many. Search for K* on validation.")
    said += [
        f"Group “{weight.name}” has {weight.n} examples: its weight says little."
        for weight in weights
        if weight.n < FEW
    ]
    gone = _removed_by_class(store, row, row.star, label, project)
    of = _by_class(label, project)
    said += [
        f"The star would remove {gone[c]:,} of {of[c]:,} examples of “{name}”."
        for c, name in enumerate(project.class_names)
        if of[c] and gone[c] > MUCH * of[c]
    ]
    return said


# ---------------------------------------------------------------- previews
def preview(
    store: Store, score_set_id: int, *, k: int, part: PreviewPart = PreviewPart.AT_K, limit: int = 24
) -> api.PrunePreview:
    """What dropping the k lowest takes from each class, and examples around a place of the order.

    By rising T, but most_positive begins with the most positive; at_k: half of them go, half stay.
    """
    with store.read() as session:
        row, project = _find(session, score_set_id)
        order, alignment = _array(store, row, "order.npy"), _array(store, row, "alignment.npy")
        _check_k(k, len(order))
        label = examples.labels(store, project, Split.TRAIN)
        gone = np.bincount(label[order[:k]], minlength=len(project.class_names))
        some = np.asarray(order[_slice(part, k, row.star, limit, len(order))])
        some = some[::-1] if part is PreviewPart.MOST_POSITIVE else some
        return api.PrunePreview(
            k=k,
            removed_by_class=gone.tolist(),
            kept_by_class=(np.bincount(label, minlength=len(project.class_names)) - gone).tolist(),
            composition=composition(
                store, project, groups.get(session, row.group_set_id), label, np.asarray(order[:k], dtype=np.int64)
            ),
            items=examples.at(store, session, project, Split.TRAIN, some, np.asarray(alignment[some])),
        )


def negative_mass(store: Store, score_set_id: int) -> api.NegativeMass:
    """How much of the negative alignment the k lowest rows hold, for a hundred k up to the star."""
    with store.read() as session:
        row, _ = _find(session, score_set_id)
    order, alignment = _array(store, row, "order.npy"), np.asarray(_array(store, row, "alignment.npy"))
    ks = np.unique(np.linspace(0, row.star, MASS_POINTS).round().astype(np.int64))
    share = negative_share(alignment[order[: row.star]], ks)
    return api.NegativeMass(k=ks.tolist(), share=share.tolist())


def _slice(part: PreviewPart, k: int, star: int, limit: int, n: int) -> slice:
    half = limit // 2
    return {
        PreviewPart.MOST_NEGATIVE: slice(0, limit),
        PreviewPart.BELOW_ZERO: slice(max(0, star - limit), star),
        PreviewPart.ABOVE_ZERO: slice(star, star + limit),
        PreviewPart.MOST_POSITIVE: slice(max(0, n - limit), n),
        PreviewPart.AT_K: slice(max(0, k - half), k + half),
    }[part]


def _array(store: Store, row: tables.ScoreSet, name: str) -> NDArray[np.generic]:
    return store.artifacts.load(scores.SCORES, row.artifact, name)


def _check_k(k: int, n: int) -> None:
    if not 0 <= k < n:
        raise SettingsError(f"K = {k} is out of range.", fix=f"With {n:,} training examples it lies in 0 … {n - 1:,}.")


def _removed_by_class(
    store: Store, row: tables.ScoreSet, k: int, label: NDArray[np.int64], project: tables.Project
) -> list[int]:
    return _by_class(label[np.asarray(_array(store, row, "order.npy")[:k])], project)


# ---------------------------------------------------------------- prune sets
def create_prune_set(store: Store, score_set_id: int, wanted: api.PruneCreate) -> api.PruneSet:
    """Freeze the k rows with the lowest T, or those of subpopulations; the same rule and rows are the same prune set.

    Raises:
        ConflictError: K* was not searched for yet. SettingsError: `k` or `subpopulations` do not go with the rule, or
            name no rows.
    """
    with store.read() as session:
        row, project = _find(session, score_set_id)
    label = examples.labels(store, project, Split.TRAIN)
    if wanted.rule is PruneRule.EXCLUDED:
        removed = subpopulations.excluded(store, project, wanted.subpopulations)
        k = len(removed)
    else:
        order = _array(store, row, "order.npy")
        k = _k(row, wanted, len(order))
        removed = np.sort(np.asarray(order[:k])).astype(np.int64)
    digest = sha256(removed.astype("<i8").tobytes()).hexdigest()
    number = artifacts.content_id(what=prunes.PRUNES, scores=row.key, k=k, digest=digest)
    if not store.artifacts.exists(prunes.PRUNES, number):
        store.artifacts.make(prunes.PRUNES, number, lambda folder: np.save(folder / prunes.REMOVED, removed))
    with store.session() as session:
        found = prunes.find(session, row.id, wanted.rule, digest)
        if found is None:
            store.artifacts.write(
                session, prunes.PRUNES, number, lambda folder: np.save(folder / prunes.REMOVED, removed)
            )
            found = tables.PruneSet(
                project_id=project.id,
                score_set_id=row.id,
                rule=wanted.rule,
                k=k,
                name=wanted.name,
                digest=digest,
                artifact=number,
                removed_by_class=_by_class(label[removed], project),
            )
            session.add(found)
            session.flush()
        elif wanted.name:
            found.name = wanted.name
        return _prune_set(session, found)


def _k(row: tables.ScoreSet, wanted: api.PruneCreate, n: int) -> int:
    if wanted.subpopulations:
        raise SettingsError(f"Rule {wanted.rule.value} takes no subpopulations.", fix="Say rule excluded.")
    if wanted.rule is not PruneRule.MANUAL and wanted.k is not None:
        raise SettingsError(
            f"Rule {wanted.rule.value} finds K itself; got k = {wanted.k}.", fix="Leave k out, or say rule manual."
        )
    if wanted.rule is PruneRule.STAR:
        return min(row.star, n - 1)
    if wanted.rule is PruneRule.BEST:
        if row.best_k is None:
            raise ConflictError(
                "K* is not known yet.", fix="Search for it first (job search_k), or choose another rule."
            )
        return row.best_k
    if wanted.k is None:
        raise SettingsError("Rule manual needs k.", fix="Say how many rows go.")
    _check_k(wanted.k, n)
    return wanted.k


def list_prune_sets(store: Store, slug: str) -> list[api.PruneSet]:
    """Newest first."""
    with store.read() as session:
        project = project_store.get(session, slug)
        return [_prune_set(session, row) for row in prunes.list_prune_sets(session, project.id)]


def prune_set(store: Store, prune_set_id: int) -> api.PruneSet:
    with store.read() as session:
        return _prune_set(session, prunes.get(session, prune_set_id))


def _prune_set(session: Session, row: tables.PruneSet) -> api.PruneSet:
    return api.PruneSet(
        id=row.id,
        score_set_id=row.score_set_id,
        method=prunes.method(session, row),
        rule=PruneRule(row.rule),
        k=row.k,
        name=row.name,
        digest=row.digest,
        removed_by_class=row.removed_by_class,
        created_at=row.created_at,
    )


def download(store: Store, prune_set_id: int, format: str = "csv") -> downloads.Download:
    """The dropped rows: `csv` (row_id, path, label, score), `json` (with everything that made them) or `npy` (row ids).

    row_id is the row's position in the training split, counted from 0, in the order of the source.
    """
    with store.read() as session:
        row = prunes.get(session, prune_set_id)
        score, project = _find(session, row.score_set_id)
        group_set = groups.get(session, score.group_set_id)
        attribution = session.get_one(tables.Attribution, score.attribution_id)
        removed = np.asarray(store.artifacts.load(prunes.PRUNES, row.artifact, prunes.REMOVED))
        name = f"{project.slug}-prune-{row.id}-k{row.k}"
        if format == "npy":
            return downloads.npy_file(name, removed)
        if format not in ("csv", "json"):
            raise SettingsError(f"There is no format {format!r}.", fix="Choose one of csv, json, npy.")
        known = pages.keys(session, project.id, Split.TRAIN)
    alignment = _array(store, score, "alignment.npy")
    dropped = [(int(p), known[p][3], project.class_names[known[p][2]], float(alignment[p])) for p in removed.tolist()]
    fields = ("row_id", "path", "label", "score")
    if format == "csv":
        return downloads.csv_file(name, fields, dropped)
    return downloads.json_file(
        name,
        {
            "project": project.slug,
            "fingerprint": project.fingerprint,
            "rule": row.rule,
            "k": row.k,
            "digest": row.digest,
            "method": Method.EXCLUDE if row.rule == PruneRule.EXCLUDED else score.method,
            "weight_rule": score.weight_rule,
            "group_set": {"id": group_set.id, "name": group_set.name, "version": score.group_set_version},
            "attribution": {"id": attribution.id, "runs": attribution.run_ids, "settings": attribution.params},
            "search": score.search,
            "created_at": row.created_at.isoformat(),
            "rows": [dict(zip(fields, values, strict=True)) for values in dropped],
        },
    )
