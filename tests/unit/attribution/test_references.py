"""Against other people's answers: traker, true leave-one-out, and what the paper's reference code gets wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from torch import nn

from unskew.attribution import Attribution, Features, attribute, featurize_exact
from unskew.discovery import pseudo_groups
from unskew.pruning import group_weights
from unskew.schemas.params import AttributeParams, DiscoverParams

N_TRAIN, N_TARGETS, N_CHECKPOINTS = 40, 16, 3


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(27, 6), nn.ReLU(), nn.Linear(6, 3)
    )


def data() -> tuple[tuple[torch.Tensor, np.ndarray], tuple[torch.Tensor, np.ndarray]]:
    generator = torch.Generator().manual_seed(0)
    train, targets = (torch.randn(n, 1, 8, 8, generator=generator) for n in (N_TRAIN, N_TARGETS))
    return (train, np.arange(N_TRAIN) % 3), (targets, np.arange(N_TARGETS) % 3)


def states() -> list[dict[str, torch.Tensor]]:
    return [network(seed).state_dict() for seed in range(N_CHECKPOINTS)]


def ours(checkpoints: list[dict[str, torch.Tensor]], damping: float = 1.0) -> Attribution:
    """By the formula as published."""
    params = AttributeParams(damping=damping, q_power=1)
    return attribute(network(0), checkpoints, *data(), engine="exact", params=params)


@pytest.mark.filterwarnings("ignore")
def test_one_checkpoint_without_projection_agrees_with_traker(tmp_path: Path) -> None:
    """`NoOpProjector`, the same absolute damping: correlation above 0.999; the scale is traker's own and arbitrary."""
    from trak import TRAKer
    from trak.projectors import NoOpProjector

    (x, label), (z, target) = data()
    model = network(0)
    features = featurize_exact(model, x, label)
    p = features.phi.shape[1]
    diagonal = float((features.phi.astype(np.float64) ** 2).sum() / p)
    engine = TRAKer(
        model,
        "image_classification",
        train_set_size=N_TRAIN,
        save_dir=str(tmp_path),
        device="cpu",
        projector=NoOpProjector(grad_dim=p, proj_dim=p, device="cpu"),
        proj_dim=p,
        use_half_precision=False,
        lambda_reg=diagonal / p,  # traker divides features by the square root of the number of parameters
        logging_level=40,
    )
    engine.load_checkpoint(model.state_dict(), model_id=0)
    engine.featurize([x, torch.from_numpy(label)], num_samples=N_TRAIN)
    engine.finalize_features()
    engine.start_scoring_checkpoint("t", model.state_dict(), 0, num_targets=N_TARGETS)
    engine.score([z, torch.from_numpy(target)], num_samples=N_TARGETS)
    theirs = np.array(engine.finalize_scores("t"))
    found = ours([model.state_dict()]).tau()
    assert found.shape == theirs.shape == (N_TRAIN, N_TARGETS)
    assert np.corrcoef(found.ravel(), theirs.ravel())[0, 1] > 0.999


def test_logistic_regression_agrees_with_true_leave_one_out() -> None:
    """Retrained without each example: the sign of nearly every large effect, and the rank within each target."""
    rng = np.random.default_rng(0)
    n, p = 80, 5
    truth = rng.standard_normal(p)
    x, z = rng.standard_normal((n, p)), rng.standard_normal((40, p))
    label, target = ((v @ truth + rng.logistic(size=len(v)) > 0).astype(np.int64) for v in (x, z))

    def margins(keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fit = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=1000).fit(x[keep], label[keep])
        return (2 * target - 1) * (z @ fit.coef_[0]), fit.coef_[0]

    everything = np.arange(n)
    full, weights = margins(everything)
    effect = np.stack([full - margins(np.delete(everything, i))[0] for i in range(n)])  # (n_train, n_targets)
    model = nn.Linear(p, 2, bias=False)
    with torch.no_grad():  # the margin of class 1 is the difference of the logits
        model.weight.copy_(torch.from_numpy(np.stack([-weights / 2, weights / 2])))
    splits = [(torch.from_numpy(v).float(), y) for v, y in ((x, label), (z, target))]
    params = AttributeParams(damping=0.05)
    tau = attribute(model, [model.state_dict()], *splits, engine="exact", params=params).tau()
    rank = [spearmanr(tau[:, j], effect[:, j])[0] for j in range(len(z))]
    assert np.mean(rank) > 0.9
    large = np.abs(effect) > np.median(np.abs(effect))
    assert (np.sign(tau) == np.sign(effect))[large].mean() > 0.95


# Defects of the reference code (MadryLab/D3M), each by its name.


def test_the_package_imports_by_its_own_names() -> None:
    """There `import d3m` fails: its modules were renamed half way."""
    names = "unskew, unskew.attribution, unskew.discovery, unskew.pruning, unskew.evaluation"
    subprocess.run([sys.executable, "-c", f"import {names}; unskew.debias"], check=True)


