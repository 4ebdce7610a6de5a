"""Kill −9, on both databases: a short campaign here, a long one by

UNSKEW_CHAOS_KILLS=50 UNSKEW_CHAOS_SEED=7 python -m pytest tests/chaos/test_kills.py --timeout 1800 -s
"""

from __future__ import annotations

import json
import os
import sys

import chaos
import pytest

from backend.store.db import Store

KILLS = int(os.environ.get("UNSKEW_CHAOS_KILLS", "4"))
SEED = int(os.environ.get("UNSKEW_CHAOS_SEED", "1"))


@pytest.mark.slow
def test_kills_lose_nothing(store: Store, expected: dict[str, str]) -> None:
    report = chaos.campaign(store, kills=KILLS, seed=SEED, expected=expected)
    sys.stdout.write(json.dumps({"database": store.engine.dialect.name} | report, indent=1, default=str) + "\n")
    assert chaos.clean(report), report
    assert report["labels acknowledged"] > 2 and report["looks at every checksum"] > 2
