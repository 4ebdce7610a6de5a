"""Training examples as targets: on which side of a bias does each of them lie? numpy and scipy only.

The side of a validation example is seen from its row of τ: who helps and who harms it. A training example has such a
row too, r_i[j] = q_j k(j, i) with k(j, i) = (1/C) Σ_c φ_c(j)ᵀ K_c φ_c(i), and its side is its inner product with a
direction over training examples, which is made of two contrasts,

    a_c = Σ_z w_z r_z                       rows of the badly served targets of class c less those of the others
    v_c = Σ_{i of class c} (l_i - l̄_c) r_i    rows of training examples by the loss expected of them

l_i is the loss of a model that half of the data is missing to (`unskew.attribution.retraining`): no example is badly
served by the model that has learnt it by heart. As in error-guided directions, what the other classes say joins in,

    e_c ∝ v_c / |v_c| + u / |u|                               u = Σ_{b ≠ c} v_b / |v_b|
    d_c = a_c / |a_c| + max(0, cos(a_c, e_c)) e_c / |e_c|

Training has several times as many examples of a minority as validation, so e_c is the steadier one; it counts as far as
it says the same as the groups that were asked for, which a person may have made by hand.

Rows here are as they are: neither transformed nor of unit length, so sums of them stay sums of features, and nothing of
the size training × training, or training × classes, is formed. r_i[i] stays in: at this damping it is a small part.
Source: ours; measured in docs/decisions/0014-training-examples-as-targets.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from unskew.attribution.factors import Factors
from unskew.attribution.ridge import Ridge
from unskew.attribution.rows import InMemory, Rows, row_blocks

_TINY = 1e-10


def training_sides(
    tau: Factors,
    damping: list[float],
    *,
    target_weight: NDArray[np.float64],
    target_label: NDArray[np.int64],
    train_loss: NDArray[np.float64],
    train_label: NDArray[np.int64],
) -> NDArray[np.float64]:
    """r_iᵀ d_c of every training example i of class c; high = like the class's targets of positive weight.

    Args:
        tau: what errors have in common is read from it.
        damping: λ of each checkpoint that its targets were solved with.
        target_weight: (n_targets,), w; 0: the target does not count.
        target_label, train_label: int64 (n_targets,), (n_train,).
        train_loss: (n_train,) [nats], l.
    Returns:
        float64 (n_train,); 0 where no target of the class counts.
    """
    n_classes = 1 + int(max(target_label.max(), train_label.max()))
    of_class = _of_class(train_label, n_classes)
    contrasts = _sums(tau.targets, target_weight, _of_class(target_label, n_classes))
    errors = _solved(tau.train, _sums(tau.train, _centred(train_loss, of_class), of_class), damping)
    both = [np.concatenate(pair).astype(np.float32) for pair in zip(contrasts, errors, strict=True)]
    axes = replace(tau, targets=[InMemory(one) for one in both])
    directions = _directions(axes.gram(np.arange(2 * n_classes)))
    weighted = _solved(tau.train, _applied(axes, directions), damping)
    plain = replace(tau, targets=[InMemory(one) for one in weighted], weight=np.ones(tau.n_train))
    found = np.zeros(tau.n_train)
    for rows, block in plain.blocks(np.arange(n_classes)):
        found[rows] = block[np.arange(len(rows)), train_label[rows]]
    return found


def _of_class(label: NDArray[np.int64], n_classes: int) -> csr_array:
    """(n, n_classes), a 1 at every example's class."""
    n = len(label)
    return csr_array((np.ones(n), (np.arange(n), label)), shape=(n, n_classes))


def _centred(loss: NDArray[np.float64], of_class: csr_array) -> NDArray[np.float64]:
    """Less the mean of the class; what rounding leaves is 0."""
    count = np.maximum(of_class.sum(axis=0), 1)
    found = loss - of_class @ ((of_class.T @ loss) / count)
    return np.asarray(np.where(np.abs(found) > _TINY * np.abs(loss).max(), found, 0.0))


def _sums(rows_by: list[Rows], weights: NDArray[np.float64], of_class: csr_array) -> list[NDArray[np.float64]]:
    """Σ_{i of class c} weights_i φ_i, (n_classes, p) by checkpoint."""
    chosen, found = csr_array(of_class.multiply(weights[:, None])), []
    for phi in rows_by:
        n, p = phi.shape
        total = np.zeros((of_class.shape[1], p))
        for rows in row_blocks(n, 2 * p):
            total += chosen[rows].T @ phi.read(rows).astype(np.float64)
        found.append(total)
    return found


def _solved(train: list[Rows], vectors: list[NDArray[np.float64]], damping: list[float]) -> list[NDArray[np.float32]]:
    """K_c of each vector, divided by C: one second moment at a time, because it may be large."""
    return [
        Ridge(phi).solve(InMemory(vector), damping=relative).targets / np.float32(len(train))
        for phi, vector, relative in zip(train, vectors, damping, strict=True)
    ]


def _applied(axes: Factors, directions: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Φ_cᵀ (q ∘ d) of all directions d, (n_classes, p) by checkpoint, from their coefficients over the axes."""
    found = [np.zeros((directions.shape[1], phi.shape[1])) for phi in axes.train]
    for rows, block in axes.blocks(np.arange(len(directions))):
        weighted = axes.weight[rows, None] * (block @ directions)
        for total, phi in zip(found, axes.train, strict=True):
            total += weighted.T @ phi.read(rows)
    return found


def _directions(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """d_c over the axes, (2 n_classes, n_classes), from the inner products of the axes: all a_c, then all v_c."""
    n_classes = len(gram) // 2
    length = np.sqrt(np.diag(gram))
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    cosines = gram * np.outer(scale, scale)  # from here on the axes are of unit length, or 0
    there = np.diag(length > 0).astype(np.float64)
    asked, own = there[:, :n_classes], there[:, n_classes:]
    others = _unit(own.sum(axis=1, keepdims=True) - own, cosines)
    guided = _unit(own + others, cosines)
    agreement = np.einsum("ic,ic->c", asked, cosines @ guided)
    found = asked + np.maximum(agreement, 0.0) * guided
    return np.asarray(np.where(asked.any(axis=0), found, 0.0) * scale[:, None])


def _unit(coefficients: NDArray[np.float64], cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns whose combinations of unit vectors have length 1; a column of rounding errors becomes 0."""
    square = np.einsum("ic,ic->c", coefficients, cosines @ coefficients)
    return np.asarray(coefficients / np.sqrt(np.where(square > _TINY, square, np.inf)))
