"""Training runs: found again by a key that stands for everything that decides their result."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.store import tables
from backend.store.artifacts import Artifacts, content_id
from unskew.errors import SettingsError
from unskew.evaluation import Predictions
from unskew.schemas.enums import Method, Split

PREDICTIONS = "predictions"
CHECKPOINT = "checkpoint"
CHECKPOINT_FILE = "model.safetensors"


def digest_of(positions: NDArray[np.int64] | None) -> str:
    """sha256 of ascending positions; "" for none removed."""
    if positions is None or len(positions) == 0:
        return ""
    return hashlib.sha256(np.ascontiguousarray(positions, dtype="<i8").tobytes()).hexdigest()


def run_key(
    fingerprint: str,
    method: Method,
    seed: int,
    settings: dict[str, Any],
    *,
    removed: NDArray[np.int64] | None = None,
    score_key: str = "",
    attribute: str = "",
    version: int,
) -> str:
    """Hash of what decides a run. `settings`: model and train parameters; `version`: of the training code."""
    return content_id(
        fingerprint=fingerprint,
        method=method,
        seed=seed,
        settings=settings,
        removed=digest_of(removed),
        score=score_key,
        attribute=attribute,
        version=version,
    )


def find(session: Session, key: str) -> tables.Run | None:
    return session.scalar(select(tables.Run).where(tables.Run.key == key))


def erm_runs(session: Session, project_id: int, run_ids: list[int] | None = None) -> list[tables.Run]:
    """ERM runs that have a checkpoint, by seed."""
    return list(session.scalars(_erm(tables.Run, project_id, run_ids)))


def erm_predictions(session: Session, project_id: int, run_ids: list[int] | None = None) -> list[str]:
    """Artifacts of what those say, in the same order; nothing else of the rows is read."""
    return list(session.scalars(_erm(tables.Run.predictions, project_id, run_ids)))


def _erm(what: Any, project_id: int, run_ids: list[int] | None) -> Select[Any]:
    run = tables.Run
    query = select(what).where(run.project_id == project_id, run.method == Method.ERM, run.checkpoint.is_not(None))
    return (query if run_ids is None else query.where(run.id.in_(run_ids))).order_by(run.seed, run.id)


def list_runs(session: Session, project_id: int) -> list[tables.Run]:
    query = select(tables.Run).where(tables.Run.project_id == project_id)
    return list(session.scalars(query.order_by(tables.Run.id)))


def save_predictions(folder: Path, validation: Predictions, test: Predictions | None) -> None:
    """Writer of a predictions artifact."""
    for split, found in ((Split.VALIDATION, validation), (Split.TEST, test)):
        if found is not None:
            np.save(folder / f"prediction_{split.value}.npy", found.prediction)
            np.save(folder / f"loss_{split.value}.npy", found.loss)


def predictions(artifacts: Artifacts, run: tables.Run, split: Split) -> Predictions:
    """What the run's model says about a split, in position order.

    Raises:
        SettingsError: it is not stored: of train, or of a split that the project does not have.
    """
    said = prediction(artifacts, run.predictions, split)
    return Predictions(said, artifacts.load(PREDICTIONS, run.predictions, f"loss_{split.value}.npy"))


def prediction(artifacts: Artifacts, artifact: str, split: Split) -> NDArray[np.int64]:
    """The classes alone, int64 (n,), by the name of the run's artifact.

    Raises:
        SettingsError: see `predictions`.
    """
    name = f"prediction_{split.value}.npy"
    if name not in artifacts.manifest(PREDICTIONS, artifact)["files"]:
        raise SettingsError(
            f"What this run says about {split.value} examples is not stored.", fix="Choose split validation."
        )
    return artifacts.load(PREDICTIONS, artifact, name)
