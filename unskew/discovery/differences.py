"""What tells the two ends of a direction apart, in words: attributes by their values, images by simple properties.

Every row says how often an example that has more of something lies further towards the + end (AUROC; 0.5: no
difference). Attributes are read for this table only: no direction, group or choice of K sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from unskew.discovery.properties import PROPERTIES, Property, Words
from unskew.evaluation import auroc
from unskew.schemas.api import Difference, Interval

_MOST_VALUES = 50  # of an attribute; more are names or paths, not groups
_FEWEST = 5  # examples with, and without, a value


def differences(
    projection: NDArray[np.floating],
    attributes: Mapping[str, NDArray[np.str_]],
    properties: Mapping[tuple[str, str], Property],
    *,
    n: int = 10,
) -> list[Difference]:
    """The n clearest differences, the largest |AUROC - 0.5| first.

    Only those whose interval leaves out 0.5 at level 1 - 0.05 / (how many were looked at) are told; the intervals
    returned are the usual 95 % ones. Of an attribute with two values the one that the + end has more often is told.

    Args:
        projection: (n_c,) of one class's targets; above 0 is the + end.
        attributes: name → str (n_c,), "" = missing.
        properties: (region, property) → (n_c,), from `image_properties`.
    """
    found = [*_of_attributes(projection, attributes), *_of_images(projection, properties)]
    wider = float(ndtri(1 - 0.025 / max(len(found), 1)) / ndtri(0.975))
    clear = [row for row in found if _clear(row.auroc, wider)]
    return sorted(clear, key=lambda row: -abs(row.auroc.value - 0.5))[:n]


def _clear(area: Interval, wider: float) -> bool:
    """Does an interval `wider` times as wide leave out 0.5?"""
    if area.value > 0.5:
        return area.value - wider * (area.value - area.low) > 0.5
    return area.value + wider * (area.high - area.value) < 0.5


def _of_attributes(projection: NDArray[np.floating], attributes: Mapping[str, NDArray[np.str_]]) -> list[Difference]:
    made = []
    for name, column in attributes.items():
        known = column != ""
        values, counts = np.unique(column[known], return_counts=True)
        if not 2 <= len(values) <= _MOST_VALUES:
            continue
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if _FEWEST <= count <= known.sum() - _FEWEST:
                area = auroc(projection[known], column[known] == value)
                if len(values) == 2 and area.value < 0.5:
                    continue
                words = Words(f"more often {name} = {value}", f"less often {name} = {value}")
                made.append(_row("attribute", f"{name} = {value}", words, area))
    return made


def _of_images(projection: NDArray[np.floating], properties: Mapping[tuple[str, str], Property]) -> list[Difference]:
    made, positive = [], np.asarray(projection) > 0
    for (region, name), values in properties.items():
        area = auroc(values, positive)
        words = Words(f"{region}: {PROPERTIES[name].more}", f"{region}: {PROPERTIES[name].less}")
        made.append(_row("image", f"{region}: {name}", words, area))
    return made


def _row(source: Literal["attribute", "image"], name: str, words: Words, area: Interval) -> Difference:
    here, there = (words.more, words.less) if area.value > 0.5 else (words.less, words.more)
    return Difference(source=source, name=name, words=here, words_less=there, auroc=area)
