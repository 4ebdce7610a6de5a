"""The web process reads data and scores; it must never pay for torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["data", "groups", "pruning", "evaluation", "schemas.api", "schemas.methods"])
def test_room_leaves_torch_out(room: str) -> None:
    code = f"import sys, unskew.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
