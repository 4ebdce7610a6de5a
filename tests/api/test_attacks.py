"""What an attacker sends: each is refused or made harmless."""

from __future__ import annotations

import csv
import io
import socket
import ssl
import struct
import tarfile
import threading
import zlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from api_house import ADDRESS, PROJECT, House, problem
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from starlette.testclient import TestClient

from backend.reports.render import markdown
from backend.services import backup, projects
from backend.services.downloads import csv_file
from backend.services.images import _media_type
from backend.store import tables
from unskew.client import Client
from unskew.errors import DataError, NotFoundError, ServerError, UnskewError
from unskew.schemas.params import ImportParams, InputShape

PASSWD = b"root:"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/projects/..%2f..%2fetc%2fpasswd",
        "/api/v1/projects/digits/examples/1%2f..%2f..%2f..%2fetc%2fpasswd/image",
        "/api/v1/projects/digits/examples/1/image/../../../../../../etc/passwd",
        "/r/..%2f..%2f..%2fetc%2fpasswd",
        "/r/../unskew.db",
        "/static-offline-docs/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static-offline-docs/../../../../../../../../etc/passwd",
        "//etc/passwd",
        "/api/v1/reports/1/download?format=../../etc/passwd",
        "/api/v1/group-sets/1/export?format=/etc/passwd",
    ],
)
def test_no_path_leads_out_of_what_is_registered(shared: House, path: str) -> None:
    answer = shared.http.get(path)
    assert answer.status_code in (404, 422) and PASSWD not in answer.content


@pytest.mark.parametrize(
    ("kind", "number"), [("..", "x"), ("scores", ".."), ("a/b", "c"), ("scores", "../x"), ("", "")]
)
def test_an_artifact_has_no_path_in_its_name(shared: House, kind: str, number: str) -> None:
    with pytest.raises(NotFoundError):
        shared.store.artifacts.folder(kind, number)


@pytest.mark.parametrize("source", ["/etc/passwd", "/etc", "/proc/self/environ", "/dev/zero", "../../etc/passwd"])
def test_a_source_that_is_no_data_set_shows_nothing_of_itself(shared: House, source: str) -> None:
    answer = shared.http.post("/api/v1/projects/check", json={"source": source, "name": "x"})
    assert answer.status_code in (200, 422) and PASSWD not in answer.content
    assert answer.status_code == 422 or answer.json()["ok"] is False


def test_a_source_is_never_fetched(shared: House) -> None:
    """SSRF: addresses are read as paths, and no connection is made."""
    met: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0.5)

        def listen() -> None:
            try:
                met.append(server.accept())
            except TimeoutError:
                pass

        listener = threading.Thread(target=listen)
        listener.start()
        for source in (f"http://127.0.0.1:{port}/a.csv", f"http://127.0.0.1:{port}/a.parquet", "file:///etc/passwd"):
            answer = shared.http.post("/api/v1/projects/check", json={"source": source, "name": "x"})
            assert answer.status_code in (200, 422) and PASSWD not in answer.content
        listener.join()
    assert met == []


