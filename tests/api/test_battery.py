"""Plans and leagues of the battery, subpopulations, and one class alone, over HTTP."""

from __future__ import annotations

import numpy as np
import pytest
from api_house import PROJECT, House, problem

from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import JobKind, Method, PruneRule, Split
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import BatteryParams, RetrainParams


def test_a_plan_counts_every_training_and_starts_nothing(shared: House) -> None:
    before = len(shared.client.jobs())
    found = shared.client.battery_plan(PROJECT, BatteryParams(seeds=[0, 1, 1], search_seeds=[0]))
    assert set(found.methods) == set(Method) - {Method.EXCLUDE} and found.attribute == "border"
    # three searches and random removal at seven sizes, and every method on two seeds
    assert (found.n_searches, found.n_runs) == (28, 28 + 2 * len(found.methods))
    assert found.seconds is not None and found.seconds > 0
    assert len(shared.client.jobs()) == before


def test_controls_always_run(shared: House) -> None:
    found = shared.client.battery_plan(PROJECT, BatteryParams(methods=[Method.SUBY]))
    assert set(found.methods) == {Method.SUBY} | {m for m, recipe in RECIPES.items() if recipe.control}
    problem(shared.http.post(f"/api/v1/projects/{PROJECT}/battery/plan", json={"methods": ["dro"]}), 422)


def test_the_league_has_a_row_a_method_and_seed(shared: House) -> None:
    rows = shared.client.league(PROJECT)
    comparison = shared.client.compare(PROJECT, split=Split.TEST)
    assert [(r.method, r.seed) for r in rows] == [(m.method, s) for m in comparison.methods for s in m.seeds]
    assert all(r.labels_used == RECIPES[r.method].labels_used for r in rows)
    by_method = {m.method: m for m in comparison.methods}
    subg = by_method[Method.SUBG]
    own = [r.worst_group_accuracy for r in rows if r.method is Method.SUBG]
    assert np.mean(own) == pytest.approx(subg.worst_group_accuracy.value)
    assert subg.worst_group_sd == pytest.approx(np.std(own, ddof=1))
    assert subg.worst_group_bootstrap is not None and subg.worst_group_bootstrap.low <= subg.worst_group_accuracy.value
    assert comparison.balancing_would_drop == subg.removed


def test_group_methods_on_discovered_groups_need_scores_of_pseudo_groups(shared: House) -> None:
    trak = next(s for s in shared.client.score_sets(PROJECT) if s.method is Method.TRAK)
    wrong = RetrainParams(methods=[Method.AUTO_SUBG], score_set_id=trak.id)
    with pytest.raises(SettingsError, match="auto_\\* methods read discovered ones"):
        shared.client.start_job(PROJECT, JobKind.RETRAIN, wrong)
    with pytest.raises(SettingsError, match="dfr needs an attribute that is known on validation examples"):
        shared.client.start_job(PROJECT, JobKind.RETRAIN, RetrainParams(methods=[Method.DFR]))


def test_groups_by_the_loss_alone(house: House) -> None:
    made = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="loss alone", by_loss=True))
    assert made.source == "pseudo" and made.direction_ids == []
    assert [g.name for g in made.groups] == ["high · low loss", "high · high loss", "low · low loss", "low · high loss"]
    assert sum(g.n for g in made.groups) == made.n_total and made.n_unassigned == 0


def test_subpopulations_are_ranked_and_can_be_excluded(house: House) -> None:
    score_set = next(s for s in house.client.score_sets(PROJECT) if s.method is Method.AUTO_TRAK)
    found = house.client.subpopulations(score_set.id, samples=3)
    assert {(s.label, s.value) for s in found} == {(c, v) for c in (0, 1) for v in ("bright", "dark")}
    assert [s.mean.value for s in found] == sorted(s.mean.value for s in found)
    assert all(len(s.examples) == 3 and s.examples[0].attributes["border"] == s.value for s in found)
    worst = api.SubpopulationKey(label=found[0].label, attribute="border", value=found[0].value)
    body = api.PruneCreate(rule=PruneRule.EXCLUDED, subpopulations=[worst])
    made = house.client.create_prune_set(score_set.id, body)
    assert (made.k, made.method, made.rule) == (found[0].mean.n, Method.EXCLUDE, PruneRule.EXCLUDED)
    assert house.client.create_prune_set(score_set.id, body).id == made.id
    with pytest.raises(SettingsError, match="retraining on it is exclude, not auto_trak"):
        house.client.start_job(
            PROJECT, JobKind.RETRAIN, RetrainParams(methods=[Method.AUTO_TRAK], prune_set_id=made.id)
        )
    problem(
        house.http.post(f"/api/v1/score-sets/{score_set.id}/prune-sets", json={"rule": "excluded"}),
        422,
        "subpopulation",
    )
    problem(
        house.http.post(
            f"/api/v1/score-sets/{score_set.id}/prune-sets",
            json={"rule": "star", "subpopulations": [worst.model_dump()]},
        ),
        422,
        "excluded",
    )
