"""Tiny data on which a class can be learnt: its own brightness, with a stripe as the planted attribute."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from unskew.data import Data, SplitArrays
from unskew.schemas.params import InputShape, ModelSpec, TrainParams

SMALL = ModelSpec(kwargs={"width": 2})
SHORT = TrainParams(epochs=3, batch_size=16)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def split(n: int, seed: int, minority: float) -> SplitArrays:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    stripe = np.where(rng.random(n) < minority, 1 - label, label)
    pixels = rng.integers(0, 120, (n, 3, 8, 8), dtype=np.uint8)
    pixels += (label * 60).astype(np.uint8)[:, None, None, None]
    pixels[stripe == 1, :, :2] = 255
    names = np.array(["plain", "striped"])
    return SplitArrays(pixels, label.astype(np.int64), {"stripe": names[stripe]})


@pytest.fixture(scope="session")
def data() -> Data:
    return Data(split(90, 0, 0.1), split(40, 1, 0.5), split(30, 2, 0.5), ("dark", "bright"), InputShape.image(8))


@pytest.fixture(scope="session")
def groups(data: Data) -> dict[str, np.ndarray]:
    """Label-major groups of each split."""
    return {
        name: 2 * part.label + (part.attributes["stripe"] == "striped")
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
        if part is not None
    }


@pytest.fixture
def small() -> ModelSpec:
    return SMALL


@pytest.fixture
def short() -> TrainParams:
    return SHORT
