"""What `unskew paper` prints: our figures beside the paper's, set by set, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from backend.cli.context import table
from unskew.charts.theme import method_name
from unskew.schemas.enums import Method

FEW = 5  # subpopulations that are shown


def show(made: dict[str, Any]) -> Iterator[Table | str]:
    """Tables and lines, in the order of the paper."""
    for result in made["sets"]:
        head = f"\n[bold]{result['title']}[/] ({result['n_train']:,} training examples, {result['found_at']})"
        yield "\n".join([head, *result["remarks"]])
        if "classes" in result:
            yield from (f"{c['class']}: {c['bias']}" for c in result["classes"])
            yield _imagenet(result)
            yield from (f"ImageNet has no class {name} here." for name in result["missing_classes"])
            continue
        yield _methods(result)
        yield from (f"[yellow]Not run: {name}: {why}[/]" for name, why in result["not_run"].items())
        if "figure_2" in result:
            yield _figure_2(result["figure_2"])
            yield _figure_6(result["figure_6"])
    if made["missing"]:
        yield f"\n[yellow]Not found: {', '.join(made['missing'])}.[/] Layouts: docs/data.md"


def _methods(result: dict[str, Any]) -> Table:
    rows = []
    for row in result["methods"]:
        spread = "" if row["worst_group_sd"] is None else f" (s.d. {100 * row['worst_group_sd']:.1f})"
        rows.append(
            [
                method_name(Method(row["method"])),
                row["labels_used"],
                str(row["removed"] or "–"),
                f"{100 * row['worst_group_accuracy']['value']:.1f}{spread}",
                _published(row["paper_worst_group_accuracy"]),
                f"{100 * row['balanced_accuracy']['value']:.1f}",
                _published(row["paper_balanced_accuracy"]),
                str(len(row["seeds"])),
            ]
        )
    columns = ["method", "labels", "removed", "worst group", "paper", "balanced", "paper", "seeds"]
    return table("Tables 1 and 2, test [%]", columns, rows)


def _figure_2(figure: dict[str, Any]) -> Table:
    rows = [
        [
            method_name(Method(row["method"])),
            f"{row['k']:,}",
            f"{100 * row['worst_group_accuracy']['value']:.1f}",
            f"{100 * row['balanced_accuracy']['value']:.1f}",
        ]
        for row in sorted(figure["curve"], key=lambda row: (row["method"], row["k"]))
    ]
    balancing = figure["balancing_would_drop"]
    title = f"Figure 2: star {figure['star']:,}, K* {figure['best_k']:,}"
    title += "" if balancing is None else f", balancing would drop {balancing:,}"
    return table(title, ["method", "removed", "worst group", "balanced"], rows)


def _figure_6(rows: list[dict[str, Any]]) -> Table:
    shown = [[row["name"], str(row["mean"]["n"]), f"{row['mean']['value']:.3g}"] for row in rows[:FEW]]
    return table("Figure 6: subpopulations with the lowest mean T", ["subpopulation", "n", "mean T"], shown)


def _imagenet(result: dict[str, Any]) -> Table:
    rows = [
        [
            c["class"] if place == 0 else "",
            method_name(Method(row["method"])),
            str(row["removed"] or "–"),
            f"{100 * row['class_accuracy']:.1f}",
            *(_beside(row, name) for name in ("worst_group_accuracy", "balanced_accuracy", "overall_accuracy")),
        ]
        for c in result["classes"]
        for place, row in enumerate(c["methods"])
    ]
    columns = ["class", "method", "removed", "class", "worst group", "balanced", "all classes"]
    return table("Table 3 and Figure 4, test [%], in brackets the paper's", columns, rows)


def _beside(row: dict[str, Any], name: str) -> str:
    own = "–" if row[name] is None else f"{100 * row[name]:.1f}"
    return f"{own} ({_published(row[f'paper_{name}'])})"


def _published(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
