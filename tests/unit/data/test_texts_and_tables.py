"""Texts and rows of a table: which kind a source is, what is wrong with which row, and what a model sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unskew.data import SourceCheck, check_source, load_data
from unskew.data.texts import Vocabulary, tokens
from unskew.schemas.enums import DataKind, Split
from unskew.schemas.params import ImportParams

SPLITS = ["train", "train", "validation", "validation", "test"]
LABELS = ["bad", "good", "bad", "good", "good"]
TEXTS = ["A dull film.", "A fine film!", "dull, dull", "It's fine", "Fine"]


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., SourceCheck]:
    """Check a table made of columns."""

    def run(columns: dict[str, list[object]], suffix: str = ".csv", **params: object) -> SourceCheck:
        file = tmp_path / f"rows{suffix}"
        frame = pd.DataFrame({"label": LABELS, "split": SPLITS} | columns)
        frame.to_parquet(file) if suffix == ".parquet" else frame.to_csv(file, index=False)
        return check_source(ImportParams.model_validate({"source": str(file), "name": "x"} | params), decode=True)

    return run


def test_tokens_are_words_and_marks() -> None:
    assert tokens("It's 2 films, NOT one!") == ["it's", "2", "films", ",", "not", "one", "!"]


def test_a_vocabulary_by_hand() -> None:
    vocabulary = Vocabulary.fit(["a b b", "b a c"], n_tokens=4, size=10)
    assert vocabulary.words == ("b", "a")  # c was seen once
    assert vocabulary.encode(["b c a", "a a a a a"]).tolist() == [[2, 1, 3, 0], [3, 3, 3, 3]]
    assert vocabulary.shape.vocabulary_size == 4
    assert Vocabulary.fit(["a b b", "b a c"], n_tokens=4, size=3).words == ("b",)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_text_column_makes_texts(check: Callable[..., SourceCheck], suffix: str) -> None:
    found = check({"text": TEXTS, "source": list("xyxyx")}, suffix).examples
    assert found is not None and found.kind is DataKind.TEXT
    assert found.content == tuple(TEXTS) and list(found.attributes) == ["source"]
    assert found.paths[0] == ("rows.csv:2" if suffix == ".csv" else "rows.parquet:1")
    assert len(set(found.content_hash)) == 5


def test_an_empty_text_is_named_by_its_line(check: Callable[..., SourceCheck]) -> None:
    found = check({"text": [*TEXTS[:3], "  ", TEXTS[4]]})
    assert [(p.row, p.field, p.message) for p in found.problems] == [(5, "text", "The text is empty.")]


def test_long_texts_and_leaks_are_warned_of(check: Callable[..., SourceCheck]) -> None:
    found = check({"text": ["word " * 30, TEXTS[1], TEXTS[1], TEXTS[3], TEXTS[4]]}, n_tokens=8)
    assert any("1 of 5 texts are longer than 8 tokens" in w for w in found.warnings)
    assert any("1 validation texts are also in train, a leak" in w for w in found.warnings)


def test_without_path_or_text_the_kinds_are_offered(check: Callable[..., SourceCheck]) -> None:
    found = check({"mass": [1, 2, 3, 4, 5]})
    assert "kind text or table" in found.problems[0].message


def test_a_table_by_hand(check: Callable[..., SourceCheck], tmp_path: Path) -> None:
    columns = {"mass": [1, 3, "", 3, 5], "place": ["a", "b", "a", "c", "b"], "id": list("vwxyz")}
    wanted = {"kind": "table", "feature_columns": ["mass", "place"], "attribute_columns": ["place"]}
    examples = check(columns, **wanted).examples
    assert examples is not None and list(examples.attributes) == ["place"]
    assert json.loads(examples.content[0]) == {"mass": "1", "place": "a"}
    data = load_data(examples, ImportParams.model_validate({"source": "x", "name": "x"} | wanted))
    assert data.shape.n_features == 3  # mass; place a, place b: c was not seen in training
    assert data.train.inputs.tolist() == [[-1, 1, 0], [1, 0, 1]]  # mean 2, s.d. 1 of the training rows
    assert data.validation.inputs.tolist() == [[0, 1, 0], [1, 0, 0]]  # a missing number is the mean
    assert data.test is not None and data.test.inputs.dtype == np.float32


def test_missing_numbers_in_training_get_a_feature(check: Callable[..., SourceCheck]) -> None:
    examples = check({"mass": [1, "", 2, 3, 5]}, kind="table").examples
    assert examples is not None
    data = load_data(examples, ImportParams(source="x", name="x", kind=DataKind.TABLE))
    assert data.train.inputs.tolist() == [[0, 0], [0, 1]]


def test_a_word_among_numbers_is_an_error_of_its_row(tmp_path: Path) -> None:
    n = 20
    frame = pd.DataFrame({"label": ["a", "b"] * 10, "split": ["train"] * 12 + ["validation"] * 8})
    frame["mass"] = [*map(str, range(n - 1)), "heavy"]
    frame["name"] = [f"row {i}" for i in range(n)]
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = check_source(ImportParams(source=str(tmp_path / "t.csv"), name="x", kind=DataKind.TABLE), decode=True)
    assert [(p.row, p.field, p.value) for p in found.problems] == [(21, "mass", "heavy")]


def test_names_are_left_out_with_a_warning(tmp_path: Path) -> None:
    n = 60
    frame = pd.DataFrame({"label": ["a", "b"] * 30, "split": ["train"] * 40 + ["validation"] * 20, "mass": range(n)})
    frame["name"] = [f"row {i}" for i in range(n)]
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = check_source(ImportParams(source=str(tmp_path / "t.csv"), name="x", kind=DataKind.TABLE), decode=True)
    assert found.examples is not None and "name" not in found.examples.content[0]
    assert any("'name' has 60 different words" in w for w in found.warnings)


def test_a_table_needs_a_feature(check: Callable[..., SourceCheck]) -> None:
    assert "No column can be a feature" in check({}, kind="table").problems[0].message
    missing = check({"mass": [1, 2, 3, 4, 5]}, kind="table", feature_columns=["weight"])
    assert missing.problems[0].value == "label, split, mass"


def test_the_fingerprint_follows_the_words_only(check: Callable[..., SourceCheck]) -> None:
    one, same = (check({"text": TEXTS}, suffix).examples for suffix in (".csv", ".parquet"))
    other = check({"text": [*TEXTS[:4], "Fine."]}).examples
    assert one is not None and same is not None and other is not None
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert list(one.positions(Split.TEST)) == [4]
