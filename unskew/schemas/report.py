"""A frozen report: every figure as it was when the report was made. Rendering reads this and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from unskew.schemas.api import (
    Body,
    Comparison,
    DirectionDetail,
    Example,
    Flips,
    ProjectDetail,
    PruneSet,
    ReportBlock,
    Run,
    ScoreSet,
    TestReveal,
)
from unskew.schemas.enums import ReportBlockKind, ReportImages


class Tile(Body):
    """One example as the report shows it: the picture travels with the report."""

    image: str  # data URI, or "" when images are omitted
    alt: str
    caption: str
    example: Example


class FrozenStrip(Body):
    title: str  # "validation, + end"
    tiles: list[Tile]


class FrozenDirection(Body):
    direction: DirectionDetail
    strips: list[FrozenStrip]


class FrozenFlips(Body):
    title: str
    flips: Flips
    fixed: list[Tile]
    broken: list[Tile]


class FrozenPruning(Body):
    """One score set with the prune set that was frozen from it, if one was."""

    score_set: ScoreSet
    prune_set: PruneSet | None
    sample: list[Tile]  # most negative T


class FrozenChart(Body):
    """A chart of a block of one's own."""

    figure: dict[str, Any]  # Plotly's JSON
    alt: str
    caption: str
    columns: list[str]
    rows: list[list[Any]]


class OwnPart(Body):
    """One thing that a block of one's own shows: Markdown or a chart."""

    markdown: str = ""
    chart: FrozenChart | None = None


def usual_blocks() -> list[ReportBlock]:
    """Every block once, in the usual order, without prose."""
    return [ReportBlock(kind=kind) for kind in ReportBlockKind if kind is not ReportBlockKind.TEXT]


class FrozenReport(Body):
    title: str
    notes: str  # Markdown of the author
    summary: str  # one paragraph with the figures
    created_at: datetime
    project: ProjectDetail
    runs: list[Run]
    attribution: dict[str, Any]  # engine, parameters, diagnostics
    n_directions: int = 0  # looked at, the shown ones among them
    directions: list[FrozenDirection]
    prunings: list[FrozenPruning]
    comparisons: list[Comparison]  # validation first, test last
    flips: list[FrozenFlips]
    limits: list[str]  # what a reader should not conclude
    versions: dict[str, str]
    settings: dict[str, Any]  # parameters of every stage
    reproduce: list[str]  # commands
    blocks: list[ReportBlock] = Field(default_factory=usual_blocks)
    own: dict[str, list[OwnPart]] = Field(default_factory=dict)  # import path of a block of one's own → what it shows
    images: ReportImages = ReportImages.FULL
    test_reveals: list[TestReveal] = Field(default_factory=list)  # who looked at test results, and when
