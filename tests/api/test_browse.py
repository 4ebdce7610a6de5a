"""Browsing an attribution: sorted and filtered pages, views, scatter, proponents and opponents, one example."""

from __future__ import annotations

import numpy as np
from api_house import PROJECT, House, problem
from sqlalchemy import update

from backend.store import attributions, tables
from unskew.attribution import Attribution
from unskew.schemas import api
from unskew.schemas.enums import Split

EXAMPLES = f"/api/v1/projects/{PROJECT}/examples"


def whole_tau(house: House) -> np.ndarray:
    """τ as the library gives it, float32 (n_train, n_validation)."""
    with house.store.read() as session:
        row = attributions.chosen(session, 1, None)
    return Attribution.load(house.store.artifacts.path(attributions.ATTRIBUTION, row.artifact)).tau()


# ---------------------------------------------------------------- pages
def test_a_page_sorted_by_a_direction_is_its_strip_read_through(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0]
    strips = {(s.strip, s.end): s.items for s in shared.client.strips(direction.id, n=20)}
    for split, strip in ((Split.VALIDATION, "validation"), (Split.TRAIN, "training")):
        for descending, end in ((False, -1), (True, 1)):
            page = shared.client.examples(PROJECT, split=split, direction=direction.id, descending=descending, limit=20)
            assert page.items == strips[strip, end][:20]
            assert page.total == sum(e.label == direction.label for e in every(shared, split))


def every(house: House, split: Split) -> list[api.Example]:
    return house.client.examples(PROJECT, split=split, limit=1000).items


def test_bounds_and_right_and_wrong_filter(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0]
    high = shared.client.examples(PROJECT, split=Split.VALIDATION, direction=direction.id, low=0.0, limit=1000)
    assert high.items and all(e.value is not None and e.value >= 0 for e in high.items)
    wrong = shared.client.examples(PROJECT, split=Split.VALIDATION, correct=False, limit=1000)
    missed = [e.id for e in every(shared, Split.VALIDATION) if (e.correct_share or 0) < 0.5]
    assert [e.id for e in wrong.items] == missed
    problem(shared.http.get(EXAMPLES, params={"split": "train", "correct": True}), 422, "validation")
    problem(shared.http.get(EXAMPLES, params={"split": "test", "direction": direction.id}), 422, "test")
    for bound in ("nan", "inf", "-inf"):
        problem(shared.http.get(EXAMPLES, params={"direction": direction.id, "low": bound}), 422, "low")


def test_by_t_the_most_harmful_come_first(shared: House) -> None:
    score = shared.client.score_sets(PROJECT)[0]
    values = [e.value for e in shared.client.examples(PROJECT, score_set=score.id, limit=1000).items]
    assert values == sorted(values) and sum((v or 0) < 0 for v in values) == score.star


# ---------------------------------------------------------------- views
def test_a_view_keeps_what_was_picked_and_a_rule_keeps_the_rule(house: House) -> None:
    picked = house.validation[3:9]
    made = house.client.create_view(PROJECT, api.ViewCreate(name="odd", example_ids=[e.id for e in picked][::-1]))
    assert made.picked and made.n == 6
    assert house.client.examples(PROJECT, split=Split.VALIDATION, view=made.id).items == picked
    rule = api.ExampleFilter(label=1, attribute="border", value="dark")
    ruled = house.client.create_view(PROJECT, api.ViewCreate(name="dark 1", split=Split.TRAIN, rule=rule))
    assert not ruled.picked and ruled.rule == rule
    shown = house.client.examples(PROJECT, view=ruled.id, limit=1000).items
    assert shown == house.client.examples(PROJECT, label=1, attribute="border", value="dark", limit=1000).items
    assert [v.name for v in house.client.views(PROJECT)] == ["dark 1", "odd"]
    twice = {"name": "odd", "example_ids": [picked[0].id]}
    problem(house.http.post(f"/api/v1/projects/{PROJECT}/views", json=twice), 409, "odd")
    problem(
        house.http.post(f"/api/v1/projects/{PROJECT}/views", json={"name": "x", "example_ids": [10**9]}), 422, "split"
    )
    house.client.delete_view(made.id)
    problem(house.http.get(f"/api/v1/views/{made.id}"), 404)


# ---------------------------------------------------------------- along directions
def test_scatter_holds_both_projections_of_every_example(shared: House) -> None:
    first, second = shared.client.directions(PROJECT, label=1)[:2]
    found = shared.client.scatter(first.id, other=second.id)
    page = shared.client.examples(PROJECT, split=Split.VALIDATION, direction=second.id, limit=1000)
    assert dict(zip(found.example_id, found.y, strict=True)) == {e.id: round(e.value or 0, 5) for e in page.items}
    right = {e.id: (e.correct_share or 0) >= 0.5 for e in page.items}
    assert [found.series[i] == "right" for i in found.of] == [right[i] for i in found.example_id]
    thin = shared.client.scatter(first.id, other=second.id, limit=5)
    assert len(thin.x) == 5 and thin.n == found.n and {min(found.x), max(found.x)} <= set(thin.x)
    other = shared.client.directions(PROJECT, label=0)[0]
    problem(shared.http.get(f"/api/v1/directions/{first.id}/scatter", params={"other": other.id}), 422, "class")


def test_histograms_count_each_group_once(shared: House) -> None:
    direction = shared.client.directions(PROJECT, label=1)[0]
    rows = [e for e in shared.validation if e.label == 1]
    by_border = shared.client.histogram(direction.id, attribute="border")
    for value in ("dark", "bright"):
        assert sum(by_border.series[value]) == sum(e.attributes["border"] == value for e in rows)
    group_set = next(s for s in shared.client.group_sets(PROJECT) if s.name == "pseudo")
    by_group = shared.client.histogram(direction.id, group_set=group_set.id)
    zero = by_group.edges.index(0.0)
    negative, positive = (by_group.series[g.name] for g in group_set.groups if g.label == 1)
    assert not any(negative[zero:]) and not any(positive[:zero])


