"""Every table. Rows point to arrays that lie in the artifact folder; JSON columns hold validated pydantic dumps.

Rows that a result depends on are never changed in place: a new version is a new row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def now() -> datetime:
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """A time in UTC, aware on both sides; SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {dict[str, Any]: JSON, list[Any]: JSON, datetime: Moment}


class Project(Base):
    __tablename__ = "project"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    class_names: Mapped[list[Any]]
    attributes: Mapped[list[Any]]
    shape: Mapped[dict[str, Any]]  # InputShape: the kind of the examples and their size for a model
    fingerprint: Mapped[str] = mapped_column(String(64))  # sha256 over split, label and content hash of every row
    source: Mapped[dict[str, Any]]  # ImportParams, and `root`: the folder the paths are relative to
    inputs: Mapped[str | None] = mapped_column(String(64))  # artifact: one array a split, as `InputShape` says
    created_at: Mapped[datetime] = mapped_column(default=now)


class Example(Base):
    """`position` numbers a split's rows from 0: the row order of every array of that split."""

    __tablename__ = "example"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    split: Mapped[str] = mapped_column(String(10))
    position: Mapped[int]
    label: Mapped[int]
    path: Mapped[str] = mapped_column(Text)  # relative to the project's root, or absolute; "reviews.csv:12" of a row
    content_hash: Mapped[str] = mapped_column(String(64))
    content: Mapped[str | None] = mapped_column(Text)  # a text, or a table's row as JSON; NULL for images
    __table_args__ = (
        UniqueConstraint("project_id", "split", "position"),
        UniqueConstraint("project_id", "path"),
        Index("ix_example_page", "project_id", "split", "label", "position"),
        {"sqlite_autoincrement": True},  # browsers keep images by example id for good
    )


class AttributeValue(Base):
    __tablename__ = "attribute_value"
    example_id: Mapped[int] = mapped_column(ForeignKey("example.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    __table_args__ = (Index("ix_attribute_value_name", "project_id", "name", "value"),)


class Job(Base):
    """What a person asked for. The engine's own ledger holds claims and finished steps; this row is what people see."""

    __tablename__ = "job"
    id: Mapped[str] = mapped_column(String(80), primary_key=True)  # the engine's workflow id
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(30))
    params: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(20), default="queued")
    done: Mapped[float] = mapped_column(default=0.0)
    total: Mapped[int] = mapped_column(default=0)
    step: Mapped[str] = mapped_column(String(200), default="")
    eta_seconds: Mapped[float | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    __table_args__ = (Index("ix_job_project", "project_id", "created_at"), Index("ix_job_status", "status"))


class JobLog(Base):
    __tablename__ = "job_log"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(default=now)
    text: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("ix_job_log_tail", "job_id", "id"),)


class WorkerBeat(Base):
    """Liveness of workers, by the database's clock (seconds since 1970)."""

    __tablename__ = "worker_beat"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    beat: Mapped[float]
    device: Mapped[str] = mapped_column(String(20), server_default="cpu")


class Run(Base):
    """One training run of one method: ERM checkpoints are runs too. `key` = hash of all that decides its result."""

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    method: Mapped[str] = mapped_column(String(20))
    seed: Mapped[int]
    params: Mapped[dict[str, Any]]  # model, train, recipe
    score_set_id: Mapped[int | None] = mapped_column(ForeignKey("score_set.id", ondelete="SET NULL"))
    prune_set_id: Mapped[int | None] = mapped_column(ForeignKey("prune_set.id", ondelete="SET NULL"))
    removed: Mapped[int] = mapped_column(default=0)
    n_train: Mapped[int]
    seconds: Mapped[float]
    predictions: Mapped[str] = mapped_column(String(64))  # artifact: prediction, loss for validation and test
    checkpoint: Mapped[str | None] = mapped_column(String(64))  # artifact: safetensors
    created_at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (Index("ix_run_project", "project_id", "method", "seed"),)


class Metric(Base):
    """Training curves, written while a run is under way: keyed by job and run, so that they show before it ends."""

    __tablename__ = "metric"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    run_key: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(100))  # "erm, seed 0"
    epoch: Mapped[float]
    name: Mapped[str] = mapped_column(String(40))
    value: Mapped[float]
    __table_args__ = (UniqueConstraint("run_key", "name", "epoch"), Index("ix_metric_job", "job_id", "id"))


