"""How many malformed inputs are tried, each with the error that is due."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
CORPUS = ("unit/bad_input/test_bad_tables.py", "unit/bad_input/test_bad_images.py",
          "unit/bad_input/test_bad_checkpoints.py", "api/test_bad_requests.py", "api/test_bad_labels.py")  # fmt: skip
AT_LEAST = 200


@pytest.mark.slow
def test_the_corpus_is_large(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *CORPUS]
    listed = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=True).stdout
    cases = [line for line in listed.splitlines() if "[" in line]
    n = {name: sum(line.startswith(f"tests/{name}::") for line in cases) for name in CORPUS}
    with capsys.disabled():
        print(f"\nmalformed inputs: {sum(n.values())}", n)  # noqa: T201
    assert all(n.values())
    assert sum(n.values()) >= AT_LEAST
