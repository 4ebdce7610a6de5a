"""Train one run and store it: the step that training, search and retraining jobs share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import IntegrityError

from backend.store import jobs, projects, runs, tables
from backend.store.artifacts import content_id
from backend.store.db import Store
from unskew import groups
from unskew.data import Data
from unskew.evaluation import Predictions
from unskew.models import save_state
from unskew.pruning import kept
from unskew.schemas.enums import Method
from unskew.schemas.params import ModelSpec, TrainParams
from unskew.training import TRAINING_VERSION, train
from workers.context import Context


@dataclass(frozen=True)
class Wanted:
    """One run. `removed`: int64 training positions to drop; `attribute`: groups that a method may read."""

    method: Method
    seed: int
    model: ModelSpec
    train: TrainParams
    removed: NDArray[np.int64] | None = None
    score_set_id: int | None = None
    score_key: str = ""
    prune_set_id: int | None = None
    attribute: str | None = None
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
            version=TRAINING_VERSION,
        )


def ensure(context: Context, wanted: Wanted) -> int:
    """The number of the stored run, trained now if it is not there yet."""
    project = context.project()
    key = content_id(project=project.id, run=wanted.key(project.fingerprint))
    found = _link(context, key, wanted)
    if found is not None:
        context.log(f"already there: run {found}")
        return found
    data = project_data(context.store, project.id, (wanted.attribute,) if wanted.attribute else ())
    title = (
        f"{wanted.method.value}, K = {wanted.n_removed:,}, seed {wanted.seed}"
        if wanted.n_removed
        else f"{wanted.method.value}, seed {wanted.seed}"
    )

    def on_epoch(epoch: float, values: dict[str, float]) -> None:
        with context.store.session() as session:
            jobs.add_metrics(session, context.job_id, key, title, epoch, values)
        context.progress(epoch, wanted.train.epochs, f"epoch {epoch:.0f} of {wanted.train.epochs}")

    in_training, in_validation = _groups(data, wanted.attribute)
    result = train(
        wanted.method,
        data,
        model=wanted.model,
        seed=wanted.seed,
        keep=None if wanted.removed is None else kept(len(data.train), wanted.removed),
        params=wanted.train,
        train_groups=in_training,
        validation_groups=in_validation,
        on_epoch=on_epoch,
        should_stop=context.should_stop,
        state_path=context.scratch / key,
        device=context.device,
    )
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
        n_all=len(data.train),
        seconds=result.seconds,
    )


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


def _groups(data: Data, attribute: str | None) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Label-major groups of training and validation rows, numbered alike; None without an attribute."""
    if attribute is None:
        return None, None
    values = groups.attribute_values(data.train.attributes[attribute], data.validation.attributes[attribute])
    found = [
        groups.from_attribute(
            split.attributes[attribute], split.label, class_names=data.class_names, known_values=values
        ).group
        for split in (data.train, data.validation)
    ]
    return found[0], found[1]


def recipe_of(store: Store, project_id: int, run_ids: list[int] | None = None) -> tuple[ModelSpec, TrainParams]:
    """Model and training parameters of the project's ERM runs (or of the named ones): retraining repeats them."""
    with store.read() as session:
        row = runs.erm_runs(session, project_id, run_ids)[-1]
    return ModelSpec.model_validate(row.params["model"]), TrainParams.model_validate(row.params["train"])
