"""The last layer fitted anew on frozen embeddings: DFR, the same without groups, and AFR.

An embedding is what the model's last linear layer takes in, float32 (n, d). A fit returns weight (n_classes, d) and
bias (n_classes,) for that layer, so that the result is an ordinary model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.errors import DataError, ModelError, Stopped
from unskew.evaluation import group_metrics
from unskew.models import preprocess
from unskew.pruning import balanced_kept
from unskew.schemas.params import InputShape, TuningParams
from unskew.training.inputs import InputSource

Array = NDArray[np.float32]
Index = NDArray[np.int64]
Matrix = NDArray[np.float64]
_BATCH = 512
_LOOKS = 20  # how often AFR's second stage is judged on validation


@dataclass(frozen=True)
class Head:
    """A last layer and how it was chosen."""

    weight: NDArray[np.float64]  # (n_classes, d)
    bias: NDArray[np.float64]  # (n_classes,)
    setting: str

    def put(self, model: nn.Module, name: str) -> None:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear) and layer.bias is not None
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))


def last_layer(model: nn.Module, n_classes: int, shape: InputShape, device: torch.device) -> str:
    """Name of the linear layer whose output are the logits.

    Raises:
        ModelError: there is none, or it has no bias.
    """
    outputs: dict[str, torch.Tensor] = {}
    layers = [
        (name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear) and m.out_features == n_classes
    ]
    hooks = [m.register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out})) for name, m in layers]
    training = model.training
    dtype, one = shape.array
    try:
        with torch.no_grad():
            logits = model.eval()(preprocess(torch.ones((1, *one), dtype=getattr(torch, dtype))).to(device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    for name, layer in layers:
        if name in outputs and torch.equal(outputs[name], logits) and layer.bias is not None:
            return str(name)
    raise ModelError(
        f"{type(model).__name__} does not end in a linear layer with a bias: there is no last layer to fit anew.",
        fix="Let the model end in torch.nn.Linear, or leave out dfr, afr and refit.",
    )


@torch.no_grad()
def embed(
    model: nn.Module,
    name: str,
    inputs: InputSource,
    index: Index,
    device: torch.device,
    should_stop: Callable[[], bool] | None = None,
) -> Array:
    """What the layer `name` takes in; float32 (len(index), d)."""
    found: list[Array] = []
    hook = model.get_submodule(name).register_forward_pre_hook(
        lambda _m, given: found.append(given[0].detach().float().cpu().numpy())
    )
    training = model.training
    model.to(device).eval()
    try:
        for start in range(0, len(index), _BATCH):
            if should_stop is not None and should_stop():
                raise Stopped
            model(preprocess(inputs.batch(index[start : start + _BATCH])))
    finally:
        model.train(training)
        hook.remove()
    return np.concatenate(found)


def dfr(
    train: Array, validation: Array, label: Index, group: Index, tuning: TuningParams, seed: int, *, n_classes: int
) -> Head:
    """Logistic regression with an L1 penalty on group-balanced validation examples, averaged over many draws.

    The strength is chosen on halves of validation by the worst group of the other half. Embeddings are standardised by
    the training split.

    Args:
        train, validation: (n_train, d), (n_validation, d).
        label, group: int64 (n_validation,); rows in no group (-1) are left out.
    Raises:
        DataError: a class has no validation example in a group.
    Source: Kirichenko et al. 2023, DFR with validation data. The original standardises by the subset while it tunes.
    """
    inside = group >= 0
    fit = _Logistic(train, validation[inside], label[inside], n_classes)
    group = group[inside]
    rng = np.random.default_rng(seed)
    half = _half(group, rng)
    tuned = half[balanced_kept(group[half], seed)]
    strength = fit.best(tuned, np.setdiff1d(np.arange(len(group)), half), group, tuning.dfr_c)
    draws = [fit(balanced_kept(group, seed + draw), strength) for draw in range(tuning.dfr_draws)]
    weight, bias = (np.mean([d[part] for d in draws], axis=0) for part in (0, 1))
    n = len(balanced_kept(group, seed))
    return fit.unscaled(weight, bias, f"C = {strength:g}, {tuning.dfr_draws} draws of {n} examples")


def refit(train: Array, validation: Array, label: Index, tuning: TuningParams, seed: int, *, n_classes: int) -> Head:
    """The same fit on all validation examples, without groups: the strength is chosen by the worst class."""
    fit = _Logistic(train, validation, label, n_classes)
    half = _half(label, np.random.default_rng(seed))
    strength = fit.best(half, np.setdiff1d(np.arange(len(label)), half), label, tuning.dfr_c)
    return fit.unscaled(*fit(np.arange(len(label)), strength), f"C = {strength:g}")


class _Logistic:
    """Logistic regression on standardised embeddings; one class against the rest where there are more than two."""

    def __init__(self, train: Array, rows: Array, label: Index, n_classes: int) -> None:
        missing = np.setdiff1d(np.arange(n_classes), label)
        if len(missing):
            raise DataError(
                f"Class {missing[0]} has no validation example to fit the last layer on.",
                fix="Validation needs examples of every class, in a group where groups are read.",
            )
        self._mean = train.mean(axis=0, dtype=np.float64)
        scale = train.std(axis=0, dtype=np.float64)
        self._scale = np.where(scale > 0, scale, 1.0)  # a dead unit says nothing
        self._rows = (rows - self._mean) / self._scale
        self._label = label
        self._n_classes = n_classes

    def __call__(self, index: Index, strength: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(weight, bias) in standardised units, a row a class."""
        from sklearn.linear_model import LogisticRegression

        weight = np.zeros((self._n_classes, self._rows.shape[1]))
        bias = np.zeros(self._n_classes)
        for c in range(1, self._n_classes) if self._n_classes == 2 else range(self._n_classes):
            model = LogisticRegression(l1_ratio=1.0, C=strength, solver="liblinear", random_state=0)
            model.fit(self._rows[index], self._label[index] == c)
            weight[c], bias[c] = model.coef_[0], model.intercept_[0]
        return weight, bias

    def best(self, fitted: Index, judged: Index, group: Index, strengths: tuple[float, ...]) -> float:
        """The strength whose fit on some rows does best by the worst group of others; ties: the first."""
        if not len(judged) or len(np.unique(self._label[fitted])) < self._n_classes:
            return strengths[0]  # too few examples to judge by

        def score(strength: float) -> tuple[float, float]:
            weight, bias = self(fitted, strength)
            said = (self._rows[judged] @ weight.T + bias).argmax(axis=1)
            found = group_metrics(said, self._label[judged], group[judged], int(group.max()) + 1)
            return found.worst_group_accuracy, found.balanced_accuracy

        return max(strengths, key=score)

    def unscaled(self, weight: NDArray[np.float64], bias: NDArray[np.float64], setting: str) -> Head:
        return Head(weight / self._scale, bias - (weight / self._scale) @ self._mean, setting)


