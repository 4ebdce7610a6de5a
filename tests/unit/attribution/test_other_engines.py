"""Scores by `traker` and from files give the same object as ours, and its traps are guarded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from unskew.attribution import Attribution, featurize_exact
from unskew.attribution.imported import matrix_file, read_matrix
from unskew.attribution.traker_engine import attribute_traker
from unskew.errors import DataError, SettingsError, Stopped
from unskew.models import build
from unskew.schemas.enums import Orientation
from unskew.schemas.params import InputShape, ModelSpec

N_TRAIN, N_TARGETS, SHAPE = 150, 12, InputShape.table(6)
TAU = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return x, (x[:, 0] + rng.normal(size=n) > 0).astype(np.int64)


@pytest.fixture
def model() -> torch.nn.Module:
    return build(ModelSpec(kwargs={"width": 8}), n_classes=2, shape=SHAPE, seed=0)


def by_traker(model: torch.nn.Module, folder: Path, **settings: object) -> Attribution:
    settings = {"proj_dim": 600, "damping": 1.0, **settings}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return attribute_traker(model, [state], rows(N_TRAIN, 0), rows(N_TARGETS, 1), folder=folder, **settings)  # type: ignore[arg-type]


def test_traker_ranks_as_whole_gradients_do(model: torch.nn.Module, tmp_path: Path) -> None:
    found = by_traker(model, tmp_path)
    exact = [featurize_exact(model, *rows(n, seed)) for n, seed in ((N_TRAIN, 0), (N_TARGETS, 1))]
    ours = Attribution.from_features([exact[0]], [exact[1]], damping=1.0).tau()
    assert found.tau().shape == (N_TRAIN, N_TARGETS)
    each = [spearmanr(a, b).statistic for a, b in zip(found.tau().T, ours.T, strict=True)]
    assert np.mean(each) > 0.75  # one checkpoint through 600 random projections; its damping is spread over them
    assert found.diagnostics["engine"] == "traker" and "no" in found.diagnostics["unit"]


def test_traker_goes_on_where_it_was_stopped(model: torch.nn.Module, tmp_path: Path) -> None:
    asked = iter([False, True])
    with pytest.raises(Stopped):
        by_traker(model, tmp_path / "a", should_stop=lambda: next(asked))
    again, whole = by_traker(model, tmp_path / "a"), by_traker(model, tmp_path / "b")
    np.testing.assert_allclose(again.tau(), whole.tau(), rtol=1e-4, atol=1e-5)


def test_a_wide_projection_without_damping_is_refused(model: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no inverse without damping"):
        by_traker(model, tmp_path, damping=0.0)


def test_a_single_block_on_a_cpu_is_refused(model: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="101 projections or more"):
        by_traker(model, tmp_path, proj_dim=64)


@pytest.mark.parametrize("orientation", list(Orientation))
def test_a_matrix_of_either_orientation(orientation: Orientation, tmp_path: Path) -> None:
    np.save(tmp_path / "tau.npy", TAU if orientation is Orientation.TRAIN_BY_TARGET else TAU.T)
    assert np.array_equal(read_matrix(tmp_path / "tau.npy", orientation, n_train=5, n_targets=3), TAU)


def test_a_traker_folder_holds_a_matrix(model: torch.nn.Module, tmp_path: Path) -> None:
    made = by_traker(model, tmp_path)
    found = read_matrix(matrix_file(tmp_path), Orientation.TRAIN_BY_TARGET, n_train=N_TRAIN, n_targets=N_TARGETS)
    np.testing.assert_allclose(found, made.tau(), rtol=1e-6)


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    np.save(tmp_path / "tau.npy", TAU)
    np.save(tmp_path / "names.npy", np.array(["a"]))
    (tmp_path / "broken.npy").write_bytes(b"no array")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="read as target_by_train; this project has 5 training and 3"):
        read_matrix(tmp_path / "tau.npy", Orientation.TARGET_BY_TRAIN, n_train=5, n_targets=3)
    for name, message in (
        ("names.npy", "does not hold a matrix"),
        ("broken.npy", "cannot be read"),
        ("gone.npy", "cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            read_matrix(tmp_path / name, Orientation.TRAIN_BY_TARGET, n_train=5, n_targets=3)
    with pytest.raises(DataError, match="no traker folder"):
        matrix_file(tmp_path / "empty")
