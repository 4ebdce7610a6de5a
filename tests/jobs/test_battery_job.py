"""The battery: every method, its controls, nothing trained twice, and labels only for those that read them."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from jobs_house import DIGITS, House, training

from backend.services import battery, compare
from backend.services import groups as group_service
from backend.store import attributions, projects, runs, scores, tables
from unskew.attribution import Attribution
from unskew.schemas.enums import JobKind, Method, Split
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import AttributeParams, BatteryParams, DiscoverParams, ScoreParams, TrainParams

PLAN = BatteryParams(seeds=[0, 1], search_seeds=[0])
WITHOUT_LABELS = [m for m, recipe in RECIPES.items() if recipe.labels_used == "none"]


def prepared(house: House, epochs: int = 6) -> None:
    house.start()
    house.done(house.ask(JobKind.TRAIN, training([0, 1], epochs), DIGITS), 240)
    house.done(house.ask(JobKind.ATTRIBUTE, AttributeParams(projection_in=4, projection_out=4), DIGITS), 240)
    house.done(house.ask(JobKind.DISCOVER, DiscoverParams(n_directions=1), DIGITS), 240)


@pytest.mark.slow
def test_every_method_runs_survives_kill_9_and_is_not_trained_again(digits: House) -> None:
    prepared(digits)
    job = digits.ask(JobKind.BATTERY, PLAN, DIGITS)
    digits.until(lambda: digits.job(job).done >= 8, 240)
    os.kill(digits.workers[0].pid, signal.SIGKILL)
    digits.workers[0].wait()
    digits.start()
    result = digits.done(job, 500).result
    skipped = {name: why for name, why in result.items() if name.startswith("skipped_")}
    with digits.store.read() as session:
        stored = runs.list_runs(session, DIGITS)
        n_runs = len(stored)
        found = {(Method(run.method), run.seed) for run in stored}
        score_sets = {Method(row.method) for row in scores.list_score_sets(session, DIGITS)}
    assert score_sets == {Method.TRAK, Method.AUTO_TRAK, Method.LOSS_TRAK}
    kept_all = {m for m in Method if result.get(f"best_k_{m.value}") == 0}  # K* = 0 is ERM
    kept_all |= {Method.RANDOM_K} if Method.AUTO_TRAK in kept_all else set()
    every = set(Method) - {Method.EXCLUDE}
    for method in every - kept_all:
        for seed in PLAN.seeds:
            assert (method, seed) in found or f"skipped_{method.value}_{seed}" in skipped
    assert all(name.startswith("skipped_jtt") for name in skipped), skipped

    again = digits.done(digits.ask(JobKind.BATTERY, PLAN, DIGITS), 120)
    with digits.store.read() as session:
        assert len(runs.list_runs(session, DIGITS)) == n_runs, "a second battery trains nothing"
    assert [line for line in digits.log(again.id) if line.startswith("already there")]

    comparison = compare.compare(digits.store, "digits", split=Split.TEST, attribute="border")
    rows = battery.league(comparison)
    assert {row.method for row in rows} >= every - kept_all - {Method.JTT}
    assert all(row.labels_used == RECIPES[row.method].labels_used for row in rows)
    assert all(m.worst_group_bootstrap is not None and m.worst_group_sd is not None for m in comparison.methods)


@pytest.mark.slow
def test_without_any_attribute_value_every_method_that_reads_none_still_runs(digits: House) -> None:
    """No group label anywhere: the attribute's values were taken away after registration."""
    with digits.store.session() as session:
        session.query(tables.AttributeValue).delete()
    prepared(digits)
    todo = battery.plan(digits.store, "digits", BatteryParams(seeds=[0], search_seeds=[0]))
    assert set(todo.methods) == set(WITHOUT_LABELS) and set(todo.left_out) == set(Method) - {Method.EXCLUDE} - set(
        WITHOUT_LABELS
    )
    job = digits.done(digits.ask(JobKind.BATTERY, BatteryParams(seeds=[0], search_seeds=[0]), DIGITS), 300)
    assert not [name for name in job.result if name.startswith("skipped_")]
    assert all(f"run_{method.value}_0" in job.result for method in WITHOUT_LABELS if method is not Method.RANDOM_K)


@pytest.mark.slow
def test_one_class_alone_weighs_only_its_own_groups(digits: House) -> None:
    """The paper's ImageNet case: T, and the groups that K* is searched on, are of one class."""
    prepared(digits, epochs=2)
    wanted = group_service.from_first_directions(digits.store, "digits")
    group_set = group_service.ready(digits.store, "digits", wanted)
    both, one = (
        digits.done(digits.ask(JobKind.SCORE, ScoreParams(group_set_id=group_set, label=label), DIGITS), 240).result
        for label in (None, 1)
    )
    assert both["score_set_id"] != one["score_set_id"]
    with digits.store.read() as session:
        row = scores.get(session, one["score_set_id"])
        attribution = attributions.chosen(session, DIGITS, None)
        label = projects.labels(session, DIGITS, Split.VALIDATION)
    load = digits.store.artifacts.load
    group = np.asarray(load(scores.SCORES, row.artifact, "groups.npy"))
    assert {weight["group"] for weight in row.weights} <= {2, 3}
    assert (group[label == 0] == -1).all() and (group[label == 1] >= 2).all()
    found = Attribution.load(digits.store.artifacts.path(attributions.ATTRIBUTION, attribution.artifact))
    weights = np.zeros(4)
    for weight in row.weights:
        weights[weight["group"]] = weight["weight"]
    assert np.allclose(load(scores.SCORES, row.artifact, "alignment.npy"), found.alignment(group, weights))
    failed = digits.until_ended(digits.ask(JobKind.SCORE, ScoreParams(group_set_id=group_set, label=7), DIGITS), 240)
    assert failed.error is not None and "Class 7 has no group" in failed.error["detail"]


@pytest.mark.slow
def test_methods_that_reweight_may_train_by_settings_of_their_own(digits: House) -> None:
    prepared(digits, epochs=2)
    own = TrainParams(epochs=2, batch_size=32, learning_rate=1e-5, weight_decay=0.1)
    wanted = BatteryParams(methods=[Method.RWG, Method.DFR], seeds=[0], search_seeds=[0], reweighted=own)
    result = digits.done(digits.ask(JobKind.BATTERY, wanted, DIGITS), 300).result
    with digits.store.read() as session:
        trained = {m: session.get_one(tables.Run, result[f"run_{m}_0"]).params["train"] for m in ("erm", "rwg", "dfr")}
    assert trained["rwg"] == own.model_dump() and trained["erm"] == trained["dfr"] != trained["rwg"]
