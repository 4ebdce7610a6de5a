"""How well attributions predict retraining: the LDS results of a project."""

from __future__ import annotations

from backend.store import attributions
from backend.store import fidelity as fidelity_store
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.params import LdsParams


def list_lds(store: Store, slug: str) -> list[api.Lds]:
    """Newest first."""
    with store.read() as session:
        project = project_store.get(session, slug)
        found = []
        for row, about in fidelity_store.of_project(session, project.id):
            result, params = api.LdsResult.model_validate(row.result), LdsParams.model_validate(row.params)
            found.append(
                api.Lds(
                    id=row.id,
                    attribution_id=about.id,
                    engine=attributions.engine_of(about),
                    mean=result.mean.value,
                    interval=(result.mean.low, result.mean.high),
                    n_targets=result.mean.n,
                    n_subsets=params.n_subsets,
                    seeds=params.seeds,
                    by_class=result.by_class,
                    created_at=row.created_at,
                )
            )
        return found
