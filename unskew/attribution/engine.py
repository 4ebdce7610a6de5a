"""`Attribution`: which training examples help or harm which targets, kept as factors. numpy and scipy only.

    τ(z)_i = (1/C) Σ_c φ_c(z_i)ᵀ K_c φ_c(z) · q_i        K_c = (Φ_cᵀ W Φ_c + a_c I)⁻¹

with q the training examples' weights and W their curvatures: `unskew.attribution.retraining`, or as published
q = (1/C) Σ_c (1 - p_c(z_i)) and W = I. Rows are training examples, columns targets; + = helps: the training example
raises the target's margin. Scores are in margin units up to one positive factor (`UNIT`): the kernels are not rescaled
by their own mean as `traker` does. What errors have in common is read from a product with a heavier damping: see
`Attribution.from_features`.
Source: Park et al. 2023 (TRAK), eq. 16 as `traker` computes it: average of kernels times average of Q; weights and
curvatures are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import storage
from unskew.attribution.factors import Factors, Matrix, Restricted, Source, extremes
from unskew.attribution.records import Features, check_pairs, joined
from unskew.attribution.rows import row_blocks
from unskew.attribution.solves import products_of
from unskew.attribution.training_targets import training_sides
from unskew.discovery.alike import likeness, together
from unskew.discovery.directions import ClassDirections, class_directions
from unskew.discovery.error_guided import Errors, error_axis
from unskew.discovery.rivals import Rivals, one_rival
from unskew.discovery.rows import inner_products
from unskew.errors import DataError, SettingsError
from unskew.evaluation import majority_right
from unskew.schemas.params import DiscoverParams

__all__ = ["Attribution", "ClassDirections"]

UNIT = (
    "margin [logits]: τ(z)_i is the change of z's margin that adding example i once more would make, to first order, "
    "if ΦᵀWΦ + a I were the curvature; up to one positive factor shared by all scores"
)
_SUREST = 1 - 1e-6  # of an expected error, so that its loss is finite
_ALL_ROWS_WORK = 2e13  # multiply-adds for all directions over all training rows: some ten minutes on two cores

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
        common: Source | None = None,
        broad: Source | None = None,
        rivals: Rivals | None = None,
    ) -> None:
        self._source = source
        self._common = common or source  # of many targets together: group alignment, principal directions
        self._broad = broad or common or source  # what errors have in common: error-guided direction, likeness
        self.target_loss = target_loss
        self.target_prediction = target_prediction
        self.diagnostics = diagnostics
        self._rivals = rivals

    @classmethod
    def from_features(
        cls,
        train: Sequence[Features | Sequence[Features]],
        targets: Sequence[Features | Sequence[Features]],
        *,
        damping: float | Literal["auto"],
        q_power: float | Literal["auto"] = 1.0,
        error_damping: float | Literal["auto"] | None = None,
        scratch: Path | None = None,
    ) -> Attribution:
        """Solve per checkpoint and average.

        Args:
            train, targets: one record a checkpoint, or its chunks in row order; made with the same projections.
            damping: λ > 0, times the mean of the diagonal of ΦᵀWΦ; "auto": by `choose_curved_damping`, or
                `choose_damping` where q_power is a number.
            q_power: "auto": weights and curvatures as retraining would have them (`unskew.attribution.retraining`); a
                number in [0, 1]: weights are that power of Q̄ = 1/C Σ_c (1 - p_c), curvatures 1; as published: 1.
                "auto" holds for single scores; what many targets have in common (group alignment, directions) is then
                taken with the root of Q̄, curvatures of 1, and half of the damping.
            error_damping: likewise, of what the error-guided direction and likeness are taken from; "auto": by
                `choose_error_damping`; None: as principal directions.
            scratch: a folder that keeps the solved targets as long as the attribution is used; None: memory does.
        Raises:
            DataError: numbers of checkpoints, rows or features differ.
            ModelError: all features of a checkpoint are 0.
        """
        if not train or len(train) != len(targets):
            raise DataError(
                f"There are features of {len(train)} checkpoints for training and {len(targets)} for targets.",
                fix="Featurize both splits at the same checkpoints, at least one.",
            )
        for name, number in (("damping", damping), ("error_damping", error_damping)):
            if isinstance(number, (int, float)) and not number > 0:
                raise SettingsError(f"{name} is {number}.", fix="Give a number above 0, or 'auto'.")
        ours, theirs = [joined(found) for found in train], [joined(found) for found in targets]
        check_pairs(ours, theirs)
        made = products_of(ours, theirs, damping=damping, q_power=q_power, error_damping=error_damping, scratch=scratch)
        diagnostics = {
            "n_checkpoints": len(train),
            **made.facts,
            "projection_dim": [a.rows.shape[1] for a in ours],
            "covered": [min(a.covered, b.covered) for a, b in zip(ours, theirs, strict=True)],
            "unit": UNIT,
        }
        loss = np.asarray(np.mean([b.loss for b in theirs], axis=0, dtype=np.float64), dtype=np.float32)
        known = [b.rivals for b in theirs if b.rivals is not None]
        rivals = Rivals.mean(known) if len(known) == len(theirs) else None
        prediction = np.stack([b.prediction for b in theirs])
        return cls(made.single, loss, prediction, diagnostics, made.common, made.broad, rivals)

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
        common = None if self._common is self._source else self._common
        broad = None if self._broad is self._common else self._broad
        facts = self.target_loss, self.target_prediction, self.diagnostics
        storage.save(folder, self._source, common, broad, *facts, self._rivals)

    @classmethod
    def load(cls, folder: Path, mmap: bool = True) -> Attribution:
        """Read it back, the large arrays memory-mapped unless mmap is False.

        Raises:
            StorageError: files are missing, broken, or of a newer version.
        """
        return cls(*storage.load(folder, mmap=mmap))

    def halves(self) -> tuple[Attribution, Attribution] | None:
        """The same by the first half of the checkpoints and by the rest; None for one checkpoint, or a matrix."""
        if not isinstance(self._source, Factors) or len(self._source.train) < 2:
            return None
        sources = [s.halves() for s in (self._source, self._common, self._broad) if isinstance(s, Factors)]
        first, rest = (
            Attribution(of[0], self.target_loss, self.target_prediction, self.diagnostics, of[1], of[2], self._rivals)
            for of in zip(*sources, strict=True)
        )
        return first, rest

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

        With "auto" weights τ is here, as in the directions of a class, by the root of Q̄ and curvatures of 1: what
        predicts a model without a random half is not what tells best whom to remove. See docs/method.md.

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
        return self._common.combine(self._of_groups(groups, weights))[:, 0]

    def mean(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean τ over some targets, float64 (n_train,); τ is never formed."""
        group = np.full(self.n_targets, -1)
        group[targets] = 0
        return self._source.combine(self._of_groups(group, np.ones(1)))[:, 0]

    @property
    def expected_error(self) -> NDArray[np.float64] | None:
        """1 - p of the true class on each training example, float64 (n_train,), in (0, 1), as expected of a model that
        half of the training data is missing to (`unskew.attribution.retraining`); None where weights were not "auto".
        """
        if not isinstance(self._source, Factors) or self.diagnostics.get("q_power") != "auto":
            return None
        return np.asarray(self._source.weight)

    def training_sides(
        self, target_weight: NDArray[np.float64], target_label: NDArray[np.int64], train_label: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """Each training example as a target: how far it is like its class's targets of positive weight.

        Args:
            target_weight: (n_targets,), a contrast between the targets of each class; 0: does not count.
            target_label, train_label: int64 (n_targets,), (n_train,).
        Returns:
            float64 (n_train,), comparable inside a class, see `unskew.attribution.training_targets`; None where that
            cannot be known: scores without features, or weights that were not "auto".
        """
        error, tau = self.expected_error, self._broad
        damping = self.diagnostics.get("error_damping_relative") or self.diagnostics.get("common_damping_relative")
        if error is None or not damping or not isinstance(tau, Factors) or len(damping) != len(tau.train):
            return None
        return training_sides(
            tau,
            damping,
            target_weight=target_weight,
            target_label=target_label,
            train_loss=-np.log1p(-np.minimum(error, _SUREST)),
            train_label=train_label,
        )

    def _of_groups(self, groups: NDArray[np.int64], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Weights of targets, float64 (n_targets, 1), that a weighted sum of means over groups is made by."""
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
        each = np.zeros((self.n_targets, 1))
        each[inside, 0] = weights[groups[inside]] / n[groups[inside]]
        return each

    def top(self, weights: NDArray[np.floating], n: int = 50) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Proponents and opponents of weighted sets of targets, in one pass over the training features.

        Args:
            weights: (n_targets, k), one question a column: a 1 for one target, 1/|S| for the mean of a group.
            n: of each; at most n_train.
        Returns:
            training positions int64 and scores float32, both (2, k, n): [0] the most positive scores, falling, [1] the
            most negative, rising.
        Raises:
            SettingsError: weights are not one finite number a target.
        """
        columns: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)
        if columns.ndim != 2 or len(columns) != self.n_targets or not np.isfinite(columns).all():
            raise SettingsError(
                f"weights have shape {columns.shape} for {self.n_targets} targets.",
                fix="Give finite weights (n_targets, k).",
            )
        return extremes(self._source, columns, n)

    def top_targets(self, train: int, n: int = 50) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The targets that one training example helps and harms most: positions and scores, (2, n) each, as `top`."""
        rows = _rows(train, self.n_train, "training")
        scores = np.concatenate(
            [self._source.block(rows, np.arange(b.start, b.stop))[0] for b in row_blocks(self.n_targets, self._width)]
        )
        order = np.argsort(-scores, kind="stable")
        places = np.stack([order[:n], order[::-1][:n]])
        return places, scores[places]

    @property
    def _width(self) -> int:
        return self._source.width if isinstance(self._source, Factors) else 1

    def peak_bytes(self, n_columns: int = 1) -> int:
        """Memory that `alignment`, `directions` of classes of `n_columns` targets and `top` take, results aside."""
        return self._source.peak_bytes(n_columns)

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
        work = self.n_train * self.n_targets * self._width
        own_rows = params.training_rows == "own" or (params.training_rows == "auto" and work > _ALL_ROWS_WORK)
        if errors is None and not own_rows:  # what errors have in common across classes needs all rows
            errors = self.errors(target_label, params)
        wanted = [int(c) for c in (np.unique(target_label) if classes is None else classes)]
        found = []
        for done, label in enumerate(wanted, start=1):
            positions = np.flatnonzero(target_label == label)
            if not len(positions):
                raise DataError(f"No target has class {label}.", fix=f"Classes here: {np.unique(target_label)}.")
            own_train = np.flatnonzero(train_label == label)
            made = class_directions(
                Restricted(self._common, own_train) if own_rows else self._common,
                label=label,
                positions=positions,
                own_train=own_train,
                target_loss=self.target_loss[positions],
                params=params,
                wrong=self._wrong(target_label)[positions],
                errors=None if own_rows else errors,
                broad=self._broad,
                mixture=self._mixture(positions),
            )
            found.append(_spread(made, self.n_train) if own_rows else made)
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
        mixtures = {c: self._mixture(p) for c, p in classes.items()}
        alike = {
            c: likeness(inner_products(self._broad, p, transform), wrong[p], mixtures[c]) for c, p in classes.items()
        }
        return Errors(error_axis(self._broad, classes, self.target_loss, transform, mixtures), together(alike))

    def _mixture(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of the rivals of one class's targets; where they are not known, all have the same."""
        return one_rival(len(positions)) if self._rivals is None else self._rivals.mixture(positions)


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


def _spread(found: ClassDirections, n_train: int) -> ClassDirections:
    """Loadings over the own class's training rows at their places among all; 0 elsewhere."""
    loadings = np.zeros((len(found), n_train), dtype=np.float32)
    loadings[:, found.own_train] = found.loadings
    return replace(found, loadings=loadings)
