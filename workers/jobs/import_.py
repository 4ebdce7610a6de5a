"""Register a project: the demo if asked for, a check of every row, model inputs, then all rows in one transaction.

Nothing is visible before the last step; whatever fails or is killed before it leaves no trace but the job.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from backend.store import projects
from backend.store.artifacts import content_id
from unskew.data import SETS, Examples, build_set, fit_encoder, load_pixels, load_project_source, unpack
from unskew.errors import DataError, StorageError
from unskew.schemas.enums import DataKind, Layout, Split
from unskew.schemas.params import ImportParams, InputShape
from workers.context import Context, Step

ROWS_AT_ONCE = 2_000
ENCODING = "encoding.json"


def plan(context: Context) -> list[Step]:
    params = context.params
    assert isinstance(params, ImportParams)
    made = [{"title": "make the set", "do": "make"}] if params.source in SETS else []
    packed = [{"title": "unpack the images", "do": "unpack"}] if _is_packed(params) else []
    return [
        *made,
        *packed,
        {"title": "check every row", "do": "check"},
        {"title": "prepare what a model sees", "do": "inputs"},
        {"title": "register", "do": "register"},
    ]


def run(context: Context, step: Step) -> dict[str, Any]:
    does = {"make": _make, "unpack": _unpack, "check": _check, "inputs": _inputs, "register": _register}
    return does[step["do"]](context)


def _source(context: Context) -> ImportParams:
    """The parameters with the file of what was made or unpacked in place of the set's name or the archive."""
    params = context.params
    assert isinstance(params, ImportParams)
    if _is_packed(params):
        manifest = _unpacked_folder(context, params) / "manifest.csv"
        return params.model_copy(update={"source": str(manifest), "layout": None})
    return _made(context, params) if params.source in SETS else params


def _make(context: Context) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, ImportParams)
    _made(context, params)
    return {}


def _made(context: Context, params: ImportParams) -> ImportParams:
    """A set that ships, made unless it is there: how to read it, under the name and with the sizes asked for."""
    folder = context.store.data / "sources" / f"{params.source}-{params.demo_seed}-{params.validation}-{params.skew:g}"
    made = build_set(
        params.source,
        folder,
        seed=params.demo_seed,
        validation=params.validation,
        skew=params.skew,
        on_step=context.progress,
    )
    read = {"tokenizer": params.tokenizer, "n_tokens": params.n_tokens} if params.tokenizer else {}
    return made.model_copy(update={"name": params.name, "image_size": params.image_size, **read})


def _is_packed(params: ImportParams) -> bool:
    return Path(params.source).suffix.lower() == ".npz"


def _unpacked_folder(context: Context, params: ImportParams) -> Path:
    """One folder an archive, as it is now: another file under the same name is unpacked anew."""
    try:
        found = os.stat(params.source)
    except OSError as error:
        raise DataError(f"{params.source} cannot be read: {error.strerror}.", fix="Check the path.") from error
    mark = content_id(kind="archive", path=params.source, size=found.st_size, changed=found.st_mtime_ns)
    return context.store.data / "sources" / f"arrays-{mark}"


def _unpack(context: Context) -> dict[str, Any]:
    params = context.params
    assert isinstance(params, ImportParams)
    unpack(Path(params.source), _unpacked_folder(context, params), on_step=context.progress)
    return {}


def _check(context: Context) -> dict[str, Any]:
    examples = load_project_source(_source(context), on_step=context.progress)
    _save(context.scratch, examples)
    return {"n_rows": len(examples), "layout": examples.layout}


def _inputs(context: Context) -> dict[str, Any]:
    """One array a split, and `encoding.json`: the shape of an example, and how texts or rows were encoded."""
    params, examples = _source(context), _load(context.scratch)
    if examples.kind is DataKind.IMAGE:
        shape, how = InputShape.image(params.image_size), {}
        _pixels(context, params, examples)
    else:
        encoder = fit_encoder(examples, params)
        shape, how = encoder.shape, encoder.describe()
        for split in Split:
            rows = [examples.content[i] for i in examples.positions(split)]
            np.save(context.scratch / f"{split.value}.npy", encoder.encode(rows))
    (context.scratch / ENCODING).write_text(json.dumps({"shape": shape.model_dump(mode="json"), **how}))
    return {}


