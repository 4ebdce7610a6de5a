"""Parameters of every job with their defaults: the only place that holds defaults.

Frozen, validated, JSON round-trips. A stored result always carries the parameters that made it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from unskew.schemas.enums import DataKind, Engine, Layout, Method, Orientation, RowTransform, WeightRule

Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
ImportPath = Annotated[
    str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$", max_length=500)
]  # a function of one's own
ValidationSkew = Literal["balanced", "skewed"]  # of a set that ships: both attributes equally often, or as in training
SETS = {"demo": 32, "coloured": 14, "reviews": 0, "clinic": 0}  # sets that ship; side of their images [px], 0: none


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputShape(Params):
    """What one example is for a model; sizes that its kind does not have are 0.

    image: uint8 (3, image_size, image_size) · text: int32 (n_tokens,), 0 = padding · table: float32 (n_features,).
    """

    kind: DataKind
    image_size: int = 0
    n_tokens: int = 0
    vocabulary_size: int = 0
    n_features: int = 0

    @classmethod
    def image(cls, size: int) -> InputShape:
        return cls(kind=DataKind.IMAGE, image_size=size)

    @classmethod
    def text(cls, n_tokens: int, vocabulary_size: int) -> InputShape:
        return cls(kind=DataKind.TEXT, n_tokens=n_tokens, vocabulary_size=vocabulary_size)

    @classmethod
    def table(cls, n_features: int) -> InputShape:
        return cls(kind=DataKind.TABLE, n_features=n_features)

    @property
    def array(self) -> tuple[str, tuple[int, ...]]:
        """dtype and shape of one stored example."""
        if self.kind is DataKind.IMAGE:
            return "uint8", (3, self.image_size, self.image_size)
        return ("int32", (self.n_tokens,)) if self.kind is DataKind.TEXT else ("float32", (self.n_features,))

    @property
    def sizes(self) -> dict[str, int]:
        """Keywords that a model factory of this kind is offered."""
        return {name: n for name, n in self.model_dump(exclude={"kind"}).items() if n}


REFERENCE_MODELS = {
    DataKind.IMAGE: "unskew.models:small_cnn",
    DataKind.TEXT: "unskew.models:small_transformer",
    DataKind.TABLE: "unskew.models:mlp",
}


class ModelSpec(Params):
    """A model by import path: called as factory(n_classes=…, image_size=…, **kwargs) with the keywords it accepts."""

    factory: str = ""  # "": the reference model of the data's kind
    kwargs: dict[str, Any] = Field(default_factory=dict)

    def of_kind(self, kind: DataKind) -> ModelSpec:
        """The same with the factory written out."""
        return self if self.factory else self.model_copy(update={"factory": REFERENCE_MODELS[kind]})


class TrainParams(Params):
    """One training run. Defaults are the demo's; they suit small images and models."""

    epochs: int = Field(12, ge=1, le=10_000)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    schedule: Literal["onecycle", "constant"] = "onecycle"
    trainer: ImportPath | None = Field(None, exclude_if=lambda path: path is None)  # one's own; see `Training`


class TuningParams(Params):
    """What competes within one method; the best on validation wins. Sources: docs/method.md, Methods."""

    subsample_lengths: tuple[float, ...] = (0.25, 0.5, 1.0)  # of ERM's steps, for suby and subg: a small set overfits
    lengths: tuple[float, ...] = (0.25, 1.0)  # of ERM's steps, for rwy, rwg, group_dro and lisa
    strong_weight_decay: float = Field(1.0, ge=0)  # competes with the run's own for rwy, rwg, group_dro and lisa
    dro_step_sizes: tuple[float, ...] = (0.01, 0.1)  # η of group_dro
    lisa_same_label: float = Field(0.5, ge=0, le=1)  # share of batches mixed within a label across attributes
    lisa_beta: float = Field(2.0, gt=0)  # mixing shares are drawn from Beta(b, b)
    jtt_first: tuple[float, ...] = (0.1, 0.25)  # epochs of the first model, as a share of the run's
    jtt_upweights: tuple[int, ...] = (4, 20)  # how often an error of the first model is repeated
    dfr_c: tuple[float, ...] = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)  # inverse strengths of the L1 penalty
    dfr_draws: int = Field(20, ge=1)  # group-balanced subsets that are averaged
    afr_share: float = Field(0.8, gt=0, lt=1)  # of the rows, for the first stage
    afr_gammas: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # 0 = every row alike
    afr_penalties: tuple[float, ...] = (0.0, 0.001, 0.1)  # of the distance from the first stage's last layer
    afr_learning_rate: float = Field(0.02, gt=0)
    afr_steps: int = Field(1000, ge=1)


