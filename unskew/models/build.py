"""A model by import path: find the factory, call it with what it accepts, check what comes back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from unskew.errors import ModelError
from unskew.models.networks import adapt, preprocess
from unskew.plugins import find
from unskew.schemas.params import InputShape, ModelSpec


def build(spec: ModelSpec, *, n_classes: int, shape: InputShape, seed: int) -> nn.Module:
    """Make the model that a spec names, with initial weights that depend on the seed alone.

    The factory is looked up as "package.module:function" with the current directory on `sys.path`, and called with
    those of `n_classes` (or `num_classes`) and the shape's sizes (image_size; n_tokens and vocabulary_size; n_features)
    that it accepts, and with all of `spec.kwargs`. The global random state is left as it was.

    Returns:
        The module; it maps a preprocessed batch to logits (n, n_classes), which is checked. A module in the manner of
        Hugging Face, which returns an object with `.logits`, is made to return those, and is passed an
        `attention_mask` where its forward takes one.
    Raises:
        ModelError: module or function not found, not callable, does not take an argument, fails, or returns something
            else than such a module.
    """
    spec = spec.of_kind(shape.kind)
    factory = find(spec.factory, "model factory", error=ModelError)
    arguments = _arguments(factory, spec, {"n_classes": n_classes, **shape.sizes})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            model = factory(**arguments)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"The factory {spec.factory!r} failed when called with {_shown(arguments)}: "
                f"{type(error).__name__}: {error}.",
                fix="Mend the factory, or the kwargs of the model.",
            ) from error
        if not isinstance(model, nn.Module):
            raise ModelError(
                f"The factory {spec.factory!r} returned {type(model).__name__}, not a torch.nn.Module.",
                fix="Return the model itself.",
            )
        adapt(model, shape.kind)
        _check_output(model, spec.factory, n_classes, shape)  # inside the fork: lazy layers draw their weights now
    return model


def _arguments(factory: Callable[..., Any], spec: ModelSpec, offered: dict[str, int]) -> dict[str, Any]:
    """What the factory is called with: those of our keywords that it names, and all the user's."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in callables hide their signature
        return {**offered, **spec.kwargs}
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = sorted(set(spec.kwargs) - named)
    if unknown and not takes_any:
        raise ModelError(
            f"The factory {spec.factory!r} does not take {', '.join(unknown)}; it takes {', '.join(sorted(named))}.",
            fix="Mend the kwargs of the model.",
        )
    if "num_classes" in named and "n_classes" not in named:
        offered = {"num_classes" if k == "n_classes" else k: v for k, v in offered.items()}
    elif "num_classes" in spec.kwargs:  # the user has said it in the factory's own word
        offered = {k: v for k, v in offered.items() if k != "n_classes"}
        takes_any = False
    return {k: v for k, v in offered.items() if k in named or takes_any} | spec.kwargs


def _check_output(model: nn.Module, path: str, n_classes: int, shape: InputShape) -> None:
    dtype, one = shape.array
    stored = torch.ones((2, *one), dtype=getattr(torch, dtype))
    tensor = next(iter(model.parameters()), None)
    device = tensor.device if tensor is not None else torch.device("cpu")
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(preprocess(stored).to(device))
    except Exception as error:
        raise ModelError(
            f"The model {path!r} fails on {shape.kind}s of shape {(2, *one)}: {type(error).__name__}: {error}.",
            fix=f"Let the factory take {' and '.join(shape.sizes)}, or import the data as the model needs it.",
        ) from error
    finally:
        model.train(training)
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != (2, n_classes):
        raise ModelError(
            f"The model {path!r} returned {got} for a batch of 2; need logits of shape (2, {n_classes}).",
            fix=f"Let the factory take n_classes (here {n_classes}) and return plain logits.",
        )


def _shown(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in arguments.items()) or "no argument"