def _pixels(context: Context, params: ImportParams, examples: Examples) -> None:
    done = 0
    for split in Split:
        n = len(examples.positions(split))
        path, mark = context.scratch / f"{split.value}.npy", context.scratch / f"{split.value}.rows"
        finished = int(mark.read_text() or 0) if mark.exists() else 0
        shape = (n, 3, params.image_size, params.image_size)
        try:
            array = np.lib.format.open_memmap(
                path, mode="r+" if finished else "w+", dtype=np.uint8, shape=None if finished else shape
            )
            for start in range(finished, n, ROWS_AT_ONCE):
                rows = range(start, min(n, start + ROWS_AT_ONCE))
                load_pixels(examples, split, params.image_size, out=array, rows=rows)
                array.flush()
                mark.write_text(str(rows.stop))
                context.progress(done + rows.stop, len(examples))
        except OSError as error:
            raise StorageError(
                f"The pixels cannot be stored: {error.strerror or error}.",
                fix="Free some space or choose a smaller image size, then resume.",
            ) from error
        done += n


def _register(context: Context) -> dict[str, Any]:
    params, examples = _source(context), _load(context.scratch)
    asked = context.params
    assert isinstance(asked, ImportParams)
    shape = InputShape.model_validate(json.loads((context.scratch / ENCODING).read_text())["shape"])
    inputs = content_id(
        kind=projects.INPUTS, fingerprint=examples.fingerprint, shape=shape.model_dump(mode="json"), job=context.job_id
    )

    def write(folder: Path) -> None:
        for name in (*(f"{split.value}.npy" for split in Split), ENCODING):
            # a link, not a move: a worker that is killed while the artifact is sealed finds the files again
            os.link(context.scratch / name, folder / name)

    if not context.store.artifacts.exists(projects.INPUTS, inputs):
        context.store.artifacts.make(projects.INPUTS, inputs, write)
    with context.store.session() as session:
        found = next((p for p in projects.list_projects(session) if p.inputs == inputs), None)
        if found is None:
            context.store.artifacts.write(session, projects.INPUTS, inputs, write)
            if asked.source in SETS:  # what a report repeats; `root` says where the files are
                own = ("source", "demo_seed", "skew", "validation")
                params = params.model_copy(update={name: getattr(asked, name) for name in own})
            found = projects.create_project(session, params, examples, shape, inputs)
        return {"project": found.slug, "project_id": found.id}


def _save(folder: Path, examples: Examples) -> None:
    """Checked rows, for the steps that follow; arrays only, no pickle."""
    arrays: dict[str, Any] = {f"attribute:{name}": values for name, values in examples.attributes.items()}
    arrays |= {"label": examples.label, "split": examples.split}
    arrays |= {"paths": np.array(examples.paths), "content_hash": np.array(examples.content_hash)}
    np.savez(folder / "examples.npz", **arrays)
    head = {"root": str(examples.root), "class_names": examples.class_names, "fingerprint": examples.fingerprint}
    head["layout"] = examples.layout or ""
    head |= {"kind": examples.kind, "content": examples.content}
    (folder / "examples.json").write_text(json.dumps(head))


def _load(folder: Path) -> Examples:
    head = json.loads((folder / "examples.json").read_text())
    with np.load(folder / "examples.npz", allow_pickle=False) as arrays:
        return Examples(
            root=Path(head["root"]),
            class_names=tuple(head["class_names"]),
            paths=tuple(arrays["paths"].tolist()),
            label=arrays["label"],
            split=arrays["split"],
            attributes={
                name.removeprefix("attribute:"): arrays[name] for name in arrays.files if name.startswith("attribute:")
            },
            content_hash=tuple(arrays["content_hash"].tolist()),
            fingerprint=head["fingerprint"],
            layout=_layout(head["layout"]),
            kind=DataKind(head["kind"]),
            content=tuple(head["content"]),
        )


def _layout(name: str) -> Layout | str | None:
    return name if ":" in name else Layout(name) if name else None
