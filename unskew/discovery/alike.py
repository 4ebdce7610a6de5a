"""How alike the wrongly predicted targets of a class are, in what they were learnt from: a bias, or hard examples?

Errors are predictable from attributions even where there is no bias, because some examples are simply hard, so beating
a permutation of the losses says nothing. But hard examples are hard each in its own way, while a bias gives its victims
the same proponents and opponents. So the question is whether the rows of τ of the wrongly predicted targets point the
same way, in units of how much two rows of the class usually do:

    likeness = mean cosine over pairs of wrongly predicted targets / root mean square cosine over all pairs

of rows that are transformed, scaled to unit length and centred on the class. 0: as unlike as any two. With more than
two classes rows are alike already when the same class competes with theirs, so what follows from the mixture of rivals
is taken out in place of the mean, and a pair counts by how far its rivals are the same (`discovery.rivals`).
Centring takes away from the wrong ones' common part what their share of the class is, so the mean is divided by
(1 - share)²: a validation set that holds both groups equally, where a third may be wrong, reads like one that is as
skewed as training, where a twentieth is. What a bias does it does in several classes, and one class has few errors, so
a class's likeness is averaged with what the other classes say. Which values come with a planted bias and which without
any is measured in docs/evidence.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unskew.discovery.rivals import basis, one_rival
from unskew.schemas.api import Interval

_FEWEST = 5  # wrongly predicted targets below which nothing is said
_Z = 1.96
_TINY = 1e-9


def likeness(
    gram: NDArray[np.float64], wrong: NDArray[np.bool_], mixture: NDArray[np.float64] | None = None
) -> Interval | None:
    """Likeness of the wrongly predicted targets with a jackknife interval (95 %) over them; n = how many there are.

    Args:
        gram: float64 (n_c, n_c), inner products of the transformed rows.
        wrong: bool (n_c,).
        mixture: of rivals, (n_c, m), rows sum to 1; None: all have the same.
    Returns:
        None with fewer than 5 wrongly predicted or 5 other targets.
    """
    n = int(wrong.sum())
    if n < _FEWEST or len(wrong) - n < _FEWEST:
        return None
    mixture = one_rival(len(wrong)) if mixture is None else mixture
    cosine, shared = _cosines(gram, basis(mixture)), mixture @ mixture.T
    np.fill_diagonal(shared, 0.0)
    usual = np.sqrt((shared * np.square(cosine)).sum() / max(shared.sum(), _TINY))
    counts = shared[np.ix_(wrong, wrong)]
    if not usual > 0 or not counts.sum() > _TINY:
        return None
    among = counts * cosine[np.ix_(wrong, wrong)]
    of_each, counts_of_each = among.sum(axis=1), counts.sum(axis=1)
    value = among.sum() / counts.sum()
    left = np.maximum(counts.sum() - 2 * counts_of_each, _TINY)
    without_each = (among.sum() - 2 * of_each) / left
    error = np.sqrt((n - 1) / n * np.square(without_each - without_each.mean()).sum())
    wrong_of_rival = mixture[wrong].sum(axis=0)
    share = float(np.average(wrong_of_rival / np.maximum(mixture.sum(axis=0), _TINY), weights=wrong_of_rival))
    unit = usual * (1 - share) ** 2
    value, error = float(value / unit), float(error / unit)
    return Interval(value=value, low=value - _Z * error, high=value + _Z * error, n=n)


def together(alike: Mapping[int, Interval | None]) -> dict[int, Interval | None]:
    """Each class's likeness, averaged with the mean of all other classes'; intervals are added as independent ones.

    A class that says nothing itself stays None; with no other class that says anything its own stands.
    """
    known = {label: found for label, found in alike.items() if found is not None}
    return {label: _with_others(label, known) if label in known else None for label in alike}


def _with_others(label: int, known: Mapping[int, Interval]) -> Interval:
    own, others = known[label], [found for other, found in known.items() if other != label]
    if not others:
        return own
    value = (own.value + float(np.mean([o.value for o in others]))) / 2
    variance = (own.high - own.value) ** 2 + sum((o.high - o.value) ** 2 for o in others) / len(others) ** 2
    half = float(np.sqrt(variance)) / 2
    return Interval(value=value, low=value - half, high=value + half, n=own.n)


def _cosines(gram: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines between rows of unit length less what q spans; a row without length has cosine 0 with all others."""
    gram = _unit_diagonal(gram)
    half = gram - q @ (q.T @ gram)
    return _unit_diagonal(half - (half @ q) @ q.T)


def _unit_diagonal(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.sqrt(np.maximum(gram.diagonal(), 0))
    scale = np.divide(1.0, length, out=np.zeros(len(gram)), where=length > 1e-6 * length.max(initial=0.0))
    return gram * scale[:, None] * scale
