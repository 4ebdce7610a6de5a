"""What tells the two ends of a direction apart, in words, the clearest first.

Every row says how often an example that has more of something lies further towards the + end (AUROC; 0.5: no
difference). Attributes are read for this table only: no direction, group or choice of K sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from unskew.discovery.tellers import FEWEST, Teller
from unskew.evaluation import auroc
from unskew.schemas.api import Difference, Interval


def differences(projection: NDArray[np.floating], tellers: Sequence[Teller], *, n: int = 10) -> list[Difference]:
    """The n clearest differences, the largest |AUROC - 0.5| first.

    Only those that are clear at level 1 - 0.05 / (how many were looked at) are told; the intervals returned are the
    usual 95 % ones. Of two values that exclude each other the one that the + end has more often is told.

    Args:
        projection: (n_c,) of one class's targets; above 0 is the + end.
        tellers: of the same targets, see `tellers`.
    """
    found = [(teller, _area(projection, teller)) for teller in tellers]
    known = [(teller, *area) for teller, area in found if area is not None]
    n_looked_at = len(known) - sum(teller.one_of_two for teller, *_ in known) // 2
    level = float(ndtri(1 - 0.025 / max(n_looked_at, 1)))
    clear = [
        _told(teller, area)
        for teller, area, by_chance in known
        if _clear(area, by_chance, level) and not (teller.one_of_two and area.value < 0.5)
    ]
    return sorted(clear, key=lambda row: -abs(row.auroc.value - 0.5))[:n]


def _area(projection: NDArray[np.floating], teller: Teller) -> tuple[Interval, float] | None:
    """AUROC, and its standard deviation if there were no difference; None with too few examples on a side."""
    known = ~np.isnan(teller.values)
    values, place = teller.values[known], np.asarray(projection, dtype=np.float64)[known]
    positive = values > 0 if teller.is_presence else place > 0
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if min(n1, n0) < FEWEST:
        return None
    area = auroc(place if teller.is_presence else values, positive)
    return area, sqrt((n1 + n0 + 1) / (12 * n1 * n0))  # Mann and Whitney (1947)


def _clear(area: Interval, by_chance: float, level: float) -> bool:
    """Is 0.5 outside the corrected interval, and would chance alone hardly lead so far from it?

    The interval's own width rests on as many examples as the smaller side has, and is at times far too small where
    these are few: rare words would be told of any direction.
    """
    away = abs(area.value - 0.5)
    side = area.value - area.low if area.value > 0.5 else area.high - area.value
    return away > level * by_chance and away > level / float(ndtri(0.975)) * side


def _told(teller: Teller, area: Interval) -> Difference:
    words = teller.words
    here, there = (words.more, words.less) if area.value > 0.5 else (words.less, words.more)
    return Difference(source=teller.source, name=teller.name, words=here, words_less=there, auroc=area)
