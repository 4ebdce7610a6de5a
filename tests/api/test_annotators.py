"""Several annotators, gestures, label files, guidelines: what stands when people work on the same examples."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from api_house import PROJECT, House, problem

from unskew.schemas import api
from unskew.schemas.enums import LabelAction, LabelOrder, Split


@pytest.fixture
def border(house: House) -> api.GroupSet:
    return next(s for s in house.client.group_sets(PROJECT) if s.name == "border")


def label(house: House, group_set: api.GroupSet, who: str, said: dict[int, int | None], **more: bool) -> None:
    writes = [api.LabelWrite(key=f"{who}-key-{i}-{g}", example_id=i, group=g) for i, g in said.items()]
    house.client.write_labels(group_set.id, api.LabelBatch(labels=writes, annotator=who, **more))


def queue(house: House, group_set: api.GroupSet, **wanted: object) -> list[api.LabelItem]:
    return house.client.label_queue(group_set.id, limit=1000, **wanted).items  # type: ignore[arg-type]


# ---------------------------------------------------------------- gestures
def test_one_undo_takes_back_a_whole_gesture(house: House, border: api.GroupSet) -> None:
    ids = [e.id for e in house.validation[:30]]
    before = {i.example.id: i.group for i in queue(house, border)}
    label(house, border, "ann", {ids[0]: 0})
    writes = [api.LabelWrite(key=f"gesture1:{i}", example_id=i, group=1) for i in ids]
    house.client.write_labels(border.id, api.LabelBatch(labels=writes, annotator="ann"))
    assert house.client.group_set(border.id).n_labelled == 30
    undone = house.client.undo(border.id, annotator="ann")
    assert {i.example.id for i in undone.items} == set(ids)
    after = {i.example.id: i.group for i in queue(house, border)}
    assert after == before | {ids[0]: 0}
    redone = house.client.redo(border.id, annotator="ann")
    assert len(redone.items) == 30 and all(i.group == 1 for i in redone.items)


# ---------------------------------------------------------------- who said what
def test_annotators_do_not_see_each_other_and_their_agreement_is_known(house: House, border: api.GroupSet) -> None:
    rows = [e.id for e in house.validation[:20]]
    ann: dict[int, int | None] = {i: n % 2 for n, i in enumerate(rows)}
    ben: dict[int, int | None] = ann | {rows[0]: 1, rows[1]: 0, rows[2]: None}
    label(house, border, "ann", ann)
    label(house, border, "ben", ben)
    assert {i.example.id for i in queue(house, border, annotator="eve") if i.by_hand} == set()
    seen = {i.example.id: i.group for i in queue(house, border, annotator="ann") if i.by_hand}
    assert seen == ann
    left = queue(house, border, annotator="ben", only_open=True)
    assert len(left) == len(house.validation) - 20
    found = house.client.agreement(border.id)
    assert [(a.name, a.n, a.unsure) for a in found.annotators] == [("ann", 20, 0), ("ben", 20, 1)]
    [pair] = found.pairs
    assert (pair.n, pair.observed.value) == (19, 17 / 19)
    from sklearn.metrics import cohen_kappa_score

    sure = [i for i in rows if ben[i] is not None]
    expected = cohen_kappa_score([ann[i] for i in sure], [ben[i] for i in sure])
    assert pair.kappa is not None and pair.kappa.value == pytest.approx(expected)
    assert found.n_disagreements == 3


def test_disagreements_queue_up_until_somebody_decides(house: House, border: api.GroupSet) -> None:
    first, second, third = (e.id for e in house.validation[:3])
    label(house, border, "ann", {first: 0, second: 0, third: 1})
    label(house, border, "ben", {first: 1, second: 0, third: None})
    items = queue(house, border, order=LabelOrder.DISAGREEMENT)
    assert {i.example.id: i.others for i in items} == {first: {"ann": 0, "ben": 1}, third: {"ann": 1, "ben": None}}
    label(house, border, "eve", {first: 0}, adjudicates=True)
    assert [i.example.id for i in queue(house, border, order=LabelOrder.DISAGREEMENT)] == [third]
    assert next(i for i in queue(house, border) if i.example.id == first).group == 0
    assert [a.name for a in house.client.agreement(border.id).annotators] == ["ann", "ben"]


def test_a_suggestion_is_judged_by_what_people_confirmed(house: House, border: api.GroupSet) -> None:
    items = [i for i in queue(house, border) if i.suggestion == 0 and i.example.label == 0][:5]
    label(house, border, "ann", {i.example.id: (1 if n == 0 else 0) for n, i in enumerate(items)})
    [match] = house.client.agreement(border.id).suggestion
    assert (match.confirmed.value, match.confirmed.n) == (0.8, 5)


def test_history_tells_what_happened_newest_first(house: House, border: api.GroupSet) -> None:
    example = house.validation[0].id
    label(house, border, "ann", {example: 1})
    house.client.undo(border.id, annotator="ann")
    found = house.client.label_history(border.id, example_id=example)
    assert [e.action for e in found] == [LabelAction.UNDO, LabelAction.SET]
    assert found[0].after == found[1].before and found[1].annotator == "ann"
    assert house.client.label_history(border.id, before=found[0].id, limit=1) == [found[1]]


# ---------------------------------------------------------------- enough labels
def test_progress_counts_hand_labels_and_says_how_many_more(house: House, border: api.GroupSet) -> None:
    label(house, border, "ann", {i.example.id: i.suggestion for i in queue(house, border, label=0)})
    groups = [g for g in house.client.group_set(border.id).groups if g.label == 0]
    assert all(g.n_by_hand == g.n and g.accuracy_by_hand == g.accuracy for g in groups)
    assert all(g.more_needed is not None and g.more_needed >= 20 - g.n for g in groups)
    untouched = [g for g in house.client.group_set(border.id).groups if g.label == 1]
    assert all(g.n_by_hand == 0 and g.accuracy_by_hand is None and (g.more_needed or 0) > 20 for g in untouched)


def test_guidelines_and_views_stand_beside_the_task(house: House, border: api.GroupSet) -> None:
    house.client.update_group_set(border.id, api.GroupSetPatch(guidelines="Look at the **border**."))
    assert house.client.group_set(border.id).guidelines == "Look at the **border**."
    picked = [e.id for e in house.validation[5:9]]
    view = house.client.create_view(PROJECT, api.ViewCreate(name="four", example_ids=picked))
    assert {i.example.id for i in queue(house, border, view=view.id)} == set(picked)
    made = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="from four", view_id=view.id))
    inside = {i.example.id for i in queue(house, made) if i.group == 1}
    assert inside == set(picked)
    assert {g.label for g in made.groups} == {e.label for e in house.validation[5:9]}


# ---------------------------------------------------------------- files
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_exported_labels_come_back_and_one_undo_takes_them_away(
    house: House, border: api.GroupSet, format: str
) -> None:
    said: dict[int, int | None] = {e.id: n % 2 for n, e in enumerate(house.validation[:8])} | {
        house.validation[8].id: None
    }
    label(house, border, "ann", said)
    content = house.client.export_labels(border.id, format=format)
    fresh = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="copy", attribute="border"))
    dry = house.client.import_labels(fresh.id, content, format=format, dry_run=True)
    assert (dry.n_rows, dry.n_labels, dry.written) == (40, 9, False)
    assert house.client.group_set(fresh.id).n_labelled == 0
    for _ in range(2):  # the same file twice changes nothing
        house.client.import_labels(fresh.id, content, format=format, annotator="file")
        assert house.client.group_set(fresh.id).version == 9
    assert {i.example.id: i.group for i in queue(house, fresh) if i.by_hand} == said
    house.client.undo(fresh.id, annotator="file")
    assert house.client.group_set(fresh.id).n_labelled == 0


def test_rows_that_do_not_fit_are_named_and_nothing_is_written(house: House, border: api.GroupSet) -> None:
    rows = list(csv.DictReader(io.StringIO(house.client.export_labels(border.id).decode())))
    table = pd.DataFrame([{"path": r["path"], "group_name": r["group_name"]} for r in rows[:4]])
    table.loc[1, "path"] = "nowhere.png"
    table.loc[2, "group_name"] = "plaid"
    answer = house.http.post(
        f"/api/v1/group-sets/{border.id}/import",
        content=table.to_csv(index=False).encode(),
        headers={"Content-Type": "application/octet-stream"},
    )
    found = problem(answer, 422, "2 of 4", "path", "group_name")
    assert [(r.row, r.value) for r in found.rows] == [(3, "nowhere.png"), (4, "plaid")]
    assert house.client.group_set(border.id).n_labelled == 0
    bad = house.http.post(
        f"/api/v1/group-sets/{border.id}/import",
        params={"format": "parquet"},
        content=json.dumps({}).encode(),
        headers={"Content-Type": "application/octet-stream"},
    )
    problem(bad, 422, "parquet")


def test_a_view_larger_than_a_statement_has_parameters_is_no_problem(house: House, border: api.GroupSet) -> None:
    from backend.store import labels

    wanted = labels.Filter(positions=tuple(np.arange(40_000).tolist()))
    with house.store.read() as session:
        assert labels.count(session, border.id, wanted) == len(
            house.client.examples(PROJECT, split=Split.VALIDATION, limit=1000).items
        )
