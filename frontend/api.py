"""The only door to the server: one client, and reads that are cached for a moment under their ids.

A page reads the same thing in several places, so a read lives for one run of the script, never longer: `whole_run()`
spans a run, `fresh()` begins one of a fragment alone. What never changes once it was made (extremes, previews of a
score set, flips) is kept. Whoever writes, and whoever sees a job end, calls `forget()`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from frontend.address import BASE
from unskew.client import Client
from unskew.schemas import api as body
from unskew.schemas.enums import JobKind, JobStatus, Role, Split
from unskew.schemas.params import BatteryParams, ImportParams, Params

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
COOKIE = "unskew_login"
DOCS = f"{BASE}/docs"  # of the API, on the same server
# Never changes under its key; of one person only, because rights differ.
lasting = st.cache_data(ttl=600, max_entries=200, show_spinner=False, scope="session")
_READS, _WHOLE = "_reads", "_whole_run"

P = ParamSpec("P")
R = TypeVar("R")


def brief(read: Callable[P, R]) -> Callable[P, R]:
    """Keep what was read until the end of this run of the script."""

    @wraps(read)
    def once(*args: P.args, **kwargs: P.kwargs) -> R:
        reads: dict[object, R] = st.session_state.setdefault(_READS, {})
        key = (read.__name__, args, tuple(sorted(kwargs.items())))
        if key not in reads:
            reads[key] = read(*args, **kwargs)
        return reads[key]

    return once


@contextmanager
def whole_run() -> Iterator[None]:
    """A run of the whole script: nothing read before counts, and its fragments share what is read."""
    st.session_state[_READS], st.session_state[_WHOLE] = {}, True
    try:
        yield
    finally:
        st.session_state[_WHOLE] = False


def fresh() -> None:
    """Begin a run of a fragment: nothing read before counts, unless the whole script is what runs."""
    if not st.session_state.get(_WHOLE):
        st.session_state[_READS] = {}


@st.cache_resource(show_spinner=False, scope="session")
def client() -> Client:
    """The client of this browser, with its login's rights; the address comes from whoever started the server."""
    return Client(os.environ.get("UNSKEW_API_URL", "http://127.0.0.1:8501"), token=st.context.cookies.get(COOKIE))


@lasting
def version() -> body.Version:
    return client().version()


@brief
def me() -> body.Me:
    """Who looks at this page, and what they may do."""
    return client().me()


def role(slug: str | None) -> Role | None:
    """The role of whoever looks, in a project or outside of all."""
    who = me()
    found = [r for r in (who.role, who.projects.get(slug or "")) if r is not None]
    return max(found, key=list(Role).index, default=None)


def forget() -> None:
    """Drop every read: something was written, or a job ended."""
    st.session_state[_READS] = {}
    st.cache_data.clear()


# ---------------------------------------------------------------- projects and examples
@brief
def projects() -> list[body.Project]:
    return client().projects()


@brief
def project(slug: str) -> body.ProjectDetail:
    return client().project(slug)


@brief
def examples(slug: str, **wanted: Any) -> body.ExamplePage:
    """See `Client.examples`."""
    return client().examples(slug, **wanted)


@brief
def view_summary(slug: str, *, attributes: tuple[str, ...] | None = None, **wanted: Any) -> body.ViewSummary:
    """See `Client.view_summary`."""
    return client().view_summary(slug, **wanted, attributes=None if attributes is None else list(attributes))


@brief
def example_detail(slug: str, example_id: int) -> body.ExampleDetail:
    return client().example_detail(slug, example_id)


@lasting
def example_influence(slug: str, example_id: int, *, n: int) -> body.Influence:
    return client().example_influence(slug, example_id, n=n)


@lasting
def nearest(slug: str, example_id: int, *, n: int) -> list[body.Example]:
    return client().nearest(slug, example_id, n=n)


@brief
def examples_by_id(slug: str, example_ids: tuple[int, ...]) -> list[body.Example]:
    """In the order given."""
    return client().examples_by_id(slug, list(example_ids))


@brief
def thumbnails(slug: str, example_ids: tuple[int, ...], *, size: int) -> dict[int, bytes]:
    """WebP by id; the browser asks itself for those that are not among them."""
    return client().thumbnails(slug, example_ids, size=size) if example_ids else {}


@brief
def views(slug: str) -> list[body.SavedView]:
    return client().views(slug)


