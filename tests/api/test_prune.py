"""Previews and prune sets: the rows that go are the rows with the lowest T, in every format."""

from __future__ import annotations

import csv
import io
import json
from hashlib import sha256

import numpy as np
import pytest
from api_house import PROJECT, House, problem

from backend.services.downloads import safe_cell
from backend.store import scores
from unskew.errors import ConflictError
from unskew.pruning import removed
from unskew.schemas import api
from unskew.schemas.enums import Method, PreviewPart, PruneRule, Split


def alignment(house: House, score_set: api.ScoreSet) -> np.ndarray:
    with house.store.read() as session:
        row = scores.get(session, score_set.id)
        return np.asarray(house.store.artifacts.load(scores.SCORES, row.artifact, "alignment.npy"))


@pytest.fixture
def trak(shared: House) -> api.ScoreSet:
    return next(s for s in shared.client.score_sets(PROJECT) if s.method is Method.TRAK)


def test_a_score_set_counts_what_it_shows(shared: House, trak: api.ScoreSet) -> None:
    t = alignment(shared, trak)
    assert trak.star == (t < 0).sum() and trak.n_train == len(t) == sum(trak.n_by_class) == 160
    assert sum(map(sum, trak.histogram.series.values())) == 160
    assert sum(w.n for w in trak.weights) == 40 and not trak.stale
    sizes = [row.n for row in shared.client.project(PROJECT).attribute_counts if row.split is Split.TRAIN]
    assert trak.balancing_would_drop == 160 - 4 * min(sizes)
    assert any("examples: its weight says little" in warning for warning in trak.warnings)
    assert shared.client.score_set(trak.id) == trak


def test_the_search_curve_starts_with_erm(shared: House, trak: api.ScoreSet) -> None:
    assert [row.k for row in trak.curve] == [0, 10, trak.star]
    assert trak.curve[0].method is Method.ERM and trak.curve[1].method is Method.TRAK
    best = max(trak.curve, key=lambda row: (row.worst_group_accuracy.value, row.balanced_accuracy.value, -row.k))
    assert trak.best_k == best.k and all(row.seeds == [0, 1] for row in trak.curve)


def test_previews_follow_the_order(shared: House, trak: api.ScoreSet) -> None:
    t, k = alignment(shared, trak), 30
    order = np.argsort(t, kind="stable")

    def shown(part: PreviewPart, limit: int = 8) -> list[int]:
        found = shared.client.preview(trak.id, k=k, part=part, limit=limit)
        assert found.removed_by_class == np.bincount(labels[order[:k]], minlength=2).tolist()
        assert (np.array(found.removed_by_class) + found.kept_by_class).tolist() == trak.n_by_class
        assert [item.value for item in found.items] == [t[item.position] for item in found.items]
        return [item.position for item in found.items]

    labels = np.array([e.label for e in shared.client.examples(PROJECT, split=Split.TRAIN, limit=1000).items])
    assert shown(PreviewPart.MOST_NEGATIVE) == order[:8].tolist()
    assert shown(PreviewPart.MOST_POSITIVE) == order[::-1][:8].tolist()
    assert shown(PreviewPart.BELOW_ZERO) == order[max(0, trak.star - 8) : trak.star].tolist()
    assert shown(PreviewPart.ABOVE_ZERO) == order[trak.star : trak.star + 8].tolist()
    assert shown(PreviewPart.AT_K) == order[k - 4 : k + 4].tolist()


def test_a_preview_counts_what_is_left_of_every_group(shared: House, trak: api.ScoreSet) -> None:
    rows = shared.client.preview(trak.id, k=30).composition
    found = {(c.label, c.value): c.n for c in shared.client.project(PROJECT).attribute_counts if c.split is Split.TRAIN}
    assert sorted(row.before for row in rows) == sorted(found.values())
    assert sum(row.before - row.after for row in rows) == 30 and all(0 <= row.after <= row.before for row in rows)
    assert {row.balanced for row in rows} == {min(found.values())}
    assert trak.balancing_would_drop == sum(row.before - row.balanced for row in rows)


