"""The Python SDK: one typed method for every route of `/api/v1`.

    from unskew.client import Client
    for project in Client("http://127.0.0.1:8501").projects(): …

Answers come back as the bodies of `unskew.schemas.api`; a problem comes back as the `UnskewError` that the server
raised, with its fix and its rows. Importing this needs neither torch nor a data folder.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

from pydantic import BaseModel, TypeAdapter, ValidationError

from unskew import errors
from unskew.schemas import api
from unskew.schemas.enums import JobKind, JobStatus, LabelOrder, PreviewPart, Split
from unskew.schemas.params import BatteryParams, ImportParams, Params
from unskew.schemas.report import FrozenReport

PREFIX = "/api/v1"
TIMEOUT_SECONDS = 60.0  # a report is frozen within one request
_RAW = {"Content-Type": "application/octet-stream"}
ENDED = (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)

T = TypeVar("T")

_ERRORS: dict[str, type[errors.UnskewError]] = {
    kind.code: kind
    for kind in (
        errors.DataError,
        errors.ModelError,
        errors.SettingsError,
        errors.NotFoundError,
        errors.ConflictError,
        errors.StorageError,
        errors.LoginError,
        errors.RightsError,
        errors.ServerError,
    )
}


class Response(Protocol):
    """What the client reads of an answer."""

    @property
    def status_code(self) -> int: ...
    @property
    def content(self) -> bytes: ...


class Transport(Protocol):
    """What the client needs of an HTTP library: `httpx.Client`, or a test client on the application itself."""

    def request(
        self, method: str, url: str, *, params: Any = None, json: Any = None, content: Any = None, headers: Any = None
    ) -> Any: ...
    def close(self) -> None: ...


class ExampleQuery(TypedDict, total=False):
    """Which examples of a project, in which order; None or left out: does not matter."""

    split: Split  # left out: train
    label: int | None
    attribute: str | None
    value: str | None  # goes with `attribute`
    correct: bool | None  # by the majority of the attributed checkpoints; validation only
    low: float | None  # bounds of what the page is sorted by
    high: float | None
    view: int | None  # only of that saved view
    group_set: int | None  # validation only
    group: int | None  # goes with `group_set`: label-major number, -1 = in none
    direction: int | None  # sorted by its projection or loading
    score_set: int | None  # sorted by T
    descending: bool


class Client:
    """A connection to one server; safe to share between threads.

    Args:
        base_url: scheme, host and port.
        token: a key from `unskew token add`, where people log in.
        http: another transport, for tests; `base_url` is then not used.
    """

    def __init__(
        self, base_url: str = "http://127.0.0.1:8501", *, token: str | None = None, http: Transport | None = None
    ) -> None:
        self.base_url = base_url.rstrip("/")
        if http is None:
            import httpx  # here, so that importing the SDK stays cheap

            headers = {"Authorization": f"Bearer {token}"} if token else {}
            # Reading the certificates takes 25 ms, which plain HTTP can spare; whatever else it is, it is verified.
            verify = not self.base_url.lower().startswith("http:")
            http = httpx.Client(
                base_url=self.base_url, timeout=TIMEOUT_SECONDS, trust_env=False, headers=headers, verify=verify
            )
        self._http = http

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ the server itself
    def health(self) -> api.Health:
        return self._one(api.Health, "GET", "/health")

    def version(self) -> api.Version:
        return self._one(api.Version, "GET", "/version")

    def workers(self) -> list[api.WorkerInfo]:
        """Workers that are alive."""
        return self._many(api.WorkerInfo, "/workers")

    def plugins(self) -> api.Plugins:
        """Import paths of one's own code that may be named over the network."""
        return self._one(api.Plugins, "GET", "/plugins")

    def server(self) -> api.ServerInfo:
        """Versions, settings, limits and disk use; for admins."""
        return self._one(api.ServerInfo, "GET", "/server")

    # ------------------------------------------------------------ projects and examples
    def projects(self) -> list[api.Project]:
        """Newest first."""
        return self._many(api.Project, "/projects")

    def project(self, slug: str) -> api.ProjectDetail:
        return self._one(api.ProjectDetail, "GET", f"/projects/{slug}")

    def check_import(self, params: ImportParams, *, decode: bool = False) -> api.ImportCheck:
        """What an import would find; registers nothing. `decode`: read every image too, which takes as long."""
        return self._one(api.ImportCheck, "POST", "/projects/check", json=_dump(params), query={"decode": decode})

    def upload(self, name: str, content: bytes) -> api.Upload:
        """Send a table, an .npz or a zip of images; its `source` goes into `ImportParams`."""
        response = self._request("POST", "/projects/uploads", content=content, query={"name": name})
        return _read(TypeAdapter(api.Upload), response.content)

    def import_project(self, params: ImportParams) -> api.Job:
        return self._one(api.Job, "POST", "/projects", json=_dump(params))

    def faults(self, slug: str) -> api.Faults:
        """Examples that repeat another, and files that are gone since the import."""
        return self._one(api.Faults, "GET", f"/projects/{slug}/faults")

    def delete_project(self, slug: str) -> None:
        self._request("DELETE", f"/projects/{slug}")

    def examples(
        self, slug: str, *, after: str | None = None, limit: int = 100, **query: Unpack[ExampleQuery]
    ) -> api.ExamplePage:
        """One page, as stored or by a direction or by T of a score set; pass the page's `next` as `after`."""
        asked: dict[str, Any] = {**query, "after": after, "limit": limit}
        return self._one(api.ExamplePage, "GET", f"/projects/{slug}/examples", query=asked)

    def view_summary(
        self, slug: str, *, attributes: list[str] | None = None, **query: Unpack[ExampleQuery]
    ) -> api.ViewSummary:
        """Counts by class, attribute, right and wrong, and of what it is sorted by, over all pages of `examples`.

        `attributes`: those to count; None: all, which takes a while for the first time where there are many.
        """
        asked: dict[str, Any] = {**query, "attributes": attributes}
        return self._one(api.ViewSummary, "GET", f"/projects/{slug}/examples/summary", query=asked)

    def example(self, slug: str, example_id: int) -> api.Example:
        return self._one(api.Example, "GET", f"/projects/{slug}/examples/{example_id}")

    def thumbnail(self, slug: str, example_id: int, *, size: int = 128) -> bytes:
        """WebP."""
        return self._bytes(f"/projects/{slug}/examples/{example_id}/thumbnail", query={"size": size})

    def thumbnails(self, slug: str, example_ids: Sequence[int], *, size: int = 128) -> dict[int, bytes]:
        """WebP by example id, at most 1,000; those that take longer to make than a moment are left out."""
        query = {"ids": ",".join(map(str, example_ids)), "size": size}
        found = json.loads(self._bytes(f"/projects/{slug}/examples/thumbnails", query=query))
        return {int(number): b64decode(content) for number, content in found.items()}

    def image(self, slug: str, example_id: int) -> bytes:
        """The file as it was imported."""
        return self._bytes(f"/projects/{slug}/examples/{example_id}/image")

    def examples_by_id(self, slug: str, example_ids: list[int]) -> list[api.Example]:
        """These examples in this order, at most 1,000."""
        ids = ",".join(map(str, example_ids))
        return self._many(api.Example, f"/projects/{slug}/examples/by-id", query={"ids": ids})

    def example_detail(self, slug: str, example_id: int) -> api.ExampleDetail:
        """Predictions of every checkpoint, loss, place along directions and in T, groups."""
        return self._one(api.ExampleDetail, "GET", f"/projects/{slug}/examples/{example_id}/detail")

    def example_influence(self, slug: str, example_id: int, *, n: int = 24) -> api.Influence:
        """Training examples that help and hurt a validation example most."""
        return self._one(api.Influence, "GET", f"/projects/{slug}/examples/{example_id}/influence", query={"n": n})

    def nearest(self, slug: str, example_id: int, *, n: int = 24) -> list[api.Example]:
        """Examples of its class and split that lie nearest along the class's directions; value = distance."""
        return self._many(api.Example, f"/projects/{slug}/examples/{example_id}/nearest", query={"n": n})

    # ------------------------------------------------------------ saved views
    def views(self, slug: str) -> list[api.SavedView]:
        """Newest first."""
        return self._many(api.SavedView, f"/projects/{slug}/views")

    def create_view(self, slug: str, body: api.ViewCreate) -> api.SavedView:
        return self._one(api.SavedView, "POST", f"/projects/{slug}/views", json=_dump(body))

    def view(self, view_id: int) -> api.SavedView:
        return self._one(api.SavedView, "GET", f"/views/{view_id}")

    def delete_view(self, view_id: int) -> None:
        self._request("DELETE", f"/views/{view_id}")

    # ------------------------------------------------------------ jobs and runs
    def start_job(self, slug: str, kind: JobKind, params: Params | dict[str, Any] | None = None) -> api.Job:
        """Ask for a job; an identical one that is queued or running is returned instead."""
        values = _dump(params) if isinstance(params, BaseModel) else params or {}
        return self._one(api.Job, "POST", f"/projects/{slug}/jobs", json={"kind": kind, "params": values})

    def jobs(self, *, project: str | None = None, limit: int = 100) -> list[api.Job]:
        """Newest first."""
        return self._many(api.Job, "/jobs", query={"project": project, "limit": limit})

    def job(self, job_id: str) -> api.Job:
        return self._one(api.Job, "GET", f"/jobs/{job_id}")

    def wait_for_job(
        self, job_id: str, *, poll_seconds: float = 1.0, on_change: Callable[[api.Job], None] | None = None
    ) -> api.Job:
        """Return the job when it is done, failed or cancelled; `on_change` sees every poll until then."""
        while True:
            job = self.job(job_id)
            if on_change is not None:
                on_change(job)
            if job.status in ENDED:
                return job
            time.sleep(poll_seconds)

    def job_log(self, job_id: str, *, after: int = 0) -> list[api.LogLine]:
        """Lines after number `after`, oldest first."""
        return self._many(api.LogLine, f"/jobs/{job_id}/log", query={"after": after})

    def job_metrics(self, job_id: str) -> dict[str, list[api.CurvePoint]]:
        """Training curves by run ("erm, seed 0"), while they grow."""
        content = self._request("GET", f"/jobs/{job_id}/metrics").content
        return _read(TypeAdapter(dict[str, list[api.CurvePoint]]), content)

    def cancel_job(self, job_id: str) -> api.Job:
        return self._one(api.Job, "POST", f"/jobs/{job_id}/cancel")

    def resume_job(self, job_id: str) -> api.Job:
        return self._one(api.Job, "POST", f"/jobs/{job_id}/resume")

    def runs(self, slug: str) -> list[api.Run]:
        """Oldest first."""
        return self._many(api.Run, f"/projects/{slug}/runs")

    # ------------------------------------------------------------ attribution and directions
    def attributions(self, slug: str) -> list[api.Attribution]:
        """Newest first."""
        return self._many(api.Attribution, f"/projects/{slug}/attributions")

    def lds(self, slug: str) -> list[api.Lds]:
        """Newest first; a job of kind lds makes one."""
        return self._many(api.Lds, f"/projects/{slug}/lds")

    def directions(self, slug: str, *, label: int | None = None) -> list[api.Direction]:
        """Of the newest attribution that has any; by class, then by share."""
        return self._many(api.Direction, f"/projects/{slug}/directions", query={"label": label})

    def direction(self, direction_id: int) -> api.DirectionDetail:
        return self._one(api.DirectionDetail, "GET", f"/directions/{direction_id}")

    def update_direction(self, direction_id: int, patch: api.DirectionPatch) -> api.DirectionDetail:
        """Name, note, sign and state; fields that were not set stay as they are."""
        body = patch.model_dump(mode="json", exclude_unset=True)
        return self._one(api.DirectionDetail, "PATCH", f"/directions/{direction_id}", json=body)

    def strips(self, direction_id: int, *, n: int = 24, offset: int = 0) -> list[api.Strip]:
        """Both ends of both strips, from the extreme inwards."""
        return self._many(api.Strip, f"/directions/{direction_id}/strips", query={"n": n, "offset": offset})

    def scatter(
        self,
        direction_id: int,
        *,
        other: int,
        attribute: str | None = None,
        group_set: int | None = None,
        limit: int = 20_000,
    ) -> api.Scatter:
        """A class's validation examples along two of its directions, as columns."""
        query = {"other": other, "attribute": attribute, "group_set": group_set, "limit": limit}
        return self._one(api.Scatter, "GET", f"/directions/{direction_id}/scatter", query=query)

    def histogram(
        self, direction_id: int, *, attribute: str | None = None, group_set: int | None = None
    ) -> api.Histogram:
        """Projections told apart by an attribute, by a group set, or by right and wrong."""
        query = {"attribute": attribute, "group_set": group_set}
        return self._one(api.Histogram, "GET", f"/directions/{direction_id}/histogram", query=query)

    def end_influence(self, direction_id: int, *, end: int, n: int = 24) -> api.Influence:
        """Training examples that help and hurt the extreme validation examples at one end (−1 or 1) most."""
        return self._one(api.Influence, "GET", f"/directions/{direction_id}/influence", query={"end": end, "n": n})

    def group_influence(self, group_set_id: int, *, group: int, n: int = 24) -> api.Influence:
        """Training examples that help and hurt a group most."""
        query = {"group": group, "n": n}
        return self._one(api.Influence, "GET", f"/group-sets/{group_set_id}/influence", query=query)

    # ------------------------------------------------------------ groups and labels
    def group_sets(self, slug: str) -> list[api.GroupSet]:
        """Newest first."""
        return self._many(api.GroupSet, f"/projects/{slug}/group-sets")

    def create_group_set(self, slug: str, body: api.GroupSetCreate) -> api.GroupSet:
        return self._one(api.GroupSet, "POST", f"/projects/{slug}/group-sets", json=_dump(body))

    def group_set(self, group_set_id: int) -> api.GroupSet:
        return self._one(api.GroupSet, "GET", f"/group-sets/{group_set_id}")

    def update_group_set(self, group_set_id: int, patch: api.GroupSetPatch) -> api.GroupSet:
        body = patch.model_dump(mode="json", exclude_unset=True)
        return self._one(api.GroupSet, "PATCH", f"/group-sets/{group_set_id}", json=body)

    def delete_group_set(self, group_set_id: int, *, force: bool = False) -> None:
        """Refused where people labelled, unless `force`; their labels are kept even then."""
        self._request("DELETE", f"/group-sets/{group_set_id}", query={"force": force})

    def label_queue(
        self,
        group_set_id: int,
        *,
        label: int | None = None,
        order: LabelOrder = LabelOrder.EXTREMES,
        after: str | None = None,
        limit: int = 60,
        only_open: bool = False,
        view: int | None = None,
        annotator: str | None = None,
    ) -> api.LabelQueue:
        """One page of the Label page.

        `only_open`: without those that are labelled; `annotator`: with this person's own labels, blind to the others'.
        """
        query = {"label": label, "order": order, "after": after, "limit": limit, "only_open": only_open}
        query |= {"view": view, "annotator": annotator}
        return self._one(api.LabelQueue, "GET", f"/group-sets/{group_set_id}/queue", query=query)

    def write_labels(self, group_set_id: int, batch: api.LabelBatch) -> api.LabelResult:
        """Sending the same keys again changes nothing."""
        return self._one(api.LabelResult, "POST", f"/group-sets/{group_set_id}/labels", json=_dump(batch))

    def undo(self, group_set_id: int, *, annotator: str = "me") -> api.LabelResult:
        return self._one(api.LabelResult, "POST", f"/group-sets/{group_set_id}/undo", json={"annotator": annotator})

    def redo(self, group_set_id: int, *, annotator: str = "me") -> api.LabelResult:
        return self._one(api.LabelResult, "POST", f"/group-sets/{group_set_id}/redo", json={"annotator": annotator})

    def export_labels(self, group_set_id: int, *, format: str = "csv") -> bytes:
        """`csv`, `jsonl` or `parquet`."""
        return self._bytes(f"/group-sets/{group_set_id}/export", query={"format": format})

    def import_labels(
        self, group_set_id: int, content: bytes, *, format: str = "csv", annotator: str = "me", dry_run: bool = False
    ) -> api.LabelImport:
        """Labels from a file like the exported one; all or none. One undo takes them back."""
        query = {"format": format, "annotator": annotator, "dry_run": dry_run}
        path = f"/group-sets/{group_set_id}/import"
        return _read(TypeAdapter(api.LabelImport), self._request("POST", path, query=query, content=content).content)

    def agreement(self, group_set_id: int) -> api.Agreement:
        """How far annotators agree with each other and with the suggestion."""
        return self._one(api.Agreement, "GET", f"/group-sets/{group_set_id}/agreement")

    def label_history(
        self, group_set_id: int, *, example_id: int | None = None, before: int | None = None, limit: int = 100
    ) -> list[api.LabelEvent]:
        """What people did, newest first; the next page is `before` the last one's id."""
        query = {"example_id": example_id, "before": before, "limit": limit}
        return self._many(api.LabelEvent, f"/group-sets/{group_set_id}/history", query=query)

    # ------------------------------------------------------------ scores and pruning
    def score_sets(self, slug: str) -> list[api.ScoreSet]:
        """Newest first."""
        return self._many(api.ScoreSet, f"/projects/{slug}/score-sets")

    def score_set(self, score_set_id: int) -> api.ScoreSet:
        return self._one(api.ScoreSet, "GET", f"/score-sets/{score_set_id}")

    def preview(
        self, score_set_id: int, *, k: int, part: PreviewPart | str = PreviewPart.AT_K, limit: int = 24
    ) -> api.PrunePreview:
        """What dropping the k lowest takes from each class, and some of the examples, by rising T."""
        query = {"k": k, "part": part, "limit": limit}
        return self._one(api.PrunePreview, "GET", f"/score-sets/{score_set_id}/preview", query=query)

    def negative_mass(self, score_set_id: int) -> api.NegativeMass:
        """How much of the negative alignment the lowest rows hold."""
        return self._one(api.NegativeMass, "GET", f"/score-sets/{score_set_id}/negative-mass")

    def subpopulations(self, score_set_id: int, *, samples: int = 0, seed: int = 0) -> list[api.Subpopulation]:
        """Mean T of every class × attribute value, the most harmful first."""
        query = {"samples": samples, "seed": seed}
        return self._many(api.Subpopulation, f"/score-sets/{score_set_id}/subpopulations", query=query)

    def create_prune_set(self, score_set_id: int, body: api.PruneCreate) -> api.PruneSet:
        """The same rule and K twice is the same prune set."""
        return self._one(api.PruneSet, "POST", f"/score-sets/{score_set_id}/prune-sets", json=_dump(body))

    def prune_sets(self, slug: str) -> list[api.PruneSet]:
        """Newest first."""
        return self._many(api.PruneSet, f"/projects/{slug}/prune-sets")

    def prune_set(self, prune_set_id: int) -> api.PruneSet:
        return self._one(api.PruneSet, "GET", f"/prune-sets/{prune_set_id}")

    def download_prune_set(self, prune_set_id: int, *, format: str = "csv") -> bytes:
        """`csv`, `json` or `npy` (int64 row ids, the positions in the training split)."""
        return self._bytes(f"/prune-sets/{prune_set_id}/download", query={"format": format})

    # ------------------------------------------------------------ compare and reports
    def compare(
        self,
        slug: str,
        *,
        split: Split = Split.VALIDATION,
        attribute: str | None = None,
        group_set: int | None = None,
    ) -> api.Comparison:
        """Every method over its seeds. Groups: an attribute, or a group set on validation; else the first attribute."""
        query = {"split": split, "attribute": attribute, "group_set": group_set}
        return self._one(api.Comparison, "GET", f"/projects/{slug}/compare", query=query)

    def battery_plan(self, slug: str, params: BatteryParams | None = None) -> api.BatteryPlan:
        """What a battery would run; start it with `start_job(slug, JobKind.BATTERY, params)`."""
        return self._one(
            api.BatteryPlan, "POST", f"/projects/{slug}/battery/plan", json=_dump(params or BatteryParams())
        )

    def league(self, slug: str, *, split: Split = Split.TEST, attribute: str | None = None) -> list[api.LeagueRow]:
        """One row a method and seed."""
        query = {"split": split, "attribute": attribute}
        return self._many(api.LeagueRow, f"/projects/{slug}/battery/league", query=query)

    def flips(self, slug: str, *, before_run: int, after_run: int, split: Split = Split.TEST) -> api.Flips:
        query = {"before_run": before_run, "after_run": after_run, "split": split}
        return self._one(api.Flips, "GET", f"/projects/{slug}/flips", query=query)

    def confusion(
        self,
        slug: str,
        *,
        runs: list[int],
        split: Split = Split.VALIDATION,
        attribute: str | None = None,
        group_set: int | None = None,
    ) -> api.Confusion:
        """What each group is taken for, averaged over runs."""
        query = {"runs": runs, "split": split, "attribute": attribute, "group_set": group_set}
        return self._one(api.Confusion, "GET", f"/projects/{slug}/confusion", query=query)

    def test_reveals(self, slug: str) -> list[api.TestReveal]:
        """Who looked at test results, oldest first."""
        return self._many(api.TestReveal, f"/projects/{slug}/test-reveals")

    def reveal_test(self, slug: str, *, who: str = "me") -> api.TestReveal:
        """Write down that somebody looks at test now."""
        body = api.TestRevealCreate(who=who)
        return self._one(api.TestReveal, "POST", f"/projects/{slug}/test-reveals", json=_dump(body))

    def reports(self, slug: str) -> list[api.Report]:
        """Newest first."""
        return self._many(api.Report, f"/projects/{slug}/reports")

    def create_report(self, slug: str, body: api.ReportCreate | None = None) -> api.Report:
        """Freeze everything as it is now."""
        return self._one(api.Report, "POST", f"/projects/{slug}/reports", json=_dump(body or api.ReportCreate()))

    def report(self, report_id: int) -> api.Report:
        return self._one(api.Report, "GET", f"/reports/{report_id}")

    def revoke_report(self, report_id: int) -> api.Report:
        """Close the view-only link; the report itself stays."""
        return self._one(api.Report, "POST", f"/reports/{report_id}/revoke")

    def download_report(self, report_id: int, *, format: str = "html") -> bytes:
        """`html` (one file that works offline) or `json` (the frozen figures)."""
        return self._bytes(f"/reports/{report_id}/download", query={"format": format})

    # ------------------------------------------------------------ people
    def me(self) -> api.Me:
        """Who this client is to the server, and what they may do."""
        return self._one(api.Me, "GET", "/me")

    def users(self) -> list[api.User]:
        return self._many(api.User, "/users")

    def add_user(self, body: api.UserCreate) -> api.User:
        """With the first one, which must be an admin, everyone has to log in."""
        return self._one(api.User, "POST", "/users", json=_dump(body))

    def change_user(self, user_name: str, patch: api.UserPatch) -> api.User:
        body = patch.model_dump(mode="json", exclude_unset=True)
        return self._one(api.User, "PATCH", f"/users/{user_name}", json=body)

    def grant(self, user_name: str, body: api.RightWrite) -> api.User:
        """Give a role in a project or in every one, or take it away."""
        return self._one(api.User, "POST", f"/users/{user_name}/rights", json=_dump(body))

    def tokens(self) -> list[api.Token]:
        """One's own; an admin sees all."""
        return self._many(api.Token, "/tokens")

    def add_token(self, body: api.TokenCreate) -> api.TokenMade:
        """The key is in the answer, this once."""
        return self._one(api.TokenMade, "POST", "/tokens", json=_dump(body))

    def revoke_token(self, token_id: int) -> None:
        self._request("POST", f"/tokens/{token_id}/revoke")

    def audit(self, *, project: str | None = None, before: int | None = None, limit: int = 100) -> list[api.AuditLine]:
        """Who changed what, newest first."""
        return self._many(api.AuditLine, "/audit", query={"project": project, "before": before, "limit": limit})

    def report_bundle(self, report_id: int) -> FrozenReport:
        """The frozen figures of a report; `unskew.charts` draws them again."""
        return FrozenReport.model_validate_json(self.download_report(report_id, format="json"))

    # ------------------------------------------------------------ transport
    def _one(
        self, body: type[T], method: str, path: str, *, query: dict[str, Any] | None = None, json: Any = None
    ) -> T:
        return _read(TypeAdapter(body), self._request(method, path, query=query, json=json).content)

    def _many(self, body: type[T], path: str, *, query: dict[str, Any] | None = None) -> list[T]:
        return _read(TypeAdapter(list[body]), self._request("GET", path, query=query).content)  # type: ignore[valid-type]

    def _bytes(self, path: str, *, query: dict[str, Any] | None = None) -> bytes:
        return self._request("GET", path, query=query).content

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
    ) -> Response:
        given = {name: _words(value) for name, value in (query or {}).items() if value is not None}
        try:
            response: Response = self._http.request(
                method, PREFIX + path, params=given, json=json, content=content, headers=_RAW if content else None
            )
        except Exception as error:
            if not _is_transport_error(error):
                raise
            if _is_timeout(error):
                raise errors.ServerError(
                    f"The server did not answer within {TIMEOUT_SECONDS:.0f} s.",
                    fix="It may still be at it. A source that takes longer to check can be imported as it is: the "
                    "import checks every row too, and writes nothing if one is wrong.",
                ) from error
            raise errors.ServerError(
                f"The server at {self.base_url} does not answer ({type(error).__name__}).", fix="Start it: unskew up"
            ) from error
        if response.status_code >= 400:
            raise _problem(response)
        return response


