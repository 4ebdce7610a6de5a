"""`unskew.show`: a precomputed attribution matrix in the browser, from a notebook, in one call.

It writes the examples into a data folder of their own, starts `unskew up` on it as a process that ends with this one,
and does over HTTP what a person would do: import, hand over the matrix, find directions.
"""

from __future__ import annotations

import atexit
import csv
import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unskew.client import Client
from unskew.errors import DataError, ServerError, UnskewError
from unskew.schemas.api import Job
from unskew.schemas.enums import JobKind, JobStatus
from unskew.schemas.params import DiscoverParams, ImportAttributionParams, ImportParams, Params

START_SECONDS = 120.0
Examples = Sequence[str | Path] | NDArray[np.uint8]


def show(
    matrix: NDArray[np.floating],
    train_labels: Sequence[Any] | NDArray[Any],
    target_labels: Sequence[Any] | NDArray[Any],
    *,
    train: Examples | None = None,
    targets: Examples | None = None,
    target_loss: NDArray[np.floating] | None = None,
    target_prediction: NDArray[np.int64] | None = None,
    name: str = "matrix",
    data: Path | None = None,
    port: int | None = None,
    open_browser: bool = True,
) -> Client:
    """Open Discover on a precomputed τ.

    Args:
        matrix: (n_train, n_targets), + = helps, as `traker` and `dattri` have it.
        train_labels, target_labels: the class of every example, numbers or words.
        train, targets: images, uint8 (n, height, width[, 3]), or sentences; None: rows are shown by their number.
        target_loss: (n_targets,) [nats]. target_prediction: int64 (n_checkpoints, n_targets) or (n_targets,), as
            positions in the sorted classes; with both the evidence of a direction can be judged.
        data: folder for the project; None: a temporary one.
    Returns:
        A client of the server, which lives as long as this process.
    Raises:
        DataError: lengths differ. ServerError: the server does not come up.
    """
    matrix = np.asarray(matrix, dtype=np.float32)
    _check(matrix, train_labels, target_labels, train, targets)
    folder = Path(data) if data is not None else Path(mkdtemp(prefix="unskew-show-"))
    source = folder / "sources" / name
    source.mkdir(parents=True, exist_ok=True)
    manifest = _write(source, train_labels, target_labels, train, targets)
    arrays = {"matrix": matrix, "target_loss": target_loss, "target_prediction": target_prediction}
    paths = {key: _save(source / f"{key}.npy", value) for key, value in arrays.items() if value is not None}
    client = _serve(folder, port)
    wanted = ImportParams(source=str(manifest), name=name, image_size=_side(train))
    _done(client, client.import_project(wanted))
    slug = client.projects()[0].slug  # newest first
    steps: tuple[tuple[JobKind, Params], ...] = (
        (JobKind.IMPORT_ATTRIBUTION, ImportAttributionParams(**paths)),
        (JobKind.DISCOVER, DiscoverParams()),
    )
    for kind, params in steps:
        _done(client, client.start_job(slug, kind, params))
    if open_browser:
        webbrowser.open(f"{client.base_url}/discover?project={slug}")
    return client


def _check(
    matrix: NDArray[np.float32],
    train_labels: Sequence[Any] | NDArray[Any],
    target_labels: Sequence[Any] | NDArray[Any],
    train: Examples | None,
    targets: Examples | None,
) -> None:
    if matrix.shape != (len(train_labels), len(target_labels)):
        raise DataError(
            f"matrix has shape {matrix.shape} for {len(train_labels)} train_labels and {len(target_labels)} "
            "target_labels.",
            fix="Give τ as (n_train, n_targets).",
        )
    for what, given, n in (("train", train, len(train_labels)), ("targets", targets, len(target_labels))):
        if given is not None and len(given) != n:
            raise DataError(f"{what} has {len(given)} examples for {n} labels.", fix="Give one a label.")
    if (train is None) != (targets is None):
        raise DataError("Only one of train and targets is given.", fix="Give both, or neither.")


def _side(examples: Examples | None) -> int:
    """Longer side of the images, within what an import takes."""
    return min(1024, max(8, *examples.shape[1:3])) if isinstance(examples, np.ndarray) else 64


def _save(path: Path, array: NDArray[Any]) -> str:
    np.save(path, array)
    return str(path)


def _write(
    source: Path,
    train_labels: Sequence[Any] | NDArray[Any],
    target_labels: Sequence[Any] | NDArray[Any],
    train: Examples | None,
    targets: Examples | None,
) -> Path:
    """A manifest of images or of sentences; rows in the order of the matrix."""
    pictures = isinstance(train, np.ndarray)
    manifest = source / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path" if pictures else "text", "label", "split"])
        for split, labels, examples in (("train", train_labels, train), ("validation", target_labels, targets)):
            for row, label in enumerate(labels):
                if isinstance(examples, np.ndarray):
                    shown = _picture(source, f"{split}-{row:07d}.png", examples[row])
                else:
                    shown = str(examples[row]) if examples is not None else f"{split} example {row + 1}"
                writer.writerow([shown, label, split])
    return manifest


def _picture(source: Path, name: str, pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).convert("RGB").save(source / name)
    return name


def _serve(folder: Path, port: int | None) -> Client:
    """`unskew up` on this folder, as a process that ends with this one."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "backend.cli.main", "up", "--port", str(port), "--data", str(folder)]
    environment = {key: value for key, value in os.environ.items() if key != "UNSKEW_DATABASE_URL"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    atexit.register(process.terminate)
    client = Client(f"http://127.0.0.1:{port}")
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.health().worker:
                return client
        except UnskewError:
            pass
        time.sleep(0.2)
    process.terminate()
    raise ServerError(f"The server on port {port} does not come up.", fix=f"{folder / 'server.log'} says why.")


def _done(client: Client, job: Job) -> Job:
    found = client.wait_for_job(job.id, poll_seconds=0.2)
    if found.status is not JobStatus.DONE:
        why = found.error.detail if found.error else found.status
        raise ServerError(f"{job.kind}: {why}", fix=found.error.fix if found.error else "")
    return found
