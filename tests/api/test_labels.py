"""Group sets and hand labels: nothing that a person did is lost, and nothing is counted twice."""

from __future__ import annotations

import csv
import io
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_house import PROJECT, House, problem
from sqlalchemy import select

from backend.store import groups as group_store
from backend.store import labels as label_store
from backend.store import tables
from unskew.errors import ConflictError, NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import CutRule, GroupSource, LabelOrder


def press(example: int, group: int | None, key: str = "") -> api.LabelWrite:
    return api.LabelWrite(key=key or uuid.uuid4().hex, example_id=example, group=group)


def label(house: House, number: int, *labels: api.LabelWrite, who: str = "me") -> api.LabelResult:
    return house.client.write_labels(number, api.LabelBatch(labels=list(labels), annotator=who))


def queue(house: House, number: int, **wanted: object) -> list[api.LabelItem]:
    return house.client.label_queue(number, limit=1000, **wanted).items  # type: ignore[arg-type]


def state(house: House, number: int, example: int) -> tuple[int | None, bool, bool]:
    item = next(i for i in queue(house, number) if i.example.id == example)
    return item.group, item.by_hand, item.unsure


def rebuilt(house: House, number: int) -> bool:
    """Whether every member stands where its events lead."""
    with house.store.read() as session:
        members = list(session.scalars(select(tables.GroupMember).where(tables.GroupMember.group_set_id == number)))
        for member in members:
            event = tables.LabelEvent
            query = select(event).where(event.group_set_id == number, event.example_id == member.example_id)
            events = list(session.scalars(query.order_by(event.id)))
            now = {"group": member.group, "by_hand": member.by_hand, "unsure": member.unsure}
            if label_store.standing(events, member.suggestion) != now:
                return False
    return True


@pytest.fixture
def pseudo(house: House) -> api.GroupSet:
    return next(s for s in house.client.group_sets(PROJECT) if s.name == "pseudo")


# ---------------------------------------------------------------- where groups come from
def test_pseudo_groups_are_the_sides_of_their_directions(house: House, pseudo: api.GroupSet) -> None:
    assert (pseudo.source, pseudo.n_total, pseudo.n_unassigned, pseudo.n_labelled) == (GroupSource.PSEUDO, 40, 0, 0)
    assert [g.name for g in pseudo.groups] == ["high · − side", "high · + side", "low · − side", "low · + side"]
    for direction_id in pseudo.direction_ids:
        direction = house.client.direction(direction_id)
        positive = next(g for g in pseudo.groups if g.label == direction.label and g.index == 1)
        assert positive.n == direction.evidence.accuracy_positive.n
    for item in queue(house, pseudo.id):
        assert item.group == item.suggestion == int((item.example.value or 0) > 0)


def test_a_flipped_and_named_direction_gives_flipped_and_named_groups(house: House, pseudo: api.GroupSet) -> None:
    first = house.client.direction(pseudo.direction_ids[0])
    house.client.update_direction(first.id, api.DirectionPatch(sign=-1, name="border"))
    made = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="one class", direction_ids=[first.id]))
    assert [g.name for g in made.groups] == ["high · border −", "high · border +"]
    assert [g.n for g in made.groups] == [g.n for g in pseudo.groups if g.label == first.label][::-1]
    assert made.n_unassigned == 40 - sum(g.n for g in made.groups)


def test_a_direction_is_cut_by_other_rules_whichever_way_it_is_turned(house: House, pseudo: api.GroupSet) -> None:
    high_loss: dict[tuple[CutRule, int], set[int]] = {}
    for sign, index in ((1, 1), (-1, 0)):
        for direction_id in pseudo.direction_ids:
            house.client.update_direction(direction_id, api.DirectionPatch(sign=sign))
        for cut in CutRule:
            wanted = api.GroupSetCreate(name=f"{cut} {sign}", direction_ids=pseudo.direction_ids, cut=cut)
            made = house.client.create_group_set(PROJECT, wanted)
            assert (made.cut, made.n_total, made.n_unassigned) == (cut, 40, 0)
            high_loss[cut, sign] = {i.example.id for i in queue(house, made.id) if i.group == index}
    for cut in CutRule:
        assert high_loss[cut, 1] == high_loss[cut, -1], "the same examples lie at the end with the higher loss"
    for label in (0, 1):
        own = {e.id: (e.correct_share or 0) <= 0.5 for e in house.validation if e.label == label}
        expected = min(max(sum(own.values()), 1), len(own) - 1)
        assert len(high_loss[CutRule.ERRORS, 1] & set(own)) == expected


