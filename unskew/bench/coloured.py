"""Coloured digits as small as they get, 7 × 7 pixels, for calibration on many sets.

An unbiased network (skew .5) is right on about 90 %, one trained at .95 on about 27 % of its worst group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.data import Data, SplitArrays
from unskew.data.coloured import coloured_splits
from unskew.data.demo import CLASS_NAMES
from unskew.schemas.enums import Split
from unskew.schemas.params import InputShape

SIZE = 7


@dataclass(frozen=True)
class Coloured:
    """The set, and for evaluation only: bool, whether an example has the other class's colour."""

    data: Data
    train_minority: NDArray[np.bool_]
    validation_minority: NDArray[np.bool_]
    test_group: NDArray[np.int64]


def coloured_digits(seed: int, skew: float, validation_skew: float) -> Coloured:
    """One set: seed decides the order of the digits, the minority and the tints."""
    arrays, minority = {}, {}
    for made in coloured_splits(seed=seed, skew=skew, validation_skew=validation_skew, size=SIZE):
        arrays[made.split] = SplitArrays(made.pixels, made.label, {})
        minority[made.split] = made.label != made.attribute
    train, validation, test = (arrays[split] for split in Split)
    data = Data(train, validation, test, CLASS_NAMES, InputShape.image(SIZE))
    test_group = 2 * test.label + minority[Split.TEST]
    return Coloured(data, minority[Split.TRAIN], minority[Split.VALIDATION], test_group)
