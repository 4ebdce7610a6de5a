"""`unskew subpopulations`: mean T of every class × attribute value, and a prune set of those that a person excludes."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.context import DataOption, JsonOption, ProjectArgument, emit, opened, table
from backend.cli.loop import class_number
from backend.services import projects as project_service
from backend.services import prune as prune_service
from backend.services import subpopulations as subpopulation_service
from unskew.errors import ConflictError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import PruneRule


def register(app: typer.Typer) -> None:
    app.command()(subpopulations)


def subpopulations(
    project: ProjectArgument,
    score_set: Annotated[int | None, typer.Option(help="[default: the newest]")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Freeze a prune set of these: CLASS:ATTRIBUTE=VALUE; repeat it.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the subpopulations of the training examples by mean T; with --exclude, freeze those rows as a prune set."""
    with opened(data) as store:
        made = project_service.get(store, project)
        sets = prune_service.list_score_sets(store, project)
        if not sets:
            raise ConflictError("There are no scores yet.", fix=f"First: unskew score {project} --pseudo")
        chosen = score_set if score_set is not None else sets[0].id
        if exclude:
            wanted = api.PruneCreate(rule=PruneRule.EXCLUDED, subpopulations=[_key(made, text) for text in exclude])
            frozen = prune_service.create_prune_set(store, chosen, wanted)
            again = f"unskew retrain {project} --prune-set {frozen.id} --methods erm,exclude,random_k"
            emit(frozen, as_json, f"Prune set {frozen.id}: {frozen.k} rows. Retrain without them: {again}")
            return
        found = subpopulation_service.table(store, chosen)
        rows = [
            [s.name, str(s.mean.n), f"{s.mean.value:.3g}", f"{s.standard_errors:+.1f}", f"{s.below_zero:.0%}"]
            for s in found
        ]
        emit(found, as_json, table(f"Score set {chosen}", ["subpopulation", "n", "mean T", "s.e.", "T < 0"], rows))


def _key(project: api.Project, text: str) -> api.SubpopulationKey:
    class_name, colon, rest = text.partition(":")
    attribute, equals, value = rest.partition("=")
    if not (colon and equals):
        raise SettingsError(f"{text!r} names no subpopulation.", fix="Write it as CLASS:ATTRIBUTE=VALUE.")
    label = class_number(project, class_name)
    assert label is not None, "a name was given"
    return api.SubpopulationKey(label=label, attribute=attribute, value=value)
