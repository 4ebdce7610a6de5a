"""Two processes that torch's launcher starts learn what one learns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from unskew.data import Data, SplitArrays
from unskew.schemas.params import InputShape, ModelSpec, TrainParams
from unskew.training import TrainResult, train
from unskew.training.share import Share

MODEL = ModelSpec(factory=f"{Path(__file__).stem}:linear")  # no batch norm: that sees its own share alone
PARAMS = TrainParams(epochs=3, batch_size=32)


def linear(n_classes: int, image_size: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * image_size**2, n_classes))


def split(n: int, seed: int) -> SplitArrays:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    pixels = rng.integers(0, 120, (n, 3, 8, 8), dtype=np.uint8) + (label * 60).astype(np.uint8)[:, None, None, None]
    return SplitArrays(pixels, label.astype(np.int64), {})


def learned(state_path: Path | None = None, share: Share | None = None) -> TrainResult:
    data = Data(split(90, 0), split(40, 1), None, ("dark", "bright"), InputShape.image(8))  # batches of 32, 32, 26
    return train("erm", data, model=MODEL, seed=0, params=PARAMS, state_path=state_path, share=share)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launcher, __file__, str(tmp_path)], check=True, timeout=300)
    first, second = (np.load(tmp_path / f"{rank}.npz") for rank in range(2))
    one = learned()
    for name, values in one.state.items():
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], values.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(first["loss"], one.validation.loss, rtol=1e-4, atol=1e-5)
    assert int(first["rows"]) == 45 and int(first["batches"]) == 3  # of the first epoch, in this process
    assert not list(tmp_path.glob("state*"))


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    seen: list[int] = []
    of = Share.of

    def watched(self: Share, n: int) -> np.ndarray:
        seen.append(len(of(self, n)))
        return of(self, n)

    Share.of = watched  # type: ignore[method-assign]
    found = learned(folder / "state", Share.here())
    arrays = {name: values.numpy() for name, values in found.state.items()}
    rows = {"rows": sum(seen[:3]), "batches": len(seen[:3])}
    np.savez(folder / f"{dist.get_rank()}.npz", loss=found.validation.loss, **arrays, **rows)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
