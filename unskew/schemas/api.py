"""Bodies of `/api/v1`, shared by server and client. Times are UTC ISO 8601; ids are integers unless said otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unskew.schemas.enums import (
    CutRule,
    DataKind,
    DirectionKind,
    DirectionState,
    Engine,
    GroupSource,
    JobKind,
    JobStatus,
    LabelAction,
    LabelOrder,
    Layout,
    Method,
    PruneRule,
    ReportBlockKind,
    ReportImages,
    Role,
    Split,
    Verdict,
    WeightRule,
)
from unskew.schemas.params import ImportPath


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


# ---------------------------------------------------------------- errors
class RowProblem(Body):
    row: int | None
    field: str
    value: str
    message: str


class Problem(Body):
    """`application/problem+json` (RFC 9457): what is wrong, where, and how to mend it."""

    type: str
    title: str
    status: int
    detail: str
    fix: str = ""
    rows: list[RowProblem] = []
    request_id: str = ""  # stands beside everything that the server logged about it


# ---------------------------------------------------------------- the server itself
class Health(Body):
    """Whether the server answers, and whether some worker would take a job."""

    status: Literal["ok"] = "ok"
    worker: bool
    active_jobs: int


class Version(Body):
    unskew: str
    python: str
    api: str


# ---------------------------------------------------------------- projects and examples
class ClassCount(Body):
    label: int
    name: str
    split: Split
    n: int


class AttributeCount(Body):
    attribute: str
    value: str
    label: int
    split: Split
    n: int


class Step(Body):
    """One step of the stepper: what it needs, whether it is done, what to do next."""

    key: Literal["data", "models", "attribution", "discover", "label", "prune", "retrain", "compare", "report"]
    title: str
    done: bool
    detail: str  # "5 checkpoints", "group set 'background' v3", …


class Project(Body):
    id: int
    slug: str
    name: str
    class_names: list[str]
    attributes: list[str]
    kind: DataKind
    image_size: int  # side in pixels that the model sees; 0 where examples are no images
    fingerprint: str  # sha256 of the data
    n_train: int
    n_validation: int
    n_test: int
    created_at: datetime


class ProjectDetail(Project):
    counts: list[ClassCount]
    attribute_counts: list[AttributeCount]
    steps: list[Step]
    source: dict[str, Any]


class ImportCheck(Body):
    """Result of a dry run: nothing was registered."""

    ok: bool
    layout: Layout | ImportPath | None = None  # how the source is, or would be, read
    n_rows: int
    class_names: list[str]
    attributes: list[str]
    counts: list[ClassCount]
    problems: list[RowProblem]  # 200 of them, every kind among them
    n_problems: int
    warnings: list[str]


class Upload(Body):
    """A file that was sent, ready to be imported."""

    source: str  # what `ImportParams.source` has to name
    n_files: int
    bytes: int


class Example(Body):
    id: int
    split: Split
    position: int
    label: int
    label_name: str
    path: str  # "reviews.csv:12" of a text or a table's row
    text: str | None = None  # of a text; an image has neither, its picture is at …/thumbnail
    columns: dict[str, str] | None = None  # of a table's row
    attributes: dict[str, str]
    prediction: int | None = None  # majority class of the attributed checkpoints
    correct_share: float | None = None  # share of those checkpoints that are right
    value: float | None = None  # projection, loading, T or τ: whatever the list is sorted by


class ExampleFilter(Body):
    """Which examples of a split; what is None does not matter."""

    label: int | None = None
    attribute: str | None = None
    value: str | None = None  # goes with `attribute`
    correct: bool | None = None  # by the majority of the attributed checkpoints; validation only
    low: float | None = None  # bounds of what the page is sorted by
    high: float | None = None


class Plugins(Body):
    """Import paths of code of one's own that may be named over the network."""

    models: list[str]
    trainers: list[str]
    engines: list[str]
    readers: list[str]
    report_blocks: list[str]