class ImportParams(Params):
    """Where examples come from and how they are read."""

    source: str  # folder or file in one of the layouts of docs/data.md, or a set that ships
    name: str = Field(min_length=1, max_length=100)
    image_size: int = Field(64, ge=8, le=1024)  # side in pixels that the model sees; of a set that ships its own
    path_column: str = "path"
    label_column: str = "label"
    split_column: str = "split"
    validation_share: float = Field(
        0.0, ge=0, lt=1
    )  # taken from train, stratified, when the source has no validation split
    test_share: float = Field(0.0, ge=0, lt=1)
    seed: Seed = 0
    demo_seed: Seed = 0  # this and the next two only of a set that ships: which examples, and which are the minority
    skew: float = Field(0.95, ge=0.5, le=1)  # share of a training class with its own attribute; 0.5 = no bias
    validation: ValidationSkew = "balanced"
    layout: Layout | ImportPath | None = None  # None: recognised; a path: a reader of one's own
    kind: DataKind | None = None  # None: images if there is a path column, texts if there is a text column
    text_column: str = "text"
    n_tokens: int = Field(64, ge=4, le=4096)  # of a text that the model sees; the rest is cut off
    vocabulary_size: int = Field(8000, ge=16)  # most frequent words of the training texts
    tokenizer: str | None = None  # a pretrained encoder's tokenizer.json, or the package with it; None: words as above
    feature_columns: list[str] | None = None  # of a table; None: all but label, split and attributes
    attribute_columns: list[str] = []  # of a table; a column may be both a feature and an attribute

    @model_validator(mode="before")
    @classmethod
    def _size_of_a_set(cls, given: Any) -> Any:
        size = SETS.get(str(given.get("source")), 0) if isinstance(given, dict) else 0
        return {"image_size": size, **given} if size else given

    @model_validator(mode="after")
    def _made_for_a_set(self) -> ImportParams:
        for name in ("demo_seed", "skew", "validation"):
            if self.source not in SETS and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is of sets that ship only ({', '.join(SETS)})")
        return self


def next_round(name: str) -> str:
    """What the project that continues one of this name is called: "Birds", "Birds, round 2", "Birds, round 3" …"""
    base, _, number = name.rpartition(", round ")
    base, n = (base, int(number) + 1) if base and number.isascii() and number.isdigit() else (name, 2)
    suffix = f", round {n}"
    return base[: 100 - len(suffix)] + suffix


class ContinueParams(Params):
    """A project of what a prune set left, to discover in again."""

    prune_set_id: int
    name: str = Field(min_length=1, max_length=100)  # of the new project


class TrainJobParams(Params):
    """ERM checkpoints, one a seed."""

    model: ModelSpec = ModelSpec()
    train: TrainParams = TrainParams()
    seeds: list[Seed] = Field(default=[0, 1, 2, 3, 4], min_length=1)


class ImportCheckpointsParams(Params):
    """A model of the user's own and its saved state dicts (`torch.save` of a state dict, or safetensors)."""

    model: ModelSpec
    paths: list[str] = Field(min_length=1)
    train: TrainParams = TrainParams()  # how retraining will be done later