class Attribution(Base):
    __tablename__ = "attribution"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    run_ids: Mapped[list[Any]]
    params: Mapped[dict[str, Any]]
    n_train: Mapped[int]
    n_targets: Mapped[int]
    projection_dim: Mapped[int]
    diagnostics: Mapped[dict[str, Any]]
    artifact: Mapped[str] = mapped_column(String(64))  # the factors, Q and target losses
    created_at: Mapped[datetime] = mapped_column(default=now)


class Fidelity(Base):
    """LDS of one attribution: how well it predicts models trained on random halves."""

    __tablename__ = "fidelity"
    id: Mapped[int] = mapped_column(primary_key=True)
    attribution_id: Mapped[int] = mapped_column(ForeignKey("attribution.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64), unique=True)
    params: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any]]  # the mean and its interval, overall and by class
    created_at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (Index("ix_fidelity_list", "attribution_id", "created_at"),)


class Direction(Base):
    __tablename__ = "direction"
    id: Mapped[int] = mapped_column(primary_key=True)
    attribution_id: Mapped[int] = mapped_column(ForeignKey("attribution.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64))  # hash of attribution and DiscoverParams
    label: Mapped[int]
    index: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    share: Mapped[float]
    scree: Mapped[list[Any]]
    params: Mapped[dict[str, Any]]
    evidence: Mapped[dict[str, Any]]
    artifact: Mapped[str] = mapped_column(String(64))  # one a class: projections, loadings and their orders
    sign: Mapped[int] = mapped_column(default=1)
    name: Mapped[str] = mapped_column(String(100), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(20), default="open")
    __table_args__ = (
        UniqueConstraint("key", "label", "index"),
        Index("ix_direction_list", "attribution_id", "label", "index"),
    )


class GroupSet(Base):
    __tablename__ = "group_set"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(20))
    attribute: Mapped[str | None] = mapped_column(String(100))
    direction_ids: Mapped[list[Any]]
    cut: Mapped[str] = mapped_column(String(20), default="zero", server_default="zero")  # where those are cut
    group_names: Mapped[list[Any]]  # one list of names a class
    version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    put_away_at: Mapped[datetime | None]  # deleted by a person, but it holds labels that people gave
    guidelines: Mapped[str] = mapped_column(Text, default="", server_default="")  # Markdown, beside the task
    __table_args__ = (UniqueConstraint("project_id", "name"), {"sqlite_autoincrement": True})


class GroupMember(Base):
    """Where each validation example stands now. `group` = index within the example's class; NULL = none.
    A cache of the events for fast pages: it can be rebuilt from `suggestion` and the label events."""

    __tablename__ = "group_member"
    group_set_id: Mapped[int] = mapped_column(ForeignKey("group_set.id", ondelete="CASCADE"), primary_key=True)
    example_id: Mapped[int] = mapped_column(ForeignKey("example.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int]
    label: Mapped[int]
    suggestion: Mapped[int | None]
    group: Mapped[int | None]
    by_hand: Mapped[bool] = mapped_column(default=False)
    unsure: Mapped[bool] = mapped_column(default=False)
    rank: Mapped[float] = mapped_column(default=0.0)  # projection, for the queue's order
    __table_args__ = (Index("ix_group_member_queue", "group_set_id", "label", "rank"),)


class LabelEvent(Base):
    """Append-only: what a person did, in order. Never updated, never deleted."""

    __tablename__ = "label_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    group_set_id: Mapped[int] = mapped_column(ForeignKey("group_set.id"))
    example_id: Mapped[int] = mapped_column(ForeignKey("example.id"))
    annotator: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(10))  # set, undo, redo
    key: Mapped[str] = mapped_column(String(64))  # idempotency key
    before: Mapped[dict[str, Any]]  # group, by_hand, unsure
    after: Mapped[dict[str, Any]]
    reverts: Mapped[int | None]  # the event that an undo takes back, or that a redo brings back
    at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (
        UniqueConstraint("group_set_id", "key"),
        Index("ix_label_event_stack", "group_set_id", "annotator", "id"),
        Index("ix_label_event_example", "group_set_id", "example_id", "id"),
    )


class ScoreSet(Base):
    __tablename__ = "score_set"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    attribution_id: Mapped[int] = mapped_column(ForeignKey("attribution.id"))
    group_set_id: Mapped[int] = mapped_column(ForeignKey("group_set.id"))
    group_set_version: Mapped[int]
    key: Mapped[str] = mapped_column(String(64), unique=True)
    method: Mapped[str] = mapped_column(String(20))
    weight_rule: Mapped[str] = mapped_column(String(20))
    weights: Mapped[list[Any]]
    histogram: Mapped[dict[str, Any]]
    star: Mapped[int]
    best_k: Mapped[int | None]
    search: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # what search_k did: grid, seeds, criterion
    artifact: Mapped[str] = mapped_column(String(64))  # alignment, its order, and the groups as they were
    created_at: Mapped[datetime] = mapped_column(default=now)


class PruneSet(Base):
    """Frozen list of training rows to drop."""

    __tablename__ = "prune_set"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    score_set_id: Mapped[int] = mapped_column(ForeignKey("score_set.id"))
    rule: Mapped[str] = mapped_column(String(20))
    k: Mapped[int]
    name: Mapped[str] = mapped_column(String(100), default="")
    digest: Mapped[str] = mapped_column(String(64))
    artifact: Mapped[str] = mapped_column(String(64))  # removed positions, int64, ascending
    removed_by_class: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (UniqueConstraint("score_set_id", "rule", "digest"),)


class Report(Base):
    __tablename__ = "report"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    notes: Mapped[str] = mapped_column(Text, default="")
    token: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    frozen: Mapped[dict[str, Any]]  # every figure as it was
    artifact: Mapped[str] = mapped_column(String(64))  # the HTML file
    size_bytes: Mapped[int]
    revoked: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime | None]  # from then on the link is closed; the report stays
    created_at: Mapped[datetime] = mapped_column(default=now)


class SavedView(Base):
    """A named part of a split: a rule (filters), or the very examples that a person picked. Never changed."""

    __tablename__ = "saved_view"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    split: Mapped[str] = mapped_column(String(10))
    rule: Mapped[dict[str, Any]]  # ExampleFilter
    positions: Mapped[list[Any] | None] = mapped_column(JSON)  # ascending, within the split; NULL = by the rule alone
    created_at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (UniqueConstraint("project_id", "name"), {"sqlite_autoincrement": True})


class TestReveal(Base):
    """When somebody looked at test results: choosing anything after that is choosing on test."""

    __tablename__ = "test_reveal"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    who: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (Index("ix_test_reveal_project", "project_id", "id"),)


class Artifact(Base):
    __tablename__ = "artifact"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of what made it
    kind: Mapped[str] = mapped_column(String(30))
    manifest: Mapped[dict[str, Any]]  # file → sha256 and bytes
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)


# ---------------------------------------------------------------- people and what they may do
class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str | None] = mapped_column(String(200))  # argon2 hash; None: comes in through OIDC only
    subject: Mapped[str | None] = mapped_column(String(300), unique=True)  # OIDC: issuer and subject
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = ({"sqlite_autoincrement": True},)  # a number that is free again must not inherit anything


class Right(Base):
    """What a user may do in one project; without a project: in every one, and outside of them."""

    __tablename__ = "right"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(10))
    __table_args__ = (UniqueConstraint("user_id", "project_id"),)


class Login(Base):
    """One browser that somebody logged in with. Of the cookie only its sha256 is kept."""

    __tablename__ = "login"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    __table_args__ = (Index("ix_login_user", "user_id"),)


class Token(Base):
    """A key for a program, never worth more than its owner. Of the key only its sha256 is kept."""

    __tablename__ = "token"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(10))  # the most it allows
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Audit(Base):
    """Who changed what. Append-only; it outlives users and projects, so it refers to them by name."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    who: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(200))
    project: Mapped[str | None] = mapped_column(String(100))
    status: Mapped[int]  # of the answer; 0 from the command line
    __table_args__ = (Index("ix_audit_project", "project", "id"),)