def test_numbers_as_values_are_told_apart_by_their_value(house: House) -> None:
    with house.store.session() as session:  # "10" comes after "9" for people, and before it as text
        for word, number in (("dark", "9"), ("bright", "10")):
            value = tables.AttributeValue
            session.execute(update(value).where(value.value == word).values(value=number))
    direction = house.client.directions(PROJECT, label=1)[0]
    found = house.client.histogram(direction.id, attribute="border")
    assert list(found.series) == ["9", "10"]
    for number in found.series:
        rows = [e for e in house.validation if e.label == 1 and e.attributes["border"] == number]
        assert sum(found.series[number]) == len(rows) > 0


# ---------------------------------------------------------------- proponents and opponents
def test_proponents_of_an_example_are_the_largest_tau(shared: House) -> None:
    target = shared.validation[7]
    tau = whole_tau(shared)[:, target.position]
    found = shared.client.example_influence(PROJECT, target.id, n=5)
    order = np.argsort(tau)
    assert [e.position for e in found.proponents] == order[::-1][:5].tolist()
    assert [e.position for e in found.opponents] == order[:5].tolist()
    np.testing.assert_allclose([e.value for e in found.opponents], np.sort(tau)[:5], rtol=1e-4)
    train = every(shared, Split.TRAIN)[0]
    problem(shared.http.get(f"{EXAMPLES}/{train.id}/influence"), 422, "validation")


def test_influence_on_a_group_is_the_mean_over_it(shared: House) -> None:
    group_set = shared.client.group_sets(PROJECT)[0]
    group = group_set.groups[0]
    inside = [
        item.example.position
        for item in shared.client.label_queue(group_set.id, label=group.label, limit=1000).items
        if item.group == group.index
    ]
    mean = whole_tau(shared)[:, inside].mean(axis=1)
    found = shared.client.group_influence(group_set.id, group=group.id, n=3)
    assert found.n_targets == len(inside)
    assert [e.position for e in found.opponents] == np.argsort(mean)[:3].tolist()
    end = shared.client.end_influence(shared.client.directions(PROJECT)[0].id, end=1, n=3)
    assert end.n_targets and len(end.proponents) == 3


def test_one_example_with_all_that_is_stored_about_it(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0]
    strip = next(s for s in shared.client.strips(direction.id, n=3) if s.strip == "validation" and s.end == -1)
    found = shared.client.example_detail(PROJECT, strip.items[0].id)
    assert found.values[0].rank == 1 and found.values[0].value == strip.items[0].value
    assert len(found.checkpoints) == 2 and found.loss is not None
    assert set(found.groups) == {"border", "pseudo"}
    train = every(shared, Split.TRAIN)[0]
    assert any(v.name.startswith("T of") for v in shared.client.example_detail(PROJECT, train.id).values)
    test = every(shared, Split.TEST)[0]
    assert shared.client.example_detail(PROJECT, test.id).values == []


def test_the_nearest_are_near_along_every_direction(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0]
    extreme = shared.client.examples(PROJECT, split=Split.VALIDATION, direction=direction.id, limit=1).items[0]
    found = shared.client.nearest(PROJECT, extreme.id, n=5)
    distances = [e.value or 0 for e in found]
    assert distances == sorted(distances) and extreme.id not in [e.id for e in found]
    assert {e.label for e in found} == {direction.label}
    problem(shared.http.get(f"{EXAMPLES}/{every(shared, Split.TEST)[0].id}/nearest"), 409)


# ---------------------------------------------------------------- groups
def test_a_group_filters_as_its_labels_stand(house: House) -> None:
    made = next(g for g in house.client.group_sets(PROJECT) if g.attribute == "border")
    for group in made.groups:
        page = house.client.examples(PROJECT, split=Split.VALIDATION, group_set=made.id, group=group.id, limit=1000)
        value = group.name.rpartition(" ")[2].strip("()")
        assert page.total == group.n and all(e.label == group.label for e in page.items), value
        assert len({e.attributes["border"] for e in page.items}) == 1
    before = house.client.examples(PROJECT, split=Split.VALIDATION, group_set=made.id, group=0, limit=1000)
    moved = before.items[0]
    write = api.LabelWrite(key="moved-to-the-other", example_id=moved.id, group=1)
    house.client.write_labels(made.id, api.LabelBatch(labels=[write]))
    after = house.client.examples(PROJECT, split=Split.VALIDATION, group_set=made.id, group=0, limit=1000)
    assert [e.id for e in after.items] == [e.id for e in before.items[1:]], "what was kept knows of the label"
    nobody = house.client.examples(PROJECT, split=Split.VALIDATION, group_set=made.id, group=-1)
    everybody = house.client.view_summary(PROJECT, split=Split.VALIDATION, group_set=made.id)
    assert (nobody.total, everybody.n) == (0, everybody.n_split)


def test_a_group_that_is_not_there_is_said(shared: House) -> None:
    made = shared.client.group_sets(PROJECT)[0].id
    for extra, status, words in (
        ({"group_set": made, "group": 99}, 422, "no group 99"),
        ({"group_set": 99}, 404, "no group set 99"),
        ({"group": 0}, 422, "of which set"),
        ({"group_set": made, "split": "train"}, 422, "validation"),
    ):
        for path in (EXAMPLES, f"{EXAMPLES}/summary"):
            problem(shared.http.get(path, params={"split": "validation", **extra}), status, words)
