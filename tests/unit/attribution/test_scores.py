"""Scores, alignment, directions and pages from factors, against the dense closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from unskew.attribution import Attribution, Features
from unskew.attribution.rows import Chunked, OnDisk, save_rows
from unskew.discovery import directions_pca
from unskew.errors import DataError, SettingsError
from unskew.schemas.enums import DirectionKind, RowTransform
from unskew.schemas.params import DiscoverParams

N_TRAIN, N_TARGETS, P = 60, 24, 7
DAMPING = 0.3


def record(rng: np.random.Generator, n: int, p: int = P, half: bool = False) -> Features:
    phi = (rng.standard_normal((n, p)) * rng.lognormal(0, 2, (n, 1))).astype(np.float32)
    q = rng.uniform(0.01, 0.99, n).astype(np.float32)
    scale = None
    if half:
        scale = np.exp2(np.ceil(np.log2(np.abs(phi).max(axis=1)))).astype(np.float32)
        phi = (phi / scale[:, None]).astype(np.float16)
    return Features(phi, q, -np.log1p(-q), rng.integers(0, 3, n), 1.0, scale)


def records(
    seed: int = 0, n_checkpoints: int = 2, p: int = P, half: bool = False
) -> tuple[list[Features], list[Features]]:
    rng = np.random.default_rng(seed)
    pairs = [(record(rng, N_TRAIN, p, half), record(rng, N_TARGETS, p, half)) for _ in range(n_checkpoints)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def dense(train: list[Features], targets: list[Features], damping: float = DAMPING) -> NDArray[np.float64]:
    """τ by its formula: average of kernels times average of Q."""
    kernels = []
    for a, b in zip(train, targets, strict=True):
        x, z = (f.rows.read(slice(None)).astype(np.float64) for f in (a, b))
        moment = x.T @ x
        moment += damping * np.trace(moment) / len(moment) * np.eye(len(moment))
        kernels.append(x @ np.linalg.inv(moment) @ z.T)
    return np.mean(kernels, axis=0) * np.mean([a.one_minus_p for a in train], axis=0)[:, None]


def near(found: NDArray[np.floating], truth: NDArray[np.floating]) -> None:
    assert found.shape == truth.shape
    assert np.abs(found - truth).max() <= 1e-5 * np.abs(truth).max()


@pytest.mark.parametrize("p", [P, 2 * N_TRAIN], ids=["fewer features than examples", "more"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "on disk"])
def test_tau_alignment_and_pages_equal_the_dense_answer(tmp_path: Path, p: int, half: bool, stored: bool) -> None:
    train, targets = records(p=p, half=half)
    tau = dense(train, targets)
    attribution = Attribution.from_features(train, targets, damping=DAMPING)
    if stored:
        attribution.save(tmp_path)
        attribution = Attribution.load(tmp_path)
    near(attribution.tau(), tau)
    near(attribution.tau(train=[5, 3, 59], targets=slice(2, 9)), tau[[5, 3, 59], 2:9])
    groups = np.arange(N_TARGETS) % 4 - 1
    weights = np.array([0.5, 2.0, 1.5])
    truth = sum(weights[g] * tau[:, groups == g].mean(axis=1) for g in range(3))
    near(attribution.alignment(groups, weights), truth)
    columns = np.zeros((N_TARGETS, 2))
    columns[3, 0], columns[groups == 1, 1] = 1, 1 / (groups == 1).sum()
    places, scores = attribution.top(columns, 5)
    wanted = tau @ columns
    for k in range(2):
        assert places[0, k].tolist() == np.argsort(-wanted[:, k])[:5].tolist()
        assert places[1, k].tolist() == np.argsort(wanted[:, k])[:5].tolist()
        near(scores[0, k], wanted[places[0, k], k])
        near(scores[1, k], wanted[places[1, k], k])
    places, scores = attribution.top_targets(7, 4)
    assert places[0].tolist() == np.argsort(-tau[7])[:4].tolist()
    near(scores[1], np.sort(tau[7])[:4])


@pytest.mark.parametrize("own", ["all", "own"])
@pytest.mark.parametrize("transform", list(RowTransform))
def test_directions_equal_those_of_the_dense_rows(transform: RowTransform, own: str) -> None:
    train, targets = records()
    tau = dense(train, targets)
    target_label, train_label = np.arange(N_TARGETS) % 2, np.arange(N_TRAIN) % 2
    params = DiscoverParams(n_directions=3, row_transform=transform, training_rows=own, error_guided=False)
    attribution = Attribution.from_features(train, targets, damping=DAMPING)
    for label, found in enumerate(attribution.directions(target_label, train_label, params)):
        over = train_label == label if own == "own" else np.ones(N_TRAIN, dtype=bool)
        rows = tau[over][:, target_label == label].T
        rows = np.sign(rows) * np.sqrt(np.abs(rows)) if transform is RowTransform.SIGNED_SQRT else rows
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows - rows.mean(axis=0)
        u, s, v = np.linalg.svd(rows, full_matrices=False)
        for index in range(3):
            sign = np.sign(u[:, index] @ found.projections[index])
            near(sign * found.projections[index], u[:, index] * s[index])
            near(sign * found.loadings[index, over], v[index])
            assert (found.loadings[index, ~over] == 0).all()
        np.testing.assert_allclose(found.shares, s[:3] ** 2 / (s**2).sum(), rtol=1e-4)


def test_chunks_are_the_whole() -> None:
    train, targets = records()
    parts = [
        [
            Features(*(getattr(f, name)[s] for name in ("phi", "one_minus_p", "loss", "prediction")), 1.0)
            for s in (slice(0, 20), slice(20, 60))
        ]
        for f in train
    ]
    whole = Attribution.from_features(train, targets, damping=DAMPING)
    chunked = Attribution.from_features(parts, targets, damping=DAMPING)
    assert np.array_equal(whole.tau(), chunked.tau())
    assert np.array_equal(whole.tau(train=[3, 30, 19]), chunked.tau(train=[3, 30, 19]))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_power_of_q_weighs_training_examples(power: float) -> None:
    train, targets = records()
    found = Attribution.from_features(train, targets, damping=DAMPING, q_power=power)
    q = np.mean([a.one_minus_p for a in train], axis=0, dtype=np.float64)[:, None]
    near(found.tau(), dense(train, targets) * q ** (power - 1))
    groups = np.arange(N_TARGETS) % 2
    sides = np.stack([groups == g for g in (0, 1)], axis=1) / (N_TARGETS / 2)
    near(found.alignment(groups, np.array([1.0, 2.0])), found.tau() @ sides @ [1.0, 2.0])
    assert found.diagnostics["q_power"] == power


def test_an_attribution_of_the_first_version_is_read(tmp_path: Path) -> None:
    """There the weights were Q itself, in a file of that name."""
    train, targets = records()
    made = Attribution.from_features(train, targets, damping=DAMPING)
    made.save(tmp_path)
    (tmp_path / "weight.npy").rename(tmp_path / "one_minus_p.npy")
    file = tmp_path / "attribution.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 1}))
    assert np.array_equal(Attribution.load(tmp_path).tau(), made.tau())


def test_permuting_training_rows_permutes_scores() -> None:
    train, targets = records()
    order = np.random.default_rng(5).permutation(N_TRAIN)
    moved = [Features(f.phi[order], f.one_minus_p[order], f.loss[order], f.prediction[order], 1.0) for f in train]
    one = Attribution.from_features(train, targets, damping=DAMPING).tau()
    other = Attribution.from_features(moved, targets, damping=DAMPING).tau()
    near(other, one[order])


def test_duplicating_an_example_splits_its_score() -> None:
    """Two copies share what one had, and a little more: each gets 1 / (1 + h) of it, h its leverage, at most 1."""
    train, targets = records(n_checkpoints=1)
    a, b = train[0], targets[0]
    x, z = a.phi.astype(np.float64), b.phi.astype(np.float64)
    order = np.append(np.arange(N_TRAIN), 4)
    twin = Features(a.phi[order], a.one_minus_p[order], a.loss[order], a.prediction[order], 1.0)
    damping = 0.1
    found = Attribution.from_features([twin], [b], damping=damping).tau()
    np.testing.assert_array_equal(found[4], found[-1])
    # Sherman-Morrison: with h the example's leverage under the same absolute damping, each copy gets 1 / (1 + h).
    absolute = damping * (np.trace(x.T @ x) + x[4] @ x[4]) / P
    inverse = np.linalg.inv(x.T @ x + absolute * np.eye(P))
    leverage = x[4] @ inverse @ x[4]
    alone = a.one_minus_p[4] * (x[4] @ inverse @ z.T)
    near(found[4], alone / (1 + leverage))
    assert 2 / (1 + leverage) >= 1


def test_condition_fallback_and_units_are_reported() -> None:
    train, targets = records()
    facts = Attribution.from_features(train, targets, damping="auto").diagnostics
    assert facts["damping_rule"] == "auto" and facts["damping_relative"] == [5 * P / N_TRAIN] * 2
    assert all(c >= 1 for c in facts["condition_number"]) and facts["fallback"] == [False, False]
    assert facts["unit"].startswith("margin [logits]")


def test_scores_are_in_margin_units_and_not_rescaled() -> None:
    """traker divides the inverse by its own mean; here scaling all features by s leaves τ as it was."""
    train, targets = records()
    scaled = [[Features(8 * f.phi, f.one_minus_p, f.loss, f.prediction, 1.0) for f in fs] for fs in (train, targets)]
    near(
        Attribution.from_features(*scaled, damping=DAMPING).tau(),
        Attribution.from_features(train, targets, damping=DAMPING).tau(),
    )
    near(Attribution.from_features(train, targets, damping=DAMPING).tau(), dense(train, targets))


def test_automatic_damping_is_the_same_for_any_projection() -> None:
    """Absolutely: 5 times the mean squared length of a row; for errors 50 times, at least 30 mean diagonals."""
    rng = np.random.default_rng(0)
    for p in (P, 90):
        x = rng.standard_normal((N_TRAIN, p)).astype(np.float32)
        target = Features(x[:3], *(np.full(3, 0.5, np.float32) for _ in range(2)), np.zeros(3, np.int64), 1.0)
        train = Features(x, *(np.full(N_TRAIN, 0.5, np.float32) for _ in range(2)), np.zeros(N_TRAIN, np.int64), 1.0)
        facts = Attribution.from_features([train], [target], damping="auto", error_damping="auto").diagnostics
        length, diagonal = (x**2).sum(axis=1).mean(), (x**2).sum(axis=0).mean()
        assert facts["damping"] == pytest.approx([5 * length], rel=1e-5)
        assert facts["damping_relative"] == pytest.approx([5 * p / N_TRAIN])
        heavier = facts["error_damping_relative"][0]
        assert heavier * diagonal == pytest.approx(max(50 * length, 30 * diagonal), rel=1e-5)


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "on disk"])
def test_what_errors_have_in_common_is_read_at_a_heavier_damping(tmp_path: Path, stored: bool) -> None:
    """Scores and principal directions are those of the damping; the error-guided one and likeness of the other."""
    train, targets = records()
    both = Attribution.from_features(train, targets, damping=DAMPING, error_damping=50 * DAMPING)
    if stored:
        both.save(tmp_path)
        both = Attribution.load(tmp_path)
    light, heavy = (Attribution.from_features(train, targets, damping=d) for d in (DAMPING, 50 * DAMPING))
    label, train_label = np.arange(N_TARGETS) % 2, np.arange(N_TRAIN) % 2
    assert np.array_equal(both.tau(), light.tau()) and not np.allclose(both.tau(), heavy.tau())
    for three in zip(*((a, *(a.halves() or ())) for a in (both, light, heavy)), strict=True):
        for ours, principal, errors in zip(*(a.directions(label, train_label) for a in three), strict=True):
            for kind, expected in ((DirectionKind.PRINCIPAL, principal), (DirectionKind.ERROR_GUIDED, errors)):
                mine, theirs = (np.flatnonzero([k == kind for k in d.kinds]) for d in (ours, expected))
                assert np.array_equal(ours.projections[mine], expected.projections[theirs]) and len(mine)
                assert np.array_equal(ours.loadings[mine], expected.loadings[theirs])
            assert ours.alike == errors.alike


def test_an_error_damping_that_is_no_number_above_0_is_refused() -> None:
    with pytest.raises(SettingsError, match="error_damping is 0"):
        Attribution.from_features(*records(), damping=DAMPING, error_damping=0)


def test_rows_on_disk_read_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [record(rng, n, half=True) for n in (3, 5, 4)]
    whole = Chunked(tuple(part.rows for part in parts))
    save_rows(tmp_path / "a.npy", whole)
    assert np.load(tmp_path / "a.npy").dtype == np.float16
    disk = OnDisk(tmp_path / "a.npy", np.load(tmp_path / "a_scale.npy"))
    for index in (slice(None), slice(2, 9), slice(11, 40), slice(5, 5), np.array([7, 0, 11, 7]), np.array([4, 5, 6])):
        np.testing.assert_array_equal(disk.read(index), whole.read(index))


def test_what_does_not_fit_is_refused() -> None:
    train, targets = records()
    with pytest.raises(DataError, match="1 checkpoints for training and 2"):
        Attribution.from_features(train[:1], targets, damping=DAMPING)
    with pytest.raises(SettingsError, match="damping is 0"):
        Attribution.from_features(train, targets, damping=0)
    attribution = Attribution.from_features(train, targets, damping=DAMPING)
    with pytest.raises(SettingsError, match=r"shape \(3, 1\) for 24 targets"):
        attribution.top(np.ones((3, 1)))
    with pytest.raises(DataError, match="no training example 60"):
        attribution.top_targets(60)


def test_directions_of_a_gram_matrix_are_those_of_its_rows() -> None:
    """Against scikit-learn."""
    from sklearn.decomposition import PCA

    rows = np.random.default_rng(1).standard_normal((9, 30))
    found = directions_pca(rows @ rows.T, n=2, normalise=False, centre=True)
    truth = PCA(2).fit_transform(rows).T
    np.testing.assert_allclose(np.abs(found.projections), np.abs(truth), atol=1e-8)
