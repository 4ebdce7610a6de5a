"""Scores that were made elsewhere: an .npy matrix, or the folder that `traker` saved. numpy only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.errors import DataError
from unskew.schemas.enums import Orientation


def read_array(file: Path) -> NDArray[Any]:
    """An .npy file, memory-mapped, without objects: a pickle inside would be code.

    Raises:
        DataError: it cannot be read.
    """
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python: damaged ones fail in many ways
        raise DataError(f"{file} cannot be read: {error}.", fix="Save a plain array with numpy.save.") from error
    if not isinstance(found, np.ndarray):
        raise DataError(f"{file} holds several arrays.", fix="Save one with numpy.save.")
    return found


def read_matrix(file: Path, orientation: Orientation, *, n_train: int, n_targets: int) -> NDArray[np.float32]:
    """τ, float32 (n_train, n_targets), memory-mapped where it can be.

    Args:
        file: .npy, or a `traker` scores file, which is one by content; see `matrix_file`.
        orientation: which way round it is.
        n_train, n_targets: what the data has; the matrix must fit.
    Raises:
        DataError: not a matrix of numbers, or of another shape.
    """
    found = read_array(file)
    if found.ndim != 2 or found.dtype.kind != "f":
        raise DataError(f"{file} does not hold a matrix of floating-point numbers.", fix="Save τ with numpy.save.")
    tau = found if orientation is Orientation.TRAIN_BY_TARGET else found.T
    if tau.shape != (n_train, n_targets):
        raise DataError(
            f"{file} has shape {found.shape}, read as {orientation}; this project has {n_train:,} training and "
            f"{n_targets:,} validation examples.",
            fix="Give the scores of this data, rows and columns in the order of the splits, or the other orientation.",
        )
    return np.asarray(tau, dtype=np.float32)


def matrix_file(path: Path) -> Path:
    """The file of scores: the path itself, or the one finished experiment of a `traker` save folder."""
    return _traker_scores(path) if path.is_dir() else path


def _traker_scores(folder: Path) -> Path:
    """The one scores file of a `traker` save folder; .npy by content, .mmap by name."""
    found = sorted((folder / "scores").glob("*.mmap"))
    if len(found) != 1:
        names = ", ".join(file.stem for file in found) or "none"
        raise DataError(
            f"{folder} is no traker folder with one finished experiment; found: {names}.",
            fix="Name the file: scores/EXPERIMENT.mmap with --orientation train_by_target.",
        )
    return found[0]
