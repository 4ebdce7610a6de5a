"""Training examples as targets: against the formula with whole matrices, and what may be missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.attribution.test_scores import DAMPING, N_TARGETS, N_TRAIN, P, near, records
from unskew.attribution import Attribution, Features

N_CLASSES = 3


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def dense(
    train: list[Features],
    targets: list[Features],
    damping: float,
    weight: NDArray[np.float64],
    target_label: NDArray[np.int64],
    loss: NDArray[np.float64],
    label: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The module's formula, training × training and all."""
    weights = weight[:, None] * np.eye(N_CLASSES)[target_label]
    q = np.sqrt(np.mean([a.one_minus_p for a in train], axis=0, dtype=np.float64))
    rows, contrasts = np.zeros((N_TRAIN, N_TRAIN)), np.zeros((N_TRAIN, weights.shape[1]))
    for a, b in zip(train, targets, strict=True):
        x, z = (f.rows.read(slice(None)).astype(np.float64) for f in (a, b))
        moment = x.T @ x
        inverse = np.linalg.inv(moment + damping * np.trace(moment) / len(moment) * np.eye(len(moment)))
        rows += q[:, None] * (x @ inverse @ x.T) / len(train)  # column i is r_i
        contrasts += q[:, None] * (x @ inverse @ z.T @ weights) / len(train)
    slopes = []
    for c in range(weights.shape[1]):
        own = label == c
        slopes.append(unit(rows[:, own] @ (loss[own] - loss[own].mean())))
    found = np.zeros(N_TRAIN)
    for c in range(weights.shape[1]):
        guided = unit(slopes[c] + unit(sum(slopes[b] for b in range(weights.shape[1]) if b != c)))
        asked = unit(contrasts[:, c])
        direction = asked + max(0.0, asked @ guided) * guided
        own = label == c
        found[own] = direction @ rows[:, own] if asked.any() else 0.0
    return found


@pytest.mark.parametrize("p", [P, 2 * N_TRAIN], ids=["fewer features than examples", "more"])
@pytest.mark.parametrize("error_damping", [9.0, None], ids=["a damping for errors", "one damping"])
@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "on disk"])
def test_sides_equal_their_formula(tmp_path: Path, p: int, error_damping: float | None, stored: bool) -> None:
    train, targets = records(p=p)
    made = Attribution.from_features(train, targets, damping=DAMPING, q_power="auto", error_damping=error_damping)
    if stored:
        made.save(tmp_path)
        made = Attribution.load(tmp_path)
    rng = np.random.default_rng(0)
    target_label, label = rng.integers(0, N_CLASSES, N_TARGETS), rng.integers(0, N_CLASSES, N_TRAIN)
    weight = np.where(target_label == 1, 0.0, rng.normal(size=N_TARGETS))  # a class that is not asked for
    found, error = made.training_sides(weight, target_label, label), made.expected_error
    assert found is not None and error is not None
    near(found, dense(train, targets, error_damping or DAMPING / 2, weight, target_label, -np.log1p(-error), label))
    assert (found[label == 1] == 0).all() and (found[label == 0] != 0).all()


def test_they_are_not_known_without_features_or_expectations() -> None:
    weight, target_label, label = np.ones(N_TARGETS), np.arange(N_TARGETS) % 2, np.arange(N_TRAIN) % 2
    plain = Attribution.from_features(*records(), damping=DAMPING, q_power=0.5)
    matrix = Attribution.from_matrix(plain.tau(), diagnostics={"q_power": "auto"})
    for scores in (plain, matrix):
        assert scores.expected_error is None and scores.training_sides(weight, target_label, label) is None
