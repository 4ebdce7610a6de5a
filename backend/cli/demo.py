"""`unskew demo`: the main job on real data with embedded defaults.

Without `--once`: prepares the demo project (import, five ERM checkpoints, attribution, directions), then serves it.
With `--once`: runs the whole loop without a browser and prints its figures. Every stage finds what an earlier run
finished and repeats nothing.
"""

from __future__ import annotations

import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import numpy as np
import typer

from backend.cli import follow, loop
from backend.cli.context import DataOption, JsonOption, emit, err, opened, out, table
from backend.cli.serve import serve_with_worker, wait_until_up
from backend.services import compare as compare_service
from backend.services import directions as direction_service
from backend.services import projects as project_service
from backend.services import prune as prune_service
from backend.services import reports as report_service
from backend.store.db import Store
from unskew.schemas import api, params
from unskew.schemas.enums import JobKind, Method, PruneRule, Split

ATTRIBUTE = "background"  # the planted bias; read for evaluation, and by the methods that say so


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Run the whole loop without a browser and print its figures.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Retraining seeds of --once.")] = 3,
    demo_seed: Annotated[
        int, typer.Option(min=0, help="Which digits and crops: another data set of the same kind.")
    ] = 0,
    port: int = 8501,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser where there is one.")] = True,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Digits on textures: 5,000 real images with a planted bias, from import to report."""
    with opened(data) as store:
        seconds: dict[str, float] = {}
        if not once:
            from backend.api.serve import check_address

            check_address(store, "127.0.0.1", port)
            with follow.worker(store):
                project = prepare(store, demo_seed, seconds, quiet=False)
            out.print(f"Ready in {sum(seconds.values()):.0f} s.")
            show(store, project, port, open_browser)
            return
        with follow.worker(store):
            project = prepare(store, demo_seed, seconds, quiet=as_json)
            figures = whole_loop(store, project, list(range(seeds)), seconds, quiet=as_json)
        emit(figures, as_json, summary(figures))


def show(store: Store, project: str, port: int, open_browser: bool) -> None:
    address = f"http://127.0.0.1:{port}"
    page = f"{address}/discover?project={project}"
    out.print(f"Opening [bold]{page}[/]", highlight=False)

    def opener() -> None:
        wait_until_up(address)
        webbrowser.open(page)

    if open_browser:
        threading.Thread(target=opener, daemon=True).start()
    serve_with_worker(store, "127.0.0.1", port, "cpu")


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - start, 2)


def prepare(store: Store, demo_seed: int, seconds: dict[str, float], *, quiet: bool) -> str:
    """Import, train, attribute, discover; returns the project's slug."""
    wanted = params.ImportParams(
        source="demo",
        name="Digits on textures" + (f" {demo_seed}" if demo_seed else ""),
        image_size=32,
        demo_seed=demo_seed,
    )
    with timed(seconds, "import"):
        slug = project_service.slug_for(wanted.name)
        if slug not in {p.slug for p in project_service.list_projects(store)}:
            follow.run(store, JobKind.IMPORT, wanted, quiet=quiet)
    project_id = project_service.get(store, slug).id
    with timed(seconds, "train"):
        recipe = params.TrainJobParams()
        trained = {
            run.seed
            for run in project_service.runs_list(store, slug)
            if run.method is Method.ERM and run.has_checkpoint
        }
        if not set(recipe.seeds) <= trained:
            follow.run(store, JobKind.TRAIN, recipe, project_id, quiet=quiet)
    with timed(seconds, "attribute"):
        if not project_service.attributions_list(store, slug):
            follow.run(store, JobKind.ATTRIBUTE, params.AttributeParams(), project_id, quiet=quiet)
    with timed(seconds, "discover"):
        if not direction_service.list_directions(store, slug):
            follow.run(store, JobKind.DISCOVER, params.DiscoverParams(), project_id, quiet=quiet)
    return slug


