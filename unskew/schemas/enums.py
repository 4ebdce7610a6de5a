"""The closed word lists: the only spellings that database, API, client and screens use."""

from __future__ import annotations

from enum import StrEnum


class Split(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Layout(StrEnum):
    """How a source is laid out on disk; recognised, or forced by a person."""

    MANIFEST = "manifest"
    FOLDER = "folder"
    WATERBIRDS = "waterbirds"
    CELEBA_BLOND = "celeba_blond"
    CELEBA_AGE = "celeba_age"
    IMAGENET = "imagenet"
    GROUP_METADATA = "group_metadata"  # filename, split, y, a
    CAMELYON17 = "camelyon17"
    IWILDCAM = "iwildcam"
    NPZ = "npz"
    MULTINLI = "multinli"
    CIVILCOMMENTS = "civilcomments"


class DataKind(StrEnum):
    """What an example is, for a person and for a model."""

    IMAGE = "image"
    TEXT = "text"
    TABLE = "table"  # one row of columns


class Method(StrEnum):
    """Recipes of the one trainer."""

    ERM = "erm"
    TRAK = "trak"  # pruning by T over known or hand-labelled validation groups
    AUTO_TRAK = "auto_trak"  # pruning by T over pseudo-groups; reads no group label anywhere
    RANDOM_K = "random_k"  # control: as many random rows
    SUBG = "subg"  # subsample every training group to the smallest
    SUBY = "suby"  # the same by class
    RWG = "rwg"  # draw every training group equally often
    RWY = "rwy"  # the same by class
    GROUP_DRO = "group_dro"  # weigh training groups by how badly they do
    LISA = "lisa"  # mix images within a class across attributes, and the reverse
    JTT = "jtt"  # train twice, repeating what the first model got wrong
    DFR = "dfr"  # last layer fitted anew on group-balanced validation examples
    AFR = "afr"  # last layer fitted anew on held-out training rows, weighted by how unsure the model is of them
    AUTO_SUBG = "auto_subg"  # auto_*: the method on discovered groups; reads no group label anywhere
    AUTO_RWG = "auto_rwg"
    AUTO_GROUP_DRO = "auto_group_dro"
    AUTO_LISA = "auto_lisa"
    AUTO_DFR = "auto_dfr"
    AUTO_JTT = "auto_jtt"
    AUTO_AFR = "auto_afr"
    LOSS_TRAK = "loss_trak"  # control: pruning by T over groups split by the loss alone, without a direction
    EXCLUDE = "exclude"  # the rows of subpopulations that a person chose
    REFIT = "refit"  # control: last layer fitted anew on all validation examples, without groups


class Engine(StrEnum):
    """What makes τ."""

    FACTORED = "factored"
    EXACT = "exact"  # whole gradients, for small models
    TRAKER = "traker"  # the authors' package
    IMPORT = "import"  # τ given whole, computed elsewhere

    @classmethod
    def _missing_(cls, value: object) -> Engine | None:
        return cls.IMPORT if value == "matrix" else None  # what stores of 0.1.0 call it


class Orientation(StrEnum):
    """Which way round a matrix of scores is."""

    TRAIN_BY_TARGET = "train_by_target"
    TARGET_BY_TRAIN = "target_by_train"


class RowTransform(StrEnum):
    """What is done to a row of τ before the principal directions are taken."""

    NONE = "none"
    SIGNED_SQRT = "signed_sqrt"


class CutRule(StrEnum):
    """Where a direction is cut into its two sides."""

    ZERO = "zero"
    GAP = "gap"
    MIXTURE = "mixture"
    ERRORS = "errors"


class WeightRule(StrEnum):
    """How a group's weight w_G follows from how badly the model does on it."""

    LOSS = "loss"
    EXP_LOSS = "exp_loss"
    UNIFORM = "uniform"
    PAPER_PRINTED = "paper_printed"


class GroupSource(StrEnum):
    ATTRIBUTE = "attribute"
    HAND = "hand"
    PSEUDO = "pseudo"
    MIXED = "mixed"


class DirectionKind(StrEnum):
    PRINCIPAL = "principal"
    ERROR_GUIDED = "error_guided"  # where the rows of badly predicted targets point


class DirectionState(StrEnum):
    OPEN = "open"
    NAMED = "named"
    DISCARDED = "discarded"


class Verdict(StrEnum):
    STRONG = "strong"
    POSSIBLE = "possible"
    NONE = "none"


class JobKind(StrEnum):
    IMPORT = "import"
    TRAIN = "train"
    IMPORT_CHECKPOINTS = "import_checkpoints"
    ATTRIBUTE = "attribute"
    IMPORT_ATTRIBUTION = "import_attribution"
    DISCOVER = "discover"
    SCORE = "score"
    SEARCH_K = "search_k"
    RETRAIN = "retrain"
    BATTERY = "battery"
    LDS = "lds"
    CONTINUE = "continue"  # a project of what a prune set left


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PruneRule(StrEnum):
    STAR = "star"  # K = #{T < 0}
    BEST = "best"  # K*, best on validation
    MANUAL = "manual"  # K chosen by a person
    EXCLUDED = "excluded"  # subpopulations chosen by a person


class LabelOrder(StrEnum):
    """Order in which the Label page offers examples."""

    EXTREMES = "extremes"
    BOUNDARY = "boundary"
    RANDOM = "random"
    POSITION = "position"
    DISAGREEMENT = "disagreement"  # only where annotators differ and nobody decided yet


class LabelAction(StrEnum):
    SET = "set"
    UNDO = "undo"
    REDO = "redo"


class PreviewPart(StrEnum):
    """Which training examples a preview of a removal shows."""

    MOST_NEGATIVE = "most_negative"  # go first
    BELOW_ZERO = "below_zero"  # T just below 0
    ABOVE_ZERO = "above_zero"  # T just above 0
    MOST_POSITIVE = "most_positive"  # help most
    AT_K = "at_k"  # the last that go and the first that stay


class Role(StrEnum):
    """What somebody may do in a project, each with all of the ones before."""

    VIEWER = "viewer"  # look, download
    LABELER = "labeler"  # label
    EDITOR = "editor"  # start and stop jobs, make and change groups, prune sets, reports
    ADMIN = "admin"  # delete; in every project: import, users, tokens, the audit log

    def includes(self, needed: Role) -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


class LabelFormat(StrEnum):
    """Files of labels."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class ReportBlockKind(StrEnum):
    """What a report is built of, in its usual order."""

    SUMMARY = "summary"
    DATA = "data"
    FOUND = "found"
    REMOVED = "removed"
    GAINED = "gained"
    LIMITS = "limits"
    REPEAT = "repeat"
    TEXT = "text"  # prose alone


class ReportImages(StrEnum):
    """How a report shows examples."""

    FULL = "full"
    BLURRED = "blurred"
    OMITTED = "omitted"
