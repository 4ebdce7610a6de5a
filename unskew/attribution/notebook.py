"""`attribute`: checkpoints and two splits in, an `Attribution` out, in one call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.engine import Attribution
from unskew.attribution.exact import featurize_exact
from unskew.attribution.features import featurize
from unskew.attribution.own import attribute_own
from unskew.attribution.passes import Pixels, Preprocess
from unskew.attribution.records import Features
from unskew.errors import ModelError, SettingsError
from unskew.models import build, check_fits, load_state
from unskew.schemas.enums import Engine
from unskew.schemas.params import AttributeParams, InputShape, ModelSpec

State = Mapping[str, torch.Tensor]


class Labelled(Protocol):
    """A split: `unskew.data.SplitArrays`, or anything with the same two arrays."""

    @property
    def inputs(self) -> Any: ...
    @property
    def label(self) -> NDArray[np.int64]: ...


def checkpoint_seed(seed: int, index: int) -> int:
    """Seed of the projections of the index-th checkpoint: each has its own, so that their errors average out."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def attribute(
    model: nn.Module | ModelSpec,
    checkpoints: Sequence[State | str | Path],
    train: Labelled | tuple[Pixels, NDArray[np.int64]],
    targets: Labelled | tuple[Pixels, NDArray[np.int64]],
    *,
    engine: Engine | str | None = None,
    params: AttributeParams | None = None,
    n_classes: int | None = None,
    shape: InputShape | None = None,
    device: str | torch.device = "cpu",
    preprocess: Preprocess | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Attribution:
    """Attribute the margins of targets to training examples, averaged over checkpoints.

    Args:
        model: a network (a copy is used; yours stays as it is) or a spec of one.
        checkpoints: state dicts, or paths of files that hold one.
        train, targets: splits, or (pixels, label).
        engine: "factored" (default), "exact", or an import path (see `own.Scoring`); None: as `params` says.
        n_classes: for a spec; None = as many as the labels of both splits name.
        shape: for a spec; None = as the arrays say, which is enough for images and tables.
        preprocess: see `featurize`.
        on_step: called with (rows featurized, rows × checkpoints).
    Raises:
        SettingsError: no checkpoint, an unknown engine.
        ModelError, DataError: see `featurize`, and a checkpoint that does not fit the model.
    """
    params = params or AttributeParams()
    chosen = _engine(engine, params)
    if not checkpoints:
        raise SettingsError("No checkpoint is given.", fix="Give at least one state dict or path.")
    splits = [_pair(train), _pair(targets)]
    network = _network(model, splits, n_classes, shape)
    if chosen is Engine.TRAKER:
        raise SettingsError(
            "traker keeps its own files.", fix="Call unskew.attribution.traker_engine.attribute_traker."
        )
    if not isinstance(chosen, Engine):
        states = [_state(network, checkpoint, index) for index, checkpoint in enumerate(checkpoints)]
        return attribute_own(
            chosen, network, states, *splits, device=device, seed=params.seed, preprocess=preprocess, on_step=on_step
        )
    total, base = len(checkpoints) * sum(len(label) for _, label in splits), 0
    features: tuple[list[Features], list[Features]] = ([], [])
    for index, checkpoint in enumerate(checkpoints):
        network.load_state_dict(_state(network, checkpoint, index))
        for (pixels, label), found in zip(splits, features, strict=True):
            step = None if on_step is None else _offset(on_step, base, total)
            common: dict[str, Any] = dict(params=params, device=device, preprocess=preprocess, on_step=step)
            if chosen is Engine.EXACT:
                found.append(featurize_exact(network, pixels, label, **common))
            else:
                seed = checkpoint_seed(params.seed, index)
                found.append(featurize(network, pixels, label, seed=seed, basis=splits[0], **common))
            base += len(label)
    return Attribution.from_features(
        *features, damping=params.damping, q_power=params.q_power, error_damping=params.error_damping
    )


def _engine(engine: Engine | str | None, params: AttributeParams) -> Engine | str:
    try:
        chosen = params.engine if engine is None else engine if ":" in engine else Engine(engine)
        if chosen is not Engine.IMPORT:
            return chosen
        raise SettingsError("A matrix is not computed here.", fix="Attribution.from_matrix(tau, …)")
    except ValueError:
        raise SettingsError(f"There is no engine {engine!r}.", fix=f"One of {', '.join(Engine)}.") from None


def _pair(split: Labelled | tuple[Pixels, NDArray[np.int64]]) -> tuple[Any, NDArray[np.int64]]:
    pixels, label = split if isinstance(split, tuple) else (split.inputs, split.label)
    return pixels, np.asarray(label, dtype=np.int64)


def _network(
    model: nn.Module | ModelSpec,
    splits: list[tuple[Any, NDArray[np.int64]]],
    n_classes: int | None,
    shape: InputShape | None,
) -> nn.Module:
    if isinstance(model, nn.Module):
        return copy.deepcopy(model)
    classes = n_classes or 1 + max(int(label.max(initial=0)) for _, label in splits)
    return build(model, n_classes=classes, shape=shape or _shape(splits[0][0]), seed=0)


def _shape(inputs: Any) -> InputShape:
    """Of images or rows of a table, from their array.

    Raises:
        SettingsError: texts: their array does not know the size of the vocabulary.
    """
    size = int(inputs.shape[-1])
    if inputs.ndim == 4:
        return InputShape.image(size)
    if "float" in str(inputs.dtype):
        return InputShape.table(size)
    raise SettingsError("A model of texts needs to know the vocabulary.", fix="Pass shape=data.shape.")


def _state(network: nn.Module, checkpoint: State | str | Path, index: int) -> dict[str, torch.Tensor]:
    """A checkpoint that fits the network.

    Raises:
        ModelError: it is no state dict, or does not fit.
    """
    if isinstance(checkpoint, (str, Path)):
        name, state = str(checkpoint), load_state(Path(checkpoint))
    elif isinstance(checkpoint, Mapping):
        name, state = f"Checkpoint {index}", dict(checkpoint)
    else:
        raise ModelError(
            f"Checkpoint {index} is a {type(checkpoint).__name__}.", fix="Give a state dict or the path of one."
        )
    check_fits(network, state, name)
    return state


def _offset(on_step: Callable[[int, int], None], base: int, total: int) -> Callable[[int, int], None]:
    return lambda done, _: on_step(base + done, total)