def whole_loop(
    store: Store, project: str, seeds: list[int], seconds: dict[str, float], *, quiet: bool
) -> dict[str, Any]:
    """Score, search K*, prune, retrain with controls, compare on test, report; returns the figures."""
    project_id = project_service.get(store, project).id
    chosen: dict[Method, api.PruneSet] = {}
    for method, attribute in ((Method.AUTO_TRAK, None), (Method.TRAK, ATTRIBUTE)):
        with timed(seconds, "score"):
            group_set = loop.group_set_for(store, project, attribute)
            job = follow.run(store, JobKind.SCORE, params.ScoreParams(group_set_id=group_set), project_id, quiet=quiet)
        score_set = int(job.result["score_set_id"])
        with timed(seconds, "retrain"):
            search = params.SearchKParams(score_set_id=score_set, seeds=seeds)
            follow.run(store, JobKind.SEARCH_K, search, project_id, quiet=quiet)
            chosen[method] = prune_service.create_prune_set(store, score_set, api.PruneCreate(rule=PruneRule.BEST))
            methods = [Method.ERM, method, Method.RANDOM_K, Method.SUBG] if method is Method.TRAK else [method]
            plan = params.RetrainParams(
                methods=methods,
                seeds=seeds,
                prune_set_id=chosen[method].id,
                group_attribute=ATTRIBUTE if method is Method.TRAK else None,
            )
            follow.run(store, JobKind.RETRAIN, plan, project_id, quiet=quiet)
    comparison = compare_service.compare(store, project, split=Split.TEST, attribute=ATTRIBUTE)
    with timed(seconds, "report"):
        report = report_service.create(store, project, api.ReportCreate(title="Digits on textures"))
        path = store.data / "report.html"
        path.write_text(report_service.html(store, report.id), encoding="utf-8")
    return {
        "seconds": seconds,
        "directions": [direction_figures(store, project, d) for d in direction_service.list_directions(store, project)],
        "methods": {m.method.value: per_seed(m) for m in comparison.methods},
        "report": str(path),
    }


def direction_figures(store: Store, project: str, direction: api.Direction) -> dict[str, Any]:
    agreement = hidden_agreement(store, project, direction.id)
    return {
        "class": direction.label_name,
        "index": direction.index,
        "title": direction.title,
        "share": direction.share,
        "verdict": direction.evidence.verdict.value,
        "agreement": agreement,
    }


def hidden_agreement(store: Store, project: str, direction_id: int) -> float:
    """Share of the class's validation examples on their background's side, up to the sign; .5 is chance if balanced."""
    projection, values = direction_service.projection_and_attribute(store, project, direction_id, ATTRIBUTE)
    same = np.mean((projection > 0) == (values == sorted(set(values))[0]))
    return round(float(max(same, 1 - same)), 4)


def per_seed(result: api.MethodResult) -> list[dict[str, float | None]]:
    names = ("worst_group_accuracy", "balanced_accuracy", "average_accuracy", "adjusted_average_accuracy")
    return [
        {"seed": row["seed"], "removed": result.removed, **{name: row[name] for name in names}}
        for row in result.per_seed
    ]


def summary(figures: dict[str, Any]) -> Any:
    rows = []
    for method, results in figures["methods"].items():
        worst, balanced = ([r[name] for r in results] for name in ("worst_group_accuracy", "balanced_accuracy"))
        rows.append(
            [
                method,
                str(results[0]["removed"]),
                f"{np.mean(worst):.3f} (s.d. {np.std(worst):.3f})",
                f"{np.mean(balanced):.3f}",
                str(len(results)),
            ]
        )
    err.print(f"Report: {figures['report']}", highlight=False)
    err.print(
        "Seconds: " + ", ".join(f"{stage} {value:.0f}" for stage, value in figures["seconds"].items()), highlight=False
    )
    return table(
        "Test split, groups by class and background", ["method", "removed", "worst group", "balanced", "seeds"], rows
    )
