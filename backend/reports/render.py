"""A frozen report as one HTML file that works offline: images as data URIs, plotly.js once, no other script.

Text that people wrote is escaped, or read as Markdown without HTML and images, so that no markup of theirs reaches the
page; and a content security policy forbids every connection.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import plotly
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from unskew.charts.base import Chart
from unskew.charts.format import bounds, count, percent
from unskew.charts.theme import method_name
from unskew.schemas.api import Interval
from unskew.schemas.report import FrozenReport

TEMPLATES = Path(__file__).parent / "templates"


def render(report: FrozenReport, figures: dict[str, Chart]) -> str:
    """The whole page; the template names its figures."""
    environment = _environment()
    plots = {name: json.loads(chart.figure.to_json()) for name, chart in figures.items()}
    return environment.get_template("report.html.j2").render(
        report=report,
        figures=figures,
        plots=Markup(_inert_json(plots)),
        plotlyjs=Markup(get_plotlyjs()),
        plotly_version=plotly.__version__,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "interval": interval,
        "markdown": markdown,
        "method": method_name,
        "p_value": p_value,
        "percent": percent,
    }
    return environment


def _inert_json(value: object) -> str:
    """JSON that cannot close its script element."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def interval(value: Interval | None) -> Markup:
    """72.1% over a smaller 68.0–75.9; a dash where it is not known."""
    if value is None:
        return Markup("–")
    return Markup('{}<span class="bounds">{}</span>').format(percent(value.value), bounds(value, digits=1))


def p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_inline", "html_block"])


def markdown(text: str) -> Markup:
    """CommonMark without raw HTML and without images: markup and addresses of the author's own stay text."""
    return Markup(_markdown().render(text))
