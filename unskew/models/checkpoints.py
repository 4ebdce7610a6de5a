"""Checkpoints on disk: state dicts as safetensors or through `torch.load(weights_only=True)`; never a pickled object.

Reading: `load_state`, `check_fits`. Writing: `save_state`. `save_progress` and `load_progress` hold what a training run
needs to go on where it stopped.
"""

from __future__ import annotations

import os
import pickle
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from unskew.errors import ModelError

_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
)  # where training scripts put the state dict
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel, torch.compile
_SHOWN = 5  # keys named in a message


def save_state(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Write a state dict: safetensors when the name ends so, else `torch.save`. Written aside, then renamed.

    Tensors are written on the CPU, each on its own: tied weights are stored twice.
    """
    tensors = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in state.items()}
    if Path(path).suffix == ".safetensors":
        _write(Path(path), lambda file: save_file(tensors, file.name))
    else:
        _write(Path(path), lambda file: torch.save(tensors, file))


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict onto the CPU.

    Unwraps {"state_dict": …} and the like, and drops the prefixes of DataParallel and `torch.compile`.

    Raises:
        ModelError: no such file, not a checkpoint, a pickled object, or no tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no checkpoint {str(path)!r}.", fix="Check the path.")
    how = "Save a state dict: torch.save(model.state_dict(), path), or safetensors."
    if _is_compressed(path):  # a few kilobytes could unfold to terabytes
        raise ModelError(f"{str(path)!r} is a compressed archive, which torch never writes; it is not opened.", fix=how)
    try:
        found: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{str(path)!r} holds pickled code or is not a checkpoint; it is not opened.", fix=how
        ) from error
    except Exception as error:  # damaged bytes make the unpickler fail in every way there is
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{str(path)!r} cannot be read as a checkpoint: {first}.", fix=how) from error
    state = _unwrapped(found)
    if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ModelError(f"{str(path)!r} holds no state dict (names → tensors).", fix=how)
    for prefix in _PREFIXES:
        if all(k.startswith(prefix) for k in state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state


def check_fits(model: nn.Module, state: Mapping[str, torch.Tensor], name: str = "The checkpoint") -> None:
    """Refuse a state dict of another architecture, or one with numbers that are not finite.

    Args:
        name: how messages call the checkpoint, for example its path.
    Raises:
        ModelError: names the first few missing, unexpected and mis-shaped keys, with both shapes.
    """
    own = model.state_dict()
    faults = []
    missing = [k for k in own if k not in state]
    extra = [k for k in state if k not in own]
    shapes = [
        f"{k} is {tuple(state[k].shape)}, the model needs {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    if missing:
        faults.append(f"missing: {_first(missing)}")
    if extra:
        faults.append(f"unexpected: {_first(extra)}")
    if shapes:
        faults.append(f"other shapes: {_first(shapes)}")
    if faults:
        raise ModelError(
            f"{name} does not fit the model ({'; '.join(faults)}).",
            fix="Name the factory and kwargs that the checkpoint was trained with.",
        )
    broken = [k for k, v in state.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if broken:
        raise ModelError(
            f"{name} holds numbers that are not finite, in {_first(broken)}.",
            fix="Use a checkpoint from before it diverged.",
        )


def save_progress(path: Path, progress: dict[str, Any]) -> None:
    """Write what a training run needs to go on: tensors and plain values only. Written aside, then renamed."""
    _write(Path(path), lambda file: torch.save(progress, file))


def load_progress(path: Path) -> dict[str, Any] | None:
    """Read it; None when there is none or it cannot be read, so that the run starts from the beginning."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError):
        return None
    return found if isinstance(found, dict) else None


def _is_compressed(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        return False


def _unwrapped(found: Any) -> dict[str, Any]:
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    return {str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {}


def _first(items: list[str]) -> str:
    rest = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _write(path: Path, writer: Callable[[IO[bytes]], None]) -> None:
    """Write to a temporary name in the same folder, flush to disk, rename: readers see the old file or the new one.

    Raises OSError when the disk is full or read-only, whatever the writer makes of that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        with open(temporary, "wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (SafetensorError, RuntimeError) as error:
        Path(temporary).unlink(missing_ok=True)
        raise (_of_the_disk(error) or error) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _of_the_disk(error: Exception) -> OSError | None:
    """What the disk said: torch has it as the context of its own error, safetensors in the text."""
    if isinstance(error.__context__, OSError):
        return error.__context__
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None
