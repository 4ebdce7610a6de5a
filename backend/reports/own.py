"""Report blocks of one's own: a function of the frozen report, called once; what it gave is frozen with it."""

from __future__ import annotations

import json

import pandas as pd
import plotly.graph_objects as go

from unskew.charts.base import Chart
from unskew.errors import SettingsError
from unskew.plugins import call
from unskew.schemas.enums import ReportBlockKind
from unskew.schemas.report import FrozenChart, FrozenReport, OwnPart


def with_own_blocks(report: FrozenReport) -> FrozenReport:
    """The report with what its blocks of one's own say.

    Raises:
        SettingsError: there is no such function, it failed, or returned something else than Markdown and charts.
    """
    paths = dict.fromkeys(block.kind for block in report.blocks if not isinstance(block.kind, ReportBlockKind))
    return report.model_copy(update={"own": {path: _parts(path, call(path, "report block", report)) for path in paths}})


def _parts(path: str, made: object) -> list[OwnPart]:
    parts = []
    for part in made if isinstance(made, (list, tuple)) else [made]:
        if isinstance(part, str):
            parts.append(OwnPart(markdown=part))
        elif isinstance(part, Chart):
            parts.append(OwnPart(chart=_frozen(part)))
        else:
            raise SettingsError(
                f"The report block {path!r} gave a {type(part).__name__}.",
                fix="Return Markdown, an unskew.charts.base.Chart, or a list of them.",
            )
    return parts


def _frozen(chart: Chart) -> FrozenChart:
    table = json.loads(chart.table.to_json(orient="split", index=False))
    return FrozenChart(
        figure=json.loads(chart.figure.to_json()),
        alt=chart.alt,
        caption=chart.caption,
        columns=[str(name) for name in table["columns"]],
        rows=table["data"],
    )


def own_figures(report: FrozenReport) -> dict[str, Chart]:
    """By the names that the template asks for: own-PATH-NUMBER."""
    made = {}
    for path, parts in report.own.items():
        for number, part in enumerate(parts):
            if part.chart is not None:
                frozen = part.chart
                table = pd.DataFrame(frozen.rows, columns=frozen.columns)
                made[f"own-{path}-{number}"] = Chart(go.Figure(frozen.figure), frozen.alt, table, frozen.caption)
    return made
