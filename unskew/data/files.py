"""Checks of the files that rows name: they exist, lie where they may, are named once, and hold whole images."""

from __future__ import annotations

import os
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unskew.data.images import UnreadableImage, open_rgb
from unskew.data.limits import MAX_IMAGE_BYTES
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.errors import Stopped

CHUNK = 512  # rows handed to the threads at once: bounds memory, and how long a stop takes
_TRIED = 8  # files that are timed first
_WORTH_A_THREAD = 0.001  # seconds a file

T = TypeVar("T")


def check_paths(rows: Rows, problems: Problems) -> NDArray[np.bool_]:
    """One status call a row. Relative paths must stay inside the root, symbolic links followed; absolute ones may not
    be anywhere else than where they say, and are noted in a warning when they lie outside.

    Returns:
        bool (n,): the row's file can be read.
    """
    root = os.path.realpath(rows.root)
    inside = root.rstrip(os.sep) + os.sep
    real_folder: dict[str, str] = {}
    first: dict[str, int] = {}
    usable = np.zeros(len(rows.paths), dtype=bool)
    outside = 0
    for row, path in enumerate(rows.paths):
        fault = "The path is empty." if not path.strip() else "The path holds a zero byte." if "\0" in path else ""
        if not fault:
            full = os.path.normpath(os.path.join(root, path))
            folder, _, name = full.rpartition(os.sep)
            if folder not in real_folder:
                real_folder[folder] = os.path.realpath(folder or os.sep).rstrip(os.sep)
            real = real_folder[folder] + os.sep + name
            earlier = first.setdefault(full, row)
            fault, real = _fault(full, real)
            if earlier != row:
                where = f" on line {rows.lines[earlier]}" if rows.lines is not None else ""
                fault = f"The path appears already{where}. Keep one of the rows."
            elif not (full + os.sep).startswith(inside) or not real.startswith(inside):
                if not os.path.isabs(path):
                    fault = (
                        "The path leads out of the manifest's folder. Move the file inside, or write its whole path."
                    )
                else:
                    outside += 1
        if fault:
            problems.add_row(row, rows.path_field, path, fault)
        usable[row] = not fault
    if outside:
        rows.warnings.append(
            f"{outside} rows name files by absolute paths outside {rows.root}; moving them breaks the project."
        )
    return usable


def _fault(full: str, real: str) -> tuple[str, str]:
    """What is wrong with a file ("" = nothing), and where it really lies."""
    try:
        found = os.lstat(full)
        if stat.S_ISLNK(found.st_mode):
            real, found = os.path.realpath(full), os.stat(full)
    except FileNotFoundError:
        return "There is no such file.", real
    except OSError as error:
        return f"The file cannot be read: {error.strerror or error}.", real
    if not stat.S_ISREG(found.st_mode):
        return "The path is not a file.", real
    if found.st_size == 0:
        return "The file is empty.", real
    if found.st_size > MAX_IMAGE_BYTES:
        return f"The file has {found.st_size:,} bytes; the limit is {MAX_IMAGE_BYTES:,}.", real
    if not os.access(full, os.R_OK):
        return "The file may not be read: permission denied.", real
    return "", real


def check_images(
    rows: Rows,
    usable: NDArray[np.bool_],
    image_size: int,
    problems: Problems,
    on_step: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> list[str]:
    """Decode and hash every usable file, on all cores; unreadable ones become problems and lose their `usable`.

    Returns:
        sha256 of each file's bytes, hexadecimal; "" where there is none.
    """
    hashes = [""] * len(rows.paths)
    todo = np.flatnonzero(usable).tolist()
    done = 0

    def look(row: int) -> tuple[str, str]:
        try:
            content = (rows.root / rows.paths[row]).read_bytes()
            open_rgb(content, at_least=2 * image_size)
        except UnreadableImage as error:
            return "", f"The image {error}."
        except OSError as error:
            return "", f"The file cannot be read: {error.strerror or error}."
        return sha256(content).hexdigest(), ""

    with ImageThreads() as pool:
        for start in range(0, len(todo), CHUNK):
            if should_stop is not None and should_stop():
                raise Stopped
            chunk = todo[start : start + CHUNK]
            for row, (digest, fault) in zip(chunk, pool.map(look, chunk), strict=True):
                hashes[row] = digest
                if fault:
                    usable[row] = False
                    problems.add_row(row, rows.path_field, rows.paths[row], fault)
            done += len(chunk)
            if on_step is not None:
                on_step(done, len(todo))
    return hashes


class ImageThreads:
    """Maps a function over image files, on all cores when that pays.

    Pillow decodes without the interpreter lock, so threads help with photographs; with thumbnails of a few kilobytes
    they only wait for each other (32 px PNG: 0.16 ms alone, 0.36 ms with two threads). The first few files of every
    chunk decide. Sizes are checked in `open_rgb`, so Pillow's own warning about large images is silenced meanwhile.
    """

    def __enter__(self) -> ImageThreads:
        self._stack = ExitStack()
        self._stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        self._pool = self._stack.enter_context(ThreadPoolExecutor(min(16, os.cpu_count() or 1)))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def map(self, function: Callable[[int], T], items: Sequence[int]) -> Iterator[T]:
        """Results in order; raises the first failure."""
        began = time.perf_counter()
        yield from (function(item) for item in items[:_TRIED])
        slow = time.perf_counter() - began > _TRIED * _WORTH_A_THREAD
        yield from (self._pool.map if slow else map)(function, items[_TRIED:])


def duplicate_warnings(
    hashes: NDArray[np.str_], split: NDArray[np.str_], paths: list[str], noun: str = "images"
) -> Iterator[str]:
    """Sentences about examples with the same content: across splits (a leak), and inside one."""
    _, inverse = np.unique(hashes, return_inverse=True)
    n_contents = int(inverse.max()) + 1 if len(inverse) else 0
    names = [str(s) for s in dict.fromkeys(split.tolist())]
    held = {name: np.bincount(inverse[split == name], minlength=n_contents) for name in names}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            both = (held[one] > 0) & (held[other] > 0)
            if both.any():
                rows = np.flatnonzero(both[inverse] & (split == other))
                shown = ", ".join(paths[r] for r in rows[:3])
                yield f"{len(rows)} {other} {noun} are also in {one}, a leak: {shown}{', …' if len(rows) > 3 else ''}."
    for name in names:
        extra = int(np.maximum(held[name] - 1, 0).sum())
        if extra:
            yield f"{extra} {name} {noun} repeat another of the same split."


def root_of(path: Path) -> Path:
    """A folder as given, made absolute, so that a stored project does not depend on the current folder."""
    try:
        path = path.expanduser()
    except RuntimeError:  # "~nobody": a folder may well be called so
        pass
    return Path(os.path.abspath(path))
