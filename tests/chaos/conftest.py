"""The registered digits with two checkpoints, and what the campaign's jobs store when nobody disturbs them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import chaos
import pytest
from jobs_house import DIGITS, House, import_digits
from sqlalchemy import create_engine, text

from backend.store.db import Store
from unskew.schemas.enums import JobKind


def register(folder: Path, manifest: Path, database: str | None = None) -> Store:
    """A store with the digits and two short ERM runs, and no worker."""
    house = House(Store.open(folder, url=database))
    house.start()
    assert import_digits(house, manifest) == DIGITS
    house.done(house.ask(JobKind.TRAIN, chaos.FIRST, DIGITS))
    house.end()
    return house.store


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory, digits_manifest: Path) -> Path:
    """A data folder to be copied, not used."""
    folder = tmp_path_factory.mktemp("chaos") / "data"
    register(folder, digits_manifest).close()
    return folder


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory, registered: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("calm") / "data"
    shutil.copytree(registered, folder)
    return chaos.calm(folder)


@pytest.fixture
def house(tmp_path: Path, registered: Path) -> Iterator[House]:
    shutil.copytree(registered, tmp_path / "data")
    made = House(Store.open(tmp_path / "data"))
    yield made
    made.end()
    made.store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path, registered: Path, digits_manifest: Path) -> Iterator[Store]:
    """The same on both databases."""
    if request.param == "sqlite":
        shutil.copytree(registered, tmp_path / "data")
        made = Store.open(tmp_path / "data")
    else:
        url: str = request.getfixturevalue("postgres_url")
        name = f"chaos_{uuid.uuid4().hex[:8]}"
        admin = create_engine(url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        made = register(tmp_path / "data", digits_manifest, url.rsplit("/", 1)[0] + f"/{name}")
    yield made
    made.close()
