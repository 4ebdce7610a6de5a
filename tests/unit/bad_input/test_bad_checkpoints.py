"""Malformed checkpoints, models by import path, score matrices."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unskew.attribution import Attribution
from unskew.errors import DataError, ModelError, StorageError, UnskewError
from unskew.models import build, check_fits, load_state, small_cnn
from unskew.schemas.params import InputShape, ModelSpec

Write = Callable[[Path], Path]


def raw(name: str, content: bytes) -> Write:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def saved(change: Callable[[dict[str, torch.Tensor]], Any]) -> Write:
    """torch.save of a changed state dict of the model that is expected."""

    def write(folder: Path) -> Path:
        state = {key: value.clone() for key, value in small_cnn(2, 8, width=2).state_dict().items()}
        torch.save(change(state), folder / "a.pt")
        return folder / "a.pt"

    return write


def with_value(key: str, value: float) -> Write:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state[key].view(-1)[0] = value
        return state

    return saved(change)


def safetensors(head: dict[str, Any], data: bytes = b"", *, promise: int | None = None) -> Write:
    text = json.dumps(head).encode()
    return raw("a.safetensors", struct.pack("<Q", len(text) if promise is None else promise) + text + data)


def compressed(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10_000_000))
        archive.writestr("a/version", "3\n")
    return folder / "a.pt"


def jit(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.pt", "w") as archive:
        archive.writestr("a/constants.pkl", b"")
        archive.writestr("a/code/x.py", "import os")
    return folder / "a.pt"


FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
FILES: list[tuple[str, Write, str]] = [
    ("nothing there", lambda folder: folder / "none.pt", "There is no checkpoint"),
    ("a folder", lambda folder: folder, "There is no checkpoint"),
    ("empty", raw("a.pt", b""), "Save a state dict"),
    ("text", raw("a.pt", b"weights"), "Save a state dict"),
    ("a picture", raw("a.pt", b"\x89PNG\r\n\x1a\n" + bytes(64)), "Save a state dict"),
    ("numpy", raw("a.pt", b"\x93NUMPY\x01\x00" + bytes(64)), "Save a state dict"),
    ("plain pickle", raw("a.pt", pickle.dumps({"w": [1.0]})), "Save a state dict"),
    ("a pickle that calls", raw("a.pt", b"cos\nsystem\n(S'true'\ntR."), "it is not opened"),
    ("an empty zip", raw("a.pt", b"PK\x05\x06" + bytes(18)), "Save a state dict"),
    ("a zip of something else", jit, "Save a state dict"),
    ("a compressed archive", compressed, "is a compressed archive"),
    ("a list", saved(lambda state: list(state.values())), "holds no state dict"),
    ("one tensor", saved(lambda state: state["0.weight"]), "holds no state dict"),
    ("numbers only", saved(lambda state: {"epoch": 3, "loss": 0.5}), "holds no state dict"),
    ("an empty state", saved(lambda state: {}), "holds no state dict"),
    ("an optimizer's state", saved(lambda state: {"state": {}, "param_groups": [{"lr": 1.0}]}), "holds no state dict"),
    ("safetensors: empty", raw("a.safetensors", b""), "cannot be read as a checkpoint"),
    ("safetensors: text", raw("a.safetensors", b"x" * 40), "cannot be read as a checkpoint"),
    ("safetensors: header of a terabyte", safetensors({}, promise=2**40), "cannot be read as a checkpoint"),
    ("safetensors: no data", safetensors({"w": FLOATS}), "cannot be read as a checkpoint"),
    ("safetensors: half the data", safetensors({"w": FLOATS}, bytes(4)), "cannot be read as a checkpoint"),
    ("safetensors: overlapping", safetensors({"a": FLOATS, "b": FLOATS}, bytes(8)), "cannot be read as a checkpoint"),
    ("safetensors: unknown dtype", safetensors({"w": FLOATS | {"dtype": "Q9"}}, bytes(8)), "cannot be read"),
    ("safetensors: shape of another size", safetensors({"w": FLOATS | {"shape": [9]}}, bytes(8)), "cannot be read"),
    ("safetensors: a torch file", lambda f: saved(dict)(f).rename(f / "b.safetensors"), "cannot be read"),
    ("a key missing", saved(lambda s: {k: v for k, v in s.items() if k != "0.bias"}), "missing: 0.bias"),
    ("a key too many", saved(lambda s: s | {"extra": torch.zeros(1)}), "unexpected: extra"),
    ("another shape", saved(lambda s: s | {"0.bias": torch.zeros(7)}), "0.bias is (7,), the model needs (2,)"),
    ("a scalar in place", saved(lambda s: s | {"0.bias": torch.tensor(0.0)}), "0.bias is (), the model needs (2,)"),
    ("other names", saved(lambda s: {f"encoder.{k}": v for k, v in s.items()}), "does not fit the model (missing"),
    ("nan", with_value("0.bias", float("nan")), "not finite, in 0.bias"),
    ("infinity", with_value("0.weight", float("inf")), "not finite, in 0.weight"),
]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(("write", "message"), [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_checkpoints_that_are_refused(write: Write, message: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(ModelError) as caught:
        check_fits(small_cnn(2, 8, width=2), load_state(path), str(path))
    assert message in str(caught.value) and caught.value.fix


SPECS: list[tuple[str, ModelSpec]] = [
    ("no colon", ModelSpec(factory="unskew.models.small_cnn")),
    ("no module", ModelSpec(factory=":small_cnn")),
    ("no function", ModelSpec(factory="unskew.models:")),
    ("no such module", ModelSpec(factory="nothing.here:model")),
    ("no such function", ModelSpec(factory="unskew.models:large_cnn")),
    ("no function but a value", ModelSpec(factory="unskew.models:__all__")),
    ("returns no model", ModelSpec(factory="builtins:dict")),
    ("an argument that it does not take", ModelSpec(kwargs={"depth": 3})),
    ("an argument of the wrong kind", ModelSpec(kwargs={"width": "wide"})),
    ("a width of nothing", ModelSpec(kwargs={"width": -1})),
]


@pytest.mark.parametrize("spec", [spec for _, spec in SPECS], ids=[name for name, _ in SPECS])
def test_models_that_are_refused(spec: ModelSpec) -> None:
    with pytest.raises(UnskewError) as caught:
        build(spec, n_classes=2, shape=InputShape.image(8), seed=0)
    assert caught.value.fix


GOOD = np.ones((5, 3), dtype=np.float32)
MATRICES: list[tuple[str, dict[str, Any], str]] = [
    ("one row of numbers", {"tau": np.ones(3)}, "tau has shape (3,)"),
    ("a cube", {"tau": np.ones((2, 2, 2))}, "tau has shape"),
    ("no training rows", {"tau": np.ones((0, 3))}, "tau has shape (0, 3)"),
    ("no targets", {"tau": np.ones((5, 0))}, "tau has shape (5, 0)"),
    ("nan", {"tau": np.where(np.arange(15).reshape(5, 3) == 7, np.nan, 1.0)}, "Row 2 of tau is not finite"),
    ("infinity", {"tau": np.where(np.arange(15).reshape(5, 3) == 14, np.inf, 1.0)}, "Row 4 of tau is not finite"),
    ("words", {"tau": np.array([["a", "b"], ["c", "d"]])}, "numbers"),
    ("objects", {"tau": np.array([[1, None], [2, 3]], dtype=object)}, "numbers"),
    ("complex", {"tau": np.ones((5, 3), dtype=complex)}, "numbers"),
    ("too few losses", {"tau": GOOD, "target_loss": np.ones(2)}, "tau has 3 targets, target_loss 2"),
    ("too many predictions", {"tau": GOOD, "target_prediction": np.ones(4, int)}, "target_prediction 4"),
    ("losses that are nan", {"tau": GOOD, "target_loss": np.array([1, np.nan, 1])}, "target_loss"),
]


@pytest.mark.parametrize(("given", "message"), [m[1:] for m in MATRICES], ids=[m[0] for m in MATRICES])
def test_matrices_that_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        Attribution.from_matrix(**given)
    assert message in str(caught.value) and caught.value.fix


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}', b"\xff\xfe", b"null"])
def test_stored_attributions_that_are_refused(content: bytes, tmp_path: Path) -> None:
    Attribution.from_matrix(GOOD).save(tmp_path)
    (tmp_path / "attribution.json").write_bytes(content)
    with pytest.raises(StorageError):
        Attribution.load(tmp_path)


def test_a_stored_matrix_that_is_cut_off(tmp_path: Path) -> None:
    Attribution.from_matrix(GOOD).save(tmp_path)
    for file in tmp_path.glob("*.npy"):
        whole = file.read_bytes()
        for content in (b"", whole[:20], whole[:-4], b"\x93NUMPY" + bytes(20)):
            file.write_bytes(content)
            with pytest.raises(StorageError):
                Attribution.load(tmp_path, mmap=False)
        file.write_bytes(whole)
    Attribution.load(tmp_path)
