"""Discovery where it is hard, on small networks and real digits: two biases at once, one in one class only, three to
five classes, hardly any error, no bias. Validation is as skewed as training, which is what users have; what is planted
is read to judge only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import attribute
from unskew.bench.coloured import SIZE
from unskew.bench.many import Fit, fit_many, network
from unskew.data import SplitArrays
from unskew.data.coloured import INK, NOISE, TINTS
from unskew.data.demo import digits
from unskew.discovery import evidence
from unskew.evaluation import auroc, majority_right, wilson
from unskew.schemas.api import Evidence
from unskew.schemas.enums import Verdict
from unskew.schemas.params import AttributeParams, DiscoverParams

_CHECKPOINTS = (0, 1, 2)
_PARAMS = AttributeParams(projection_in=8, projection_out=8)
_TINTS = np.vstack([TINTS, [0.35, 0.35, 1.0], [1.0, 1.0, 0.35], [1.0, 0.35, 1.0]])  # then blue, yellow, magenta
_CORNER = 0.7  # brightness of the pixel in a corner
_TRAINING = 0.79  # share of the digits, as in the other sets of digits
CASES: dict[str, dict[str, Any]] = {
    "a colour in both classes, .9": {"colour": (0.9, 0.9)},
    "a colour and a corner, .9 each": {"colour": (0.9, 0.9), "corner": 0.9},
    "a colour in one class only, .95": {"colour": (0.95, 0.5)},
    "a colour in one class only, .98": {"colour": (0.98, 0.5)},
    "hardly any error: 0 against 1, .9": {"colour": (0.9, 0.9), "numerals": (0, 1)},
    "three classes, a colour each, .9": {"colour": (0.9, 0.9, 0.9)},
    "three classes, a colour in the first only, .95": {"colour": (0.95, 1 / 3, 1 / 3)},
    "three classes, no bias": {"colour": (1 / 3, 1 / 3, 1 / 3)},
    "four classes, a colour each, .9": {"colour": (0.9,) * 4},
    "four classes, no bias": {"colour": (0.25,) * 4},
    "five classes, a colour each, .9": {"colour": (0.9,) * 5},
    "five classes, no bias": {"colour": (0.2,) * 5},
    "no bias": {"colour": (0.5, 0.5), "corner": 0.5},
}


@dataclass
class Found:
    """One class: projections (n_directions, n_c), the error-guided first, their evidence, whether the model is right,
    and for evaluation only, who is in the minority of what was planted: bool (n_c,)."""

    projections: NDArray[np.float64]
    evidence: list[Evidence]
    right: NDArray[np.bool_]
    planted: dict[str, NDArray[np.bool_]]

    def guided(self, name: str) -> float:
        """How well the error-guided direction's + end ranks the minority."""
        return auroc(self.projections[0], self.planted[name]).value

    def best(self, name: str) -> float:
        """How well the direction that does so best ranks the minority, whatever its sign."""
        found = [auroc(p, self.planted[name]).value for p in self.projections]
        return max(max(value, 1 - value) for value in found)


def painted(
    seed: int, colour: tuple[float, ...], corner: float | None = None, numerals: tuple[int, ...] = tuple(range(10))
) -> tuple[SplitArrays, SplitArrays]:
    """Training and validation of digits, two to five classes of neighbouring numerals.

    Args:
        colour: share of each class in its own colour, one number a class; the others are spread over the other colours.
            1 / number of classes = no bias.
        corner: share of each of two classes with a bright pixel in its own corner; None: no such pixel.
    """
    ink, numeral = digits()
    chosen = np.flatnonzero(np.isin(numeral, numerals))
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(chosen)[:3800]
    n_classes = len(colour)
    label = np.searchsorted(numerals, numeral[chosen]) * n_classes // len(numerals)
    small = INK * ink[chosen].reshape(-1, SIZE, 4, SIZE, 4).mean(axis=(2, 4))
    other = {"colour": rng.random(len(label)) >= np.array(colour)[label]}
    shift = other["colour"] * (1 if n_classes == 2 else rng.integers(1, n_classes, len(label)))
    tint = _TINTS[(label + shift) % n_classes] + rng.normal(0, NOISE, (len(label), 3))
    pixels = np.clip(small[:, None] * tint[:, :, None, None], 0, 1)
    if corner is not None:
        other["corner"] = rng.random(len(label)) >= corner
        pixels[np.arange(len(label)), :, 0, np.where(label ^ other["corner"], 0, SIZE - 1)] = _CORNER
    named = {name: np.where(minority, "other", "own") for name, minority in other.items()}
    whole = (255 * pixels).astype(np.uint8)
    n = round(_TRAINING * len(label))
    train, validation = slice(0, n), slice(n, None)
    return tuple(  # type: ignore[return-value]
        SplitArrays(whole[s], label[s], {name: column[s] for name, column in named.items()})
        for s in (train, validation)
    )


def discover(train: SplitArrays, validation: SplitArrays) -> list[Found]:
    """Three networks, their attribution, and the directions of each class."""
    n_classes = int(train.label.max()) + 1
    states = fit_many([Fit(train, seed) for seed in _CHECKPOINTS], n_classes=n_classes)
    found = attribute(network(SIZE, n_classes), states, train, validation, params=_PARAMS)
    classes = found.directions(validation.label, train.label, DiscoverParams())
    n_looked_at = sum(len(c) for c in classes)
    made = []
    for c in classes:
        right = majority_right(found.target_prediction[:, c.positions], validation.label[c.positions])
        loss = found.target_loss[c.positions]
        told = [
            evidence(p, right, loss, alike=c.alike, n_rivals=c.n_rivals, n_looked_at=n_looked_at) for p in c.projections
        ]
        planted = {name: column[c.positions] == "other" for name, column in validation.attributes.items()}
        made.append(Found(np.asarray(c.projections), told, right, planted))
    return made


def measure(*, runs: int = 12, first_seed: int = 3000, tell: Callable[[str], None]) -> dict[str, Any]:
    """One row a case: verdicts of a set (the best over its directions), and how well minorities are ranked."""
    rows = []
    for name, how in CASES.items():
        found = [discover(*painted(seed, **how)) for seed in range(first_seed, first_seed + runs)]
        best = [max((e.verdict for c in classes for e in c.evidence), key=_RANK.index) for classes in found]
        first = [classes[0] for classes in found]  # with a bias in one class only, it is this one
        row: dict[str, Any] = {"case": name}
        for verdict in (Verdict.STRONG, Verdict.POSSIBLE):
            row[verdict.value] = wilson(best.count(verdict), runs).model_dump()
        for planted in first[0].planted:
            row[planted] = {
                "error_guided_auroc": [round(c.guided(planted), 3) for c in first],
                "accuracy_minority": float(np.mean([c.right[c.planted[planted]].mean() for c in first])),
                "accuracy_others": float(np.mean([c.right[~c.planted[planted]].mean() for c in first])),
            }
        rows.append(row)
        tell(str(row))
    return {"n_runs": runs, "first_seed": first_seed, "rows": rows}


_RANK = (Verdict.NONE, Verdict.POSSIBLE, Verdict.STRONG)
