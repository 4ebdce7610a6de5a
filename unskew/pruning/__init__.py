"""Pruning: group weights, what a rule removes, and the choice of K. numpy only."""

from unskew.pruning.balance import balanced_kept, balancing_drops
from unskew.pruning.removal import heuristic_k, kept, random_removed, removed
from unskew.pruning.search import choose_k, default_grid, search_k
from unskew.pruning.weights import group_weights

__all__ = [
    "balanced_kept",
    "balancing_drops",
    "choose_k",
    "default_grid",
    "group_weights",
    "heuristic_k",
    "kept",
    "random_removed",
    "removed",
    "search_k",
]
