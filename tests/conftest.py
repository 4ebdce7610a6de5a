"""Shared fixtures: a small real project on disk, and a real Postgres server. Nothing here leaves tmp_path."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples on every machine, and no wall-clock limit for one of them: a slow machine is not a bug.
settings.register_profile("unskew", deadline=None, derandomize=True, database=None)
settings.load_profile("unskew")


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the data folder of the person who runs it."""
    monkeypatch.setenv("UNSKEW_DATA", str(tmp_path / "unskew-data"))
    monkeypatch.delenv("UNSKEW_DATABASE_URL", raising=False)


@pytest.fixture(scope="session")
def digits_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 real handwritten digits (scikit-learn), 16 × 16 PNG, two classes, with a planted border as the attribute.

    train 160, validation 40, test 40; in train 90 % of each class has its own border.
    """
    import numpy as np
    import pandas as pd
    from PIL import Image
    from sklearn.datasets import load_digits

    root = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(digits.target))[:240]
    rows = []
    for i, source in enumerate(chosen):
        split = "train" if i < 160 else "validation" if i < 200 else "test"
        label = int(digits.target[source] >= 5)
        share = 0.9 if split == "train" else 0.5
        bright = label if rng.random() < share else 1 - label
        image = np.kron(digits.images[source] / 16, np.ones((2, 2)))
        if bright:
            image[[0, -1], :] = image[:, [0, -1]] = 1.0
        path = f"{i:03d}.png"
        Image.fromarray((image * 255).astype("uint8")).convert("RGB").save(root / path)
        rows.append((path, ["low", "high"][label], split, ["dark", "bright"][bright]))
    pd.DataFrame(rows, columns=["path", "label", "split", "border"]).to_csv(root / "manifest.csv", index=False)
    return root / "manifest.csv"


def _postgres_bin() -> Path | None:
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)
    return places[0].parent if places else None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a fresh, real Postgres server that lives as long as the test session (trust login, loopback only)."""
    binaries = _postgres_bin()
    assert binaries is not None, "No Postgres server found; run `bash tests/prepare.sh`."
    root = Path(tempfile.mkdtemp(prefix="unskew-postgres-"))  # pytest's own folders are closed to other users
    user = getpass.getuser()
    prefix: list[str] = []
    if os.geteuid() == 0:  # Postgres refuses to run as root
        user, prefix = "postgres", ["runuser", "-u", "postgres", "--"]
        shutil.chown(root, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = root / "cluster"
    run = [*prefix, str(binaries / "initdb"), "-D", str(cluster), "-U", user, "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(run, check=True, capture_output=True, cwd=root)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={root}"
    ctl = [*prefix, str(binaries / "pg_ctl"), "-D", str(cluster), "-w"]
    subprocess.run(
        [*ctl, "-o", options, "-l", str(root / "log"), "start"], check=True, cwd=root, stdout=subprocess.DEVNULL
    )
    try:
        yield f"postgresql+psycopg://{user}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*ctl, "-m", "immediate", "stop"], check=False, cwd=root, stdout=subprocess.DEVNULL)
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    """Address of a real S3 server on the loopback that lives as long as the test session."""
    program = Path(__file__).parents[1] / ".venv" / "s3-server" / "bin" / "moto_server"
    assert program.exists(), "No S3 server found; run `bash tests/prepare.sh`."
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3_url(_s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket; this process and its children find the server by the usual variables."""
    bucket = f"bucket-{uuid.uuid4().hex[:8]}"
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"}
    assert httpx.put(f"{_s3_server}/{bucket}", headers=signed, trust_env=False).status_code == 200
    for name, value in {
        "AWS_ENDPOINT_URL": _s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}/unskew"


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """URL of an empty database of its own on that server."""
    from sqlalchemy import create_engine, text

    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    server.dispose()
