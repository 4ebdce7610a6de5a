"""Attribution: gradient features, the ridge solve, and scores without the matrix.

`Attribution` and `Features` need numpy and scipy only; what runs a model loads torch when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unskew.attribution.engine import Attribution, ClassDirections
from unskew.attribution.quality import proxies
from unskew.attribution.records import Features, UncoveredParametersWarning

if TYPE_CHECKING:
    from unskew.attribution.exact import featurize_exact
    from unskew.attribution.features import featurize
    from unskew.attribution.notebook import attribute, checkpoint_seed

__all__ = [
    "Attribution",
    "ClassDirections",
    "Features",
    "UncoveredParametersWarning",
    "attribute",
    "checkpoint_seed",
    "featurize",
    "featurize_exact",
    "proxies",
]

_LAZY = {
    "attribute": "notebook",
    "checkpoint_seed": "notebook",
    "featurize": "features",
    "featurize_exact": "exact",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"unskew.attribution.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'unskew.attribution' has no attribute {name!r}")
