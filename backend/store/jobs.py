"""Jobs: the rows that people see, kept in step with the job engine's ledger in the same database.

A row and its place in the queue are committed in one transaction. The engine's workflow id is the row's id; a second
request for work that is queued or running is answered with the job that does it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import case, func, select, text, update
from sqlalchemy.orm import Session

from backend.store import tables
from backend.store.db import Store, insert_new, of_storage
from unskew.errors import ConflictError, NotFoundError, RowError, SettingsError, StorageError, UnskewError
from unskew.schemas import api, params
from unskew.schemas.enums import JobKind, JobStatus

_log = logging.getLogger("unskew.job")
WORKFLOW, STEP_WORKFLOW = "run_job_v1", "run_step_v1"
CPU_QUEUE, GPU_QUEUE = "cpu", "gpu"
GAINS_FROM_GPU = {
    JobKind.TRAIN,
    JobKind.ATTRIBUTE,
    JobKind.SEARCH_K,
    JobKind.RETRAIN,
    JobKind.BATTERY,
    JobKind.LDS,
}
CANCELLED = "cancelled"  # the line of the log
PRIORITY = 10  # unset would overtake everything
ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
LEDGER_ACTIVE = ("ENQUEUED", "PENDING", "DELAYED")  # the engine's words
LIVE_SECONDS = 60.0
MAX_ATTEMPTS = 10  # deaths of a worker on one step before the job is given up

PARAMS: dict[JobKind, type[params.Params]] = {
    JobKind.IMPORT: params.ImportParams,
    JobKind.TRAIN: params.TrainJobParams,
    JobKind.IMPORT_CHECKPOINTS: params.ImportCheckpointsParams,
    JobKind.ATTRIBUTE: params.AttributeParams,
    JobKind.IMPORT_ATTRIBUTION: params.ImportAttributionParams,
    JobKind.DISCOVER: params.DiscoverParams,
    JobKind.SCORE: params.ScoreParams,
    JobKind.SEARCH_K: params.SearchKParams,
    JobKind.RETRAIN: params.RetrainParams,
    JobKind.BATTERY: params.BatteryParams,
    JobKind.LDS: params.LdsParams,
    JobKind.CONTINUE: params.ContinueParams,
}


def validated(kind: JobKind, values: dict[str, Any]) -> params.Params:
    """The kind's parameters; a wrong field is named in the error."""
    try:
        return PARAMS[kind].model_validate(values)
    except ValidationError as error:
        rows = [
            RowError(None, ".".join(map(str, e["loc"])) or kind.value, repr(e.get("input"))[:80], e["msg"])
            for e in error.errors()
        ]
        raise SettingsError(
            f"{rows[0].field}: {rows[0].message} (got {rows[0].value}).",
            fix=f"See the parameters of {kind.value}.",
            rows=rows,
        ) from None


def create(store: Store, kind: JobKind, wanted: params.Params, project_id: int | None = None) -> tables.Job:
    """Ask for a job; an identical one that is queued or running is returned instead.

    Raises:
        ConflictError: another step must come first.
    """
    from backend import pipeline

    values = wanted.model_dump(mode="json")
    with store.session() as session:
        same = select(tables.Job).where(
            tables.Job.kind == kind,
            tables.Job.project_id.is_(project_id) if project_id is None else tables.Job.project_id == project_id,
        )
        for row in session.scalars(same.where(tables.Job.status.in_(ACTIVE))):
            if row.params == values:
                return row
        pipeline.check(session, kind, wanted, project_id)
        row = tables.Job(
            id=f"{kind.value}-{uuid.uuid4().hex[:12]}",
            project_id=project_id,
            kind=kind,
            params=values,
            status=JobStatus.QUEUED,
        )
        session.add(row)
        session.flush()
        options: Any = {
            "workflow_name": WORKFLOW,
            "queue_name": queue_for(session, kind),
            "priority": PRIORITY,
            "workflow_id": row.id,
        }
        store.queue.enqueue_in_transaction(session, options, row.id)
        return row


def get(session: Session, job_id: str) -> tables.Job:
    row = session.get(tables.Job, job_id)
    if row is None:
        raise NotFoundError(f"There is no job {job_id!r}.")
    return row