def read_report(path: str | Path) -> FrozenReport:
    """A report's JSON file, read back: every figure as it was when it was frozen.

    Raises:
        DataError: no such file, or it is not a report.
    """
    try:
        return FrozenReport.model_validate_json(Path(path).read_bytes())
    except (OSError, ValidationError) as error:
        raise errors.DataError(f"{path} is not a report: {error}.", fix="Download it as JSON again.") from error


def _is_transport_error(error: Exception) -> bool:
    import httpx

    return isinstance(error, httpx.TransportError)


def _is_timeout(error: Exception) -> bool:
    import httpx

    return isinstance(error, httpx.ReadTimeout)


def _words(value: Any) -> str | list[str]:
    """A query value; a list is given several times."""
    return [str(part) for part in value] if isinstance(value, list) else str(value)


def _dump(body: BaseModel) -> dict[str, Any]:
    values: dict[str, Any] = body.model_dump(mode="json")
    return values


def _read(adapter: TypeAdapter[T], content: bytes) -> T:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise errors.ServerError(
            f"The server's answer cannot be read: {error.error_count()} fields do not fit.",
            fix="Use the same version of unskew on both sides.",
        ) from error


def _problem(response: Response) -> errors.UnskewError:
    """The error that the server raised, as the same class with the same words."""
    try:
        problem = api.Problem.model_validate_json(response.content)
    except ValidationError:
        return errors.ServerError(f"The server answered {response.status_code} without saying why.")
    kind = _ERRORS.get(problem.type.rsplit(":", 1)[-1], errors.UnskewError)
    rows = [errors.RowError(row.row, row.field, row.value, row.message) for row in problem.rows]
    return kind(problem.detail, fix=problem.fix, rows=rows)