class Faults(Body):
    """What is wrong with a project's examples since they were imported; the first 50 of each kind."""

    n_repeated: int  # contents that several examples have
    n_leaks: int  # of them, in more than one split
    repeated: list[list[Example]]  # the examples of one content, leaks first
    n_missing: int
    missing: list[str]  # paths


class ExamplePage(Body):
    items: list[Example]
    total: int
    next: str | None = None  # cursor; pass as `after`


class ValueCount(Body):
    value: str  # a class, a value of an attribute ("": not known), "right" or "wrong"
    n: int  # in the view
    n_split: int  # in all of the split


class Counts(Body):
    """How the examples of a view spread over the classes, an attribute's values, or right and wrong."""

    of: Literal["class", "attribute", "models"]
    name: str  # of the attribute; else as `of`
    values: list[ValueCount]  # at most 20: in the order people expect, or the most frequent of more
    left_out: int  # further values


class ViewSummary(Body):
    """What the examples are like that filters and a saved view leave of a split."""

    n: int
    n_split: int
    counts: list[Counts]
    histogram: Histogram | None  # of what it is sorted by: "in the view" and "outside"; None: as stored


# ---------------------------------------------------------------- jobs and runs
class JobCreate(Body):
    kind: JobKind
    params: dict[str, Any] = Field(default_factory=dict)  # validated against the kind's Params


class Job(Body):
    id: str
    kind: JobKind
    project: str | None  # slug
    status: JobStatus
    params: dict[str, Any]
    done: float  # steps finished, fractions of the current one included
    total: int
    step: str  # what is being done, for a person
    eta_seconds: float | None
    error: Problem | None
    result: dict[str, Any]  # ids of what the job made
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class LogLine(Body):
    id: int
    at: datetime
    text: str


class Interval(Body):
    """A share with its n and 95 % Wilson interval; for means over seeds a t interval."""

    value: float
    low: float
    high: float
    n: int


class GroupAccuracy(Body):
    group: int
    name: str
    accuracy: Interval


class CurvePoint(Body):
    epoch: float
    name: str  # "train_loss", "validation_accuracy", "worst_class_accuracy" …
    value: float


class Run(Body):
    id: int
    method: Method
    seed: int
    removed: int
    score_set_id: int | None
    prune_set_id: int | None
    n_train: int
    seconds: float
    has_checkpoint: bool
    params: dict[str, Any]
    class_accuracy: list[GroupAccuracy]  # validation, per class
    created_at: datetime


# ---------------------------------------------------------------- attribution and directions
class Proxies(Body):
    """Signs of an attribution's quality that need no retraining; LDS is the measure."""

    halves: Interval | None  # rank correlation of scores by two halves of the checkpoints, n = targets; noise: 0
    own_class: Interval  # share of targets that their own class's training examples help on average; chance: .5


class Attribution(Body):
    id: int
    engine: Engine | ImportPath
    run_ids: list[int]
    params: dict[str, Any]
    n_train: int
    n_targets: int
    projection_dim: int
    diagnostics: dict[str, Any]  # damping, condition numbers, seconds, share of parameters covered
    proxies: Proxies | None = None  # None: made before they were computed
    stale: bool
    created_at: datetime


class Difference(Body):
    """One thing that tells the two ends of a direction apart."""

    source: Literal["attribute", "image", "text", "column"]
    name: str  # "background = brick", "border: brightness"
    words: str  # what the + end has: "more often background = brick", "border: darker"
    words_less: str  # what the - end has, in the same words
    auroc: Interval  # chance that the + end has more of it; 0.5 = no difference


class ClassLds(Body):
    label: int
    name: str
    mean: Interval  # n = targets


class LdsResult(Body):
    """Mean over targets of the rank correlation between predicted and measured margins, 95 % bootstrap interval."""

    mean: Interval
    by_class: list[ClassLds]


class Lds(Body):
    """How well an attribution predicts models trained on random halves of the training rows; 1 = in perfect order."""

    id: int
    attribution_id: int
    engine: Engine | ImportPath
    mean: float
    interval: tuple[float, float]
    n_targets: int
    n_subsets: int
    seeds: list[int]
    by_class: list[ClassLds]
    created_at: datetime


