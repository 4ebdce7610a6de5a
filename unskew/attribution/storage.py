"""An `Attribution` on disk: one .npy file an array, and a small JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.attribution.factors import Factors, Matrix, Source
from unskew.attribution.rows import InMemory, OnDisk, Rows, save_rows
from unskew.discovery.rivals import Rivals
from unskew.errors import StorageError

# 4: one weight for τ at both dampings. 3: without rivals. 2: τ at one damping. 1: weights were 1 - p, and named so
_VERSION = 5
_FILE = "attribution.json"


def save(
    folder: Path,
    source: Source,
    common: Source | None,
    broad: Source | None,
    target_loss: NDArray[np.float32],
    target_prediction: NDArray[np.int64],
    diagnostics: dict[str, Any],
    rivals: Rivals | None,
) -> None:
    """Write everything; the JSON file last, so that its presence says that all is there.

    Args:
        common, broad: τ for many targets together and for what errors have in common, made of the same training
            factors; None: the source itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "target_loss.npy", target_loss)
    np.save(folder / "target_prediction.npy", target_prediction)
    if rivals is not None:
        rivals.save(folder)
    n_factors = 0
    if isinstance(source, Factors):
        n_factors = len(source.train)
        np.save(folder / "weight.npy", source.weight)
        for c, (a, b) in enumerate(zip(source.train, source.targets, strict=True)):
            save_rows(folder / f"train_{c}.npy", a)
            save_rows(folder / f"targets_{c}.npy", b)
        for name, other in (("common", common), ("broad", broad)):
            if isinstance(other, Factors):
                np.save(folder / f"{name}_weight.npy", other.weight)
                for c, b in enumerate(other.targets):
                    save_rows(folder / f"{name}_{c}.npy", b)
    elif isinstance(source, Matrix):
        np.save(folder / "tau.npy", source.tau)
    else:
        raise TypeError(f"{type(source).__name__} cannot be saved.")
    others = {"common": common is not None, "broad": broad is not None}
    meta = {"version": _VERSION, "n_factors": n_factors, **others, "diagnostics": diagnostics}
    (folder / _FILE).write_text(json.dumps(meta, indent=1))


def load(
    folder: Path, *, mmap: bool
) -> tuple[Source, NDArray[np.float32], NDArray[np.int64], dict[str, Any], Source | None, Source | None, Rivals | None]:
    """Read source, target loss, target predictions, diagnostics, and, if there are any, the other two products of
    `save` and the targets' rivals.

    Raises:
        StorageError: a file is missing or broken, or the version is newer than this program.
    """
    try:
        meta = json.loads((folder / _FILE).read_text())
        if meta["version"] > _VERSION:
            raise StorageError(
                f"{folder} was written by a newer Unskew (version {meta['version']}).", fix="Update Unskew."
            )
        source = _source(folder, meta["version"], int(meta["n_factors"]), mmap)
        common, broad = (
            _other(folder, name, source, meta["version"], mmap) if meta.get(name, False) else None
            for name in ("common", "broad")
        )
        return (
            source,
            np.load(folder / "target_loss.npy"),
            np.load(folder / "target_prediction.npy"),
            meta["diagnostics"],
            common,
            broad,
            Rivals.load(folder),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StorageError(
            f"The attribution in {folder} cannot be read: {error}.", fix="Run the attribution again."
        ) from error


def _source(folder: Path, version: int, n_factors: int, mmap: bool) -> Source:
    if not n_factors:
        return Matrix(np.load(folder / "tau.npy", mmap_mode="r" if mmap else None))
    return Factors(
        train=[_factor(folder, f"train_{c}", mmap) for c in range(n_factors)],
        targets=[_factor(folder, f"targets_{c}", mmap) for c in range(n_factors)],
        weight=np.load(folder / ("one_minus_p.npy" if version == 1 else "weight.npy")),
    )


def _other(folder: Path, name: str, source: Source, version: int, mmap: bool) -> Source | None:
    if not isinstance(source, Factors):
        return None
    weight = source.weight if version < 5 else np.load(folder / f"{name}_weight.npy")
    return Factors(source.train, [_factor(folder, f"{name}_{c}", mmap) for c in range(len(source.train))], weight)


def _factor(folder: Path, name: str, mmap: bool) -> Rows:
    path, scale = folder / f"{name}.npy", folder / f"{name}_scale.npy"
    factors = np.load(scale) if scale.exists() else None
    return OnDisk(path, factors) if mmap else InMemory(np.load(path), factors)
