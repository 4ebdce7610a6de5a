"""The pixels of one split, in chunks, into memory or a memory-mapped file."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from unskew.data.examples import Examples
from unskew.data.files import CHUNK, ImageThreads
from unskew.data.images import UnreadableImage, to_pixels
from unskew.errors import DataError, RowError, Stopped
from unskew.schemas.enums import Split


def load_pixels(
    examples: Examples,
    split: Split | str,
    image_size: int,
    out: NDArray[np.uint8] | None = None,
    rows: range | None = None,
    *,
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> NDArray[np.uint8]:
    """Decode images to RGB, short side fitted, centre-cropped.

    Args:
        out: uint8 (n of the split, 3, image_size, image_size), for example a memmap; rows are written at their place.
            None: a new array of the asked rows.
        rows: positions within the split, step 1; default all. A job asks for a few thousand at a time.
        on_step: called with (images done, all asked).
    Returns:
        uint8 (len(rows), 3, image_size, image_size): the asked rows, a view of `out` when it is given.
    Raises:
        DataError: a file is gone, damaged, or not the one that was checked.
        Stopped: should_stop() said so.
    """
    positions = examples.positions(split)
    rows = range(len(positions)) if rows is None else rows
    if rows.step != 1 or rows.start < 0 or rows.stop > len(positions):
        raise ValueError(f"rows {rows} do not lie in the {len(positions)} rows of {split}.")
    shape = (3, image_size, image_size)
    if out is not None and (out.shape != (len(positions), *shape) or out.dtype != np.uint8):
        raise ValueError(f"out is {out.dtype} {out.shape}; need uint8 {(len(positions), *shape)}.")
    target = np.empty((len(rows), *shape), dtype=np.uint8) if out is None else out[rows.start : rows.stop]

    def one(i: int) -> None:
        target[i] = _pixels(examples, int(positions[rows[i]]), image_size)

    with ImageThreads() as pool:
        for start in range(0, len(rows), CHUNK):
            if should_stop is not None and should_stop():
                raise Stopped
            end = min(start + CHUNK, len(rows))
            list(pool.map(one, range(start, end)))
            if on_step is not None:
                on_step(end, len(rows))
    return target


def _pixels(examples: Examples, row: int, image_size: int) -> NDArray[np.uint8]:
    path = examples.paths[row]
    try:
        content = examples.file(row).read_bytes()
        if examples.content_hash and sha256(content).hexdigest() != examples.content_hash[row]:
            raise UnreadableImage("is not the one that was checked: the file has changed since")
        return to_pixels(content, image_size)
    except OSError as error:
        message = f"The file cannot be read: {error.strerror or error}."
    except UnreadableImage as error:
        message = f"The image {error}."
    raise DataError(
        f"{path}: {message}", fix="Put the file back, and import again.", rows=[RowError(None, "path", path, message)]
    )
