"""Comparisons: the figures follow from the stored predictions, and the warnings from what was done."""

from __future__ import annotations

import numpy as np
import pytest
from api_house import PROJECT, House, problem

from backend.store import projects, runs, tables
from unskew.errors import SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Method, PruneRule, Split


def predictions(house: House, run_id: int, split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(prediction, label, border) of a split."""
    with house.store.read() as session:
        row = session.get_one(tables.Run, run_id)
        said = np.asarray(runs.predictions(house.store.artifacts, row, split).prediction)
        label = projects.labels(session, row.project_id, split)
        return said, label, projects.attribute(session, row.project_id, split, "border")


def by_method(comparison: api.Comparison) -> dict[Method, api.MethodResult]:
    return {m.method: m for m in comparison.methods}


@pytest.mark.parametrize("split", [Split.VALIDATION, Split.TEST])
def test_accuracies_follow_from_the_predictions(shared: House, split: Split) -> None:
    comparison = shared.client.compare(PROJECT, split=split)
    assert (comparison.grouping, comparison.split) == ("border", split)
    for found in comparison.methods:
        worst, balanced, per_group = [], [], []
        for row in found.per_seed:
            said, label, border = predictions(shared, int(row["run_id"] or 0), split)
            shares = [(said == label)[(label == c) & (border == b)].mean() for c in (0, 1) for b in ("bright", "dark")]
            worst.append(min(shares))
            balanced.append(np.mean(shares))
            per_group.append(shares)
            assert row["average_accuracy"] == pytest.approx((said == label).mean())
        assert found.worst_group_accuracy.value == pytest.approx(np.mean(worst))
        assert found.balanced_accuracy.value == pytest.approx(np.mean(balanced))
        assert [g.accuracy.value for g in found.groups] == pytest.approx(np.mean(per_group, axis=0).tolist())
        assert [g.name for g in found.groups] == ["high · bright", "high · dark", "low · bright", "low · dark"]
        for interval in (found.worst_group_accuracy, found.balanced_accuracy, *(g.accuracy for g in found.groups)):
            assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_every_method_says_what_it_read_and_removed(shared: House) -> None:
    comparison = shared.client.compare(PROJECT, split=Split.TEST)
    found = by_method(comparison)
    assert {m: r.labels_used for m, r in found.items()} == {
        Method.ERM: "none",
        Method.AUTO_TRAK: "none",
        Method.RANDOM_K: "none",
        Method.TRAK: "validation groups",
        Method.SUBG: "training groups",
    }
    stars = {s.method: s.star for s in shared.client.score_sets(PROJECT)}
    assert (
        found[Method.TRAK].removed == stars[Method.TRAK] and found[Method.AUTO_TRAK].removed == stars[Method.AUTO_TRAK]
    )
    controls = {m.removed for m in comparison.methods if m.method is Method.RANDOM_K}
    assert controls == set(stars.values()), "a random control stands beside each K"


def test_the_curve_holds_every_k_that_was_trained(shared: House) -> None:
    comparison = shared.client.compare(PROJECT)
    trak = next(s for s in shared.client.score_sets(PROJECT) if s.method is Method.TRAK)
    found = [(row.method, row.k) for row in comparison.curve]
    assert found[0] == (Method.ERM, 0) and (Method.TRAK, 10) in found and (Method.TRAK, trak.star) in found
    assert (comparison.star, comparison.best_k) == (trak.star, trak.best_k)


def test_warnings(shared: House) -> None:
    on_validation = " ".join(shared.client.compare(PROJECT, split=Split.VALIDATION).warnings)
    on_test = " ".join(shared.client.compare(PROJECT, split=Split.TEST).warnings)
    assert "judge on test" in on_validation and "judge on test" not in on_test
    for said in (on_validation, on_test):
        assert "Fewer than 20 examples" in said and "Fewer than 3 seeds" in said


def test_a_later_label_makes_the_comparison_warn(house: House) -> None:
    border = next(s for s in house.client.group_sets(PROJECT) if s.name == "border")
    write = api.LabelWrite(key="a-late-label", example_id=house.validation[0].id, group=0)
    house.client.write_labels(border.id, api.LabelBatch(labels=[write]))
    assert any("trak: labels changed" in w for w in house.client.compare(PROJECT, split=Split.TEST).warnings)


def test_groups_from_a_group_set_on_validation_only(shared: House) -> None:
    pseudo = next(s for s in shared.client.group_sets(PROJECT) if s.name == "pseudo")
    comparison = shared.client.compare(PROJECT, group_set=pseudo.id)
    assert comparison.grouping == "pseudo (version 0)"
    erm = by_method(comparison)[Method.ERM]
    assert [g.accuracy.n for g in erm.groups] == [g.n for g in pseudo.groups] and erm.adjusted_average_accuracy is None
    with pytest.raises(SettingsError, match="validation"):
        shared.client.compare(PROJECT, split=Split.TEST, group_set=pseudo.id)
    problem(shared.http.get(f"/api/v1/projects/{PROJECT}/compare", params={"attribute": "x"}), 404, "border")
    both = {"attribute": "border", "group_set": pseudo.id}
    problem(shared.http.get(f"/api/v1/projects/{PROJECT}/compare", params=both), 422, "at once")


def test_the_prune_set_by_k_star_stands_for_its_method(house: House) -> None:
    trak = next(s for s in house.client.score_sets(PROJECT) if s.method is Method.TRAK)
    assert trak.best_k is not None
    house.client.create_prune_set(trak.id, api.PruneCreate(rule=PruneRule.BEST))
    found = by_method(house.client.compare(PROJECT)).get(Method.TRAK)
    expected = trak.best_k if trak.best_k else trak.star  # K* = 0 is ERM: it has no runs of its own
    assert found is not None and found.removed == expected


def test_flips_are_the_differences_of_two_runs(shared: House) -> None:
    found = {(r.method, r.seed): r for r in shared.client.runs(PROJECT) if r.method in (Method.ERM, Method.SUBG)}
    before, after = found[Method.ERM, 0], found[Method.SUBG, 0]
    flips = shared.client.flips(PROJECT, before_run=before.id, after_run=after.id, split=Split.TEST)
    (said, label, _), (then, _, _) = (predictions(shared, run.id, Split.TEST) for run in (before, after))
    fixed, broken = np.flatnonzero((said != label) & (then == label)), np.flatnonzero((said == label) & (then != label))
    assert [e.position for e in flips.fixed] == fixed.tolist() and [e.position for e in flips.broken] == broken.tolist()
    assert (flips.n_fixed, flips.n_broken) == (len(fixed), len(broken))
    assert all(e.prediction == e.label for e in flips.fixed) and all(e.prediction != e.label for e in flips.broken)
    swapped = shared.client.flips(PROJECT, before_run=after.id, after_run=before.id, split=Split.TEST)
    assert (swapped.n_fixed, swapped.p_value) == (flips.n_broken, pytest.approx(flips.p_value))
    none = shared.client.flips(PROJECT, before_run=after.id, after_run=after.id)
    assert (none.n_fixed, none.n_broken, none.p_value) == (0, 0, 1.0)
    problem(shared.http.get(f"/api/v1/projects/{PROJECT}/flips", params={"before_run": 1, "after_run": 999}), 404)


def test_confusion_of_groups_averages_the_runs(shared: House) -> None:
    comparison = shared.client.compare(PROJECT, split=Split.TEST, attribute="border")
    erm = next(m for m in comparison.methods if m.method is Method.ERM)
    ids = [int(row["run_id"] or 0) for row in erm.per_seed]
    found = shared.client.confusion(PROJECT, runs=ids, split=Split.TEST, attribute="border")
    assert found.groups == [g.name for g in erm.groups] and found.n == [g.accuracy.n for g in erm.groups]
    for share, label, group in zip(found.share, found.labels, erm.groups, strict=True):
        assert sum(share) == pytest.approx(1) and share[label] == pytest.approx(group.accuracy.value)
    problem(shared.http.get(f"/api/v1/projects/{PROJECT}/confusion", params={"runs": [10**6]}), 404, "run")
