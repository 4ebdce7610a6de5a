"""Signs of quality without retraining: against the dense answer, on noise, on scores turned round."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from unskew.attribution import Attribution, Features, proxies, quality

N_TRAIN, N_TARGETS, P = 300, 80, 12
TRAIN_LABEL, TARGET_LABEL = np.arange(N_TRAIN) % 3, np.arange(N_TARGETS) % 3


def record(rng: np.random.Generator, label: NDArray[np.int64], signal: float, means: NDArray[np.floating]) -> Features:
    """Features around their class's mean, with noise of the checkpoint's own."""
    phi = signal * means[label] + rng.normal(size=(len(label), P))
    q = rng.uniform(0.1, 0.9, len(label)).astype(np.float32)
    return Features(phi.astype(np.float32), q, -np.log1p(-q), label, 1.0)


def attribution(signal: float, n_checkpoints: int = 4) -> tuple[Attribution, list[Features], list[Features]]:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(3, P))
    pairs = [[record(rng, y, signal, means) for y in (TRAIN_LABEL, TARGET_LABEL)] for _ in range(n_checkpoints)]
    train, targets = [a for a, _ in pairs], [b for _, b in pairs]
    return Attribution.from_features(train, targets, damping=1.0), train, targets


def dense(train: list[Features], targets: list[Features], q: NDArray[np.floating]) -> NDArray[np.float64]:
    kernels = []
    for a, b in zip(train, targets, strict=True):
        x, z = a.phi.astype(np.float64), b.phi.astype(np.float64)
        moment = x.T @ x
        kernels.append(x @ np.linalg.inv(moment + np.trace(moment) / P * np.eye(P)) @ z.T)
    return np.sum(kernels, axis=0) * q[:, None]


def test_both_are_those_of_the_dense_scores() -> None:
    found, train, targets = attribution(0.5)
    q = np.mean([a.one_minus_p for a in train], axis=0)
    first, rest = dense(train[:2], targets[:2], q), dense(train[2:], targets[2:], q)
    each = [spearmanr(a, b).statistic for a, b in zip(first.T, rest.T, strict=True)]
    own = [(first + rest)[y == TRAIN_LABEL, j].sum() > 0 for j, y in enumerate(TARGET_LABEL)]
    signs = proxies(found, TARGET_LABEL, TRAIN_LABEL)
    assert signs.halves is not None and signs.halves.n == signs.own_class.n == N_TARGETS
    assert signs.halves.value == pytest.approx(np.mean(each), abs=1e-4)
    assert signs.own_class.value == pytest.approx(np.mean(own))
    assert signs.halves.low > 0 and signs.own_class.value > 0.8  # there is something to find


def test_noise_agrees_on_nothing() -> None:
    signs = proxies(attribution(0.0)[0], TARGET_LABEL, TRAIN_LABEL)
    assert signs.halves is not None and abs(signs.halves.value) < 0.05
    # Targets of a class share its training examples, so that chance scatters more than the interval of n targets.
    assert signs.own_class.value == pytest.approx(0.5, abs=0.2)


def test_a_matrix_has_a_sign_only() -> None:
    tau = attribution(1.0)[0].tau()
    right, turned, noise = (
        proxies(Attribution.from_matrix(scores), TARGET_LABEL, TRAIN_LABEL)
        for scores in (tau, -tau, np.random.default_rng(1).normal(size=tau.shape))
    )
    assert right.halves is turned.halves is noise.halves is None
    assert right.own_class.value > 0.9 and turned.own_class.value < 0.1
    assert noise.own_class.low < 0.5 < noise.own_class.high


def test_one_checkpoint_has_no_halves() -> None:
    assert proxies(attribution(1.0, n_checkpoints=1)[0], TARGET_LABEL, TRAIN_LABEL).halves is None


def test_a_sample_is_close_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = attribution(0.5)[0]
    whole = proxies(found, TARGET_LABEL, TRAIN_LABEL)
    monkeypatch.setattr(quality, "MOST_TARGETS", 40)
    monkeypatch.setattr(quality, "MOST_ROWS", 200)
    part = proxies(found, TARGET_LABEL, TRAIN_LABEL)
    assert whole.halves is not None and part.halves is not None and part.halves.n == 40
    assert part.halves.value == pytest.approx(whole.halves.value, abs=0.1)
    assert part == proxies(found, TARGET_LABEL, TRAIN_LABEL)


def test_a_class_without_training_examples_is_left_out() -> None:
    signs = proxies(attribution(1.0)[0], TARGET_LABEL, np.zeros(N_TRAIN, dtype=np.int64))
    assert signs.own_class.n == (TARGET_LABEL == 0).sum()
