from __future__ import annotations

import pytest

from unskew.schemas.params import ContinueParams, next_round


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Birds", "Birds, round 2"),
        ("Birds, round 2", "Birds, round 3"),
        ("Birds, round 9", "Birds, round 10"),
        ("Birds, round two", "Birds, round two, round 2"),
        (", round 2", ", round 2, round 2"),
        ("B" * 100, "B" * 91 + ", round 2"),
    ],
)
def test_the_next_round_counts_on(name: str, expected: str) -> None:
    assert next_round(name) == expected
    ContinueParams(prune_set_id=1, name=expected)  # short enough for a project
