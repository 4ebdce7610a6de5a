"""`Attribution`: which training examples help or harm which targets, kept as factors. numpy and scipy only.

    τ(z)_i = (1/C) Σ_c φ_c(z_i)ᵀ K_c φ_c(z) · (1/C) Σ_c (1 - p_c(z_i))        K_c = (Φ_cᵀΦ_c + a_c I)⁻¹

Rows are training examples, columns targets; + = helps: the training example raises the target's margin. Scores compare
within one Attribution only.
Source: Park et al. 2023 (TRAK), eq. 16 as `traker` computes it: average of kernels times average of Q.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import storage
from unskew.attribution.factors import Factors, Matrix, Source
from unskew.attribution.records import Features
from unskew.attribution.ridge import solve
from unskew.discovery.alike import likeness, together
from unskew.discovery.directions import ClassDirections, class_directions
from unskew.discovery.error_guided import Errors, error_axis
from unskew.discovery.evidence import majority_right
from unskew.discovery.rows import inner_products
from unskew.errors import DataError, SettingsError
from unskew.schemas.params import DiscoverParams

__all__ = ["Attribution", "ClassDirections"]

Index = int | slice | Sequence[int] | NDArray[np.integer] | None


class Attribution:
    """Attribution scores of every training example on every target, formed on demand.

    Attributes:
        target_loss: float32 (n_targets,), cross-entropy averaged over checkpoints [nats].
        target_prediction: int64 (n_checkpoints, n_targets).
        diagnostics: JSON-able facts about how it was made: damping, condition numbers, projection sizes, coverage.
    """

    def __init__(
        self,
        source: Source,
        target_loss: NDArray[np.float32],
        target_prediction: NDArray[np.int64],
        diagnostics: dict[str, Any],
    ) -> None:
        self._source = source
        self.target_loss = target_loss
        self.target_prediction = target_prediction
        self.diagnostics = diagnostics

    @classmethod
    def from_features(cls, train: list[Features], targets: list[Features], *, damping: float) -> Attribution:
        """Solve per checkpoint and average.

        Args:
            train, targets: one record a checkpoint, in the same order, made with the same projections.
            damping: λ > 0, times the mean of the diagonal of ΦᵀΦ.
        Raises:
            DataError: numbers of checkpoints, rows or features differ.
            ModelError: all features of a checkpoint are 0.
        """
        _check_features(train, targets)
        if not damping > 0:
            raise SettingsError(f"damping is {damping}.", fix="Give a number above 0; 1 is a good start.")
        solved = [solve(a.phi, b.phi, damping=damping) for a, b in zip(train, targets, strict=True)]
        c = np.float32(len(solved))
        factors = Factors(
            train=[a.phi for a in train],
            targets=[s.targets / c for s in solved],
            one_minus_p=np.mean([a.one_minus_p for a in train], axis=0, dtype=np.float64),
        )
        diagnostics = {
            "n_checkpoints": len(train),
            "damping_relative": damping,
            "damping": [s.damping for s in solved],
            "mean_diagonal": [s.mean_diagonal for s in solved],
            "condition_number": [s.condition for s in solved],
            "fallback": [s.fallback for s in solved],
            "projection_dim": [int(a.phi.shape[1]) for a in train],
            "covered": [min(a.covered, b.covered) for a, b in zip(train, targets, strict=True)],
        }
        loss = np.asarray(np.mean([b.loss for b in targets], axis=0, dtype=np.float64), dtype=np.float32)
        return cls(factors, loss, np.stack([b.prediction for b in targets]), diagnostics)

    @classmethod
    def from_matrix(
        cls,
        tau: NDArray[np.floating],
        *,
        target_loss: NDArray[np.floating] | None = None,
        target_prediction: NDArray[np.int64] | None = None,
        diagnostics: dict[str, Any] | None = None,
    ) -> Attribution:
        """The same object from someone else's scores.

        Args:
            tau: (n_train, n_targets), + = helps, as `traker` and `dattri` have it.
            target_loss: (n_targets,) [nats]; without it directions are signed by their longest end.
            target_prediction: int64 (n_checkpoints, n_targets) or (n_targets,).
        Raises:
            DataError: tau is not a finite matrix, or lengths differ.
        """
        tau = np.asarray(tau)
        if tau.dtype.kind not in "fiu":
            raise DataError(f"tau holds {tau.dtype} values; they must be real numbers.", fix="Convert it to float32.")
        if tau.ndim != 2 or 0 in tau.shape:
            raise DataError(f"tau has shape {tau.shape}.", fix="Give a matrix (n_train, n_targets).")
        for start in range(0, len(tau), 4096):
            finite = np.isfinite(tau[start : start + 4096]).all(axis=1)
            if not finite.all():
                raise DataError(
                    f"Row {start + int(np.argmin(finite))} of tau is not finite.", fix="Mend the scores first."
                )
        n = tau.shape[1]
        loss = np.zeros(n, np.float32) if target_loss is None else np.asarray(target_loss, dtype=np.float32)
        prediction = np.empty((0, n), np.int64) if target_prediction is None else np.atleast_2d(target_prediction)
        if loss.shape != (n,) or prediction.shape[1] != n:
            raise DataError(
                f"tau has {n} targets, target_loss {len(loss)}, target_prediction {prediction.shape[1]}.",
                fix="Give one a target.",
            )
        if not np.isfinite(loss).all():
            first = int(np.argmin(np.isfinite(loss)))
            raise DataError(f"target_loss is not finite at target {first}.", fix="Mend the losses first.")
        facts = {"n_checkpoints": len(prediction), **(diagnostics or {})}
        return cls(Matrix(tau.astype(np.float32, copy=False)), loss, prediction.astype(np.int64), facts)

    def save(self, folder: Path) -> None:
        """Write .npy files and `attribution.json` into a folder, which is made if need be."""
        storage.save(folder, self._source, self.target_loss, self.target_prediction, self.diagnostics)

    @classmethod
    def load(cls, folder: Path, mmap: bool = True) -> Attribution:
        """Read it back, the large arrays memory-mapped unless mmap is False.

        Raises:
            StorageError: files are missing, broken, or of a newer version.
        """
        return cls(*storage.load(folder, mmap=mmap))

    @property
    def n_train(self) -> int:
        return self._source.n_train

    @property
    def n_targets(self) -> int:
        return self._source.n_targets

    def tau(self, train: Index = None, targets: Index = None) -> NDArray[np.float32]:
        """A block of τ, formed now.

        Args:
            train, targets: slice, positions, one position, or None for all.
        Returns:
            float32 (n_train_block, n_targets_block); one position gives a block of one.
        Raises:
            DataError: a position is out of range.
        """
        return self._source.block(_rows(train, self.n_train, "training"), _rows(targets, self.n_targets, "target"))

    def alignment(self, groups: NDArray[np.int64], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Group alignment T_i = Σ_G w_G / |S_G| Σ_{z in S_G} τ(z)_i; low = harms the groups that weigh most.

        Args:
            groups: int64 (n_targets,), -1 = in no group. An empty group adds nothing.
            weights: (n_groups,).
        Returns:
            float64 (n_train,); τ is never formed.
        Raises:
            SettingsError: lengths differ, a group has no weight, a weight of a group with examples is not finite, or
                no target is in a group.
        Source: the paper, section 2.2.
        """
        groups, weights = np.asarray(groups, dtype=np.int64), np.asarray(weights, dtype=np.float64)
        if groups.shape != (self.n_targets,):
            raise SettingsError(
                f"groups has shape {groups.shape} for {self.n_targets} targets.", fix="Give one group a target."
            )
        inside = groups >= 0
        if not inside.any():
            raise SettingsError("No target is in a group.", fix="Label some first.")
        if groups.max() >= len(weights):
            raise SettingsError(
                f"Group {groups.max()} has no weight; there are {len(weights)}.", fix="Give one weight a group."
            )
        n = np.bincount(groups[inside], minlength=len(weights))
        broken = np.flatnonzero((n > 0) & ~np.isfinite(weights))
        if len(broken):
            raise SettingsError(f"The weight of group {broken[0]} is {weights[broken[0]]}.", fix="Give a finite one.")
        each = np.zeros(self.n_targets)
        each[inside] = weights[groups[inside]] / n[groups[inside]]
        return self._source.combine(each[:, None])[:, 0]

    def directions(
        self,
        target_label: NDArray[np.int64],
        train_label: NDArray[np.int64],
        params: DiscoverParams | None = None,
        classes: Sequence[int] | None = None,
        errors: Errors | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[ClassDirections]:
        """Directions of each class's block of τ, one target a row: error-guided first. See `ClassDirections`.

        Args:
            target_label, train_label: int64 (n_targets,), (n_train,).
            classes: None = every class among the targets.
            errors: from `errors` with the same parameters; None: computed now.
            on_step: called with (classes done, classes).
        Raises:
            DataError: lengths differ, or a class has no target.
        """
        target_label, train_label = np.asarray(target_label), np.asarray(train_label)
        if len(target_label) != self.n_targets or len(train_label) != self.n_train:
            raise DataError(
                f"There are {len(target_label)} target labels for {self.n_targets} targets and {len(train_label)} "
                f"training labels for {self.n_train} training examples.",
                fix="Use the labels of the data that was attributed.",
            )
        params = params or DiscoverParams()
        if errors is None:
            errors = self.errors(target_label, params)
        wanted = [int(c) for c in (np.unique(target_label) if classes is None else classes)]
        found = []
        for done, label in enumerate(wanted, start=1):
            positions = np.flatnonzero(target_label == label)
            if not len(positions):
                raise DataError(f"No target has class {label}.", fix=f"Classes here: {np.unique(target_label)}.")
            found.append(
                class_directions(
                    self._source,
                    label=label,
                    positions=positions,
                    own_train=np.flatnonzero(train_label == label),
                    target_loss=self.target_loss[positions],
                    params=params,
                    wrong=self._wrong(target_label)[positions],
                    errors=errors,
                )
            )
            if on_step is not None:
                on_step(done, len(wanted))
        return found

    def _wrong(self, target_label: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Is at least half of the checkpoints wrong? Without predictions: is the loss above log 2?"""
        if not len(self.target_prediction):
            return np.asarray(self.target_loss > np.log(2))
        return ~majority_right(self.target_prediction, target_label)

    def errors(self, target_label: NDArray[np.int64], params: DiscoverParams) -> Errors | None:
        """What the errors of all classes have in common; None where there are no error-guided directions."""
        if not params.error_guided or np.ptp(self.target_loss) == 0:
            return None
        classes = {int(c): np.flatnonzero(target_label == c) for c in np.unique(target_label)}
        wrong, transform = self._wrong(target_label), params.row_transform
        alike = {c: likeness(inner_products(self._source, p, transform), wrong[p]) for c, p in classes.items()}
        return Errors(error_axis(self._source, classes, self.target_loss, transform), together(alike))


def _rows(index: Index, n: int, what: str) -> slice | NDArray[np.int64]:
    if index is None:
        return slice(None)
    if isinstance(index, slice):
        return index
    rows = np.atleast_1d(np.asarray(index, dtype=np.int64))
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        wrong = rows[(rows < 0) | (rows >= n)][0]
        raise DataError(f"There is no {what} example {wrong}.", fix=f"Positions run from 0 to {n - 1}.")
    return rows


def _check_features(train: list[Features], targets: list[Features]) -> None:
    if not train or len(train) != len(targets):
        raise DataError(
            f"There are features of {len(train)} checkpoints for training and {len(targets)} for targets.",
            fix="Featurize both splits at the same checkpoints, at least one.",
        )
    for c, (a, b) in enumerate(zip(train, targets, strict=True)):
        if len(a) != len(train[0]) or len(b) != len(targets[0]):
            raise DataError(
                f"Checkpoint {c} has {len(a)} training and {len(b)} target rows; the first has {len(train[0])} and "
                f"{len(targets[0])}.",
                fix="Use features of the same data.",
            )
        if a.phi.shape[1] != b.phi.shape[1]:
            raise DataError(
                f"Checkpoint {c} has {a.phi.shape[1]} features for training and {b.phi.shape[1]} for targets.",
                fix="Use the same projection sizes and seed for both splits.",
            )
