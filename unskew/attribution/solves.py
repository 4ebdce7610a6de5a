"""The products of features that an attribution is asked for: one kernel and one weight a training example each.

    single    scores of single examples: weights and curvatures of a retrained model (`unskew.attribution.retraining`)
    common    what many targets have in common: group alignment, training groups, principal directions
    broad     what errors have in common: the error-guided direction and likeness

The last two have the root of Q as weights and curvatures of 1, each its damping: docs/method.md says why. numpy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import retraining
from unskew.attribution.damping import PLAIN_OF_CURVED, choose_curved_damping, choose_damping, choose_error_damping
from unskew.attribution.factors import Factors
from unskew.attribution.records import Joined
from unskew.attribution.ridge import Ridge, Solved
from unskew.attribution.rows import Chunked, InMemory, OnDisk, Rows, products, save_rows, weighted_sum

Damping = float | Literal["auto"]


@dataclass(frozen=True)
class Products:
    """See the module; `facts` are JSON-able."""

    single: Factors
    common: Factors
    broad: Factors
    facts: dict[str, Any]


def products_of(
    train: list[Joined],
    targets: list[Joined],
    *,
    damping: Damping,
    q_power: float | Literal["auto"],
    error_damping: Damping | None,
    scratch: Path | None,
) -> Products:
    """Solve per checkpoint; arguments are those of `Attribution.from_features`.

    Where q_power is a number, single scores and what targets have in common are one product.
    """
    one_minus_p = [a.one_minus_p for a in train]
    q: NDArray[np.float64] = np.mean(one_minus_p, axis=0, dtype=np.float64)
    curved = retraining.curvature(q) if q_power == "auto" else None
    single, common, broad = (_Solves(len(train), scratch, name) for name in ("single", "common", "broad"))
    support, factor = np.zeros(len(q)), None
    for a, b in zip(train, targets, strict=True):  # one second moment at a time: it may be large
        if curved is not None:
            found, given = _curved(a, b, q, curved, damping)
            single.add(found)
            support += given / len(train)
        plain, times = Ridge(a.rows), 1.0 if curved is None else PLAIN_OF_CURVED
        common.add(plain.solve(b.rows, damping=_relative(damping, choose_damping, a, times)))
        if error_damping is not None:
            broad.add(plain.solve(b.rows, damping=_relative(error_damping, choose_error_damping, a)))
    if q_power == "auto":
        margin = retraining.mean_margin(one_minus_p)
        factor, weight = retraining.factor_to_margins(margin, support), retraining.weight(margin, support)
        root = np.sqrt(q)
    else:
        root = weight = np.power(q, q_power)
    rows = [a.rows for a in train]
    together = Factors(rows, common.targets, root)
    solved = single.facts or common.facts
    return Products(
        single=Factors(rows, single.targets, weight) if single.targets else together,
        common=together,
        broad=Factors(rows, broad.targets, root) if broad.targets else together,
        facts={
            "q_power": q_power,
            "factor_to_margins": factor,
            "error_damping_relative": [s.relative for s in broad.facts],
            "common_damping_relative": [s.relative for s in common.facts if single.facts],
            "damping_rule": "auto" if damping == "auto" else "given",
            "damping_relative": [s.relative for s in solved],
            "damping": [s.damping for s in solved],
            "mean_diagonal": [s.mean_diagonal for s in solved],
            "condition_number": [s.condition for s in solved],
            "fallback": [s.fallback for s in solved],
        },
    )


class _Solves:
    """The solves of one product, checkpoint by checkpoint: facts, and targets / C in memory or in a folder."""

    def __init__(self, n_checkpoints: int, scratch: Path | None, name: str) -> None:
        self.targets: list[Rows] = []
        self.facts: list[Solved] = []  # without their targets
        self._share, self._scratch, self._name = np.float32(n_checkpoints), scratch, name

    def add(self, solved: Solved) -> None:
        rows: Rows = InMemory(solved.targets / self._share)
        if self._scratch is not None:
            path = self._scratch / f"{self._name}_{len(self.targets)}.npy"
            save_rows(path, rows)
            rows = OnDisk(path)
        self.targets.append(rows)
        self.facts.append(replace(solved, targets=solved.targets[:0].copy()))


def _relative(given: Damping, choose: Callable[[int, int], float], train: Joined, times: float = 1.0) -> float:
    """λ as chosen for the sizes of the training features, or `times` what was given."""
    return choose(*train.rows.shape) if given == "auto" else given * times


def _curved(
    train: Joined,
    targets: Joined,
    q: NDArray[np.float64],
    curvature: NDArray[np.float64],
    damping: Damping,
) -> tuple[Solved, NDArray[np.float64]]:
    """The solve with curvatures, and this checkpoint's support of each training example, float64 (n_train,)."""
    both = Chunked((targets.rows, InMemory(weighted_sum(train.rows, q).astype(np.float32)[None])))
    found = Ridge(train.rows, curvature).solve(both, damping=_relative(damping, choose_curved_damping, train))
    return replace(found, targets=found.targets[:-1]), products(train.rows, found.targets[-1])