def list_jobs(session: Session, project_ids: Collection[int] | None = None, limit: int = 100) -> list[tables.Job]:
    """Newest first; of these projects, or all with those that belong to none yet."""
    query = select(tables.Job).order_by(tables.Job.created_at.desc(), tables.Job.id).limit(limit)
    if project_ids is not None:
        query = query.where(tables.Job.project_id.in_(project_ids))
    return list(session.scalars(query))


def as_schema(session: Session, row: tables.Job) -> api.Job:
    slug = None
    if row.project_id is not None:
        slug = session.scalar(select(tables.Project.slug).where(tables.Project.id == row.project_id))
    return api.Job(
        id=row.id,
        kind=JobKind(row.kind),
        project=slug,
        status=JobStatus(row.status),
        params=row.params,
        done=row.done,
        total=row.total,
        step=row.step,
        eta_seconds=row.eta_seconds,
        error=None if row.error is None else api.Problem.model_validate(row.error),
        result=row.result,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def change(session: Session, job_id: str, **values: Any) -> None:
    """Write columns of a job; one that was cancelled meanwhile stays cancelled. `done` never goes back."""
    if "done" in values:
        done = tables.Job.done
        values["done"] = case((done > values["done"], done), else_=values["done"])
    session.execute(
        update(tables.Job).where(tables.Job.id == job_id, tables.Job.status != JobStatus.CANCELLED).values(**values)
    )


def start(session: Session, job_id: str, total: int) -> None:
    row = get(session, job_id)
    change(
        session,
        job_id,
        status=JobStatus.RUNNING,
        total=total,
        started_at=row.started_at or datetime.now(UTC),
        error=None,
    )


def finish(session: Session, job_id: str, result: dict[str, Any]) -> None:
    total = get(session, job_id).total
    change(
        session,
        job_id,
        status=JobStatus.DONE,
        done=total,
        step="done",
        eta_seconds=0.0,
        result=result,
        finished_at=datetime.now(UTC),
    )


def fail(session: Session, job_id: str, error: BaseException) -> None:
    """Record why: a user's mistake in its own words, what disk or database said, anything else by its type."""
    storage = of_storage(error)
    if storage is not None:
        error = StorageError(
            f"The job could not store what it made: {storage}.",
            fix="Free some space on the disks of data folder and database, then resume the job. "
            "`unskew doctor` says more.",
        )
    if isinstance(error, UnskewError):
        rows = [api.RowProblem(**vars(row)) for row in error.rows]
        problem = api.Problem(
            type=error.code, title=error.code, status=422, detail=error.what, fix=error.fix, rows=rows
        )
    else:
        detail = f"{type(error).__name__}: {error}"
        problem = api.Problem(
            type="internal",
            title="internal error",
            status=500,
            detail=detail,
            fix="The job's log has the details; resume retries it.",
        )
    change(
        session,
        job_id,
        status=JobStatus.FAILED,
        error=problem.model_dump(mode="json"),
        eta_seconds=None,
        finished_at=datetime.now(UTC),
    )


def log(session: Session, job_id: str, line: str) -> tables.JobLog:
    row = tables.JobLog(job_id=job_id, text=line)
    session.add(row)
    _log.info(line, extra={"job_id": job_id})
    return row


def log_lines(session: Session, job_id: str, after: int = 0, limit: int = 1000) -> list[tables.JobLog]:
    """Lines after number `after`, oldest first; with after = 0 the last `limit` lines."""
    query = select(tables.JobLog).where(tables.JobLog.job_id == job_id, tables.JobLog.id > after)
    return list(reversed(session.scalars(query.order_by(tables.JobLog.id.desc()).limit(limit)).all()))


def add_metrics(
    session: Session, job_id: str, run_key: str, title: str, epoch: float, values: dict[str, float]
) -> None:
    """Points of a training curve; an epoch that was trained twice (after a kill, or by two at once) is written once."""
    point = {"job_id": job_id, "run_key": run_key, "title": title, "epoch": epoch}
    rows = [point | {"name": name, "value": value} for name, value in values.items()]
    if rows:
        session.execute(insert_new(session, tables.Metric).values(rows))


def metrics(session: Session, job_id: str) -> list[tables.Metric]:
    return list(session.scalars(select(tables.Metric).where(tables.Metric.job_id == job_id).order_by(tables.Metric.id)))


def cancel(store: Store, job_id: str) -> None:
    """Stop a job: at once in the queue, within about a second inside a long step. Finished steps are kept."""
    with store.session() as session:
        row = get(session, job_id)
        if row.status not in ACTIVE:
            raise ConflictError(
                f"Job {job_id} is {row.status} already.", fix="Only queued and running jobs can be cancelled."
            )
        row.status, row.finished_at, row.eta_seconds = JobStatus.CANCELLED, datetime.now(UTC), None
        log(session, job_id, CANCELLED)
    store.queue.cancel_workflow(job_id, cancel_children=True)


def resume(store: Store, job_id: str) -> None:
    """Go on with a cancelled or failed job at its first unfinished step."""
    with store.session() as session:
        row = get(session, job_id)
        if row.status not in (JobStatus.CANCELLED, JobStatus.FAILED):
            raise ConflictError(f"Job {job_id} is {row.status}.", fix="Only cancelled and failed jobs can be resumed.")
        row.status, row.error, row.finished_at = JobStatus.QUEUED, None, None
        log(session, job_id, "resumed")
    requeue(store, job_id)


def requeue(store: Store, job_id: str) -> None:
    """Put an ended workflow back into the queue at its first step without a good result."""
    with store.read() as session:
        queue = queue_for(session, JobKind(get(session, job_id).kind))
    [own] = store.queue.list_workflows(workflow_ids=[job_id], load_input=False, load_output=False)
    if own.status in LEDGER_ACTIVE:  # its worker was lost between telling of the end and ending
        store.queue.cancel_workflow(job_id, cancel_children=True)
    flows = store.queue.list_workflows(workflow_id_prefix=step_id(job_id, ""), load_input=False, load_output=False)
    for flow in flows:
        if flow.status not in (*LEDGER_ACTIVE, "SUCCESS"):
            _rewind(store, flow.workflow_id, steps_queue(queue))
    _rewind(store, job_id, queue)


def _rewind(store: Store, workflow_id: str, queue: str) -> None:
    steps = store.queue.list_workflow_steps(workflow_id)
    after_last = max((step["function_id"] for step in steps), default=0) + 1
    # A step that was stopped by a cancel left its error in the ledger: a plain resume would replay that.
    broken = min((step["function_id"] for step in steps if step["error"]), default=after_last)
    store.queue.rewind_workflow(workflow_id, start_step=broken, queue_name=queue)


def step_id(job_id: str, position: int | str) -> str:
    """The workflow of a step that is executed by itself."""
    return f"{job_id}-step-{position}"


def add_result(session: Session, job_id: str, result: dict[str, Any]) -> None:
    """Add to what the job's steps found; steps may end at the same time, on several machines."""
    row = session.get_one(tables.Job, job_id, with_for_update=True, populate_existing=True)
    change(session, job_id, result=row.result | result)


def n_finished(session: Session, job_id: str) -> int:
    """How many different steps have ended well, from the log."""
    log = tables.JobLog
    lines = session.scalars(select(log.text).where(log.job_id == job_id, log.text.like("end %")))
    return len({line.split(":", 1)[0] for line in lines})


def start_line(position: int, total: int, done: float, title: str) -> str:
    """What the log says at the start of a step; an attempt before it may have got further than its beginning."""
    reached = f" from {done:.4f}" if done > position else ""
    return f"start {position + 1}/{total}{reached}: {title}"


def futile_starts(session: Session, job_id: str) -> int:
    """How often the job was begun since it last got on: many mean that the step kills its worker.

    A worker that was lost after it had got on, however often that happens, is not the job's fault.
    """
    query = select(tables.JobLog.text).where(tables.JobLog.job_id == job_id).order_by(tables.JobLog.id.desc())
    n, reached = 0, None
    for line in session.scalars(query.limit(200)):
        if line.startswith(("end ", "resumed")):
            break
        if line.startswith("start "):
            head = line.split(":", 1)[0]
            if reached not in (None, head):
                break
            reached = head
        n += line.startswith(("start ", "taken up "))
    return n


def is_cancelled(session: Session, job_id: str, since: int = 0) -> bool:
    """Whether it is, or was after its log had line `since`: a step that began before must end, for a resumed job begins
    it anew."""
    job, line = tables.Job, tables.JobLog
    told = select(line.id).where(line.job_id == job_id, line.id > since, line.text == CANCELLED)
    status, again = session.execute(select(job.status, told.exists()).where(job.id == job_id)).one()
    return bool(status == JobStatus.CANCELLED or (since and again))


def has_ended(session: Session, job_id: str, position: int, total: int) -> bool:
    """Whether the log says that the step ended: a worker may be lost between that and the ledger."""
    line = tables.JobLog
    told = select(line.id).where(line.job_id == job_id, line.text.startswith(f"end {position + 1}/{total}: "))
    return session.scalar(told.limit(1)) is not None


def active(session: Session) -> list[tables.Job]:
    """Queued and running jobs."""
    return list(session.scalars(select(tables.Job).where(tables.Job.status.in_(ACTIVE))))


def unfinished(session: Session) -> set[str]:
    """Jobs that may go on: all but those that are done."""
    return set(session.scalars(select(tables.Job.id).where(tables.Job.status != JobStatus.DONE)))


def counts(session: Session) -> dict[tuple[str, str], int]:
    """Number of jobs by kind and status."""
    by = (tables.Job.kind, tables.Job.status)
    rows = session.execute(select(*by, func.count()).group_by(*by))
    return {(str(kind), str(status)): n for kind, status, n in rows}


def n_active(session: Session, project_id: int | None = None) -> int:
    """Jobs that are queued or running; of one project, or of all."""
    query = select(func.count()).select_from(tables.Job).where(tables.Job.status.in_(ACTIVE))
    return session.scalar(query if project_id is None else query.where(tables.Job.project_id == project_id)) or 0


# ---------------------------------------------------------------- liveness of workers, by the database's clock
def _clock(session: Session) -> str:
    sqlite = session.get_bind().dialect.name == "sqlite"
    return "(julianday('now') - 2440587.5) * 86400.0" if sqlite else "extract(epoch from clock_timestamp())"


def beat(session: Session, slot: str, device: str = "cpu") -> None:
    clock = _clock(session)
    statement = (
        f"INSERT INTO worker_beat (id, beat, device) VALUES (:slot, {clock}, :device) "
        f"ON CONFLICT (id) DO UPDATE SET beat = {clock}, device = :device"
    )
    session.execute(text(statement), {"slot": slot, "device": device})


def forget(session: Session, slot: str) -> None:
    """A worker that ends in good order is not alive any more from now on."""
    session.execute(text("DELETE FROM worker_beat WHERE id = :slot"), {"slot": slot})


def live_slots(session: Session, seconds: float = LIVE_SECONDS) -> set[str]:
    """Slots that beat within this time. A beat from the future, left by a clock that was set back, counts for none."""
    clock = _clock(session)
    rows = session.execute(
        text(f"SELECT id FROM worker_beat WHERE beat > {clock} - :seconds AND beat < {clock} + :seconds"),
        {"seconds": seconds},
    )
    return {row[0] for row in rows}


def beats(session: Session, seconds: float = LIVE_SECONDS) -> dict[str, float]:
    """Worker → seconds since its last beat; of those that are alive."""
    clock = _clock(session)
    rows = session.execute(
        text(f"SELECT id, {clock} - beat FROM worker_beat WHERE beat > {clock} - :seconds"), {"seconds": seconds}
    )
    return {name: max(0.0, float(ago)) for name, ago in rows}


def worker_alive(session: Session) -> bool:
    """Whether some worker beat lately; one killed a few seconds ago still counts."""
    return bool(live_slots(session, 5.0))


# ---------------------------------------------------------------- queues by device
def queues_of(device: str) -> list[str]:
    """What a worker with this device takes: with a GPU also what needs none, for it may be the only worker."""
    return [CPU_QUEUE] if device == "cpu" else [GPU_QUEUE, CPU_QUEUE]


def steps_queue(queue: str) -> str:
    """Where single steps of that queue's jobs wait."""
    return f"{queue}-steps"


def queue_for(session: Session, kind: JobKind) -> str:
    """The GPU workers' for work that gains from it, where there are any alive; else everybody's."""
    return GPU_QUEUE if kind in GAINS_FROM_GPU and n_workers(session, GPU_QUEUE) else CPU_QUEUE


def n_workers(session: Session, queue: str) -> int:
    """Live workers that take from this queue."""
    live = live_slots(session)
    rows = session.execute(select(tables.WorkerBeat.id, tables.WorkerBeat.device))
    return sum(slot in live and queue in queues_of(device) for slot, device in rows)