def test_groups_from_an_attribute(house: House) -> None:
    made = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="again", attribute="border"))
    values = {e.id: e.attributes["border"] for e in house.validation}
    names = {g.id: g.name for g in made.groups}
    for item in queue(house, made.id):
        assert item.group is not None
        assert names[item.example.label * 2 + item.group].endswith(values[item.example.id])
    for group in made.groups:
        assert group.accuracy is not None and group.accuracy.n == group.n


def test_empty_groups_for_hand_labels(house: House) -> None:
    made = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="hand", group_names=["a", "b", "c"]))
    assert (made.source, made.n_unassigned, len(made.groups)) == (GroupSource.HAND, 40, 6)
    first = queue(house, made.id)[0].example
    label(house, made.id, press(first.id, 2))
    with house.store.read() as session:
        given = group_store.assignment(session, made.id)
    assert given.n_per_class == 3 and given.group[first.position] == first.label * 3 + 2
    assert (given.group >= 0).sum() == 1


def test_a_group_set_has_one_source(house: House, pseudo: api.GroupSet) -> None:
    url = f"/api/v1/projects/{PROJECT}/group-sets"
    two = [d.id for d in house.client.directions(PROJECT) if d.label == 0][:2]
    problem(house.http.post(url, json={"name": "x"}), 422, "one source")
    problem(house.http.post(url, json={"name": "x", "attribute": "border", "group_names": ["a"]}), 422, "one source")
    problem(house.http.post(url, json={"name": "x", "direction_ids": two}), 422, "two directions")
    problem(house.http.post(url, json={"name": "x", "attribute": "colour"}), 404, "colour", "border")
    problem(house.http.post(url, json={"name": "x", "group_names": ["a", "a"]}), 422, "different")
    problem(house.http.post(url, json={"name": "pseudo", "attribute": "border"}), 409, "pseudo")


# ---------------------------------------------------------------- labels
def test_a_label_is_there_at_once_and_makes_the_set_mixed(house: House, pseudo: api.GroupSet) -> None:
    item = queue(house, pseudo.id)[0]
    result = label(house, pseudo.id, press(item.example.id, 1 - (item.group or 0)))
    assert result.version == pseudo.version + 1 and result.items[0].by_hand
    after = house.client.group_set(pseudo.id)
    assert (after.source, after.n_labelled, after.version) == (GroupSource.MIXED, 1, 1)
    score_set = next(s for s in house.client.score_sets(PROJECT) if s.group_set_id == pseudo.id)
    assert score_set.stale and any("Labels changed" in warning for warning in score_set.warnings)


def test_the_same_key_again_changes_nothing(house: House, pseudo: api.GroupSet) -> None:
    item = queue(house, pseudo.id)[0]
    other = 1 - (item.group or 0)
    first = label(house, pseudo.id, press(item.example.id, other, "the-very-key"))
    label(house, pseudo.id, press(item.example.id, item.group))
    again = label(house, pseudo.id, press(item.example.id, other, "the-very-key"))
    assert again.version == first.version + 1 and again.items[0].group == item.group


def test_unsure_takes_an_example_out_of_all_groups(house: House, pseudo: api.GroupSet) -> None:
    item = queue(house, pseudo.id)[0]
    label(house, pseudo.id, press(item.example.id, None))
    assert state(house, pseudo.id, item.example.id) == (None, True, True)
    assert house.client.group_set(pseudo.id).n_unassigned == 1


