"""Discovery: directions of each class's block of τ, pseudo-groups from them, and how sure one can be. numpy only."""

from unskew.discovery import tellers
from unskew.discovery.alike import likeness
from unskew.discovery.differences import differences
from unskew.discovery.directions import ClassDirections, class_directions
from unskew.discovery.error_guided import Errors, error_axis
from unskew.discovery.evidence import evidence
from unskew.discovery.principal import directions_pca
from unskew.discovery.properties import image_properties
from unskew.discovery.pseudo import pseudo_groups
from unskew.discovery.training import training_groups

__all__ = [
    "ClassDirections",
    "Errors",
    "class_directions",
    "differences",
    "directions_pca",
    "error_axis",
    "evidence",
    "image_properties",
    "likeness",
    "pseudo_groups",
    "tellers",
    "training_groups",
]
