"""Collect everything that a report shows, once: from then on it changes no more, whatever the project does."""

from __future__ import annotations

from datetime import UTC, datetime

from backend.reports import repeat, words
from backend.reports.own import with_own_blocks
from backend.reports.tiles import tiles
from backend.services import compare, directions, flips, groups, projects, prune, reveals
from backend.store.db import Store
from unskew.charts.theme import method_name
from unskew.schemas import api
from unskew.schemas.enums import DirectionState, Method, PreviewPart, PruneRule, ReportImages, Split
from unskew.schemas.report import FrozenDirection, FrozenFlips, FrozenPruning, FrozenReport, FrozenStrip, usual_blocks

TILES = 10  # of each strip
FLIPS = 20  # of each side
SHOWN_DIRECTIONS = 2  # a class, beside those that a person named
PREFERRED = (PruneRule.BEST, PruneRule.STAR, PruneRule.MANUAL, PruneRule.EXCLUDED)


def freeze(store: Store, slug: str, wanted: api.ReportCreate) -> FrozenReport:
    """The report's whole content, pictures included."""
    project = projects.get(store, slug)
    runs = projects.runs_list(store, slug)
    attributions = projects.attributions_list(store, slug)
    found = directions.list_directions(store, slug)
    shown = _directions(store, slug, found, wanted.images)
    prunings = _prunings(store, slug, wanted.images)
    comparisons = _comparisons(store, project)
    details = [item.direction for item in shown]
    group_sets = {p.score_set.id: groups.get(store, p.score_set.group_set_id) for p in prunings}
    report = FrozenReport(
        title=wanted.title or f"What {project.name} learned for the wrong reason",
        notes=wanted.notes,
        summary=words.summary(project, found, comparisons),
        created_at=datetime.now(UTC),
        project=project,
        runs=runs,
        attribution=attributions[0].model_dump(mode="json") if attributions else {},
        n_directions=len(found),
        directions=shown,
        prunings=prunings,
        comparisons=comparisons,
        flips=_flips(store, slug, comparisons, wanted.images),
        limits=words.limits(project, prunings, comparisons, groups.list_group_sets(store, slug)),
        versions=repeat.versions(),
        settings=repeat.settings(project, runs, attributions, details, prunings),
        reproduce=repeat.commands(
            project, runs, attributions, details, [(p, group_sets[p.score_set.id]) for p in prunings]
        ),
        blocks=wanted.blocks or usual_blocks(),
        images=wanted.images,
        test_reveals=reveals.list_reveals(store, slug),
    )
    return with_own_blocks(report)


def _directions(store: Store, slug: str, found: list[api.Direction], images: ReportImages) -> list[FrozenDirection]:
    """Of each class the first ones, and whatever a person named; discarded ones stay out."""
    made = []
    for direction in found:
        named = direction.state is DirectionState.NAMED
        if direction.state is DirectionState.DISCARDED or not (named or direction.index < SHOWN_DIRECTIONS):
            continue
        strips = [
            FrozenStrip(title=_strip_title(strip), tiles=tiles(store, slug, strip.items, images))
            for strip in directions.strips(store, direction.id, n=TILES)
        ]
        made.append(FrozenDirection(direction=directions.get(store, direction.id), strips=strips))
    return made


def _strip_title(strip: api.Strip) -> str:
    by = "by projection" if strip.strip == "validation" else "by loading"
    return f"{strip.strip} {by}, {'+' if strip.end > 0 else '−'} end"


def _prunings(store: Store, slug: str, images: ReportImages) -> list[FrozenPruning]:
    """The score set of each method that was frozen into a prune set (K* first), else its newest."""
    prune_sets = sorted(prune.list_prune_sets(store, slug), key=lambda p: (PREFERRED.index(p.rule), -p.id))
    score_sets = {s.id: s for s in prune.list_score_sets(store, slug)}
    made: dict[Method, FrozenPruning] = {}
    pairs: list[tuple[api.ScoreSet, api.PruneSet | None]] = [(score_sets[p.score_set_id], p) for p in prune_sets]
    for score_set, prune_set in [*pairs, *((s, None) for s in score_sets.values())]:
        if score_set.method not in made:
            sample = prune.preview(store, score_set.id, k=0, part=PreviewPart.MOST_NEGATIVE, limit=2 * TILES).items
            made[score_set.method] = FrozenPruning(
                score_set=score_set, prune_set=prune_set, sample=tiles(store, slug, sample, images)
            )
    return list(made.values())


def _comparisons(store: Store, project: api.ProjectDetail) -> list[api.Comparison]:
    """Validation, then test, over the first attribute; without one, over the newest group set and the classes."""
    splits = [Split.VALIDATION, *([Split.TEST] if project.n_test else [])]
    found = [compare.compare(store, project.slug, split=split) for split in splits]
    labelled = [s for s in groups.list_group_sets(store, project.slug) if s.n_unassigned < s.n_total]
    if not project.attributes and labelled:
        found[0] = compare.compare(store, project.slug, split=Split.VALIDATION, group_set_id=labelled[0].id)
    return [comparison for comparison in found if comparison.methods]


def _flips(store: Store, slug: str, comparisons: list[api.Comparison], images: ReportImages) -> list[FrozenFlips]:
    """ERM against each method that changes the training set on purpose, at the first common seed, on the last split."""
    if not comparisons:
        return []
    last, made = comparisons[-1], []
    before = words.result(last, Method.ERM)
    for after in last.methods:
        pair = _same_seed(before, after) if before is not None else None
        if pair is None or after.method in (Method.ERM, Method.RANDOM_K):
            continue
        found = flips.flips(store, slug, before_run=pair[0], after_run=pair[1], split=last.split, shown=FLIPS)
        made.append(
            FrozenFlips(
                title=f"From ERM to {method_name(after.method)}",
                flips=found if images is ReportImages.FULL else found.model_copy(update={"fixed": [], "broken": []}),
                fixed=tiles(store, slug, found.fixed, images),
                broken=tiles(store, slug, found.broken, images),
            )
        )
    return made


def _same_seed(before: api.MethodResult, after: api.MethodResult) -> tuple[int, int] | None:
    """Run numbers of the first seed that both have."""
    runs = {row["seed"]: row["run_id"] for row in before.per_seed}
    for row in after.per_seed:
        first, second = runs.get(row["seed"]), row["run_id"]
        if first is not None and second is not None:
            return int(first), int(second)
    return None
