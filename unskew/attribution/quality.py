"""What can be said of an attribution without retraining: do halves of its checkpoints agree, and is its sign right?

Neither replaces LDS. They tell noise, and scores whose sign or orientation is wrong, from scores that can be used;
between usable ones they do not choose, and more damping raises both (docs/method.md has figures).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.attribution.engine import Attribution
from unskew.evaluation import mean_interval, rank_correlation, wilson
from unskew.schemas.api import Interval, Proxies

MOST_TARGETS, MOST_ROWS = 200, 10_000  # drawn at random: 8 MB of scores
_ROWS_AT_ONCE = 1024  # whose features are in memory


def proxies(
    attribution: Attribution, target_label: NDArray[np.int64], train_label: NDArray[np.int64], *, seed: int = 0
) -> Proxies:
    """Both proxies over a random sample of targets and training examples.

    `halves`: mean over targets of the rank correlation, over training examples, between τ of the first half of the
    checkpoints and τ of the rest; t interval over targets. None for one checkpoint and for a matrix.

    `own_class`: share of targets that training examples of their own class help on average, Wilson interval. This is
    the sign of the diagonal, whose "self" is a class: an example's score on itself is positive by construction
    wherever the kernel is positive definite, and an imported matrix does not have it. Chance is one half.

    Args:
        target_label, train_label: int64 (n_targets,), (n_train,).
    """
    rng = np.random.default_rng(seed)
    targets = _sample(rng, attribution.n_targets, MOST_TARGETS)
    rows = _sample(rng, attribution.n_train, MOST_ROWS)
    own = np.asarray(train_label)[rows][:, None] == np.asarray(target_label)[targets]  # (n_rows, n_targets)
    known = own.any(axis=0)
    helped = (_scores(attribution, rows, targets) * own).sum(axis=0, dtype=np.float64)[known] > 0
    return Proxies(
        halves=_agreement(attribution, rows, targets),
        own_class=wilson(int(helped.sum()), len(helped)),
    )


def _agreement(attribution: Attribution, rows: NDArray[np.int64], targets: NDArray[np.int64]) -> Interval | None:
    halves = attribution.halves()
    if halves is None:
        return None
    first, second = (_scores(half, rows, targets) for half in halves)
    each = rank_correlation(first, second)
    defined = each[np.isfinite(each)]
    return mean_interval(defined.tolist()) if len(defined) else None


def _scores(attribution: Attribution, rows: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.float32]:
    starts = range(0, len(rows), _ROWS_AT_ONCE)
    return np.concatenate([attribution.tau(rows[start : start + _ROWS_AT_ONCE], targets) for start in starts])


def _sample(rng: np.random.Generator, n: int, most: int) -> NDArray[np.int64]:
    return np.sort(rng.permutation(n)[:most]) if n > most else np.arange(n)
