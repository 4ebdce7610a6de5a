"""Simple properties of images that a person has words for: brightness, contrast, colour, texture, by region.

Each is one number an image, and two words: what more of it looks like, and what less of it looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Property = NDArray[np.float32]

_BATCH = 256
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_BORDER = 0.2  # of the side, on every edge


@dataclass(frozen=True)
class Words:
    """What an image with more, or less, of a property looks like."""

    more: str
    less: str


PROPERTIES: dict[str, Words] = {
    "brightness": Words("brighter", "darker"),
    "contrast": Words("more contrast", "less contrast"),
    "texture": Words("more edges and texture", "smoother"),
    "saturation": Words("more colourful", "greyer"),
    "redness": Words("redder", "less red"),
    "greenness": Words("greener", "less green"),
    "blueness": Words("bluer", "less blue"),
}
REGIONS = ("whole", "border", "centre")


def image_properties(
    pixels: NDArray[np.uint8], on_step: Callable[[int, int], None] | None = None
) -> dict[tuple[str, str], Property]:
    """Measure every property in every region.

    Args:
        pixels: uint8 (n, 3, size, size).
        on_step: called with (images done, n).
    Returns:
        (region, property) → float32 (n,).
    """
    keys = [(region, name) for region in REGIONS for name in PROPERTIES]
    made = {key: np.empty(len(pixels), dtype=np.float32) for key in keys}
    border = _border(pixels.shape[-1])
    masks = {"whole": np.ones_like(border), "border": border, "centre": ~border}
    for start in range(0, len(pixels), _BATCH):
        some = slice(start, start + _BATCH)
        maps = _maps(np.asarray(pixels[some], dtype=np.float32) / np.float32(255))
        for region, mask in masks.items():
            for name, values in _measured(maps, mask).items():
                made[region, name][some] = values
        if on_step is not None:
            on_step(min(start + _BATCH, len(pixels)), len(pixels))
    return made


def _border(size: int) -> NDArray[np.bool_]:
    width = max(1, round(_BORDER * size))
    mask = np.ones((size, size), dtype=bool)
    mask[width:-width, width:-width] = False
    return mask


def _maps(x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Values a pixel, (n, size, size), from x in 0 … 1."""
    grey = np.einsum("c,nchw->nhw", _GREY, x)
    down, right = np.gradient(grey, axis=(1, 2))
    return {
        "grey": grey,
        "texture": np.hypot(down, right),
        "saturation": x.max(axis=1) - x.min(axis=1),
        **{name: x[:, c] - x.mean(axis=1) for c, name in enumerate(("redness", "greenness", "blueness"))},
    }


def _measured(maps: dict[str, NDArray[np.float32]], mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
    inside = {name: values[:, mask] for name, values in maps.items()}  # (n, pixels)
    grey = inside.pop("grey")
    return {
        "brightness": grey.mean(axis=1),
        "contrast": grey.std(axis=1),
        **{name: values.mean(axis=1) for name, values in inside.items()},
    }
