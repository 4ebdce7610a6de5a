"""A matrix from elsewhere becomes the project's attribution, and directions are found in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jobs_house import DIGITS, House

from backend.services import directions, examples, projects
from backend.store import attributions
from unskew.errors import SettingsError
from unskew.schemas.enums import Engine, JobKind, JobStatus, Split, Verdict
from unskew.schemas.params import AttributeParams, DiscoverParams, ImportAttributionParams


def planted(house: House) -> tuple[np.ndarray, np.ndarray]:
    """τ with one strong direction a class: ±1 by the border; and what a model would predict that follows the border."""
    with house.store.read() as session:
        from backend.store import projects as project_store

        project = project_store.get(session, DIGITS)
        border = {s: project_store.attribute(session, DIGITS, s, "border") == "bright" for s in Split}
        label = project_store.labels(session, project.id, Split.VALIDATION)
    side = {s: np.where(on, 1.0, -1.0) for s, on in border.items()}
    rng = np.random.default_rng(0)
    tau = np.outer(side[Split.TRAIN], side[Split.VALIDATION]) + 0.1 * rng.standard_normal((160, 40))
    return tau.astype(np.float32), np.where(border[Split.VALIDATION], 0, 1) * np.ones_like(label)


def test_a_matrix_is_attributed_and_discovered(digits: House, tmp_path: Path) -> None:
    digits.start()
    tau, prediction = planted(digits)
    files = {"matrix": tau, "target_prediction": prediction, "target_loss": np.ones(40, np.float32)}
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
    wanted = ImportAttributionParams(**{name: str(tmp_path / f"{name}.npy") for name in files})
    for _ in range(2):  # the same matrix twice is the same attribution
        digits.done(digits.ask(JobKind.IMPORT_ATTRIBUTION, wanted, DIGITS))
    [made] = projects.attributions_list(digits.store, "digits")
    assert made.engine is Engine.IMPORT and made.run_ids == [] and not made.stale
    digits.done(digits.ask(JobKind.DISCOVER, DiscoverParams(n_directions=1), DIGITS))
    for direction in directions.list_directions(digits.store, "digits"):
        projection, border = directions.projection_and_attribute(digits.store, "digits", direction.id, "border")
        assert len({bool(p > 0) for p, b in zip(projection, border, strict=True) if b == "bright"}) == 1
        assert direction.share > 0.5
    with digits.store.read() as session:
        said = examples.votes(digits.store, session, DIGITS)
        artifact = attributions.list_attributions(session, DIGITS)[0].artifact
    assert said is not None and (said[0] == prediction).all()
    assert digits.store.artifacts.exists(attributions.ATTRIBUTION, artifact)


def test_without_predictions_there_is_no_verdict(digits: House, tmp_path: Path) -> None:
    digits.start()
    np.save(tmp_path / "matrix.npy", planted(digits)[0])
    wanted = ImportAttributionParams(matrix=str(tmp_path / "matrix.npy"))
    digits.done(digits.ask(JobKind.IMPORT_ATTRIBUTION, wanted, DIGITS))
    digits.done(digits.ask(JobKind.DISCOVER, DiscoverParams(n_directions=1), DIGITS))
    for direction in directions.list_directions(digits.store, "digits"):
        assert direction.evidence.verdict is Verdict.NONE and "no verdict" in direction.evidence.sentence
        assert (direction.evidence.accuracy_negative.n, direction.evidence.accuracy_positive.n) == (0, 0)
        assert direction.share > 0.5, "the direction itself is found"


@pytest.mark.parametrize(
    ("array", "words"), [(np.zeros((3, 4)), "shape"), (np.full((160, 40), np.nan), "finite"), (None, "cannot be read")]
)
def test_a_matrix_that_does_not_fit_is_refused(
    digits: House, tmp_path: Path, array: np.ndarray | None, words: str
) -> None:
    digits.start()
    file = tmp_path / "tau.npy"
    if array is None:
        file.write_bytes(b"no array")
    else:
        np.save(file, array)
    job = digits.until_ended(digits.ask(JobKind.IMPORT_ATTRIBUTION, ImportAttributionParams(matrix=str(file)), DIGITS))
    assert job.status == JobStatus.FAILED and job.error is not None and words in job.error["detail"]


def test_a_matrix_is_not_an_engine_to_run(digits: House) -> None:
    with pytest.raises(SettingsError, match="not computed here"):
        digits.ask(JobKind.ATTRIBUTE, AttributeParams(engine=Engine.IMPORT), DIGITS)
