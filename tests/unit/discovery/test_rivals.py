"""Rivals: their mixture, and what is taken out of directions and likeness where a class has several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unskew.attribution import Attribution
from unskew.attribution.passes import rivals_of
from unskew.bench.hard import discover, painted
from unskew.discovery import directions_pca, likeness
from unskew.discovery.error_guided import error_axis, error_guided
from unskew.discovery.rivals import KEPT, Rivals, basis, one_rival
from unskew.evaluation import auroc
from unskew.schemas.enums import DirectionKind, RowTransform
from unskew.schemas.params import DiscoverParams


def test_rivals_are_the_likeliest_other_classes() -> None:
    logits, label = torch.randn(40, 9, generator=torch.manual_seed(0)), torch.arange(40) % 9
    found = rivals_of(logits, label)
    p = torch.softmax(logits, 1).numpy()
    for i in range(40):
        others = [c for c in np.argsort(-p[i]) if c != label[i]][:KEPT]
        assert found.index[i].tolist() == others
        assert found.share[i] == pytest.approx(p[i, others] / p[i, others].sum(), rel=1e-5)
    assert rivals_of(logits[:, :2], label % 2).share.tolist() == [[1.0]] * 40


def test_the_mixture_is_the_mean_over_checkpoints_and_its_rows_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(3), size=(2, 200)).astype(np.float32)
    index = np.broadcast_to(np.array([1, 2, 3], np.int32), (200, 3))
    mixture = Rivals.mean([Rivals(index, s) for s in share]).mixture(np.arange(50, 150))
    assert mixture.sum(axis=1) == pytest.approx(np.ones(100))
    mean = share.mean(axis=0)[50:150]
    assert np.sort(mixture, axis=0) == pytest.approx(np.sort(mean[:, np.argsort(-mean.sum(axis=0))], axis=0), abs=1e-6)


def test_a_small_class_tells_few_rivals_apart() -> None:
    rng = np.random.default_rng(0)
    found = Rivals(rng.integers(1, 900, (50, 5)).astype(np.int32), rng.dirichlet(np.ones(5), 50).astype(np.float32))
    mixture = found.mixture(np.arange(50))
    assert mixture.shape == (50, 2) and mixture.sum(axis=1) == pytest.approx(np.ones(50))
    assert found.mixture(np.arange(10)).tolist() == one_rival(10).tolist()


def rows(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """120 rows that lie far apart by rival, and the mixture."""
    rng = np.random.default_rng(seed)
    mixture = rng.dirichlet(np.ones(3), 120)
    return mixture @ rng.normal(0, 5, (3, 60)) + rng.normal(size=(120, 60)), mixture


def test_directions_are_those_of_rows_without_what_rivals_say() -> None:
    """Against a regression and a singular value decomposition, without a Gram matrix."""
    r, mixture = rows()
    left = r - mixture @ np.linalg.lstsq(mixture, r, rcond=None)[0]
    u, s, _ = np.linalg.svd(left, full_matrices=False)
    found = directions_pca(r @ r.T, n=3, normalise=False, centre=True, mixture=mixture)
    assert np.abs(found.projections) == pytest.approx(np.abs((u * s)[:, :3].T), abs=1e-6)
    assert found.shares == pytest.approx((s**2 / (s**2).sum())[:3])


def test_likeness_of_errors_is_hardly_that_of_their_rivals() -> None:
    """Wrong ones chosen by their rival share its part of the rows. Scaled to unit length it is not quite linear."""
    r, mixture = rows()
    wrong = mixture[:, 0] > 0.6
    seen, taken_out = likeness(r @ r.T, wrong), likeness(r @ r.T, wrong, mixture)
    assert seen is not None and taken_out is not None
    assert seen.low > 2 and taken_out.value < seen.value / 2


def test_one_rival_for_all_is_as_if_none_were_known() -> None:
    rng = np.random.default_rng(0)
    tau, loss = rng.normal(size=(80, 60)), rng.exponential(size=60)
    source, wrong, positions = Attribution.from_matrix(tau)._source, loss > 1, np.arange(60)
    assert basis(one_rival(60)) == pytest.approx(np.full((60, 1), 60**-0.5))
    ones = {0: one_rival(60)}
    axis = error_axis(source, {0: positions}, loss, RowTransform.SIGNED_SQRT, ones)
    first, second = (
        error_guided(source, positions, loss, wrong, axis, RowTransform.SIGNED_SQRT, m) for m in (None, ones[0])
    )
    assert first is not None and second is not None
    assert np.array_equal(first.projection, second.projection) and first.share == second.share


def test_the_error_guided_direction_of_rows_that_differ_by_rival() -> None:
    """τ holds a rival's part, as large as can be, and a bias's: the direction follows the bias."""
    rng = np.random.default_rng(0)
    n, rival = 200, np.arange(200) % 2
    minority = rng.random(n) < 0.15
    loss = np.where(minority, 2.0, 0.2) + 0.8 * rival + rng.exponential(0.2, n)
    cause, of_rival = rng.normal(size=300), rng.normal(size=(2, 300))
    tau = (4 * of_rival[rival] + np.outer(minority, 1.5 * cause) + rng.normal(size=(n, 300))).T
    share = np.tile(np.array([[0.9, 0.1]], np.float32), (n, 1))
    share[rival == 1] = share[rival == 1][:, ::-1]
    known = Rivals(np.tile(np.array([[1, 2]], np.int32), (n, 1)), share)
    label, train_label = np.zeros(n, dtype=np.int64), np.zeros(300, dtype=np.int64)
    ranked = []
    for rivals in (None, known):
        found = Attribution.from_matrix(tau, target_loss=loss)
        found._rivals = rivals
        (made,) = found.directions(label, train_label, DiscoverParams())
        guided = made.projections[made.kinds.index(DirectionKind.ERROR_GUIDED)]
        ranked.append(auroc(guided, minority).value)
        assert made.n_rivals == (1 if rivals is None else 2)
    assert ranked[1] > 0.95 and ranked[1] > ranked[0]


def test_rivals_survive_the_disk(tmp_path: Path) -> None:
    found = Rivals(np.array([[1, 2]], np.int32), np.array([[0.25, 0.75]], np.float32))
    found.save(tmp_path)
    again = Rivals.load(tmp_path)
    assert again is not None
    assert np.array_equal(again.index, found.index) and np.array_equal(again.share, found.share)
    assert Rivals.load(tmp_path / "nothing") is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 13])
def test_with_three_classes_the_minority_of_each_is_ranked(seed: int) -> None:
    found = discover(*painted(seed, (0.9, 0.9, 0.9)))
    assert len(found) == 3
    assert np.mean([c.guided("colour") for c in found]) > 0.78
