"""Image folders: both layouts, shares taken from training, and folders that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.data import SourceCheck
from unskew.data.splits import taken_from_train
from unskew.schemas.enums import Split

Check = Callable[..., SourceCheck]
Paint = Callable[..., Path]


def messages(check: SourceCheck) -> list[str]:
    assert check.examples is None
    return [f"{p.field}: {p.message}" for p in check.problems]


@pytest.mark.parametrize("validation", ["validation", "val", "Valid"])
def test_split_folders(validation: str, tmp_path: Path, paint: Paint, check: Check) -> None:
    for i, place in enumerate(("Train/dog", "Train/cat/deep", f"{validation}/dog", f"{validation}/cat", "test/cat")):
        paint(tmp_path / place / "1.jpg", i)
    (tmp_path / "Train/dog/notes.txt").write_text("not an image")
    (tmp_path / "Train/dog/.hidden.png").write_text("not looked at")
    found = check(tmp_path)
    examples = found.examples
    assert examples is not None and found.warnings == ["1 files are no images and were passed over."]
    assert examples.class_names == ("cat", "dog")
    assert examples.paths[:2] == ("Train/cat/deep/1.jpg", "Train/dog/1.jpg")
    assert examples.split.tolist() == ["train", "train", "validation", "validation", "test"]


def test_class_folders_alone_with_a_share(tmp_path: Path, paint: Paint, check: Check) -> None:
    for i in range(30):
        paint(tmp_path / ("10" if i < 20 else "9") / f"{i:02d}.png", i)
    assert "There is no validation split" in messages(check(tmp_path))[0]
    found = check(tmp_path, validation_share=0.2, test_share=0.1, seed=3)
    examples = found.examples
    assert examples is not None and examples.class_names == ("9", "10")
    counts = {s.value: np.bincount(examples.label[examples.positions(s)]).tolist() for s in Split}
    assert counts == {"train": [7, 14], "validation": [2, 4], "test": [1, 2]}
    again, other = (check(tmp_path, validation_share=0.2, test_share=0.1, seed=s).examples for s in (3, 4))
    assert again is not None and other is not None
    assert examples.fingerprint == again.fingerprint != other.fingerprint


def test_folder_without_classes(tmp_path: Path, paint: Paint, check: Check) -> None:
    paint(tmp_path / "1.png", 1)
    found = messages(check(tmp_path))
    assert any("1.png: The image lies in no class folder" in m for m in found)
    assert any("has no class folders" in m for m in found)


def test_split_folders_without_classes(tmp_path: Path, paint: Paint, check: Check) -> None:
    paint(tmp_path / "train" / "1.png", 1)
    paint(tmp_path / "val" / "2.png", 2)
    found = messages(check(tmp_path))
    assert any(m.startswith("train: The folder has no class folders") for m in found)
    assert any(m.startswith("val/2.png: The image lies in no class folder") for m in found)


def test_empty_folders(tmp_path: Path, paint: Paint, check: Check) -> None:
    assert "has no class folders" in messages(check(tmp_path))[0]
    paint(tmp_path / "cat" / "1.png", 1)
    (tmp_path / "dog").mkdir()
    assert "dog: The class folder holds no image." in messages(check(tmp_path, validation_share=0.5))


def test_two_folders_for_one_split(tmp_path: Path, paint: Paint, check: Check) -> None:
    for place in ("train/cat", "val/cat", "validation/cat"):
        paint(tmp_path / place / "1.png", 1)
    assert messages(check(tmp_path)) == [
        "validation: The folders val and validation mean the same split. Keep one of them."
    ]


def test_class_only_in_validation(tmp_path: Path, paint: Paint, check: Check) -> None:
    for i, place in enumerate(("train/cat", "train/dog", "val/cat", "val/eel")):
        paint(tmp_path / place / "1.png", i)
    assert messages(check(tmp_path)) == [
        "class folder: The class 'eel' has no training example, only 1 validation. Add some, or leave the class out."
    ]


def test_a_class_may_be_called_test(tmp_path: Path, paint: Paint, check: Check) -> None:
    for i in range(8):
        paint(tmp_path / ("test" if i % 2 else "car") / f"{i}.png", i)
    examples = check(tmp_path, validation_share=0.25).examples
    assert examples is not None and examples.class_names == ("car", "test")


def test_class_too_small_for_its_share(tmp_path: Path, paint: Paint, check: Check) -> None:
    paint(tmp_path / "cat" / "1.png", 1)
    for i in range(4):
        paint(tmp_path / "dog" / f"{i}.png", i)
    assert "The class 'cat' has too few training examples" in messages(check(tmp_path, validation_share=0.2))[0]


def test_shares_of_everything_leave_no_training(tmp_path: Path, paint: Paint, check: Check) -> None:
    for i in range(8):
        paint(tmp_path / "ab"[i % 2] / f"{i}.png", i)
    assert "must be below 1" in messages(check(tmp_path, validation_share=0.5, test_share=0.5))[0]


def test_a_folder_with_a_manifest_is_read_by_it(digits_manifest: Path, check: Check) -> None:
    by_folder, by_file = check(digits_manifest.parent).examples, check(digits_manifest).examples
    assert by_folder is not None and by_file is not None and by_folder.fingerprint == by_file.fingerprint
    assert set(by_folder.attributes) == {"border"}


@given(
    st.lists(st.integers(-1, 3), min_size=1, max_size=200), st.floats(0.05, 0.45), st.floats(0.05, 0.45), st.integers()
)
def test_shares_are_stratified_disjoint_and_repeatable(
    labels: list[int], share: float, other: float, seed: int
) -> None:
    label = np.array(labels)
    shares = {Split.VALIDATION: share, Split.TEST: other}
    taken, short = taken_from_train(label, shares, seed)
    assert (taken[label < 0] == "").all()
    for c in set(labels) - {-1}:
        n = int((label == c).sum())
        sizes = {s: max(1, round(x * n)) for s, x in shares.items()}
        inside = taken[label == c]
        if c in short:
            assert sum(sizes.values()) >= n and (inside == "").all()
        else:
            assert {s: int((inside == s.value).sum()) for s in shares} == sizes and (inside == "").any()
    assert np.array_equal(taken, taken_from_train(label, shares, seed)[0])
