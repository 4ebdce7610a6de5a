"""What each method does, may read and needs: the declaration that trainer, jobs, API and reports go by. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unskew.schemas.enums import Method
from unskew.schemas.params import TuningParams

LabelsUsed = Literal["none", "validation groups", "training groups"]
LABELS: tuple[LabelsUsed, ...] = get_args(LabelsUsed)  # fewest first: the order of league tables
Kind = Literal["erm", "prune", "subsample", "resample", "group_dro", "lisa", "jtt", "dfr", "refit", "afr"]


@dataclass(frozen=True)
class Recipe:
    """One method of the one trainer.

    Attributes:
        title: name for a person.
        labels_used: the group labels that the whole method reads, for the choice of rows, of K and of settings
            included.
        kind: the algorithm; see `unskew.training.recipes`.
        by: what `subsample` and `resample` balance.
        discovered: reads groups that discovery made, and only such.
        control: no remedy, but what a remedy has to beat.
        version: rises with every change that changes this method's results: part of the key of a stored run.
    """

    method: Method
    title: str
    labels_used: LabelsUsed
    kind: Kind
    by: Literal["group", "class"] = "group"
    discovered: bool = False
    control: bool = False
    version: int = 1

    @property
    def prunes(self) -> bool:
        """Trains on a given part of the rows, and cannot do without one."""
        return self.kind == "prune"

    @property
    def reads_training_groups(self) -> bool:
        """Pruning reads no group itself: what it knows of them is in the rows that it is given."""
        if self.discovered:
            return self.kind not in ("dfr", "jtt", "afr")
        return self.labels_used == "training groups" and not self.prunes

    @property
    def reads_validation_groups(self) -> bool:
        """Whoever may read training groups tunes on validation groups too, as all published baselines do."""
        return self.discovered or self.labels_used != "none"

    @property
    def needs_validation_groups(self) -> bool:
        """Cannot do without them; the others choose by the worst class where there are none."""
        return self.kind == "dfr"

    @property
    def refits_erm(self) -> bool:
        """Starts from the ERM model of the same seed, which need not be trained again."""
        return self.kind in ("dfr", "refit")

    def cost(self, tuning: TuningParams) -> float:
        """How long it takes, in ERM trainings."""
        if self.kind == "subsample":
            return sum(tuning.subsample_lengths)
        if self.kind in ("resample", "lisa", "group_dro"):
            settings = 2 * (len(tuning.dro_step_sizes) if self.kind == "group_dro" else 1)
            return settings * sum(tuning.lengths)
        if self.kind == "jtt":
            return sum(tuning.jtt_first) + len(tuning.jtt_first) * len(tuning.jtt_upweights)
        return tuning.afr_share if self.kind == "afr" else 0.0 if self.refits_erm else 1.0

    @property
    def selects(self) -> bool:
        """Chooses settings and the epoch to stop at on validation."""
        return self.kind not in ("erm", "prune")


RECIPES: dict[Method, Recipe] = {
    recipe.method: recipe
    for recipe in (
        Recipe(Method.ERM, "ERM", "none", "erm", control=True),
        Recipe(Method.TRAK, "TRAK", "validation groups", "prune"),
        Recipe(Method.AUTO_TRAK, "Auto-TRAK", "none", "prune"),
        Recipe(Method.RANDOM_K, "Random K", "none", "prune", control=True),
        Recipe(Method.SUBG, "SUBG", "training groups", "subsample", version=2),
        Recipe(Method.SUBY, "SUBY", "none", "subsample", by="class"),
        Recipe(Method.RWG, "RWG", "training groups", "resample"),
        Recipe(Method.RWY, "RWY", "none", "resample", by="class"),
        Recipe(Method.GROUP_DRO, "GroupDRO", "training groups", "group_dro"),
        Recipe(Method.LISA, "LISA", "training groups", "lisa"),
        Recipe(Method.JTT, "JTT", "validation groups", "jtt"),
        Recipe(Method.DFR, "DFR", "validation groups", "dfr"),
        Recipe(Method.AFR, "AFR", "validation groups", "afr"),
        Recipe(Method.AUTO_SUBG, "Auto-SUBG", "none", "subsample", discovered=True, version=2),
        Recipe(Method.AUTO_RWG, "Auto-RWG", "none", "resample", discovered=True, version=2),
        Recipe(Method.AUTO_GROUP_DRO, "Auto-GroupDRO", "none", "group_dro", discovered=True, version=2),
        Recipe(Method.AUTO_LISA, "Auto-LISA", "none", "lisa", discovered=True, version=2),
        Recipe(Method.AUTO_DFR, "Auto-DFR", "none", "dfr", discovered=True),
        Recipe(Method.AUTO_JTT, "Auto-JTT", "none", "jtt", discovered=True),
        Recipe(Method.AUTO_AFR, "Auto-AFR", "none", "afr", discovered=True),
        Recipe(Method.LOSS_TRAK, "Loss-TRAK", "none", "prune", control=True),
        Recipe(Method.EXCLUDE, "Excluded subpopulations", "training groups", "prune"),
        Recipe(Method.REFIT, "Refit", "none", "refit", control=True),
    )
}