def test_undo_and_redo_walk_through_the_labels_of_one_person(house: House, pseudo: api.GroupSet) -> None:
    first, second = queue(house, pseudo.id)[:2]
    suggested = [(i.group, False, False) for i in (first, second)]
    label(house, pseudo.id, press(first.example.id, None), press(second.example.id, None))
    assert house.client.undo(pseudo.id).items[0].example.id == second.example.id
    assert state(house, pseudo.id, second.example.id) == suggested[1]
    assert house.client.undo(pseudo.id).items[0].example.id == first.example.id
    with pytest.raises(ConflictError, match="nothing to undo"):
        house.client.undo(pseudo.id)
    house.client.redo(pseudo.id)
    assert state(house, pseudo.id, first.example.id) == (None, True, True)
    label(house, pseudo.id, press(second.example.id, 0))
    with pytest.raises(ConflictError, match="nothing to redo"):
        house.client.redo(pseudo.id)
    assert rebuilt(house, pseudo.id)


def test_undo_uncovers_the_label_of_another_person(house: House, pseudo: api.GroupSet) -> None:
    example = queue(house, pseudo.id)[0].example.id
    label(house, pseudo.id, press(example, 0), who="ann")
    label(house, pseudo.id, press(example, None), who="bob")
    house.client.undo(pseudo.id, annotator="ann")
    assert state(house, pseudo.id, example) == (None, True, True), "bob's label stands"
    house.client.redo(pseudo.id, annotator="ann")
    assert state(house, pseudo.id, example) == (0, True, False)
    house.client.undo(pseudo.id, annotator="ann")
    house.client.undo(pseudo.id, annotator="bob")
    assert not state(house, pseudo.id, example)[1]
    assert rebuilt(house, pseudo.id)


def test_a_batch_with_a_mistake_stores_nothing(house: House, pseudo: api.GroupSet) -> None:
    example = queue(house, pseudo.id)[0].example.id
    with pytest.raises(SettingsError, match="no group 2"):
        label(house, pseudo.id, press(example, 0), press(example, 2))
    with pytest.raises(NotFoundError, match="not in group set"):
        label(house, pseudo.id, press(example, 0), press(1, 0))  # a training example
    assert house.client.group_set(pseudo.id).version == 0


