"""The demo set is the published one, written once and whole."""

from __future__ import annotations

import threading
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from unskew.data import DEMO_IMAGE_SIZE, Examples, build_demo, demo_data, load_pixels, load_project_source
from unskew.errors import DataError, SettingsError
from unskew.groups import from_attribute
from unskew.schemas.params import ImportParams


def read(manifest: Path) -> Examples:
    return load_project_source(ImportParams(source=str(manifest), name="demo", image_size=DEMO_IMAGE_SIZE))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo") / "set")


def digest(examples: Examples, split: str) -> str:
    return sha256(load_pixels(examples, split, DEMO_IMAGE_SIZE).tobytes()).hexdigest()[:16]


def test_pixels_are_those_of_the_recipe(demo: Path) -> None:
    examples = read(demo)
    assert {s: digest(examples, s) for s in ("train", "validation", "test")} == {
        "train": "40722ef9ab093297",
        "validation": "a1d06b8371ebf93d",
        "test": "033967285c9c5cfc",
    }


def test_the_planted_bias(demo: Path) -> None:
    examples = read(demo)
    assert examples.class_names == ("0-4", "5-9")
    counts = {}
    for split in ("train", "validation", "test"):
        rows = examples.positions(split)
        values = examples.attributes["background"][rows]
        grouping = from_attribute(values, examples.label[rows], class_names=examples.class_names)
        assert grouping.names[0] == "0-4 · brick"
        counts[split] = grouping.counts.tolist()
    assert counts["train"] == [76, 1434, 1415, 75]  # 95 % on the class's own background
    assert sum(counts["validation"]) == 800 and max(counts["validation"]) - min(counts["validation"]) <= 1
    assert sum(counts["test"]) == 1200


def test_a_second_call_changes_nothing(demo: Path) -> None:
    steps: list[tuple[int, int]] = []
    written = demo.stat().st_mtime_ns
    assert build_demo(demo.parent, on_step=lambda done, total: steps.append((done, total))) == demo
    assert demo.stat().st_mtime_ns == written and steps == []
    assert [p.name for p in demo.parent.parent.iterdir()] == [demo.parent.name]  # nothing left behind


def test_another_recipe_needs_another_folder(demo: Path) -> None:
    for other in ({"seed": 1}, {"validation": "skewed"}, {"skew": 0.9}):
        with pytest.raises(DataError, match="does not hold this very set"):
            build_demo(demo.parent, **other)  # type: ignore[arg-type]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="not empty"):
        build_demo(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_skewed_validation_differs_in_validation_only(demo: Path, tmp_path: Path) -> None:
    examples = read(build_demo(tmp_path / "skewed", validation="skewed"))
    assert digest(examples, "train") == "40722ef9ab093297" and digest(examples, "validation") == "c8d4cd55970929e6"
    rows = examples.positions("validation")
    own = np.where(examples.label[rows] == 0, "grass", "brick")
    assert (examples.attributes["background"][rows] == own).mean() == pytest.approx(0.95, abs=0.005)


def test_arrays_without_files(demo: Path) -> None:
    data = demo_data()
    assert np.array_equal(data.train.inputs, load_pixels(read(demo), "train", DEMO_IMAGE_SIZE))
    plain = demo_data(skew=0.5, validation="skewed")
    own = np.where(plain.train.label == 0, "grass", "brick")
    assert (plain.train.attributes["background"] == own).mean() == pytest.approx(0.5, abs=0.001)
    with pytest.raises(SettingsError, match="skew is"):
        demo_data(skew=0.3)


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_demo(tmp_path / "set", on_step=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_builds_at_once_make_one(tmp_path: Path) -> None:
    found: list[Path] = []
    steps: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(build_demo(tmp_path / "set", on_step=lambda done, _: steps.append(done)))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "set" / "manifest.csv"] * 2
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert len(read(found[0])) == 5000 and steps.count(5000) == 2
