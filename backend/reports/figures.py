"""The figures of a report: the same builders as on the screens."""

from __future__ import annotations

from backend.reports.own import own_figures
from backend.reports.words import best_pruned, result
from unskew.charts.base import Chart
from unskew.charts.compare import dumbbell
from unskew.charts.directions import projections
from unskew.charts.removal import removal_curve
from unskew.charts.scores import alignment
from unskew.schemas.enums import Method
from unskew.schemas.report import FrozenReport


def figures(report: FrozenReport) -> dict[str, Chart]:
    """By the names that the template asks for."""
    made: dict[str, Chart] = {}
    for item in report.directions:
        made[f"direction-{item.direction.id}"] = projections(item.direction.histogram)
    for pruning in report.prunings:
        k = pruning.prune_set.k if pruning.prune_set else None
        made[f"scores-{pruning.score_set.id}"] = alignment(pruning.score_set, k)
    for comparison in report.comparisons:
        before, after = result(comparison, Method.ERM), best_pruned(comparison)
        if before and after:
            made[f"groups-{comparison.split.value}"] = dumbbell(before, after)
        if any(row.method is not Method.ERM for row in comparison.curve):
            made[f"curve-{comparison.split.value}"] = removal_curve(
                comparison.curve, star=comparison.star, best_k=comparison.best_k, grouping=comparison.grouping
            )
    return made | own_figures(report)
