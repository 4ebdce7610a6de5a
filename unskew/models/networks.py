"""Reference networks, and the one transform between stored pixels and a network's input."""

from __future__ import annotations

import torch
from torch import nn

from unskew.models.resnet import ResNet18

_MEAN, _SCALE = 0.45, 0.25  # close to the mean and spread of natural images, the same for every channel


def preprocess(batch: torch.Tensor) -> torch.Tensor:
    """Stored pixels to a network's input: (x / 255 - 0.45) / 0.25.

    Args:
        batch: uint8 (n, 3, size, size).
    Returns:
        float32, same shape and device.
    """
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


def resnet18(n_classes: int) -> nn.Module:
    """A ResNet-18 with random weights; for images of 64 px and more."""
    return ResNet18(n_classes)
