"""Evaluation: predictions in, group metrics, intervals and comparisons out. numpy (and scipy.special) only."""

from unskew.evaluation.agreement import kappa, more_needed
from unskew.evaluation.bootstrap import worst_group_bootstrap
from unskew.evaluation.fidelity import half_subsets, lds, lds_advantage, mean_lds, rank_correlation
from unskew.evaluation.intervals import auroc, mcnemar, mean_interval, newcombe, wilson
from unskew.evaluation.metrics import GroupMetrics, Predictions, group_metrics, majority_right, mean_by_group

__all__ = [
    "GroupMetrics",
    "Predictions",
    "auroc",
    "group_metrics",
    "half_subsets",
    "kappa",
    "lds",
    "lds_advantage",
    "majority_right",
    "mcnemar",
    "mean_by_group",
    "mean_interval",
    "mean_lds",
    "more_needed",
    "newcombe",
    "rank_correlation",
    "wilson",
    "worst_group_bootstrap",
]
