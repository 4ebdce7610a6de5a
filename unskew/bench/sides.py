"""Is the minority of *training* found? Discovered groups carried over to training examples in two ways, through their
own rows and by whom each helps, against what was planted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import Attribution
from unskew.bench.rules import Case
from unskew.discovery import pseudo_groups, training_groups
from unskew.evaluation import mean_by_group

OWN, HELP = "by their own rows", "by whom they help"


class _Help:
    """Scores that do not know training examples as targets."""

    expected_error = None

    def __init__(self, scores: Attribution) -> None:
        self.target_loss, self.alignment = scores.target_loss, scores.alignment

    def training_sides(self, *_: object) -> None:
        return None


def measure(
    *, name: str, skew: float = 0.95, runs: int = 5, first_seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Precision and recall of the worse-served side, mean over classes and sets drawn, by way and by how validation is
    drawn; JSON-able."""
    rows = []
    for validation in ("skewed", "balanced"):
        found: dict[str, list[tuple[float, float]]] = {OWN: [], HELP: []}
        for seed in range(first_seed, first_seed + runs):
            case = Case(name, seed, skew, validation)
            scores = case.attribution(case.checkpoints())
            label, train_label = case.data.validation.label, case.data.train.label
            group = pseudo_groups(scores.directions(label, train_label), label)
            n_classes = len(case.data.class_names)
            loss = mean_by_group(scores.target_loss, group, 2 * n_classes)
            for way, said in ((OWN, scores), (HELP, _Help(scores))):
                carried = training_groups(said, group, train_label, n_classes)
                found[way] += [_against(case, carried, c, loss) for c in range(n_classes)]
            tell(f"{name}, {validation}, seed {seed}: {[(way, found[way][-n_classes:]) for way in found]}")
        for way, each in found.items():
            precision, recall = (round(float(np.mean(values)), 3) for values in zip(*each, strict=True))
            rows.append({"validation": validation, "way": way, "precision": precision, "recall": recall})
    return {"set": name, "skew": skew, "n_runs": runs, "first_seed": first_seed, "rows": rows}


def _against(case: Case, carried: NDArray[np.int64], label: int, loss: NDArray[np.float64]) -> tuple[float, float]:
    """Precision and recall of the worse side of a class for the rarer of its two planted groups."""
    own = case.data.train.label == label
    planted = case.planted_in_training[own]
    values, counts = np.unique(planted, return_counts=True)
    minority = planted == values[np.argmin(counts)]
    pair = loss[2 * label : 2 * label + 2]
    chosen = carried[own] == 2 * label + int(np.nanargmax(pair))
    return float(minority[chosen].mean()) if chosen.any() else 0.0, float(chosen[minority].mean())
