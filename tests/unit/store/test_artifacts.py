"""Artifacts are there whole or not at all, and a changed file is noticed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.store import tables
from backend.store.artifacts import content_id
from backend.store.db import Store
from unskew.errors import NotFoundError, StorageError

ID = content_id(what="numbers")
NUMBERS = np.arange(6.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


def _numbers(folder: Path) -> None:
    np.save(folder / "numbers.npy", NUMBERS)


def _write(store: Store, writer=_numbers) -> None:
    with store.session() as session:
        store.artifacts.write(session, "scores", ID, writer)


def test_what_is_written_is_read_back_memory_mapped(store: Store) -> None:
    _write(store)
    found = store.artifacts.load("scores", ID, "numbers.npy")
    assert isinstance(found, np.memmap) and not found.flags.writeable
    np.testing.assert_array_equal(found, NUMBERS)
    with store.read() as session:
        row = session.get_one(tables.Artifact, ID)
        assert row.bytes == store.artifacts.path("scores", ID, "numbers.npy").stat().st_size
        assert store.artifacts.problems(session) == [] and store.artifacts.orphans(session) == []


def test_content_ids_stand_for_content_and_not_for_order() -> None:
    assert content_id(a=1, b=[2]) == content_id(b=[2], a=1) != content_id(a=1, b=[3])


def test_a_second_writer_is_not_asked(store: Store) -> None:
    _write(store)

    def never(folder: Path) -> None:
        raise AssertionError

    _write(store, never)


def test_a_twin_that_finished_first_wins(store: Store) -> None:
    def slow(folder: Path) -> None:
        _write(store)  # a twin finishes while this one is still writing
        np.save(folder / "numbers.npy", -NUMBERS)

    store.artifacts.make("scores", ID, slow)
    np.testing.assert_array_equal(store.artifacts.load("scores", ID, "numbers.npy"), NUMBERS)
    assert len(list((store.artifacts.root / "scores").iterdir())) == 1


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def fails(folder: Path) -> None:
        _numbers(folder)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.artifacts.make("scores", ID, fails)
    assert not store.artifacts.exists("scores", ID)
    assert list((store.artifacts.root / "scores").iterdir()) == []


def test_a_full_disk_is_named(store: Store) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match=r"No space left.*Free some space"):
        store.artifacts.make("scores", ID, full)


def test_a_rolled_back_row_leaves_an_orphan_that_the_next_write_adopts(store: Store) -> None:
    with pytest.raises(RuntimeError), store.session() as session:
        store.artifacts.write(session, "scores", ID, _numbers)
        raise RuntimeError
    with store.read() as session:
        assert [name for _, name in store.artifacts.orphans(session)] == [ID]
    _write(store)
    with store.read() as session:
        assert store.artifacts.orphans(session) == []


def test_a_file_of_the_wrong_size_is_refused(store: Store) -> None:
    _write(store)
    file = store.artifacts.path("scores", ID, "numbers.npy")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StorageError, match="wrong size"):
        store.artifacts.load("scores", ID, "numbers.npy")


def test_a_changed_byte_and_a_lost_file_are_found_by_the_full_check(store: Store) -> None:
    _write(store)
    file = store.artifacts.path("scores", ID, "numbers.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with store.read() as session:
        assert store.artifacts.problems(session) == [f"changed on disk: scores/{ID}/numbers.npy"]
    file.unlink()
    with store.read() as session:
        assert store.artifacts.problems(session) == [f"missing: scores/{ID}/numbers.npy"]


@pytest.mark.parametrize(("kind", "artifact_id"), [("..", ID), ("scores", ".."), ("scores", "a/b"), ("", ID)])
def test_no_name_leads_out_of_the_folder(store: Store, kind: str, artifact_id: str) -> None:
    with pytest.raises(NotFoundError):
        store.artifacts.path(kind, artifact_id)


@pytest.mark.parametrize("name", ["../x", "manifest.json", "/etc/hosts"])
def test_only_files_of_the_manifest_are_served(store: Store, name: str) -> None:
    _write(store)
    with pytest.raises(StorageError):
        store.artifacts.path("scores", ID, name)


def test_pickled_objects_are_refused(store: Store) -> None:
    _write(store, lambda folder: np.save(folder / "numbers.npy", np.array([{}], dtype=object)))
    with pytest.raises(ValueError, match="allow_pickle"):
        store.artifacts.load("scores", ID, "numbers.npy", mmap=False)
