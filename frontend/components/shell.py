"""The frame of every page: project chooser, stepper, what runs now, and what is next."""

from __future__ import annotations

from html import escape

import streamlit as st

from frontend import address, api, pages
from frontend.components.messages import empty
from unskew.charts import format as fmt
from unskew.errors import UnskewError
from unskew.schemas.api import Job, ProjectDetail, Step
from unskew.schemas.enums import JobStatus

DONE, OPEN, NEXT = ":material/check_circle:", ":material/radio_button_unchecked:", ":material/arrow_circle_right:"
KIND_NAMES = {
    "import": "Import",
    "train": "Train ERM",
    "import_checkpoints": "Import checkpoints",
    "attribute": "Attribute",
    "import_attribution": "Import attribution",
    "discover": "Find directions",
    "score": "Score",
    "search_k": "Search K*",
    "retrain": "Retrain",
    "battery": "Battery",
    "lds": "Measure fidelity",
    "continue": "Next round",
}
NEXT_SENTENCE = {
    "data": "import examples",
    "models": "train or import ERM checkpoints",
    "attribution": "compute the attribution of the checkpoints",
    "discover": "look at the directions, and make a group set from them",
    "label": "correct the groups by hand",
    "prune": "score the training examples and save a prune set",
    "retrain": "retrain without the dropped examples, with controls",
    "compare": "compare the methods per group",
    "report": "freeze a report",
}


def choose_project() -> ProjectDetail | None:
    """The chooser; the address keeps the choice, and an address that names no project gets the newest."""
    known = api.projects()
    if not known:
        return None
    slugs = [p.slug for p in known]
    names = {p.slug: p.name for p in known}
    asked = address.unknown("project", slugs)
    if asked is not None:
        st.session_state["toast"] = f"There is no project {asked!r}."
    address.restore("project", slugs, slugs[0])
    slug = st.selectbox(
        "Project",
        slugs,
        key="project",
        format_func=lambda s: names.get(s, s),
        label_visibility="collapsed",
        persist_state="session",
        width=230,
    )
    address.remember("project", slug)
    return api.project(slug)


def require_project() -> ProjectDetail:
    """The chosen project, or an empty state with the way to one."""
    chosen = st.session_state.get("chosen_project")
    if isinstance(chosen, ProjectDetail):
        return chosen
    empty("No project yet", "Open the demo, or import your own examples.", icon=":material/folder_open:")
    st.button("Go to projects", key="to_projects", type="primary", on_click=pages.go, args=("projects",))
    st.stop()


def header(path: str) -> None:
    """Chooser and stepper; sets the project of this run."""
    with st.container(horizontal=True, key="stepper", vertical_alignment="center", gap="xsmall"):
        project = choose_project()
        st.session_state["chosen_project"] = project
        if project is not None:
            _stepper(project.steps, path)
        _account(project)
    if project is not None and path not in ("projects",):
        _next_line(project.steps, path)


def _account(project: ProjectDetail | None) -> None:
    """Who is logged in, what they may do here, and the way out; nothing where nobody needs to log in."""
    who = api.me()
    if not who.login:
        return
    role = api.role(project.slug if project else None)
    text = escape(f"{who.name} · {role.value}" if role else who.name)
    way = f'href="{address.BASE}/logout" target="_self" title="Log out"'
    st.html(f'<a class="us-account" {way}>{text} · Log out</a>', width="content")


def _stepper(steps: list[Step], path: str) -> None:
    upcoming = next((s.key for s in steps if not s.done), None)
    marked = False
    for step in steps:
        target = pages.STEP_PAGE[step.key]
        here = target == path and not marked
        marked = marked or here
        state = "done" if step.done else "next" if step.key == upcoming else "open"
        icon = DONE if step.done else NEXT if step.key == upcoming else OPEN
        with st.container(key=f"step_{'now' if here else state}_{state}_{step.key}", width="content"):
            pages.link(target, step.title, icon=icon, help=_step_help(step, state))


def _step_help(step: Step, state: str) -> str:
    if state == "done":
        return f"Done: {step.detail}" if step.detail else "Done"
    words = f"{'Next' if state == 'next' else 'Later'}: {NEXT_SENTENCE[step.key]}"
    return f"{words}. {step.detail}" if step.detail else words


def _next_line(steps: list[Step], path: str) -> None:
    upcoming = next((s for s in steps if not s.done), None)
    if upcoming is None or pages.STEP_PAGE[upcoming.key] == path:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="next_step"):
        st.caption(f"Next: {NEXT_SENTENCE[upcoming.key]}.", width="content")
        pages.link(pages.STEP_PAGE[upcoming.key], f"Go to {upcoming.title}", icon=":material/arrow_forward:")


# ---------------------------------------------------------------- what runs now
def progress_text(job: Job) -> str:
    """One line of a job: what, how far, how long still."""
    name = KIND_NAMES.get(job.kind, job.kind)
    if job.status == JobStatus.QUEUED:
        return f"{name}: waiting for a worker"
    eta = f", about {fmt.seconds(job.eta_seconds)} left" if job.eta_seconds is not None else ""
    so_far = f" · {job.done:.3g} of {job.total}" if job.total else ""
    return f"{name}: {job.step or 'starting'}{so_far}{eta}"


def share_done(job: Job) -> float:
    """Progress in [0, 1]."""
    return min(1.0, max(0.0, job.done / job.total)) if job.total else 0.0


def running_line(slug: str | None) -> None:
    """Progress of what runs, refreshed every two seconds while something does; the page redraws when it ends."""
    active = api.active_jobs(slug)
    known = {job.id for job in active}
    st.fragment(_running_body, run_every=2 if active else None)(slug, known)


def _running_body(slug: str | None, known: set[str]) -> None:
    api.fresh()
    try:
        active = api.active_jobs(slug)
    except UnskewError:
        st.caption("The server does not answer; trying again.")
        return
    if {job.id for job in active} != known:
        for job_id in known - {job.id for job in active}:
            _announce(api.job(job_id))
        api.forget()
        st.rerun()
    for job in active[:3]:
        st.progress(share_done(job), text=progress_text(job))
    if len(active) > 3:
        st.caption(f"and {len(active) - 3} more on Jobs")


def _announce(job: Job) -> None:
    name = KIND_NAMES.get(job.kind, job.kind)
    words = {"done": f"{name}: done", "failed": f"{name} failed: see Jobs", "cancelled": f"{name} cancelled"}
    st.session_state["toast"] = words.get(job.status, f"{name}: {job.status}")


def pending_toast() -> None:
    """Show what the run before wanted to say."""
    text = st.session_state.pop("toast", None)
    if text:
        st.toast(text)
