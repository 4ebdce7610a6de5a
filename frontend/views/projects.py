"""Projects: every project, where it stands, and how to begin."""

from __future__ import annotations

import streamlit as st

from frontend import api, pages
from frontend.components.code import code
from frontend.components.messages import attempt, empty, show_problem
from frontend.components.rights import needs
from frontend.components.strip import pictures_of, strip_html
from unskew.charts import format as fmt
from unskew.schemas.api import ProjectDetail
from unskew.schemas.enums import JobKind, JobStatus, Role, Split
from unskew.schemas.params import ImportParams

DEMO = ImportParams(source="demo", name="Demo: digits on textures", image_size=32)


def page() -> None:
    known = api.projects()
    _failed_import()
    if not known:
        _first_time()
        return
    st.title("Projects")
    with st.grid(3, min_column_width=330):
        for project in known:
            _card(api.project(project.slug))
    with st.container(horizontal=True):
        _own_data_button("New project from your data", primary=True)
        if not any(p.slug.startswith("demo") for p in known):
            _demo_button(primary=False)
        code("client.projects()", "GET", "/projects", key="projects_code")


def _failed_import() -> None:
    """An import that just failed made no project, so this is the place to say why."""
    last = next((job for job in api.jobs(None) if job.kind == JobKind.IMPORT), None)
    if last is not None and last.status == JobStatus.FAILED and last.error is not None:
        show_problem(last.error)


def _first_time() -> None:
    importing = api.active_jobs(None)
    if importing:
        empty(
            "Preparing the first project",
            "Examples are being imported; this page follows.",
            icon=":material/hourglass_top:",
        )
        return
    empty(
        "Find out what your classifier relies on",
        "Unskew traces a model's errors back to its training examples, shows the biases behind them as two ends of "
        "images, and drops the examples that cause them.",
        icon=":material/explore:",
    )
    with st.container(horizontal=True):
        _demo_button(primary=True)
        _own_data_button("Use your own data", primary=False)
    st.caption("The demo: 5,000 real handwritten digits on photographs of grass and brick, with a planted bias.")


def _demo_button(*, primary: bool) -> None:
    clicked = st.button(
        "Open the demo",
        key="demo",
        icon=":material/play_arrow:",
        type="primary" if primary else "secondary",
        **needs(Role.ADMIN, everywhere=True),
    )
    if clicked and attempt(lambda: api.start_import(DEMO), done="Import: queued"):
        st.rerun()


def _own_data_button(label: str, *, primary: bool) -> None:
    kind = "primary" if primary else "secondary"
    state = {"data_tab": "Import"}
    st.button(label, key="own_data", icon=":material/add:", type=kind, on_click=pages.go, args=("data",), kwargs=state)  # type: ignore[arg-type]


def _card(project: ProjectDetail) -> None:
    done = sum(step.done for step in project.steps)
    upcoming = next((s for s in project.steps if not s.done), None)
    words = f"next: {upcoming.title}" if upcoming else "the loop is closed"
    with st.container(border=True, height="stretch", key=f"card_{project.slug}", gap="small"):
        st.markdown(f"**{project.name}**")
        sample = api.examples(project.slug, split=Split.TRAIN, limit=12).items
        st.html(
            strip_html(
                sample,
                project=project.slug,
                class_names=project.class_names,
                image_size=project.image_size,
                tile=44,
                show_value=False,
                label=f"Training examples of {project.name}",
                pictures=pictures_of(project.slug, sample),
            )
        )
        total = project.n_train + project.n_validation + project.n_test
        classes = ", ".join(project.class_names[:6]) + (" …" if len(project.class_names) > 6 else "")
        st.caption(f"{fmt.count(total)} examples · {len(project.class_names)} classes: {classes}")
        st.progress(done / len(project.steps), text=f"{done} of {len(project.steps)} steps · {words}")
        st.space("stretch")
        with st.container(horizontal=True):
            st.button(
                "Open",
                key=f"open_{project.slug}",
                type="primary",
                on_click=pages.go,
                args=(pages.STEP_PAGE[_entry_step(project)],),
                kwargs={"project": project.slug},
            )
            if st.button("Delete", key=f"delete_{project.slug}", type="tertiary", **needs(Role.ADMIN)):
                _confirm_delete(project.slug, project.name)


def _entry_step(project: ProjectDetail) -> str:
    """Where a person wants to be: on Discover once there is something to see, else at the next step."""
    if any(step.key == "attribution" and step.done for step in project.steps):
        return "discover"
    return next((step.key for step in project.steps if not step.done), "report")


@st.dialog("Delete this project?")
def _confirm_delete(slug: str, name: str) -> None:
    st.markdown(f"**{name}** with its checkpoints, labels, scores and jobs will be gone. Your image files stay.")
    if st.button("Delete for good", key="delete_yes", type="primary", icon=":material/delete:") and attempt(
        lambda: api.delete_project(slug), done=f"{name} deleted"
    ):
        st.session_state.pop("project", None)
        st.rerun()
