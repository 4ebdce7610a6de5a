"""The next round: a project of what a prune set left, equal to the one before in all but the rows that went."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from api_house import ADDRESS, PROJECT, House, done
from starlette.testclient import TestClient
from test_rights import user

from backend.cli import rounds
from backend.services import accounts
from backend.store import projects, prunes, tables
from unskew.client import Client
from unskew.data import SplitArrays
from unskew.errors import ConflictError, NotFoundError, RightsError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import JobKind, PruneRule, Role, Split
from unskew.schemas.params import ContinueParams, ModelSpec, TrainJobParams, TrainParams


@pytest.fixture
def worked(house: House) -> Iterator[House]:
    """With a worker and two people, as the admin of them."""
    key = user(house, "ada", Role.ADMIN, None)
    user(house, "ann", Role.LABELER, PROJECT)
    http = TestClient(house.http.app, base_url=ADDRESS, headers={"Authorization": f"Bearer {key}"})
    command = [sys.executable, "-m", "workers", "--data", str(house.store.data), "--die-with-parent"]
    environment = os.environ | {"UNSKEW_DATABASE_URL": house.store.url}
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    yield House(house.store, http, Client(http=http))
    worker.terminate()
    worker.wait(15)


def split(house: House, slug: str, name: str) -> SplitArrays:
    with house.store.read() as session:
        found = projects.data(house.store, session, projects.get(session, slug), attributes=["border"])
    made = getattr(found, name)
    assert isinstance(made, SplitArrays)
    return made


@pytest.mark.slow
def test_the_next_round_holds_what_was_left(worked: House) -> None:
    prune_set = worked.client.prune_sets(PROJECT)[0]
    wanted = ContinueParams(prune_set_id=prune_set.id, name="Digits, round 2")
    job = done(worked.client, worked.client.start_job(PROJECT, JobKind.CONTINUE, wanted))
    made, before = worked.client.project(job.result["project"]), worked.client.project(PROJECT)
    assert (made.slug, made.n_train) == ("digits-round-2", before.n_train - prune_set.k)
    assert (made.n_validation, made.n_test) == (before.n_validation, before.n_test)
    assert made.fingerprint != before.fingerprint and made.source["continues"] == PROJECT
    with worked.store.read() as session:
        row = prunes.get(session, prune_set.id)
        removed = np.asarray(worked.store.artifacts.load(prunes.PRUNES, row.artifact, prunes.REMOVED))
    for name in ("train", "validation", "test"):
        old, new = split(worked, PROJECT, name), split(worked, made.slug, name)
        left = np.setdiff1d(np.arange(len(old)), removed) if name == "train" else np.arange(len(old))
        assert np.array_equal(new.inputs, old.inputs[left]) and np.array_equal(new.label, old.label[left])
        assert np.array_equal(new.attributes["border"], old.attributes["border"][left])
    example = worked.client.examples(made.slug, split=Split.TRAIN, limit=1).items[0]
    assert worked.client.image(made.slug, example.id)[:4] == b"\x89PNG", "pictures are where they were"
    (ann,) = (person for person in accounts.list_users(worked.store) if person.name == "ann")
    assert ann.projects == {PROJECT: Role.LABELER, made.slug: Role.LABELER}
    small = TrainJobParams(model=ModelSpec(kwargs={"width": 4}), train=TrainParams(epochs=1), seeds=[0])
    done(worked.client, worked.client.start_job(made.slug, JobKind.TRAIN, small))
    for kind in (JobKind.ATTRIBUTE, JobKind.DISCOVER):
        done(worked.client, worked.client.start_job(made.slug, kind))
    report = worked.client.create_report(made.slug)
    commands = worked.client.download_report(report.id).decode()
    assert f"unskew continue digits --prune-set {prune_set.id} --name" in commands
    assert worked.client.directions(made.slug)
    again = ContinueParams(prune_set_id=prune_set.id, name="Digits, round 2")
    with pytest.raises(ConflictError, match="digits-round-2"):
        worked.client.start_job(PROJECT, JobKind.CONTINUE, again)


def test_what_cannot_be_continued_is_said_before_the_job(house: House) -> None:
    prune_set = house.client.prune_sets(PROJECT)[0]
    with pytest.raises(NotFoundError, match="no prune set 99"):
        house.client.start_job(PROJECT, JobKind.CONTINUE, {"prune_set_id": 99, "name": "x"})
    with pytest.raises(SettingsError, match="name"):
        house.client.start_job(PROJECT, JobKind.CONTINUE, {"prune_set_id": prune_set.id, "name": ""})
    every = [k for k in _subpopulations(house) if k.label == 0]
    frozen = house.client.create_prune_set(
        prune_set.score_set_id, api.PruneCreate(rule=PruneRule.EXCLUDED, subpopulations=every)
    )
    with pytest.raises(ConflictError, match="leaves no training example of '"):
        house.client.start_job(PROJECT, JobKind.CONTINUE, {"prune_set_id": frozen.id, "name": "x"})
    with house.store.session() as session:
        other = session.get_one(tables.PruneSet, prune_set.id)
        stranger = tables.Project(
            slug="o", name="o", class_names=["a"], attributes=[], shape={}, source={}, fingerprint=""
        )
        session.add(stranger)
        session.flush()
        other.project_id = stranger.id
    with pytest.raises((NotFoundError, RightsError)):
        house.client.start_job(PROJECT, JobKind.CONTINUE, {"prune_set_id": prune_set.id, "name": "x"})


def _subpopulations(house: House) -> list[api.SubpopulationKey]:
    score_set = house.client.prune_sets(PROJECT)[0].score_set_id
    rows = house.client.subpopulations(score_set)
    return [api.SubpopulationKey(label=r.label, attribute=r.attribute, value=r.value) for r in rows]


def test_a_project_that_only_has_the_name_is_no_next_round(shared: House) -> None:
    prune_set = shared.client.prune_sets(PROJECT)[0].id
    with pytest.raises(ConflictError, match=f"does not continue prune set {prune_set}"):
        rounds._next(shared.store, PROJECT, prune_set, PROJECT, quiet=True)
