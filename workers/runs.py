"""Train one run and store it: the step that training, search and retraining jobs share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sqlalchemy.exc import IntegrityError

from backend.store import attributions, jobs, projects, runs, scores, tables
from backend.store.artifacts import content_id
from backend.store.db import Store
from unskew import groups
from unskew.attribution import Attribution
from unskew.data import Data, SplitArrays
from unskew.discovery import training_groups
from unskew.evaluation import Predictions
from unskew.models import load_state, save_state
from unskew.pruning import kept
from unskew.schemas.enums import Method, Split
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import ModelSpec, TrainParams
from unskew.training import TRAINING_VERSION, TrainResult, train
from unskew.training.share import Share
from workers import gang
from workers.context import Context


@dataclass(frozen=True)
class Wanted:
    """One run.

    Attributes:
        removed: int64 training positions to drop.
        attribute: known groups that the method may read.
        discovered: the score set whose pseudo-groups an auto_* method reads; `score_key` must be that set's.
    """

    method: Method
    seed: int
    model: ModelSpec
    train: TrainParams
    removed: NDArray[np.int64] | None = None
    score_set_id: int | None = None
    score_key: str = ""
    prune_set_id: int | None = None
    attribute: str | None = None
    discovered: bool = False
    keep_checkpoint: bool = False

    @property
    def settings(self) -> dict[str, object]:
        return {"model": self.model.model_dump(mode="json"), "train": self.train.model_dump(mode="json")}

    @property
    def n_removed(self) -> int:
        return 0 if self.removed is None else len(self.removed)

    def key(self, fingerprint: str) -> str:
        return runs.run_key(
            fingerprint,
            self.method,
            self.seed,
            self.settings,
            removed=self.removed,
            score_key=self.score_key,
            attribute=self.attribute or "",
            version=TRAINING_VERSION + RECIPES[self.method].version - 1,
        )


def ensure(context: Context, wanted: Wanted) -> int:
    """The number of the stored run, trained now if it is not there yet."""
    project = context.project()
    key = content_id(project=project.id, run=wanted.key(project.fingerprint))
    found = _link(context, key, wanted)
    if found is not None:
        context.log(f"already there: run {found}")
        return found
    title = (
        f"{wanted.method.value}, K = {wanted.n_removed:,}, seed {wanted.seed}"
        if wanted.n_removed
        else f"{wanted.method.value}, seed {wanted.seed}"
    )

    def on_epoch(epoch: float, values: dict[str, float]) -> None:
        with context.store.session() as session:
            jobs.add_metrics(session, context.job_id, key, title, epoch, values)
        context.progress(epoch, wanted.train.epochs, f"epoch {epoch:.0f} of {wanted.train.epochs}")

    recipe = RECIPES[wanted.method]
    if recipe.discovered and recipe.reads_training_groups:
        context.progress(0, wanted.train.epochs, "finding the groups of training examples")
    task = Task(project.id, wanted, _erm_state(context, wanted), context.scratch / key)
    with gang.together():
        gang.tell(task)
        result = perform(context.store, task, context.device, on_epoch=on_epoch, should_stop=context.should_stop)
    if result.setting:
        context.log(f"{title}: {result.setting}")
    checkpoint = None
    if wanted.keep_checkpoint:
        checkpoint = content_id(run=key, what=runs.CHECKPOINT)
        context.store.artifacts.make(
            runs.CHECKPOINT, checkpoint, lambda folder: save_state(folder / runs.CHECKPOINT_FILE, result.state)
        )
    return add(
        context,
        wanted,
        key,
        result.validation,
        result.test,
        checkpoint,
        n_train=result.n_train,
        n_all=len(_data(context.store, task).train),
        seconds=result.seconds,
    )


@dataclass(frozen=True)
class Task:
    """A training as one process of a gang can tell it to the others."""

    project_id: int
    wanted: Wanted
    base: dict[str, torch.Tensor] | None
    state_path: Path


def perform(store: Store, task: Task, device: str, **watch: Any) -> TrainResult:
    """Train: in every process of a gang at once, or alone."""
    data, wanted = _data(store, task), task.wanted
    return train(
        wanted.method,
        data,
        model=wanted.model,
        seed=wanted.seed,
        keep=None if wanted.removed is None else kept(len(data.train), wanted.removed),
        params=wanted.train,
        base=task.base,
        **_groups(store, data, wanted),
        state_path=task.state_path,
        device=device,
        share=Share.here(),
        **watch,
    )


def _data(store: Store, task: Task) -> Data:
    return project_data(store, task.project_id, (task.wanted.attribute,) if task.wanted.attribute else ())


def add(
    context: Context,
    wanted: Wanted,
    key: str,
    validation: Predictions,
    test: Predictions | None,
    checkpoint: str | None,
    *,
    n_train: int,
    n_all: int,
    seconds: float,
) -> int:
    """Store predictions and the row; a twin that was faster wins."""
    artifacts = context.store.artifacts
    predictions = content_id(run=key, what=runs.PREDICTIONS)

    def write(folder: Path) -> None:
        runs.save_predictions(folder, validation, test)

    artifacts.make(runs.PREDICTIONS, predictions, write)
    row = tables.Run(
        project_id=context.project_id,
        job_id=context.job_id,
        key=key,
        method=wanted.method,
        seed=wanted.seed,
        params=wanted.settings,
        score_set_id=wanted.score_set_id,
        prune_set_id=wanted.prune_set_id,
        removed=n_all - n_train,
        n_train=n_train,
        seconds=round(seconds, 3),
        predictions=predictions,
        checkpoint=checkpoint,
    )
    try:
        with context.store.session() as session:
            artifacts.write(session, runs.PREDICTIONS, predictions, write)
            if checkpoint is not None:
                artifacts.write(session, runs.CHECKPOINT, checkpoint, _never)
            session.add(row)
            session.flush()
            return row.id
    except IntegrityError:
        found = _link(context, key, wanted)
        assert found is not None, "only a twin can stand in the way"
        return found


def _never(folder: Path) -> None:
    shutil.rmtree(folder)
    raise AssertionError("the artifact was made before its row")


def _link(context: Context, key: str, wanted: Wanted) -> int | None:
    """The stored run, if there is one; a run of the search becomes part of the prune set that chose its K."""
    with context.store.session() as session:
        row = runs.find(session, key)
        if row is None:
            return None
        if wanted.prune_set_id is not None and row.prune_set_id is None:
            row.prune_set_id = wanted.prune_set_id
        return row.id


@lru_cache(maxsize=2)
def project_data(store: Store, project_id: int, attributes: tuple[str, ...] = ()) -> Data:
    """Kept for the next step of the same job: inputs are memory-mapped, labels and attributes are read once."""
    with store.read() as session:
        return projects.data(store, session, projects.get(session, project_id), attributes=attributes)


def _groups(store: Store, data: Data, wanted: Wanted) -> dict[str, Any]:
    """The arguments of `train` about groups: only those that the method reads, label-major, numbered alike."""
    recipe = RECIPES[wanted.method]
    if wanted.discovered:
        assert wanted.score_set_id is not None, "pseudo-groups come from a score set"
        found = discovered_groups(store, wanted.score_set_id, with_training=recipe.reads_training_groups)
        return {"train_groups": found[0], "validation_groups": found[1], "groups_per_class": 2, "discovered": True}
    if wanted.attribute is None:
        return {}
    values = groups.attribute_values(
        data.train.attributes[wanted.attribute], data.validation.attributes[wanted.attribute]
    )

    def grouped(split: SplitArrays) -> NDArray[np.int64]:
        column = split.attributes[str(wanted.attribute)]
        return groups.from_attribute(column, split.label, class_names=data.class_names, known_values=values).group

    return {
        "train_groups": grouped(data.train) if recipe.reads_training_groups else None,
        "validation_groups": grouped(data.validation) if recipe.reads_validation_groups else None,
        "groups_per_class": len(values),
    }


@lru_cache(maxsize=4)
def discovered_groups(
    store: Store, score_set_id: int, *, with_training: bool = True
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """The pseudo-groups that a score set was made with, of validation, and carried over to training."""
    with store.read() as session:
        score_set = scores.get(session, score_set_id)
        n_classes = len(projects.get(session, score_set.project_id).class_names)
        train_label = projects.labels(session, score_set.project_id, Split.TRAIN)
        row = session.get_one(tables.Attribution, score_set.attribution_id)
    group = np.asarray(store.artifacts.load(scores.SCORES, score_set.artifact, "groups.npy"))
    if not with_training:
        return None, group
    attribution = Attribution.load(store.artifacts.path(attributions.ATTRIBUTION, row.artifact))
    return training_groups(attribution, group, train_label, n_classes), group


def _erm_state(context: Context, wanted: Wanted) -> dict[str, torch.Tensor] | None:
    """Weights of the ERM run of the same seed, for methods that start from it; trained and stored first if need be."""
    if not RECIPES[wanted.method].refits_erm:
        return None
    erm = ensure(context, Wanted(Method.ERM, wanted.seed, wanted.model, wanted.train, keep_checkpoint=True))
    with context.store.read() as session:
        row = session.get_one(tables.Run, erm)
    if row.checkpoint is None:
        return None
    return load_state(context.store.artifacts.path(runs.CHECKPOINT, row.checkpoint, runs.CHECKPOINT_FILE))


def recipe_of(store: Store, project_id: int, run_ids: list[int] | None = None) -> tuple[ModelSpec, TrainParams]:
    """Model and training parameters of the project's ERM runs (or of the named ones): retraining repeats them."""
    with store.read() as session:
        row = runs.erm_runs(session, project_id, run_ids)[-1]
    return ModelSpec.model_validate(row.params["model"]), TrainParams.model_validate(row.params["train"])
