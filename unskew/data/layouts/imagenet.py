"""ImageNet: class folders named by synset (n01440764), with the published validation images as test.

    torchvision     train/<synset>/*.JPEG, val/<synset>/*.JPEG
    Kaggle          the same train and flat val below ILSVRC/Data/CLS-LOC, LOC_val_solution.csv, LOC_synset_mapping.txt
    Tiny ImageNet   train/<synset>/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt, words.txt

A tenth of each training class is held out as validation, as in the paper (another share: `validation_share`). Classes
are numbered by synset, which is ImageNet's own order, and called "n01440764 tench" where a list of words is found. A
table attributes.csv (path, …) at the top gives attributes, of as many images as it names.
"""

from __future__ import annotations

import re
from pathlib import Path

from unskew.data.folder import images_below, images_directly_in, read_sidecars, subfolders
from unskew.data.problems import Problems
from unskew.data.rows import Rows
from unskew.data.tables import read_table
from unskew.schemas.enums import Split
from unskew.schemas.params import ImportParams

HELD_OUT = 0.1

_SYNSET = re.compile(r"n\d{8}")
_INSIDE = ("", "ILSVRC/Data/CLS-LOC")
_WORD_LISTS = ("LOC_synset_mapping.txt", "words.txt", "synset_words.txt")


def recognise(source: Path) -> bool:
    """A train folder with nothing but synset folders in it."""
    return source.is_dir() and _place(source) is not None


def read(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Training images by class folder, then the published validation images as test."""
    place = _place(source) if source.is_dir() else None
    if place is None:
        message = "The folder needs train/ with one folder a synset (n01440764 …) and val/."
        problems.add(None, source.name, "", message)
        return None
    synsets = [name for name in subfolders(place / "train") if _SYNSET.fullmatch(name)]
    rows = Rows(root=source, paths=[], labels=[], split=[], attributes={}, lines=None, held_out=HELD_OUT)
    rows.label_field = "synset"
    for synset in synsets:
        _add(rows, _below(place / "train" / synset), synset, Split.TRAIN)
    for path, synset in _validation(source, place, problems):
        if synset in synsets:
            _add(rows, [path], synset, Split.TEST)
        else:
            problems.add(None, _shown(path, source), synset, f"The synset {synset!r} has no folder in train.")
    read_sidecars(rows, [source], problems)
    words = _words(source, synsets)
    rows.labels = [words[label] for label in rows.labels]
    rows.class_names = tuple(words[synset] for synset in synsets)
    return rows


def _add(rows: Rows, images: list[str], synset: str, split: Split) -> None:
    assert rows.split is not None
    rows.paths += [_shown(image, rows.root) for image in images]
    rows.labels += [synset] * len(images)
    rows.split += [split.value] * len(images)


def _validation(source: Path, place: Path, problems: Problems) -> list[tuple[str, str]]:
    """(image, synset) of the published validation set, in order of the files' names."""
    folder = place / "val"
    if not folder.is_dir():
        return []
    synsets = [name for name in subfolders(folder) if _SYNSET.fullmatch(name)]
    if synsets:
        return [(image, synset) for synset in synsets for image in _below(folder / synset)]
    images = folder / "images" if (folder / "images").is_dir() else folder
    answers = _answers(source, folder, problems)
    found = []
    for name in images_directly_in(images):
        synset = answers.get(name) or answers.get(name.rpartition(".")[0])
        if synset is None:
            problems.add(None, _shown(str(images / name), source), name, "No list says which class this image is of.")
        else:
            found.append((str(images / name), synset))
    return found


def _answers(source: Path, folder: Path, problems: Problems) -> dict[str, str]:
    """Image name → synset, from Kaggle's or Tiny ImageNet's list."""
    kaggle = source / "LOC_val_solution.csv"
    if kaggle.is_file():
        table = read_table(kaggle, problems)
        if table is None or len(table.header) < 2:
            return {}
        rows = zip(table.columns[0], table.columns[1], strict=True)
        return {name: text.split()[0] for name, text in rows if text.strip()}
    tiny = folder / "val_annotations.txt"
    if tiny.is_file():
        lines = tiny.read_text(encoding="utf-8", errors="replace").splitlines()
        return {fields[0]: fields[1] for fields in (line.split("\t") for line in lines) if len(fields) > 1}
    return {}


def _words(source: Path, synsets: list[str]) -> dict[str, str]:
    """Synset → "synset word", or the synset alone."""
    words: dict[str, str] = {}
    for name in _WORD_LISTS:
        if (source / name).is_file():
            for line in (source / name).read_text(encoding="utf-8", errors="replace").splitlines():
                synset, _, text = line.strip().replace("\t", " ").partition(" ")
                words[synset] = f"{synset} {text.split(',')[0].strip()}".strip()
            break
    return {synset: words.get(synset, synset) for synset in synsets}


def _place(source: Path) -> Path | None:
    for inside in _INSIDE:
        train = source / inside / "train"
        if train.is_dir():
            names = subfolders(train)
            if len(names) > 1 and all(_SYNSET.fullmatch(name) for name in names):
                return source / inside
    return None


def _below(folder: Path) -> list[str]:
    return images_below(folder)[0]


def _shown(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix()
