"""What gradient features cost, in units that do not depend on the machine: one training forward and backward pass.

python -m unskew.attribution.bench        small_cnn and a ResNet-18 with 64 px images, on the CPU
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from unskew.attribution.features import featurize
from unskew.models import preprocess, resnet18, small_cnn
from unskew.schemas.params import AttributeParams


def features_vs_training(
    model: nn.Module,
    *,
    image_size: int,
    n: int = 512,
    repeats: int = 5,
    params: AttributeParams | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Time `featurize` against one training forward and backward over the same random images, alternating.

    Both take the same batches; training includes no optimizer step, features include their check of three rows.

    Returns:
        medians over repeats [s], their ratio (features / training), and what was measured.
    """
    params = params or AttributeParams()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 3, image_size, image_size), dtype=np.uint8)
    label = rng.integers(0, 2, n)
    model.to(device)
    width = 0

    def features() -> None:
        nonlocal width
        width = featurize(model, pixels, label, params=params, seed=0, device=device).phi.shape[1]

    def training() -> None:
        model.train()
        for start in range(0, n, params.batch_size):
            x = preprocess(torch.from_numpy(pixels[start : start + params.batch_size]).to(device))
            y = torch.from_numpy(label[start : start + params.batch_size]).to(device)
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]

    training()  # both once to warm up
    features()
    seconds = [(_seconds(training, device), _seconds(features, device)) for _ in range(repeats)]
    t, f = (statistics.median(column) for column in zip(*seconds, strict=True))
    return {
        "training_seconds": t,
        "features_seconds": f,
        "ratio": f / t,
        "n": n,
        "image_size": image_size,
        "batch_size": params.batch_size,
        "repeats": repeats,
        "parameters": sum(p.numel() for p in model.parameters()),
        "features": width,
        "device": torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else f"{torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }


def _seconds(run: Callable[[], None], device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main() -> None:
    """Measure the reference networks and print one JSON object a line."""
    cases: list[tuple[str, nn.Module, int, int]] = [
        ("small_cnn", small_cnn(2, 32), 32, 2048),
        ("small_cnn", small_cnn(2, 64), 64, 1024),
        ("resnet18", resnet18(2), 64, 128),
    ]
    for name, model, image_size, n in cases:
        found = features_vs_training(model, image_size=image_size, n=n)
        sys.stdout.write(json.dumps({"model": name, **found}) + "\n")


if __name__ == "__main__":
    main()
