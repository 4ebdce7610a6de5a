"""Files of labels that cannot be used: the row and the column are named, and nothing is written; formulas stay text."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from api_house import PROJECT, House, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.services.downloads import csv_file, safe_cell, unsafe_cell
from unskew.schemas import api
from unskew.schemas.enums import LabelFormat

HEAD = b"path,group_name\n"


def parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream, index=False)
    return stream.getvalue()


# name, format, content ("{path}" and "{group}": of a real example), the row and field at fault, a word of the answer
CASES: list[tuple[str, str, bytes, int | None, str, str]] = [
    ("nothing", "csv", b"", None, "body", "required"),
    ("blank lines", "csv", b"\n\n", None, "", "columns are none"),
    ("a picture", "csv", b"\x89PNG\r\n\x1a\n\x00", None, "", "not UTF-8"),
    ("utf-16", "csv", "path,group_name\n".encode("utf-16"), None, "", "not UTF-8"),
    ("semicolons", "csv", b"path;group_name\n", None, "", "path;group_name"),
    ("no example", "csv", b"group_name\nx\n", None, "", "Give example_id"),
    ("no group", "csv", b"path\nx\n", None, "", "Give example_id"),
    ("a column twice", "csv", b"path,path,group_name\n", 1, "path", "appears 2 times"),
    ("an unknown path", "csv", HEAD + b"nowhere.png,x\n", 2, "path", "1 of 1"),
    ("an unknown number", "csv", b"example_id,group\n987654,0\n", 2, "example_id", "1 of 1"),
    ("no number", "csv", b"example_id,group\none,0\n", 2, "example_id", "1 of 1"),
    ("a position too far", "csv", b"position,group\n100000,0\n", 2, "position", "1 of 1"),
    ("a huge number", "csv", b"example_id,group\n" + b"9" * 400 + b",0\n", 2, "example_id", "1 of 1"),
    ("a negative number", "csv", b"example_id,group\n-1,0\n", 2, "example_id", "1 of 1"),
    ("an unknown group", "csv", HEAD + b"{path},plaid\n", 2, "group_name", "1 of 1"),
    ("a group too far", "csv", b"path,group\n{path},99\n", 2, "group", "1 of 1"),
    ("a group below zero", "csv", b"path,group\n{path},-1\n", 2, "group", "1 of 1"),
    ("half a group", "csv", b"path,group\n{path},0.5\n", 2, "group", "1 of 1"),
    ("after blank lines", "csv", HEAD + b"\n\n{path},plaid\n", 4, "group_name", "1 of 1"),
    ("after a cell of three lines", "csv", HEAD + b'"a\nb\nc",x\n{path},plaid\n', 2, "path", "2 of 2"),
    ("a field too few", "csv", HEAD + b"{path}\n", 2, "row", "1 fields"),
    ("a field too many", "csv", HEAD + b"{path},{group},x\n", 2, "row", "3 fields"),
    ("an open quote", "csv", HEAD + b'"{path},{group}\n', 2, "row", "1 fields"),
    ("a zero byte", "csv", HEAD + b"a\0b,{group}\n", 2, "path", "1 of 1"),
    ("a formula", "csv", HEAD + b"=1+1,{group}\n", 2, "path", "1 of 1"),
    ("csv as json lines", "jsonl", HEAD, 1, "row", "not valid JSON"),
    ("a list", "jsonl", b"[1, 2]\n", 1, "row", "no JSON object"),
    ("a list in a cell", "jsonl", b'{"path": ["a"], "group": 0}\n', 1, "path", "a list or an object"),
    ("a broken line", "jsonl", b'{"path": "{path}", "group": 0}\n{"path"\n', 2, "row", "not valid JSON"),
    ("very deep", "jsonl", b"[" * 100_000, 1, "row", "JSON"),
    ("an unknown path in json", "jsonl", b'\n{"path": "nowhere", "group": 0}\n', 2, "path", "1 of 1"),
    ("no parquet", "parquet", b"{}", None, "", "parquet"),
    ("half a parquet", "parquet", parquet([{"path": "x", "group": 0}])[:-20], None, "", "parquet"),
    ("an unknown path in parquet", "parquet", parquet([{"path": "nowhere", "group": 0}]), 1, "path", "1 of 1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def border(shared: House) -> api.GroupSet:
    return next(row for row in shared.client.group_sets(PROJECT) if row.name == "border")


def sent(house: House, group_set_id: int, content: bytes, format: str, **params: Any) -> Any:
    return house.http.post(
        f"/api/v1/group-sets/{group_set_id}/import",
        params={"format": format, **params},
        content=content,
        headers={"Content-Type": "application/octet-stream"},
    )


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_it_is_refused_at_its_row_and_nothing_is_written(case: Any, shared: House, border: api.GroupSet) -> None:
    _, format, content, row, field, word = case
    example = shared.validation[0]
    group = next(g.name for g in border.groups if g.label == example.label)
    content = content.replace(b"{path}", example.path.encode()).replace(b"{group}", group.encode())
    found = problem(sent(shared, border.id, content, format), 422)
    assert word in found.detail + found.fix
    if field:
        assert (found.rows[0].row, found.rows[0].field) == (row, field)
    assert shared.client.group_set(border.id).version == border.version


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(content=st.binary(max_size=200) | st.binary(max_size=99).map(HEAD.__add__), format=st.sampled_from(LabelFormat))
def test_anything_is_a_result_or_a_problem(
    content: bytes, format: LabelFormat, shared: House, border: api.GroupSet
) -> None:
    answer = sent(shared, border.id, content, format.value, dry_run=True)
    assert answer.status_code in (200, 422), answer.text


# ---------------------------------------------------------------- formulas
@given(text=st.text(max_size=12) | st.sampled_from("=+-@\t\r\n").flatmap(lambda c: st.text(max_size=6).map(c.__add__)))
def test_no_exported_cell_is_a_formula_and_each_comes_back(text: str) -> None:
    cell = safe_cell(text)
    assert isinstance(cell, str) and not cell.startswith(tuple("=+-@\t\r\n"))
    if not text.startswith("'"):
        assert unsafe_cell(cell) == text


@given(value=st.integers() | st.floats(allow_nan=False) | st.none() | st.booleans())
def test_numbers_stay_numbers(value: object) -> None:
    assert safe_cell(value) is value


def test_a_path_that_looks_like_a_formula_goes_out_as_text_and_comes_back(house: House) -> None:
    from sqlalchemy import update

    from backend.store import tables

    first = house.validation[0]
    evil = '=HYPERLINK("http://evil.example")'
    with house.store.session() as session:
        session.execute(update(tables.Example).where(tables.Example.id == first.id).values(path=evil))
    group_set = house.client.create_group_set(PROJECT, api.GroupSetCreate(name="again", attribute="border"))
    text = house.client.export_labels(group_set.id).decode()
    assert (
        evil.replace('"', '""') in text
        and f"'{evil[:5]}" in text
        and not any(cell.startswith("=") for line in text.splitlines() for cell in line.split(","))
    )
    name = next(g.name for g in group_set.groups if g.label == first.label)
    back = csv_file("x", ["path", "group_name"], [[evil, name]]).content
    found = sent(house, group_set.id, back, "csv").json()
    assert (found["n_labels"], found["written"]) == (1, True)
