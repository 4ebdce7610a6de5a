"""Summaries of views: recounted by pandas over the pages of the same query, and equal errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from api_house import PROJECT, House, problem
from hypothesis import given
from hypothesis import strategies as st

from backend.services import browse_summary, examples
from unskew.schemas import api
from unskew.schemas.enums import Split

PAGES = f"/api/v1/projects/{PROJECT}/examples"
VOTED = {True: "right", False: "wrong", None: None}


def rows(house: House, **query: Any) -> pd.DataFrame:
    """Every example of a query, turned page by page."""
    found: list[api.Example] = []
    after = None
    while True:
        page = house.client.examples(PROJECT, **query, after=after, limit=50)
        found += page.items
        after = page.next
        if after is None:
            break
    assert len(found) == page.total
    shares = [e.correct_share for e in found]
    return pd.DataFrame(
        {
            "class": pd.Series([e.label_name for e in found], dtype=str),
            "border": pd.Series([e.attributes.get("border", "") for e in found], dtype=str),
            "models": pd.Series([VOTED[None if s is None else s >= 0.5] for s in shares], dtype=object),
            "value": pd.Series([e.value for e in found], dtype=float),
        }
    )


def agrees(house: House, **query: Any) -> api.ViewSummary:
    """The summary says what can be counted on the pages; it comes back for more questions."""
    summary = house.client.view_summary(PROJECT, **query)
    split = query.get("split", Split.TRAIN)
    inside, every = rows(house, **query), rows(house, split=split)
    assert (summary.n, summary.n_split) == (len(inside), len(every))
    kinds = ["class", "attribute", "models"] if split is Split.VALIDATION else ["class", "attribute"]
    assert [c.of for c in summary.counts] == kinds
    for counted in summary.counts:
        assert counted.left_out == 0
        for which, frame in (("n", inside), ("n_split", every)):
            said = {c.value: getattr(c, which) for c in counted.values if getattr(c, which)}
            assert said == frame[counted.name].value_counts().to_dict()
    order = {name: query[name] for name in ("direction", "score_set") if name in query}
    if not order:
        assert summary.histogram is None
        return summary
    assert summary.histogram is not None and 0.0 in summary.histogram.edges
    values = (inside["value"], rows(house, split=split, **order)["value"])
    in_view, whole = (np.histogram(these, bins=summary.histogram.edges)[0] for these in values)
    assert summary.histogram.series == {"in the view": in_view.tolist(), "outside": (whole - in_view).tolist()}
    return summary


def test_without_filters_a_view_is_its_split(shared: House) -> None:
    for split in Split:
        summary = agrees(shared, split=split)
        assert all(c.n == c.n_split for counted in summary.counts for c in counted.values)
    assert [c.value for c in summary.counts[0].values] == shared.client.project(PROJECT).class_names


def test_filters_are_counted_as_the_pages_are(shared: House) -> None:
    agrees(shared, label=1)
    agrees(shared, attribute="border", value="dark")
    agrees(shared, split=Split.VALIDATION, correct=False, label=0)
    nothing = agrees(shared, attribute="border", value="no such border")
    assert nothing.n == 0 and sum(c.n_split for c in nothing.counts[0].values) == nothing.n_split


@pytest.mark.parametrize("split", [Split.TRAIN, Split.VALIDATION])
@pytest.mark.parametrize("descending", [False, True])
def test_bounds_of_a_direction_are_cut_out_of_its_histogram(shared: House, split: Split, descending: bool) -> None:
    direction = shared.client.directions(PROJECT)[0].id
    query = {"split": split, "direction": direction, "descending": descending}
    whole = agrees(shared, **query).histogram
    assert whole is not None and not any(whole.series["outside"])
    zero, upper = whole.edges.index(0.0), whole.edges[-2]
    part = agrees(shared, **query, low=0.0, high=upper, label=0).histogram
    assert part is not None and part.edges == whole.edges
    assert not any(part.series["in the view"][:zero]) and any(part.series["outside"])


def test_bounds_of_t(shared: House) -> None:
    score = shared.client.score_set(shared.client.score_sets(PROJECT)[0].id)
    summary = agrees(shared, score_set=score.id, high=0.0, label=1)
    assert summary.histogram is not None and summary.histogram.edges == score.histogram.edges
    assert sum(map(sum, summary.histogram.series.values())) == score.n_train


def test_saved_views_are_summarised(house: House) -> None:
    picked = house.client.create_view(
        PROJECT, api.ViewCreate(name="odd", example_ids=[e.id for e in house.validation[3:9]])
    )
    assert agrees(house, split=Split.VALIDATION, view=picked.id).n == 6
    agrees(house, split=Split.VALIDATION, view=picked.id, label=1)
    # a direction turned over is another order of the same values
    direction = house.client.directions(PROJECT)[0]
    before = agrees(house, split=Split.VALIDATION, direction=direction.id, low=0.0)
    house.client.update_direction(direction.id, api.DirectionPatch(sign=-direction.sign))  # type: ignore[arg-type]
    after = agrees(house, split=Split.VALIDATION, direction=direction.id, high=0.0)
    assert after.n == before.n > 0


@given(data=st.data())
def test_every_example_of_a_view_is_counted_once(shared: House, data: st.DataObject) -> None:
    split = data.draw(st.sampled_from(list(Split)))
    query: dict[str, Any] = {
        "split": split,
        "label": data.draw(st.sampled_from([None, 0, 1])),
        "attribute": "border",
        "value": data.draw(st.sampled_from([None, "dark", "bright"])),
    }
    if split is Split.VALIDATION:
        query["correct"] = data.draw(st.sampled_from([None, True, False]))
    if split is not Split.TEST and data.draw(st.booleans()):
        query["direction"] = data.draw(st.sampled_from(shared.client.directions(PROJECT))).id
        query["low"] = data.draw(st.none() | st.floats(-0.5, 0.5))
        query["high"] = data.draw(st.none() | st.floats(-0.5, 0.5))
        query["descending"] = data.draw(st.booleans())
    summary = shared.client.view_summary(PROJECT, **query)
    assert summary.n == shared.client.examples(PROJECT, **query, limit=1).total
    for counted in summary.counts:
        assert sum(c.n for c in counted.values) == summary.n
        assert sum(c.n_split for c in counted.values) == summary.n_split
        assert all(0 <= c.n <= c.n_split for c in counted.values)
    if summary.histogram is not None:
        assert sum(summary.histogram.series["in the view"]) == summary.n
        assert min(summary.histogram.series["outside"]) >= 0


def test_what_a_page_refuses_a_summary_refuses_in_the_same_words(shared: House) -> None:
    direction = shared.client.directions(PROJECT)[0].id
    for query in (
        {"value": "dark"},
        {"attribute": "colour"},
        {"correct": "true"},
        {"split": "test", "direction": direction},
        {"split": "validation", "score_set": 1},
        {"direction": direction, "score_set": 1},
        {"direction": 10**9},
        {"view": 10**9},
        {"split": "all"},
        {"low": "small"},
    ):
        page, summary = (shared.http.get(f"{PAGES}{part}", params=query) for part in ("", "/summary"))
        assert page.status_code >= 400 and summary.status_code == page.status_code, query
        said, same = problem(page, page.status_code), problem(summary, page.status_code)
        assert (said.detail, said.fix, said.rows) == (same.detail, same.fix, same.rows)
    problem(shared.http.get("/api/v1/projects/nothing/examples/summary"), 404)


def test_only_attributes_that_are_asked_for_are_counted(shared: House) -> None:
    every = shared.client.view_summary(PROJECT, label=1)
    assert shared.client.view_summary(PROJECT, label=1, attributes=["border"]) == every
    refused = shared.http.get(f"{PAGES}/summary", params={"attributes": ["border", "colour"]})
    assert problem(refused, 422, "colour").fix == "This project has: border."


def test_of_many_values_the_most_frequent_in_the_view_are_kept() -> None:
    code = np.repeat(np.arange(30), np.arange(1, 31))  # value i stands i + 1 times
    names = [f"class {i}" for i in range(30)]
    first = np.flatnonzero(code == 0)  # the rarest one was filtered for
    counted = browse_summary._counts("class", "class", names, code, first)
    assert counted.left_out == 10 and len(counted.values) == browse_summary.VALUES
    assert (counted.values[0].value, counted.values[0].n, counted.values[0].n_split) == ("class 0", 1, 1)
    assert [c.value for c in counted.values[1:]] == [f"class {i}" for i in range(29, 10, -1)]
    few = browse_summary._counts("class", "class", names[:20], code[code < 20], np.arange(3))
    assert [c.value for c in few.values] == names[:20] and few.left_out == 0


def test_missing_values_come_last_and_numbers_in_their_order(shared: House, monkeypatch: pytest.MonkeyPatch) -> None:
    column = np.array(["10", "", "9", "10", ""], dtype=np.str_)
    monkeypatch.setattr(examples, "_attribute", lambda *_: column)
    found = examples._coded.__wrapped__(shared.store, 1, Split.TRAIN, "age", "")
    assert found.values == ("9", "10", "") and found.code.tolist() == [1, 2, 0, 1, 2]
