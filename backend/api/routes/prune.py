"""Score sets and prune sets."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from backend.api.deps import StoreDep, attachment
from backend.api.rights import EDITOR, VIEWER
from backend.services import prune, subpopulations
from unskew.schemas import api
from unskew.schemas.enums import PreviewPart
from unskew.schemas.params import Seed

router = APIRouter(tags=["pruning"])


@router.get("/projects/{slug}/score-sets", dependencies=[VIEWER])
def list_score_sets(store: StoreDep, slug: str) -> list[api.ScoreSet]:
    """Score sets, newest first."""
    return prune.list_score_sets(store, slug)


@router.get("/score-sets/{score_set_id}", dependencies=[VIEWER])
def score_set(store: StoreDep, score_set_id: int) -> api.ScoreSet:
    """One score set with its weights, histogram, star, K* and search curve."""
    return prune.score_set(store, score_set_id)


@router.get("/score-sets/{score_set_id}/preview", dependencies=[VIEWER])
def preview(
    store: StoreDep,
    score_set_id: int,
    k: Annotated[int, Query(ge=0)],
    part: PreviewPart = PreviewPart.AT_K,
    limit: Annotated[int, Query(ge=1, le=200)] = 24,
) -> api.PrunePreview:
    """What dropping the k lowest takes from each class, and examples around a place of the order."""
    return prune.preview(store, score_set_id, k=k, part=part, limit=limit)


@router.get("/score-sets/{score_set_id}/negative-mass", dependencies=[VIEWER])
def negative_mass(store: StoreDep, score_set_id: int) -> api.NegativeMass:
    """How much of the negative alignment the lowest rows hold."""
    return prune.negative_mass(store, score_set_id)


@router.get("/score-sets/{score_set_id}/subpopulations", dependencies=[VIEWER])
def subpopulation_table(
    store: StoreDep,
    score_set_id: int,
    samples: Annotated[int, Query(ge=0, le=48)] = 0,
    seed: Seed = 0,
) -> list[api.Subpopulation]:
    """Mean T of every class × attribute value, the most harmful first, with random examples of each."""
    return subpopulations.table(store, score_set_id, samples=samples, seed=seed)


@router.post("/score-sets/{score_set_id}/prune-sets", status_code=201, dependencies=[EDITOR])
def create(store: StoreDep, score_set_id: int, wanted: api.PruneCreate) -> api.PruneSet:
    """Freeze the list of training rows to drop."""
    return prune.create_prune_set(store, score_set_id, wanted)


@router.get("/projects/{slug}/prune-sets", dependencies=[VIEWER])
def list_prune_sets(store: StoreDep, slug: str) -> list[api.PruneSet]:
    """Prune sets, newest first."""
    return prune.list_prune_sets(store, slug)


@router.get("/prune-sets/{prune_set_id}", dependencies=[VIEWER])
def prune_set(store: StoreDep, prune_set_id: int) -> api.PruneSet:
    """One prune set."""
    return prune.prune_set(store, prune_set_id)


@router.get("/prune-sets/{prune_set_id}/download", response_class=Response, dependencies=[VIEWER])
def download(store: StoreDep, prune_set_id: int, format: Literal["csv", "json", "npy"] = "csv") -> Response:
    """The dropped rows; row_id is the position in the training split."""
    return attachment(prune.download(store, prune_set_id, format))
