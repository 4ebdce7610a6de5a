"""What one checkpoint says about one split: the record that feature engines write and the solve reads. numpy only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unskew.errors import StorageError


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
    """

    phi: NDArray[np.floating]
    one_minus_p: NDArray[np.float32]
    loss: NDArray[np.float32]
    prediction: NDArray[np.int64]
    covered: float
    scale: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.phi)

    def save(self, folder: Path) -> None:
        """Write .npy files and `features.json` into a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        if self.scale is not None:
            np.save(folder / "scale.npy", self.scale)
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
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StorageError(
                f"The features in {folder} cannot be read: {error}.", fix="Run the attribution again."
            ) from error
        return cls(**arrays, covered=covered, scale=scale)


_ARRAYS = ("phi", "one_minus_p", "loss", "prediction")