class Evidence(Body):
    """How sure one can be that a direction is a bias. Ends = the two sides of the split at 0."""

    verdict: Verdict
    sentence: str  # the verdict in words with its numbers
    accuracy_negative: Interval
    accuracy_positive: Interval
    accuracy_gap: Interval  # |difference|; n = the smaller side
    loss_negative: float
    loss_positive: float
    minority_share: float
    alike: Interval | None = None  # likeness of the class's wrong examples in what they were learnt from, n = errors
    differences: list[Difference] = []  # what tells the ends apart, the clearest first


class Direction(Body):
    id: int
    attribution_id: int
    label: int
    label_name: str
    index: int  # in the order offered: the error-guided one first, then principal ones, largest share first
    kind: DirectionKind
    title: str  # "errors" or "PC1", "PC2" …
    share: float  # of the variance of the class's block
    sign: Literal[-1, 1]  # as flipped by a person; stored arrays are never changed
    name: str
    note: str
    state: DirectionState
    evidence: Evidence


class Histogram(Body):
    edges: list[float]  # n + 1
    series: dict[str, list[int]]  # name → n counts: "right", "wrong", or group names


class DirectionDetail(Direction):
    scree: list[float]  # shares of the first directions of this class
    histogram: Histogram
    params: dict[str, Any]
    previous_id: int | None
    next_id: int | None


class Strip(Body):
    """One end of one strip: validation examples by projection, or training examples of the class by loading."""

    strip: Literal["validation", "training"]
    end: Literal[-1, 1]
    items: list[Example]


class DirectionPatch(Body):
    name: str | None = Field(None, max_length=100)
    note: str | None = Field(None, max_length=10_000)
    sign: Literal[-1, 1] | None = None
    state: DirectionState | None = None


# ---------------------------------------------------------------- groups and labels
class GroupSetCreate(Body):
    """From directions (pseudo-groups, one a class), an attribute, the loss (a control), or empty for hand labels."""

    name: str = Field(min_length=1, max_length=100)
    direction_ids: list[int] = []
    cut: CutRule = CutRule.ZERO  # where those directions are cut
    attribute: str | None = None
    group_names: list[str] = []  # for source hand: names offered inside every class
    view_id: int | None = None  # groups = outside and inside a saved view, in the classes that it touches
    by_loss: bool = False  # two groups a class: probability of the true class above 1/2, or not


class Group(Body):
    id: int  # label-major number within the set: label * n_per_class + index
    label: int
    index: int  # key on the keyboard = index + 1
    name: str
    n: int
    accuracy: Interval | None = None  # of the attributed checkpoints on it
    n_by_hand: int = 0
    accuracy_by_hand: Interval | None = None  # on those that a person labelled
    more_needed: int | None = None  # labels until that accuracy is known to ± 10 points; None without checkpoints


class GroupSetPatch(Body):
    name: str | None = Field(None, min_length=1, max_length=100)
    group_names: list[list[str]] | None = None  # one list of names a class, as many as there are groups
    guidelines: str | None = Field(None, max_length=20_000)  # Markdown


class GroupSet(Body):
    id: int
    name: str
    source: GroupSource
    attribute: str | None
    direction_ids: list[int]
    cut: CutRule = CutRule.ZERO
    groups: list[Group]
    n_labelled: int  # examples that a person confirmed or changed
    n_unassigned: int
    n_total: int
    version: int  # rises with every label
    guidelines: str = ""  # Markdown: how to decide, beside the task
    created_at: datetime


class LabelItem(Body):
    """One example on the Label page."""

    example: Example
    group: int | None  # current group index within the class; None = unassigned or unsure
    suggestion: int | None  # what the direction or attribute said
    by_hand: bool
    unsure: bool
    others: dict[str, int | None] = {}  # annotator → group, where they differ; only in order `disagreement`


