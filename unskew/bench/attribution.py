"""What gradient features cost, in units that do not depend on the machine.

    floor      forward, and backward to the activations only: what no method of this kind can do without
    features   `featurize`, whole: its check of the first rows and the drawing of projections included
    training   forward and backward of the cross-entropy with gradients of all weights; no optimizer step
    traker     per-example gradients and the CPU projector, on few examples

The first three take the same examples in the same batches and memory layout, in turns; medians over the repeats.
Seconds are by the wall clock; ratios are of processor time, which a machine that does other things too changes less.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from unskew.attribution.features import featurize
from unskew.attribution.layers import tap_for
from unskew.attribution.margins import margin
from unskew.attribution.passes import Split, evaluation_mode
from unskew.models import resnet18
from unskew.schemas.params import AttributeParams

_BATCH = 64
_CPU = torch.device("cpu")
_TRAKER_DIM = 2048  # traker's own default
_TRAKER_EXAMPLES = 32  # one batch of its usual size; the projection matrix is drawn anew for every batch
_TRAKER_BLOCK = 100  # columns that its CPU projector draws at a time

_VOCABULARY, _TOKENS = 30_522, 32  # BERT's own; about the length of a sentence

Seconds = tuple[float, float]  # by the wall clock, of the processor over all threads
Traker = Literal["full", "short", "none"]


class Encoder(nn.Module):
    """The shape of BERT-Mini (Turc et al. 2019): 4 layers of width 256, its vocabulary, 11 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
        self.embedding = nn.Embedding(_VOCABULARY, 256)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(256, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens)).mean(1))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Case:
    name: str
    model: nn.Module
    inputs: torch.Tensor
    label: NDArray[np.int64]

    def first(self, n: int) -> Case:
        return replace(self, inputs=self.inputs[:n], label=self.label[:n])


def measure(*, n: int, repeats: int, traker: Traker, tell: Callable[[str], None]) -> dict[str, Any]:
    """Both reference networks; see the module for what is measured.

    Args:
        n: examples for floor, features and training.
        traker: "short" projects to 200 numbers and multiplies up to 2,048, which its cost is linear in.
    """
    torch.manual_seed(0)
    label = np.random.default_rng(0).integers(0, 2, n)
    cases = [
        Case("resnet18, 64 px", resnet18(2), torch.randn(n, 3, 64, 64), label),
        Case("transformer encoder, 32 tokens", Encoder(), torch.randint(0, _VOCABULARY, (n, _TOKENS)), label),
    ]
    return {
        "models": [_measured(case, repeats, traker, tell) for case in cases],
        "n_examples": n,
        "batch_size": _BATCH,
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _measured(case: Case, repeats: int, traker: Traker, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"{case.name}: {len(case.label)} examples, {repeats} repeats")
    for run in _runs(case.first(_BATCH)).values():
        run()  # warm up
    runs = _runs(case)
    seconds: dict[str, list[Seconds]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(_timed(run))
    floor, found, training = (statistics.median(wall for wall, _ in seconds[name]) for name in runs)
    processor = statistics.median(cpu for _, cpu in seconds["features"])
    result = {
        "model": case.name,
        "parameters": sum(p.numel() for p in case.model.parameters()),
        "features": featurize(case.model, case.inputs[:1], case.label[:1], seed=0).phi.shape[1],
        "floor_seconds": floor,
        "features_seconds": found,
        "training_seconds": training,
        "ratio_to_floor": statistics.median(_ratios(seconds["features"], seconds["floor"])),
        "ratio_to_training": statistics.median(_ratios(seconds["features"], seconds["training"])),
    }
    if traker != "none":
        tell(f"{case.name}: traker, {_TRAKER_EXAMPLES} examples ({traker})")
        each = _traker_seconds(case, full=traker == "full") / _TRAKER_EXAMPLES
        result |= {
            "traker_seconds_per_example": each,
            "traker_examples": _TRAKER_EXAMPLES,
            "traker_extrapolated": traker == "short",
            "speedup_over_traker": each / (processor / len(case.label)),
        }
    return result


def _runs(case: Case) -> dict[str, Callable[[], None]]:
    params = AttributeParams(batch_size=_BATCH)
    split = Split(case.inputs, case.label, None, _CPU)
    with evaluation_mode(case.model, _CPU):
        split.use_fastest_layout(case.model)
    return {
        "floor": lambda: _floor(case.model, split),
        "features": lambda: _features(case, params),
        "training": lambda: _train(case, split),
    }


def _ratios(above: list[Seconds], below: list[Seconds]) -> list[float]:
    """Of neighbours in time, so that a machine that slows down meanwhile slows both."""
    return [a / b for (_, a), (_, b) in zip(above, below, strict=True)]


def _timed(run: Callable[[], object]) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def _features(case: Case, params: AttributeParams) -> None:
    featurize(case.model, case.inputs, case.label, params=params, seed=0)


def _floor(model: nn.Module, split: Split) -> None:
    with evaluation_mode(model, _CPU), _gradients_from_the_first_layer(model):
        for batch in split.batches(_BATCH, None, None, None):
            margin(model(batch.x), batch.label).sum().backward()  # type: ignore[no-untyped-call]


@contextmanager
def _gradients_from_the_first_layer(model: nn.Module) -> Iterator[None]:
    def hook(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        return None if output.requires_grad else output.detach().requires_grad_().clone()

    model.requires_grad_(False)  # the caller's evaluation mode restores the flags
    handles = [module.register_forward_hook(hook) for module in model.modules() if tap_for(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _train(case: Case, split: Split) -> None:
    case.model.train()
    for batch in split.batches(_BATCH, None, None, None):
        case.model.zero_grad()
        F.cross_entropy(case.model(batch.x), batch.label).backward()  # type: ignore[no-untyped-call]


def _traker_seconds(case: Case, *, full: bool) -> float:
    """Processor time of `TRAKer.featurize` for one batch at 2,048 dimensions.

    Its projector draws `_TRAKER_BLOCK` columns at a time. The short run times gradients alone and two blocks, and
    multiplies the time of the blocks.
    """
    from trak import TRAKer

    batch = [case.inputs[:_TRAKER_EXAMPLES], torch.from_numpy(case.label[:_TRAKER_EXAMPLES])]
    dim = _TRAKER_DIM if full else 2 * _TRAKER_BLOCK
    case.model.eval()
    with tempfile.TemporaryDirectory() as folder:
        engine = TRAKer(
            case.model,
            "image_classification",
            train_set_size=_TRAKER_EXAMPLES,
            save_dir=folder,
            device="cpu",
            proj_dim=dim,
            use_half_precision=False,
            logging_level=40,
        )
        engine.load_checkpoint(case.model.state_dict(), model_id=0)
        _, whole = _timed(lambda: engine.featurize(batch, num_samples=_TRAKER_EXAMPLES))
        if full:
            return whole
        _, gradients = _timed(lambda: engine.gradient_computer.compute_per_sample_grad(batch=batch))
    return gradients + max(0.0, whole - gradients) * _TRAKER_DIM / dim
