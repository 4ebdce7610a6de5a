"""Data: what the project holds, its examples, and importing new ones with a check before anything is written."""

from __future__ import annotations

from pathlib import PurePath

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from frontend import address, api
from frontend.components.messages import attempt, shown
from frontend.components.shell import require_project
from frontend.views.browse import SPLITS, browse
from unskew.charts import format as fmt
from unskew.schemas.api import ClassCount, ImportCheck, ProjectDetail
from unskew.schemas.enums import DataKind, Layout
from unskew.schemas.params import ImportParams

KINDS = {None: "as the columns say", DataKind.IMAGE: "images", DataKind.TEXT: "texts", DataKind.TABLE: "rows"}
ROWS_ONLY = "Of rows only; column names with commas between them."


def page() -> None:
    st.title("Data")
    names = ["Overview", "Browse", "Import"]
    address.restore("data_tab", names, names[0])
    tabs = st.tabs(names, key="data_tab", on_change="rerun")
    for name, tab, draw in zip(names, tabs, (_overview, browse, _import), strict=True):
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
    st.caption(f"Data fingerprint {project.fingerprint[:16]} · imported {fmt.ago(project.created_at)}")


def class_table(counts: list[ClassCount]) -> pd.DataFrame:
    """Classes × splits."""
    frame = pd.DataFrame([{"Class": c.name, "split": c.split.value, "n": c.n} for c in counts])
    if frame.empty:
        return frame
    wide = frame.pivot_table(index="Class", columns="split", values="n", aggfunc="sum", fill_value=0, sort=False)
    order = [s.value for s in SPLITS if s.value in wide.columns]
    return _formatted(wide[order].reset_index())


def attribute_table(project: ProjectDetail, attribute: str) -> pd.DataFrame:
    """(Class, value) × splits of one attribute."""
    rows = [
        {"Class": project.class_names[c.label], attribute: c.value, "split": c.split.value, "n": c.n}
        for c in project.attribute_counts
        if c.attribute == attribute
    ]
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    wide = frame.pivot_table(index=["Class", attribute], columns="split", values="n", aggfunc="sum", fill_value=0)
    order = [s.value for s in SPLITS if s.value in wide.columns]
    return _formatted(wide[order].reset_index())


def _formatted(frame: pd.DataFrame) -> pd.DataFrame:
    for column in frame.columns:
        if pd.api.types.is_integer_dtype(frame[column]):
            frame[column] = [fmt.count(int(v)) for v in frame[column]]
    return frame


# ---------------------------------------------------------------- import
def _import() -> None:
    st.markdown(
        "A **folder** of images (`train/class/…`, `validation/class/…`, `test/class/…`, or class folders only), or a "
        "**table** (CSV or Parquet): `path, label, split` for images, `text, label, split` for texts, each with any "
        "attribute columns; or `label, split` and the features of each row. "
        "Files stay where they are; only this machine reads them."
    )
    with st.form("import_form"):
        source = st.text_input(
            "Folder or table on this machine", key="i_source", placeholder="/data/birds or /data/birds.csv"
        )
        left, middle, right = st.columns(3)
        name = left.text_input("Project name", key="i_name", placeholder="taken from the source")
        size = middle.number_input("Image side the model sees [px]", 8, 1024, 64, key="i_size")
        seed = right.number_input("Seed of the splits", 0, 10_000, 0, key="i_seed")
        validation = left.number_input(
            "Share of train for validation",
            0.0,
            0.9,
            0.0,
            0.05,
            key="i_val",
            help="Only when the source has no validation split.",
        )
        test = middle.number_input(
            "Share of train for test", 0.0, 0.9, 0.0, 0.05, key="i_test", help="Only when the source has no test split."
        )
        kind = right.selectbox(
            "Examples are", list(KINDS), key="i_kind", format_func=lambda k: KINDS[k], help="What each row is."
        )
        with st.expander("Column names of the table", type="compact"):
            columns = st.columns(4)
            path_column = columns[0].text_input("Path", "path", key="i_path_column")
            text_column = columns[1].text_input("Text", "text", key="i_text_column")
            label_column = columns[2].text_input("Class", "label", key="i_label_column")
            split_column = columns[3].text_input("Split", "split", key="i_split_column")
            features = columns[0].text_input("Features", key="i_features", placeholder="all others", help=ROWS_ONLY)
            attributes = columns[1].text_input("Attributes", key="i_attributes", placeholder="none", help=ROWS_ONLY)
        layout = st.selectbox(
            "Layout",
            [layout.value for layout in Layout],
            index=None,
            key="i_layout",
            placeholder="Recognised",
            help="How the files are laid out. CelebA's files hold two tasks: choose celeba_age for the second.",
        )
        with st.container(horizontal=True):
            check = st.form_submit_button("Check", key="i_check", icon=":material/fact_check:")
            run = st.form_submit_button("Import", key="i_import", type="primary", icon=":material/download:")
    if not (check or run):
        return
    if not source.strip():
        st.warning("Type the path of a folder or a table first.")
        return
    try:
        params = ImportParams(
            source=source.strip(),
            name=name.strip() or PurePath(source.strip()).stem or "project",
            image_size=int(size),
            validation_share=validation,
            test_share=test,
            seed=int(seed),
            kind=kind,
            path_column=path_column,
            text_column=text_column,
            feature_columns=_names(features) or None,
            attribute_columns=_names(attributes),
            label_column=label_column,
            split_column=split_column,
            layout=None if layout is None else Layout(layout),
        )
    except ValidationError as error:
        st.error("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
        return
    if run:
        if attempt(lambda: api.start_import(params), done="Import: queued"):
            st.rerun()
        return
    with st.spinner("Checking every row…"):
        _show_check(api.check_import(params))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _show_check(result: ImportCheck) -> None:
    if result.ok:
        words = f"Layout {result.layout}, {fmt.count(result.n_rows)} rows, {len(result.class_names)} classes"
        st.success(f"{words}: ready to import. Nothing was written yet.")
    else:
        n = fmt.plural(result.n_problems, "problem")
        st.error(f"**{n} found.** Mend the rows below, then check again. Nothing was written.")
        shown_rows = [{"Row": p.row, "Field": p.field, "Value": p.value, "Problem": p.message} for p in result.problems]
        st.dataframe(pd.DataFrame(shown_rows), hide_index=True, key="check_rows", alt=f"{n} found in the source")
        if result.n_problems > len(result.problems):
            st.caption(f"The first {len(result.problems)} of {fmt.count(result.n_problems)}.")
    for warning in result.warnings:
        st.warning(warning)
    if result.counts:
        st.table(
            class_table(result.counts), border="horizontal", hide_index=True, width="content", alt="Examples per class"
        )
