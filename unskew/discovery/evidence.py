"""How sure one can be that a direction is a bias: does it part what the model serves well from what it serves badly,
and do the badly served owe it to the same training examples, as hard examples do not?

The verdict is calibrated on planted biases and on data without any (docs/evidence.md). A person still looks at both
ends before anything is removed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from unskew.errors import DataError, SettingsError
from unskew.evaluation import wilson
from unskew.evaluation.intervals import newcombe
from unskew.schemas.api import Evidence, Interval
from unskew.schemas.enums import Verdict

STRONG_GAP = 0.10  # the accuracy gap that a strong verdict has to exceed even at the low end of its interval
STRONG_SIDE = 10  # examples that the smaller side of a strong direction needs
LIKENESS = (0.6, 0.7)  # for possible and strong, with one rival. See docs/evidence.md
_LEVEL = 0.05


def evidence(
    projection: NDArray[np.floating],
    right: NDArray[np.bool_] | None,
    loss: NDArray[np.floating],
    *,
    alike: Interval | None = None,
    n_rivals: int = 1,
    n_looked_at: int = 1,
) -> Evidence:
    """Compare the two sides of a direction's split at 0.

    The verdict is about the gap between the sides' accuracies, with Newcombe's interval at level 1 - 0.05 / n_looked_at
    (Bonferroni over all directions of all classes that were looked at), and about the likeness of the class's wrongly
    predicted examples:

        strong    the gap exceeds 10 points even at the low end, the smaller side has 10 examples, likeness >= 0.7
        possible  the gap exceeds 0 at the low end, likeness >= 0.6
        none      otherwise

    Where a class has m > 1 rivals, likeness has to be m/(m - 1) times that: its errors are then of fewer kinds, and so
    more alike, without any bias.

    The intervals returned are the usual 95 % ones, not corrected.

    Args:
        projection: (n_c,) of one class's targets on one direction; above 0 is the positive side.
        right: bool (n_c,), the model is right (for several checkpoints: most of them are). None: nobody knows, because
            the scores came without predictions; then there is no verdict, and every n of an accuracy is 0.
        loss: (n_c,) cross-entropy [nats].
        alike: from `likeness`; None (too few errors to say) is never more than possible.
        n_rivals: other classes that the class competes with, `ClassDirections.n_rivals`.
        n_looked_at: directions × classes that a person chooses from.
    Raises:
        DataError: lengths differ, or there is no target.
        SettingsError: n_looked_at < 1.
    """
    n_right = len(projection) if right is None else len(right)
    if not len(projection) == n_right == len(loss) or not len(loss):
        raise DataError(
            f"Lengths differ or are 0: projection {len(projection)}, right {n_right}, loss {len(loss)}.",
            fix="Give one of each a target.",
        )
    if n_looked_at < 1:
        raise SettingsError(f"n_looked_at is {n_looked_at}.", fix="Count the directions of all classes.")
    positive = np.asarray(projection) > 0
    n = (int((~positive).sum()), int(positive.sum()))
    if right is None:
        return _unknown(loss, positive, min(n) / sum(n))
    right = np.asarray(right, dtype=bool)
    k = (int(right[~positive].sum()), int(right[positive].sum()))
    gap = _absolute(newcombe(k[0], n[0], k[1], n[1]))
    corrected = _absolute(newcombe(k[0], n[0], k[1], n[1], z=float(ndtri(1 - _LEVEL / n_looked_at / 2))))
    enough = enough_likeness(n_rivals)
    verdict = _verdict(corrected, min(n), alike, enough)
    return Evidence(
        verdict=verdict,
        sentence=_sentence(verdict, k, n, gap, alike, enough, n_looked_at),
        accuracy_negative=wilson(k[0], n[0]),
        accuracy_positive=wilson(k[1], n[1]),
        accuracy_gap=gap,
        loss_negative=_mean(loss, ~positive),
        loss_positive=_mean(loss, positive),
        minority_share=min(n) / sum(n),
        alike=alike,
    )


def enough_likeness(n_rivals: int) -> tuple[float, float]:
    """Likeness that possible and strong need: twice that of one rival with two, 1.5 times with three, and so on."""
    factor = n_rivals / (n_rivals - 1) if n_rivals > 1 else 1.0
    return LIKENESS[0] * factor, LIKENESS[1] * factor


def _unknown(loss: NDArray[np.floating], positive: NDArray[np.bool_], minority_share: float) -> Evidence:
    nothing = wilson(0, 0)
    return Evidence(
        verdict=Verdict.NONE,
        sentence="It is not known which examples the model gets right, because its predictions did not come with the "
        "scores: there is no verdict. Look at both ends.",
        accuracy_negative=nothing,
        accuracy_positive=nothing,
        accuracy_gap=nothing,
        loss_negative=_mean(loss, ~positive),
        loss_positive=_mean(loss, positive),
        minority_share=minority_share,
    )


def _mean(loss: NDArray[np.floating], side: NDArray[np.bool_]) -> float:
    return float(np.asarray(loss, dtype=np.float64)[side].mean()) if side.any() else 0.0


def _absolute(difference: Interval) -> Interval:
    """|difference|: an interval that holds 0 begins at 0."""
    d, low, high = difference.value, difference.low, difference.high
    if d < 0:
        d, low, high = -d, -high, -low
    return Interval(value=d, low=max(0.0, low), high=max(high, -low), n=difference.n)


def _verdict(gap: Interval, smaller: int, alike: Interval | None, enough: tuple[float, float]) -> Verdict:
    possible, strong = enough
    likeness = possible if alike is None else alike.value
    if gap.low > STRONG_GAP and smaller >= STRONG_SIDE and likeness >= strong:
        return Verdict.STRONG
    return Verdict.POSSIBLE if gap.low > 0 and likeness >= possible else Verdict.NONE


def _sentence(
    verdict: Verdict,
    k: tuple[int, int],
    n: tuple[int, int],
    gap: Interval,
    alike: Interval | None,
    enough: tuple[float, float],
    n_looked_at: int,
) -> str:
    if min(n) == 0:
        return f"All {max(n)} examples lie on one side of the split, so there is nothing to compare."
    sides = (
        f"The model is right on {k[1]} of {n[1]} examples on the positive side ({k[1] / n[1]:.0%}) and on {k[0]} of "
        f"{n[0]} on the negative side ({k[0] / n[0]:.0%}): a gap of {gap.value * 100:.0f} points "
        f"(95 % interval {gap.low * 100:.0f} to {gap.high * 100:.0f})."
    )
    return f"{sides} {_errors_in_words(alike, enough)} {_verdict_in_words(verdict, n_looked_at)}"


def _errors_in_words(alike: Interval | None, enough: tuple[float, float]) -> str:
    if alike is None:
        return "There are too few errors in this class to say whether they have one cause."
    errors = f"The {alike.n} errors of this class"
    share = f"(likeness {alike.value:.2f}, 95 % interval {alike.low:.2f} to {alike.high:.2f})"
    if alike.value >= enough[1]:
        return f"{errors} owe their loss to the same training examples {share}."
    if alike.value >= enough[0]:
        return f"{errors} owe their loss partly to the same training examples {share}."
    return f"{errors} have little in common {share}, as errors on hard examples do."


def _verdict_in_words(verdict: Verdict, n_looked_at: int) -> str:
    seen = "the one direction" if n_looked_at == 1 else f"the {n_looked_at} directions"
    return {
        Verdict.STRONG: f"Taken together, strong evidence of a bias among {seen} looked at.",
        Verdict.POSSIBLE: f"Taken together, a bias is possible among {seen} looked at.",
        Verdict.NONE: f"Taken together, no sign of a bias among {seen} looked at.",
    }[verdict]
