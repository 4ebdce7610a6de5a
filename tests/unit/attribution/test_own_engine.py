"""Scores by a function of one's own: what it is given is what our engines read, what it returns is checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unskew.attribution import attribute, featurize_exact
from unskew.attribution.own import Scoring
from unskew.errors import DataError, ModelError, SettingsError
from unskew.models import build
from unskew.schemas.params import AttributeParams, InputShape, ModelSpec

HERE, SHAPE = f"{__name__}:", InputShape.table(6)


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


def states(n: int) -> list[dict[str, torch.Tensor]]:
    return [network(seed).state_dict() for seed in range(n)]


def network(seed: int) -> torch.nn.Module:
    return build(ModelSpec(kwargs={"width": 8}), n_classes=2, shape=SHAPE, seed=seed)


def products(run: Scoring) -> np.ndarray:
    """Inner products of gradients of the margin, one example at a time."""
    total = np.zeros((run.n_train, run.n_targets))
    for model in run.checkpoints():
        phi = {split: np.concatenate([gradients(model, b) for b in run.batches(split, 7)]) for split in SPLITS}
        total += phi["train"] @ phi["targets"].T
    return total / run.n_checkpoints


SPLITS = ("train", "targets")


def gradients(model: torch.nn.Module, batch) -> np.ndarray:  # type: ignore[no-untyped-def]
    found = []
    for x, y in zip(batch.x, batch.label, strict=True):
        logits = model(x[None])[0]
        p = torch.softmax(logits, dim=0)[y]
        each = torch.autograd.grad(torch.log(p) - torch.log1p(-p), list(model.parameters()))
        found.append(torch.cat([g.flatten() for g in each]).numpy())
    return np.stack(found)


def test_it_reads_what_our_engines_read() -> None:
    train, targets, seen = rows(20, 0), rows(9, 1), list[tuple[int, int]]()
    model, own = network(9), f"{HERE}products"
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = attribute(model, states(2), train, targets, engine=own, on_step=lambda *at: seen.append(at))
    expected = np.zeros((20, 9))
    for state in states(2):
        model.load_state_dict(state)
        phi = [featurize_exact(model, *split).phi for split in (train, targets)]
        expected += phi[0] @ phi[1].T / 2
    np.testing.assert_allclose(found.tau(), expected, rtol=1e-4, atol=1e-5)
    assert found.diagnostics["engine"] == own and seen[-1] == (58, 58) and seen == sorted(seen)
    model.load_state_dict(before)
    again = attribute(model, states(2), train, targets, params=AttributeParams(engine=own))
    assert np.array_equal(again.tau(), found.tau()) and model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "a copy was used"


def thin(run: Scoring) -> np.ndarray:
    return np.zeros((run.n_train, 1))


def holes(run: Scoring) -> np.ndarray:
    return np.full((run.n_train, run.n_targets), np.nan)


def fails(run: Scoring) -> np.ndarray:
    raise RuntimeError("out of ideas")


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("thin", DataError, r"returned shape \(20, 1\), not \(20, 9\)"),
        ("holes", DataError, "Row 0 of tau is not finite"),
        ("fails", SettingsError, "The engine .* failed: RuntimeError: out of ideas"),
        ("none", SettingsError, "has no 'none'"),
    ],
)
def test_what_it_returns_is_checked(path: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        attribute(network(0), states(1), rows(20, 0), rows(9, 1), engine=HERE + path)


def test_a_checkpoint_that_does_not_fit_is_refused_first() -> None:
    with pytest.raises(ModelError):
        attribute(network(0), [{"x": torch.zeros(1)}], rows(20, 0), rows(9, 1), engine=HERE + "fails")
