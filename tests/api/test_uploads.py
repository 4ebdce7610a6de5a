"""Uploads become a source that imports; what leads out or is broken is refused. And the faults of a project."""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from api_house import PROJECT, House, problem
from sqlalchemy import select

from backend.store import tables
from unskew.errors import DataError
from unskew.schemas.enums import Layout
from unskew.schemas.params import ImportParams


def zipped(files: dict[str, bytes], *, link: str | None = None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link is not None:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return made.getvalue()


def test_a_zip_of_images_with_their_table_is_imported(empty: House, digits_manifest: Path) -> None:
    images = {f"digits/{p.name}": p.read_bytes() for p in digits_manifest.parent.glob("*.png")}
    files = images | {f"digits/{digits_manifest.name}": digits_manifest.read_bytes(), "__MACOSX/digits/._a": b"x"}
    content = zipped(files)
    made = empty.client.upload("digits.zip", content)
    assert made.n_files == 241 and Path(made.source).name == digits_manifest.name
    assert Path(made.source).is_relative_to(empty.store.data / "sources")
    assert empty.client.upload("again.zip", content).source == made.source, "the same bytes lie there once"
    found = empty.client.check_import(ImportParams(source=made.source, name="x", image_size=16), decode=True)
    assert found.ok and found.n_rows == 240


def test_a_zip_of_class_folders_is_a_folder(empty: House, digits_manifest: Path) -> None:
    first, second = (p.read_bytes() for p in sorted(digits_manifest.parent.glob("*.png"))[:2])
    files = {f"train/{c}/{i}.png": image for c in "ab" for i, image in enumerate((first, second))}
    made = empty.client.upload("x.zip", zipped(files))
    found = empty.client.check_import(ImportParams(source=made.source, name="x", image_size=16, validation_share=0.4))
    assert found.layout is Layout.FOLDER


def test_a_table_is_kept_under_a_plain_name(empty: House) -> None:
    made = empty.client.upload("../../.evil name.csv", b"text,label,split\n")
    assert Path(made.source).name == "evil name.csv" and Path(made.source).parent.parent == empty.store.data / "sources"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.exe", b"MZ", "cannot be imported"),
        ("x.zip", b"no zip at all", "cannot be read"),
        ("x.zip", zipped({}), "holds no file"),
        ("x.zip", zipped({"../out.png": b"x"}), "leads out"),
        ("x.zip", zipped({"/etc/cron.d/x": b"x"}), "leads out"),
        ("x.zip", zipped({"a\\..\\b.png": b"x"}), "leads out"),
        ("x.zip", zipped({"a.png": b"x"}, link="passwd"), "leads out"),
    ],
)
def test_what_cannot_be_kept_leaves_nothing(empty: House, name: str, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        empty.client.upload(name, content)
    assert list((empty.store.data / "sources").iterdir()) == []


def test_a_zip_that_would_fill_the_disk_is_refused(empty: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.services.uploads.MAX_UNPACKED_BYTES", 10)
    problem(empty.http.post("/api/v1/projects/uploads?name=x.zip", content=zipped({"a.png": b"x" * 11})), 422, "beyond")
    assert list((empty.store.data / "sources").iterdir()) == []


def test_a_project_without_faults_says_so(shared: House) -> None:
    found = shared.client.faults(PROJECT)
    assert (found.n_repeated, found.n_leaks, found.n_missing) == (0, 0, 0)


def test_repeats_leaks_and_missing_files_are_listed(house: House, digits_manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(digits_manifest.parent, folder)
    (folder / "003.png").unlink()
    with house.store.session() as session:
        project = session.scalars(select(tables.Project)).one()
        project.source = project.source | {"root": str(folder)}
        rows = {row.path: row for row in session.scalars(select(tables.Example))}
        rows["001.png"].content_hash = rows["000.png"].content_hash  # both train
        rows["170.png"].content_hash = rows["002.png"].content_hash  # validation and train
    found = house.client.faults(PROJECT)
    assert (found.n_repeated, found.n_leaks, found.missing) == (2, 1, ["003.png"])
    assert [{e.path for e in group} for group in found.repeated] == [{"002.png", "170.png"}, {"000.png", "001.png"}]
