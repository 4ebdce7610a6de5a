"""MultiNLI, as published or as group_DRO keeps it: does a premise contradict, entail, or say nothing of a hypothesis?

    raw        multinli_1.0_train.jsonl, …_dev_matched.jsonl, …_dev_mismatched.jsonl (sentence1, sentence2, gold_label)
    features   glue_data/MNLI/cached_train_bert-base-uncased_128_mnli, cached_dev_…_mnli, cached_dev_…_mnli-mm: pickled
               token ids; read as data, never unpickled. Needs data/metadata_random.csv

The attribute `negation` is whether the hypothesis has one of the words nobody, no, never, nothing. The three files are
pooled. `metadata_random.csv` (row number, gold_label, sentence2_has_negation, split) gives the published splits;
without it half is training, a fifth validation, three tenths test, drawn with the import's seed. Rows without a gold
label ("-") are dropped after that. An example is the premise, " [SEP] ", and the hypothesis, as BERT's tokenizers read
pairs.

Source: group_DRO (Sagawa et al., 2020); the words are those of Gururangan et al. (2018).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unskew.data.inert import Record, read_inert
from unskew.data.pieces import Pieces
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import Table, json_objects, read_table
from unskew.errors import DataError
from unskew.schemas.enums import DataKind, Split
from unskew.schemas.params import ImportParams

CLASSES = ("contradiction", "entailment", "neutral")
NEGATIONS = frozenset({"nobody", "no", "never", "nothing"})
SEPARATOR = " [SEP] "
SHARES = {Split.VALIDATION: 0.2, Split.TEST: 0.3}  # the rest is training

_RAW = tuple(f"multinli_1.0_{part}.jsonl" for part in ("train", "dev_matched", "dev_mismatched"))
_FEATURES = tuple(f"cached_{part}" for part in ("train{}", "dev{}", "dev{}-mm"))
_OF_BERT = "_bert-base-uncased_128_mnli"
_RECORDS = ("utils_glue.InputFeatures", "__main__.InputFeatures")  # who wrote the features, says where the class was
_METADATA = "metadata_random.csv"
_IDS = 2**31
_NO_LABEL = "-"
_YES_NO = {"0": "no", "1": "yes"}
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def recognise(source: Path) -> bool:
    """A folder with the first raw file, or the first file of features, where the three may lie."""
    return source.is_dir() and (_raw(source) is not None or _features(source) is not None)


def read(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """From the raw files where they are there, else from the features."""
    raw = _raw(source) if source.is_dir() else None
    features = _features(source) if source.is_dir() else None
    folder, files = (raw, _RAW) if raw is not None else (features, tuple(name.format(_OF_BERT) for name in _FEATURES))
    if folder is None:
        message = f"The folder needs {', '.join(_RAW)}, or group_DRO's data/{_METADATA} and glue_data/MNLI/."
        problems.add(None, source.name, "", message)
        return None
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        problems.add(None, source.name, "", f"{' and '.join(missing)} must lie beside {files[0]}.")
        return None
    places = (folder, source, source / "data")
    found = next((place / _METADATA for place in places if (place / _METADATA).is_file()), None)
    metadata = None if found is None else read_table(found, problems)
    if metadata is not None and not _has_columns(metadata, problems):
        return None
    if raw is not None:
        return _from_raw([raw / name for name in files], metadata, params, problems)
    if metadata is None:
        problems.add(None, _METADATA, "", f"The features have no splits of their own: data/{_METADATA} is needed.")
        return None
    return _from_features([folder / name for name in files], metadata, params, problems)


def has_negation(sentence: str) -> bool:
    """Punctuation is taken out, not replaced, and words are what blanks part: "no-one" is "noone", and no negation."""
    return not NEGATIONS.isdisjoint(sentence.translate(_NO_PUNCTUATION).lower().split(" "))


def drawn_splits(n: int, seed: int) -> list[str]:
    """A split for each of n rows, '-' rows among them; sizes as group_DRO's script rounds them."""
    sizes = {split: int(share * n) for split, share in SHARES.items()}
    made = np.repeat([split.value for split in Split], [n - sum(sizes.values()), *sizes.values()])
    found: list[str] = np.random.default_rng(seed).permutation(made).tolist()
    return found


def _from_raw(files: list[Path], metadata: Table | None, params: ImportParams, problems: Problems) -> Rows:
    rows = _empty(files[0].parent)
    assert rows.lines is not None
    pairs: list[tuple[str, str]] = []
    for file in files:
        for line, item in json_objects(file, problems):
            sentences, label = (item.get("sentence1"), item.get("sentence2")), item.get("gold_label")
            if not all(isinstance(text, str) for text in (*sentences, label)):
                message = "The line lacks one of sentence1, sentence2, gold_label, or it is no text."
                problems.add(line, file.name, str(item), message)
                continue
            pairs.append((str(sentences[0]), str(sentences[1])))
            rows.labels.append(str(label))
            rows.lines.append(line)
            rows.paths.append(f"{file.name}:{line}")
    rows.texts = [SEPARATOR.join(text.strip() for text in pair) for pair in pairs]
    rows.attributes["negation"] = [_YES_NO[str(int(has_negation(second)))] for _, second in pairs]
    if metadata is None:
        rows.split = drawn_splits(len(pairs), params.seed)
        rows.warnings.append(f"There is no {_METADATA}: splits of 50, 20 and 30 % were drawn with seed {params.seed}.")
    else:
        rows.split = _published(rows, metadata, problems)
    dropped = rows.labels.count(_NO_LABEL)
    if dropped:
        rows.warnings.append(f"{dropped:,} rows have no gold label ({_NO_LABEL}) and are left out.")
    kept = [row for row, label in enumerate(rows.labels) if label != _NO_LABEL]
    rows.keep(kept)
    return rows