def test_negative_mass_is_what_the_lowest_rows_hold(shared: House, trak: api.ScoreSet) -> None:
    t = np.sort(alignment(shared, trak))
    found = shared.client.negative_mass(trak.id)
    assert found.k[0] == 0 and found.k[-1] == trak.star and found.share[-1] == pytest.approx(1)
    middle = len(found.k) // 2
    assert found.share[middle] == pytest.approx(t[: found.k[middle]].sum() / t[: trak.star].sum(), rel=1e-5)


def test_k_out_of_range_is_refused(shared: House, trak: api.ScoreSet) -> None:
    problem(shared.http.get(f"/api/v1/score-sets/{trak.id}/preview", params={"k": 160}), 422, "159")
    url = f"/api/v1/score-sets/{trak.id}/prune-sets"
    problem(shared.http.post(url, json={"rule": "manual", "k": 160}), 422, "159")
    problem(shared.http.post(url, json={"rule": "manual"}), 422, "needs k")
    problem(shared.http.post(url, json={"rule": "star", "k": 3}), 422, "finds K itself")
    problem(shared.http.post("/api/v1/score-sets/99/prune-sets", json={"rule": "star"}), 404)


def test_best_needs_the_search(shared: House) -> None:
    auto = next(s for s in shared.client.score_sets(PROJECT) if s.method is Method.AUTO_TRAK)
    with pytest.raises(ConflictError, match="Search for it first"):
        shared.client.create_prune_set(auto.id, api.PruneCreate(rule=PruneRule.BEST))


def test_a_prune_set_is_frozen_once(house: House) -> None:
    score_set = house.client.score_sets(PROJECT)[0]
    made = house.client.create_prune_set(score_set.id, api.PruneCreate(rule=PruneRule.MANUAL, k=25, name="mine"))
    again = house.client.create_prune_set(score_set.id, api.PruneCreate(rule=PruneRule.MANUAL, k=25))
    assert again == made == house.client.prune_set(made.id)
    assert house.client.prune_sets(PROJECT)[0] == made and sum(made.removed_by_class) == 25
    expected = removed(alignment(house, score_set), 25)
    assert made.digest == sha256(expected.astype("<i8").tobytes()).hexdigest()


def test_downloads_hold_the_same_rows(house: House) -> None:
    score_set = house.client.score_sets(PROJECT)[0]
    made = house.client.create_prune_set(score_set.id, api.PruneCreate(rule=PruneRule.MANUAL, k=25))
    expected = removed(alignment(house, score_set), 25)
    array = np.load(io.BytesIO(house.client.download_prune_set(made.id, format="npy")), allow_pickle=False)
    assert array.dtype == np.int64
    np.testing.assert_array_equal(array, expected)
    rows = list(csv.DictReader(io.StringIO(house.client.download_prune_set(made.id).decode())))
    assert [int(row["row_id"]) for row in rows] == expected.tolist()
    examples = {e.position: e for e in house.client.examples(PROJECT, split=Split.TRAIN, limit=1000).items}
    for row in rows:
        example = examples[int(row["row_id"])]
        assert (row["path"], row["label"]) == (example.path, example.label_name)
    found = json.loads(house.client.download_prune_set(made.id, format="json"))
    assert found["fingerprint"] == house.client.project(PROJECT).fingerprint and found["digest"] == made.digest
    assert [row["row_id"] for row in found["rows"]] == expected.tolist()
    problem(house.http.get(f"/api/v1/prune-sets/{made.id}/download", params={"format": "xlsx"}), 422, "format")


def test_nothing_removed_is_a_prune_set_too(house: House) -> None:
    score_set = house.client.score_sets(PROJECT)[0]
    made = house.client.create_prune_set(score_set.id, api.PruneCreate(rule=PruneRule.MANUAL, k=0))
    assert len(np.load(io.BytesIO(house.client.download_prune_set(made.id, format="npy")))) == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+a", "'+a"),
        ("-a", "'-a"),
        ("@a", "'@a"),
        ("\t=1", "'\t=1"),
        ("a=1", "a=1"),
        (-1.5, -1.5),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(value: object, expected: object) -> None:
    assert safe_cell(value) == expected
