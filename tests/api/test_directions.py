"""Directions: their order, their strips, a flip, a name."""

from __future__ import annotations

import numpy as np
import pytest
from api_house import PROJECT, House, problem

from backend.services.directions import edges_through_zero
from unskew.schemas import api
from unskew.schemas.enums import DirectionState


def values(strips: list[api.Strip]) -> dict[tuple[str, int], list[float]]:
    return {(s.strip, s.end): [item.value or 0.0 for item in s.items] for s in strips}


def test_strips_begin_at_the_extremes(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0]
    found = values(shared.client.strips(direction.id, n=1000 // 10))
    n_validation = sum(e.label == direction.label for e in shared.validation)
    for strip in ("validation", "training"):
        low, high = found[strip, -1], found[strip, 1]
        assert low == sorted(low) and high == sorted(high, reverse=True)
    assert len(found["validation", 1]) == n_validation
    assert found["validation", 1] == found["validation", -1][::-1]


def test_strips_page_on_without_gaps(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0]
    whole = values(shared.client.strips(direction.id, n=12))
    parts = [values(shared.client.strips(direction.id, n=6, offset=offset)) for offset in (0, 6)]
    assert {end: parts[0][end] + parts[1][end] for end in whole} == whole


def test_training_strips_hold_the_own_class_only(shared: House) -> None:
    for direction in shared.client.directions(PROJECT):
        for strip in shared.client.strips(direction.id, n=5):
            assert {item.label for item in strip.items} == {direction.label}


def test_a_flip_swaps_everything_and_changes_no_array(house: House) -> None:
    direction = house.client.directions(PROJECT)[0]
    before, strips = house.client.direction(direction.id), values(house.client.strips(direction.id, n=6))
    after = house.client.update_direction(direction.id, api.DirectionPatch(sign=-1))
    flipped = values(house.client.strips(direction.id, n=6))
    assert flipped == {(strip, -end): [-v for v in found] for (strip, end), found in strips.items()}
    assert after.evidence.accuracy_positive == before.evidence.accuracy_negative
    assert sum(after.histogram.series["wrong"]) == sum(before.histogram.series["wrong"])
    words = before.evidence.sentence.split()
    assert after.evidence.sentence != before.evidence.sentence
    assert sorted(after.evidence.sentence.split()) == sorted(words)
    assert house.client.update_direction(direction.id, api.DirectionPatch(sign=1)) == before


def test_a_name_makes_a_named_direction(house: House) -> None:
    direction = house.client.directions(PROJECT)[0]
    named = house.client.update_direction(direction.id, api.DirectionPatch(name="border"))
    assert (named.name, named.state) == ("border", DirectionState.NAMED)
    discarded = house.client.update_direction(direction.id, api.DirectionPatch(state=DirectionState.DISCARDED))
    assert (discarded.name, discarded.state) == ("border", DirectionState.DISCARDED)


def test_directions_are_linked_in_their_order(shared: House) -> None:
    listed = shared.client.directions(PROJECT)
    assert [(d.label, d.index) for d in listed] == sorted((d.label, d.index) for d in listed)
    details = [shared.client.direction(d.id) for d in listed]
    assert [d.next_id for d in details] == [d.id for d in listed[1:]] + [None]
    assert [d.previous_id for d in details] == [None] + [d.id for d in listed[:-1]]
    assert shared.client.directions(PROJECT, label=1) == [d for d in listed if d.label == 1]


def test_the_histogram_counts_each_example_once_and_splits_at_zero(shared: House) -> None:
    detail = shared.client.direction(shared.client.directions(PROJECT)[0].id)
    n = sum(e.label == detail.label for e in shared.validation)
    assert sum(map(sum, detail.histogram.series.values())) == n
    assert 0.0 in detail.histogram.edges
    middle = detail.histogram.edges.index(0.0)
    right, wrong = detail.histogram.series["right"], detail.histogram.series["wrong"]
    assert sum(right[middle:]) + sum(wrong[middle:]) == detail.evidence.accuracy_positive.n


@pytest.mark.parametrize("numbers", [[-1.0, 2.0], [0.0], [3.0, 4.0], [-5.0, -1.0], [1e-12, -1e-12]])
def test_edges_reach_all_values(numbers: list[float]) -> None:
    edges = edges_through_zero(np.array(numbers), 10)
    assert 0.0 in edges and edges[0] <= min(numbers) and edges[-1] >= max(numbers) and (np.diff(edges) > 0).all()


def test_wrong_patches_are_refused(shared: House) -> None:
    problem(shared.http.patch("/api/v1/directions/1", json={"sign": 2}), 422, "sign")
    problem(shared.http.patch("/api/v1/directions/1", json={"colour": "red"}), 422, "colour")
    problem(shared.http.get("/api/v1/directions/9999"), 404)
