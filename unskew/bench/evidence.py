"""Calibration of the verdict: how often is it *strong* with a planted bias, how often without any?

Validation is as skewed as training, which is what users have. One run: a set of coloured digits, three small networks,
attribution, directions, evidence; the verdict of a run is the best over all its directions, as a person sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from unskew.attribution import attribute
from unskew.bench.coloured import SIZE, Coloured, coloured_digits
from unskew.bench.many import Fit, fit_many, network, predictions
from unskew.discovery import evidence
from unskew.evaluation import auroc, group_metrics, majority_right, wilson
from unskew.schemas.enums import Verdict
from unskew.schemas.params import AttributeParams, DiscoverParams

SKEWS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
_CHECKPOINTS = (0, 1, 2)
_AT_ONCE = 8  # sets whose networks are trained together
_PARAMS = AttributeParams(projection_in=8, projection_out=8)


def measure(
    *, skews: Sequence[float] = SKEWS, runs: int = 100, first_seed: int = 1000, tell: Callable[[str], None]
) -> dict[str, Any]:
    """One row a skew, with Wilson intervals over runs; JSON-able.

    Args:
        first_seed: of the sets; thresholds were chosen on seeds 0 to 7.
        tell: called with a line of progress.
    """
    rows = []
    for skew in skews:
        found: list[dict[str, float]] = []
        for start in range(0, runs, _AT_ONCE):
            seeds = range(first_seed + start, first_seed + min(start + _AT_ONCE, runs))
            found += _measured([coloured_digits(seed, skew, skew) for seed in seeds])
            tell(f"skew {skew}: {len(found)} of {runs}")
        rows.append({"skew": skew, **_summary(found)})
        tell(str(rows[-1]))
    return {"n_runs": runs, "first_seed": first_seed, "n_checkpoints": len(_CHECKPOINTS), "rows": rows}


def _measured(sets: list[Coloured]) -> list[dict[str, float]]:
    states = fit_many([Fit(s.data.train, seed) for s in sets for seed in _CHECKPOINTS], n_classes=2)
    n = len(_CHECKPOINTS)
    return [_one(made, states[n * i : n * (i + 1)]) for i, made in enumerate(sets)]


def _one(made: Coloured, states: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    train, validation, test = made.data.train, made.data.validation, made.data.test
    assert test is not None
    found = attribute(network(SIZE, 2), states, train, validation, params=_PARAMS)
    classes = found.directions(validation.label, train.label, DiscoverParams())
    n_looked_at = sum(len(c) for c in classes)
    verdicts, likeness, ranked = [], [], []
    for c in classes:
        loss, label = found.target_loss[c.positions], validation.label[c.positions]
        right = majority_right(found.target_prediction[:, c.positions], label)
        made_of = [
            evidence(p, right, loss, alike=c.alike, n_rivals=c.n_rivals, n_looked_at=n_looked_at) for p in c.projections
        ]
        verdicts += [e.verdict for e in made_of]
        likeness.append(c.alike.value if c.alike else 0.0)
        ranked.append(auroc(c.projections[0], made.validation_minority[c.positions]).value)
    said = predictions(states, test)
    worst = [group_metrics(p, test.label, made.test_group, 4).worst_group_accuracy for p in said]
    return {
        "strong": float(Verdict.STRONG in verdicts),
        "possible": float(Verdict.POSSIBLE in verdicts and Verdict.STRONG not in verdicts),
        "likeness": max(likeness),
        "minority_auroc": float(np.mean(ranked)),
        "erm_worst_group_accuracy": float(np.mean(worst)),
    }


def _summary(found: list[dict[str, float]]) -> dict[str, Any]:
    n = len(found)
    likeness = np.array([f["likeness"] for f in found])
    return {
        "strong": wilson(int(sum(f["strong"] for f in found)), n).model_dump(),
        "possible": wilson(int(sum(f["possible"] for f in found)), n).model_dump(),
        "likeness_quantiles": {str(q): float(np.quantile(likeness, q)) for q in (0.01, 0.05, 0.5, 0.95, 0.99)},
        "minority_auroc": float(np.mean([f["minority_auroc"] for f in found])),
        "erm_worst_group_accuracy": float(np.mean([f["erm_worst_group_accuracy"] for f in found])),
    }
