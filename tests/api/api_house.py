"""The real application on a real small project that went through the whole loop."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from backend.api.app import create_app
from backend.store.db import Store
from unskew.client import Client
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus, Method, PruneRule
from unskew.schemas.params import ImportParams, ModelSpec, RetrainParams, ScoreParams, TrainJobParams, TrainParams

PROJECT = "digits"
ADDRESS = "http://127.0.0.1:8501"


@dataclass
class House:
    """A store, the application on it, raw HTTP to it and the client."""

    store: Store
    http: TestClient
    client: Client

    @property
    def validation(self) -> list[api.Example]:
        return self.client.examples(PROJECT, split="validation", limit=1000).items  # type: ignore[arg-type]


def open_house(data: Path) -> House:
    store = Store.open(data)
    http = TestClient(create_app(store, ui=False), base_url=ADDRESS)
    return House(store, http, Client(http=http))


def problem(response: Any, status: int, *words: str) -> api.Problem:
    """The one shape of every error; the words stand in it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = api.Problem.model_validate_json(response.content)
    assert found.status == status and found.title and found.detail and found.type.startswith("urn:unskew:")
    for word in words:
        assert word in f"{found.detail} {found.fix} {[row.field for row in found.rows]}", found
    return found


def walk(house: House, manifest: Path) -> None:
    """Import, train, attribute, discover, group, score, prune and retrain, all over HTTP, by one real worker."""
    command = [sys.executable, "-m", "workers", "--data", str(house.store.data), "--die-with-parent"]
    with (house.store.data / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"UNSKEW_DATABASE_URL": house.store.url}
        )
    try:
        _walk(house, manifest)
    finally:
        worker.terminate()
        worker.wait(15)


def _walk(house: House, manifest: Path) -> None:
    client = house.client
    done(client, client.import_project(ImportParams(source=str(manifest), name=PROJECT, image_size=16)))
    small = TrainJobParams(
        model=ModelSpec(kwargs={"width": 4}), train=TrainParams(epochs=6, batch_size=32), seeds=[0, 1]
    )
    for kind, params in ((JobKind.TRAIN, small), (JobKind.ATTRIBUTE, None), (JobKind.DISCOVER, None)):
        done(client, client.start_job(PROJECT, kind, params))
    first = [d.id for d in client.directions(PROJECT) if d.index == 0]
    pseudo = client.create_group_set(PROJECT, api.GroupSetCreate(name="pseudo", direction_ids=first))
    border = client.create_group_set(PROJECT, api.GroupSetCreate(name="border", attribute="border"))
    for group_set, method in ((pseudo, Method.AUTO_TRAK), (border, Method.TRAK)):
        job = done(client, client.start_job(PROJECT, JobKind.SCORE, ScoreParams(group_set_id=group_set.id)))
        score_set = client.score_set(job.result["score_set_id"])
        assert score_set.method is method
        frozen = client.create_prune_set(score_set.id, api.PruneCreate(rule=PruneRule.STAR))
        methods = [method, Method.RANDOM_K] + ([Method.SUBG] if method is Method.TRAK else [])
        plan = RetrainParams(
            methods=methods,
            seeds=[0, 1],
            prune_set_id=frozen.id,
            group_attribute="border" if method is Method.TRAK else None,
        )
        done(client, client.start_job(PROJECT, JobKind.RETRAIN, plan))
    search = {"score_set_id": score_set.id, "grid": [10, score_set.star], "seeds": [0, 1]}
    done(client, client.start_job(PROJECT, JobKind.SEARCH_K, search))


def done(client: Client, job: api.Job) -> api.Job:
    found = client.wait_for_job(job.id, poll_seconds=0.05)
    assert found.status is JobStatus.DONE, (found.error, client.job_log(job.id)[-3:])
    return found
