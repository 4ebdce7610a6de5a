"""Manifests: what is read, and one clear problem with its line for everything that cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unskew.data import SourceCheck, check_source, load_project_source
from unskew.errors import DataError, Stopped
from unskew.schemas.params import ImportParams

Manifest = Callable[..., Path]
Check = Callable[..., SourceCheck]
Rows = list[tuple[str, str, str]]


def only(check: SourceCheck) -> tuple[int | None, str, str, str]:
    """The single problem of a check."""
    assert check.examples is None and check.n_problems == len(check.problems) == 1, check.problems
    problem = check.problems[0]
    return problem.row, problem.field, problem.value, problem.message


def test_rows_keep_their_order(manifest: Manifest, check: Check) -> None:
    header = ("path", "label", "split", "colour")
    rows = [
        ("x/a.png", "2", "train", "red"),
        ("b.png", "10", "0", ""),
        ("c.png", "2", "VAL", "blue"),
        ("d.png", "10", "valid", "NaN"),
        ("e.png", "10", "2", "red"),
    ]
    found = check(manifest(rows, header))
    examples = found.examples
    assert examples is not None and found.n_problems == 0 and found.warnings == []
    assert examples.class_names == ("2", "10")  # numeric order
    assert examples.label.tolist() == [0, 1, 0, 1, 1]
    assert examples.split.tolist() == ["train", "train", "validation", "validation", "test"]
    assert examples.attributes["colour"].tolist() == ["red", "", "blue", "", "red"]
    assert examples.positions("validation").tolist() == [2, 3]
    assert examples.paths[0] == "x/a.png" and examples.file(0).is_file()
    assert len(examples) == len(examples.content_hash) == 5 and len(examples.fingerprint) == 64


def test_parquet_reads_like_csv(manifest: Manifest, check: Check, good: Rows, tmp_path: Path) -> None:
    from_csv = check(manifest(good)).examples
    table = pd.DataFrame(good, columns=["path", "label", "split"])
    table["label"] = table["label"].map({"cat": 0, "dog": 1})
    table["score"] = [1.0, np.nan, 2.5, 3.0, 4.0]
    table.to_parquet(tmp_path / "table.parquet")
    found = check(tmp_path / "table.parquet").examples
    assert found is not None and from_csv is not None
    assert found.class_names == ("0", "1") and found.label.tolist() == from_csv.label.tolist()
    assert found.content_hash == from_csv.content_hash
    assert found.attributes["score"].tolist() == ["1", "", "2.5", "3", "4"]


def test_the_fast_check_reads_no_image(manifest: Manifest, check: Check, good: Rows, tmp_path: Path) -> None:
    file = manifest(good)
    (tmp_path / "a.png").write_bytes(b"no image at all")
    found = check(file, decode=False)
    assert found.examples is not None
    assert found.examples.content_hash == () and found.examples.fingerprint == ""
    assert only(check(file))[0] == 2


def test_missing_column(manifest: Manifest, check: Check, good: Rows) -> None:
    row, field, value, message = only(check(manifest(good, ("path", "target", "split"))))
    assert (row, field, value) == (1, "label", "path, target, split")
    assert "'label' is missing; found: path, target, split" in message and "label_column" in message
    assert check(manifest(good, ("path", "target", "split")), label_column="target").n_problems == 0


def test_missing_split_column_is_fine_with_a_share(manifest: Manifest, check: Check) -> None:
    rows = [(f"{i}.png", "cat" if i % 2 else "dog") for i in range(20)]
    file = manifest(rows, ("path", "label"))
    assert "set validation_share" in only(check(file))[3]
    examples = check(file, validation_share=0.2).examples
    assert examples is not None
    assert np.bincount(examples.label[examples.positions("validation")]).tolist() == [2, 2]


def test_missing_file(manifest: Manifest, check: Check, good: Rows) -> None:
    row, field, value, message = only(check(manifest(good, without=["d.png"])))
    assert (row, field, value, message) == (5, "path", "d.png", "There is no such file.")


def test_duplicate_path(manifest: Manifest, check: Check, good: Rows) -> None:
    row, field, value, message = only(check(manifest([*good, ("./a.png", "cat", "test")])))
    assert (row, field, value) == (7, "path", "./a.png") and "appears already on line 2" in message


def test_unknown_split(manifest: Manifest, check: Check, good: Rows) -> None:
    row, field, value, message = only(check(manifest([*good, ("f.png", "cat", "holdout")])))
    assert (row, field, value) == (7, "split", "holdout") and "Use train, validation" in message


def test_class_seen_only_in_validation(manifest: Manifest, check: Check, good: Rows) -> None:
    file = manifest([*good, ("f.png", "eel", "validation"), ("g.png", "eel", "validation")])
    row, field, value, message = only(check(file))
    assert (row, field, value) == (7, "label", "eel")
    assert "no training example, only 2 validation" in message


def test_class_not_in_validation_is_a_warning(manifest: Manifest, check: Check, good: Rows) -> None:
    found = check(manifest([*good, ("f.png", "eel", "train")]))
    assert found.n_problems == 0 and any("'eel' has no validation example" in w for w in found.warnings)


def test_truncated_image(manifest: Manifest, check: Check, good: Rows, tmp_path: Path) -> None:
    file = manifest(good)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    row, field, value, message = only(check(file))
    assert (row, field, value) == (3, "path", "b.png") and "truncated or damaged" in message


def test_empty_file_and_a_folder_in_place_of_a_file(
    manifest: Manifest, check: Check, good: Rows, tmp_path: Path
) -> None:
    (tmp_path / "f.png").touch()
    (tmp_path / "g.png").mkdir()
    found = check(manifest([*good, ("f.png", "cat", "train"), ("g.png", "cat", "train")]))
    assert [(p.row, p.message) for p in found.problems] == [(7, "The file is empty."), (8, "The path is not a file.")]


def test_missing_label(manifest: Manifest, check: Check, good: Rows) -> None:
    found = check(manifest([*good, ("f.png", "", "train"), ("g.png", "nan", "train")]))
    assert [(p.row, p.field, p.message) for p in found.problems] == [
        (7, "label", "The label is missing."),
        (8, "label", "The label is missing."),
    ]


def test_no_validation_split(manifest: Manifest, check: Check, good: Rows) -> None:
    file = manifest([(p, label, "train") for p, label, _ in good])
    row, _, _, message = only(check(file))
    assert row is None and "There is no validation split" in message and "validation_share" in message


def test_one_class_is_no_classifier(manifest: Manifest, check: Check, good: Rows) -> None:
    assert "only one class (cat)" in only(check(manifest([(p, "cat", s) for p, _, s in good])))[3]


@pytest.mark.parametrize("path", ["../outside.png", "sub/../../outside.png"])
def test_relative_path_must_not_leave_the_folder(
    path: str, manifest: Manifest, check: Check, good: Rows, tmp_path: Path, paint: Callable[..., Path]
) -> None:
    paint(tmp_path.parent / "outside.png", 99)
    row, _, value, message = only(check(manifest([*good, (path, "cat", "train")])))
    assert (row, value) == (7, path) and "leads out of the manifest's folder" in message


def test_symbolic_link_must_not_leave_the_folder(
    manifest: Manifest, check: Check, good: Rows, tmp_path: Path, paint: Callable[..., Path]
) -> None:
    secret = paint(tmp_path.parent / "secret" / "s.png", 99)
    os.symlink(secret, tmp_path / "f.png")
    os.symlink(secret.parent, tmp_path / "folder")
    os.symlink(tmp_path / "a.png", tmp_path / "inside.png")
    rows = [*good, ("f.png", "cat", "train"), ("folder/s.png", "cat", "train"), ("inside.png", "cat", "train")]
    found = check(manifest(rows, without=["f.png", "folder/s.png", "inside.png"]))
    assert [p.row for p in found.problems] == [7, 8]
    assert all("leads out" in p.message for p in found.problems)


def test_absolute_paths_are_allowed_and_recorded(
    manifest: Manifest, check: Check, good: Rows, tmp_path: Path, paint: Callable[..., Path]
) -> None:
    elsewhere = paint(tmp_path.parent / "elsewhere" / "x.png", 99)
    found = check(manifest([*good, (str(elsewhere), "cat", "train")]))
    assert found.n_problems == 0 and any("1 rows name files by absolute paths" in w for w in found.warnings)
    assert found.examples is not None and found.examples.file(5) == elsewhere


def test_every_problem_is_found_at_once(manifest: Manifest, check: Check, good: Rows) -> None:
    rows = [
        *good,
        ("f.png", "cat", "nowhere"),
        ("missing.png", "cat", "train"),
        ("g.png", "", "train"),
        ("a.png", "cat", "train"),
    ]
    found = check(manifest(rows, without=["missing.png"]))
    assert [(p.row, p.field) for p in found.problems] == [(7, "split"), (8, "path"), (9, "label"), (10, "path")]


def test_listing_is_capped_but_all_are_counted(manifest: Manifest, check: Check, good: Rows) -> None:
    lost = [(f"lost/{i}.png", "cat", "train") for i in range(500)]
    found = check(manifest([*good, *lost], without=[p for p, _, _ in lost]), decode=False)
    assert (len(found.problems), found.n_problems) == (200, 500)


def test_lines_are_those_of_the_file(check: Check, tmp_path: Path, paint: Callable[..., Path]) -> None:
    for name in "abcd":
        paint(tmp_path / f"{name}.png", ord(name))
    text = (
        'path,label,split,note\na.png,cat,train,"two\nlines"\n\nb.png,dog,train,x\nc.png,cat,val\nd.png,cat,nowhere,y\n'
    )
    (tmp_path / "m.csv").write_text(text)
    found = check(tmp_path / "m.csv")
    assert [(p.row, p.field) for p in found.problems if p.row] == [(6, "row"), (7, "split")]
    assert "has 3 fields; the header has 4" in found.problems[0].message


def test_byte_order_mark_and_blanks_are_forgiven(check: Check, tmp_path: Path, paint: Callable[..., Path]) -> None:
    for i in range(4):
        paint(tmp_path / f"{i}.png", i)
    lines = ["path, label, split", "0.png, cat, train", "1.png, dog, train", "2.png, cat, val", "3.png, dog, val"]
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    examples = check(tmp_path / "m.csv").examples
    assert examples is not None and examples.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "'path' is missing; found: none"),
        (b"path,label,split\n", "The manifest has no rows"),
        (b"path,label,split\n\xff\xfe.png,cat,train\n", "not UTF-8"),
        (b"path,label,path,split\na.png,cat,a.png,train\n", "'path' appears 2 times"),
    ],
)
def test_manifests_that_are_none(content: bytes, message: str, check: Check, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    found = check(tmp_path / "m.csv")
    assert found.examples is None and any(message in p.message for p in found.problems), found.problems


def test_sources_that_are_none(check: Check, tmp_path: Path) -> None:
    assert "There is no such file or folder" in only(check(tmp_path / "nothing"))[3]
    (tmp_path / "data.json").write_text("{}")
    assert "ends in .csv, .parquet, .jsonl, not '.json'" in only(check(tmp_path / "data.json"))[3]
    (tmp_path / "broken.parquet").write_bytes(b"PAR0")
    assert "cannot be read" in only(check(tmp_path / "broken.parquet"))[3]
    assert "build_set" in only(check("demo"))[3]


def test_leaks_and_repeats_are_warnings(manifest: Manifest, check: Check, good: Rows, tmp_path: Path) -> None:
    file = manifest([*good, ("f.png", "cat", "validation"), ("g.png", "cat", "train")])
    (tmp_path / "f.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "g.png").write_bytes((tmp_path / "b.png").read_bytes())
    found = check(file)
    assert found.n_problems == 0
    assert "1 validation images are also in train, a leak: f.png." in found.warnings
    assert "1 train images repeat another of the same split." in found.warnings


def test_attribute_with_a_value_for_every_row_is_a_warning(manifest: Manifest, check: Check) -> None:
    rows = [(f"{i}.png", str(i % 2), "val" if i < 4 else "train", f"id{i}") for i in range(60)]
    found = check(manifest(rows, ("path", "label", "split", "id")), decode=False)
    assert any("'id' has 60 different values" in w for w in found.warnings)


def test_fingerprint_follows_the_data_and_not_the_place(
    manifest: Manifest, check: Check, good: Rows, tmp_path: Path
) -> None:
    first = check(manifest(good)).examples
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    second = check(moved / "manifest.csv").examples
    assert first is not None and second is not None and first.fingerprint == second.fingerprint
    text = (moved / "manifest.csv").read_text()
    (moved / "manifest.csv").write_text(text.replace("a.png,cat", "a.png,dog").replace("b.png,dog", "b.png,cat"))
    third = check(moved / "manifest.csv").examples
    assert third is not None and third.fingerprint != first.fingerprint


def test_loading_raises_with_the_rows(manifest: Manifest, good: Rows) -> None:
    file = manifest(good, without=["a.png", "b.png"])
    with pytest.raises(DataError) as caught:
        load_project_source(ImportParams(source=str(file), name="x"))
    assert [r.row for r in caught.value.rows] == [2, 3]
    assert "line 2, path: There is no such file. (2 problems in all)" in caught.value.what
    assert "Nothing was imported" in caught.value.fix


def test_a_long_check_reports_and_stops(manifest: Manifest, good: Rows) -> None:
    params, seen = ImportParams(source=str(manifest(good)), name="x"), []
    check_source(params, decode=True, on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(5, 5)]
    with pytest.raises(Stopped):
        check_source(params, decode=True, should_stop=lambda: True)
