"""What is asked of an attribution of a million examples, from synthetic factors on disk: time and memory.

Alignment of one group set, the principal directions of every class, and 100 pages of proponents and opponents, all
through `Attribution`, as the product asks for them. Rows of τ run over the own class's training examples, which is what
`training_rows = auto` does at this size. A fraction takes that share of training examples, targets and classes: all
three stages are linear in it.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.attribution import Attribution, Features
from unskew.attribution.factors import Factors
from unskew.attribution.rows import Index
from unskew.errors import SettingsError
from unskew.schemas.params import DiscoverParams

_PAGES = 100
_PAGE_SIZE = 50
_DIRECTIONS = DiscoverParams(training_rows="own")


@dataclass(frozen=True)
class Synthetic:
    """Reproducible random features without a file: one random block, its columns rolled and signed row by row."""

    n: int
    p: int
    scale: NDArray[np.float32] | None
    seed: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.n, self.p

    def read(self, index: Index) -> NDArray[np.float32]:
        rows = np.arange(self.n)[index]
        base = np.random.default_rng(self.seed).standard_normal(4 * self.p).astype(np.float32)
        base = base.astype(np.float16).astype(np.float32)  # so that float16 keeps it exactly
        start = (rows * 7919) % (3 * self.p)
        found: NDArray[np.float32] = base[start[:, None] + np.arange(self.p)]
        found[rows % 2 == 1] *= -1
        return found


def measure(
    *,
    n_train: int,
    n_targets: int,
    n_classes: int,
    dim: int,
    fraction: float,
    folder: Path | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Write the factors, state the memory, then time each stage; see the module."""
    n, m, classes = (max(2, round(full * fraction)) for full in (n_train, n_targets, n_classes))
    _check_room(folder or Path(tempfile.gettempdir()), 2 * n * dim + 4 * m * dim)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        tell(f"{n:,} training examples, {m:,} targets, {classes:,} classes, {dim:,} features: writing the factors")
        started = time.perf_counter()
        _synthetic(n, m, dim).save(Path(place))
        written = time.perf_counter() - started
        attribution = Attribution.load(Path(place))
        train_label, target_label = (
            np.random.default_rng(size).permutation(np.arange(size) % classes) for size in (n, m)
        )
        columns = max(_PAGES, -(-m // classes))
        stated = _resident() + attribution.peak_bytes(columns) + 4 * n * _DIRECTIONS.n_directions + 16 * m * columns
        tell(f"Peak memory will be at most {stated / 1e9:.2f} GB")
        began = time.process_time()
        stages = _stages(attribution, train_label, target_label, classes, tell)
        processor = time.process_time() - began
        disk = sum(file.stat().st_size for file in Path(place).iterdir())
    seconds = sum(stages.values())
    return {
        "seconds": seconds,
        "extrapolated_seconds": seconds / fraction,
        "processor_seconds": processor,
        "peak_rss_bytes": _peak(),
        "stated_peak_bytes": stated,
        "stages": stages,
        "fraction": fraction,
        "n_train": n,
        "n_targets": m,
        "n_classes": classes,
        "dim": dim,
        "pages": _PAGES,
        "disk_bytes": disk,
        "writing_seconds": written,
        "largest_error_against_dense": _agreement(),
    }


def _check_room(folder: Path, needed: int) -> None:
    """Make the folder; refuse one that is not to be had or too small for the factors [bytes]."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise SettingsError(f"{folder} cannot be used: {error.strerror}.", fix="Name another --folder.") from error
    if free < needed:
        raise SettingsError(
            f"The factors take {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB left.",
            fix="Name another --folder, or a smaller --fraction.",
        )


def _stages(
    attribution: Attribution,
    train_label: NDArray[np.int64],
    target_label: NDArray[np.int64],
    classes: int,
    tell: Callable[[str], None],
) -> dict[str, float]:
    stages: dict[str, float] = {}

    def timed(name: str, run: Callable[[], object]) -> None:
        start = time.perf_counter()
        run()
        stages[name] = time.perf_counter() - start
        tell(f"{name}: {stages[name]:.1f} s")

    def directions() -> None:  # one class at a time, as the discover job does
        for label in range(classes):
            attribution.directions(target_label, train_label, _DIRECTIONS, classes=[label])

    weights = np.zeros((len(target_label), _PAGES))
    weights[np.arange(_PAGES) % len(target_label), np.arange(_PAGES)] = 1.0
    timed("alignment", lambda: attribution.alignment(target_label, np.ones(classes)))
    timed(f"directions of {classes} classes", directions)
    timed(f"{_PAGES} pages", lambda: attribution.top(weights, _PAGE_SIZE))
    return stages


def _synthetic(n: int, m: int, dim: int) -> Attribution:
    rng = np.random.default_rng(0)
    train = Synthetic(n, dim, np.ones(n, dtype=np.float32), 1)  # float16
    factors = Factors([train], [Synthetic(m, dim, None, 2)], rng.uniform(0, 1, n))
    return Attribution(factors, rng.exponential(1, m).astype(np.float32), rng.integers(0, 2, (1, m)), {})


def _agreement() -> float:
    """Largest difference of τ from the dense formula on small data, relative to the largest score."""
    rng = np.random.default_rng(0)
    phi, psi = (rng.standard_normal((n, 20)).astype(np.float32) for n in (400, 60))
    q = rng.uniform(0, 1, (400, 1)).astype(np.float32)
    facts = [(phi, q[:, 0]), (psi, np.ones(60, np.float32))]
    records = [Features(x, p, p, np.zeros(len(x), np.int64), 1.0) for x, p in facts]
    moment = phi.T.astype(np.float64) @ phi
    moment += np.trace(moment) / 20 * np.eye(20)
    dense = q * (phi @ np.linalg.solve(moment, psi.T))
    found = Attribution.from_features(records[:1], records[1:], damping=1.0).tau()
    return float(np.abs(found - dense).max() / np.abs(dense).max())


def _peak() -> int:
    """Largest resident memory of this process so far [bytes]."""
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo


def _resident() -> int:
    """Resident memory now [bytes]; where the system does not say, the largest so far."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return _peak()
