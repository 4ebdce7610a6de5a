"""Malformed manifests: CSV, Parquet, JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_house import GOOD, Case, changed, checked, good_set, sparse, text

HEAD, *ROWS = GOOD.splitlines(keepends=True)
GB = 1024**3


def json_lines(*extra: str) -> Callable[[Path], Path]:
    rows = [dict(zip(("path", "label", "split"), row.strip().split(","), strict=True)) for row in ROWS]
    return text("\n".join([*(json.dumps(row) for row in rows), *extra]), "m.jsonl")


def parquet(change: Callable[[pd.DataFrame], Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        frame = pd.read_csv(folder / "m.csv", dtype=str)
        pq.write_table(pa.Table.from_pandas(change(frame), preserve_index=False), folder / "m.parquet")
        return folder / "m.parquet"

    return write


def bomb(folder: Path) -> Path:
    """A megabyte that unfolds to gigabytes."""
    table = pa.table({"path": pa.DictionaryArray.from_arrays(pa.repeat(0, 2_200).cast(pa.int32()), ["x" * 2**20])})
    writer = pq.ParquetWriter(folder / "m.parquet", table.schema, compression="zstd")
    writer.write_table(table)
    writer.close()
    return folder / "m.parquet"


CASES = [
    # ---- the file
    Case("empty file", text(""), "found: none. The table is empty", 1, "path"),
    Case("blank lines only", text("\n\n\n"), "The column 'path' is missing", 1, "path"),
    Case("header only", text(HEAD), "The manifest has no rows."),
    Case("no such file", lambda f: f / "nothing.csv", "There is no such file or folder. Check the path."),
    Case("json in place of a table", text("{}", "m.json"), "A table ends in .csv, .parquet, .jsonl, not '.json'."),
    Case("no ending", text(GOOD, "manifest"), "not 'in nothing'"),
    Case("excel", text(b"PK\x03\x04", "m.xlsx"), "not '.xlsx'"),
    Case("tab-separated as csv", text(GOOD.replace(",", "\t")), "split. The columns are parted by tabs: save", 1),
    Case("semicolons", text(GOOD.replace(",", ";")), "split. The columns are parted by semicolons: save", 1),
    Case("a picture called csv", text(b"\x89PNG\r\n\x1a\n\x00\x00"), "The file is not UTF-8 text. Save it as UTF-8."),
    Case("latin-1", text(GOOD.replace("cat", "chät").encode("latin-1")), "The file is not UTF-8 text."),
    Case("utf-16", text(GOOD.encode("utf-16")), "The file is not UTF-8 text."),
    Case("broken utf-8 late", text(GOOD.encode() + b"e.png,\xff\xfe,val\n"), "The file is not UTF-8 text."),
    Case("10 GB", lambda f: sparse(f / "m.csv", 10 * GB), "The file has 10,737,418,240 bytes; the limit is"),
    Case("10 GB of json", lambda f: sparse(f / "m.jsonl", 10 * GB), "bytes; the limit is"),
    Case("10 GB of parquet", lambda f: sparse(f / "m.parquet", 10 * GB), "bytes; the limit is"),
    Case("a path with a zero byte", lambda f: Path(f"{f}/m\0.csv"), "There is no such file or folder."),
    Case("a very long path", lambda f: f / ("x" * 5000), "It cannot be read"),
    # ---- the header
    Case("no path column", changed("path", "file"), "'path' is missing; found: file, label, split.", 1, "path"),
    Case("no label column", changed("label", "class"), "'label' is missing; found: path, class, split.", 1, "label"),
    Case("no split column", changed("split", "fold"), "set validation_share to take", 1, "split"),
    Case("path twice", changed("path,label", "path,path,label"), "The column 'path' appears 2 times.", 1, "path"),
    Case("an attribute twice", text("path,label,split,a,a\n"), "The column 'a' appears 2 times.", 1, "a"),
    Case("another case", changed("path", "Path"), "The column 'path' is missing; found: Path", 1),
    Case("a named column that is not there", text(GOOD), "'image' is missing",
         1, "image", {"path_column": "image"}),
    Case("label column is the path column", text(GOOD), "name different columns", 1, None, {"label_column": "path"}),
    # ---- rows
    Case("a field too few", changed("b.png,dog,train", "b.png,dog"), "The row has 2 fields; the header has", 3, "row"),
    Case("a field too many", changed("b.png,dog,train", "b.png,dog,train,x"), "The row has 4 fields", 3, "row"),
    Case("a comma in a name", changed("a.png", "a,b.png"), "The row has 4 fields; the header has 3.", 2, "row"),
    Case("an open quote", changed("c.png", '"c.png'), "The row has 1 fields", 4, "row"),
    Case("a zero byte", changed("b.png", "b\0.png"), "zero byte", 3, "path"),
    Case("a field of a megabyte", changed("dog,val", "d" * 2**20 + ",val"), "field larger than field limit", 5, "row"),
    Case("an empty path", changed("b.png,", ","), "The path is empty.", 3, "path"),
    Case("a blank path", changed("b.png,", " ,"), "The path is empty.", 3, "path"),
    Case("no such image", changed("b.png", "lost.png"), "There is no such file.", 3, "path"),
    Case("a folder", changed("b.png", "."), "leads out of the", 3, "path"),
    Case("a web address", changed("b.png", "https://example.org/b.png"), "There is no such file.", 3, "path"),
    Case("out of the folder", changed("b.png", "../b.png"), "The path leads out of the manifest's folder.", 3, "path"),
    Case("a file of the system", changed("b.png", "../../../../../../../../../../etc/hostname"), "leads out of the", 3),
    Case("a device", changed("b.png", "/dev/zero"), "The path is not a file.", 3, "path"),
    Case("a name of 5,000 letters", changed("b.png", "b" * 5000), "The file cannot be read: File name too long.", 3),
    Case("a repeated path", changed("b.png", "a.png"), "The path appears already on line 2.", 3, "path"),
    Case("a repeated path, spelt otherwise", changed("b.png", "x/../a.png"), "appears already on line 2.", 3, "path"),
    Case("an empty label", changed("dog,train", ",train"), "The label is missing.", 3, "label"),
    Case("a label nan", changed("dog,train", "nan,train"), "The label is missing.", 3, "label"),
    Case("a label of blanks", changed("dog,train", "  ,train"), "The label is missing.", 3, "label"),
    Case("an unknown split", changed("dog,train", "dog,fold1"), "The split 'fold1' is unknown. Use train", 3, "split"),
    Case("an empty split", changed("dog,train", "dog,"), "The split '' is unknown.", 3, "split"),
    Case("split 3", changed("dog,train", "dog,3"), "The split '3' is unknown.", 3, "split"),
    Case("split -1", changed("dog,train", "dog,-1"), "The split '-1' is unknown.", 3, "split"),
    Case("split 0.0", changed("dog,train", "dog,0.0"), "The split '0.0' is unknown.", 3, "split"),
    # ---- what the rows mean together
    Case("one class", text(GOOD.replace("dog", "cat")), "There is only one class (cat). A classifier needs two."),
    Case("no training rows", text(GOOD.replace("train", "val")), "has no training example"),
    Case("no validation rows", text(GOOD.replace("val", "train")), "There is no validation split."),
    Case("no validation rows but test", text(GOOD.replace("val", "test")), "There is no validation split."),
    Case("a class only in validation", changed("dog,val", "eel,val"), "The class 'eel' has no training example", 5),
    Case("shares of more than all", text(GOOD.replace("val", "train")), "must be below 1", None, "validation_share",
         {"validation_share": 0.6, "test_share": 0.6}),
    Case("a class too small for a share", text(GOOD.replace("val", "train").replace("d.png,dog", "d.png,cat")),
         "The class 'dog' has too few training examples", None, "label", {"validation_share": 0.5}),
    # ---- JSON lines
    Case("json: empty", text("", "m.jsonl"), "The column 'path' is missing; found: none"),
    Case("json: not json", json_lines("path=a.png"), "The line is not valid JSON", 5, "row"),
    Case("json: cut off", json_lines('{"path": "e.png", "label'), "The line is not valid JSON", 5, "row"),
    Case("json: a list", json_lines('["e.png", "cat", "val"]'), "The line is no JSON object.", 5, "row"),
    Case("json: a number", json_lines("17"), "The line is no JSON object.", 5, "row"),
    Case("json: null", json_lines("null"), "The line is no JSON object.", 5, "row"),
    Case("json: nested", json_lines('{"path": "e.png", "label": {"a": 1}, "split": "val"}'), "a list or an object", 5),
    Case("json: a list as a cell", json_lines('{"path": ["a"], "label": 1, "split": "val"}'), "a list or an object", 5),
    Case("json: no path", json_lines('{"label": "cat", "split": "val"}'), "The path is empty.", 5, "path"),
    Case("json: null label", json_lines('{"path": "m.csv", "label": null, "split": "val"}'), "label is missing", 5),
    Case("json: a hundred thousand brackets", json_lines("[" * 100_000), "The line is not valid JSON", 5, "row"),
    Case("json: infinite", json_lines('{"path": "m.csv", "label": Infinity, "split": "val"}'), "no training", 5),
    Case("json: latin-1", text('{"path": "\xe4"}'.encode("latin-1"), "m.jsonl"), "The file is not UTF-8 text."),
    Case("json: one document", text(json.dumps([{"path": "a.png"}], indent=1), "m.jsonl"), "not valid JSON", 1, "row"),
    # ---- Parquet
    Case("parquet: empty file", text(b"", "m.parquet"), "The manifest cannot be read"),
    Case("parquet: a csv", text(GOOD, "m.parquet"), "The manifest cannot be read"),
    Case("parquet: magic only", text(b"PAR1" * 3, "m.parquet"), "The manifest cannot be read"),
    Case("parquet: no rows", parquet(lambda t: t.iloc[:0]), "The manifest has no rows."),
    Case("parquet: no label", parquet(lambda t: t.drop(columns="label")), "'label' is missing; found: path, split"),
    Case("parquet: a null path", parquet(lambda t: t.assign(path=[None, *t.path[1:]])), "path is empty.", 1, "path"),
    Case("parquet: nan labels", parquet(lambda t: t.assign(label=[float("nan"), 1, 0, 1])), "label is missing", 1),
    Case("parquet: half splits", parquet(lambda t: t.assign(split=[0, 0.5, 1, 1])), "'0.5' is unknown", 2),
    Case("parquet: unfolds to gigabytes", bomb, "unfold to more than"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_refused_and_says_why(case: Case, tmp_path: Path) -> None:
    found = checked(case, tmp_path / "set")
    assert found.examples is None and found.n_problems >= 1
    first = found.problems[0]
    assert case.message in first.message, found.problems
    assert first.message[0].isupper() and first.message.endswith((".", "?"))
    if case.row is not None:
        assert first.row == case.row, first
    if case.at is not None:
        assert first.field == case.at, first


def test_the_good_set_is_good(tmp_path: Path) -> None:
    """The control: without a fault nothing is found."""
    good_set(tmp_path / "set")
    found = checked(Case("good", text(GOOD), ""), tmp_path / "set")
    assert found.examples is not None and len(found.examples) == 4


FORGIVEN = [
    ("byte order mark", "\ufeff" + GOOD),
    ("carriage returns", GOOD.replace("\n", "\r\n")),
    ("old carriage returns", GOOD.replace("\n", "\r")),
    ("blank lines", GOOD.replace("\n", "\n\n")),
    ("blanks around cells", GOOD.replace(",", " , ").replace("png ", "png")),
    ("every cell quoted", "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in GOOD.splitlines())),
    ("no last line end", GOOD.rstrip()),
    ("splits in capitals", GOOD.replace("train", "TRAIN").replace("val", "Valid")),
    ("an empty column at the end", "\n".join(line + "," for line in GOOD.splitlines())),
]


@pytest.mark.parametrize("content", [content for _, content in FORGIVEN], ids=[name for name, _ in FORGIVEN])
def test_what_is_forgiven(content: str, tmp_path: Path) -> None:
    good_set(tmp_path)
    found = checked(Case("", text(content), ""), tmp_path)
    assert found.examples is not None, found.problems
    assert found.examples.class_names == ("cat", "dog")
