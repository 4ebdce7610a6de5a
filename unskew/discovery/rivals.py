"""Rivals of a target: the classes that compete with its own. numpy only.

A target's row of τ is about its margin, and a margin is against whichever other classes the model thinks of. With more
than two classes the rows of one class therefore differ most by rival, whatever else they have in common: that is taken
out, by regression on the mixture of rivals, before anything is compared. With two classes every target has the same
rival, the mixture is a column of ones, and what is taken out is the mean.
Measured in docs/decisions/0010-rivals.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEPT = 5  # of a target at a checkpoint, the likeliest first
_TARGETS_A_COLUMN = 20  # so many targets a class needs for each rival that is told apart


@dataclass(frozen=True)
class Rivals:
    """The likeliest other classes of every target.

    Attributes:
        index: int32 (n, r), classes, never the target's own; a class may stand there several times.
        share: float32 (n, r), of each in the probability of all other classes; at least 0, rows sum to 1.
    """

    index: NDArray[np.int32]
    share: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def stacked(cls, parts: Sequence[Rivals]) -> Rivals:
        """Of the targets of several chunks, one chunk after the other; all with the same r."""
        return cls(np.concatenate([p.index for p in parts]), np.concatenate([p.share for p in parts]))

    @classmethod
    def mean(cls, parts: Sequence[Rivals]) -> Rivals:
        """Of the same targets at several checkpoints, each counting alike."""
        return cls(np.hstack([p.index for p in parts]), np.hstack([p.share for p in parts]) / np.float32(len(parts)))

    def save(self, folder: Path) -> None:
        np.save(folder / "rivals.npy", self.index)
        np.save(folder / "rival_shares.npy", self.share)

    @classmethod
    def load(cls, folder: Path) -> Rivals | None:
        """None where there are none."""
        if not (folder / "rivals.npy").exists():
            return None
        return cls(np.load(folder / "rivals.npy"), np.load(folder / "rival_shares.npy"))

    def mixture(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """How the rivals of one class's targets are mixed, float64 (n_c, m), rows sum to 1.

        One column a rival, those with the largest shares over the class, at most one for every 20 targets; where there
        are more of them, the last column holds the rest together.
        """
        index, share = self.index[positions], self.share[positions].astype(np.float64)
        share /= share.sum(axis=1, keepdims=True)
        classes, place = np.unique(index, return_inverse=True)
        mixed = np.zeros((len(positions), len(classes)))
        np.add.at(mixed, (np.arange(len(positions))[:, None], place.reshape(index.shape)), share)
        n_columns = max(1, min(len(classes), len(positions) // _TARGETS_A_COLUMN))
        if n_columns == 1:
            return one_rival(len(positions))
        largest = np.argsort(-mixed.sum(axis=0), kind="stable")
        told, rest = mixed[:, largest[: n_columns - 1]], mixed[:, largest[n_columns - 1 :]]
        return np.column_stack([told, rest.sum(axis=1)])


def one_rival(n: int) -> NDArray[np.float64]:
    """The mixture where rivals are not known, or there are two classes: ones, float64 (n, 1)."""
    return np.ones((n, 1))


def basis(mixture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns that span the mixture's, float64 (n, at most m): `y - q @ (q.T @ y)` is free of rivals."""
    if mixture.shape[1] == 1:
        return np.full(mixture.shape, max(len(mixture), 1) ** -0.5)
    u, s, _ = np.linalg.svd(mixture, full_matrices=False)
    spanning: NDArray[np.float64] = u[:, s > 1e-6 * s.max(initial=0.0)]
    return spanning