class LabelQueue(Body):
    items: list[LabelItem]
    total: int
    order: LabelOrder
    next: str | None


class LabelWrite(Body):
    """One key press. `key` makes a repeat harmless: the same key is stored once.

    Keys that are alike up to a ":" belong to one gesture: undo and redo take all of it.
    """

    key: str = Field(min_length=8, max_length=64)
    example_id: int
    group: int | None = None  # index within the example's class; None = unsure


class LabelBatch(Body):
    labels: list[LabelWrite] = Field(min_length=1, max_length=1000)
    annotator: str = Field("me", min_length=1, max_length=64)
    adjudicates: bool = False  # decides between annotators; does not count as one


class LabelResult(Body):
    action: LabelAction
    items: list[LabelItem]  # the examples as they are now
    version: int


class AnnotatorBody(Body):
    annotator: str = Field("me", min_length=1, max_length=64)
    adjudicates: bool = False


# ---------------------------------------------------------------- scores and pruning
class GroupWeight(Body):
    group: int
    name: str
    n: int
    loss: float
    weight: float


class CurveRow(Body):
    """One K of the removal curve, averaged over seeds."""

    k: int
    method: Method
    split: Split
    worst_group_accuracy: Interval
    balanced_accuracy: Interval
    average_accuracy: Interval
    seeds: list[int]


class ScoreSet(Body):
    id: int
    attribution_id: int
    group_set_id: int
    group_set_name: str
    group_set_version: int
    method: Method  # auto_trak when the groups are pseudo-groups, trak otherwise
    weight_rule: WeightRule
    weights: list[GroupWeight]
    histogram: Histogram  # by class
    star: int  # K = #{T < 0}
    best_k: int | None
    curve: list[CurveRow]  # validation, over the score set's own groups
    n_train: int
    n_by_class: list[int]
    balancing_would_drop: int | None  # rows SUBG would drop, where an attribute is known on training rows
    stale: bool
    warnings: list[str]
    created_at: datetime


class SubpopulationKey(Body):
    """Training examples of one class with one attribute value."""

    label: int = Field(ge=0)
    attribute: str
    value: str


class Subpopulation(SubpopulationKey):
    name: str  # "0-4 · background = brick"
    mean: Interval  # of T, 95 % t interval; n = examples
    below_zero: float  # share with T < 0
    standard_errors: float  # from the mean of its class, against random subsets as large
    examples: list[Example] = []  # a random sample


class PruneCreate(Body):
    rule: PruneRule
    k: int | None = None  # only with rule manual
    subpopulations: list[SubpopulationKey] = []  # only with rule excluded
    name: str = ""


class PruneSet(Body):
    id: int
    score_set_id: int
    method: Method
    rule: PruneRule
    k: int
    name: str
    digest: str
    removed_by_class: list[int]
    created_at: datetime


class CompositionRow(Body):
    """Training examples of one class and attribute value."""

    name: str
    before: int
    after: int
    balanced: int  # as subsampling every group to the smallest would leave it


class NegativeMass(Body):
    """Share of all negative alignment that the k lowest rows hold, rising from 0 to 1 at the star."""

    k: list[int]
    share: list[float]


class PrunePreview(Body):
    k: int
    removed_by_class: list[int]
    kept_by_class: list[int]
    composition: list[CompositionRow]  # empty where no attribute is known on training examples
    items: list[Example]


# ---------------------------------------------------------------- compare and reports
class MethodResult(Body):
    """One method over its seeds, evaluated on one split over one grouping."""

    method: Method
    removed: int
    labels_used: str  # "none", "validation groups", "training groups"
    seeds: list[int]
    worst_group_accuracy: Interval
    balanced_accuracy: Interval
    average_accuracy: Interval
    adjusted_average_accuracy: Interval | None  # None: the groups' training counts are not known
    per_seed: list[dict[str, float | None]]
    groups: list[GroupAccuracy]
    worst_group_sd: float | None = None  # over seeds; None with fewer than two
    worst_group_bootstrap: Interval | None = None  # 95 %, over seeds and examples at once


