"""Pseudo-groups: the two sides of one direction a class, as group numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unskew.cut import cut
from unskew.discovery.directions import ClassDirections
from unskew.errors import SettingsError
from unskew.schemas.enums import CutRule


def pseudo_groups(
    projections: Mapping[int, NDArray[np.floating]] | list[ClassDirections],
    target_label: NDArray[np.int64],
    *,
    index: int = 0,
    rule: CutRule = CutRule.ZERO,
    wrong: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Split every class in two at a point of a direction.

    Args:
        projections: class → (n_c,) projections of its targets, in row order; or directions, of which `index` is taken.
        target_label: int64 (n_targets,).
        rule: where the positive side begins; see `unskew.cut`.
        wrong: bool (n_targets,), whether the model errs; `errors` needs it.
    Returns:
        int64 (n_targets,), label-major: 2 · label + bit, bit 1 = positive side (the higher loss, unless flipped), -1
        for targets of a class without projections. Either side of a class may be empty.
    Raises:
        SettingsError: a class has another number of targets than projections, or no direction `index`; or `wrong` is
            missing.
    Source: the paper's Auto procedure; we cut centred projections by default (see `DiscoverParams.centre`).
    """
    if isinstance(projections, list):
        short = [d.label for d in projections if index >= len(d)]
        if short:
            raise SettingsError(f"Class {short[0]} has no direction {index}.", fix="Choose a smaller number.")
        projections = {d.label: d.projections[index] for d in projections}
    target_label = np.asarray(target_label, dtype=np.int64)
    if rule is CutRule.ERRORS and wrong is None:
        raise SettingsError("Where the model errs is not known.", fix="Give `wrong`, or choose another rule.")
    group = np.full(len(target_label), -1, dtype=np.int64)
    for label, projection in projections.items():
        inside = target_label == label
        if inside.sum() != len(projection):
            raise SettingsError(
                f"Class {label} has {inside.sum()} targets and {len(projection)} projections.",
                fix="Use the labels of the targets that were attributed.",
            )
        n_wrong = 0 if wrong is None else int(wrong[inside].sum())
        group[inside] = 2 * label + (np.asarray(projection) > cut(projection, rule, n_wrong))
    return group
