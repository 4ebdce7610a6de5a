"""`unskew battery`: every method on every seed, controls included, as one league table."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer
from rich.table import Table

from backend.cli import follow
from backend.cli.context import DataOption, JsonOption, ProjectArgument, emit, err, opened, out, seeds, table
from backend.services import battery as battery_service
from backend.services import compare as compare_service
from backend.services import directions as direction_service
from backend.services import projects as project_service
from backend.store.db import Store
from unskew.charts import format as fmt
from unskew.charts.theme import method_name
from unskew.errors import SettingsError
from unskew.schemas import api, params
from unskew.schemas.enums import JobKind, Method, Split
from unskew.schemas.methods import LABELS


def register(app: typer.Typer) -> None:
    app.command()(battery)


def battery(
    project: ProjectArgument,
    methods: Annotated[
        str, typer.Option(help="all, or some of: " + ", ".join(Method) + ". The controls always run.")
    ] = "all",
    seeds_: Annotated[str, typer.Option("--seeds", help="How many (5) or which (0,1,2).")] = "5",
    search_seeds: Annotated[str, typer.Option(help="Seeds of the searches for K*.")] = "3",
    attribute: Annotated[
        str | None, typer.Option(help="What methods with group labels read. [default: the first that is known]")
    ] = None,
    group_set: Annotated[
        int | None, typer.Option(help="Pseudo-groups of the auto methods. [default: the newest]")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Count and time it; start nothing.")] = False,
    split: Split = Split.TEST,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every method on every seed, controls included, and print the league table. It can be stopped and resumed."""
    wanted = params.BatteryParams(
        methods=None if methods.strip() == "all" else [_method(name) for name in methods.split(",") if name.strip()],
        seeds=seeds(seeds_),
        search_seeds=seeds(search_seeds),
        group_attribute=attribute,
        group_set_id=group_set,
    )
    with opened(data) as store:
        made = project_service.get(store, project)
        todo = battery_service.plan(store, project, wanted)
        if plan:
            emit(todo, as_json, _plan_words(todo))
            return
        if not as_json:
            err.print(_plan_words(todo))
        with follow.worker(store):
            _prepare(store, project, made.id, quiet=as_json)
            job = follow.run(store, JobKind.BATTERY, wanted, made.id, quiet=as_json)
        comparison = compare_service.compare(store, project, split=split, attribute=todo.attribute)
        emit(list(battery_service.league(comparison)), as_json, league_table(comparison))
        if as_json:
            return
        for name, why in {k: v for k, v in job.result.items() if k.startswith("skipped_")}.items():
            out.print(f"[yellow]Not run: {name.removeprefix('skipped_')}: {why}[/]")
        for warning in comparison.warnings:
            out.print(f"[yellow]{warning}[/]")


def _method(name: str) -> Method:
    try:
        return Method(name.strip())
    except ValueError:
        raise SettingsError(f"There is no method {name!r}.", fix=f"Choose of {', '.join(Method)}, or all.") from None


def _plan_words(todo: api.BatteryPlan) -> str:
    left_out = "".join(f"\nLeft out: {method_name(method)}, {why}." for method, why in todo.left_out.items())
    time = "" if todo.seconds is None else f", about {fmt.seconds(todo.seconds)}"
    return (
        f"{len(todo.methods)} methods × {len(todo.seeds)} seeds, {todo.n_searches} of {todo.n_runs} trainings to "
        f"find K*; as long as {todo.erm_trainings:.0f} trainings of ERM{time}. What is stored already is not repeated."
        + left_out
    )


def _prepare(store: Store, project: str, project_id: int, *, quiet: bool) -> None:
    """The steps before a battery, with their defaults, where they have not been taken yet."""
    if not any(run.method is Method.ERM and run.has_checkpoint for run in project_service.runs_list(store, project)):
        follow.run(store, JobKind.TRAIN, params.TrainJobParams(), project_id, quiet=quiet)
    if not project_service.attributions_list(store, project):
        follow.run(store, JobKind.ATTRIBUTE, params.AttributeParams(), project_id, quiet=quiet)
    if not direction_service.list_directions(store, project):
        follow.run(store, JobKind.DISCOVER, params.DiscoverParams(), project_id, quiet=quiet)


def league_table(comparison: api.Comparison) -> Table:
    """By the labels that are read, fewest first; inside, by worst-group accuracy."""
    columns = ["labels", "method", "left\nout", "worst\ngroup", "s.d.", "95 %", "balanced", "average", "adjusted", "n"]
    ordered = sorted(comparison.methods, key=lambda m: (LABELS.index(m.labels_used), -m.worst_group_accuracy.value))
    rows: list[list[str]] = []
    ends: list[int] = []
    for labels, members in groupby(ordered, key=lambda m: m.labels_used):
        for place, m in enumerate(members):
            spread = "" if m.worst_group_sd is None else f"{100 * m.worst_group_sd:.1f}"
            boot = m.worst_group_bootstrap
            rows.append(
                [
                    "" if place else labels,
                    method_name(m.method),
                    str(m.removed or "–"),
                    f"{100 * m.worst_group_accuracy.value:.1f}",
                    spread,
                    "" if boot is None else f"{100 * boot.low:.1f}–{100 * boot.high:.1f}",
                    f"{100 * m.balanced_accuracy.value:.1f}",
                    f"{100 * m.average_accuracy.value:.1f}",
                    "" if m.adjusted_average_accuracy is None else f"{100 * m.adjusted_average_accuracy.value:.1f}",
                    str(len(m.seeds)),
                ]
            )
        ends.append(len(rows) - 1)
    return table(f"{comparison.split.value}, groups: {comparison.grouping}", columns, rows, sections=ends)
