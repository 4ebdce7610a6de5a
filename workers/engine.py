"""The durable side: one workflow for every job kind, on DBOS.

`run_job_v1` plans a job into steps and executes each as one durable step. A step that finished is never repeated; the
one in hand at a kill is, and finds what it had stored under its key. A change of the order of durable steps would break
the jobs in flight: it needs a new workflow name, with this one kept until it has drained.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
import traceback
from typing import Any

from dbos import DBOS

from backend.store import jobs
from backend.store.db import APPLICATION, Store
from unskew.errors import Stopped
from unskew.schemas.enums import JobKind
from workers.context import Clock, Context, Step
from workers.jobs import kind

log = logging.getLogger("unskew.worker")
MAX_ATTEMPTS = 5  # deaths of a worker on one job before the job is given up
LEDGER_VERSION = "jobs-1"  # a hash of the code would strand jobs at every upgrade
POLL_SECONDS = 0.2


class Worker:
    """What the durable functions need and cannot be passed: DBOS stores their arguments."""

    store: Store
    device: str = "cpu"
    clocks: dict[str, Clock] = {}  # noqa: RUF012 - one worker a process


@DBOS.workflow(name=jobs.WORKFLOW, max_recovery_attempts=MAX_ATTEMPTS)
def run_job(job_id: str) -> None:
    try:
        steps = plan(job_id)
        for position, step in enumerate(steps):
            execute(job_id, position, len(steps), step)
        finish(job_id)
    except Exception as error:
        _failed(job_id, error)
        raise


@DBOS.step(name="plan")
def plan(job_id: str) -> list[Step]:
    context = _context(job_id)
    with Worker.store.session() as session:
        jobs.start(session, job_id, total=0)
        jobs.log(session, job_id, f"taken up by {DBOS.executor_id or os.getpid()}")
    steps = kind(_kind(job_id)).plan(context)
    with Worker.store.session() as session:
        jobs.change(session, job_id, total=len(steps))
    return steps


@DBOS.step(name="execute")
def execute(job_id: str, position: int, total: int, step: Step) -> None:
    context = _context(job_id, position, total, step["title"])
    if context.should_stop():  # a cancel that reached the row and not the ledger
        raise Stopped
    with Worker.store.session() as session:
        eta = context.clock.eta(position, total)
        jobs.start(session, job_id, total)
        jobs.change(session, job_id, done=float(position), step=step["title"][:200], eta_seconds=eta)
        jobs.log(session, job_id, f"start {position + 1}/{total}: {step['title']}")
    started = time.monotonic()
    try:
        result = kind(_kind(job_id)).run(context, step)
    except Stopped:  # said here: the ledger has no ear any more for a job that was cancelled
        context.log("stopped; what is finished is kept")
        raise
    with Worker.store.session() as session:
        row = jobs.get(session, job_id)
        jobs.change(session, job_id, done=position + 1.0, result=row.result | result)
        jobs.log(session, job_id, f"end {position + 1}/{total}: {step['title']} ({time.monotonic() - started:.1f} s)")


@DBOS.step(name="finish")
def finish(job_id: str) -> None:
    with Worker.store.session() as session:
        jobs.finish(session, job_id, jobs.get(session, job_id).result)
    shutil.rmtree(Worker.store.data / "work" / job_id, ignore_errors=True)


def _failed(job_id: str, error: Exception) -> None:
    if isinstance(error, Stopped):
        return
    with Worker.store.session() as session:
        jobs.log(session, job_id, "".join(traceback.format_exception(error)))
        jobs.fail(session, job_id, error)


def _kind(job_id: str) -> JobKind:
    with Worker.store.read() as session:
        return JobKind(jobs.get(session, job_id).kind)


def _context(job_id: str, position: int = 0, total: int = 1, title: str = "planning") -> Context:
    with Worker.store.read() as session:
        row = jobs.get(session, job_id)
        wanted = jobs.validated(JobKind(row.kind), row.params)
    clock = Worker.clocks.setdefault(job_id, Clock())
    return Context(Worker.store, job_id, row.project_id, wanted, Worker.device, position, total, title, clock)


def _worth_saying(record: logging.LogRecord) -> bool:
    """Leave out what is no news to us: that we chose SQLite, and the traceback of every job that somebody cancelled."""
    failure = record.exc_info[0] if record.exc_info else None
    cancelled = failure is not None and failure.__name__ == "DBOSAwaitedWorkflowCancelledError"
    return not cancelled and "recommended for production" not in record.getMessage()


def quiet_ledger() -> None:
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    logger.addFilter(_worth_saying)


def launch(store: Store, slot: str, device: str) -> None:
    """Start taking jobs. The slot must be this process's alone: whoever starts under it takes up what it left."""
    Worker.store, Worker.device = store, device
    quiet_ledger()
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": store.url,
            "application_version": LEDGER_VERSION,
            "executor_id": slot,
            "sys_db_pool_size": 3,
            "log_level": "WARNING",
        }
    )
    DBOS.listen_queues([jobs.CPU_QUEUE])
    DBOS.launch()
    DBOS.register_queue(jobs.CPU_QUEUE, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)


def take_over(store: Store, slot: str, seconds: float) -> None:
    """Requeue the jobs of workers that have been silent for longer than `seconds`.

    DBOS does this on the restart of the same slot only. Two workers doing it at once are safe: it is a guarded update.
    """
    found: list[Any] = store.queue.list_workflows(status="PENDING", load_input=False, load_output=False)
    holders = {workflow.executor_id for workflow in found} - {slot}
    with store.read() as session:
        silent = sorted(holders - jobs.live_slots(session, seconds))
    if silent:
        log.warning("taking over the jobs of %s", ", ".join(silent))
        DBOS._recover_pending_workflows(silent)
