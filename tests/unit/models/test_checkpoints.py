"""State dicts on disk: both formats round-trip, wrappers come off, pickled code is never opened."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from unskew.errors import ModelError
from unskew.models import check_fits, load_state, save_state, small_cnn
from unskew.models.checkpoints import load_progress, save_progress


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(small_cnn(2, 8, width=2).state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "deeper/model.pth"])
def test_round_trip(name: str, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_state(tmp_path / name, state)
    found = load_state(tmp_path / name)
    assert same(dict(sorted(found.items())), dict(sorted(state.items())))
    assert [p.name for p in (tmp_path / name).parent.iterdir()] == [Path(name).name]  # nothing temporary is left


def test_tied_and_sliced_tensors_are_stored(tmp_path: Path) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    for name in ("a.pt", "a.safetensors"):
        save_state(tmp_path / name, {"a": whole, "b": whole, "c": whole.T})
        assert torch.equal(load_state(tmp_path / name)["c"], whole.T)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_wrappers_come_off(key: str, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({key: state, "epoch": 3, "best": 0.9}, tmp_path / "a.pt")
    assert same(load_state(tmp_path / "a.pt"), state)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_come_off(prefix: str, tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({f"{prefix}{k}": v for k, v in state.items()}, tmp_path / "a.pt")
    assert same(load_state(tmp_path / "a.pt"), state)


def test_a_module_called_module_keeps_its_name(tmp_path: Path) -> None:
    torch.save({"module.weight": torch.zeros(1), "bias": torch.zeros(1)}, tmp_path / "a.pt")
    assert set(load_state(tmp_path / "a.pt")) == {"module.weight", "bias"}


class Trap:
    """What a hostile checkpoint does: code that runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("trapped"),)  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickled_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Trap()}, "trap.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Trap()))
    torch.save(small_cnn(2, 8), "whole_model.pt")
    for name in ("trap.pt", "plain.pt", "whole_model.pt"):
        with pytest.raises(ModelError, match=r"it is not opened. Save a state dict"):
            load_state(Path(name))
    assert not Path("trapped").exists()


@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken", b"\x00" * 100])
def test_rubbish_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="Save a state dict"):
        load_state(tmp_path / name)


def test_what_holds_no_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no checkpoint"):
        load_state(tmp_path / "none.pt")
    for content in ([torch.zeros(2)], {"epoch": 3}, {}, torch.zeros(3)):
        torch.save(content, tmp_path / "a.pt")
        with pytest.raises(ModelError, match="holds no state dict"):
            load_state(tmp_path / "a.pt")


def test_half_a_file_is_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    for name in ("a.pt", "a.safetensors"):
        save_state(tmp_path / name, state)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelError):
            load_state(tmp_path / name)


def test_another_architecture_is_refused(state: dict[str, torch.Tensor]) -> None:
    check_fits(small_cnn(2, 8, width=2), state)
    with pytest.raises(
        ModelError, match=r"other shapes: 0.weight is \(2, 3, 5, 5\), the model needs \(4, 3, 5, 5\)"
    ) as caught:
        check_fits(small_cnn(2, 8, width=4), state, "seed0.pt")
    assert "seed0.pt does not fit" in caught.value.what and "and 2 more" in caught.value.what and caught.value.fix
    with pytest.raises(ModelError, match=r"missing: layer.weight, layer.bias; unexpected: 0.weight, .* and 5 more"):
        check_fits(_Named(), state)


class _Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def test_diverged_checkpoint_is_refused(state: dict[str, torch.Tensor]) -> None:
    state = {k: v.clone() for k, v in state.items()}
    state["0.bias"][0] = float("nan")
    with pytest.raises(ModelError, match=r"not finite, in 0.bias"):
        check_fits(small_cnn(2, 8, width=2), state)


def test_progress_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert load_progress(tmp_path / "none") is None
    (tmp_path / "bad").write_bytes(b"half a file")
    assert load_progress(tmp_path / "bad") is None
    save_progress(tmp_path / "good", {"epoch": 2, "curves": [(1, {"a": 0.5})], "model": {"w": torch.ones(2)}})
    found = load_progress(tmp_path / "good")
    assert found is not None and found["epoch"] == 2 and found["curves"] == [(1, {"a": 0.5})]
