"""Images in one .npz: both namings, unpacked once and whole, and nothing unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layout_fixtures as made
import numpy as np
import pytest
from PIL import Image

from unskew.data import SourceCheck, load_project_source, unpack
from unskew.errors import DataError
from unskew.schemas.enums import Layout, Split
from unskew.schemas.params import ImportParams

Check = Callable[..., SourceCheck]


def test_one_array_each(tmp_path: Path, check: Check) -> None:
    file = made.arrays(tmp_path)
    dry = check(file).examples
    assert dry is not None and dry.layout is Layout.NPZ and dry.fingerprint == ""
    found = load_project_source(ImportParams(source=str(unpack(file, tmp_path / "out")), name="x", image_size=8))
    assert found.class_names == dry.class_names == ("cat", "dog")
    assert found.label.tolist() == dry.label.tolist() == [i % 2 for i in range(22)]
    assert [len(found.positions(s)) for s in Split] == [12, 6, 4]
    assert set(found.attributes) == {"site"} and found.attributes["site"].tolist() == [str(i % 3) for i in range(22)]
    with np.load(file) as arrays, Image.open(found.file(7)) as image:
        assert np.array_equal(np.asarray(image), arrays["images"][7].transpose(1, 2, 0))


def test_one_array_a_split(tmp_path: Path, check: Check) -> None:
    file = made.arrays(tmp_path, per_split=True)
    assert check(file).examples is not None
    found = load_project_source(ImportParams(source=str(unpack(file, tmp_path / "out")), name="x", image_size=8))
    assert found.class_names == ("0", "1", "2") and [len(found.positions(s)) for s in Split] == [12, 6, 4]
    with np.load(file) as arrays, Image.open(found.file(13)) as image:
        assert np.array_equal(np.asarray(image), arrays["val_images"][1])


def test_unpacked_once(tmp_path: Path) -> None:
    file = made.arrays(tmp_path)
    steps: list[tuple[int, int]] = []
    manifest = unpack(file, tmp_path / "out", on_step=lambda *step: steps.append(step))
    assert steps == [(22, 22)]
    assert unpack(file, tmp_path / "out", on_step=lambda *step: steps.append(step)) == manifest and len(steps) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "set.npz"]


def test_packed_images_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"are packed.*unskew\.data\.unpack"):
        load_project_source(ImportParams(source=str(made.arrays(tmp_path)), name="x"))


class Bomb:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.path, "unpickled"))


GOOD: dict[str, Any] = {
    "images": np.zeros((4, 5, 5), dtype=np.uint8),
    "labels": np.array([0, 1, 0, 1]),
    "split": np.array(["train", "train", "val", "val"]),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, "needs images and labels; found: labels, split"),
        ({"labels": None}, "needs images and labels; found: images, split"),
        ({"images": np.zeros((4, 5, 5))}, "Images are uint8"),
        ({"images": np.zeros((4, 5, 5, 2), dtype=np.uint8)}, "Images are uint8"),
        ({"images": np.zeros((4, 25), dtype=np.uint8)}, "Images are uint8"),
        ({"labels": np.array([0, 1, 0])}, "labels must hold one value for each of the 4 images"),
        ({"labels": np.zeros((4, 2))}, "labels must hold one value"),
        ({"labels": np.zeros(4, dtype=complex)}, "labels must hold one value"),
        ({"split": np.array(["train"])}, "split must hold one value"),
        ({"split": np.array(["train", "train", "val", "dev"])}, "The split 'dev' is unknown"),
        ({"labels": np.array([0, 1, 0, np.nan])}, "The label is missing"),
        ({"labels": np.array([0, 0, 0, 0])}, "only one class"),
        ({"images": np.asfortranarray(np.zeros((4, 5, 5), dtype=np.uint8))}, "column by column"),
        ({"split": None}, "There is no validation split"),
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, Any], message: str, tmp_path: Path, check: Check) -> None:
    arrays = {name: array for name, array in (GOOD | change).items() if array is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    found = check(tmp_path / "a.npz")
    assert found.examples is None and any(message in p.message for p in found.problems), found.problems


def test_objects_are_never_unpickled(tmp_path: Path, check: Check) -> None:
    target = tmp_path / "hit"
    labels = np.array([Bomb(target)] * 4, dtype=object)
    np.savez(tmp_path / "a.npz", **(GOOD | {"labels": labels}))
    assert "Python objects, which are never unpickled" in check(tmp_path / "a.npz").problems[0].message
    with pytest.raises(DataError, match="never unpickled"):
        unpack(tmp_path / "a.npz", tmp_path / "out")
    assert not target.exists() and not (tmp_path / "out").exists()


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, check: Check) -> None:
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (900000000000, 9, 9), }"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header.ljust(127) + b"\n")
    assert "promises 72,900,000,000,000 bytes and has" in check(tmp_path / "a.npz").problems[0].message


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_archives_that_are_none(content: bytes, tmp_path: Path, check: Check) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    found = check(tmp_path / "a.npz")
    assert found.examples is None and found.problems[0].field == "a.npz"


def test_a_truncated_archive_leaves_nothing(tmp_path: Path) -> None:
    file = made.arrays(tmp_path)
    content = bytearray(file.read_bytes())
    place = content.find(b"\x93NUMPY") + 400  # inside the pixels, so that only reading them shows it
    content[place : place + 40] = bytes(40)
    file.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        unpack(file, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["set.npz"]
