"""Directions: principal ones against the singular value decomposition, error-guided ones on a planted bias."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from unskew.attribution import Attribution
from unskew.discovery import directions_pca, pseudo_groups
from unskew.evaluation import auroc
from unskew.schemas.enums import DirectionKind, RowTransform
from unskew.schemas.params import DiscoverParams


def rows(seed: int, n: int = 30, m: int = 50) -> NDArray[np.float64]:
    """Rows with a mean far from 0: what centring is about."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, m)) + 2 * rng.normal(size=m)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
def test_principal_directions_are_those_of_the_svd(normalise: bool, centre: bool) -> None:
    r = rows(0)
    found = directions_pca(r @ r.T, n=3, normalise=normalise, centre=centre)
    if normalise:
        r = r / np.linalg.norm(r, axis=1, keepdims=True)
    centred = r - r.mean(axis=0)
    _, s, v = np.linalg.svd(centred, full_matrices=False)
    wanted = v[:3] @ (centred if centre else r).T
    sign = np.sign((found.projections * wanted).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(sign * found.projections, wanted, atol=1e-8)
    np.testing.assert_allclose(found.shares, (s**2 / (s**2).sum())[:3], atol=1e-10)
    np.testing.assert_allclose(found.scree, (s**2 / (s**2).sum())[:20], atol=1e-10)


class Planted:
    """τ of 2 classes × 2 attribute values: an example helps its like and harms its like of the other class.

    Minority: a tenth of either class shows the other class's attribute, and is badly predicted; so are some hard ones.
    """

    def __init__(self, n_classes: int = 2, seed: int = 0, minority: float = 0.1) -> None:
        rng = np.random.default_rng(seed)
        self.train_label, train_value = self._examples(rng, n_classes, 200, 0.1)
        self.label, value = self._examples(rng, n_classes, 100, minority)
        self.minority = value != self.label
        same_label = self.train_label[:, None] == self.label
        same_value = train_value[:, None] == value
        tau = np.where(same_label, 1.0, -1.0) * np.where(same_value, 1.0, 0.4)
        self.tau = tau + rng.normal(0, 1.0, tau.shape)
        hard = rng.random(len(self.label)) < 0.05
        self.loss = 0.1 + 0.1 * rng.random(len(self.label)) + 1.5 * (self.minority | hard)
        prediction = np.where(self.loss > 1, (self.label + 1) % n_classes, self.label)
        self.attribution = Attribution.from_matrix(self.tau, target_loss=self.loss, target_prediction=prediction)

    @staticmethod
    def _examples(
        rng: np.random.Generator, n_classes: int, n: int, minority: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        label = np.repeat(np.arange(n_classes), n)
        other = (label + rng.integers(1, n_classes, len(label))) % n_classes
        return label, np.where(rng.random(len(label)) < minority, other, label)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("transform", list(RowTransform))
def test_the_error_guided_direction_finds_the_minority(n_classes: int, transform: RowTransform) -> None:
    planted = Planted(n_classes)
    params = DiscoverParams(n_directions=2, row_transform=transform)
    for found in planted.attribution.directions(planted.label, planted.train_label, params):
        assert found.kinds == (DirectionKind.ERROR_GUIDED, DirectionKind.PRINCIPAL, DirectionKind.PRINCIPAL)
        assert auroc(found.projections[0], planted.minority[found.positions]).value > 0.9
        n_wrong = int((planted.loss[found.positions] > 1).sum())
        assert (found.projections[0] > 0).sum() == n_wrong
        np.testing.assert_allclose(np.linalg.norm(found.loadings, axis=1), 1, atol=1e-3)
        assert 0 < found.shares[0] <= found.shares[1]


def test_a_target_does_not_see_its_own_loss() -> None:
    """Losses that have nothing to do with τ must not be predicted by it."""
    planted = Planted()
    rng = np.random.default_rng(1)
    noise = rng.exponential(size=len(planted.label)).astype(np.float32)
    attribution = Attribution.from_matrix(rng.normal(size=planted.tau.shape), target_loss=noise)
    for found in attribution.directions(planted.label, planted.train_label):
        assert 0.3 < auroc(found.projections[0], noise[found.positions] > np.log(2)).value < 0.7


def test_what_errors_say_may_be_made_before() -> None:
    planted = Planted()
    params = DiscoverParams()
    errors = planted.attribution.errors(planted.label, params)
    whole = planted.attribution.directions(planted.label, planted.train_label, params)
    one = planted.attribution.directions(planted.label, planted.train_label, params, classes=[1], errors=errors)[0]
    assert np.array_equal(one.projections, whole[1].projections)


def test_without_losses_or_when_not_asked_for_all_directions_are_principal() -> None:
    planted = Planted()
    silent = Attribution.from_matrix(planted.tau)
    for attribution, params in (
        (silent, DiscoverParams()),
        (planted.attribution, DiscoverParams(error_guided=False)),
    ):
        for found in attribution.directions(planted.label, planted.train_label, params):
            assert set(found.kinds) == {DirectionKind.PRINCIPAL}


def test_one_class_and_few_errors_are_no_crash() -> None:
    planted = Planted()
    own = planted.label == 0
    loss = np.full(own.sum(), 0.1)
    loss[3] = 2.0
    alone = Attribution.from_matrix(planted.tau[:, own], target_loss=loss)
    (found,) = alone.directions(np.zeros(own.sum(), dtype=np.int64), planted.train_label)
    guided = found.kinds.index(DirectionKind.ERROR_GUIDED)
    assert (found.projections[guided] > 0).sum() == 1
    assert found.alike is None
    tiny = Attribution.from_matrix(planted.tau[:, :4], target_loss=loss[:4])
    (found,) = tiny.directions(np.zeros(4, dtype=np.int64), planted.train_label)
    assert set(found.kinds) == {DirectionKind.PRINCIPAL}


def test_the_direction_that_parts_right_from_wrong_comes_first() -> None:
    """With both groups equally often, and some hard examples, the first principal direction; else the error-guided."""
    for minority, first in ((0.5, DirectionKind.PRINCIPAL), (0.1, DirectionKind.ERROR_GUIDED)):
        planted = Planted(minority=minority)
        for found in planted.attribution.directions(planted.label, planted.train_label):
            assert found.kinds[0] is first and DirectionKind.ERROR_GUIDED in found.kinds[:2]
            assert auroc(found.projections[0], planted.minority[found.positions]).value > 0.9


def test_pseudo_groups_follow_the_error_guided_direction() -> None:
    planted = Planted()
    found = planted.attribution.directions(planted.label, planted.train_label)
    group = pseudo_groups(found, planted.label)
    assert np.array_equal(group // 2, planted.label)
    assert (group % 2 == planted.minority).mean() > 0.85
