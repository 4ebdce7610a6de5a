"""Parts of one's own, as docs/plugins.md has them: its functions and its commands are what runs here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
PARTS, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = next(block for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if "import" in block).splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of the page: parts.py, and pets whose class shows in red and whose place shows in green."""
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "pets").mkdir()
    rng, lines = np.random.default_rng(0), []
    for split, n in (("train", 40), ("validation", 16)):
        for i in range(n):
            cat, sofa = i % 2 == 0, rng.random() < 0.8
            pixels = rng.integers(0, 80, (16, 16, 3), dtype=np.uint8)
            pixels[..., 0] += 150 * cat
            pixels[..., 1] += np.uint8(150 * sofa)
            name = f"{split}{i}.png"
            Image.fromarray(pixels).save(tmp_path / "pets" / name)
            line = {"image": name, "is": "cat" if cat else "dog", "where": "sofa" if sofa else "grass", "split": split}
            lines.append(json.dumps(line))
    (tmp_path / "pets" / "pairs.txt").write_text("\n".join(lines))
    return tmp_path


def run(place: Path, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend.cli.main", *words, "--data", str(place / "data")]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code or (code is None and done.returncode), done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_the_page_runs_as_it_stands(place: Path) -> None:
    made: dict[str, Any] = {}
    for line in COMMANDS:
        _, *words = shlex.split(line)
        made[words[0]] = json.loads(run(place, *words, "--json").stdout)
    assert made["import"]["attributes"] == ["where"] and made["import"]["source"]["layout"] == "parts:pairs"
    assert all(run_["params"]["train"]["trainer"] == "parts:flipped" for run_ in made["train"])
    assert min(g["accuracy"]["value"] for run_ in made["train"] for g in run_["class_accuracy"]) > 0.9
    assert (made["attribute"]["engine"], made["attribute"]["n_train"]) == ("parts:alike", 40)
    page = (place / "pets.html").read_text()
    assert "<h2>Sizes</h2>" in page and "<td>cat</td>\n<td>validation</td>\n<td>8</td>" in page
    assert "What was found" not in page, "only the blocks that were named"

    directions = json.loads(run(place, "discover", "pets", "--json").stdout)
    assert {d["label_name"] for d in directions} == {"cat", "dog"}
    run(place, "score", "pets", "--pseudo", "--json")
    again = json.loads(run(place, "report", "pets", "--json").stdout)
    frozen = json.loads(_frozen(place, again["id"]))
    assert "unskew train pets --model unskew.models:small_cnn" in "\n".join(frozen["reproduce"])
    for words in ("--layout parts:pairs", "--trainer parts:flipped", "--engine parts:alike"):
        assert words in "\n".join(frozen["reproduce"])


def _frozen(place: Path, number: int) -> str:
    from backend.cli.context import opened
    from backend.services import reports

    with opened(place / "data") as store:
        return reports.frozen_json(store, number).decode()


@pytest.mark.slow
def test_a_row_at_fault_is_named_by_its_line(place: Path) -> None:
    table = place / "pets" / "pairs.txt"
    lines = table.read_text().splitlines()
    lines[4] = lines[4].replace("train4.png", "gone.png")
    lines[6] = lines[6].replace('"split": "train"', '"split": "tran"')
    table.write_text("\n".join(lines))
    said = json.loads(run(place, "import", "pets", "--layout", "parts:pairs", "--check", "--json", code=1).stdout)
    assert {(p["row"], p["value"]) for p in said["problems"]} == {(5, "gone.png"), (7, "tran")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["import", "pets", "--layout", "parts:none"], "no 'none'", "after the colon"),
        (["import", "pets", "--layout", "nowhere:read"], "no module 'nowhere'", "Start Unskew in the folder"),
        (["import", "pets", "--layout", "parts:sizes"], "failed", "Mend the reader"),
        (["import", "pets", "--layout", "folders"], "There is no layout 'folders'", "package.module:function"),
        (["import", "pets", "--layout", "a b:c"], "layout", "pattern"),
    ],
)
def test_a_reader_that_does_not_work(place: Path, words: list[str], what: str, fix: str) -> None:
    said = re.sub(r"\s+", " ", run(place, *words, code=None).stderr)
    assert what in said and fix in said, said
    assert "pets" not in run(place, "projects").stdout, "nothing was imported"
