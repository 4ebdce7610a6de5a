from __future__ import annotations

from frontend.components.shell import KIND_NAMES
from frontend.views.reports import BLOCK_NAMES
from unskew.schemas.enums import JobKind, ReportBlockKind


def test_everything_of_a_closed_list_has_words() -> None:
    assert set(KIND_NAMES) == set(JobKind) and set(BLOCK_NAMES) == set(ReportBlockKind)
