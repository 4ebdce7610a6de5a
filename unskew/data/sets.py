"""The sets that ship, each with a planted bias: real data, no download at run time.

    demo      digits on textures (unskew/data/demo.py)
    coloured  red and green digits of 14 × 14 pixels (unskew/data/coloured.py)
    reviews   sentences of film and product reviews, rated by people; the class is their mood, the attribute their
              source. 1,800 training, 400 validation and 600 test sentences
    clinic    cells of breast tumours (scikit-learn), benign or malignant, with a column `site` that says which of two
              clinics sent them: that one is drawn. 284 training, 140 validation and 144 test rows

In training a share `skew` of each class has its own source or clinic; test has both equally often, and so has
validation unless it is asked to be as skewed as training.

The sentences are in the source distribution of vaderSentiment 3.3.2 (Hutto & Gilbert 2014; MIT), not in its wheel, so
they cannot be a dependency: `make setup` fetches the archive once. Nothing of it is redistributed.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unskew.data.coloured import COLOURED_SIZES, COLOURS, coloured_splits
from unskew.data.demo import CLASS_NAMES, build_demo
from unskew.data.painted import write_once
from unskew.errors import DataError, SettingsError
from unskew.schemas.enums import DataKind, Split
from unskew.schemas.params import SETS, ImportParams, ValidationSkew

ARCHIVE = Path(sys.prefix) / "share" / "unskew" / "vaderSentiment-3.3.2.tar.gz"
SKEW = 0.95
_DIGEST = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_SNIPPETS = {
    "product": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "film": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
}
_CLEAR = 0.5  # ratings run from -4 to 4; sentences closer to 0 have no mood to tell
_REVIEWS = {Split.TRAIN: 1800, Split.VALIDATION: 400, Split.TEST: 600}
_STREAMS = {"reviews": 0, "clinic": 1}  # of random numbers
_CLINIC = {Split.TRAIN: 284, Split.VALIDATION: 140, Split.TEST: 144}


def build_set(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    validation: ValidationSkew = "balanced",
    skew: float = SKEW,
    on_step: Callable[[int, int], None] | None = None,
) -> ImportParams:
    """Write a set that ships into a folder and say how to import it; the same arguments give the same bytes.

    Args:
        seed: which examples, and which of them are the minority.
        skew: share of each training class with its own attribute; 0.5 = no bias.
        on_step: called with (images done, images in all) where images are painted.
    Raises:
        DataError: the archive of the reviews is not there, or is another; the folder holds another set of images.
        SettingsError: no such set; skew is not in 0.5 … 1.
    """
    if name not in SETS:
        raise SettingsError(f"There is no set {name!r}.", fix=f"There are: {', '.join(SETS)}.")
    if not 0.5 <= skew <= 1:
        raise SettingsError(f"skew is {skew}.", fix="Give a share from 0.5 (no bias) to 1.")
    if name == "demo":
        manifest = build_demo(folder, seed=seed, validation=validation, skew=skew, on_step=on_step)
        return ImportParams(source=str(manifest), name="Digits on textures", image_size=SETS[name])
    if name == "coloured":
        manifest = _coloured(folder, seed, validation, skew, on_step)
        return ImportParams(source=str(manifest), name="Coloured digits", image_size=SETS[name])
    return _table(name, folder, np.random.default_rng([seed, _STREAMS[name]]), validation, skew)


def _coloured(
    folder: Path, seed: int, validation: ValidationSkew, skew: float, on_step: Callable[[int, int], None] | None
) -> Path:
    of_validation = skew if validation == "skewed" else 0.5
    return write_once(
        folder,
        {"coloured": 1, "seed": seed, "validation": validation, "skew": skew},
        lambda: coloured_splits(seed=seed, skew=skew, validation_skew=of_validation, size=SETS["coloured"]),
        class_names=CLASS_NAMES,
        attribute="colour",
        values=COLOURS,
        total=sum(COLOURED_SIZES.values()),
        on_step=on_step,
    )


def _table(name: str, folder: Path, rng: np.random.Generator, validation: ValidationSkew, skew: float) -> ImportParams:
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    if name == "reviews":
        header, rows = ("text", "label", "split", "source"), _reviews(rng, validation, skew)
        how = ImportParams(source=str(folder / "reviews.csv"), name="Reviews", kind=DataKind.TEXT, n_tokens=40)
    else:
        header, rows = _clinic(rng, validation, skew)
        how = ImportParams(
            source=str(folder / "clinic.csv"),
            name="Tumours by clinic",
            kind=DataKind.TABLE,
            feature_columns=[name for name in header if name not in ("label", "split")],
            attribute_columns=["site"],
        )
    _write(Path(how.source), [header, *rows])
    return how


def drawn(
    label: NDArray[np.int64],
    attribute: NDArray[np.int64],
    sizes: dict[Split, int],
    rng: np.random.Generator,
    validation: ValidationSkew,
    skew: float,
) -> dict[Split, NDArray[np.int64]]:
    """Rows of each split: classes equally often, the attribute equal to the class in a share of them.

    Args:
        label, attribute: int64 (n,), 0 or 1.
    Raises:
        DataError: a (class, attribute) has too few rows.
    """
    cells = [(c, a) for c in (0, 1) for a in (0, 1)]
    pools = {(c, a): rng.permutation(np.flatnonzero((label == c) & (attribute == a))).tolist() for c, a in cells}
    made = {}
    for split in (Split.TEST, Split.VALIDATION, Split.TRAIN):
        biased = split is Split.TRAIN or (split is Split.VALIDATION and validation == "skewed")
        rows: list[int] = []
        for c in (0, 1):
            own = round((skew if biased else 0.5) * sizes[split] / 2)
            for a, n in ((c, own), (1 - c, sizes[split] // 2 - own)):
                if len(pools[c, a]) < n:
                    raise DataError(f"Class {c} with attribute {a} lacks rows: {n} wanted.", fix="Choose a lower skew.")
                rows += pools[c, a][:n]
                del pools[c, a][:n]
        made[split] = np.sort(np.array(rows, dtype=np.int64))
    return made


def _reviews(rng: np.random.Generator, validation: ValidationSkew, skew: float) -> list[tuple[str, ...]]:
    texts, ratings, source = _snippets()
    label = (ratings > 0).astype(np.int64)  # negative ↔ product, positive ↔ film
    splits = drawn(np.where(np.abs(ratings) >= _CLEAR, label, -1), source, _REVIEWS, rng, validation, skew)
    moods, sources = ("negative", "positive"), tuple(_SNIPPETS)
    return [(texts[i], moods[label[i]], s.value, sources[source[i]]) for s in Split for i in splits[s]]


def _snippets() -> tuple[list[str], NDArray[np.float64], NDArray[np.int64]]:
    """Sentences, their mean rating, and where they are from (0 product, 1 film); repeated sentences once."""
    if not ARCHIVE.is_file() or sha256(ARCHIVE.read_bytes()).hexdigest() != _DIGEST:
        raise DataError(
            f"The reviews need the source distribution of vaderSentiment 3.3.2 at {ARCHIVE}.",
            fix=f"Fetch it once: {sys.executable} -m pip download --no-deps --no-binary :all: "
            f"--dest {ARCHIVE.parent} vaderSentiment==3.3.2",
        )
    texts: dict[str, tuple[float, int]] = {}
    with tarfile.open(ARCHIVE) as outer, tarfile.open(fileobj=outer.extractfile(_INNER)) as inner:
        for number, member in enumerate(_SNIPPETS.values()):
            opened = inner.extractfile(member)
            assert opened is not None, "the digest says which archive it is"
            for line in io.TextIOWrapper(opened, encoding="utf-8"):
                _, rating, text = line.rstrip("\r\n").split("\t")
                texts.setdefault(" ".join(text.split()), (float(rating), number))
    found = np.array(list(texts.values()))  # (n, 2)
    return list(texts), found[:, 0], found[:, 1].astype(np.int64)


def _clinic(rng: np.random.Generator, validation: ValidationSkew, skew: float) -> tuple[list[str], list[list[str]]]:
    """The ten means of each tumour, with a drawn site; the header and the rows."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    columns = [str(name).replace(" ", "_") for name in found.feature_names[:10]]
    label = found.target.astype(np.int64)
    # Draw splits by class, then a site for each row: the site is no property of the cells.
    order, rows, start = [rng.permutation(np.flatnonzero(label == c)) for c in (0, 1)], [], [0, 0]
    for split, n in _CLINIC.items():
        biased = split is Split.TRAIN or (split is Split.VALIDATION and validation == "skewed")
        share = np.bincount(label) / len(label)
        for c in (0, 1):
            n_class = round(share[c] * n)
            chosen = order[c][start[c] : start[c] + n_class]
            start[c] += n_class
            own = np.arange(n_class) < round((skew if biased else 0.5) * n_class)
            for i, stays in zip(np.sort(chosen), rng.permutation(own), strict=True):
                site = ("north", "south")[c if stays else 1 - c]
                cells = [f"{x:.6g}" for x in found.data[i, :10]]
                rows.append([*cells, site, str(found.target_names[c]), split.value])
    return [*columns, "site", "label", "split"], rows


def _write(file: Path, rows: Iterable[Sequence[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(handle, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    os.replace(temporary, file)
