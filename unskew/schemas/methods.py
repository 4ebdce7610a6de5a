"""What each method may read and what it needs: the declaration that trainer, jobs, API and reports go by. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unskew.schemas.enums import Method

LabelsUsed = Literal["none", "validation groups", "training groups"]


@dataclass(frozen=True)
class Recipe:
    """One method of the one trainer.

    Attributes:
        title: name for a person.
        labels_used: the group labels that the whole method reads, for the choice of rows and of K included.
        prunes: trains on a given part of the rows, and cannot do without one.
        subsamples: subsamples the training groups itself.
    """

    method: Method
    title: str
    labels_used: LabelsUsed
    prunes: bool = False
    subsamples: bool = False

    @property
    def reads_training_groups(self) -> bool:
        return self.labels_used == "training groups"

    @property
    def reads_validation_groups(self) -> bool:
        """Whoever may read training groups tunes on validation groups too, as all published baselines do."""
        return self.labels_used != "none"


RECIPES: dict[Method, Recipe] = {
    recipe.method: recipe
    for recipe in (
        Recipe(Method.ERM, "ERM", "none"),
        Recipe(Method.TRAK, "TRAK pruning", "validation groups", prunes=True),
        Recipe(Method.AUTO_TRAK, "Auto-TRAK pruning", "none", prunes=True),
        Recipe(Method.RANDOM_K, "random removal", "none", prunes=True),
        Recipe(Method.SUBG, "SUBG", "training groups", subsamples=True),
    )
}