class BatteryPlan(Body):
    """What a battery would run, before it starts."""

    methods: list[Method]
    left_out: dict[Method, str]  # method → why
    attribute: str | None  # that methods with group labels read
    seeds: list[int]
    n_searches: int  # trainings to find K*
    n_runs: int  # all trainings; those that are stored already are not repeated
    erm_trainings: float  # the same work in trainings of ERM
    seconds: float | None  # a guess; None before the first ERM run


class LeagueRow(Body):
    """One method and seed of a battery on the test split."""

    method: Method
    seed: int
    labels_used: str
    removed: int
    worst_group_accuracy: float
    balanced_accuracy: float
    average_accuracy: float
    adjusted_average_accuracy: float | None


class Comparison(Body):
    split: Split
    grouping: str  # attribute or group set that defines the groups, in words
    methods: list[MethodResult]
    curve: list[CurveRow]
    star: int | None
    best_k: int | None
    warnings: list[str]
    balancing_would_drop: int | None = None  # rows that subsampling to equal groups would drop


class Flips(Body):
    """Examples that one run gets wrong and the other right, on the same split and seed."""

    split: Split
    before: Run
    after: Run
    n_fixed: int
    n_broken: int
    p_value: float  # exact McNemar
    fixed: list[Example]
    broken: list[Example]


class ReportBlock(Body):
    """One part of a report; `text` is Markdown that stands before what the kind shows."""

    kind: ReportBlockKind | ImportPath  # a path: a block of one's own
    text: str = Field("", max_length=20_000)


class ReportCreate(Body):
    title: str = Field("", max_length=200)
    notes: str = Field("", max_length=50_000)  # Markdown
    blocks: list[ReportBlock] = Field([], max_length=40)  # none: every kind in its usual order
    images: ReportImages = ReportImages.FULL
    expires_in_days: int | None = Field(None, ge=1, le=3650)  # of the link; None: until it is revoked


class Report(Body):
    id: int
    title: str
    token: str
    url: str  # path of the view-only page
    digest: str
    size_bytes: int
    revoked: bool
    expires_at: datetime | None = None  # from then on the link is closed
    expired: bool = False
    created_at: datetime


# ---------------------------------------------------------------- people
class Me(Body):
    """Who asks, and what they may do."""

    name: str
    role: Role | None  # in every project, and outside of them
    projects: dict[str, Role]  # short name → the role there, for projects with a role of their own
    login: bool  # came with a browser's login, and can log out
    admin_page: bool


class UserCreate(Body):
    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w.@+-]+$")
    password: str | None = Field(None, min_length=10, max_length=1024)  # None: comes in through single sign-on only
    role: Role | None = None  # None: nothing until a right is given
    project: str | None = None  # None: in every project


class UserPatch(Body):
    """What is left out stays. A new password and `active = false` end every login."""

    password: str | None = Field(None, min_length=10, max_length=1024)
    active: bool | None = None


class RightWrite(Body):
    """A role in a project (None: in every one); role None takes it away."""

    project: str | None = None
    role: Role | None = None


class User(Body):
    name: str
    active: bool
    role: Role | None  # in every project
    projects: dict[str, Role]
    created_at: datetime


class TokenCreate(Body):
    """A key for a program of mine, with at most this role, for at most this long."""

    name: str = Field(min_length=1, max_length=100)
    role: Role = Role.VIEWER
    project: str | None = None  # None: wherever I may
    days: int = Field(90, ge=1, le=366)


class Token(Body):
    id: int
    name: str
    user: str
    role: Role
    project: str | None
    created_at: datetime
    expires_at: datetime
    revoked: bool


class TokenMade(Token):
    key: str  # shown this once; send it as Authorization: Bearer KEY


class AuditLine(Body):
    id: int
    at: datetime
    who: str
    action: str
    subject: str
    project: str | None
    status: int


