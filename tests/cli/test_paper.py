"""`unskew paper` on tiny sets in the published layouts: it runs to the end, once, and says what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import layout_fixtures as made
import pytest
import torch

from backend.cli.paper import SETS, found_in
from unskew.errors import ModelError
from unskew.models import resnet18
from unskew.schemas.enums import Layout, Method
from unskew.schemas.paper import EXPERIMENTS, IMAGENET_CLASSES, METHODS


def run(*arguments: str, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend.cli.main", "paper", *arguments, "--into", str(into)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.slow
def test_the_paper_s_experiments_run_to_the_end(tmp_path: Path) -> None:
    sets, into = tmp_path / "sets", tmp_path / "data"
    made.celeba(sets / "celeba", rows=made.faces_by_age({0: (12, 20, 22, 10), 1: (5, 8, 9, 6), 2: (4, 5, 5, 4)}))
    made.waterbirds(sets / "birds" / "waterbird_complete95_forest2water2")
    made.multinli(sets / "multinli" / "data")
    tench = made.SYNSETS[0]
    made.imagenet(sets / "imagenet", a_class=40)  # four of each class are held out
    images = [f"train/{tench}/{tench}_{i}.JPEG" for i in range(40)]
    images += [f"val/{tench}/ILSVRC2012_val_{i:08d}.JPEG" for i in range(5)]
    by_hand = [(path, "with a human" if i % 2 else "alone") for i, path in enumerate(images)]
    made.write_csv(sets / "imagenet" / "attributes.csv", ("path", "bias"), by_hand)
    done = run("--data", str(sets), "--smoke", "--json", into=into)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [result["set"] for result in found["sets"]] == list(SETS) and found["missing"] == []
    age, *others, imagenet = found["sets"]
    for result, experiment in zip((age, *others), EXPERIMENTS, strict=True):
        rows = {row["method"]: row for row in result["methods"]}
        not_run = {name.rpartition("_")[0] for name in result["not_run"]}  # method and seed
        assert set(METHODS) - not_run <= set(rows)
        assert rows["erm"]["paper_worst_group_accuracy"] == experiment.published[Method.ERM].worst
        assert all(0 <= row["worst_group_accuracy"]["value"] <= 1 for row in rows.values())
        assert any("figures mean nothing" in remark for remark in result["remarks"])
    assert any("without --resnet" in remark for remark in others[1]["remarks"])
    figure = age["figure_2"]
    assert {row["method"] for row in figure["curve"]} == {"erm", "trak", "random_k"}
    assert figure["star"] > 0 and figure["balancing_would_drop"] == 50 - 4 * 5
    assert {row["attribute"] for row in age["figure_6"]} >= {"Gray_Hair", "Sideburns"}
    assert age["without_subpopulations"]["removed"] > 0 and "exclude" in {row["method"] for row in age["methods"]}
    _check_imagenet(imagenet)
    again = run("--data", str(sets), "--sets", "waterbirds", "--smoke", into=into)
    assert again.returncode == 0 and "Tables 1 and 2" in again.stdout, again.stderr


def _check_imagenet(result: dict[str, Any]) -> None:
    assert result["missing_classes"] == ["red wolf"]
    tench, *unlabelled = result["classes"]
    assert [row["method"] for row in tench["methods"]] == ["erm", "auto_trak", "trak"]
    assert all(0 <= row["worst_group_accuracy"] <= row["class_accuracy"] for row in tench["methods"])
    for target in unlabelled:
        assert [row["method"] for row in target["methods"]] == ["erm", "auto_trak"]
        assert {row["worst_group_accuracy"] for row in target["methods"]} == {None}
    assert tench["methods"][0]["paper_overall_accuracy"] == 63.97


@pytest.mark.slow
def test_a_folder_without_any_set_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("--data", str(tmp_path / "empty"), "--sets", "waterbirds,multinli", into=tmp_path / "data")
    assert done.returncode == 0 and "Not found: waterbirds, multinli" in done.stdout
    wrong = run("--data", str(tmp_path / "empty"), "--sets", "birds", into=tmp_path / "data")
    assert wrong.returncode == 1 and "There is no set 'birds'" in wrong.stderr


def test_sets_are_found_below_the_folder_or_in_it(tmp_path: Path) -> None:
    made.celeba(tmp_path / "faces" / "data")
    made.waterbirds(tmp_path / "a" / "birds")
    found = found_in(tmp_path)
    assert found[Layout.CELEBA_BLOND] == found[Layout.CELEBA_AGE] == tmp_path / "faces"
    assert found[Layout.WATERBIRDS] == tmp_path / "a" / "birds" and Layout.MULTINLI not in found
    assert found_in(tmp_path / "faces" / "data")[Layout.CELEBA_BLOND] == tmp_path / "faces" / "data"


def test_the_published_figures_are_those_of_the_paper() -> None:
    worst = {e.key: [e.published[method].worst for method in METHODS] for e in EXPERIMENTS}
    # Table 1, by row: ERM, Auto-TRAK, JTT, DFR, TRAK, RWG, SUBG, GroupDRO; TRAK on MultiNLI from Table 2
    assert worst == {
        "celeba_age": [56.65, 75.97, 60.95, 70.37, 75.55, 75.64, 68.49, 74.80],
        "celeba_blond": [45.86, 83.77, 81.61, 88.40, 90.03, 88.40, 88.26, 90.61],
        "waterbirds": [57.85, 81.04, 63.61, 88.96, 87.15, 81.21, 85.46, 72.47],
        "multinli": [67.19, 74.7, 72.6, 74.7, 75.46, 68.41, 67.76, 77.7],
    }
    assert [c.published[Method.AUTO_TRAK].worst for c in IMAGENET_CLASSES] == [39.29, 80.00, 79.40, 50.48]


def test_a_resnet_starts_from_a_local_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = resnet18(1000)
    old = {k: v for k, v in trained.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "resnet.pth")  # as torchvision's first files are
    model = resnet18(2, weights=str(tmp_path / "resnet.pth"))
    assert torch.equal(model.conv1.weight, trained.conv1.weight) and model.fc.weight.shape == (2, 512)
    with pytest.raises(ModelError, match="There is no checkpoint"):
        resnet18(2, weights=str(tmp_path / "none.pth"))
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="does not fit the model"):
        resnet18(2, weights=str(tmp_path / "other.pth"))