def test_a_manifest_cannot_name_files_elsewhere(shared: House, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "secret.png")
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", "link.png", "set/../../secret.png"):
        manifest = tmp_path / "set" / "manifest.csv"
        manifest.write_text(f"path,label,split\n{name},a,train\n{name},b,train\n")
        found = projects.check(ImportParams(source=str(manifest), name="x"), decode=True)
        assert not found.ok, name


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is this large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("bomb.png", bomb(60_000, 60_000), "pixels"),
        ("page.html", b"<html><script>alert(1)</script></html>", "image"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image"),
        ("script.png", b"<svg onload=alert(1)>", "image"),
    ],
)
def test_bombs_and_pages_are_no_images(shared: House, tmp_path: Path, name: str, content: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(content)
    Image.new("RGB", (16, 16)).save(tmp_path / "good.png")
    (tmp_path / "manifest.csv").write_text(f"path,label,split\n{name},a,train\ngood.png,b,train\n")
    answer = shared.http.post(
        "/api/v1/projects/check?decode=true", json={"source": str(tmp_path / "manifest.csv"), "name": "x"}
    ).json()
    assert answer["ok"] is False and word in str(answer["problems"])


def test_a_file_is_sent_as_what_it_is(shared: House) -> None:
    """An image with HTML behind it, or under a page's name, is never shown as a page."""
    made = io.BytesIO()
    Image.new("RGB", (4, 4)).save(made, "PNG")
    assert _media_type(made.getvalue() + b"<script>alert(1)</script>") == "image/png"
    assert _media_type(b"<html>") == _media_type(b"<svg/>") == "application/octet-stream"
    example = shared.validation[0]
    answer = shared.http.get(f"/api/v1/projects/{PROJECT}/examples/{example.id}/image")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "Cookie" in answer.headers["vary"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", '=HYPERLINK("http://evil")'])
def test_a_cell_is_no_formula(text: str) -> None:
    assert csv_file("x", ["a"], [[text]]).content.decode().splitlines()[1].lstrip('"').startswith("'")


def test_a_group_name_that_is_a_formula_stays_text_in_the_export(house: House) -> None:
    made = house.http.post(
        f"/api/v1/projects/{PROJECT}/group-sets", json={"name": "x", "group_names": ["=cmd|'/c calc'!A1", "b"]}
    ).json()
    example = house.validation[0]
    labels = [{"key": "12345678", "example_id": example.id, "group": 0}]
    house.http.post(f"/api/v1/group-sets/{made['id']}/labels", json={"labels": labels, "annotator": "=2+2"})
    exported = house.http.get(f"/api/v1/group-sets/{made['id']}/export").text
    cells = [cell for row in csv.reader(io.StringIO(exported)) for cell in row]
    assert "'=2+2" in cells and any("=cmd" in cell for cell in cells)
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](http://evil.example/pixel.png)",
        '<img src=x onerror="alert(1)">',
        "<http://evil.example/><script>",
        "[x](vbscript:x)",
    ],
)
def test_notes_of_a_report_run_nothing(house: House, text: str) -> None:
    made = str(markdown(text)).lower()
    assert "<script" not in made and "<img" not in made
    assert 'href="javascript' not in made and 'href="data' not in made and 'href="vbscript' not in made
    report = house.http.post(f"/api/v1/projects/{PROJECT}/reports", json={"title": text, "notes": text}).json()
    page = house.http.get(report["url"])
    assert "alert(1)</script>" not in page.text.lower() and 'onerror="alert' not in page.text.lower()
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/cron.d/evil", "sources/../../outside.txt", "link"])
def test_a_backup_does_not_write_elsewhere(tmp_path: Path, name: str) -> None:
    """Zip slip, for tar."""
    packed = tmp_path / "evil.tar"
    with tarfile.open(packed, "w") as archive:
        for member in ("unskew.db", name):
            info = tarfile.TarInfo(member)
            if member == "link":
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info, io.BytesIO(b""))
    with pytest.raises(UnskewError):
        backup.restore(packed, tmp_path / "in" / "data")
    assert not (tmp_path / "outside.txt").exists() and not (tmp_path / "in" / "outside.txt").exists()


def test_ids_that_no_row_can_have_are_not_found(shared: House) -> None:
    for number in ("0", "-1", str(2**31), str(2**63), str(10**30)):
        assert shared.http.get(f"/api/v1/group-sets/{number}").status_code in (404, 422), number


def test_hosts_and_headers_that_make_no_sense_are_refused(shared: House) -> None:
    for host in ("[", "evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", ""):
        problem(shared.http.get("/api/v1/projects", headers={"Host": host}), 421)


def test_a_huge_body_of_nonsense_is_an_answer(shared: House) -> None:
    http = TestClient(shared.http.app, base_url=ADDRESS, raise_server_exceptions=False)
    deep = "[" * 100_000
    for body in (b"\0" * 10_000, deep.encode(), b'{"name":' * 1000):
        answer = http.post("/api/v1/projects/check", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422)


def test_an_example_of_a_project_is_not_reached_through_another(house: House) -> None:
    with house.store.session() as session:
        session.add(
            tables.Project(
                slug="other",
                name="o",
                class_names=[],
                attributes=[],
                shape=InputShape.image(8).model_dump(mode="json"),
                fingerprint="",
                source={"root": "/"},
            )
        )
    example = house.validation[0].id
    for what in ("", "/image", "/thumbnail"):
        problem(house.http.get(f"/api/v1/projects/other/examples/{example}{what}"), 404)


def test_a_damaged_backup_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"x\.tar"):
        backup.restore(tmp_path / "x.tar", tmp_path / "data")


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_the_client_does_not_trust_a_server_that_signed_its_own_certificate(scheme: str, tmp_path: Path) -> None:
    """It would hand its token to whoever stands in between."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_own_certificate(tmp_path / "pair.pem"))
    heard: list[bytes] = []

    def answer(plain: socket.socket) -> None:
        try:
            with context.wrap_socket(plain.accept()[0], server_side=True) as secure:
                heard.append(secure.recv(1000))
        except (ssl.SSLError, OSError):
            pass  # the client hung up, as it should

    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(20)
        server = threading.Thread(target=answer, args=(plain,))
        server.start()
        with pytest.raises(ServerError):
            Client(f"{scheme}://127.0.0.1:{plain.getsockname()[1]}", token="secret").projects()
        server.join(20)
    assert not server.is_alive() and not any(heard)


def _own_certificate(file: Path) -> Path:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = builder.add_extension(address, critical=True).sign(key, hashes.SHA256())
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(pem, kind, serialization.NoEncryption()) + made.public_bytes(pem))
    return file
