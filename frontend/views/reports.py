"""Reports: one button freezes what was found, removed and gained; a link shows it, a file keeps it."""

from __future__ import annotations

import streamlit as st

from frontend import address, api
from frontend.components.example import API
from frontend.components.messages import attempt, empty, shown
from frontend.components.shell import require_project
from unskew.charts import format as fmt
from unskew.schemas.api import ProjectDetail, Report, ReportCreate


def page() -> None:
    project = require_project()
    st.title("Reports")
    st.markdown(
        "A report is frozen: data hash, settings, seeds, directions with their evidence, what was dropped, and every "
        "method with its intervals. It opens at a view-only link, and downloads as one file that works offline."
    )
    _form(project)
    known = api.reports(project.slug)
    if not known:
        empty("No report yet", "Freeze one whenever there is something to show; later changes do not touch it.")
    for report in known:
        _row(report)


def _form(project: ProjectDetail) -> None:
    with st.form("report_form"):
        title = st.text_input(
            "Title", key="rep_title", placeholder=f"{project.name}: biases found and removed", max_chars=200
        )
        notes = st.text_area("Notes (Markdown)", key="rep_notes", placeholder="What the reader should know.", height=90)
        submitted = st.form_submit_button("Freeze a report", key="rep_make", type="primary", icon=":material/ac_unit:")
    if submitted:
        body = ReportCreate(title=title.strip(), notes=notes)
        with st.spinner("Freezing…"):
            made = attempt(lambda: api.create_report(project.slug, body), done="Report frozen")
        if made:
            st.rerun()


def _row(report: Report) -> None:
    with st.container(border=True, key=f"report_{report.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{report.title or f'Report {report.id}'}**", width="content")
            if report.revoked:
                st.badge("revoked", color="gray", icon=":material/link_off:")
            st.caption(
                f"{fmt.ago(report.created_at)} · {fmt.size(report.size_bytes)} · {report.digest[:12]}", width="stretch"
            )
            if not report.revoked:
                st.link_button("Open the link", report.url, key=f"rep_open_{report.id}", icon=":material/open_in_new:")
            url = f"{API}/reports/{report.id}/download"
            st.link_button("Download HTML", url, key=f"rep_save_{report.id}", icon=":material/download:")
            if not report.revoked and st.button("Revoke", key=f"rep_revoke_{report.id}", type="tertiary"):
                with shown():
                    api.revoke_report(report.id)
                st.rerun()
        if not report.revoked:
            st.code(f"{address.origin()}{report.url}", language=None)
