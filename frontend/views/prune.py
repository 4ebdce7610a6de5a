"""Score & prune: what each group weighs, which training examples pull the worst groups down, and how many to drop."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontend import address, api, pages
from frontend.components import actions
from frontend.components.code import as_python, code
from frontend.components.example import API
from frontend.components.messages import attempt, empty, shown
from frontend.components.rights import needs
from frontend.components.shell import require_project
from frontend.components.show import show
from frontend.components.strip import strip
from frontend.views import subpopulations
from unskew.charts import format as fmt
from unskew.charts.composition import composition, concentration
from unskew.charts.removal import removal_curve
from unskew.charts.scores import alignment
from unskew.charts.theme import method_name
from unskew.schemas.api import GroupSet, ProjectDetail, PruneCreate, PruneSet, ScoreSet
from unskew.schemas.enums import JobKind, PruneRule, Role, WeightRule
from unskew.schemas.params import ContinueParams, ScoreParams, SearchKParams, next_round

RULES = {
    WeightRule.LOSS: "loss: mean cross-entropy of the group (default)",
    WeightRule.EXP_LOSS: "exp_loss: its exponential, harsher on the worst",
    WeightRule.UNIFORM: "uniform: every group alike",
    WeightRule.PAPER_PRINTED: "paper_printed: exp of the mean log p, as the formula is printed",
}
N_GRID = 7  # sizes tried by the search for K*, besides K = 0


def page() -> None:
    project = require_project()
    st.title("Score & prune")
    sets = api.group_sets(project.slug)
    scores = api.score_sets(project.slug)
    if not sets:
        empty(
            "No group set yet",
            "Scores weigh the groups that do worst, so groups come first.",
            icon=":material/content_cut:",
        )
        st.button("Make one on Discover", key="p_discover", type="primary", on_click=pages.go, args=("discover",))
        return
    if not scores:
        empty(
            "Not scored yet",
            "T says of each training example whether it helps (+) or hurts (−) the groups doing worst.",
        )
        _score_form(project, sets)
        return
    score = _choose(project, sets, scores)
    if score.warnings:
        st.warning("  \n".join(score.warnings), icon=":material/warning:")
    _weights(score)
    k = _cut(project, score)
    subpopulations.section(project, score)
    _save(project, score, k)
    _search(project, score)
    _saved(project, score)


def _choose(project: ProjectDetail, sets: list[GroupSet], scores: list[ScoreSet]) -> ScoreSet:
    by_id = {s.id: s for s in scores}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.restore("score_set", list(by_id), scores[0].id)
        chosen = st.selectbox(
            "Scores",
            list(by_id),
            key="score_set",
            persist_state="session",
            format_func=lambda i: (
                f"{by_id[i].group_set_name} v{by_id[i].group_set_version} · weight {by_id[i].weight_rule}"
            ),
            width=320,
        )
        address.remember("score_set", chosen)
        with st.popover("New scores", icon=":material/add:", key="score_box"):
            _score_form(project, sets)
        if by_id[chosen].stale:
            st.badge("stale: labels changed since", color="orange", icon=":material/history:")
    return api.score_set(chosen)


def _score_form(project: ProjectDetail, sets: list[GroupSet]) -> None:
    names = {s.id: f"{s.name} · {s.source} · v{s.version}" for s in sets}
    with st.form("score_form", border=False):
        group_set = st.selectbox("Group set", list(names), key="s_group_set", format_func=lambda i: names[i])
        rule = st.selectbox("Weight of a group", list(RULES), key="s_rule", format_func=lambda r: RULES[r])
        label = st.selectbox(
            "Debias",
            [None, *range(len(project.class_names))],
            key="s_label",
            format_func=lambda c: "all classes" if c is None else f"{project.class_names[c]} alone",
            help="One class alone: only its groups weigh. T < 0 then removes too many; search for K*.",
        )
        submitted = st.form_submit_button(
            "Score", key="s_go", type="primary", icon=":material/calculate:", **needs(Role.EDITOR)
        )
    params = ScoreParams(group_set_id=group_set, weight_rule=rule, label=label)
    actions.job_code(project.slug, JobKind.SCORE, params, key="s_code")
    if submitted:
        actions.start(project.slug, JobKind.SCORE, params)


def _weights(score: ScoreSet) -> None:
    total = sum(w.weight for w in score.weights) or 1.0
    table = pd.DataFrame(
        {
            "Group": [w.name for w in score.weights],
            "n": [fmt.count(w.n) for w in score.weights],
            "Mean loss [nats]": [f"{w.loss:.3f}" for w in score.weights],
            "Weight w": [f"{w.weight:.3f}" for w in score.weights],
            "Share": [fmt.percent(w.weight / total, 0) for w in score.weights],
        }
    )
    with st.expander("Weights of the groups", expanded=True, key="weights_box", icon=":material/balance:"):
        st.table(table, border="horizontal", hide_index=True, alt="Weight of every group")
        rule = RULES[score.weight_rule].split(": ", 1)[1]
        st.caption(
            f"Rule {score.weight_rule}: {rule}. T = Σ w × mean attribution over the group, for each training example."
        )


# ---------------------------------------------------------------- choosing K
def _cut(project: ProjectDetail, score: ScoreSet) -> int:
    key = f"k_{score.id}"
    st.session_state.setdefault(key, score.best_k if score.best_k is not None else score.star)
    left, right = st.columns([3, 2], gap="large")
    with left:
        show(
            alignment(score, st.session_state[key]), key="alignment", title="Group alignment T of the training examples"
        )
    with right:
        st.markdown("**How many to drop**")
        with st.container(horizontal=True, gap="small"):
            _preset("Star", key, score.star, "star", help="K = number of training examples with T < 0. A heuristic.")
            if score.best_k is not None:
                _preset("K*", key, score.best_k, "best", help="Best on validation by retraining.")
            _preset("None", key, 0, "none", help="K = 0 is ERM.")
        k = st.slider("K", 0, score.n_train - 1, key=key)
        _composition(project, score, k)
    _more_figures(score, k)
    _preview(project, score, k)
    return k


def _more_figures(score: ScoreSet, k: int) -> None:
    """What would be left, and how few rows carry the harm; read when opened."""
    with st.expander(
        "Before and after, and where the harm lies",
        key="more_box",
        icon=":material/stacked_bar_chart:",
        on_change="rerun",
    ) as box:
        if not box.open:
            return
        left, right = st.columns(2, gap="large")
        with left, shown():
            rows = api.preview(score.id, k=k, part="at_k", limit=1).composition
            if rows:
                show(composition(rows, k), key="composition", title="Training set by group")
            else:
                st.caption("No attribute is known on training examples, so their groups are not known.")
        with right, shown():
            chart = concentration(api.negative_mass(score.id), score.n_train)
            show(chart, key="concentration", title="How few rows carry the harm")


def _preset(label: str, key: str, value: int, name: str, *, help: str) -> None:
    text = f"{label}: {fmt.count(value)}"
    st.button(text, key=f"preset_{name}", help=help, on_click=_set_state, args=(key, value))


def _set_state(key: str, value: int) -> None:
    st.session_state[key] = value


def _composition(project: ProjectDetail, score: ScoreSet, k: int) -> None:
    preview = api.preview(score.id, k=k, part="at_k", limit=1)
    rows = [
        {
            "Class": name,
            "Go": fmt.count(gone),
            "Stay": fmt.count(kept),
            "Share that goes": fmt.percent(gone / max(1, gone + kept), 0),
        }
        for name, gone, kept in zip(project.class_names, preview.removed_by_class, preview.kept_by_class, strict=True)
    ]
    st.table(
        pd.DataFrame(rows), border="horizontal", hide_index=True, alt=f"What dropping {k} examples takes per class"
    )
    words = f"{fmt.count(k)} of {fmt.count(score.n_train)} training examples go ({fmt.percent(k / score.n_train, 0)})."
    if score.balancing_would_drop is not None:
        words += f" Balancing by the known groups would drop {fmt.count(score.balancing_would_drop)}."
    st.caption(words)
    worst = max((int(r["Share that goes"].rstrip("%")) for r in rows), default=0)
    if worst > 40:
        trust = "K* on validation agrees." if k == score.best_k else "Look at K* before you trust this."
        st.warning(f"{worst}% of one class would go. {trust}", icon=":material/warning:")


def _preview(project: ProjectDetail, score: ScoreSet, k: int) -> None:
    parts = (
        ("most_negative", "Go first", "most negative T"),
        ("below", "Last to go", f"ranks just before K = {fmt.count(k)}"),
        ("above", "First to stay", f"ranks just after K = {fmt.count(k)}"),
        ("most_positive", "Help most", "most positive T"),
    )
    with shown():
        around = api.preview(score.id, k=k, part="at_k", limit=32).items if 0 < k < score.n_train else []
        half = min(16, k, len(around) // 2 if k >= 16 else k)
        items = {
            "most_negative": api.preview(score.id, k=k, part="most_negative", limit=16).items,
            "below": around[:half],
            "above": around[half:],
            "most_positive": api.preview(score.id, k=k, part="most_positive", limit=16).items,
        }
        for row in (parts[:2], parts[2:]):
            for column, (part, heading, note) in zip(st.columns(2, gap="medium"), row, strict=True):
                with column:
                    strip(
                        items[part],
                        project=project.slug,
                        class_names=project.class_names,
                        image_size=project.image_size,
                        heading=heading,
                        note=note,
                        tile=58,
                    )


# ---------------------------------------------------------------- saving, searching
def _save(project: ProjectDetail, score: ScoreSet, k: int) -> None:
    with st.container(border=True, key="save_box"):
        with st.form("save_form", border=False):
            left, right = st.columns([3, 1], vertical_alignment="bottom")
            name = left.text_input("Name of the prune set", key="ps_name", placeholder=score.group_set_name)
            submitted = right.form_submit_button(
                f"Save prune set (K = {fmt.count(k)})",
                key="ps_save",
                type="primary",
                icon=":material/save:",
                **needs(Role.EDITOR, disabled=k == 0),
            )
        rule = PruneRule.BEST if k == score.best_k else PruneRule.STAR if k == score.star else PruneRule.MANUAL
        chosen = {"k": k} if rule == PruneRule.MANUAL else {}
        body = PruneCreate.model_validate({"rule": rule, **chosen, "name": name.strip()})
        call = f"client.create_prune_set({score.id}, {as_python(body)})"
        code(call, "POST", f"/score-sets/{score.id}/prune-sets", key="ps_code", body=body)
    if submitted:
        if attempt(lambda: api.create_prune_set(score.id, body), done=f"Prune set saved: K = {fmt.count(k)}"):
            st.rerun()


def _search(project: ProjectDetail, score: ScoreSet) -> None:
    with st.container(border=True, key="search_box"):
        st.markdown("**K\\* on validation**")
        if score.curve:
            chart = removal_curve(
                score.curve,
                star=score.star,
                best_k=score.best_k,
                balancing=score.balancing_would_drop,
                grouping=score.group_set_name,
            )
            show(chart, key="search_curve")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            seeds = st.number_input("Seeds", 1, 20, 3, key="search_seeds", width=110)
            runs = (N_GRID + 1) * int(seeds)
            each = _seconds_a_run(project)
            cost = f"{runs} trainings" + (f", about {fmt.seconds(runs * each)}" if each else "")
            clicked = st.button(
                "Search K*" if not score.curve else "Search again",
                key="search_go",
                icon=":material/search:",
                **needs(Role.EDITOR),
            )
            st.caption(f"Retrains at {N_GRID} sizes and K = 0: {cost}. Test data stay unseen.", width="content")
            params = SearchKParams(score_set_id=score.id, seeds=list(range(int(seeds))))
            actions.job_code(project.slug, JobKind.SEARCH_K, params, key="search_code")
        if clicked:
            actions.start(project.slug, JobKind.SEARCH_K, params)


def _seconds_a_run(project: ProjectDetail) -> float:
    times = [r.seconds for r in api.runs(project.slug) if r.seconds > 0]
    return sum(times) / len(times) if times else 0.0


def _saved(project: ProjectDetail, score: ScoreSet) -> None:
    saved = [p for p in api.prune_sets(project.slug) if p.score_set_id == score.id]
    if not saved:
        return
    st.subheader("Prune sets")
    for prune_set in saved:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"ps_{prune_set.id}"):
            st.markdown(f"**{prune_set_name(prune_set)}**", width="content")
            st.badge(
                {"star": "star", "best": "K*", "manual": "by hand", "excluded": "subpopulations"}[prune_set.rule],
                color="blue",
            )
            st.caption(f"{fmt.ago(prune_set.created_at)} · {prune_set.digest[:12]}", width="content")
            for kind in ("csv", "json", "npy"):
                url = f"{API}/prune-sets/{prune_set.id}/download?format={kind}"
                st.link_button(
                    kind.upper(), url, key=f"ps_{prune_set.id}_{kind}", icon=":material/download:", type="tertiary"
                )
            _continue(project, prune_set)
    st.button(
        "Retrain without them",
        key="p_retrain",
        type="primary",
        icon=":material/arrow_forward:",
        on_click=pages.go,
        args=("jobs",),
    )


def _continue(project: ProjectDetail, prune_set: PruneSet) -> None:
    """The next round: a project of the rows that stay, in which to discover what else is there."""
    key = f"ps_{prune_set.id}_next"
    with st.popover("Next round", icon=":material/replay:", key=key, type="tertiary", **needs(Role.EDITOR)):
        st.markdown(
            f"A project of the {fmt.count(project.n_train - prune_set.k)} training examples that stay, with the same "
            "validation and test examples. Train and discover there, to see what else the model picked up."
        )
        name = st.text_input("Name", next_round(project.name), key=f"{key}_name", max_chars=100)
        params = ContinueParams(prune_set_id=prune_set.id, name=name.strip() or next_round(project.name))
        if st.button("Make the project", key=f"{key}_go", type="primary"):
            actions.start(project.slug, JobKind.CONTINUE, params)
        actions.job_code(project.slug, JobKind.CONTINUE, params, key=f"{key}_code")


def prune_set_name(prune_set: PruneSet) -> str:
    """Its name, or what it is."""
    what = prune_set.name or method_name(prune_set.method)
    return f"{what} · K = {fmt.count(prune_set.k)}"
