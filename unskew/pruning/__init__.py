"""Pruning: group weights, what a rule removes, and the choice of K. numpy only."""

from unskew.pruning.balance import balanced_kept, balancing_drops
from unskew.pruning.removal import heuristic_k, kept, negative_share, random_removed, removed
from unskew.pruning.search import choose_k, default_grid, search_k
from unskew.pruning.subpopulations import Subpopulation, members, subpopulations
from unskew.pruning.weights import group_weights

__all__ = [
    "Subpopulation",
    "balanced_kept",
    "balancing_drops",
    "choose_k",
    "default_grid",
    "group_weights",
    "heuristic_k",
    "kept",
    "members",
    "negative_share",
    "random_removed",
    "removed",
    "search_k",
    "subpopulations",
]
