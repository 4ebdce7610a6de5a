"""The whole loop under kill -9: every job ends as an undisturbed one does, and repeats no finished step."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jobs_house import DIGITS, House, finished, training

from backend.services import groups as group_service
from backend.services import prune as prune_service
from backend.store import attributions, runs, scores, tables
from backend.store.db import Store
from unskew.schemas import api
from unskew.schemas.enums import Engine, GroupSource, JobKind, JobStatus, Method, PruneRule, Split
from unskew.schemas.params import AttributeParams, DiscoverParams, Params, RetrainParams, ScoreParams, SearchKParams

SLUG = "digits"
SEEDS = [0, 1]
EPOCHS = 12


class Loop:
    """The loop's jobs in order, each run by a worker that may be killed in its middle."""

    def __init__(self, house: House, *, kill: bool) -> None:
        self.house = house
        self.kill = kill
        self.ids: list[str] = []

    def run(self, kind: JobKind, params: Params) -> dict[str, Any]:
        job_id = self.house.ask(kind, params, DIGITS)
        self.ids.append(job_id)
        worker = self.house.start()
        if self.kill:
            self.house.until(lambda: self.half_way(job_id))
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            worker = self.house.start()
        result: dict[str, Any] = self.house.done(job_id, 120).result
        worker.terminate()
        worker.wait(15)
        return result

    def half_way(self, job_id: str) -> bool:
        """At least one step is finished (of a job of one step: it began), or the job was faster than we looked."""
        row = self.house.job(job_id)
        return row.done >= 1 or (row.total == 1 and row.status == JobStatus.RUNNING) or row.status == JobStatus.DONE

    def walk(self) -> None:
        self.run(JobKind.TRAIN, training(SEEDS, EPOCHS))
        self.run(JobKind.ATTRIBUTE, AttributeParams(projection_in=4, projection_out=4))
        self.run(JobKind.DISCOVER, DiscoverParams(n_directions=2))
        made = group_service.create(self.house.store, SLUG, api.GroupSetCreate(name="border", attribute="border"))
        score_set = int(self.run(JobKind.SCORE, ScoreParams(group_set_id=made.id))["score_set_id"])
        self.run(JobKind.SEARCH_K, SearchKParams(score_set_id=score_set, grid=[20, 40], seeds=SEEDS))
        saved = prune_service.create_prune_set(self.house.store, score_set, api.PruneCreate(rule=PruneRule.STAR))
        methods = [Method.ERM, Method.TRAK, Method.RANDOM_K, Method.SUBG]
        plan = RetrainParams(methods=methods, seeds=SEEDS, prune_set_id=saved.id, group_attribute="border")
        self.run(JobKind.RETRAIN, plan)

    def results(self) -> dict[str, object]:
        """Every figure that the loop stored, as bytes or plain values."""
        artifacts, found = self.house.store.artifacts, {}
        with self.house.store.read() as session:
            attribution = attributions.list_attributions(session, DIGITS)[0]
            folder = artifacts.path(attributions.ATTRIBUTION, attribution.artifact)
            found |= {f"attribution {path.name}": path.read_bytes() for path in sorted(folder.glob("*.npy"))}
            for row in attributions.directions(session, attribution.id):
                projection = artifacts.load(attributions.DIRECTIONS, row.artifact, "projections.npy")[row.index]
                found[f"direction {row.label} {row.index}"] = (projection.tobytes(), row.evidence["sentence"])
            score_set = scores.list_score_sets(session, DIGITS)[0]
            found["T"] = artifacts.load(scores.SCORES, score_set.artifact, "alignment.npy").tobytes()
            found["K*"] = (score_set.star, score_set.best_k)
            for run in runs.list_runs(session, DIGITS):
                said = runs.predictions(artifacts, run, Split.TEST)
                found[f"run {run.method} {run.removed} {run.seed}"] = (said.prediction.tobytes(), said.loss.tobytes())
            assert artifacts.problems(session) == []
        return found


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, digits_data: Path) -> dict[str, object]:
    """What the loop stores when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("calm-loop") / "data"
    shutil.copytree(digits_data, folder)
    house = House(Store.open(folder))
    loop = Loop(house, kill=False)
    loop.walk()
    found = loop.results()
    house.end()
    house.store.close()
    return found


@pytest.mark.slow
def test_kill_9_in_every_stage_changes_no_result(digits: House, calm: dict[str, object]) -> None:
    loop = Loop(digits, kill=True)
    loop.walk()
    assert loop.results() == calm
    for job_id in loop.ids:
        # The step in hand at the kill runs again; its line may stand already, because it is written just before the
        # ledger's. No step that the ledger has runs again, so there is never a second one.
        again = [n for n in Counter(finished(digits.log(job_id))).values() if n > 1]
        assert again in ([], [2]), job_id
    with digits.store.read() as session:
        assert [name for _, name in digits.store.artifacts.orphans(session) if "partial" not in name] == []


@pytest.mark.slow
def test_the_loop_of_pseudo_groups_reads_no_attribute(digits: House) -> None:
    """auto_trak end to end on a project whose attribute values were taken away after registration."""
    with digits.store.session() as session:
        session.query(tables.AttributeValue).delete()
    loop = Loop(digits, kill=False)
    loop.run(JobKind.TRAIN, training(SEEDS, EPOCHS))
    loop.run(JobKind.ATTRIBUTE, AttributeParams(engine=Engine.EXACT))
    loop.run(JobKind.DISCOVER, DiscoverParams(n_directions=1))
    with digits.store.read() as session:
        rows = attributions.directions(session, attributions.list_attributions(session, DIGITS)[0].id)
    wanted = api.GroupSetCreate(name="found", direction_ids=[row.id for row in rows if row.index == 0])
    made = group_service.create(digits.store, SLUG, wanted)
    assert made.source is GroupSource.PSEUDO
    score_set = int(loop.run(JobKind.SCORE, ScoreParams(group_set_id=made.id))["score_set_id"])
    found = loop.run(JobKind.SEARCH_K, SearchKParams(score_set_id=score_set, grid=[10], seeds=[0]))
    assert prune_service.score_set(digits.store, score_set).method is Method.AUTO_TRAK
    assert found["best_k"] in (0, 10)