def test_eight_people_label_at_once(house: House, pseudo: api.GroupSet) -> None:
    """Two hundred labels, each sent twice, on ten examples: all are stored, each once, in one order."""
    examples = [i.example.id for i in queue(house, pseudo.id)[:10]]

    def person(name: int) -> None:
        for n in range(25):
            batch = press(examples[(name + n) % 10], n % 2, f"person-{name}-label-{n}")
            for _ in range(2):
                label(house, pseudo.id, batch, who=f"p{name}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(person, range(8)))
    assert house.client.group_set(pseudo.id).version == 200
    with house.store.read() as session:
        assert group_store.n_events(session, pseudo.id) == 200
    assert rebuilt(house, pseudo.id)


# ---------------------------------------------------------------- the queue
@pytest.mark.parametrize("order", [o for o in LabelOrder if o is not LabelOrder.DISAGREEMENT])
def test_every_order_offers_every_example_once(house: House, pseudo: api.GroupSet, order: LabelOrder) -> None:
    found: list[api.LabelItem] = []
    after = None
    while True:
        page = house.client.label_queue(pseudo.id, order=order, after=after, limit=7)
        found, after = found + page.items, page.next
        if after is None:
            break
    assert page.total == 40 and {i.example.position for i in found} == set(range(40)) and len(found) == 40
    distance = [abs(i.example.value or 0) for i in found]
    expected = {LabelOrder.EXTREMES: sorted(distance, reverse=True), LabelOrder.BOUNDARY: sorted(distance)}
    assert distance == expected.get(order, distance)
    if order is LabelOrder.POSITION:
        assert [i.example.position for i in found] == list(range(40))
    if order is LabelOrder.RANDOM:
        assert [i.example.position for i in found] != list(range(40))


def test_labelling_between_two_pages_skips_nothing(house: House, pseudo: api.GroupSet) -> None:
    first = house.client.label_queue(pseudo.id, label=0, limit=5, only_open=True)
    for item in first.items:
        label(house, pseudo.id, press(item.example.id, item.group))
    second = house.client.label_queue(pseudo.id, label=0, limit=1000, only_open=True, after=first.next)
    assert second.total == first.total - 5 == len(second.items)
    assert not {i.example.id for i in first.items} & {i.example.id for i in second.items}


def test_a_wrong_cursor_is_answered(shared: House) -> None:
    problem(shared.http.get("/api/v1/group-sets/1/queue", params={"after": "here"}), 422, "next")


# ---------------------------------------------------------------- names, export, end
def test_other_names_for_the_same_groups(house: House, pseudo: api.GroupSet) -> None:
    names = [["dark", "bright"], ["bright", "dark"]]
    renamed = house.client.update_group_set(pseudo.id, api.GroupSetPatch(name="borders", group_names=names))
    assert [g.name for g in renamed.groups] == ["dark", "bright", "bright", "dark"]
    assert (renamed.name, renamed.version, [g.n for g in renamed.groups]) == (
        "borders",
        0,
        [g.n for g in pseudo.groups],
    )
    problem(house.http.patch(f"/api/v1/group-sets/{pseudo.id}", json={"group_names": [["a"], ["b"]]}), 422, "names")


def test_exports_hold_every_example(house: House, pseudo: api.GroupSet) -> None:
    item = queue(house, pseudo.id)[0]
    label(house, pseudo.id, press(item.example.id, 0), who="=cmd()")
    rows = list(csv.DictReader(io.StringIO(house.client.export_labels(pseudo.id).decode())))
    assert len(rows) == 40
    mine = next(row for row in rows if row["example_id"] == str(item.example.id))
    assert (mine["group"], mine["by_hand"], mine["annotator"]) == ("0", "True", "'=cmd()"), "no cell is a formula"
    lines = [json.loads(line) for line in house.client.export_labels(pseudo.id, format="jsonl").splitlines()]
    assert [line["position"] for line in lines] == list(range(40))
    assert next(line for line in lines if line["by_hand"])["annotator"] == "=cmd()"


def test_a_set_without_labels_can_be_deleted(house: House) -> None:
    made = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="x", group_names=["a"]))
    house.client.delete_group_set(made.id)
    problem(house.http.get(f"/api/v1/group-sets/{made.id}"), 404)


def test_a_set_that_gets_the_number_of_a_deleted_one_is_counted_anew(house: House) -> None:
    client = house.client
    hand = client.create_group_set(PROJECT, api.GroupSetCreate(name="hand", group_names=["a"]))
    client.delete_group_set(hand.id)
    made = client.create_group_set(PROJECT, api.GroupSetCreate(name="by loss", by_loss=True))
    assert (hand.n_unassigned, made.n_unassigned) == (40, 0)
    assert client.group_set(made.id) == made


def test_a_set_with_labels_is_put_away_and_keeps_them(house: House, pseudo: api.GroupSet) -> None:
    label(house, pseudo.id, press(queue(house, pseudo.id)[0].example.id, 0))
    with pytest.raises(ConflictError, match="labels that people gave"):
        house.client.delete_group_set(pseudo.id)
    house.client.delete_group_set(pseudo.id, force=True)
    assert pseudo.id not in [s.id for s in house.client.group_sets(PROJECT)]
    with house.store.read() as session:
        assert group_store.n_events(session, pseudo.id) == 1
    again = api.GroupSetCreate(name="pseudo", direction_ids=pseudo.direction_ids)
    assert house.client.create_group_set(PROJECT, again).id != pseudo.id
    problem(house.http.post(f"/api/v1/group-sets/{pseudo.id}/undo", json={}), 404)
    assert house.client.score_sets(PROJECT), "scores that rest on it are still there"
