"""What one checkpoint says about one split: the record that feature engines write and the solve reads. numpy only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unskew.attribution.rows import Chunked, InMemory, OnDisk, Rows
from unskew.discovery.rivals import Rivals
from unskew.errors import DataError, StorageError


class UncoveredParametersWarning(UserWarning):
    """Some parameters' gradients are not in the features; the message names them and the share left out."""


@dataclass(frozen=True)
class Features:
    """Gradient features of one split at one checkpoint, in row order.

    Attributes:
        phi: float32 or float16 (n, p), projected gradient of the margin, divided by `scale`.
        one_minus_p: float32 (n,), 1 - probability of the true class.
        loss: float32 (n,), cross-entropy of the true class [nats].
        prediction: int64 (n,), class of the largest logit.
        covered: share of the trainable parameters in use whose gradient is in phi, 0 to 1.
        scale: float32 (n,), a power of two a row, where phi is float16; None = 1.
        rivals: the classes that compete with the true one; None where they are not known.
    """

    phi: NDArray[np.floating]
    one_minus_p: NDArray[np.float32]
    loss: NDArray[np.float32]
    prediction: NDArray[np.int64]
    covered: float
    scale: NDArray[np.float32] | None = None
    rivals: Rivals | None = None

    def __len__(self) -> int:
        return len(self.phi)

    @property
    def rows(self) -> Rows:
        """The features themselves; of a file they are read, not mapped."""
        if isinstance(self.phi, np.memmap) and self.phi.filename is not None:
            return OnDisk(Path(self.phi.filename), self.scale)
        return InMemory(self.phi, self.scale)

    def save(self, folder: Path) -> None:
        """Write .npy files and `features.json` into a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        if self.scale is not None:
            np.save(folder / "scale.npy", self.scale)
        if self.rivals is not None:
            self.rivals.save(folder)
        (folder / "features.json").write_text(json.dumps({"covered": self.covered}))

    @classmethod
    def load(cls, folder: Path, *, mmap: bool = True) -> Features:
        """Read them back; `phi` is memory-mapped unless mmap is False.

        Raises:
            StorageError: a file is missing or broken.
        """
        try:
            covered = float(json.loads((folder / "features.json").read_text())["covered"])
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r" if mmap and name == "phi" else None)
                for name in _ARRAYS
            }
            scale = np.load(folder / "scale.npy") if (folder / "scale.npy").exists() else None
            rivals = Rivals.load(folder)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StorageError(
                f"The features in {folder} cannot be read: {error}.", fix="Run the attribution again."
            ) from error
        return cls(**arrays, covered=covered, scale=scale, rivals=rivals)


@dataclass(frozen=True)
class Joined:
    """Chunks of one split at one checkpoint, put together in row order; what `Features` has, with `rows` for phi."""

    rows: Rows
    one_minus_p: NDArray[np.float32]
    loss: NDArray[np.float32]
    prediction: NDArray[np.int64]
    covered: float
    rivals: Rivals | None

    def __len__(self) -> int:
        return len(self.loss)


def joined(chunks: Features | Sequence[Features]) -> Joined:
    """Put chunks together without copying their features.

    Raises:
        DataError: there is none, or their numbers of features differ.
    """
    chunks = [chunks] if isinstance(chunks, Features) else list(chunks)
    widths = {chunk.phi.shape[1] for chunk in chunks}
    if len(widths) != 1:
        raise DataError(f"Chunks have {sorted(widths)} features.", fix="Make all of them with the same settings.")
    return Joined(
        rows=chunks[0].rows if len(chunks) == 1 else Chunked(tuple(chunk.rows for chunk in chunks)),
        one_minus_p=np.concatenate([chunk.one_minus_p for chunk in chunks]),
        loss=np.concatenate([chunk.loss for chunk in chunks]),
        prediction=np.concatenate([chunk.prediction for chunk in chunks]),
        covered=min(chunk.covered for chunk in chunks),
        rivals=Rivals.stacked(known) if len(known := [c.rivals for c in chunks if c.rivals]) == len(chunks) else None,
    )


def check_pairs(train: list[Joined], targets: list[Joined]) -> None:
    """Training and target features of the same checkpoints must fit each other; DataError says where they do not."""
    for c, (a, b) in enumerate(zip(train, targets, strict=True)):
        if len(a) != len(train[0]) or len(b) != len(targets[0]):
            raise DataError(
                f"Checkpoint {c} has {len(a)} training and {len(b)} target rows; the first has {len(train[0])} and "
                f"{len(targets[0])}.",
                fix="Use features of the same data.",
            )
        if a.rows.shape[1] != b.rows.shape[1]:
            raise DataError(
                f"Checkpoint {c} has {a.rows.shape[1]} features for training and {b.rows.shape[1]} for targets.",
                fix="Use the same projection sizes and seed for both splits.",
            )


_ARRAYS = ("phi", "one_minus_p", "loss", "prediction")
