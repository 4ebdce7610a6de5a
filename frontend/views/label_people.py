"""Label, below the grid: annotators and their agreement, the history, and labels from and to files."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontend import api
from frontend.components.code import code
from frontend.components.example import API
from frontend.components.messages import attempt, shown
from frontend.components.rights import needs
from frontend.components.show import show
from unskew.charts import format as fmt
from unskew.charts.labels import kappa_matrix
from unskew.schemas.api import Agreement, GroupSet, ProjectDetail
from unskew.schemas.enums import Role

HISTORY = 100


def people(project: ProjectDetail, chosen: GroupSet, annotator: str) -> None:
    """Three boxes, each read when it is opened."""
    boxes = (
        ("Annotators and agreement", "l_people", ":material/group:", _agreement),
        ("History", "l_history", ":material/history:", _history),
        ("Import and export", "l_files", ":material/import_export:", _files),
    )
    for title, key, icon, draw in boxes:
        with st.expander(title, key=key, icon=icon, type="compact", on_change="rerun") as box:
            if box.open:
                with shown():
                    draw(chosen, annotator)


def _agreement(chosen: GroupSet, annotator: str) -> None:
    found = api.agreement(chosen.id)
    if not found.annotators:
        st.caption("Nobody has labelled in this set yet.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        counts = [{"Annotator": a.name, "Labels": fmt.count(a.n), "Unsure": a.unsure} for a in found.annotators]
        st.table(pd.DataFrame(counts), border="horizontal", hide_index=True, alt="Labels of every annotator")
        _pairs(found)
        words = fmt.plural(found.n_disagreements, "example")
        st.caption(f"{words} on which annotators differ: choose the order “disagreements only” to decide them.")
    with right:
        if found.pairs:
            show(kappa_matrix(found), key="kappa", title="Cohen's kappa")
        _confirmed(found)
    code(f"client.agreement({chosen.id})", "GET", f"/group-sets/{chosen.id}/agreement", key="l_agree_code")


def _pairs(found: Agreement) -> None:
    if not found.pairs:
        st.caption("Agreement is shown once a second person has labelled: change the name above the grid.")
        return
    rows = [
        {
            "Pair": f"{p.first}, {p.second}",
            "Same label": fmt.interval(p.observed),
            "Kappa": f"{p.kappa.value:.2f} ({p.kappa.low:.2f}–{p.kappa.high:.2f}, n = {p.n})" if p.kappa else "–",
        }
        for p in found.pairs
    ]
    st.table(pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Agreement of every pair of annotators")


def _confirmed(found: Agreement) -> None:
    rows = [{"Suggested": s.name, "Confirmed": fmt.interval(s.confirmed)} for s in found.suggestion]
    if rows:
        st.markdown("**Does the suggestion mean what its name says?**")
        st.table(pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Share of each suggestion confirmed")


def _history(chosen: GroupSet, annotator: str) -> None:
    events = api.label_history(chosen.id, limit=HISTORY)
    rows = [
        {
            "when": f"{e.at:%Y-%m-%d %H:%M:%S}",
            "who": e.annotator,
            "did": e.action.value,
            "example": e.example_id,
            "from": e.before,
            "to": e.after,
        }
        for e in events
    ]
    if not rows:
        st.caption("Nothing happened yet.")
        return
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="l_history_rows", alt="What people did, newest first")
    st.caption(f"The last {fmt.plural(len(rows), 'event')}. None is ever changed or deleted; an undo is an event too.")
    code(f"client.label_history({chosen.id})", "GET", f"/group-sets/{chosen.id}/history", key="l_history_code")


def _files(chosen: GroupSet, annotator: str) -> None:
    path = f"{API}/group-sets/{chosen.id}/export"
    with st.container(horizontal=True):
        for name, format in (("CSV", "csv"), ("JSON Lines", "jsonl"), ("Parquet", "parquet")):
            key = {"csv": "l_csv", "jsonl": "l_json", "parquet": "l_parquet"}[format]
            st.link_button(name, f"{path}?format={format}", key=key, icon=":material/download:")
        code(
            f'client.export_labels({chosen.id}, format="csv")', "GET", f"/group-sets/{chosen.id}/export", key="l_x_code"
        )
    file = st.file_uploader(
        "Labels from a file", ["csv", "jsonl", "parquet"], key="l_upload", help="Columns as in the exported file."
    )
    if file is None:
        return
    format = file.name.rsplit(".", 1)[-1].lower()
    content = file.getvalue()
    found = api.import_labels(chosen.id, content, format=format, annotator=annotator, dry_run=True)
    st.caption(
        f"{fmt.count(found.n_rows)} rows, {fmt.plural(found.n_labels, 'label')} by hand; nothing is written yet."
    )
    if st.button(
        "Import labels", key="l_import", type="primary", **needs(Role.LABELER, disabled=not found.n_labels)
    ) and attempt(
        lambda: api.import_labels(chosen.id, content, format=format, annotator=annotator),
        done=f"{fmt.plural(found.n_labels, 'label')} imported",
    ):
        st.rerun()
