"""Jobs: launch a retrain plan, and follow, stop and resume whatever runs."""

from __future__ import annotations

import json
from html import escape

import streamlit as st

from frontend import api, pages
from frontend.components import actions
from frontend.components.code import code
from frontend.components.messages import attempt, empty, show_problem, shown
from frontend.components.rights import needs
from frontend.components.shell import KIND_NAMES, pending_toast, progress_text, share_done
from frontend.components.show import show
from frontend.views.battery import battery
from frontend.views.prune import prune_set_name
from unskew.charts import format as fmt
from unskew.charts.theme import method_name
from unskew.charts.training import curves
from unskew.schemas.api import Job, ProjectDetail, PruneSet
from unskew.schemas.enums import JobKind, JobStatus, Method, Role
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import RetrainParams

BADGES = {
    JobStatus.QUEUED: ("queued", "gray", ":material/schedule:"),
    JobStatus.RUNNING: ("running", "blue", ":material/play_circle:"),
    JobStatus.DONE: ("done", "green", ":material/check_circle:"),
    JobStatus.FAILED: ("failed", "red", ":material/error:"),
    JobStatus.CANCELLED: ("cancelled", "orange", ":material/cancel:"),
}
CONTROLS = [Method.ERM, Method.RANDOM_K]
LOG_LINES = 200


def page() -> None:
    project = st.session_state.get("chosen_project")
    st.title("Jobs")
    if isinstance(project, ProjectDetail):
        with shown():
            _retrain(project)
            battery(project)
    slug = project.slug if isinstance(project, ProjectDetail) else None
    with st.container(key="live_jobs"):
        st.fragment(_list, run_every=2)(slug)


# ---------------------------------------------------------------- retrain plan
def _retrain(project: ProjectDetail) -> None:
    prune_sets = api.prune_sets(project.slug)
    ready = bool(prune_sets) or bool(project.attributes)
    retrained = any(step.key == "retrain" and step.done for step in project.steps)
    with st.expander("Retrain", expanded=ready and not retrained, key="retrain_box", icon=":material/replay:"):
        if not ready:
            st.markdown("Save a prune set first: it says which training examples are left out.")
            st.button("Go to Score & prune", key="j_prune", type="primary", on_click=pages.go, args=("prune",))
            return
        _retrain_form(project, prune_sets)


def _retrain_form(project: ProjectDetail, prune_sets: list[PruneSet]) -> None:
    by_id = {p.id: p for p in prune_sets}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Prune set",
            list(by_id),
            key="r_prune_set",
            format_func=lambda i: prune_set_name(by_id[i]),
            placeholder="none saved yet",
            width=320,
        )
        attribute = None
        if project.attributes:
            attribute = st.selectbox(
                "Attribute for methods with labels", project.attributes, key="r_attribute", width=260
            )
        seeds = actions.seeds_input("Seeds", key="r_seeds", default=3)
    pruned = [by_id[chosen].method] if chosen in by_id else []
    default = [Method.ERM, *pruned, *([Method.RANDOM_K] if pruned else []), *([Method.SUBG] if attribute else [])]
    methods = st.pills(
        "Methods",
        [*default, *_others(project, attribute)],
        selection_mode="multi",
        default=default,
        key=f"r_methods_{chosen}",
        format_func=method_name,
        help="ERM and the same K at random are the controls: without them a gain proves nothing.",
    )
    n = len(methods) * len(seeds)
    missing = [method_name(m) for m in CONTROLS if m in default and m not in methods]
    if missing:
        st.caption(f":material/warning: Without {' and '.join(missing)} there is nothing to compare with.")
    times = [r.seconds for r in api.runs(project.slug) if r.seconds > 0]
    cost = f", about {fmt.seconds(n * sum(times) / len(times))}" if times else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        may = needs(Role.EDITOR, disabled=not methods)
        clicked = st.button("Retrain", key="r_go", type="primary", icon=":material/play_arrow:", **may)
        words = f"{len(methods)} × {len(seeds)} = {fmt.plural(n, 'training')}{cost}; finished ones are not repeated."
        st.caption(words, width="content")
    if clicked:
        params = RetrainParams(
            methods=list(methods),
            seeds=seeds,
            prune_set_id=chosen,
            group_attribute=attribute if any(RECIPES[m].labels_used != "none" for m in methods) else None,
        )
        actions.start(project.slug, JobKind.RETRAIN, params)


def _others(project: ProjectDetail, attribute: str | None) -> list[Method]:
    """Methods that need no prune set: those that the project has labels, or pseudo-groups with scores, for."""
    scored = any(s.method == Method.AUTO_TRAK for s in api.score_sets(project.slug))
    return [
        method
        for method, recipe in RECIPES.items()
        if not recipe.prunes
        and method not in (Method.ERM, Method.SUBG)
        and (scored if recipe.discovered else recipe.labels_used == "none" or attribute is not None)
    ]


# ---------------------------------------------------------------- list
def _list(slug: str | None) -> None:
    """The live list. It redraws itself alone: a redraw of the whole page would swallow a click made meanwhile."""
    api.fresh()
    pending_toast()  # a button of the list redraws the list alone
    with shown():
        _workers()
        known = api.jobs(slug)
        active = {j.id for j in known if j.status in api.ACTIVE}
        ended = st.session_state.get("jobs_active", set()) - active
        st.session_state["jobs_active"] = active
        if any(j.id in ended and j.status is JobStatus.DONE for j in known):
            api.forget()
            st.rerun()  # the stepper moves on; a job that is done has no button that somebody might be pressing
        if not known:
            empty("No job yet", "Imports, trainings and searches show up here with progress, log and curves.")
            if slug is None:
                pages.link("projects", "Begin with a project", icon=":material/arrow_forward:")
            return
        if not api.worker_alive() and active:
            st.warning(
                "No worker is running, so nothing moves. Start one: `unskew worker`.", icon=":material/power_off:"
            )
        ids = {job.id for job in known}
        opened = st.session_state.setdefault("open_job", known[0].id)
        if opened not in ids:
            opened = known[0].id
        for job in known:
            _row(job, opened=job.id == opened)


