"""How a set of the paper becomes a project with directions: each stage only where it has not been done yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.cli import follow
from backend.services import directions as direction_service
from backend.services import projects as project_service
from backend.store.db import Store
from unskew.errors import ConflictError
from unskew.schemas import api, paper, params
from unskew.schemas.enums import JobKind, Method

RESNET, ENCODER = "unskew.models:resnet18", "unskew.models.pretrained:encoder"
SMOKE_SIZE = 16  # pixels
_SMOKE_TRAIN = params.TrainParams(epochs=1, batch_size=16)
_SMOKE_ATTRIBUTE = params.AttributeParams(projection_in=4, projection_out=4)


@dataclass(frozen=True)
class Plan:
    """How to run what is found.

    Attributes:
        weights: local files of pretrained weights.
        smoke: small models and one epoch, to see that it runs to the end.
    """

    store: Store
    seeds: list[int]
    search_seeds: list[int]
    weights: dict[paper.Weights, str]
    smoke: bool
    quiet: bool

    def trained(self, published: params.TrainParams) -> params.TrainParams:
        return _SMOKE_TRAIN if self.smoke else published


def prepared(
    plan: Plan, title: str, source: params.ImportParams, model: params.ModelSpec, train: params.TrainParams
) -> api.ProjectDetail:
    """Import, train, attribute, discover: each only where it has not been done yet."""
    store, quiet = plan.store, plan.quiet
    name = f"Paper: {title}" + (", smoke" if plan.smoke else "")
    slug = project_service.slug_for(name)
    if slug not in {p.slug for p in project_service.list_projects(store)}:
        follow.run(store, JobKind.IMPORT, source.model_copy(update={"name": name}), quiet=quiet)
    project = project_service.get(store, slug)
    if not Path(project.source["root"]).is_relative_to(source.source):
        raise ConflictError(
            f"The project {slug!r} was made from {project.source['root']}, not from {source.source}.",
            fix="Choose another folder with --into, or delete the project.",
        )
    wanted = params.TrainJobParams(model=model, train=train, seeds=plan.seeds)
    have = [r for r in project_service.runs_list(store, slug) if r.method is Method.ERM and r.has_checkpoint]
    if not set(plan.seeds) <= {run.seed for run in have}:
        follow.run(store, JobKind.TRAIN, wanted, project.id, quiet=quiet)
    if not project_service.attributions_list(store, slug):
        attribute = _SMOKE_ATTRIBUTE if plan.smoke else params.AttributeParams()
        follow.run(store, JobKind.ATTRIBUTE, attribute, project.id, quiet=quiet)
    if not direction_service.list_directions(store, slug):
        follow.run(store, JobKind.DISCOVER, params.DiscoverParams(), project.id, quiet=quiet)
    return project