def test_every_checkpoint_is_scored_and_not_the_last_alone() -> None:
    """There the scoring loop stands outside the loop over checkpoints."""
    each = [ours([state]) for state in states()]
    together = ours(states())
    features = train_features()
    q = np.mean([f.one_minus_p for f in features], axis=0)
    kernels = [a.tau() / f.one_minus_p[:, None] for a, f in zip(each, features, strict=True)]
    np.testing.assert_allclose(together.tau(), np.mean(kernels, axis=0) * q[:, None], rtol=1e-3, atol=1e-6)
    last = np.corrcoef(together.tau().ravel(), each[-1].tau().ravel())[0, 1]
    first = np.corrcoef(together.tau().ravel(), each[0].tau().ravel())[0, 1]
    assert min(first, last) > 0.3 and max(first, last) < 0.99


def train_features() -> list[Features]:
    found = []
    for seed in range(N_CHECKPOINTS):
        (x, label), _ = data()
        found.append(featurize_exact(network(seed), x, label))
    return found


def test_group_losses_come_from_all_checkpoints() -> None:
    """There they come from whatever weights the model object happens to hold."""
    _, (z, target) = data()
    losses = [featurize_exact(network(seed), z, target).loss for seed in range(N_CHECKPOINTS)]
    np.testing.assert_allclose(ours(states()).target_loss, np.mean(losses, axis=0), rtol=1e-5)


def test_groups_as_a_list_give_the_same_scores() -> None:
    """There a list gives NaN for every group, and nothing is kept."""
    attribution, groups = ours(states()), [i % 4 for i in range(N_TARGETS)]
    found = attribution.alignment(groups, [1.0, 2.0, 3.0, 4.0])  # type: ignore[arg-type]
    assert np.isfinite(found).all() and (found < 0).any() and (found > 0).any()
    assert np.array_equal(found, attribution.alignment(np.array(groups), np.arange(1.0, 5.0)))


def test_scores_computed_before_are_enough_for_directions() -> None:
    """There precomputed scores end in an AttributeError."""
    tau = ours(states()).tau()
    labels = np.arange(N_TARGETS) % 2, np.arange(N_TRAIN) % 2
    found = Attribution.from_matrix(tau).directions(*labels, DiscoverParams(n_directions=1, error_guided=False))
    assert [d.label for d in found] == [0, 1] and all(np.isfinite(d.projections).all() for d in found)


def test_group_numbers_with_gaps_and_empty_groups_shift_nothing() -> None:
    """There ids are taken to be 0 … n - 1, and an empty group shifts the weights of those after it."""
    attribution = ours(states())
    dense = np.arange(N_TARGETS) % 3
    gaps = dense * 2 + 1  # groups 1, 3, 5; 0, 2, 4 are empty
    weights = np.full(6, np.nan)
    weights[[1, 3, 5]] = [0.5, 1.0, 2.0]
    assert np.array_equal(attribution.alignment(gaps, weights), attribution.alignment(dense, weights[[1, 3, 5]]))
    loss = group_weights(attribution.target_loss, gaps, 6, "loss")
    assert (loss[[0, 2, 4]] == 0).all()
    assert np.array_equal(loss[[1, 3, 5]], group_weights(attribution.target_loss, dense, 3, "loss"))


def test_groups_of_one_class_weigh_that_class_alone() -> None:
    """The paper's ImageNet case: targets outside the class are in no group and count for nothing."""
    attribution = ours(states())
    label = np.arange(N_TARGETS) % 3
    groups = np.where(label == 1, np.arange(N_TARGETS) % 2, -1)
    tau = attribution.tau().astype(np.float64)
    truth = sum(w * tau[:, groups == g].mean(axis=1) for g, w in enumerate((1.0, 3.0)))
    np.testing.assert_allclose(attribution.alignment(groups, np.array([1.0, 3.0])), truth, rtol=1e-4, atol=1e-8)


def test_both_sides_of_a_split_have_examples() -> None:
    """There the components are fitted centred and projected uncentred, which can leave one side nearly empty."""
    rng = np.random.default_rng(0)
    tau = (3 + rng.standard_normal((30, 1)) @ rng.standard_normal((1, 20)) / 3).astype(np.float32)
    labels = np.zeros(20, np.int64), np.zeros(30, np.int64)
    found = Attribution.from_matrix(tau).directions(*labels, DiscoverParams(n_directions=1, error_guided=False))
    assert np.bincount(pseudo_groups(found, labels[0])).min() >= 5


def test_everything_runs_on_a_processor() -> None:
    """There CUDA is written into the code; this whole file is the proof."""
    assert next(network(0).parameters()).device.type == "cpu"