def create_view(slug: str, create: body.ViewCreate) -> body.SavedView:
    made = client().create_view(slug, create)
    forget()
    return made


def delete_view(view_id: int) -> None:
    client().delete_view(view_id)
    forget()


def check_import(params: ImportParams, *, decode: bool) -> body.ImportCheck:
    return client().check_import(params, decode=decode)


def upload(name: str, content: bytes) -> body.Upload:
    return client().upload(name, content)


@brief
def faults(slug: str) -> body.Faults:
    return client().faults(slug)


def start_import(params: ImportParams) -> body.Job:
    forget()
    return client().import_project(params)


def delete_project(slug: str) -> None:
    client().delete_project(slug)
    forget()


# ---------------------------------------------------------------- jobs and runs
def start(slug: str, kind: JobKind, params: Params) -> body.Job:
    job = client().start_job(slug, kind, params)
    forget()
    return job


@brief
def jobs(slug: str | None) -> list[body.Job]:
    """Newest first."""
    return client().jobs(project=slug, limit=50)


def active_jobs(slug: str | None) -> list[body.Job]:
    """What is queued or running."""
    return [job for job in jobs(slug) if job.status in ACTIVE]


def job(job_id: str) -> body.Job:
    return client().job(job_id)


@brief
def log(job_id: str) -> list[body.LogLine]:
    return client().job_log(job_id)


@brief
def metrics(job_id: str) -> dict[str, list[body.CurvePoint]]:
    """Curve points of a job by run ("erm, seed 0")."""
    return client().job_metrics(job_id)


def cancel(job_id: str) -> None:
    client().cancel_job(job_id)
    forget()


def resume(job_id: str) -> None:
    client().resume_job(job_id)
    forget()


@brief
def worker_alive() -> bool:
    return client().health().worker


@brief
def runs(slug: str) -> list[body.Run]:
    return client().runs(slug)


# ---------------------------------------------------------------- attribution and directions
@brief
def attributions(slug: str) -> list[body.Attribution]:
    """Newest first."""
    return client().attributions(slug)


@brief
def lds(slug: str) -> list[body.Lds]:
    """Newest first."""
    return client().lds(slug)


@brief
def directions(slug: str) -> list[body.Direction]:
    return client().directions(slug)


@brief
def direction(direction_id: int) -> body.DirectionDetail:
    return client().direction(direction_id)


def patch_direction(direction_id: int, change: body.DirectionPatch) -> None:
    client().update_direction(direction_id, change)
    forget()


@lasting
def strips(direction_id: int, *, n: int, sign: int) -> list[body.Strip]:
    """The four strips; `sign` is part of the cache key, because a flip swaps the ends."""
    return client().strips(direction_id, n=n)


@lasting
def histogram(
    direction_id: int, *, sign: int, attribute: str | None, group_set: int | None, version: int
) -> body.Histogram:
    """`sign` and the group set's `version` are part of the cache key."""
    return client().histogram(direction_id, attribute=attribute, group_set=group_set)


@lasting
def scatter(
    direction_id: int, *, other: int, signs: tuple[int, int], attribute: str | None, group_set: int | None, version: int
) -> body.Scatter:
    return client().scatter(direction_id, other=other, attribute=attribute, group_set=group_set)


@lasting
def end_influence(direction_id: int, *, end: int, sign: int, n: int) -> body.Influence:
    return client().end_influence(direction_id, end=end, n=n)


@lasting
def group_influence(group_set_id: int, *, group: int, version: int, n: int) -> body.Influence:
    return client().group_influence(group_set_id, group=group, n=n)


# ---------------------------------------------------------------- groups
@brief
def group_sets(slug: str) -> list[body.GroupSet]:
    return client().group_sets(slug)


def group_set(group_set_id: int) -> body.GroupSet:
    return client().group_set(group_set_id)


def update_group_set(group_set_id: int, patch: body.GroupSetPatch) -> None:
    client().update_group_set(group_set_id, patch)
    forget()


def write_labels(group_set_id: int, labels: list[body.LabelWrite], *, annotator: str | None = None) -> None:
    """Many at once, in parts that the API takes; by whoever gave a name on Label."""
    who = annotator or str(st.session_state.get("annotator") or "me")
    for start in range(0, len(labels), 1000):
        client().write_labels(group_set_id, body.LabelBatch(labels=labels[start : start + 1000], annotator=who))
    forget()


