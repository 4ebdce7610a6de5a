"""Reports: blocks in a person's order with prose before them; one click freezes, a link shows it, a file keeps it."""

from __future__ import annotations

import streamlit as st

from frontend import address, api
from frontend.components.code import as_python, code
from frontend.components.example import API
from frontend.components.messages import attempt, empty, shown
from frontend.components.rights import needs
from frontend.components.shell import require_project
from unskew.charts import format as fmt
from unskew.schemas.api import ProjectDetail, Report, ReportBlock, ReportCreate
from unskew.schemas.enums import ReportBlockKind, ReportImages, Role

BLOCK_NAMES = {
    ReportBlockKind.SUMMARY: "Summary",
    ReportBlockKind.DATA: "Data",
    ReportBlockKind.FOUND: "What was found",
    ReportBlockKind.REMOVED: "What was removed",
    ReportBlockKind.GAINED: "What was gained",
    ReportBlockKind.LIMITS: "Limits",
    ReportBlockKind.REPEAT: "How to repeat it",
    ReportBlockKind.TEXT: "Text",
}
IMAGES = {
    ReportImages.FULL: "full",
    ReportImages.BLURRED: "blurred: 6 × 6 patches, nothing to make out",
    ReportImages.OMITTED: "omitted: class and value only",
}
EXPIRY = {0: "never", 7: "after 7 days", 30: "after 30 days", 365: "after a year"}
_BLOCKS = "report_blocks"  # [(number, kind)] in the order chosen; the number keeps each block's text field its own


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


# ---------------------------------------------------------------- writing one
def _form(project: ProjectDetail) -> None:
    title = st.text_input(
        "Title", key="rep_title", placeholder=f"{project.name}: biases found and removed", max_chars=200
    )
    notes = st.text_area("Notes (Markdown)", key="rep_notes", placeholder="What the reader should know.", height=90)
    with st.expander("Blocks: order and prose", key="rep_blocks", icon=":material/reorder:", type="compact"):
        blocks = _blocks()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        images = st.selectbox("Images", list(IMAGES), key="rep_images", format_func=lambda i: IMAGES[i], width=320)
        days = st.selectbox("Link expires", list(EXPIRY), key="rep_expiry", format_func=lambda d: EXPIRY[d], width=160)
        body = ReportCreate(
            title=title.strip(), notes=notes, blocks=blocks, images=images, expires_in_days=days or None
        )
        submitted = st.button(
            "Freeze a report", key="rep_make", type="primary", icon=":material/ac_unit:", **needs(Role.EDITOR)
        )
        call = f'client.create_report("{project.slug}", {as_python(body)})'
        code(call, "POST", f"/projects/{project.slug}/reports", key="rep_code", body=body)
    if submitted:
        with st.spinner("Freezing…"):
            made = attempt(lambda: api.create_report(project.slug, body), done="Report frozen")
        if made:
            st.rerun()


def _blocks() -> list[ReportBlock]:
    """Every block can be moved, left out, and given a paragraph of its own."""
    default = [(n, kind) for n, kind in enumerate(k for k in ReportBlockKind if k != ReportBlockKind.TEXT)]
    order: list[tuple[int, ReportBlockKind | str]] = st.session_state.setdefault(_BLOCKS, default)
    made = []
    for place, (number, kind) in enumerate(order):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"rep_block_{number}"):
            name = BLOCK_NAMES[kind] if isinstance(kind, ReportBlockKind) else kind.partition(":")[2]
            st.button(
                "↑", key=f"rep_up_{number}", disabled=place == 0, on_click=_move, args=(place, -1), help=f"{name}: up"
            )
            last = place == len(order) - 1
            st.button(
                "↓", key=f"rep_down_{number}", disabled=last, on_click=_move, args=(place, 1), help=f"{name}: down"
            )
            kept = st.checkbox(name, value=True, key=f"rep_keep_{number}", width=170)
            text = st.text_input(
                f"Prose of {name}",
                key=f"rep_text_{number}",
                label_visibility="collapsed",
                placeholder="Markdown before this block" if kind != ReportBlockKind.TEXT else "Markdown",
                max_chars=20_000,
            )
        if kept:
            made.append(ReportBlock(kind=kind, text=text))
    with st.container(horizontal=True, gap="small"):
        st.button("Add a text", key="rep_add", icon=":material/add:", on_click=_add, args=(ReportBlockKind.TEXT,))
        for path in api.plugins().report_blocks:
            name = path.partition(":")[2]
            st.button(
                f"Add {name}", key=f"rep_add_{path}", icon=":material/add:", on_click=_add, args=(path,), help=path
            )
    return made


def _move(place: int, step: int) -> None:
    order = st.session_state[_BLOCKS]
    order[place], order[place + step] = order[place + step], order[place]


def _add(kind: ReportBlockKind | str) -> None:
    order = st.session_state[_BLOCKS]
    order.append((1 + max(number for number, _ in order), kind))


# ---------------------------------------------------------------- those that are there
def _row(report: Report) -> None:
    with st.container(border=True, key=f"report_{report.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{report.title or f'Report {report.id}'}**", width="content")
            if report.revoked:
                st.badge("revoked", color="gray", icon=":material/link_off:")
            elif report.expired:
                st.badge("expired", color="gray", icon=":material/timer_off:")
            expiry = f" · link until {report.expires_at:%Y-%m-%d}" if report.expires_at and not report.expired else ""
            words = f"{fmt.ago(report.created_at)} · {fmt.size(report.size_bytes)} · {report.digest[:12]}{expiry}"
            st.caption(words, width="stretch")
            is_open = not (report.revoked or report.expired)
            if is_open:
                st.link_button("Open the link", report.url, key=f"rep_open_{report.id}", icon=":material/open_in_new:")
            url = f"{API}/reports/{report.id}/download"
            st.link_button("Download HTML", url, key=f"rep_save_{report.id}", icon=":material/download:")
            st.link_button("JSON", f"{url}?format=json", key=f"rep_json_{report.id}", icon=":material/data_object:")
            call = (
                f'client.report_bundle({report.id})  # the figures as they were; read_report("file.json") reads a file'
            )
            code(call, "GET", f"/reports/{report.id}/download?format=json", key=f"rep_code_{report.id}")
            if is_open and st.button("Revoke", key=f"rep_revoke_{report.id}", type="tertiary", **needs(Role.EDITOR)):
                with shown():
                    api.revoke_report(report.id)
                st.rerun()
        if is_open:
            st.code(f"{address.home()}{report.url}", language=None)
