"""The public layouts: recognised, counted group by group, numbered label-major, and clear when something is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import layout_fixtures as made
import numpy as np
import pytest

from unskew.data import Examples, SourceCheck
from unskew.data.layouts import READERS, recognise
from unskew.groups import attribute_values, from_attribute
from unskew.schemas.enums import Layout, Split

Check = Callable[..., SourceCheck]


def group_counts(examples: Examples, attribute: str) -> dict[int, tuple[int, ...]]:
    """Split number → examples of group y * n + a."""
    column = examples.attributes[attribute]
    known = attribute_values(column)
    found = {}
    for number, split in enumerate(Split):
        rows = examples.positions(split)
        names = examples.class_names
        found[number] = tuple(
            from_attribute(column[rows], examples.label[rows], class_names=names, known_values=known).counts.tolist()
        )
    return found


def whole(found: SourceCheck, layout: Layout) -> Examples:
    assert found.examples is not None, found.problems
    assert found.layout is found.examples.layout is layout
    return found.examples


def test_every_layout_has_a_reader() -> None:
    assert [reader.layout for reader in READERS if list(Layout).count(reader.layout) != 1] == []
    assert {reader.layout for reader in READERS} == set(Layout)


@pytest.mark.parametrize("build", [made.waterbirds, made.waterbirds_subpop])
def test_waterbirds_in_both_conventions(build: Callable[[Path], Path], tmp_path: Path, check: Check) -> None:
    examples = whole(check(build(tmp_path)), Layout.WATERBIRDS)
    assert examples.class_names == ("landbird", "waterbird")
    assert attribute_values(examples.attributes["place"]) == ("land", "water")
    assert group_counts(examples, "place") == made.BIRDS


def test_the_table_of_a_folder_may_be_named_itself(tmp_path: Path, check: Check) -> None:
    made.waterbirds(tmp_path)
    by_table = check(tmp_path / "metadata.csv", layout=Layout.WATERBIRDS)
    assert whole(by_table, Layout.WATERBIRDS).fingerprint == whole(check(tmp_path), Layout.WATERBIRDS).fingerprint


def test_metadata_of_another_set_keeps_its_numbers(tmp_path: Path, check: Check) -> None:
    rows = [(i, f"{i}.png", i % 3, i % 2, i % 5) for i in range(30)]
    for i in range(30):
        made.paint(tmp_path / "images" / f"{i}.png")
    made.write_csv(tmp_path / "metadata_metashift.csv", ("id", "filename", "split", "y", "a"), rows)
    examples = whole(check(tmp_path), Layout.GROUP_METADATA)
    assert examples.class_names == ("0", "1") and examples.label.tolist() == [i % 2 for i in range(30)]
    assert examples.attributes["a"].tolist() == [str(i % 5) for i in range(30)]
    train = from_attribute(
        examples.attributes["a"][examples.positions("train")],
        examples.label[examples.positions("train")],
        class_names=examples.class_names,
    )
    y, a = np.array([i % 2 for i in range(0, 30, 3)]), np.array([i % 5 for i in range(0, 30, 3)])
    assert train.group.tolist() == (5 * y + a).tolist()  # label-major, as every published loader numbers


@pytest.mark.parametrize("text", [False, True])
def test_celeba_blond(text: bool, tmp_path: Path, check: Check) -> None:
    examples = whole(check(made.celeba(tmp_path, text=text)), Layout.CELEBA_BLOND)
    assert examples.class_names == ("not blond", "blond")  # 0, 1 as published, not by alphabet
    assert attribute_values(examples.attributes["gender"]) == ("female", "male")
    assert group_counts(examples, "gender") == made.FACES
    others = {name for name in made.ATTRIBUTES if name not in ("Male", "Blond_Hair")}
    assert set(examples.attributes) == {"gender"} | others
    assert set(examples.attributes["Young"].tolist()) == {"no", "yes"}


def test_celeba_as_group_dro_keeps_it(tmp_path: Path, check: Check) -> None:
    made.celeba(tmp_path / "data")
    whole(check(tmp_path), Layout.CELEBA_BLOND)


@pytest.mark.parametrize(
    ("train", "minority"),
    [((9, 16, 30, 12), 4), ((3, 40, 30, 12), 3)],  # limited by old men, by old women
)
def test_celeba_age_subsamples_four_to_one(
    train: tuple[int, int, int, int], minority: int, tmp_path: Path, check: Check
) -> None:
    counts = {0: train, 1: (5, 8, 9, 6), 2: (3, 4, 5, 6)}
    made.celeba(tmp_path, rows=made.faces_by_age(counts))
    found = check(tmp_path, layout=Layout.CELEBA_AGE)
    examples = whole(found, Layout.CELEBA_AGE)
    assert examples.class_names == ("old", "young")
    m = minority
    assert group_counts(examples, "gender") == {0: (m, 4 * m, 4 * m, m), 1: (5, 5, 5, 5), 2: counts[2]}
    assert any("left out by the 4 : 1 rule" in warning for warning in found.warnings)
    everyone = whole(check(tmp_path), Layout.CELEBA_BLOND)
    kept = set(examples.paths)
    for split in ("train", "validation"):  # the first of each group in file order, and in that order
        for age in ("no", "yes"):
            for gender in ("female", "male"):
                young, man = everyone.attributes["Young"], everyone.attributes["gender"]
                rows = np.flatnonzero((everyone.split == split) & (young == age) & (man == gender))
                inside = [everyone.paths[row] in kept for row in rows]
                assert inside == sorted(inside, reverse=True)
    assert list(examples.paths) == sorted(examples.paths)


@pytest.mark.parametrize("kind", ["torchvision", "kaggle", "tiny"])
def test_imagenet(kind: str, tmp_path: Path, check: Check) -> None:
    examples = whole(check(made.imagenet(tmp_path, kind=kind)), Layout.IMAGENET)
    word = "" if kind == "torchvision" else " tench"
    assert examples.class_names[0] == f"n01440764{word}" and examples.class_names[3] == "n07745940"
    counts = {s.value: np.bincount(examples.label[examples.positions(s)]).tolist() for s in Split}
    # a tenth of 20, 21, 22, 23 is held out; the published validation images are the test
    assert counts == {"train": [18, 19, 20, 21], "validation": [2, 2, 2, 2], "test": [5, 5, 5, 5]}
    again = check(tmp_path, validation_share=0.25, seed=1).examples
    assert again is not None and np.bincount(again.label[again.positions("validation")]).tolist() == [5, 5, 6, 6]


def test_imagenet_validation_of_an_unknown_class(tmp_path: Path, check: Check) -> None:
    made.imagenet(tmp_path)
    made.paint(tmp_path / "val/n00000001/x.JPEG")
    (problem,) = check(tmp_path).problems
    assert "'n00000001' has no folder in train" in problem.message


def test_camelyon17(tmp_path: Path, check: Check) -> None:
    found = check(made.camelyon17(tmp_path))
    examples = whole(found, Layout.CAMELYON17)
    assert examples.class_names == ("normal", "tumor")
    hospital = examples.attributes["hospital"]
    of = {split: set(hospital[examples.positions(split)].tolist()) for split in Split}
    assert of == {Split.TRAIN: {"0", "3", "4"}, Split.VALIDATION: {"1"}, Split.TEST: {"2"}}
    assert len(examples) == 37 and any("3 in-distribution" in warning for warning in found.warnings)


def test_iwildcam(tmp_path: Path, check: Check) -> None:
    found = check(made.iwildcam(tmp_path))
    examples = whole(found, Layout.IWILDCAM)
    assert examples.class_names == ("agouti", "ocelot")
    assert [len(examples.positions(s)) for s in Split] == [12, 6, 4]
    assert attribute_values(examples.attributes["location"]) == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("name", ["attributes", "metadata"])
def test_class_folders_with_a_table_of_attributes(suffix: str, name: str, tmp_path: Path, check: Check) -> None:
    import pandas as pd

    rows = [(f"{s}/{c}/{i}.png", "grass" if i else "sky") for s in ("train", "val") for c in "ab" for i in range(2)]
    for path, _ in rows:
        made.paint(tmp_path / path)
    table = pd.DataFrame(rows[:-1], columns=["file_name", "background"])
    writers = {"csv": lambda p: table.to_csv(p, index=False), "parquet": table.to_parquet}
    writers["jsonl"] = lambda p: table.to_json(p, orient="records", lines=True)
    writers[suffix](tmp_path / f"{name}.{suffix}")
    found = check(tmp_path)
    examples = whole(found, Layout.FOLDER)
    assert examples.attributes["background"].tolist() == ["sky", "grass"] * 3 + ["sky", ""]
    assert any("1 images have no row" in warning for warning in found.warnings)


def test_a_table_in_each_split_folder(tmp_path: Path, check: Check) -> None:
    for split in ("train", "val"):
        for c in "ab":
            made.paint(tmp_path / split / c / "1.png")
        made.write_csv(tmp_path / split / "metadata.csv", ("file_name", "by"), [("a/1.png", "me"), ("b/1.png", split)])
    examples = whole(check(tmp_path), Layout.FOLDER)
    assert examples.attributes["by"].tolist() == ["me", "train", "me", "val"]


def test_a_row_for_an_image_that_is_not_there(tmp_path: Path, check: Check) -> None:
    for path in ("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"):
        made.paint(tmp_path / path)
    made.write_csv(tmp_path / "attributes.csv", ("path", "light"), [("train/a/1.png", "dim"), ("train/a/2.png", "dim")])
    (problem,) = check(tmp_path).problems
    assert (problem.row, problem.value) == (3, "train/a/2.png") and "no such image" in problem.message


def test_json_lines_read_like_csv(tmp_path: Path, check: Check) -> None:
    made.paint(tmp_path / "a.png"), made.paint(tmp_path / "b.png"), made.paint(tmp_path / "c.png")
    made.paint(tmp_path / "d.png")
    lines = [
        '{"path": "a.png", "label": 0, "split": "train", "wild": true}',
        "",
        '{"path": "b.png", "label": 1, "split": "train", "score": 2.5}',
        '{"path": "c.png", "label": 0, "split": "val", "wild": null}',
        '{"label": 1, "path": "d.png", "split": "val"}',
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    examples = whole(check(tmp_path), Layout.MANIFEST)
    assert examples.label.tolist() == [0, 1, 0, 1]
    assert examples.attributes["wild"].tolist() == ["true", "", "", ""]
    assert examples.attributes["score"].tolist() == ["", "2.5", "", ""]


@pytest.mark.parametrize("layout", [layout for layout in Layout if layout is not Layout.FOLDER])
def test_a_forced_layout_says_what_it_misses(layout: Layout, tmp_path: Path, check: Check) -> None:
    for path in ("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"):
        made.paint(tmp_path / path)
    assert recognise(tmp_path) is Layout.FOLDER
    found = check(tmp_path, layout=layout)
    assert found.examples is None and found.layout is layout
    assert found.problems and all(problem.message.endswith(".") for problem in found.problems)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("y", "2", "The class '2' is unknown; known are landbird (0), waterbird (1)."),
        ("place", "forest", "place is 'forest'; known are land (0), water (1)."),
        ("split", "3", "The split '3' is unknown."),
        ("y", "", "The label is missing."),
        ("img_filename", "", "The path is empty."),
    ],
)
def test_waterbirds_with_a_wrong_cell(column: str, value: str, message: str, tmp_path: Path, check: Check) -> None:
    import pandas as pd

    made.waterbirds(tmp_path)
    table = pd.read_csv(tmp_path / "metadata.csv", dtype=str)
    table.loc[4, column] = value
    table.to_csv(tmp_path / "metadata.csv", index=False)
    found = check(tmp_path)
    assert [(p.row, p.field) for p in found.problems] == [(6, column)] and message in found.problems[0].message


def test_celeba_lists_that_do_not_fit(tmp_path: Path, check: Check) -> None:
    made.celeba(tmp_path, text=True)
    lists = {name: (tmp_path / name).read_text() for name in ("list_attr_celeba.txt", "list_eval_partition.txt")}
    cases = {
        "list_attr_celeba.txt": [
            (lambda t: t.replace("\n", "\n\n", 1).replace(t.split("\n")[0], "99", 1), "promises 99 images"),
            (lambda t: t.replace(" Male", "", 1), "has"),
            (lambda t: t.replace("Young", "Aged"), None),
            (lambda t: t.replace(" -1", " 7", 1), "7"),
        ],
        "list_eval_partition.txt": [(lambda t: t.split("\n", 1)[1], "not in list_eval_partition.txt")],
    }
    for name, changes in cases.items():
        for change, message in changes:
            (tmp_path / name).write_text(change(lists[name]))
            found = check(tmp_path)
            if message is not None:
                assert any(message in p.message for p in found.problems), (name, message, found.problems)
            (tmp_path / name).write_text(lists[name])
    (tmp_path / "list_attr_celeba.txt").write_text(lists["list_attr_celeba.txt"].replace("Young", "Aged"))
    found = check(tmp_path, layout=Layout.CELEBA_AGE)
    assert "has no column 'Young'" in found.problems[0].message
