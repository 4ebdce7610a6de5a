"""LDS and scores from elsewhere as jobs: halves are trained once, and every attribution says which engine made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jobs_house import DIGITS, House, finished, training

from backend.services import fidelity, projects
from unskew.schemas.enums import Engine, JobKind, JobStatus, Orientation
from unskew.schemas.params import AttributeParams, ImportAttributionParams, LdsParams

SLUG = "digits"


@pytest.mark.slow
def test_halves_are_shared_and_every_engine_can_be_measured(digits: House, tmp_path: Path) -> None:
    digits.start()
    digits.done(digits.ask(JobKind.TRAIN, training([0, 1], epochs=2), DIGITS))
    digits.done(digits.ask(JobKind.ATTRIBUTE, AttributeParams(projection_in=4, projection_out=4), DIGITS), 120)
    first = digits.ask(JobKind.LDS, LdsParams(n_subsets=3), DIGITS)
    digits.done(first, 120)
    assert len(finished(digits.log(first))) == 4
    np.save(tmp_path / "tau.npy", np.random.default_rng(0).normal(size=(40, 160)).astype(np.float32))
    wanted = ImportAttributionParams(matrix=str(tmp_path / "tau.npy"), orientation=Orientation.TARGET_BY_TRAIN)
    digits.done(digits.ask(JobKind.IMPORT_ATTRIBUTION, wanted, DIGITS), 120)
    second = digits.ask(JobKind.LDS, LdsParams(n_subsets=4), DIGITS)  # of the newest: the imported one
    digits.done(second, 120)
    assert sum("already there" in line for line in digits.log(second)) == 3
    found = fidelity.list_lds(digits.store, SLUG)
    assert [(row.engine, row.n_subsets) for row in found] == [(Engine.IMPORT, 4), (Engine.FACTORED, 3)]
    for row in found:
        assert -1 <= row.interval[0] <= row.mean <= row.interval[1] <= 1
        assert [c.label for c in row.by_class] == [0, 1] and sum(c.mean.n for c in row.by_class) == row.n_targets
    made = projects.attributions_list(digits.store, SLUG)
    assert [row.engine for row in made] == [Engine.IMPORT, Engine.FACTORED]
    wrong = wanted.model_copy(update={"orientation": Orientation.TRAIN_BY_TARGET})
    ended = digits.until_ended(digits.ask(JobKind.IMPORT_ATTRIBUTION, wrong, DIGITS))
    assert ended.status == JobStatus.FAILED and ended.error is not None
    assert "160 training and 40 validation" in ended.error["detail"]
