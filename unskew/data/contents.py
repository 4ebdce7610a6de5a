"""Texts and rows of a table, as they will be shown and encoded: checked, one string an example."""

from __future__ import annotations

import json

from unskew.data.columns import check_columns
from unskew.data.pieces import Pieces
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.texts import tokens
from unskew.schemas.enums import DataKind
from unskew.schemas.params import ImportParams

NOUNS = {DataKind.IMAGE: "images", DataKind.TEXT: "texts", DataKind.TABLE: "rows"}


def contents(rows: Rows, params: ImportParams, problems: Problems) -> list[str]:
    """One string a row: its text, or its features as a JSON object; nothing for images."""
    if rows.kind is DataKind.TEXT:
        return _texts(rows, params, problems)
    if rows.kind is DataKind.TABLE:
        usable = check_columns(rows.features, problems, rows.warnings)
        each = ({name: rows.features[name][i] for name in usable} for i in range(len(rows.paths)))
        return [json.dumps(row, ensure_ascii=False) for row in each]
    return []


def _texts(rows: Rows, params: ImportParams, problems: Problems) -> list[str]:
    pieces = Pieces.load(params.tokenizer, params.n_tokens) if params.tokenizer else None
    long = 0
    for row, text in enumerate(rows.texts):
        n = len(tokens(text))
        long += n > params.n_tokens if pieces is None else bool(pieces.tokenizer.encode(text).overflowing)
        if not n:
            problems.add_row(row, rows.path_field, text, "The text is empty.")
    if long:
        share = f"{long:,} of {len(rows.texts):,} texts are longer than {params.n_tokens} tokens"
        rows.warnings.append(f"{share}: the model sees their beginnings only (n_tokens).")
    return rows.texts
