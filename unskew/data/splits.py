"""Taking validation and test examples from training where a source has none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unskew.schemas.enums import Split


def taken_from_train(
    label: NDArray[np.int64], shares: Mapping[Split, float], seed: int
) -> tuple[NDArray[np.str_], list[int]]:
    """Draw a share of each class, at random but always the same for a seed.

    Args:
        label: int64 (n,), class of each training example, -1 = not one.
        shares: split → share of each class, at least one example; together below 1.
    Returns:
        str (n,): the split that an example was taken for, "" where it stays; and the classes that are too small.
    """
    taken = np.full(len(label), "", dtype="<U10")
    short: list[int] = []
    if not shares:
        return taken, short
    for c in np.unique(label[label >= 0]):
        # A stream of its own for each class: adding a class leaves the others' splits as they were.
        members = np.random.default_rng([seed % 2**63, int(c)]).permutation(np.flatnonzero(label == c))
        sizes = {split: max(1, round(share * len(members))) for split, share in shares.items()}
        if sum(sizes.values()) >= len(members):
            short.append(int(c))
            continue
        start = 0
        for split, size in sizes.items():
            taken[members[start : start + size]] = split.value
            start += size
    return taken, short
