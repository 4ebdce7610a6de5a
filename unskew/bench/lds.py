"""How well scores predict retraining, ours and `traker`'s: same checkpoints, same random halves, same targets.

    ours      `AttributeParams()` as they are, over a grid of damping, and with Q itself or its square root as weights
    traker    as it comes (2,048 projections, λ = 0) and over a grid of λ, relative to the mean diagonal of ΦᵀΦ: its own
              features and score computer. In float32: its default float16 overflows on a CPU. Its projector there draws
              normal numbers (`BasicProjector`); the CUDA kernel's are signs

The bar: our default is at least as good as traker at whichever λ turns out best on these very halves, and at least
three times as good as traker as it comes. `lead` says by how much, with an interval over the same draws of halves and
targets for both.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unskew.attribution import Attribution, Features, checkpoint_seed, featurize, proxies, traker_engine
from unskew.bench.truth import State, Truth
from unskew.data import Data, build_set, demo_data, load_data, load_project_source
from unskew.evaluation import lds_advantage, mean_lds
from unskew.schemas.api import Interval, Proxies
from unskew.schemas.params import AttributeParams, ModelSpec, TrainParams

_SEED_OF_HALVES = 1000
_TRAKER_DIM = 2048  # its default
_GRID = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_TRAKER_BATCH = 256  # it draws its matrix anew for every batch
_TIMES = 3.0  # of the bar

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Setting:
    """One way to score.

    Attributes:
        predicted: float64 (n_subsets, n_targets), τ summed over each half.
        proxies: what is known without retraining; of ours.
    """

    engine: str
    damping: float | str
    default: bool
    q_power: float | str
    predicted: NDArray[np.float64]
    proxies: Proxies | None = None


def measure(
    *,
    name: str,
    n_subsets: int,
    n_checkpoints: int,
    folder: Path | None,
    seed: int = 0,
    only_ours: bool = False,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Train what is missing, score and compare; JSON-able.

    Args:
        name: of a set that ships.
        folder: where trained models and traker's features are kept for the next time; None: thrown away.
        seed: of the set: which examples, and which of them are the minority.
        only_ours: leave traker out, which takes most of the time; then there is no bar.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) if folder is None else folder
        place.mkdir(parents=True, exist_ok=True)
        data = demo_data(seed=seed) if name == "demo" else _other_set(name, place, seed)
        truth = Truth(data, ModelSpec(), TrainParams(), place, tell)
        found = compare(truth, n_subsets=n_subsets, n_checkpoints=n_checkpoints, only_ours=only_ours)
        return {"set": name, "seed": seed, **found}


def compare(truth: Truth, *, n_subsets: int, n_checkpoints: int, only_ours: bool = False) -> dict[str, Any]:
    """The settings by their LDS and whether each part of the bar holds; see the module."""
    states = truth.checkpoints(n_checkpoints)
    subsets, margins = truth.halves(n_subsets, _SEED_OF_HALVES)
    halves = subsets.astype(np.float64)
    settings = [*_ours(truth, states, halves), *(() if only_ours else _trakers(truth, states, halves))]
    truth.tell("comparing")
    means = [mean_lds(s.predicted, margins) for s in settings]
    return {
        "rows": [
            {"engine": s.engine, "damping": s.damping, "q_power": s.q_power, "default": s.default}
            | _lds(mean)
            | _signs(s.proxies)
            for s, mean in zip(settings, means, strict=True)
        ],
        **({} if only_ours else _bar(settings, [m.value if m.n else -1.0 for m in means], margins)),
        "n_subsets": n_subsets,
        "n_checkpoints": n_checkpoints,
        "n_train": len(truth.data.train),
        "n_targets": len(truth.data.validation),
        "parameters": sum(p.numel() for p in truth.network().parameters()),
        "traker_dim": _TRAKER_DIM,
        "torch": torch.__version__,
    }


def _bar(settings: list[Setting], values: list[float], margins: NDArray[np.float32]) -> dict[str, Any]:
    ours, as_it_comes = (
        next(s for s in settings if s.engine == engine and s.default) for engine in ("factored", "traker")
    )
    theirs = [i for i, s in enumerate(settings) if s.engine == "traker"]
    best = settings[max(theirs, key=values.__getitem__)]
    lead = lds_advantage(ours.predicted, as_it_comes.predicted, margins, times=_TIMES)
    return {
        "bar": [
            _part("traker at its best λ", lds_advantage(ours.predicted, best.predicted, margins)),
            _part(f"{_TIMES:g} × traker as it comes", lead),
        ],
        "best_traker_damping": best.damping,
    }


def _other_set(name: str, folder: Path, seed: int) -> Data:
    how = build_set(name, folder / f"{name}-{seed}", seed=seed)
    return load_data(load_project_source(how), how)


def _ours(truth: Truth, states: list[State], halves: NDArray[np.float64]) -> Iterator[Setting]:
    params, network, made = AttributeParams(), truth.network(), list[tuple[Features, Features]]()
    basis = truth.data.train
    for index, state in enumerate(states):
        truth.tell(f"features of checkpoint {index + 1}")
        network.load_state_dict(state)
        seed = checkpoint_seed(params.seed, index)
        first, second = (
            featurize(network, s.inputs, s.label, params=params, seed=seed, basis=(basis.inputs, basis.label))
            for s in (basis, truth.data.validation)
        )
        made.append((first, second))
    train, targets = [a for a, _ in made], [b for _, b in made]
    for damping, power in (
        *((params.damping, power) for power in (params.q_power, 0.5, 1.0)),
        *((d, params.q_power) for d in _GRID),
    ):
        found = Attribution.from_features(train, targets, damping=damping, q_power=power)
        signs = proxies(found, truth.data.validation.label, basis.label)
        default = (damping, power) == (params.damping, params.q_power)
        yield Setting("factored", damping, default, power, halves @ found.tau(), signs)


def _trakers(truth: Truth, states: list[State], halves: NDArray[np.float64]) -> Iterator[Setting]:
    folder = truth.folder / f"traker-{truth.content_id(dim=_TRAKER_DIM, checkpoints=len(states))}"
    _featurize(truth, states, folder)
    for damping in (0.0, *_GRID):
        tau = _scores(folder, len(states), damping)
        yield Setting("traker", damping, damping == 0, 1.0, halves @ tau)


def _featurize(truth: Truth, states: list[State], folder: Path) -> None:
    """Its projected gradients of both splits, in `folder`; rows that are there already are not done again."""
    done = folder / "done"
    if done.exists():
        return
    truth.tell("traker")
    train, targets = truth.data.train, truth.data.validation
    engine = traker_engine.make(
        truth.network(), len(train), folder=folder, proj_dim=_TRAKER_DIM, damping=1.0, seed=0, device="cpu"
    )
    traker_engine.featurize(
        engine,
        states,
        (train.inputs, train.label),
        (targets.inputs, targets.label),
        device="cpu",
        batch_size=_TRAKER_BATCH,
        on_step=lambda at, total: truth.tell(f"traker: {at:,} of {total:,} rows"),
    )
    done.touch()


def _scores(folder: Path, n_checkpoints: int, damping: float) -> Scores:
    """τ as `TRAKer.finalize_scores` makes it, from its files and by its own score computer.

    Returns:
        float32 (n_train, n_targets); NaN where the second moment of some checkpoint has no inverse.
    """
    from trak.score_computers import BasicScoreComputer

    kernels, weights = [], []
    for number in range(n_checkpoints):
        stored = folder / str(number)
        train, targets, out_to_loss = (
            torch.from_numpy(np.load(stored / f"{name}.mmap"))
            for name in ("grads", f"{traker_engine.EXPERIMENT}_grads", "out_to_loss")
        )
        computer = BasicScoreComputer(torch.float32, "cpu", logging_level=logging.ERROR)
        moment = computer.get_xtx(train)
        computer.lambda_reg = damping * float(moment.diagonal().mean())
        kernel = torch.zeros(len(train), len(targets))
        try:
            computer.get_scores(computer.get_x_xtx_inv(train, moment), targets, accumulator=kernel)
        except RuntimeError:  # singular: torch.linalg's own error is one
            kernel += torch.nan
        kernels.append(kernel)
        weights.append(out_to_loss)
    return np.asarray((torch.stack(kernels).mean(0) * torch.stack(weights).mean(0)).numpy())


def _lds(found: Interval) -> dict[str, Any]:
    """None where there is no LDS: scores that are not finite."""
    if not found.n:
        return {"mean": None, "interval": None, "n_targets": 0}
    return {"mean": found.value, "interval": [found.low, found.high], "n_targets": found.n}


def _signs(found: Proxies | None) -> dict[str, Any]:
    return {} if found is None else {"proxies": found.model_dump(mode="json")}


def _part(of: str, lead: Interval) -> dict[str, Any]:
    """One part of the bar. Where they have no LDS at all there is nothing to lead by, and it holds."""
    return {"at_least": of, "holds": not lead.n or lead.value >= 0, "lead": _lds(lead)}
