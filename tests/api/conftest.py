"""One project walks the whole loop once; tests that only read share it, tests that write get a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_house import House, open_house, walk


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory, digits_manifest: Path) -> Path:
    """A data folder after the loop; to be copied, not used."""
    folder = tmp_path_factory.mktemp("walked") / "data"
    house = open_house(folder)
    try:
        walk(house, digits_manifest)
    finally:
        house.store.close()
    return folder


@pytest.fixture(scope="session")
def shared(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For tests that change nothing."""
    yield from _copied(walked, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def house(walked: Path, tmp_path: Path) -> Iterator[House]:
    """For tests that write."""
    yield from _copied(walked, tmp_path)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    """A new data folder."""
    house = open_house(tmp_path / "empty")
    yield house
    house.store.close()


def _copied(walked: Path, folder: Path) -> Iterator[House]:
    shutil.copytree(walked, folder / "data")
    house = open_house(folder / "data")
    yield house
    house.store.close()
