"""Data folders whose workers end with the test. The digits are imported once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs_house import DIGITS, House, import_digits

from backend.store.db import Store


def opened(folder: Path) -> Iterator[House]:
    house = House(Store.open(folder))
    yield house
    house.end()
    house.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty data folder."""
    yield from opened(tmp_path / "data")


@pytest.fixture(scope="session")
def digits_data(tmp_path_factory: pytest.TempPathFactory, digits_manifest: Path) -> Path:
    """A data folder with the digits registered as project 1 and no worker; to be copied, not used."""
    folder = tmp_path_factory.mktemp("registered") / "data"
    for house in opened(folder):
        house.start()
        assert import_digits(house, digits_manifest) == DIGITS
    return folder


@pytest.fixture
def digits(tmp_path: Path, digits_data: Path) -> Iterator[House]:
    """A data folder with the digits registered."""
    shutil.copytree(digits_data, tmp_path / "data")
    yield from opened(tmp_path / "data")
