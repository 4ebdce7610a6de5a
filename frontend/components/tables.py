"""Counts of examples as tables: classes, and classes with an attribute, by split."""

from __future__ import annotations

import pandas as pd

from unskew.charts import format as fmt
from unskew.schemas.api import ClassCount, ProjectDetail
from unskew.schemas.enums import Split

SPLITS = [Split.TRAIN, Split.VALIDATION, Split.TEST]


def class_table(counts: list[ClassCount]) -> pd.DataFrame:
    """Classes × splits."""
    frame = pd.DataFrame([{"Class": c.name, "split": c.split.value, "n": c.n} for c in counts])
    if frame.empty:
        return frame
    wide = frame.pivot_table(index="Class", columns="split", values="n", aggfunc="sum", fill_value=0, sort=False)
    order = [s.value for s in SPLITS if s.value in wide.columns]
    return _formatted(wide[order].reset_index())


def attribute_table(project: ProjectDetail, attribute: str) -> pd.DataFrame:
    """(Class, value) × splits of one attribute."""
    rows = [
        {"Class": project.class_names[c.label], attribute: c.value, "split": c.split.value, "n": c.n}
        for c in project.attribute_counts
        if c.attribute == attribute
    ]
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    wide = frame.pivot_table(index=["Class", attribute], columns="split", values="n", aggfunc="sum", fill_value=0)
    order = [s.value for s in SPLITS if s.value in wide.columns]
    return _formatted(wide[order].reset_index())


def _formatted(frame: pd.DataFrame) -> pd.DataFrame:
    for column in frame.columns:
        if pd.api.types.is_integer_dtype(frame[column]):
            frame[column] = [fmt.count(int(v)) for v in frame[column]]
    return frame
