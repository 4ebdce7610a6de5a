"""Code of one's own over the network: only what the server was started with; report blocks are frozen."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from api_house import ADDRESS, PROJECT, House, problem
from sqlalchemy import select
from starlette.testclient import TestClient
from test_rights import user

from backend.services.plugins import KINDS
from backend.store import tables
from unskew.charts.base import Chart
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import ReportBlockKind, Role
from unskew.schemas.report import FrozenReport

HERE = f"{__name__}:"


def block(report: FrozenReport) -> list[str | Chart]:
    table = pd.DataFrame({"class": report.project.class_names, "n": [c.n for c in report.project.counts][:2]})
    chart = Chart(go.Figure(go.Bar(x=[1, 2], y=[3, 4])), "Two bars.", table, "Own bars.")
    return [
        f"## Own part of {report.project.name}\n\n<b>bold</b> ![x](http://x/y.png)\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        chart,
    ]


def fails(report: FrozenReport) -> str:
    raise KeyError("absent")


def number(report: FrozenReport) -> Any:
    return 3


def jobs(kind: str, path: str) -> tuple[str, dict[str, Any]]:
    """A request that names this code, by kind."""
    project = f"/api/v1/projects/{PROJECT}"
    return {
        "model": (f"{project}/jobs", {"kind": "train", "params": {"model": {"factory": path}}}),
        "trainer": (f"{project}/jobs", {"kind": "train", "params": {"train": {"trainer": path}}}),
        "engine": (f"{project}/jobs", {"kind": "attribute", "params": {"engine": path}}),
        "reader": ("/api/v1/projects", {"source": "/nowhere", "name": "n", "layout": path}),
        "report block": (f"{project}/reports", {"blocks": [{"kind": path}]}),
    }[kind]


@pytest.fixture
def remote(house: House) -> TestClient:
    """An admin over the network; whoever sits at the machine of a house without users may name what they like."""
    key = user(house, "ada", Role.ADMIN, None)
    return TestClient(house.http.app, base_url=ADDRESS, headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_listed_may_be_named(
    kind: str, house: House, remote: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, body = jobs(kind, HERE + "block")
    problem(remote.post(url, json=body), 403, f"The {kind}", KINDS[kind])
    monkeypatch.setenv(KINDS[kind], f"other:thing, {HERE}block")
    assert remote.post(url, json=body).status_code in (201, 202)
    for other, variable in KINDS.items():
        if other != kind:  # allowed as one thing is not allowed as another
            monkeypatch.setenv(variable, "")
            url, body = jobs(other, HERE + "block")
            problem(remote.post(url, json=body), 403)


def test_a_dry_run_of_an_import_runs_no_code_either(house: House, remote: TestClient) -> None:
    body = {"source": str(house.store.data), "name": "n", "layout": HERE + "block"}
    problem(remote.post("/api/v1/projects/check", json=body), 403, "reader")


@pytest.mark.parametrize("path", ["a b:c", ":f", "m:", "m.f", "../x:f", "m:f()", "os;system:f", "m:f\n"])
def test_what_is_no_import_path_is_refused(path: str, house: House) -> None:
    for kind in set(KINDS) - {"model"}:
        url, body = jobs(kind, path)
        assert house.http.post(url, json=body).status_code == 422, (kind, path)


def test_the_list_is_what_the_server_was_started_with(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert house.client.plugins() == api.Plugins(models=[], trainers=[], engines=[], readers=[], report_blocks=[])
    monkeypatch.setenv("UNSKEW_ENGINES", "a:b, c:d,")
    assert house.client.plugins().engines == ["a:b", "c:d"]
    assert house.client.server().settings["engines by import path"] == "a:b, c:d"


def test_a_block_is_frozen_with_its_report(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSKEW_REPORT_BLOCKS", HERE + "block")
    blocks = [api.ReportBlock(kind=HERE + "block", text="Before **it**."), api.ReportBlock(kind=ReportBlockKind.DATA)]
    made = house.client.create_report(PROJECT, api.ReportCreate(blocks=blocks))
    page = house.client.download_report(made.id).decode()
    own = page.index("<h2>Own part of")
    assert page.index("Before <strong>it</strong>") < own < page.index("<h2>Data</h2>")
    assert "&lt;b&gt;bold" in page and 'src="http' not in page
    assert "<td>1</td>" in page and 'aria-label="Two bars."' in page and "Own bars." in page
    frozen = FrozenReport.model_validate_json(house.client.download_report(made.id, format="json"))
    ((path, parts),) = frozen.own.items()
    assert path == HERE + "block" and [part.chart is None for part in parts] == [True, False]
    assert parts[1].chart is not None and parts[1].chart.columns == ["class", "n"]


@pytest.mark.parametrize(
    ("name", "words"), [("fails", "failed: KeyError"), ("number", "gave a int"), ("gone", "no 'gone'")]
)
def test_a_block_that_fails_makes_no_report(
    name: str, words: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSKEW_REPORT_BLOCKS", HERE + name)
    before = house.client.reports(PROJECT)
    with pytest.raises(SettingsError, match=words):
        house.client.create_report(PROJECT, api.ReportCreate(blocks=[api.ReportBlock(kind=HERE + name)]))
    assert house.client.reports(PROJECT) == before


def test_what_was_named_at_the_machine_may_be_named_again(house: House, remote: TestClient) -> None:
    asked = {"kind": "train", "params": {"train": {"trainer": "mine:loop"}}}
    problem(remote.post(f"/api/v1/projects/{PROJECT}/jobs", json=asked), 403, "UNSKEW_TRAINERS=mine:loop")
    with house.store.session() as session:
        run = session.scalars(select(tables.Run)).first()
        assert run is not None
        run.params = {**run.params, "train": {**run.params["train"], "trainer": "mine:loop"}}
    made = remote.post(f"/api/v1/projects/{PROJECT}/jobs", json=asked)
    assert made.status_code == 202 and made.json()["params"]["train"]["trainer"] == "mine:loop"
    assert "mine" not in sys.modules, "only a worker imports it"
