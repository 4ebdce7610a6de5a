"""Reference networks of each kind of data, and the one transform between stored inputs and a network's input.

Images: `small_cnn`, `resnet18`. Texts: `small_transformer`. Tables: `mlp`. `preprocess` prepares a batch of any kind;
`adapt` makes a module in the manner of Hugging Face look like the others.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unskew.models.checkpoints import check_fits, load_state
from unskew.models.resnet import ResNet18
from unskew.schemas.enums import DataKind

_MEAN, _SCALE = 0.45, 0.25  # close to the mean and spread of natural images, the same for every channel


def preprocess(batch: torch.Tensor) -> torch.Tensor:
    """A stored batch to a network's input: images as (x / 255 - 0.45) / 0.25, tokens as int64, columns as they are.

    Args:
        batch: uint8 (n, 3, size, size), int32 (n, n_tokens) or float32 (n, n_features).
    Returns:
        float32 or int64, same shape and device.
    """
    if batch.dtype == torch.int32:
        return batch.long()
    if batch.dtype != torch.uint8:
        return batch
    return batch.to(torch.float32).div_(255).sub_(_MEAN).div_(_SCALE)


def small_cnn(n_classes: int, image_size: int, width: int = 16) -> nn.Module:
    """Three strided convolutions and two linear layers: 90,082 parameters for 2 classes at 32 px.

    Args:
        width: channels of the first convolution; the next have twice and four times as many.
    """
    side = -(-image_size // 8)  # each convolution halves, rounding up
    return nn.Sequential(
        nn.Conv2d(3, width, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * width * side * side, 64),
        nn.ReLU(),
        nn.Linear(64, n_classes),
    )


def resnet18(n_classes: int, weights: str = "") -> nn.Module:
    """A ResNet-18 for images of 64 px and more.

    Args:
        weights: file of a state dict with torchvision's names, such as that of ImageNet; the last layer is new where
            its size differs. "": random weights. Nothing is fetched.
    """
    model = ResNet18(n_classes)
    if weights:
        own, state = model.state_dict(), load_state(Path(weights).expanduser())
        state = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} | state  # old files lack them
        if "fc.weight" in state and state["fc.weight"].shape != own["fc.weight"].shape:
            state |= {name: own[name] for name in ("fc.weight", "fc.bias")}
        check_fits(model, state, f"{weights!r}")
        model.load_state_dict(state)
    return model


def mlp(n_classes: int, n_features: int, width: int = 64) -> nn.Module:
    """Two hidden layers with ReLU."""
    return nn.Sequential(
        nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_classes)
    )


def adapt(model: nn.Module, kind: DataKind) -> None:
    """Let a module in the manner of Hugging Face be called like any other: tokens in, logits out.

    Hooks only: names and shapes of the weights stay, so its checkpoints fit. An output with `.logits` becomes those;
    where forward takes an `attention_mask` and the data is text, it is passed (1 where the token is not padding).
    """
    model.register_forward_hook(_logits_of)
    if kind is DataKind.TEXT and "attention_mask" in inspect.signature(model.forward).parameters:
        model.register_forward_pre_hook(_with_mask, with_kwargs=True)


def _logits_of(module: nn.Module, args: Any, output: Any) -> Any:
    return getattr(output, "logits", output)


def _with_mask(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if "attention_mask" in kwargs or len(args) != 1:
        return args, kwargs
    return args, {**kwargs, "attention_mask": (args[0] != 0).long()}
