"""The durable side: one workflow for every job kind, on DBOS.

`run_job_v1` plans a job into steps and executes each as one durable step. A step that finished is never repeated; the
one in hand at a kill is, and finds what it had stored under its key. A change of the order of durable steps would break
the jobs in flight: it needs a new workflow name, with this one kept until it has drained.

Steps that may run beside each other say so (`"beside": True`). When more than one worker is alive as the job is
planned, each of them becomes a workflow of its own, `run_step_v1`, which any worker for that device takes; the job
waits. A process executes one step at a time, whatever it waits for: one device, one step.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
import traceback
from typing import Any

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos._dbos import _get_dbos_instance
from dbos._error import DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from backend import logs
from backend.store import jobs
from backend.store.db import APPLICATION, Store, is_full
from unskew.errors import Stopped, UnskewError
from unskew.memory import ERRORS, ran_out
from unskew.schemas.enums import JobKind
from workers.context import Clock, Context, Step
from workers.jobs import kind
from workers.repair import given_up

log = logging.getLogger("unskew.worker")
LEDGER_VERSION = "jobs-1"  # a hash of the code would strand jobs at every upgrade
POLL_SECONDS = 0.2
ROOM_SECONDS = 5.0  # between two looks whether a full disk has room again


class Worker:
    """What the durable functions need and cannot be passed: DBOS stores their arguments."""

    store: Store
    device: str = "cpu"
    clocks: dict[str, Clock] = {}  # noqa: RUF012 - one worker a process
    busy = threading.Lock()  # one device, one step


@DBOS.workflow(name=jobs.WORKFLOW, max_recovery_attempts=jobs.MAX_ATTEMPTS)
def run_job(job_id: str) -> None:
    try:
        steps = plan(job_id)
        position = 0
        while position < len(steps):
            together = _together(steps, position)
            if together > 1:
                _spread(job_id, steps, range(position, position + together))
            else:
                execute(job_id, position, len(steps), steps[position])
            position += together
        finish(job_id)
    except Exception as error:
        _failed(job_id, error)
        raise


@DBOS.workflow(name=jobs.STEP_WORKFLOW, max_recovery_attempts=jobs.MAX_ATTEMPTS)
def run_step(job_id: str, position: int, total: int, step: Step) -> None:
    """One step of a job that others execute beside it."""
    execute(job_id, position, total, step)


def _together(steps: list[Step], position: int) -> int:
    """How many steps from here on may run beside each other; 1 where the job was planned for one worker."""
    n = 0
    while position + n < len(steps) and steps[position + n].get("queue"):
        n += 1
    return max(n, 1)


def _spread(job_id: str, steps: list[Step], positions: range) -> None:
    """Hand the steps to whoever is free, and wait for all of them; then raise what the first failed with."""
    handles = []
    for position in positions:
        with SetWorkflowID(jobs.step_id(job_id, position)), SetEnqueueOptions(priority=jobs.PRIORITY):
            queue = steps[position]["queue"]
            handles.append(DBOS.enqueue_workflow(queue, run_step, job_id, position, len(steps), steps[position]))
    errors: list[Exception] = []
    for handle in handles:
        try:
            handle.get_result()
        except DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
            errors.append(given_up())
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


@DBOS.step(name="plan")
def plan(job_id: str) -> list[Step]:
    context = _context(job_id)
    with Worker.store.session() as session:
        jobs.start(session, job_id, total=0)
        jobs.log(session, job_id, f"taken up by {DBOS.executor_id or os.getpid()}")
    name = _kind(job_id)
    with Worker.busy:
        steps = kind(name).plan(context)
    with Worker.store.session() as session:
        jobs.change(session, job_id, total=len(steps))
        queue = jobs.queue_for(session, name)
        if jobs.n_workers(session, queue) > 1:
            steps = [step | {"queue": jobs.steps_queue(queue)} if step.get("beside") else step for step in steps]
    return steps


@DBOS.step(name="execute")
def execute(job_id: str, position: int, total: int, step: Step) -> None:
    with Worker.busy:
        _execute(job_id, position, total, step)


def _execute(job_id: str, position: int, total: int, step: Step) -> None:
    context = _context(job_id, position, total, step["title"])
    context.beside = bool(step.get("queue"))
    if context.should_stop():  # a cancel that reached the row and not the ledger
        raise Stopped
    with Worker.store.session() as session:
        jobs.start(session, job_id, total)
        begun: dict[str, Any] = {"step": step["title"][:200]}
        if not context.beside:
            begun |= {"done": float(position), "eta_seconds": context.clock.eta(position, total)}
        jobs.change(session, job_id, **begun)
        reached = 0.0 if context.beside else jobs.get(session, job_id).done
        line = jobs.log(session, job_id, jobs.start_line(position, total, reached, step["title"]))
    context.since = line.id
    started = time.monotonic()
    try:
        try:
            result = kind(_kind(job_id)).run(context, step)
        except IntegrityError:  # a twin that was cancelled or frozen stored it first: now it is found
            result = kind(_kind(job_id)).run(context, step)
    except Stopped:  # said here: the ledger has no ear any more for a job that was cancelled
        context.log("stopped; what is finished is kept")
        raise
    except ERRORS as error:  # features, training and prediction have tried smaller batches already
        if not ran_out(error):
            raise
        raise UnskewError(
            f"Memory ran out in {step['title']!r} ({str(error).split(chr(10))[0][:200] or type(error).__name__}).",
            fix="Use smaller inputs, a smaller model or projection, or a device with more memory; then resume.",
        ) from error
    with Worker.store.session() as session:
        jobs.add_result(session, job_id, result)
        if not jobs.has_ended(session, job_id, position, total):
            took = time.monotonic() - started
            jobs.log(session, job_id, f"end {position + 1}/{total}: {step['title']} ({took:.1f} s)")
        done = jobs.n_finished(session, job_id) if context.beside else position + 1
        jobs.change(session, job_id, done=float(done))


@DBOS.step(name="finish")
def finish(job_id: str) -> None:
    with Worker.store.session() as session:
        jobs.finish(session, job_id, jobs.get(session, job_id).result)
    shutil.rmtree(Worker.store.data / "work" / job_id, ignore_errors=True)


def _failed(job_id: str, error: Exception) -> None:
    """Write down why; on a full disk as soon as it has room again.

    A job whose database was full did nothing wrong: its row stays as it is, and `Repair` has it go on.
    """
    if isinstance(error, Stopped):
        return

    def tell(session: Session) -> None:
        if is_full(error):
            jobs.log(session, job_id, "the disk of the database was full; the job goes on")
            return
        jobs.log(session, job_id, "".join(traceback.format_exception(error)))
        jobs.fail(session, job_id, error)

    while True:
        try:
            with Worker.store.session() as session:
                tell(session)
            return
        except OperationalError as full:
            if not is_full(full):
                raise
        log.error("The disk of %s is full: job %s waits for room.", Worker.store.data, job_id)
        time.sleep(ROOM_SECONDS)


def _wait_for_room(failure: Any) -> None:
    """Have the ledger treat a full disk as it treats a locked database: try again until it works."""
    if is_full(failure.sqlalchemy_exception):
        raise sqlite3.OperationalError(f"database is locked until its disk has room: {failure.original_exception}")


def _kind(job_id: str) -> JobKind:
    with Worker.store.read() as session:
        return JobKind(jobs.get(session, job_id).kind)


def _context(job_id: str, position: int = 0, total: int = 1, title: str = "planning") -> Context:
    logs.job_id.set(job_id)  # one job at a time in a worker: everything from here on is about it
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
    queues = [name for queue in jobs.queues_of(device) for name in (queue, jobs.steps_queue(queue))]
    DBOS.listen_queues(queues)
    DBOS.launch()
    event.listen(_get_dbos_instance()._sys_db.engine, "handle_error", _wait_for_room)
    for queue in queues:
        DBOS.register_queue(queue, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)


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
