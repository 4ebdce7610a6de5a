"""What is listed of many problems."""

from __future__ import annotations

from unskew.data.problems import LISTED, Problems


def test_many_of_one_kind_hide_no_other() -> None:
    problems = Problems()
    for line in range(2, 5002):
        problems.add(line, "path", f"{line}.png", f"There is no file '{line}.png'.")
    problems.add(6000, "label", "x", "This class is not known.")
    assert problems.n == 5001 and len(problems.listed()) == LISTED
    assert [item.row for item in problems.listed()] == [*range(2, 201), 6000]


def test_each_kind_gets_its_share_and_gives_what_it_does_not_need() -> None:
    problems = Problems()
    for line in range(1, 1001):
        problems.add(line, "path", "", "a")
        problems.add(line, "label", "", "b")
        if line <= 10:
            problems.add(line, "split", "", "c")
    fields = [item.field for item in problems.listed()]
    assert (fields.count("path"), fields.count("label"), fields.count("split")) == (95, 95, 10)


def test_endless_kinds_are_bounded() -> None:
    problems = Problems()
    for line in range(20_000):
        problems.add(line, f"column {line}", "", "Empty.")
    assert problems.n == 20_000 and len(problems.listed()) == LISTED
    assert sum(map(len, problems._kinds.values())) < 2 * LISTED