def _published(rows: Rows, metadata: Table, problems: Problems) -> list[str]:
    """The split of every pooled row; a row that the table does not know, or knows otherwise, is a problem."""
    of_row = {index: i for i, index in enumerate(metadata.column(metadata.header[0]))}
    labels, negation, split = (metadata.column(name) for name in ("gold_label", "sentence2_has_negation", "split"))
    found, other = [], 0
    for row, label in enumerate(rows.labels):
        place = of_row.get(str(row))
        if label == _NO_LABEL or place is None:
            found.append(Split.TRAIN.value)
            if label != _NO_LABEL:
                problems.add(None, rows.paths[row], label, f"The row is not in {_METADATA} (row number {row}).")
            continue
        found.append(split[place])
        if _named(labels[place]) != label:
            message = f"{_METADATA} says {_named(labels[place])!r} for row {row}. Does it belong to these files?"
            problems.add(None, rows.paths[row], label, message)
        other += _YES_NO.get(negation[place]) != rows.attributes["negation"][row]
    if other:
        rows.warnings.append(f"{_METADATA} says otherwise about the negation of {other:,} rows; the words decide.")
    return found


def _from_features(files: list[Path], metadata: Table, params: ImportParams, problems: Problems) -> Rows | None:
    rows = _empty(files[0].parent)
    pieces = Pieces.load(params.tokenizer, params.n_tokens) if params.tokenizer else None
    label_ids: list[int] = []
    for file in files:
        try:
            found = read_inert(file, records=_RECORDS)
            pairs = [_pair(record) for record in found]
        except (DataError, KeyError, TypeError, ValueError) as error:
            message = error.what if isinstance(error, DataError) else "It holds no list of BERT features."
            problems.add(None, file.name, "", message)
            return None
        for i, (premise, hypothesis, label_id) in enumerate(pairs):
            rows.texts.append(SEPARATOR.join(_text(ids, pieces) for ids in (premise, hypothesis)))
            rows.paths.append(f"{file.name}:{i + 1}")
            label_ids.append(label_id)
    labels = metadata.column("gold_label")
    if len(labels) != len(label_ids) or [str(i) for i in label_ids] != labels:
        n = f"{len(label_ids):,} features and {len(labels):,} rows of {_METADATA}"
        problems.add(None, _METADATA, "", f"{n} do not tell the same classes in the same order. Are they of one set?")
        return None
    rows.labels, rows.split, rows.lines = [_named(label) for label in labels], metadata.column("split"), None
    rows.attributes["negation"] = [_YES_NO.get(v, v) for v in metadata.column("sentence2_has_negation")]
    if pieces is None:
        rows.warnings.append("The features hold numbers of word pieces: name BERT's tokenizer to see words.")
    return rows


def _pair(record: object) -> tuple[list[int], list[int], int]:
    """Ids of the premise and of the hypothesis without [CLS], [SEP] and padding, and the class."""
    if not isinstance(record, Record):
        raise ValueError
    told = record.fields
    columns = (told["input_ids"], told["input_mask"], told["segment_ids"])
    if not all(type(value) is int and 0 <= value < _IDS for column in columns for value in column):
        raise ValueError
    first = [i for i, mask, segment in zip(*columns, strict=True) if mask and not segment]
    second = [i for i, mask, segment in zip(*columns, strict=True) if mask and segment]
    return first[1:-1], second[:-1], int(told["label_id"])


def _text(ids: Sequence[int], pieces: Pieces | None) -> str:
    return " ".join(map(str, ids)) if pieces is None else pieces.tokenizer.decode(list(ids))


def _empty(root: Path) -> Rows:
    made = Rows(root=root, paths=[], labels=[], split=None, attributes={}, lines=[], kind=DataKind.TEXT)
    made.path_field, made.label_field, made.split_field, made.class_names = "sentence", "gold_label", "split", CLASSES
    return made


def _named(number: str) -> str:
    return CLASSES[int(number)] if number in ("0", "1", "2") else number


def _has_columns(metadata: Table, problems: Problems) -> bool:
    missing = {"gold_label", "sentence2_has_negation", "split"} - set(metadata.header)
    if missing:
        found = ", ".join(metadata.header)
        problems.add(1, _METADATA, found, f"{_METADATA} lacks the columns {', '.join(sorted(missing))}.")
    return not missing


def _raw(source: Path) -> Path | None:
    places = (source, source / "multinli_1.0", source / "data", source / "data" / "multinli_1.0")
    return next((place for place in places if (place / _RAW[0]).is_file()), None)


def _features(source: Path) -> Path | None:
    places = (source, source / "glue_data" / "MNLI")
    return next((place for place in places if (place / _FEATURES[0].format(_OF_BERT)).is_file()), None)