def _workers() -> None:
    """Who takes jobs, and how many wait."""
    found, everywhere = api.workers(), api.active_jobs(None)
    waiting = sum(job.status == JobStatus.QUEUED for job in everywhere)
    running = len(everywhere) - waiting
    if found:
        names = ", ".join(f"`{w.name}` (beat {w.beat_seconds_ago:.0f} s ago)" for w in found)
        words = f"{fmt.plural(len(found), 'worker')}: {names} · {running} running, {waiting} waiting"
        st.caption(f":material/memory: {words}")
    else:
        st.warning(f"No worker is alive; {waiting} waiting. Start one: `unskew worker`.", icon=":material/memory:")


def _row(job: Job, *, opened: bool) -> None:
    with st.container(border=True, key=f"job_{job.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            words, colour, icon = BADGES[job.status]
            st.badge(words, color=colour, icon=icon)  # type: ignore[arg-type]
            st.markdown(f"**{KIND_NAMES[job.kind]}**", width="content")
            project = f"{job.project} · " if job.project else ""
            st.caption(f"{project}{fmt.ago(job.created_at)}{_took(job)}", width="stretch")
            if job.status in api.ACTIVE:
                st.button(
                    "Cancel",
                    key=f"cancel_{job.id}",
                    icon=":material/stop_circle:",
                    on_click=_cancel,
                    args=(job.id,),
                    **needs(Role.EDITOR),
                )
            elif job.status in (JobStatus.CANCELLED, JobStatus.FAILED):
                st.button(
                    "Resume",
                    key=f"resume_{job.id}",
                    icon=":material/resume:",
                    on_click=_resume,
                    args=(job.id,),
                    **needs(Role.EDITOR),
                )
            if not opened:
                st.button("Details", key=f"details_{job.id}", type="tertiary", on_click=_open, args=(job.id,))
        if job.status in api.ACTIVE:
            st.progress(share_done(job), text=progress_text(job))
            ahead = sum(j.status == JobStatus.QUEUED and j.created_at < job.created_at for j in api.active_jobs(None))
            if job.status == JobStatus.QUEUED and ahead:
                st.caption(f"{fmt.plural(ahead, 'job')} ahead in the queue")
        elif job.status == JobStatus.CANCELLED:
            st.caption(f"Stopped at {job.done:.3g} of {job.total} steps; finished steps are kept.")
        if job.error is not None:
            show_problem(job.error)
        if opened:
            _details(job)


def _took(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f" · took {fmt.seconds((job.finished_at - job.started_at).total_seconds())}"


def _details(job: Job) -> None:
    left, right = st.columns([3, 2], gap="large")
    with left:
        series = api.metrics(job.id)
        metrics = sorted({p.name for points in series.values() for p in points}, key=_metric_order)
        if metrics:
            metric = st.segmented_control(
                "Curve",
                metrics,
                default=metrics[0],
                key=f"metric_{job.id}",
                required=True,
                format_func=lambda m: m.replace("_", " "),
                label_visibility="collapsed",
            )
            show(curves(series, metric=metric or metrics[0]), key=f"curves_{job.id}")
        else:
            st.caption("No curves: nothing was trained.")
    with right:
        _log(job)
        with st.expander("Parameters", type="compact", key=f"params_{job.id}", icon=":material/data_object:"):
            st.code(json.dumps(job.params, indent=1), language="json")
        _clone(job)


def _clone(job: Job) -> None:
    """The same job again with other parameters; the API checks them."""
    if job.project is None or job.kind == JobKind.IMPORT:
        return
    slug = job.project
    with st.popover("Clone", icon=":material/content_copy:", key=f"clone_{job.id}", **needs(Role.EDITOR)):
        text = st.text_area("Parameters (JSON)", json.dumps(job.params, indent=1), key=f"clone_{job.id}_p", height=260)
        if st.button("Start the clone", key=f"clone_{job.id}_go", type="primary"):
            try:
                params = json.loads(text)
            except ValueError as error:
                st.error(f"This is not JSON: {error}.")
                return
            attempt(lambda: api.start(slug, job.kind, params), done=f"{KIND_NAMES[job.kind]}: queued")
    body = {"kind": job.kind.value, "params": job.params}
    python = f'client.start_job("{slug}", "{job.kind}", {job.params!r})'
    code(python, "POST", f"/projects/{slug}/jobs", key=f"code_{job.id}", body=body)


def _metric_order(name: str) -> tuple[int, str]:
    order = ("worst_group", "worst_class", "validation_accuracy", "accuracy", "loss")
    return next((i for i, part in enumerate(order) if part in name), len(order)), name


def _log(job: Job) -> None:
    lines = api.log(job.id)[-LOG_LINES:]
    body = "\n".join(f"<time>{line.at:%H:%M:%S}</time>{escape(line.text)}" for line in lines) or "no log lines yet"
    st.html(f'<div class="us-log" role="log" tabindex="0" aria-label="Log of the job"><div>{body}</div></div>')


# ---------------------------------------------------------------- actions
def _open(job_id: str) -> None:
    st.session_state["open_job"] = job_id


def _cancel(job_id: str) -> None:
    attempt(lambda: api.cancel(job_id), done="Cancelling: it stops after the current batch")


def _resume(job_id: str) -> None:
    st.session_state["open_job"] = job_id
    attempt(lambda: api.resume(job_id), done="Resumed: finished steps are not repeated")