def undo_label(group_set_id: int, annotator: str) -> None:
    client().undo(group_set_id, annotator=annotator)
    forget()


def label_queue(group_set_id: int, **wanted: Any) -> body.LabelQueue:
    """See `Client.label_queue`."""
    return client().label_queue(group_set_id, **wanted)


@brief
def agreement(group_set_id: int) -> body.Agreement:
    return client().agreement(group_set_id)


@brief
def label_history(group_set_id: int, *, limit: int) -> list[body.LabelEvent]:
    return client().label_history(group_set_id, limit=limit)


def import_labels(
    group_set_id: int, content: bytes, *, format: str, annotator: str, dry_run: bool = False
) -> body.LabelImport:
    found = client().import_labels(group_set_id, content, format=format, annotator=annotator, dry_run=dry_run)
    if not dry_run:
        forget()
    return found


def create_group_set(slug: str, create: body.GroupSetCreate) -> body.GroupSet:
    made = client().create_group_set(slug, create)
    forget()
    return made


# ---------------------------------------------------------------- scores and pruning
@brief
def score_sets(slug: str) -> list[body.ScoreSet]:
    return client().score_sets(slug)


@brief
def score_set(score_set_id: int) -> body.ScoreSet:
    return client().score_set(score_set_id)


@lasting
def preview(score_set_id: int, *, k: int, part: str, limit: int) -> body.PrunePreview:
    return client().preview(score_set_id, k=k, part=part, limit=limit)


@lasting
def negative_mass(score_set_id: int) -> body.NegativeMass:
    return client().negative_mass(score_set_id)


@lasting
def subpopulations(score_set_id: int, *, samples: int) -> list[body.Subpopulation]:
    return client().subpopulations(score_set_id, samples=samples)


@brief
def prune_sets(slug: str) -> list[body.PruneSet]:
    return client().prune_sets(slug)


def create_prune_set(score_set_id: int, create: body.PruneCreate) -> body.PruneSet:
    made = client().create_prune_set(score_set_id, create)
    forget()
    return made


# ---------------------------------------------------------------- compare and reports
def battery_plan(slug: str, params: BatteryParams) -> body.BatteryPlan:
    return client().battery_plan(slug, params)


@brief
def compare(slug: str, *, split: Split, attribute: str | None, group_set: int | None) -> body.Comparison:
    return client().compare(slug, split=split, attribute=attribute, group_set=group_set)


@lasting
def flips(slug: str, *, before: int, after: int, split: Split) -> body.Flips:
    return client().flips(slug, before_run=before, after_run=after, split=split)


@brief
def confusion(
    slug: str, *, runs: tuple[int, ...], split: Split, attribute: str | None, group_set: int | None
) -> body.Confusion:
    return client().confusion(slug, runs=list(runs), split=split, attribute=attribute, group_set=group_set)


@brief
def test_reveals(slug: str) -> list[body.TestReveal]:
    return client().test_reveals(slug)


def reveal_test(slug: str, who: str) -> None:
    client().reveal_test(slug, who=who)
    forget()


@brief
def workers() -> list[body.WorkerInfo]:
    return client().workers()


@brief
def reports(slug: str) -> list[body.Report]:
    return client().reports(slug)


def create_report(slug: str, create: body.ReportCreate) -> body.Report:
    made = client().create_report(slug, create)
    forget()
    return made


def revoke_report(report_id: int) -> None:
    client().revoke_report(report_id)
    forget()


# ---------------------------------------------------------------- people
def users() -> list[body.User]:
    return client().users()


def add_user(wanted: body.UserCreate) -> body.User:
    return client().add_user(wanted)


def change_user(name: str, patch: body.UserPatch) -> body.User:
    return client().change_user(name, patch)


def grant(name: str, wanted: body.RightWrite) -> body.User:
    return client().grant(name, wanted)


def tokens() -> list[body.Token]:
    return client().tokens()


def add_token(wanted: body.TokenCreate) -> body.TokenMade:
    return client().add_token(wanted)


def revoke_token(token_id: int) -> None:
    client().revoke_token(token_id)


def audit(project: str | None, limit: int) -> list[body.AuditLine]:
    return client().audit(project=project, limit=limit)


def server() -> body.ServerInfo:
    return client().server()


@lasting
def plugins() -> body.Plugins:
    return client().plugins()
