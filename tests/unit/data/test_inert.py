"""Pickles are read as data: what pickle wrote comes back, and whatever would run or build something is refused."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layout_fixtures as made
import numpy as np
import pytest

from unskew.data.inert import Record, read_inert
from unskew.errors import DataError

KNOWN = ("utils_glue.InputFeatures",)


def stored(folder: Path, content: bytes) -> Path:
    file = folder / "cached_x"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_data_comes_back_as_pickle_wrote_it(protocol: int, tmp_path: Path) -> None:
    shared = [1, 2]
    value = [
        0,
        255,
        256,
        65_535,
        65_536,
        -1,
        -(2**31),
        2**62,
        10**40,
        0.5,
        True,
        False,
        None,
        "é\n",
        "x" * 300,
        (),
        (1,),
    ]
    value += [(1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, {"a": {"b": [1]}, 3: 4}, list(range(999)), shared, shared]
    value += [b"\x00", b"y" * 300] if protocol > 2 else []  # before that bytes are a call
    found = read_inert(stored(tmp_path, pickle.dumps(value, protocol=protocol)), records=KNOWN)
    assert found == value
    place = value.index(shared)
    assert found[place] is found[place + 1]


def plain(made_of: Any, file: Path) -> None:
    file.write_bytes(pickle.dumps(made_of, protocol=4))


def by_torch(made_of: Any, file: Path) -> None:
    import torch

    torch.save(made_of, file)


def by_old_torch(made_of: Any, file: Path) -> None:
    import torch

    torch.save(made_of, file, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [None, plain, by_torch, by_old_torch])
def test_features_become_records(save: Callable[[Any, Path], None] | None, tmp_path: Path) -> None:
    folder = made.multinli_features(tmp_path, save) / "glue_data" / "MNLI"
    found = read_inert(folder / "cached_dev_bert-base-uncased_128_mnli", records=KNOWN)
    assert len(found) == 15 and all(type(record) is Record for record in found)
    fields = found[0].fields
    assert set(fields) == {"input_ids", "input_mask", "segment_ids", "label_id"}
    assert len(fields["input_ids"]) == 128 and fields["input_ids"][0] == 101


class Evil:
    """Writes a file if anybody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def evil_state(path: Path) -> bytes:
    """A record of a known name whose state is another call."""
    call = pickle.dumps(Evil(path), protocol=2)[2:-1]
    return b"\x80\x02cutils_glue\nInputFeatures\n)\x81" + call + b"b."


ATTACKS: dict[str, Callable[[Path], bytes]] = {
    "a call": lambda p: pickle.dumps(Evil(p), protocol=2),
    "a call, newest protocol": lambda p: pickle.dumps(Evil(p)),
    "a call, oldest protocol": lambda p: pickle.dumps(Evil(p), protocol=0),
    "a call inside a list": lambda p: pickle.dumps([1, {"x": [Evil(p)]}]),
    "a call as state": evil_state,
    "a call after the first pickle of old torch": lambda p: (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + pickle.dumps(Evil(p), 2)
    ),
    "a call in torch's archive": lambda p: zipped(pickle.dumps(Evil(p))),
    "an instance by INST": lambda p: f"(S'touch {p}'\nios\nsystem\n.".encode(),
    "an object by OBJ": lambda p: b"(cos\nsystem\n" + f"S'touch {p}'\no.".encode(),
    "a known name called": lambda p: b"cutils_glue\nInputFeatures\n(tR.",
    "a known name with arguments": lambda p: b"\x80\x02cutils_glue\nInputFeatures\nK\x01\x85\x81.",
    "a name by the stack": lambda p: b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "a dotted name": lambda p: b"\x80\x04\x8c\x0autils_glue\x8c\x16InputFeatures.__init__\x93.",
    "an extension": lambda p: b"\x80\x02\x82\x01.",
    "a persistent id": lambda p: b"\x80\x02K\x01Q.",
    "a storage": lambda p: b"\x80\x02ctorch\nFloatStorage\n.",
    "another class": lambda p: pickle.dumps(OrderedDict(a=1), protocol=2),
    "an array": lambda p: pickle.dumps(np.arange(3), protocol=2),
    "state of a list": lambda p: b"\x80\x02]}b.",
}


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ATTACKS)
def test_what_would_run_something_is_refused(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    with pytest.raises(DataError, match=r"was not read: (it names|it asks|it builds|it sets)") as caught:
        read_inert(stored(tmp_path, ATTACKS[name](mark)), records=KNOWN)
    assert not mark.exists() and "nothing in a pickle is run" in str(caught.value.fix)


def test_the_attack_would_work_on_pickle(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    pickle.loads(pickle.dumps(Evil(mark), protocol=2))
    assert mark.exists()


def test_damaged_files_are_refused_whatever_the_damage(tmp_path: Path) -> None:
    rng = random.Random(0)
    whole = pickle.dumps([{"a": [1, 2, 300], "b": ("x", None)}] * 3, protocol=2)
    assert read_inert(stored(tmp_path, whole), records=KNOWN)
    for _ in range(500):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            read_inert(stored(tmp_path, bytes(broken[: rng.randint(0, len(broken))])), records=KNOWN)
        except DataError:
            continue


def test_no_opcode_that_runs_something_is_known() -> None:
    from unskew.data.inert import _Reader

    running = {"REDUCE", "INST", "OBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4"}
    codes = {op.code.encode("latin-1") for op in pickletools.opcodes if op.name in running}
    assert not codes & set(_Reader(io.BytesIO(), KNOWN).known)