# ---------------------------------------------------------------- browsing an attribution
class ViewCreate(Body):
    """A named part of a split: by `rule`, or the very examples of `example_ids`."""

    name: str = Field(min_length=1, max_length=100)
    split: Split = Split.VALIDATION
    rule: ExampleFilter = ExampleFilter()
    example_ids: list[int] = Field([], max_length=50_000)


class SavedView(Body):
    id: int
    name: str
    split: Split
    rule: ExampleFilter
    picked: bool  # its examples were picked one by one; False: by the rule
    n: int
    created_at: datetime


class Scatter(Body):
    """Validation examples of a class along two of its directions, as columns: entry i of every list is one example."""

    x_id: int
    y_id: int
    example_id: list[int]
    position: list[int]
    x: list[float]
    y: list[float]
    series: list[str]  # what the points are told apart by: right and wrong, or groups
    of: list[int]  # index into `series`
    n: int  # of the class; more than there are points when it was thinned


class ScoredValue(Body):
    """One stored number about an example, and where it stands among its like."""

    name: str  # "PC1 of 0-4", "T, score set 3"
    value: float
    rank: int  # 1 = smallest
    n: int


class ExampleDetail(Body):
    """All that is stored about one example."""

    example: Example
    checkpoints: list[int]  # class that each attributed checkpoint predicts; validation only
    loss: float | None  # mean over the attributed checkpoints [nats]; validation only
    values: list[ScoredValue]
    groups: dict[str, str]  # group set → name of its group there


class Influence(Body):
    """Training examples that help (proponents) and hurt (opponents) a target most, by τ; comparable only within it."""

    target: str  # in words
    n_targets: int  # examples that τ was averaged over
    proponents: list[Example]
    opponents: list[Example]
    share_positive: float  # of the training examples


# ---------------------------------------------------------------- several annotators
class AnnotatorCount(Body):
    name: str
    n: int
    unsure: int


class AnnotatorPair(Body):
    """Two annotators on the examples that both labelled, unsure answers left out."""

    first: str
    second: str
    n: int
    observed: Interval  # share of equal labels
    kappa: Interval | None  # Cohen's, with its 95 % interval; None where it is not defined


class SuggestionMatch(Body):
    """How often people confirmed what was suggested: does the direction mean what its name says?"""

    name: str
    confirmed: Interval


class Agreement(Body):
    annotators: list[AnnotatorCount]
    pairs: list[AnnotatorPair]
    n_disagreements: int  # examples, not decided yet
    suggestion: list[SuggestionMatch]


class LabelEvent(Body):
    """What a person did with one example; never changed."""

    id: int
    at: datetime
    annotator: str
    action: LabelAction
    example_id: int
    before: str
    after: str


class LabelImport(Body):
    n_rows: int
    n_labels: int
    n_passed_over: int  # not by hand
    written: bool


# ---------------------------------------------------------------- looking closer at methods
class Confusion(Body):
    """What each group is taken for: rows = groups, columns = predicted classes, shares averaged over runs."""

    split: Split
    grouping: str
    run_ids: list[int]
    groups: list[str]
    labels: list[int]  # the class that each group lies in
    classes: list[str]
    n: list[int]  # examples of each group
    share: list[list[float]]  # (groups, classes); rows sum to 1


class TestRevealCreate(Body):
    who: str = Field("me", min_length=1, max_length=64)


class TestReveal(Body):
    """Somebody looked at test results; what was chosen after that was not chosen blind."""

    who: str
    at: datetime


class WorkerInfo(Body):
    """A worker that beats: it takes jobs from the queue."""

    name: str
    beat_seconds_ago: float


# ---------------------------------------------------------------- the server, for whoever looks after it
class ServerInfo(Body):
    """Versions, settings and limits in force, and bytes on disk by what they are for."""

    versions: dict[str, str]
    revision: str  # of the database's schema
    settings: dict[str, str]
    limits: dict[str, int]  # bytes
    wait_seconds: int  # for a busy database
    disk: dict[str, int]  # bytes; "free" among them
