"""The command line as a stranger uses it: real processes, one data folder, own data and an own model."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.cli.context import opened
from backend.services import reports as report_service
from unskew.schemas.report import FrozenReport

MODEL = """
import torch

def tiny(n_classes: int, image_size: int, hidden: int = 8) -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, hidden, 3, stride=2, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(hidden * (image_size // 2) ** 2, n_classes),
    )
"""


class Shell:
    """`unskew …` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def run(self, *arguments: str, code: int = 0, seconds: float = 120) -> str:
        command = [sys.executable, "-m", "backend.cli.main", *arguments, "--data", str(self.data)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + ("" if code == 0 else done.stderr)

    def json(self, *arguments: str, code: int = 0, seconds: float = 180) -> Any:
        command = [sys.executable, "-m", "backend.cli.main", *arguments, "--data", str(self.data), "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "mine.py").write_text(MODEL)
    return Shell(tmp_path)


@pytest.mark.slow
def test_own_data_and_own_model_from_import_to_report(shell: Shell, digits_manifest: Path) -> None:
    made = shell.json("import", str(digits_manifest), "--name", "My digits", "--image-size", "16")
    assert (made["slug"], made["n_train"], made["attributes"]) == ("my-digits", 160, ["border"])
    trained = shell.json("train", "my-digits", "--model", "mine:tiny", "--seeds", "2", "--epochs", "8")
    assert [run["seed"] for run in trained] == [0, 1]
    assert all(run["params"]["model"]["factory"] == "mine:tiny" for run in trained)
    attribution = shell.json("attribute", "my-digits", "--projection", "4")
    assert (attribution["n_train"], attribution["n_targets"]) == (160, 40)
    directions = shell.json("discover", "my-digits", "--directions", "2")
    titles = ("errors", "PC1", "PC2")
    assert {(d["label_name"], d["title"]) for d in directions} == {(c, t) for c in ("high", "low") for t in titles}
    scored = shell.json("score", "my-digits", "--pseudo")
    assert scored["method"] == "auto_trak"
    rows = shell.folder / "drop.npy"
    pruned = shell.json("prune", "my-digits", "--rule", "star", "--output", str(rows))
    dropped = np.load(rows)
    assert pruned["k"] == scored["star"] == len(dropped) == len(set(dropped.tolist()))
    shell.json("retrain", "my-digits", "--seeds", "2", "--attribute", "border")
    compared = shell.json("compare", "my-digits", "--attribute", "border")
    assert {m["method"] for m in compared["methods"]} == {"erm", "auto_trak", "random_k", "subg"}
    league = shell.json("battery", "my-digits", "--methods", "suby,auto_dfr", "--seeds", "1", "--search-seeds", "1")
    assert {"suby", "auto_dfr", "refit", "loss_trak", "erm"} <= {row["method"] for row in league}
    assert all(0 <= row["worst_group_accuracy"] <= row["balanced_accuracy"] <= 1 for row in league)
    frozen = shell.json("subpopulations", "my-digits", "--exclude", "low:border=dark")
    assert (frozen["method"], frozen["rule"]) == ("exclude", "excluded") and 0 < frozen["k"] < 160
    page = shell.folder / "report.html"
    shell.json("report", "my-digits", "--output", str(page))
    assert "My digits" in page.read_text()
    assert shell.json("doctor")["problems"] == []


@pytest.mark.slow
def test_rounds_until_nothing_is_left(shell: Shell) -> None:
    """Coloured digits, validation as skewed as training: the colour is found, pruned, and looked for again."""
    shell.run("import", "coloured", "--skew", ".95", "--validation", "skewed", "--name", "coloured")
    shell.run("train", "coloured", "--seeds", "2", "--epochs", "6")
    first, *others = shell.json("rounds", "coloured", "--most", "2", "--seeds", "1", seconds=500)
    assert (first["round"], first["project"], first["verdict"]) == (1, "coloured", "strong")
    assert 0 < first["k"] < 3000 and first["validation_after"] > first["validation_before"]
    assert first["test_after"] > first["test_before"] + 0.05
    (second,) = others
    assert (second["project"], second["n_train"]) == ("coloured-round-2", 3000 - first["k"])
    recipe = shell.json("train", "coloured-round-2", "--seeds", "2", "--epochs", "6")  # already there
    assert [run["params"]["train"]["epochs"] for run in recipe] == [6, 6]
    again = shell.json("rounds", "coloured", "--most", "2", "--seeds", "1", seconds=120)
    assert again == [first, second], "what was there was not made again"


@pytest.mark.slow
def test_checkpoints_of_ones_own_and_one_that_does_not_fit(shell: Shell, digits_manifest: Path) -> None:
    import torch

    shell.run("import", str(digits_manifest), "--name", "digits", "--image-size", "16")
    code = "import mine, torch; torch.manual_seed(1); torch.save(mine.tiny({0}, 16).state_dict(), '{1}')"
    for n, name in ((2, "fits.pt"), (3, "other.pt")):
        subprocess.run([sys.executable, "-c", code.format(n, name)], cwd=shell.folder, check=True)
    torch.save(object, shell.folder / "pickled.pt")
    answer = shell.json(
        "train", "digits", "--model", "mine:tiny", "--checkpoint", "fits.pt", "--checkpoint", "other.pt", code=1
    )
    assert answer["error"] == "data" or "3.weight" in answer["detail"], answer
    refused = shell.json("train", "digits", "--model", "mine:tiny", "--checkpoint", "pickled.pt", code=1)
    assert "pickled.pt" in refused["detail"]
    imported = shell.json("train", "digits", "--model", "mine:tiny", "--checkpoint", "fits.pt")
    assert len(imported) == 1, "nothing of the refused ones was kept"


def test_a_mistake_is_one_clear_message_and_nothing_is_registered(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("path,label\na.png,x\n")
    said = shell.run("import", "bad.csv", "--name", "bad", "--check", code=1)
    assert "split" in said
    assert shell.json("projects") == []
    missing = shell.run("train", "nothing", code=1)
    assert "There is no project 'nothing'" in missing


def test_a_data_folder_that_cannot_be_one_is_named(shell: Shell) -> None:
    shell.data.write_text("a file")
    said = shell.run("projects", code=1)
    assert str(shell.data) in said.replace("\n", "")
    assert "--data" in said


@pytest.mark.slow
def test_server_killed_in_the_middle_of_a_job_loses_nothing(shell: Shell, digits_manifest: Path) -> None:
    """kill -9 of `unskew up` while a job trains: its worker ends with it, and the next start goes on."""
    from unskew.client import Client
    from unskew.schemas.enums import JobKind, JobStatus
    from unskew.schemas.params import ModelSpec, TrainJobParams, TrainParams

    shell.run("import", str(digits_manifest), "--name", "digits", "--image-size", "16")
    port, command = 18731, [sys.executable, "-m", "backend.cli.main", "up", "--data", str(shell.data), "--port"]
    params = TrainJobParams(model=ModelSpec(kwargs={"width": 4}), train=TrainParams(epochs=60), seeds=[0, 1, 2])
    with Client(f"http://127.0.0.1:{port}") as client:
        server = subprocess.Popen([*command, str(port)], cwd=shell.folder)
        _wait(lambda: client.health().worker)
        job = client.start_job("digits", JobKind.TRAIN, params)
        _wait(lambda: client.job(job.id).done > 0.3)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        server = subprocess.Popen([*command, str(port)], cwd=shell.folder)
        try:
            _wait(lambda: client.health().status == "ok")
            ended = client.wait_for_job(job.id, poll_seconds=0.2)
            assert ended.status is JobStatus.DONE
            assert [run.seed for run in client.runs("digits")] == [0, 1, 2]
            text = [line.text for line in client.job_log(job.id)]
            assert len([line for line in text if line.startswith("end ")]) == 3
        finally:
            server.terminate()
            server.wait(20)


def _wait(true: Any, seconds: float = 60) -> None:
    """Until something is true; a server that does not answer yet is not true."""
    from unskew.errors import ServerError

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if true():
                return
        except ServerError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clinic", "coloured"])
def test_a_report_repeats_the_import_of_a_set_that_ships(name: str, shell: Shell) -> None:
    how = ("--skew", "0.8", "--validation", "skewed", "--demo-seed", "2")
    made = shell.json("import", name, *how)
    assert {option: made["source"][option] for option in ("source", "skew", "validation", "demo_seed")} == {
        "source": name,
        "skew": 0.8,
        "validation": "skewed",
        "demo_seed": 2,
    }
    report = shell.json("report", name)
    with opened(shell.data) as store:
        frozen = FrozenReport.model_validate_json(report_service.frozen_json(store, report["id"]))
    command = shlex.split(frozen.reproduce[0])[1:]
    shell.data = shell.folder / "again"
    assert shell.json(*command)["fingerprint"] == made["fingerprint"]
    assert "sets that ship only" in shell.run("import", str(shell.folder), "--skew", "0.8", code=2)


@pytest.mark.slow
def test_words_and_columns_tell_the_ends_of_directions_apart(shell: Shell) -> None:
    rng = np.random.default_rng(0)
    label = np.arange(300) % 2
    lines = ["text,label,split"]
    for i, (c, u) in enumerate(zip(label, rng.random(300), strict=True)):
        filler = " ".join(rng.choice([f"word{j}" for j in range(40)], 8))
        split = ("train", "train", "validation")[i // 100]
        lines.append(f"{filler} {'not' if u < (0.4, 0.6)[c] else 'so'} {('bad', 'good')[c]},{('no', 'yes')[c]},{split}")
    (shell.folder / "texts.csv").write_text("\n".join(lines))
    for name, source in (("texts", str(shell.folder / "texts.csv")), ("clinic", "clinic")):
        shell.run("import", source, "--name", name)
        shell.run("train", name, "--seeds", "2", "--epochs", "4")
        shell.run("attribute", name, "--projection", "8")
        found = shell.json("discover", name, "--directions", "3")
        told = {(row["source"], row["words"]) for d in found for row in d["evidence"]["differences"]}
        wanted = ("text", 'says "not"') if name == "texts" else ("column", "mean_")
        assert any(source == wanted[0] and wanted[1] in words for source, words in told), told