def _half(group: Index, rng: np.random.Generator) -> Index:
    """About half of every group, at least one of each; rising."""
    parts = [rng.permutation(np.flatnonzero(group == g)) for g in np.unique(group)]
    return np.sort(np.concatenate([part[: -(-len(part) // 2)] for part in parts]))


def afr(
    first: Head,
    held_out: Array,
    label: Index,
    judge: Callable[[Head], tuple[float, float]],
    tuning: TuningParams,
    should_stop: Callable[[], bool] | None = None,
) -> Head:
    """Gradient descent on the last layer over held-out training rows that weigh more the less the model knows them.

    Weight of a row ∝ exp(-γ p(own class)) / rows of its class, with p from the first stage; loss = weighted
    cross-entropy + λ |W - W_first|²; whole-batch steps, gradient norm cut at 1. γ, λ and the number of steps are chosen
    by `judge`.

    Args:
        first: the last layer of the first stage.
        held_out: (n, d), rows that the first stage did not see; label: int64 (n,).
        judge: (worst, balanced) validation accuracy with a last layer.
    Source: Qiu et al. 2023 (AFR), section 4 and its code's class balancing.
    """
    x, start = held_out.astype(np.float64), (first.weight, first.bias)
    target = np.eye(len(first.bias))[label]  # (n, n_classes)
    own = (_softmax(x @ first.weight.T + first.bias) * target).sum(axis=1)
    per_class = np.bincount(label)[label]
    best, score = first, judge(first)
    for gamma in tuning.afr_gammas:
        weights = np.exp(-gamma * own) / per_class
        weights /= weights.sum()
        for penalty in tuning.afr_penalties:
            if should_stop is not None and should_stop():
                raise Stopped
            for step, weight, bias in _descend(x, target, weights, start, penalty, tuning):
                head = Head(weight, bias, f"γ = {gamma:g}, λ = {penalty:g}, {step} steps")
                if (new := judge(head)) > score:
                    best, score = head, new
    return best


def _descend(
    x: Matrix,
    target: Matrix,
    weights: NDArray[np.float64],
    start: tuple[Matrix, Matrix],
    penalty: float,
    tuning: TuningParams,
) -> Iterator[tuple[int, Matrix, Matrix]]:
    """(steps, weight, bias) at `_LOOKS` evenly spaced times. The gradient is in closed form: autograd is far slower."""
    weight, bias = start
    every = max(1, tuning.afr_steps // _LOOKS)
    for step in range(1, tuning.afr_steps + 1):
        error = weights[:, None] * (_softmax(x @ weight.T + bias) - target)  # (n, n_classes)
        by_weight = error.T @ x + 2 * penalty * (weight - start[0])
        by_bias = error.sum(axis=0) + 2 * penalty * (bias - start[1])
        rate = tuning.afr_learning_rate / max(1.0, float(np.sqrt((by_weight**2).sum() + (by_bias**2).sum())))
        weight, bias = weight - rate * by_weight, bias - rate * by_bias
        if step % every == 0:
            yield step, weight, bias


def _softmax(logits: Matrix) -> Matrix:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
