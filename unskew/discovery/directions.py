"""The directions of one class: the error-guided one and the principal ones, the one that parts right from wrong first.

Where validation is as skewed as training, the first principal direction is seldom the bias and the error-guided one
is; where validation holds both groups equally it is the other way round. Which of the two comes first, and so stands
for the class where nobody chooses, is decided by what can be seen without a group label: the gap in accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.discovery import rows
from unskew.discovery.error_guided import ErrorGuided, Errors, error_guided
from unskew.discovery.principal import directions_pca, signs
from unskew.discovery.rows import Tau
from unskew.evaluation.intervals import newcombe
from unskew.schemas.api import Interval
from unskew.schemas.enums import DirectionKind
from unskew.schemas.params import DiscoverParams


@dataclass(frozen=True)
class ClassDirections:
    """Directions of one class: principal ones, largest share first, and the error-guided one before or after the first.

    The positive end is the one with the higher target loss: projections correlate positively with it.

    Attributes:
        label: the class.
        positions: int64 (n_c,), the class's targets.
        kinds: one a direction.
        projections: float32 (n_dirs, n_c).
        loadings: float32 (n_dirs, n_train), each of unit length; 0 where rows were taken over the own class only.
        shares: float64 (n_dirs,), of the variance of the class's rows.
        scree: float64 (at most 20,), shares of the first principal directions.
        own_train: int64 (n_train_c,), positions of the class's own training examples.
        alike: how alike the wrongly predicted targets are, or None where it is not known; see `discovery.alike`.
        n_rivals: other classes that are told apart among those that its targets compete with, as far as is known.
    """

    label: int
    positions: NDArray[np.int64]
    kinds: tuple[DirectionKind, ...]
    projections: NDArray[np.float32]
    loadings: NDArray[np.float32]
    shares: NDArray[np.float64]
    scree: NDArray[np.float64]
    own_train: NDArray[np.int64]
    alike: Interval | None = None
    n_rivals: int = 1

    def __len__(self) -> int:
        return len(self.projections)

    def target_order(self) -> NDArray[np.int64]:
        """Indexes into `positions` by rising projection, (n_dirs, n_c): both ends of the strip of targets."""
        return np.argsort(self.projections, axis=1, kind="stable")

    def training_order(self) -> NDArray[np.int64]:
        """Positions of the class's own training examples by rising loading, (n_dirs, n_train_c)."""
        return self.own_train[np.argsort(self.loadings[:, self.own_train], axis=1, kind="stable")]


def class_directions(
    tau: Tau,
    *,
    label: int,
    positions: NDArray[np.int64],
    own_train: NDArray[np.int64],
    target_loss: NDArray[np.floating],
    params: DiscoverParams,
    wrong: NDArray[np.bool_] | None = None,
    errors: Errors | None = None,
    broad: Tau | None = None,
    mixture: NDArray[np.float64] | None = None,
) -> ClassDirections:
    """Directions of one class's targets.

    Args:
        positions: int64 (n_c,), its targets; with fewer than 2 there is no direction.
        own_train: int64, positions of its training examples.
        target_loss: (n_c,) [nats], decides signs and guides.
        wrong: bool (n_c,), whether the model errs; None: loss above log 2.
        errors: of all classes; without them there is no error-guided direction.
        mixture: of the targets' rivals, (n_c, m), see `discovery.rivals`; None: all have the same.
        broad: τ at a heavier damping, which the error-guided direction is taken from; None: from `tau` too.
    """
    loss = np.asarray(target_loss, dtype=np.float64)
    gram = rows.inner_products(tau, positions, params.row_transform)
    found = directions_pca(
        gram, n=params.n_directions, normalise=params.normalise_rows, centre=params.centre, mixture=mixture
    )
    sign = signs(found.projections, loss)
    coefficients = sign[:, None] * found.coefficients
    projections = (sign[:, None] * found.projections).astype(np.float32)
    loadings = rows.combine(tau, positions, params.row_transform, coefficients.T).T
    kinds, shares = (DirectionKind.PRINCIPAL,) * len(projections), found.shares
    guided: ErrorGuided | None = None
    errs = loss > np.log(2) if wrong is None else wrong
    if errors is not None:
        guided = error_guided(broad or tau, positions, loss, errs, errors.axis, params.row_transform, mixture)
    if guided is not None:
        guided_first = not len(projections) or _gap(guided.projection, errs) >= _gap(projections[0], errs)
        place = 0 if guided_first else 1
        kinds = (*kinds[:place], DirectionKind.ERROR_GUIDED, *kinds[place:])
        projections = np.insert(projections, place, guided.projection, axis=0)
        loadings = np.insert(loadings, place, guided.loading, axis=0)
        shares = np.insert(shares, place, guided.share)
    return ClassDirections(
        label=label,
        positions=positions.astype(np.int64),
        kinds=kinds,
        projections=projections,
        loadings=loadings,
        shares=shares,
        scree=found.scree,
        own_train=own_train.astype(np.int64),
        alike=None if errors is None else errors.alike.get(label),
        n_rivals=1 if mixture is None else mixture.shape[1],
    )


def _gap(projection: NDArray[np.floating], wrong: NDArray[np.bool_]) -> float:
    """How much more often the model errs on the positive side, at the low end of the 95 % interval."""
    above = projection > 0
    k, n = (int(wrong[above].sum()), int(wrong[~above].sum())), (int(above.sum()), int((~above).sum()))
    return newcombe(k[0], n[0], k[1], n[1]).low if min(n) else 0.0
