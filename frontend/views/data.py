"""Data: what the project holds, its examples, and importing new ones with a check before anything is written."""

from __future__ import annotations

import streamlit as st

from frontend import address, api
from frontend.components.code import code
from frontend.components.messages import shown
from frontend.components.shell import require_project
from frontend.components.strip import strip
from frontend.components.tables import attribute_table, class_table
from frontend.views.browse import browse
from frontend.views.data_import import import_form
from unskew.charts import format as fmt
from unskew.schemas.api import ProjectDetail
from unskew.schemas.enums import DataKind

REPEATS_SHOWN = 12


def page() -> None:
    st.title("Data")
    names = ["Overview", "Browse", "Import"]
    address.restore("data_tab", names, names[0])
    tabs = st.tabs(names, key="data_tab", on_change="rerun")
    for name, tab, draw in zip(names, tabs, (_overview, browse, import_form), strict=True):
        if tab.open:
            address.remember("data_tab", name)
            with tab, shown():
                draw()


# ---------------------------------------------------------------- overview
def _overview() -> None:
    project = require_project()
    cells = st.columns(4)
    cells[0].metric("Training examples", fmt.count(project.n_train))
    cells[1].metric("Validation examples", fmt.count(project.n_validation))
    cells[2].metric("Test examples", fmt.count(project.n_test))
    if project.kind is DataKind.IMAGE:
        cells[3].metric("Image side", f"{project.image_size} px")
    else:
        cells[3].metric("Examples are", {DataKind.TEXT: "texts", DataKind.TABLE: "rows of a table"}[project.kind])
    left, right = st.columns(2)
    with left:
        st.markdown("**Classes by split**")
        st.table(class_table(project.counts), border="horizontal", hide_index=True, alt="Examples per class and split")
    with right:
        for attribute in project.attributes:
            st.markdown(f"**Class × {attribute}**")
            rows = attribute_table(project, attribute)
            st.table(rows, border="horizontal", hide_index=True, alt=f"Examples per class and {attribute}, by split")
        if project.attributes:
            st.caption("Attributes serve to evaluate, or as a group source if you choose so. Nothing else reads them.")
        else:
            st.caption("No attribute columns: groups come from directions and from hand labels.")
    words = f"Data fingerprint {project.fingerprint[:16]} · imported {fmt.ago(project.created_at)}"
    if parent := project.source.get("continues"):
        words += f" · continues {parent} without {fmt.plural(int(project.source['removed']), 'training example')}"
    st.caption(words)
    with st.expander(
        "Repeated and missing examples", key="d_faults", icon=":material/rule:", type="compact", on_change="rerun"
    ) as box:
        if box.open:
            with shown():
                _faults(project)
    code(f'client.project("{project.slug}")', "GET", f"/projects/{project.slug}", key="d_code")


def _faults(project: ProjectDetail) -> None:
    """Contents that several examples have, leaks between splits first; files that are gone since the import."""
    found = api.faults(project.slug)
    if not found.n_repeated:
        st.markdown("No example repeats another.")
    else:
        words = f"{fmt.plural(found.n_repeated, 'content')} repeated"
        leaks = f", {fmt.count(found.n_leaks)} of them across splits: a leak" if found.n_leaks else ""
        st.markdown(f"**{words}{leaks}.** Leave all but one out, and import again.")
        for group in found.repeated[:REPEATS_SHOWN]:
            where = ", ".join(f"{e.path} ({e.split})" for e in group[:4]) + (" …" if len(group) > 4 else "")
            strip(
                group[:REPEATS_SHOWN],
                project=project.slug,
                class_names=project.class_names,
                image_size=project.image_size,
                note=where,
                tile=58,
                show_value=False,
            )
    if found.n_missing:
        st.error(f"**{fmt.plural(found.n_missing, 'file')} gone since the import:** {', '.join(found.missing[:10])}")
    elif project.kind is DataKind.IMAGE:
        st.markdown("Every file is where it was imported from. Broken images were refused at the import.")
    code(f'client.faults("{project.slug}")', "GET", f"/projects/{project.slug}/faults", key="d_faults_code")
