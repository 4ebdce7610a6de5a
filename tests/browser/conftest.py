"""A real server with a real worker on a small real project, and a real Chromium. Nothing leaves tmp folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_screen import Server, chromium, serving

from unskew.schemas import api
from unskew.schemas.enums import JobKind, Method, PruneRule
from unskew.schemas.params import (
    AttributeParams,
    DiscoverParams,
    ImportParams,
    RetrainParams,
    ScoreParams,
    TrainJobParams,
    TrainParams,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("unskew-data")) as running:
        yield running


@pytest.fixture(scope="session")
def small_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 1,000 + 300 + 300 rows of the demo set, as a manifest of its own."""
    import pandas as pd

    from unskew.data import build_demo

    manifest = build_demo(tmp_path_factory.mktemp("demo") / "set")
    rows = pd.read_csv(manifest)
    sizes = {"train": 1000, "validation": 300, "test": 300}
    small = pd.concat([rows[rows["split"] == split].head(n) for split, n in sizes.items()])
    path = manifest.with_name("small.csv")
    small.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def ready(server: Server, small_manifest: Path) -> str:
    """The slug of a project brought through the whole loop over the API: every page has something to show."""
    client, attribute = server.api, "background"

    def done(job: api.Job) -> api.Job:
        found = client.wait_for_job(job.id, poll_seconds=0.2)
        assert found.status == "done", found.error
        return found

    done(client.import_project(ImportParams(source=str(small_manifest), name="ready", image_size=32)))
    train = TrainParams(epochs=3)
    done(client.start_job("ready", JobKind.TRAIN, TrainJobParams(train=train, seeds=[0, 1])))
    done(client.start_job("ready", JobKind.ATTRIBUTE, AttributeParams()))
    done(client.start_job("ready", JobKind.DISCOVER, DiscoverParams()))
    first = [d.id for d in client.directions("ready") if d.index == 0]
    made = client.create_group_set("ready", api.GroupSetCreate(name="sides", direction_ids=first))
    done(client.start_job("ready", JobKind.SCORE, ScoreParams(group_set_id=made.id)))
    pruned = client.create_prune_set(client.score_sets("ready")[0].id, api.PruneCreate(rule=PruneRule.MANUAL, k=100))
    plan = RetrainParams(
        methods=[Method.ERM, pruned.method, Method.RANDOM_K],
        seeds=[0, 1],
        prune_set_id=pruned.id,
        group_attribute=attribute,
    )
    done(client.start_job("ready", JobKind.RETRAIN, plan))
    client.create_report("ready", api.ReportCreate(title="Ready"))
    return "ready"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A picture of the screen in test-results/ when a test of it fails."""
    report = yield
    screen = getattr(item, "funcargs", {}).get("screen")
    if report.when == "call" and report.failed and screen is not None:
        screen.page.screenshot(path=ROOT / "test-results" / f"{item.name}.png", full_page=True)
    return report
