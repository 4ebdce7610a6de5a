"""Reader of image folders: split folders × class folders, or class folders alone."""

from __future__ import annotations

import os
from pathlib import Path

from unskew.data.images import IMAGE_SUFFIXES
from unskew.data.problems import Problems
from unskew.data.rows import Rows, known_split
from unskew.data.tables import TABLE_SUFFIXES, read_table
from unskew.schemas.enums import Split
from unskew.schemas.params import ImportParams

SIDECARS = tuple(f"{name}{suffix}" for name in ("attributes", "metadata") for suffix in TABLE_SUFFIXES)
_NAMES = ("path", "file_name")


def is_folder(source: Path) -> bool:
    """Any folder: whether it has classes shows when it is read."""
    return source.is_dir()


def read_folder(root: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """List every image, by split, class and path; None when the folder has no classes.

    Layouts: `train/`, `validation/` (or `val/`, `valid/`) and `test/`, whatever the case, each with one folder a
    class; or the class folders alone. Images may lie deeper inside a class folder. Hidden files are passed over, other
    files that are no images too, with a warning.
    """
    rows = Rows(root=root, paths=[], labels=[], split=[], attributes={}, lines=None)
    splits = _split_folders(root, rows, problems)
    if splits is None:
        return None
    assert rows.split is not None
    others = 0
    for split, folder in splits:
        classes = subfolders(folder)
        for name in images_directly_in(folder):
            message = f"The image lies in no class folder. Move it into {_shown(root, folder)}/<class>/."
            problems.add(None, _shown(root, folder / name), name, message)
        if not classes:
            message = "The folder has no class folders. Put the images of each class into a folder of its own."
            problems.add(None, _shown(root, folder), "", message)
        for name in classes:
            images, skipped = images_below(folder / name)
            others += skipped
            if not images:
                problems.add(None, _shown(root, folder / name), "", "The class folder holds no image.")
            rows.paths += [os.path.relpath(image, root).replace(os.sep, "/") for image in images]
            rows.labels += [name] * len(images)
            rows.split += [split] * len(images)
    if others:
        rows.warnings.append(f"{others} files are no images and were passed over.")
    if splits and splits[0][0] == "":
        rows.split = None
    if not rows.paths:
        if problems.n == 0:
            problems.add(None, str(root), "", "The folder has no class folders with images.")
        return None
    read_sidecars(rows, [root, *(folder for split, folder in splits if split)], problems)
    return rows


def read_sidecars(rows: Rows, folders: list[Path], problems: Problems) -> None:
    """Attributes from tables beside the images: a row names an image, relative to its table, in `path` or `file_name`.

    An image that no row names has no value; a row that names no image of the tree is a problem.
    """
    number = {path: i for i, path in enumerate(rows.paths)}
    named: set[int] = set()
    for folder in folders:
        file = next((folder / name for name in SIDECARS if (folder / name).is_file()), None)
        table = None if file is None else read_table(file, problems)
        if table is None or file is None:
            continue
        column = next((name for name in _NAMES if name in table.header), None)
        if column is None:
            message = f"The table needs a column {' or '.join(_NAMES)} that names the image."
            problems.add(1, file.name, ", ".join(table.header), message)
            continue
        where = os.path.relpath(folder, rows.root)
        paths = table.column(column)
        places = [number.get(os.path.normpath(os.path.join(where, path)).replace(os.sep, "/")) for path in paths]
        for i, place in enumerate(places):
            if place is None:
                message = f"There is no such image below {_shown(rows.root, folder)}."
                problems.add_row(i, f"{file.name}: {column}", paths[i], message)
        for name in table.header:
            if name != column and name:
                values = rows.attributes.setdefault(name, [""] * len(rows.paths))
                for place, value in zip(places, table.column(name), strict=True):
                    if place is not None:
                        values[place] = value
        named |= {place for place in places if place is not None}
        problems.lines = None
    if rows.attributes and len(named) < len(rows.paths):
        rows.warnings.append(f"{len(rows.paths) - len(named):,} images have no row in the table of attributes.")


def _split_folders(root: Path, rows: Rows, problems: Problems) -> list[tuple[str, Path]] | None:
    """(split, folder) in the order train, validation, test; one pair with split "" for class folders alone."""
    names = subfolders(root)
    by_split: dict[Split, list[str]] = {}
    for name in names:
        # "0", "1", "2" are splits in a manifest, but classes as folders
        split = None if name.isdigit() else known_split(name)
        if split is not None:
            by_split.setdefault(split, []).append(name)
    n_splits = sum(len(found) for found in by_split.values())
    nested = any(subfolders(root / name) for name in by_split.get(Split.TRAIN, []))
    if not (nested or (n_splits and n_splits == len(names))):  # else a class may well be called "test"
        return [("", root)]
    twice = [found for found in by_split.values() if len(found) > 1]
    for found in twice:
        message = f"The folders {' and '.join(found)} mean the same split. Keep one of them."
        problems.add(None, found[1], found[1], message)
    ignored = [n for n in names if n not in {f for found in by_split.values() for f in found}]
    if ignored:
        rows.warnings.append(f"Folders beside train were ignored, since they name no split: {', '.join(ignored)}.")
    if twice:
        return None
    return [(split.value, root / by_split[split][0]) for split in Split if split in by_split]


def subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def images_directly_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_file() and _is_image(e.name))


def images_below(folder: Path) -> tuple[list[str], int]:
    """Paths of the images at any depth, sorted, and how many other files there are."""
    images, others = [], 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if _is_image(name):
                images.append(os.path.join(place, name))
            elif not name.startswith("."):
                others += 1
    return sorted(images), others


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _shown(root: Path, path: Path) -> str:
    shown = os.path.relpath(path, root).replace(os.sep, "/")
    return str(root) if shown == "." else shown
