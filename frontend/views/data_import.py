"""Importing: upload or path, a check of every row that writes nothing, then the import; a tab of Data."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import streamlit as st
from pydantic import ValidationError

from frontend import api
from frontend.components.code import as_python, code
from frontend.components.messages import attempt, problem_table, shown
from frontend.components.rights import needs
from frontend.components.tables import class_table
from unskew.charts import format as fmt
from unskew.schemas.api import ImportCheck
from unskew.schemas.enums import DataKind, Layout, Role
from unskew.schemas.params import ImportParams

MAX_MB = 60  # a request may have 64 MiB; larger sets are copied to the server, and imported by their path
KINDS = {None: "as the columns say", DataKind.IMAGE: "images", DataKind.TEXT: "texts", DataKind.TABLE: "rows"}
ROWS_ONLY = "Of rows only; column names with commas between them."


def import_form() -> None:
    """The form, and below it what the check found."""
    st.markdown(
        "A **folder** of images (`train/class/…`, `validation/class/…`, `test/class/…`, or class folders only), or a "
        "**table** (CSV or Parquet): `path, label, split` for images, `text, label, split` for texts, each with any "
        "attribute columns; or `label, split` and the features of each row. "
        "Files on this machine stay where they are."
    )
    may = needs(Role.ADMIN, everywhere=True)
    _upload(may)
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
            [*(layout.value for layout in Layout), *api.plugins().readers],
            index=None,
            key="i_layout",
            placeholder="Recognised",
            help="How the files are laid out. CelebA's files hold two tasks: choose celeba_age for the second.",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            check = st.form_submit_button("Check", key="i_check", icon=":material/fact_check:", **may)
            run = st.form_submit_button("Import", key="i_import", type="primary", icon=":material/download:", **may)
            decode = st.checkbox("Read every image too", key="i_decode", help="Finds broken and repeated files; slow.")
    if not (check or run):
        return
    if not source.strip():
        st.warning("Upload a file, or type the path of a folder or a table first.")
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
            layout=layout if layout is None or ":" in layout else Layout(layout),
        )
    except ValidationError as error:
        st.error("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
        return
    if run:
        if attempt(lambda: api.start_import(params), done="Import: queued"):
            st.rerun()
        return
    with st.spinner("Checking every row…"):
        found = api.check_import(params, decode=decode)
    _show_check(found)
    if found.ok:
        code(f"client.import_project({as_python(params)})", "POST", "/projects", key="i_code", body=params)
        return
    call = f"client.check_import({as_python(params)}{', decode=True' if decode else ''})"
    code(call, "POST", f"/projects/check{'?decode=true' if decode else ''}", key="i_check_code", body=params)


def _upload(may: dict[str, Any]) -> None:
    """A file goes to the server as soon as it is chosen; its place there becomes the source."""
    file = st.file_uploader(
        f"Upload a table, an .npz, or a .zip of images: at most {MAX_MB} MB. Copy what is larger to the server, and "
        "give its path below.",
        ["zip", "csv", "parquet", "jsonl", "npz"],
        key="i_upload",
        max_upload_size=MAX_MB,
        **may,
    )
    if file is None or st.session_state.get("i_uploaded") == file.file_id:
        return
    with shown():
        made = api.upload(file.name, file.getvalue())
        st.session_state["i_uploaded"] = file.file_id
        st.session_state["i_source"] = made.source
        st.session_state["i_name"] = PurePath(file.name).stem
        st.toast(f"{fmt.plural(made.n_files, 'file')} received ({fmt.size(made.bytes)}). Check, then import.")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _show_check(result: ImportCheck) -> None:
    if result.ok:
        words = f"Layout {result.layout}, {fmt.plural(result.n_rows, 'row')}, {len(result.class_names)} classes"
        st.success(f"{words}: ready to import. Nothing was written yet.")
    else:
        n = fmt.plural(result.n_problems, "problem")
        st.error(f"**{n} found.** Mend the rows below, then check again. Nothing was written.")
        problem_table(result.problems, alt=f"{n} found in the source")
        if result.n_problems > len(result.problems):
            st.caption(f"The first {len(result.problems)} of {fmt.count(result.n_problems)}.")
    for warning in result.warnings:
        st.warning(warning)
    if result.counts:
        st.table(
            class_table(result.counts), border="horizontal", hide_index=True, width="content", alt="Examples per class"
        )
