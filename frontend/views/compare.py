"""Compare: every method on the same groups, seeds and split; what was gained, what it cost, and on which examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from frontend import address, api, pages
from frontend.components.code import code
from frontend.components.messages import attempt, empty, shown
from frontend.components.rights import needs
from frontend.components.shell import require_project
from frontend.components.show import show
from frontend.components.strip import strip
from unskew.charts import format as fmt
from unskew.charts.compare import by_labels, confusion, dumbbell, label, league, league_table
from unskew.charts.removal import removal_curve
from unskew.charts.theme import method_name
from unskew.schemas.api import Comparison, MethodResult, ProjectDetail, Run
from unskew.schemas.enums import Method, Role, Split


@dataclass(frozen=True)
class Grouping:
    """What defines the groups: an attribute column, or a group set (validation examples only)."""

    title: str
    attribute: str | None = None
    group_set: int | None = None


def page() -> None:
    project = require_project()
    st.title("Compare")
    groupings = _groupings(project)
    if not groupings or not any(r.method != Method.ERM for r in api.runs(project.slug)):
        empty(
            "Nothing to compare yet", "Retrain without the dropped examples first, with ERM and random K as controls."
        )
        st.button("Go to Retrain", key="c_jobs", type="primary", on_click=pages.go, args=("jobs",))
        return
    grouping, split = _choose(project, groupings)
    comparison = api.compare(project.slug, split=split, attribute=grouping.attribute, group_set=grouping.group_set)
    if comparison.warnings:
        st.warning("  \n".join(comparison.warnings), icon=":material/warning:")
    if not comparison.methods:
        empty("No run has predictions on this split", "Choose another split.")
        return
    _headline(comparison)
    _league(project, comparison, grouping)
    with shown():
        _pair(project, comparison, grouping, split)
    if comparison.curve:
        chart = removal_curve(
            comparison.curve,
            star=comparison.star,
            best_k=comparison.best_k,
            balancing=comparison.balancing_would_drop,
            grouping=comparison.grouping,
        )
        show(chart, key="removal", title="Removal curve")
    with shown():
        _flips(project, split)


# ---------------------------------------------------------------- choosing
def _groupings(project: ProjectDetail) -> list[Grouping]:
    known = [Grouping(f"attribute {a}", attribute=a) for a in project.attributes]
    sets = api.group_sets(project.slug)
    return known + [Grouping(f"group set {s.name} v{s.version}", group_set=s.id) for s in sets]


def _choose(project: ProjectDetail, groupings: list[Grouping]) -> tuple[Grouping, Split]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        titles = [g.title for g in groupings]
        address.restore("grouping", titles, titles[0])
        title = st.selectbox("Groups", titles, key="grouping", persist_state="session", width=300)
        address.remember("grouping", title)
        grouping = groupings[titles.index(title)] if title in titles else groupings[0]
        revealed = api.test_reveals(project.slug) if project.n_test else []
        has_test = bool(project.n_test and grouping.attribute)
        splits = [Split.TEST, Split.VALIDATION] if has_test and revealed else [Split.VALIDATION]
        address.restore("split", splits, splits[0])
        split = st.segmented_control("Split", splits, key="split", required=True, persist_state="session")
        address.remember("split", split)
        if has_test and not revealed:
            _reveal(project)
        elif revealed:
            first = revealed[0]
            st.caption(f"Test was revealed on {first.at:%Y-%m-%d %H:%M} UTC by {first.who}.", width="content")
        else:
            st.caption("Choose K on validation; look at test once.", width="content")
    return grouping, split or splits[0]


def _reveal(project: ProjectDetail) -> None:
    with st.popover("Reveal test", icon=":material/visibility:", key="reveal_box", **needs(Role.EDITOR)):
        st.markdown(
            "Everything should be chosen by now: whatever is chosen after looking is chosen on test. "
            "That you looked, and when, is written down for good and stands in every report."
        )
        who = str(st.session_state.get("annotator") or "me")
        st.button("Reveal test results", key="reveal", type="primary", on_click=_look, args=(project.slug, who))
        code(
            f'client.reveal_test("{project.slug}", who="{who}")',
            "POST",
            f"/projects/{project.slug}/test-reveals",
            key="reveal_code",
            body={"who": who},
        )


def _look(slug: str, who: str) -> None:
    """Before the page is drawn anew: once its widget is there, Streamlit lets nobody set the split."""
    if attempt(lambda: api.reveal_test(slug, who), done="Test revealed, and written down"):
        st.session_state["split"] = Split.TEST


# ---------------------------------------------------------------- results
def _headline(comparison: Comparison) -> None:
    erm = next((m for m in comparison.methods if m.method == Method.ERM), None)
    others = [m for m in comparison.methods if m.method in (Method.TRAK, Method.AUTO_TRAK)]
    if erm is None or not others:
        return
    best = max(others, key=lambda m: m.worst_group_accuracy.value)
    cells = st.columns(4)
    values = (
        ("Worst group", erm.worst_group_accuracy, best.worst_group_accuracy),
        ("Balanced", erm.balanced_accuracy, best.balanced_accuracy),
        ("Average", erm.average_accuracy, best.average_accuracy),
        ("Average, weighted as in training", erm.adjusted_average_accuracy, best.adjusted_average_accuracy),
    )
    for cell, (name, before, after) in zip(cells, values, strict=True):
        if before is None or after is None:
            cell.metric(name, "not known", help="Needs the groups of the training examples.")
            continue
        change = fmt.points(after.value - before.value)
        cell.metric(name, fmt.percent(after.value), change, delta_description=f"from {fmt.percent(before.value)}")
    n = sum(g.accuracy.n for g in best.groups)
    st.caption(
        f"{label(best)} against ERM on the {comparison.split} split; mean over {fmt.plural(len(best.seeds), 'seed')}, "
        f"n = {fmt.count(n)} examples in {len(best.groups)} groups of {comparison.grouping}."
    )


def _league(project: ProjectDetail, comparison: Comparison, grouping: Grouping) -> None:
    st.subheader("Methods")
    ordered = by_labels(comparison.methods)
    alt = "Methods by the labels that they read, then by worst-group accuracy"
    st.table(league_table(ordered), border="horizontal", hide_index=True, alt=alt)
    st.caption(
        "Fewest labels first, inside by worst group. ± is half the 95% t interval over seeds, s.d. is over seeds; the "
        "bootstrap interval is over seeds and examples. A remedy has to beat the controls that read no label."
    )
    show(league(comparison.methods), key="league")
    asked = f"attribute={grouping.attribute}" if grouping.attribute else f"group_set={grouping.group_set}"
    argument = f'attribute="{grouping.attribute}"' if grouping.attribute else f"group_set={grouping.group_set}"
    code(
        f'client.compare("{project.slug}", split="{comparison.split}", {argument})',
        "GET",
        f"/projects/{project.slug}/compare?split={comparison.split}&{asked}",
        key="compare_code",
    )


def _pair(project: ProjectDetail, comparison: Comparison, grouping: Grouping, split: Split) -> None:
    """Two methods side by side: every group, what it is taken for, and what was set differently."""
    names = [label(m) for m in comparison.methods]
    erm = next((i for i, m in enumerate(comparison.methods) if m.method == Method.ERM), 0)
    best = _best(comparison.methods)
    st.subheader("Per group")
    with st.container(horizontal=True):
        order = list(range(len(names)))
        before = st.selectbox("Before", order, index=erm, key="before", format_func=lambda i: names[i], width=220)
        after = st.selectbox("After", order, index=best, key="after", format_func=lambda i: names[i], width=220)
    one, two = comparison.methods[before], comparison.methods[after]
    show(dumbbell(one, two), key="dumbbell")
    found = [
        api.confusion(
            project.slug,
            runs=tuple(int(row["run_id"]) for row in method.per_seed if row["run_id"] is not None),
            split=split,
            attribute=grouping.attribute,
            group_set=grouping.group_set,
        )
        for method in (one, two)
    ]
    titles = (label(one), label(two))
    show(confusion(found[0], found[1], names=titles), key="confusion", title="What each group is taken for")
    _settings(project, found[0].run_ids, found[1].run_ids, titles)


def _settings(project: ProjectDetail, before: list[int], after: list[int], names: tuple[str, str]) -> None:
    """What was set differently between two methods' newest runs."""
    by_id = {run.id: run for run in api.runs(project.slug)}
    if not before or not after:
        return
    one, two = (_flat(by_id[ids[-1]].params) for ids in (before, after))
    rows = [
        {"Setting": name, names[0]: str(one.get(name, "–")), names[1] + " ": str(two.get(name, "–"))}
        for name in sorted(one.keys() | two.keys())
        if one.get(name) != two.get(name)
    ]
    with st.expander("Settings that differ", key="c_settings", type="compact", icon=":material/difference:"):
        if rows:
            st.table(pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Settings that differ")
        else:
            st.caption("None: the same model and the same training, on other rows.")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train": {"epochs": 4}} → {"train.epochs": 4}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _best(methods: list[MethodResult]) -> int:
    ours = [i for i, m in enumerate(methods) if m.method in (Method.TRAK, Method.AUTO_TRAK)]
    return max(ours or range(len(methods)), key=lambda i: methods[i].worst_group_accuracy.value)


# ---------------------------------------------------------------- fixed and broken
def _flips(project: ProjectDetail, split: Split) -> None:
    runs = api.runs(project.slug)
    erm = {r.seed: r for r in runs if r.method == Method.ERM and r.removed == 0}
    others = [r for r in runs if r.method != Method.ERM and r.seed in erm]
    if not others:
        return
    st.subheader("Fixed and broken")
    by_id = {r.id: r for r in sorted(others, key=lambda r: (r.method, r.removed, r.seed))}
    best = next((i for i, r in by_id.items() if r.method in (Method.TRAK, Method.AUTO_TRAK)), None)
    ids = list(by_id)
    chosen = st.selectbox(
        "Against ERM of the same seed",
        ids,
        index=ids.index(best) if best is not None else 0,
        key="flip_run",
        format_func=lambda i: _run_name(by_id[i]),
        width=320,
    )
    after = by_id[chosen]
    flips = api.flips(project.slug, before=erm[after.seed].id, after=after.id, split=split)
    st.caption(
        f"{fmt.count(flips.n_fixed)} fixed, {fmt.count(flips.n_broken)} broken on {split}; "
        f"exact McNemar p = {flips.p_value:.2g}."
    )
    columns = st.columns(2, gap="medium")
    for column, heading, items in zip(columns, ("Fixed", "Broken"), (flips.fixed, flips.broken), strict=True):
        with column:
            strip(
                items[:48],
                project=project.slug,
                class_names=project.class_names,
                image_size=project.image_size,
                heading=heading,
                note=f"{'wrong before, right after' if heading == 'Fixed' else 'right before, wrong after'}",
                tile=60,
                show_value=False,
            )


def _run_name(run: Run) -> str:
    dropped = f", K = {fmt.count(run.removed)}" if run.removed else ""
    return f"{method_name(run.method)}{dropped}, seed {run.seed}"
