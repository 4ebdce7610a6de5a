"""Subpopulations: the mean T of every label × attribute value, and the rows that excluding some of them removes.

Source: Better than Balancing, section 5 (figure 6) and appendix F.2. Reads attributes of training examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unskew.errors import SettingsError
from unskew.evaluation import mean_interval
from unskew.schemas.api import Interval

Key = tuple[int, str, str]  # label, attribute, value


@dataclass(frozen=True)
class Subpopulation:
    """Training examples of one class with one attribute value.

    Attributes:
        n: their number.
        mean: mean T with its 95 % t interval; n = examples.
        below_zero: share of them with T < 0.
        standard_errors: how far the mean lies from that of its class, in standard errors of a random subset as large;
            below -3 a subset drawn at random would hardly ever be.
    """

    label: int
    attribute: str
    value: str
    n: int
    mean: Interval
    below_zero: float
    standard_errors: float


def subpopulations(
    alignment: NDArray[np.floating],
    label: NDArray[np.int64],
    attributes: Mapping[str, NDArray[np.str_]],
    *,
    smallest: int = 2,
) -> list[Subpopulation]:
    """Every label × attribute value, the most harmful first.

    Args:
        alignment: (n_train,), T.
        label: int64 (n_train,).
        attributes: name → str (n_train,); "" = missing, which makes no subpopulation.
        smallest: fewer examples are left out.
    Raises:
        ValueError: lengths differ.
    """
    alignment, label = np.asarray(alignment, dtype=np.float64), np.asarray(label, dtype=np.int64)
    found = []
    for name, values in attributes.items():
        if not len(values) == len(label) == len(alignment):
            raise ValueError(f"{name} has {len(values)} rows, label {len(label)}, alignment {len(alignment)}.")
        for c in np.unique(label):
            own = label == c
            centre, spread, n_class = (
                alignment[own].mean(),
                alignment[own].std(ddof=1) if own.sum() > 1 else 0,
                own.sum(),
            )
            for value in np.unique(values[own]):
                inside = alignment[own & (values == value)]
                if value == "" or len(inside) < smallest:
                    continue
                # drawn without replacement: a subset that is nearly the class hardly varies
                error = spread * np.sqrt((1 / len(inside)) * max(0.0, 1 - len(inside) / n_class))
                found.append(
                    Subpopulation(
                        label=int(c),
                        attribute=name,
                        value=str(value),
                        n=len(inside),
                        mean=mean_interval(inside.tolist()),
                        below_zero=float((inside < 0).mean()),
                        standard_errors=float((inside.mean() - centre) / error) if error > 0 else 0.0,
                    )
                )
    return sorted(found, key=lambda s: s.mean.value)


def members(
    keys: Sequence[Key], label: NDArray[np.int64], attributes: Mapping[str, NDArray[np.str_]]
) -> NDArray[np.int64]:
    """Positions of the training examples in any of the subpopulations; int64, rising.

    Raises:
        SettingsError: none is named, one has no example, or together they are the whole training set.
    """
    mask = np.zeros(len(label), dtype=bool)
    for c, name, value in keys:
        if name not in attributes:
            raise SettingsError(
                f"There is no attribute {name!r}.", fix=f"There are: {', '.join(attributes) or 'none'}."
            )
        inside = (label == c) & (attributes[name] == value)
        if not inside.any():
            raise SettingsError(
                f"No training example of class {c} has {name} = {value!r}.", fix="Choose from the table."
            )
        mask |= inside
    if not mask.any() or mask.all():
        which = "No subpopulation is" if not mask.any() else "Every training example would be"
        raise SettingsError(f"{which} excluded.", fix="Choose some, not all.")
    return np.flatnonzero(mask).astype(np.int64)
