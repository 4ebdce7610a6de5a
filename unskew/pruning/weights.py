"""Group weights w_G: how much a group counts in the alignment T."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unskew.errors import SettingsError
from unskew.evaluation.metrics import mean_by_group
from unskew.schemas.enums import WeightRule


def group_weights(
    loss: NDArray[np.floating], group: NDArray[np.int64], n_groups: int, rule: WeightRule | str
) -> NDArray[np.float64]:
    """Weight of each group, from the mean cross-entropy l_G of its examples.

    loss: l_G (default of the product and of the authors' code). exp_loss: exp(l_G). uniform: 1.
    paper_printed: exp(-l_G), the geometric mean probability as the paper's formula is printed; it grows with accuracy,
    against the paper's own text ("prioritize … underperforming groups"), and is here for comparison only.

    Args:
        loss: (n_targets,) mean cross-entropy over checkpoints [nats].
        group: int64 (n_targets,), -1 = in no group.
    Returns:
        float64 (n_groups,); 0 for an empty group, which therefore adds nothing to T.
    Raises:
        SettingsError: the rule is unknown; no example is in a group.
        ValueError: lengths differ; a group number is n_groups or more.
    Source: Better than Balancing, section 2.2.
    """
    if len(loss) != len(group):
        raise ValueError(f"loss has {len(loss)} entries and group {len(group)}; they must be equal.")
    if len(group) and int(np.max(group)) >= n_groups:
        raise ValueError(f"group {int(np.max(group))} is out of range: there are {n_groups} groups.")
    mean = mean_by_group(loss, group, n_groups)
    if np.isnan(mean).all():
        raise SettingsError("No validation example is in a group.", fix="Label some, or choose another group set.")
    try:
        known = WeightRule(rule)
    except ValueError:
        choices = ", ".join(WeightRule)
        raise SettingsError(f"There is no weight rule {rule!r}.", fix=f"Choose one of {choices}.") from None
    weights: dict[WeightRule, NDArray[np.float64]] = {
        WeightRule.LOSS: mean,
        WeightRule.EXP_LOSS: np.exp(mean),
        WeightRule.UNIFORM: np.where(np.isnan(mean), np.nan, 1.0),
        WeightRule.PAPER_PRINTED: np.exp(-mean),
    }
    chosen = weights[known]
    return np.where(np.isnan(chosen), 0.0, chosen)
