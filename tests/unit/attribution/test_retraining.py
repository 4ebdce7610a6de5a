"""Weights and curvatures as retraining would have them: against the formula, and against models that were retrained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from tests.unit.attribution.test_scores import DAMPING, N_TARGETS, N_TRAIN, P, near, records
from unskew.attribution import Attribution, Features, retraining
from unskew.evaluation import half_subsets, lds
from unskew.schemas.params import AttributeParams


def dense(train: list[Features], targets: list[Features], damping: float) -> NDArray[np.float64]:
    q = np.mean([a.one_minus_p for a in train], axis=0, dtype=np.float64)
    w = np.maximum(q, 1e-5) ** (2 / 3)
    kernels, support = [], np.zeros(len(q))
    for a, b in zip(train, targets, strict=True):
        x, z = (f.rows.read(slice(None)).astype(np.float64) for f in (a, b))
        moment = x.T @ (w[:, None] * x)
        inverse = np.linalg.inv(moment + damping * np.trace(moment) / len(moment) * np.eye(len(moment)))
        kernels.append(x @ inverse @ z.T)
        support += x @ inverse @ x.T @ q / len(train)
    margin = np.mean([-logit(a.one_minus_p.astype(np.float64)) for a in train], axis=0)
    factor = margin.std() / support.std() if np.corrcoef(margin, support)[0, 1] > 0 else 0
    return np.mean(kernels, axis=0) * expit(-(margin - factor / 2 * support))[:, None]


@pytest.mark.parametrize("p", [P, 2 * N_TRAIN], ids=["fewer features than examples", "more"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "on disk"])
def test_tau_equals_its_formula(tmp_path: Path, p: int, half: bool, stored: bool) -> None:
    train, targets = records(p=p, half=half)
    found = Attribution.from_features(train, targets, damping=DAMPING, q_power="auto", scratch=tmp_path)
    if stored:
        found.save(tmp_path / "made")
        found = Attribution.load(tmp_path / "made")
    near(found.tau(), dense(train, targets, DAMPING))
    assert found.diagnostics["q_power"] == "auto"


def test_what_targets_have_in_common_keeps_its_own_weights(tmp_path: Path) -> None:
    """Group alignment, directions and verdicts were measured with the root of Q and curvatures of 1 (docs/evidence.md):
    half the damping of scores, and for errors their own. All goes to disk and back."""
    train, targets = records()
    made = Attribution.from_features(train, targets, damping=DAMPING, q_power="auto", error_damping=9.0)
    made.save(tmp_path)
    root = Attribution.from_features(train, targets, damping=DAMPING / 2, q_power=0.5, error_damping=9.0)
    label, train_label = np.arange(N_TARGETS) % 2, np.arange(N_TRAIN) % 2
    groups, weights = np.arange(N_TARGETS) % 3, np.array([1.0, 2.0, 0.5])
    for found in (made, Attribution.load(tmp_path)):
        assert np.array_equal(found.alignment(groups, weights), root.alignment(groups, weights))
        for ours, expected in zip(*(a.directions(label, train_label) for a in (found, root)), strict=True):
            assert ours.alike == expected.alike and ours.kinds == expected.kinds
            assert np.array_equal(ours.projections, expected.projections)
            assert np.array_equal(ours.loadings, expected.loadings)
        for half, other in zip(found.halves() or (), root.halves() or (), strict=True):
            assert np.array_equal(half.alignment(groups, weights), other.alignment(groups, weights))


def test_the_mean_over_targets_is_that_of_their_scores() -> None:
    found = Attribution.from_features(*records(), damping=DAMPING, q_power="auto")
    near(found.mean(np.array([3, 8])), found.tau(targets=[3, 8]).mean(axis=1))


def test_an_attribution_with_one_weight_for_both_dampings_is_read(tmp_path: Path) -> None:
    train, targets = records()
    made = Attribution.from_features(train, targets, damping=DAMPING, q_power=0.5, error_damping=9.0)
    made.save(tmp_path)
    (tmp_path / "broad_weight.npy").unlink()
    assert not (tmp_path / "common_weight.npy").exists()
    file = tmp_path / "attribution.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 4}))
    label, train_label = np.arange(N_TARGETS) % 2, np.arange(N_TRAIN) % 2
    for ours, expected in zip(
        Attribution.load(tmp_path).directions(label, train_label), made.directions(label, train_label), strict=True
    ):
        assert np.array_equal(ours.projections, expected.projections)


def test_without_anything_to_learn_from_supports_the_model_is_believed() -> None:
    """Margins that fall with support, or have nothing to do with it: the weight is 1 - p itself."""
    margin = np.array([3.0, 1.0, -2.0, 0.5])
    for support in (-margin, np.full(4, 0.7)):
        assert retraining.factor_to_margins(margin, support) == 0
        np.testing.assert_allclose(retraining.weight(margin, support), expit(-margin))


def test_the_factor_is_that_of_margin_units() -> None:
    """Half of what the training data gives to a margin is missing."""
    support = np.random.default_rng(0).random(50)
    margin = 3 * support + 1
    assert retraining.factor_to_margins(margin, support) == pytest.approx(3)
    np.testing.assert_allclose(retraining.weight(margin, support), expit(-(1 + 1.5 * support)))


def test_certain_examples_have_finite_margins_and_some_curvature() -> None:
    sure = np.array([0.0, 1.0, 1e-12], dtype=np.float32)
    assert np.isfinite(retraining.mean_margin([sure, sure])).all()
    assert (retraining.curvature(sure) > 0).all()


@dataclass(frozen=True)
class Retrained:
    """A logistic regression and the same one on 60 random halves of its training examples.

    Attributes:
        halves: bool (60, n_train).
        q_inside: mean 1 - p of each training example on the halves that it is part of, (n_train,).
        margins: of targets, (60, n_targets).
    """

    train: Features
    targets: Features
    halves: NDArray[np.bool_]
    q_inside: NDArray[np.float64]
    margins: NDArray[np.float64]


def regression(dim: int, strength: float) -> Retrained:
    rng = np.random.default_rng(1)
    truth = rng.standard_normal(dim) * np.sqrt(40 / dim)

    def drawn(n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        x = rng.standard_normal((n, dim)) * rng.lognormal(0, 0.5, (n, 1))
        return x, np.where(x @ truth + 3 * rng.standard_normal(n) > 0, 1, -1)

    (x, side), (z, target_side) = drawn(300), drawn(100)

    def margins(rows: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        model = LogisticRegression(C=strength, fit_intercept=False, tol=1e-8, max_iter=3000).fit(x[rows], side[rows])
        return side * (x @ model.coef_[0]), target_side * (z @ model.coef_[0])

    def features(inputs: NDArray[np.float64], side: NDArray[np.int64], margin: NDArray[np.float64]) -> Features:
        q = expit(-margin).astype(np.float32)
        phi = (side[:, None] * inputs).astype(np.float32)  # the gradient of the margin
        return Features(phi, q, -np.log1p(-q), (margin * side > 0).astype(np.int64), 1.0)

    own, other = margins(np.ones(len(x), dtype=bool))
    halves = half_subsets(len(x), 60, seed=0)
    said = [margins(half) for half in halves]
    q = np.stack([expit(-inside) for inside, _ in said])
    q_inside = np.ma.masked_array(q, ~halves).mean(axis=0).filled(np.nan)
    return Retrained(
        features(x, side, own), features(z, target_side, other), halves, q_inside, np.stack([m for _, m in said])
    )


@pytest.mark.parametrize(("dim", "strength"), [(40, 1.0), (400, 1.0), (400, 0.1), (400, 0.01), (150, 1.0)])
def test_scores_predict_retraining_better_than_as_published(dim: int, strength: float) -> None:
    """Whether the model learns its examples by heart (400 numbers for 300 examples) or not."""
    case = regression(dim, strength)
    found = {
        power: float(
            np.nanmean(
                lds(
                    Attribution.from_features([case.train], [case.targets], damping="auto", q_power=power).tau(),
                    case.halves,
                    case.margins,
                )
            )
        )
        for power in ("auto", 1.0)
    }
    assert found["auto"] > found[1.0], found


def test_weights_are_nearer_to_retrained_models_than_the_models_own() -> None:
    """Of a model that has learnt its examples by heart."""
    case = regression(400, 1.0)
    x, w = case.train.phi.astype(np.float64), retraining.curvature(case.train.one_minus_p)
    moment = x.T @ (w[:, None] * x)
    moment += 10 / len(x) * np.trace(moment) * np.eye(len(moment))
    support = x @ np.linalg.solve(moment, x.T @ case.train.one_minus_p)
    weight = retraining.weight(retraining.mean_margin([case.train.one_minus_p]), support)
    ours, own = (spearmanr(found, case.q_inside).statistic for found in (weight, case.train.one_minus_p))
    assert ours > own + 0.01, (ours, own)


def test_it_is_the_default() -> None:
    assert AttributeParams().q_power == "auto"
    assert AttributeParams.model_validate({"q_power": "0.5"}).q_power == 0.5
    for wrong in (1.5, -0.1, "root"):
        with pytest.raises(ValueError, match="q_power"):
            AttributeParams.model_validate({"q_power": wrong})
