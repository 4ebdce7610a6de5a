"""`unskew.show` brings a matrix with images into Discover, on a server that ends with the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unskew
from unskew.errors import DataError
from unskew.schemas.enums import Verdict

pytestmark = pytest.mark.slow


def test_a_matrix_with_images_is_on_discover(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.clip(digits.images * 16, 0, 255).astype(np.uint8)
    labels = np.where(digits.target >= 5, "high", "low")
    bright = np.arange(400) % 2 == 0
    images[:400][bright] |= 128
    side = np.where(bright, 1.0, -1.0)
    tau = np.outer(side[:200], side[200:400]) + 0.2 * np.random.default_rng(0).standard_normal((200, 200))
    wrong = np.where(bright[200:400], labels[200:400] == "high", labels[200:400] == "low").astype(np.int64)
    prediction = np.where(bright[200:400], wrong, (labels[200:400] == "low").astype(np.int64))
    client = unskew.show(
        tau,
        labels[:200],
        labels[200:400],
        train=images[:200],
        targets=images[200:400],
        target_prediction=prediction,
        target_loss=np.ones(200, np.float32),
        data=tmp_path / "shown",
        open_browser=False,
    )
    [project] = client.projects()
    assert (project.n_train, project.n_validation, project.image_size) == (200, 200, 8)
    found = client.directions(project.slug)
    assert {d.label_name for d in found} == {"high", "low"}
    assert all(d.share > 0.5 for d in found if d.index == 0)
    assert any(d.evidence.verdict is not Verdict.NONE for d in found)
    first = client.examples(project.slug, limit=1).items[0]
    assert client.thumbnail(project.slug, first.id)


def test_lengths_that_differ_are_named() -> None:
    with pytest.raises(DataError, match="shape"):
        unskew.show(np.zeros((3, 2)), [0, 1], [0, 1])
    with pytest.raises(DataError, match="targets has 1"):
        unskew.show(np.zeros((2, 2)), [0, 1], [0, 1], train=["a", "b"], targets=["a"])
