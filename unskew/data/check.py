"""From a source to examples: read, check every row, assign splits and classes. Never stops at the first problem."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.data import layouts
from unskew.data.contents import NOUNS, contents
from unskew.data.examples import Examples, SourceCheck
from unskew.data.files import check_images, check_paths, duplicate_warnings, root_of
from unskew.data.pieces import Pieces
from unskew.data.problems import Problems
from unskew.data.rows import Rows, known_split
from unskew.data.splits import taken_from_train
from unskew.data.tables import TABLE_SUFFIXES
from unskew.errors import DataError
from unskew.groups import sorted_names
from unskew.schemas.enums import DataKind, Layout, Split
from unskew.schemas.params import SETS, ImportParams

_MANY_VALUES = 50  # an attribute with more is hardly one to group by

OnStep = Callable[[int, int], None] | None
ShouldStop = Callable[[], bool] | None


def check_source(
    params: ImportParams, *, decode: bool, on_step: OnStep = None, should_stop: ShouldStop = None
) -> SourceCheck:
    """Check a source without importing it.

    Args:
        decode: False looks at structure and files only (30 µs a row); True also decodes and hashes
            every image, without which the examples have no content hashes and no fingerprint.
        on_step: called with (images decoded, all).
        should_stop: asked every few hundred images.
    Returns:
        The examples when nothing stands in the way, else the problems, in both cases with warnings.
    Raises:
        Stopped: should_stop() said so.
    """
    problems = Problems()
    layout, rows = _read(params, problems)
    if rows is None:
        return SourceCheck(None, problems.listed(), problems.n, [], layout)
    problems.lines = rows.lines  # not those of another table that the layout looked into
    content = contents(rows, params, problems)
    is_file = rows.kind is DataKind.IMAGE and not rows.packed
    readable = check_paths(rows, problems) if is_file else np.ones(len(rows.paths), dtype=bool)
    split, meant = _splits(rows, problems)
    meant &= _labels_there(rows, problems)
    hashes: list[str] = []
    if decode and is_file:
        hashes = check_images(rows, readable, params.image_size, problems, on_step, should_stop)
    elif decode and not rows.packed:
        hashes = [sha256(text.encode()).hexdigest() for text in content]
    # Splits and classes are judged by what the rows say, also where the file is at fault: one bad file is one problem.
    label, class_names = _classes(rows, meant)
    if not meant.any():
        if problems.n == 0:
            problems.add(None, params.source, "", "The source has no rows.")
        return SourceCheck(None, problems.listed(), problems.n, rows.warnings, layout)
    split = _validation_there(params, rows, meant, label, class_names, split, problems)
    _classes_trained(rows, meant, label, class_names, split, problems)
    rows.warnings += _warnings(rows, readable & meant, split, np.array(hashes) if hashes else None)
    if problems.n:
        return SourceCheck(None, problems.listed(), problems.n, rows.warnings, layout)
    examples = Examples(
        layout=layout,
        root=rows.root,
        class_names=class_names,
        paths=tuple(rows.paths),
        label=label,
        split=split,
        attributes={name: np.array(column, dtype=np.str_) for name, column in rows.attributes.items()},
        content_hash=tuple(hashes),
        fingerprint=_fingerprint(rows, class_names, label, split, hashes, params) if hashes else "",
        kind=rows.kind,
        content=tuple(content),
    )
    return SourceCheck(examples, [], 0, rows.warnings, layout)


def load_project_source(params: ImportParams, *, on_step: OnStep = None, should_stop: ShouldStop = None) -> Examples:
    """Check every row and every image of a source, and return its examples.

    Raises:
        DataError: there are problems; `rows` holds 200 of them, every kind among them.
        Stopped: should_stop() said so.
    """
    check = check_source(params, decode=True, on_step=on_step, should_stop=should_stop)
    if check.examples is not None and check.examples.fingerprint:
        return check.examples
    if check.examples is not None:
        raise DataError(
            f"The images of {params.source} are packed.", fix="Call unskew.data.unpack, and read its manifest."
        )
    first = check.problems[0]
    where = f"line {first.row}, {first.field}" if first.row is not None else first.field
    several = f" ({check.n_problems} problems in all)" if check.n_problems > 1 else ""
    raise DataError(
        f"{params.source} cannot be imported: {where}: {first.message}{several}",
        fix="Nothing was imported; mend the rows that are listed and try again.",
        rows=check.problems,
    )


def _read(params: ImportParams, problems: Problems) -> tuple[Layout | str | None, Rows | None]:
    """The layout, recognised or forced, and the rows; what stands in the way is among the problems."""
    if params.source in SETS:
        message = "The set is not on disk yet. Make it with build_set, and read as it says."
        problems.add(None, "source", params.source, message)
        return None, None
    source = root_of(Path(params.source))
    try:
        if not source.is_dir() and not source.is_file():
            problems.add(None, "source", params.source, "There is no such file or folder. Check the path.")
            return None, None
        layout = params.layout or layouts.recognise(source)
        rows_alone = params.kind in (DataKind.TEXT, DataKind.TABLE)
        if rows_alone and params.layout is None and layout not in layouts.OF_TEXTS:
            layout = Layout.MANIFEST
        if layout is None:
            known = ", ".join(TABLE_SUFFIXES)
            message = f"A table ends in {known}, not {source.suffix or 'in nothing'!r}. Or name a folder of images."
            problems.add(None, "source", params.source, message)
            return None, None
        return layout, layouts.read(layout, source, params, problems)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        what = error.strerror if isinstance(error, OSError) else None
        problems.add(None, "source", params.source, f"It cannot be read: {what or error}.")
        return None, None


def _splits(rows: Rows, problems: Problems) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """The split of each row, and where it is known."""
    if rows.split is None:
        return np.full(len(rows.paths), Split.TRAIN.value, dtype="<U10"), np.ones(len(rows.paths), dtype=bool)
    meaning = {text: known_split(text) for text in set(rows.split)}
    for row, text in enumerate(rows.split):
        if meaning[text] is None:
            known = "train, validation (val, valid) or test; 0, 1, 2 likewise"
            problems.add_row(row, rows.split_field, text, f"The split {text!r} is unknown. Use {known}.")
    split = np.array([(meaning[text] or Split.TRAIN).value for text in rows.split], dtype="<U10")
    return split, np.array([meaning[text] is not None for text in rows.split], dtype=bool)


def _labels_there(rows: Rows, problems: Problems) -> NDArray[np.bool_]:
    """Where the label is one of the layout's own classes, or any at all."""
    known = None if rows.class_names is None else set(rows.class_names)
    meant = np.ones(len(rows.labels), dtype=bool)
    for row, text in enumerate(rows.labels):
        if not text:
            problems.add_row(row, rows.label_field, "", "The label is missing.")
        elif known is not None and text not in known:
            names = ", ".join(f"{name} ({number})" for number, name in enumerate(rows.class_names or ()))
            problems.add_row(row, rows.label_field, text, f"The class {text!r} is unknown; known are {names}.")
        else:
            continue
        meant[row] = False
    return meant


