"""The sentences of a report: one paragraph with the figures that matter, and what a reader should not conclude."""

from __future__ import annotations

from collections.abc import Sequence

from unskew.charts.format import bounds, percent
from unskew.charts.theme import method_name
from unskew.schemas import api
from unskew.schemas.enums import Method, Split, Verdict
from unskew.schemas.report import FrozenPruning

PRUNING = (Method.TRAK, Method.AUTO_TRAK)


def best_pruned(comparison: api.Comparison) -> api.MethodResult | None:
    """The pruning method with the highest worst-group accuracy here; ERM and controls do not count."""
    pruned = [m for m in comparison.methods if m.method in PRUNING]
    return max(pruned, key=lambda m: m.worst_group_accuracy.value, default=None)


def result(comparison: api.Comparison, method: Method, removed: int | None = None) -> api.MethodResult | None:
    """This method's result, at this K where it is given."""
    found = (m for m in comparison.methods if m.method is method and removed in (None, m.removed))
    return next(found, None)


def summary(project: api.ProjectDetail, found: Sequence[api.Direction], comparisons: Sequence[api.Comparison]) -> str:
    """What was looked at, found, removed and gained."""
    return " ".join([_found(project, found), _gained(project, comparisons)])


def _found(project: api.ProjectDetail, found: Sequence[api.Direction]) -> str:
    if not found:
        return "No directions have been computed yet."
    strong = [d for d in found if d.evidence.verdict is Verdict.STRONG]
    classes = len({d.label for d in strong})
    if not strong:
        return f"Of {len(found)} directions that were looked at, none shows strong evidence of a bias."
    named = ", ".join(dict.fromkeys(d.name for d in strong if d.name))
    return (
        f"Of {len(found)} directions that were looked at, {len(strong)} in {classes} of {len(project.class_names)} "
        f"classes {'shows' if len(strong) == 1 else 'show'} strong evidence that the model serves one side of its "
        "class much worse than the other" + (f" ({named})." if named else ".")
    )


def _gained(project: api.ProjectDetail, comparisons: Sequence[api.Comparison]) -> str:
    if not comparisons:
        return "Nothing has been trained yet."
    last = comparisons[-1]
    erm, best = result(last, Method.ERM), best_pruned(last)
    if erm is None or best is None:
        return "Nothing has been retrained on a pruned set yet."
    control = result(last, Method.RANDOM_K, best.removed)
    beside = f"removing as many at random gives {_share(control)}" if control else "there is no random control"
    return (
        f"On {last.split.value}, with groups by {last.grouping}, worst-group accuracy goes from {_share(erm)} with ERM "
        f"to {_share(best)} with {method_name(best.method)}, which drops {best.removed:,} of {project.n_train:,} "
        f"training examples; {beside}."
    )


def _share(found: api.MethodResult) -> str:
    value = found.worst_group_accuracy
    n = len(found.seeds)
    return f"{percent(value.value)} (95% interval {bounds(value, digits=1)}, {n} seed{'s' if n > 1 else ''})"


def limits(
    project: api.ProjectDetail,
    prunings: Sequence[FrozenPruning],
    comparisons: Sequence[api.Comparison],
    group_sets: Sequence[api.GroupSet],
) -> list[str]:
    """What a reader should not conclude."""
    said = [
        "A direction shows what a model's predictions have in common. That it is a bias is a person's judgement.",
        "T says which training examples support the groups that do worst, for this model and these checkpoints. "
        "Another model may need other rows removed.",
        "Intervals over seeds say how far another training would differ on these very examples; they do not cover the "
        "choice of the examples.",
    ]
    if not project.n_test:
        said.append("There is no test split: results are measured on the examples that T and K were chosen with.")
    if any(c.split is Split.TEST for c in comparisons):
        said.append("The test split was read for this report; K was chosen on validation only.")
    if not project.attributes:
        said.append("No attribute is known: groups are classes or hand labels, and other groups may be served worse.")
    by_hand = [s for s in group_sets if s.n_labelled]
    said += [
        f"“{s.name}”: {s.n_labelled:,} of {s.n_total:,} validation examples were labelled by hand." for s in by_hand
    ]
    warnings = [f"{method_name(p.score_set.method)}: {w}" for p in prunings for w in p.score_set.warnings]
    warnings += [w for c in comparisons[-1:] for w in c.warnings]
    return said + list(dict.fromkeys(warnings))