class AttributeParams(Params):
    run_ids: list[int] | None = None  # None: every ERM run of the project that has a checkpoint
    engine: Engine | ImportPath = Engine.FACTORED  # a path: a function of one's own that makes τ; see `Scoring`
    projection_in: int = Field(16, ge=1)  # of a layer's input
    projection_out: int = Field(16, ge=1)  # of the gradient at its output; their product is the layer's budget
    projection_dim: int | None = Field(None, ge=1)  # budget of all layers together, instead of one a layer
    projection: Literal["random", "pca"] = "random"  # pca: along what the layers see on the first training examples
    grad_wrt: list[str] | None = None  # patterns of parameter names, such as "fc.*"; None: all that are trained
    damping: float | Literal["auto"] = "auto"  # λ, times the mean of the diagonal of ΦᵀΦ; auto: see `choose_damping`
    # How a training example weighs in its scores. auto: by how wrong a retrained model is expected to be on it; a
    # number: by that power of 1 - p of the model itself, 1 as TRAK has it. See `unskew.attribution.retraining`.
    q_power: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"
    error_damping: float | Literal["auto"] = "auto"  # λ for what errors have in common; auto: ten times as much
    storage: Literal["float32", "float16"] = "float32"  # of features; sums are always float32 and float64
    mixed_precision: bool = False  # forward and backward in bfloat16, for accelerators
    seed: Seed = 0
    batch_size: int | None = Field(None, ge=1)  # None: the largest power of two up to 256 that memory holds
    helper: int = Field(0, ge=0)  # jobs that differ in this number only make one attribution together, a worker each

    @field_validator("damping", "error_damping")
    @classmethod
    def _positive(cls, damping: float | str) -> float | str:
        if not isinstance(damping, str) and not damping > 0:
            raise ValueError("need a number above 0, or 'auto'")
        return damping


class ImportAttributionParams(Params):
    """τ computed elsewhere, in .npy files of this machine; rows and columns in the order of the splits."""

    matrix: str  # + = helps; or a folder that traker saved
    orientation: Orientation = Orientation.TRAIN_BY_TARGET  # (n_train, n_validation)
    target_loss: str | None = None  # (n_validation,) [nats]
    target_prediction: str | None = None  # int64 (n_checkpoints, n_validation) or (n_validation,)


class DiscoverParams(Params):
    attribution_id: int | None = None  # None: the project's newest
    n_directions: int = Field(5, ge=1, le=50)  # principal ones; the error-guided one comes before them
    error_guided: bool = True
    row_transform: RowTransform = RowTransform.SIGNED_SQRT
    normalise_rows: bool = True
    centre: bool = True
    training_rows: Literal["auto", "all", "own"] = "auto"  # rows of τ over all training examples, or the own class's


class ScoreParams(Params):
    group_set_id: int
    attribution_id: int | None = None
    weight_rule: WeightRule = WeightRule.LOSS
    label: int | None = Field(None, ge=0)  # debias one class: only its groups weigh, and K* is searched on them alone


class SearchKParams(Params):
    """K* by retraining over a grid, chosen by worst-group accuracy over the score set's own validation groups."""

    score_set_id: int
    grid: list[int] | None = (
        None  # None: seven values up to 1.1 × the star, the star among them; ERM (K=0) always competes
    )
    seeds: list[Seed] = Field(default=[0, 1, 2], min_length=1)


class RetrainParams(Params):
    """methods × seeds. Pruning methods need a prune set, `auto_*` a score set of pseudo-groups (default: the newest),
    methods that read group labels an attribute."""

    methods: list[Method] = Field(default=[Method.ERM, Method.TRAK, Method.RANDOM_K], min_length=1)
    seeds: list[Seed] = Field(default=[0, 1, 2], min_length=1)
    prune_set_id: int | None = None
    group_attribute: str | None = None
    score_set_id: int | None = None


class BatteryParams(Params):
    """Every method against every other: scores, searches for K* and trainings, counted before they start."""

    methods: list[Method] | None = None  # None: every method that the project has labels for
    seeds: list[Seed] = Field(default=[0, 1, 2, 3, 4], min_length=1)
    search_seeds: list[Seed] = Field(default=[0, 1, 2], min_length=1)  # of the searches for K*
    group_attribute: str | None = None  # None: the project's first attribute, where there is one
    group_set_id: int | None = None  # pseudo-groups of the auto methods; None: the newest of the project
    reweighted: TrainParams | None = None  # settings of rwg, subg, group_dro and jtt; None: those of the ERM runs


class LdsParams(Params):
    """Models trained on random halves of the training rows, to see whether an attribution predicts them."""

    attribution_id: int | None = None  # None: the project's newest
    n_subsets: int = Field(32, ge=2, le=10_000)
    subset_seed: Seed = 0
    seeds: list[Seed] = Field(default=[0], min_length=1)  # of training; margins are averaged over them
