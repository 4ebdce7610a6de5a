"""Where a direction is cut into two sides. numpy and scikit-learn (for the mixture) only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.schemas.enums import CutRule

_LEAST_SHARE = 0.02  # of the class that the largest gap must leave on either side: one outlier is no group


def cut(projection: NDArray[np.floating], rule: CutRule, n_wrong: int) -> float:
    """The value above which the positive side begins.

    Args:
        projection: (n_c,), of one class's targets; the positive end has the higher loss.
        rule: zero; gap: middle of the widest gap between neighbours that leaves 2 % of the class on either side;
            mixture: where the upper of two normal distributions becomes the likelier one; errors: so that as many lie
            above as the model errs on, at least 1 and at most all but 1.
        n_wrong: on how many of them the model errs.
    Returns:
        A number. Where all are alike, none lies above it, unless it is 0 by rule.
    """
    ordered = np.sort(np.asarray(projection, dtype=np.float64))
    n = len(ordered)
    if rule is CutRule.ZERO or n < 2:
        return 0.0
    if ordered[0] == ordered[-1]:
        return float(ordered[0])
    if rule is CutRule.ERRORS:
        first = n - min(max(n_wrong, 1), n - 1)
        return float(ordered[first - 1 : first + 1].mean())
    if rule is CutRule.GAP:
        least = max(1, round(_LEAST_SHARE * n))
        inner = ordered[least - 1 : n - least + 1]
        place = int(np.argmax(np.diff(inner)))
        return float(inner[place : place + 2].mean())
    return _where_upper_begins(ordered)


def _where_upper_begins(ordered: NDArray[np.float64]) -> float:
    from sklearn.mixture import GaussianMixture  # here, so that importing this room stays cheap

    found = GaussianMixture(2, random_state=0, n_init=3).fit(ordered[:, None])
    upper = found.predict(ordered[:, None]) == int(np.argmax(found.means_[:, 0]))
    # Normal distributions of different width may cross twice: the cut is the crossing between their means.
    between = (ordered > found.means_.min()) & (ordered <= found.means_.max())
    first = np.flatnonzero(upper & between)
    if not len(first) or first[0] == 0:
        return float(found.means_.mean())
    return float(ordered[first[0] - 1 : first[0] + 1].mean())
