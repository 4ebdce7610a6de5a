"""Discovery: directions of each class's block of τ, pseudo-groups from them, and how sure one can be. numpy only."""

from unskew.discovery.evidence import evidence, majority_right
from unskew.discovery.principal import ClassDirections, class_directions, directions_pca
from unskew.discovery.pseudo import pseudo_groups

__all__ = ["ClassDirections", "class_directions", "directions_pca", "evidence", "majority_right", "pseudo_groups"]
