"""Every reader on generated input: a result or an UnskewError, never anything else; and row numbers that are right."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import layout_fixtures as made
import pytest
import torch
from bad_house import good_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unskew.attribution import Attribution
from unskew.attribution.imported import read_matrix
from unskew.data import UnreadableImage, check_source, open_rgb, unpack
from unskew.data.problems import Problems
from unskew.data.tables import read_table
from unskew.errors import UnskewError
from unskew.models import load_state, small_cnn
from unskew.schemas.enums import Layout, Orientation
from unskew.schemas.params import ImportParams

generated = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

# Text that has to do with tables, so that generated files get past the first check.
WORDS = "path label split a.png b.png cat dog train val , , , , ' = ../x /etc/passwd é \ufeff nan -1 1e309".split()
PIECES = st.sampled_from([*WORDS, "\n", "\n", "\r\n", "\t", ";", " ", '"', "{", "}", "[", "]", ":"])
CONTENT = st.one_of(
    st.binary(max_size=300),
    st.lists(PIECES, max_size=60).map(lambda pieces: "".join(pieces).encode()),
    st.lists(PIECES, max_size=40).map(lambda pieces: ("path,label,split\n" + "".join(pieces)).encode()),
)


def checked(source: Path, **params: Any) -> None:
    """As an import does it: structure first, then every image."""
    found = check_source(ImportParams(source=str(source), name="x", image_size=8, **params), decode=True)
    assert (found.examples is None) == (found.n_problems > 0)
    assert all(problem.message for problem in found.problems)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@settings(generated, max_examples=150)
@given(content=CONTENT)
def test_tables_of_anything(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"m{suffix}"
    file.write_bytes(content)
    for params in ({}, {"validation_share": 0.3, "kind": "table"}, {"kind": "text", "text_column": "path"}):
        checked(file, **params)


@settings(generated, max_examples=300)
@given(content=st.binary(max_size=400), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"]))
def test_images_of_anything(content: bytes, head: bytes) -> None:
    try:
        open_rgb(head + content)
    except UnreadableImage:
        pass


# ---------------------------------------------------------------- real sets with damage
def damage(folder: Path, seed: int) -> str:
    """Change one random file or folder the way disks, editors and half-finished downloads do; what was done."""
    rng = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    notable = [path for path in files if path.suffix.lower() not in (".png", ".jpg", ".jpeg")]
    target = rng.choice(notable if notable and rng.random() < 0.7 else files)
    content = bytearray(target.read_bytes())
    kind = rng.choice(["cut", "flip", "empty", "gone", "folder", "repeat", "shuffle", "insert", "letters"])
    if kind == "gone":
        target.unlink()
    elif kind == "folder":
        target.unlink()
        target.mkdir()
    else:
        place = rng.randrange(max(1, len(content)))
        if kind == "cut":
            content = content[:place]
        elif kind == "flip":
            for _ in range(rng.randint(1, 8)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        elif kind == "empty":
            content = bytearray()
        elif kind == "repeat":
            content = content + content[place:]
        elif kind == "shuffle":
            lines = content.split(b"\n")
            rng.shuffle(lines)
            content = bytearray(b"\n".join(lines))
        elif kind == "insert":
            content[place:place] = rng.choice([b"\0", b"\xff", b'"', b",", b"\n", b"999999999999", b"-1", b"\xe2\x82"])
        else:
            content[place : place + 1] = rng.choice([b"x", b"9", b" ", b";"])
        target.write_bytes(bytes(content))
    return f"{kind} {target.relative_to(folder)}"


SETS: dict[Layout, Callable[[Path], Path]] = {
    Layout.MANIFEST: good_set,
    Layout.NPZ: made.arrays,
    Layout.CELEBA_BLOND: made.celeba,
    Layout.CELEBA_AGE: lambda folder: made.celeba(folder, text=True),
    Layout.WATERBIRDS: made.waterbirds,
    Layout.CAMELYON17: made.camelyon17,
    Layout.IWILDCAM: made.iwildcam,
    Layout.GROUP_METADATA: made.waterbirds_subpop,
    Layout.IMAGENET: lambda folder: made.imagenet(folder, a_class=6, kind="kaggle"),
    Layout.MULTINLI: made.multinli,
    Layout.CIVILCOMMENTS: made.civilcomments,
    Layout.FOLDER: lambda folder: made.imagenet(folder, a_class=6, kind="tiny"),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Layout, Path], Path]]:
    """A copy of a good set in the layout, and where to read it."""
    kept = tmp_path_factory.mktemp("sets")

    def copy(layout: Layout, to: Path) -> Path:
        folder = kept / layout.value
        if not folder.exists():
            SETS[layout](folder)
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(folder, to)
        return to / {Layout.MANIFEST: "m.csv", Layout.NPZ: "set.npz"}.get(layout, "")

    yield copy


def test_every_layout_has_a_set() -> None:
    assert set(SETS) == set(Layout)


@pytest.mark.slow
@pytest.mark.parametrize("layout", list(Layout))
@settings(generated, max_examples=40)
@given(seed=st.integers(0, 2**32), forced=st.booleans())
def test_damaged_sets(
    layout: Layout, seed: int, forced: bool, sets: Callable[[Layout, Path], Path], tmp_path: Path
) -> None:
    source = sets(layout, tmp_path / "set")
    damage(tmp_path / "set", seed)
    if layout is Layout.NPZ:
        try:
            checked(unpack(source, tmp_path / "unpacked"))
        except UnskewError:
            pass
        shutil.rmtree(tmp_path / "unpacked", ignore_errors=True)
    else:
        checked(source, layout=layout if forced else None)


@settings(generated, max_examples=150)
@given(seed=st.integers(0, 2**32), suffix=st.sampled_from([".pt", ".safetensors"]))
def test_damaged_checkpoints(seed: int, suffix: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "checkpoint"
    torch.manual_seed(0)
    state = small_cnn(2, 8, width=2).state_dict()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (torch.save if suffix == ".pt" else save_file)(state, folder / f"a{suffix}")
    damage(folder, seed)
    try:
        found = load_state(folder / f"a{suffix}")
    except UnskewError:
        return
    assert all(isinstance(value, torch.Tensor) for value in found.values())


@settings(generated, max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_damaged_matrices(seed: int, tmp_path: Path) -> None:
    import numpy as np

    folder = tmp_path / "matrix"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    np.save(folder / "tau.npy", np.ones((6, 4), dtype=np.float32))
    damage(folder, seed)
    try:
        tau = read_matrix(folder / "tau.npy", Orientation.TRAIN_BY_TARGET, n_train=6, n_targets=4)
        Attribution.from_matrix(tau)
    except UnskewError:
        pass


# ---------------------------------------------------------------- row numbers
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs", "Cc"]), max_size=8)
GOOD_ROW = st.tuples(st.just("good"), CELL)
ROWS = st.lists(
    st.one_of(
        GOOD_ROW,
        st.tuples(st.just("blank"), st.just("")),
        st.tuples(st.just("lines"), CELL),  # a quoted cell over three lines
        st.tuples(st.sampled_from(["few", "many"]), CELL),
    ),
    max_size=25,
)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@settings(generated, max_examples=300)
@given(rows=ROWS, end=st.sampled_from(["\n", "\r\n"]), mark=st.sampled_from(["", "\ufeff"]))
def test_rows_of_csv_are_numbered_as_an_editor_numbers_them(
    rows: list[tuple[str, str]], end: str, mark: str, tmp_path: Path
) -> None:
    text, line, good, bad = f"{mark}path,label{end}", 2, [], []
    for kind, cell in rows:
        written = {
            "good": f"{quoted('p' + cell)},cat",
            "blank": "",
            "lines": quoted(f"p{cell}{end}2{end}3") + ",cat",
            "few": quoted("p" + cell),
            "many": f"{quoted('p' + cell)},cat,dog",
        }[kind]
        if kind in ("good", "lines"):
            good.append(line)
        elif kind != "blank":
            bad.append(line)
        text += written + end
        line += written.count("\n") + 1
    file = tmp_path / "m.csv"
    file.write_bytes(text.encode())
    problems = Problems()
    table = read_table(file, problems)
    assert table is not None and table.lines == good
    assert [problem.row for problem in problems.listed()] == bad


@settings(generated, max_examples=200)
@given(kinds=st.lists(st.sampled_from(["good", "blank", "broken", "list", "nested"]), max_size=25))
def test_rows_of_json_lines_are_numbered_by_lines(kinds: list[str], tmp_path: Path) -> None:
    written = {
        "good": '{"path": "a", "label": 1}',
        "blank": "  ",
        "broken": '{"path": ',
        "list": "[1]",
        "nested": '{"path": {"x": 1}, "label": 2}',
    }
    file = tmp_path / "m.jsonl"
    file.write_text("".join(written[kind] + "\n" for kind in kinds))
    problems = Problems()
    table = read_table(file, problems)
    assert table is not None
    assert table.lines == [n for n, kind in enumerate(kinds, 1) if kind in ("good", "nested")]
    assert [p.row for p in problems.listed()] == [
        n for n, k in enumerate(kinds, 1) if k in ("broken", "list", "nested")
    ]
