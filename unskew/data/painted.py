"""Painted images as PNG files with a manifest: written once, and whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unskew.errors import DataError
from unskew.schemas.enums import Split

_MANIFEST, _RECIPE = "manifest.csv", "recipe.json"
_REPORT_EVERY = 100  # images

Pixels = NDArray[np.uint8]


class Painted(NamedTuple):
    """One split: uint8 (n, 3, size, size), and for each image its class and its attribute, int64 (n,)."""

    split: Split
    pixels: Pixels
    label: NDArray[np.int64]
    attribute: NDArray[np.int64]


def write_once(
    folder: Path,
    recipe: Mapping[str, object],
    splits: Callable[[], Iterable[Painted]],
    *,
    class_names: Sequence[str],
    attribute: str,
    values: Sequence[str],
    total: int,
    on_step: Callable[[int, int], None] | None = None,
) -> Path:
    """Paint and write a set; a second call with the same recipe finds it and returns at once.

    The folder appears whole or not at all; two calls at the same time do not disturb each other.

    Args:
        folder: must be new, empty, or hold this very set.
        recipe: what decides the pixels; JSON-able, kept beside them.
        splits: paints the set; not called where the set is there.
        attribute, values: name of the attribute's column, and of each of its values.
        total: images of all splits.
        on_step: called with (images done, total).
    Returns:
        Path of manifest.csv with the columns path, label, split and the attribute.
    Raises:
        DataError: the folder holds something else.
    """
    folder = Path(folder)
    if _is_there(folder, recipe):
        return folder / _MANIFEST
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        done = 0
        with open(temporary / _MANIFEST, "w", newline="") as file:
            manifest = csv.writer(file)
            manifest.writerow(("path", "label", "split", attribute))
            for split, pixels, label, found in splits():
                (temporary / "images" / split).mkdir(parents=True)
                for i, image in enumerate(pixels.transpose(0, 2, 3, 1)):  # (n, size, size, 3)
                    path = f"images/{split}/{i:04d}.png"
                    Image.fromarray(image).save(temporary / path, compress_level=1)
                    manifest.writerow((path, class_names[label[i]], split.value, values[found[i]]))
                    done += 1
                    if on_step is not None and (done % _REPORT_EVERY == 0 or done == total):
                        on_step(done, total)
        (temporary / _RECIPE).write_text(json.dumps(recipe))
        temporary.chmod(0o755)
        try:
            os.replace(temporary, folder)  # also over an empty folder
        except OSError:
            if not _is_there(folder, recipe):  # someone else was faster, with the same set: theirs is as good
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder / _MANIFEST


def _is_there(folder: Path, recipe: Mapping[str, object]) -> bool:
    if not folder.exists() or not any(folder.iterdir()):
        return False
    try:
        found = json.loads((folder / _RECIPE).read_text())
    except (OSError, ValueError):
        found = None
    if found != recipe:
        raise DataError(
            f"The folder {str(folder)!r} is not empty and does not hold this very set.", fix="Choose another folder."
        )
    return True
