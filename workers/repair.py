"""Bring job rows and the engine's ledger back together where a crash between two writes parted them.

A person's wish is written to the row first and to the ledger right after; a process that dies in between, or a job that
killed its worker too often, leaves the two apart. What is seen apart twice in a row is mended; once may be a write
that is still on its way.
"""

from __future__ import annotations

from backend.store import jobs
from backend.store.db import Store
from unskew.errors import UnskewError

DEAD_LETTER = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


def given_up() -> UnskewError:
    return UnskewError(
        "The job was given up: every worker that took it died.",
        fix="Memory is the usual cause: use a smaller batch or image size. Resume tries again.",
    )


class Repair:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._seen: dict[str, str] = {}

    def __call__(self) -> None:
        """One look; called every few seconds."""
        with self.store.read() as session:
            active = [row.id for row in jobs.active(session)]
        apart = self._ended(active) if active else {}
        for job_id, state in apart.items():
            if self._seen.get(job_id) == state:
                self._mend(job_id, state)
        self._seen = apart

    def _ended(self, active: list[str]) -> dict[str, str]:
        """Jobs whose rows are queued or running while their workflow has ended: id → how."""
        found = self.store.queue.list_workflows(workflow_ids=active, load_input=False, load_output=False)
        return {flow.workflow_id: flow.status for flow in found if flow.status not in jobs.LEDGER_ACTIVE}

    def _gets_on(self, job_id: str) -> bool:
        with self.store.read() as session:
            return jobs.futile_starts(session, job_id) < jobs.MAX_ATTEMPTS

    def _mend(self, job_id: str, state: str) -> None:
        if state in ("CANCELLED", "ERROR"):  # somebody wished to go on, and the wish did not arrive
            jobs.requeue(self.store, job_id)
            return
        if state == DEAD_LETTER and self._gets_on(job_id):  # many deaths, but not of one step
            jobs.requeue(self.store, job_id)
            return
        error = UnskewError(
            f"The job ended as {state.lower()} without a result.", fix="Read its log and the worker's, then resume it."
        )
        if state == DEAD_LETTER:
            error = given_up()
        with self.store.session() as session:
            jobs.log(session, job_id, error.what)
            jobs.fail(session, job_id, error)
