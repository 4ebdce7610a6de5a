"""Unskew: find the biases a classifier picked up from its training data, and remove the examples that cause them.

Importing this package costs nothing: heavy modules load when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "debias", "show"]

if TYPE_CHECKING:
    from unskew.in_browser import show
    from unskew.one_call import debias


def __getattr__(name: str) -> Any:
    if name == "debias":
        from unskew.one_call import debias

        return debias
    if name == "show":
        from unskew.in_browser import show

        return show
    raise AttributeError(f"module 'unskew' has no attribute {name!r}")
