"""ERM checkpoints: one step a seed."""

from __future__ import annotations

from typing import Any

from backend.store import projects
from unskew.schemas.enums import Method
from unskew.schemas.params import TrainJobParams
from workers.context import Context, Step
from workers.runs import Wanted, ensure


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, TrainJobParams)
    return [{"title": f"ERM, seed {seed}", "seed": seed, "beside": True} for seed in dict.fromkeys(params.seeds)]


def run(context: Context, step: Step) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, TrainJobParams)
    model = params.model.of_kind(projects.shape(context.project()).kind)
    number = ensure(context, Wanted(Method.ERM, step["seed"], model, params.train, keep_checkpoint=True))
    return {f"run_{step['seed']}": number}