def _classes(rows: Rows, meant: NDArray[np.bool_]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    found = {text for text, good in zip(rows.labels, meant, strict=True) if good}
    names = list(rows.class_names or sorted_names(found))  # published numbers hold
    number = {name: i for i, name in enumerate(names)}
    return np.array([number.get(text, -1) for text in rows.labels], dtype=np.int64), tuple(names)


def _validation_there(
    params: ImportParams,
    rows: Rows,
    meant: NDArray[np.bool_],
    label: NDArray[np.int64],
    class_names: tuple[str, ...],
    split: NDArray[np.str_],
    problems: Problems,
) -> NDArray[np.str_]:
    """Take validation and test from training where the source has none and a share is set."""
    has = {s: bool((split[meant] == s.value).any()) for s in Split}
    shares = {Split.VALIDATION: params.validation_share or rows.held_out, Split.TEST: params.test_share}
    for s, share in shares.items():
        if has[s] and share > 0:
            rows.warnings.append(f"{s}_share = {share:g} was not used: the source has a {s} split of its own.")
    if not has[Split.TEST] and params.test_share == 0:
        rows.warnings.append("There is no test split: results can be shown on validation only, and K was chosen there.")
    if not has[Split.VALIDATION] and shares[Split.VALIDATION] == 0:
        message = (
            "There is no validation split. Add one, or set validation_share (for example 0.2) to take it from training."
        )
        problems.add(None, rows.split_field, "", message)
        return split
    wanted = {s: share for s, share in shares.items() if not has[s] and share > 0}
    if sum(wanted.values()) >= 1:
        problems.add(
            None, "validation_share", str(sum(wanted.values())), "The shares of validation and test must be below 1."
        )
        return split
    candidates = np.where(meant & (split == Split.TRAIN.value), label, -1)
    taken, short = taken_from_train(candidates, wanted, params.seed)
    for c in short:
        message = f"The class {class_names[c]!r} has too few training examples to take a share of them. Add some."
        problems.add(None, rows.label_field, class_names[c], message)
    return np.where(taken == "", split, taken)


def _classes_trained(
    rows: Rows,
    meant: NDArray[np.bool_],
    label: NDArray[np.int64],
    class_names: tuple[str, ...],
    split: NDArray[np.str_],
    problems: Problems,
) -> None:
    if len(class_names) < 2:
        message = f"There is only one class ({class_names[0]}). A classifier needs two."
        problems.add(None, rows.label_field, class_names[0], message)
        return
    n = {s: np.bincount(label[meant & (split == s.value)], minlength=len(class_names)) for s in Split}
    for c, name in enumerate(class_names):
        if sum(n[s][c] for s in Split) == 0:
            problems.add(None, rows.label_field, name, f"The class {name!r} has no example. Is the source whole?")
        elif n[Split.TRAIN][c] == 0:
            row = int(np.flatnonzero(meant & (label == c))[0])
            seen = " and ".join(f"{n[s][c]} {s}" for s in Split if n[s][c])
            message = f"The class {name!r} has no training example, only {seen}. Add some, or leave the class out."
            problems.add_row(row, rows.label_field, name, message)
        elif n[Split.VALIDATION][c] == 0:
            rows.warnings.append(f"The class {name!r} has no validation example: no direction can be found for it.")


def _warnings(
    rows: Rows, good: NDArray[np.bool_], split: NDArray[np.str_], hashes: NDArray[np.str_] | None
) -> list[str]:
    found = []
    for name, column in rows.attributes.items():
        values = set(column) - {""}
        if len(values) > _MANY_VALUES:
            found.append(f"The attribute {name!r} has {len(values)} different values; groups by it will be tiny.")
    if hashes is not None:
        paths = [path for path, one in zip(rows.paths, good, strict=True) if one]
        found += duplicate_warnings(hashes[good], split[good], paths, NOUNS[rows.kind])
    return found


def _fingerprint(
    rows: Rows,
    class_names: tuple[str, ...],
    label: NDArray[np.int64],
    split: NDArray[np.str_],
    hashes: list[str],
    params: ImportParams,
) -> str:
    digest = sha256()
    sizes: dict[str, Any] = {"image_size": params.image_size}
    if rows.kind is DataKind.TEXT:
        sizes = {"kind": rows.kind, "n_tokens": params.n_tokens, "vocabulary_size": params.vocabulary_size}
        if params.tokenizer:
            sizes["tokenizer"] = Pieces.load(params.tokenizer, params.n_tokens).digest
    elif rows.kind is DataKind.TABLE:
        sizes = {"kind": rows.kind}
    head = {"classes": class_names, **sizes, "attributes": list(rows.attributes)}
    digest.update(json.dumps(head).encode())
    columns = [hashes, label.tolist(), split.tolist(), *rows.attributes.values()]
    for row in zip(*columns, strict=True):
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()
