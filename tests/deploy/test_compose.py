"""docker-compose.yml fits the specification, and what its services run works without containers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = ("web", "worker", "worker-gpu")


def test_it_fits_the_specification() -> None:
    plain = yaml.safe_dump(yaml.safe_load(TEXT))  # with the YAML merges done
    found = PyCompose.from_yaml(plain)
    assert set(found.service_names()) == {*OURS, "postgres", "objects", "bucket"}


def test_the_check_sees_mistakes() -> None:
    for old, new in (("healthcheck:", "healthchek:"), ('profiles: ["gpu"]', "profiles: gpu"), ("driver:", "drive:")):
        plain = yaml.safe_dump(yaml.safe_load(TEXT.replace(old, new, 1)))
        with pytest.raises(ValueError, match="services"):
            PyCompose.from_yaml(plain)


def test_volumes_health_and_order_are_declared() -> None:
    declared = yaml.safe_load(TEXT)["volumes"]
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in declared
        once = name == "bucket"
        assert once or service["healthcheck"]["test"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing but loopback is published"
    assert SERVICES["worker"]["depends_on"]["web"] == {"condition": "service_healthy"}
    assert SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_the_image_is_not_run_by_root() -> None:
    last = (ROOT / "Dockerfile").read_text().rpartition("FROM ")[2]
    assert re.search(r"^USER unskew$", last, re.M)
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.M))
    assert copied == {"unskew", "backend", "workers", "frontend"}


# ---------------------------------------------------------------- the commands
def run(command: list[str], environment: dict[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """A service's command as the image would run it: `unskew` and `python` are ours."""
    programs = {"unskew": [sys.executable, "-m", "backend.cli.main"], "python": [sys.executable]}
    return subprocess.Popen([*programs[command[0]], *command[1:]], env=environment, cwd=ROOT, **options)


def environment(service: dict[str, Any], data: Path) -> dict[str, str]:
    """Its variables with their defaults, as compose fills them in."""
    given = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in service["environment"].items()}
    return os.environ | given | {"UNSKEW_DATA": str(data), "PYTHONPATH": str(ROOT)}


def healthy(service: dict[str, Any], variables: dict[str, str], port: int | None = None) -> None:
    """Its health check passes within a minute or two."""
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    command = [part.replace(":8501/", f":{port}/") for part in command]
    end = time.monotonic() + 120
    while True:
        checked = run(command, variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(60)
        if checked == 0:
            return
        assert time.monotonic() < end, command
        time.sleep(0.5)


@pytest.mark.slow
def test_web_and_worker_come_up_and_are_found_healthy(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = environment(SERVICES["web"], tmp_path)
    web = run([*SERVICES["web"]["command"], "--port", str(port)], variables, stdout=subprocess.DEVNULL)
    try:
        healthy(SERVICES["web"], variables, port)
        dead = run(SERVICES["worker"]["healthcheck"]["test"][1:], variables, stdout=subprocess.DEVNULL)
        assert dead.wait(60) == 1
        log = (tmp_path / "log").open("wb")
        worker = run(SERVICES["worker"]["command"], variables, stderr=log, stdout=log)
        healthy(SERVICES["worker"], variables)
        worker.terminate()
        assert worker.wait(30) == 0
        assert b'"message": "worker ' in (tmp_path / "log").read_bytes()  # JSON lines, as compose asks for
    finally:
        web.terminate()
        web.wait(30)


@pytest.mark.slow
def test_a_gpu_worker_starts_or_says_that_there_is_no_gpu(tmp_path: Path) -> None:
    variables = environment(SERVICES["worker-gpu"], tmp_path)
    worker = run([*SERVICES["worker-gpu"]["command"], "--once"], variables, stderr=subprocess.PIPE)
    said = worker.communicate(timeout=120)[1]
    assert worker.returncode == 0 or b"cuda:0 cannot be used" in said


@pytest.mark.slow
def test_the_bucket_is_made(tmp_path: Path, _s3_server: str) -> None:
    import httpx

    variables = environment(SERVICES["bucket"], tmp_path) | {"AWS_ENDPOINT_URL": _s3_server}
    assert run(SERVICES["bucket"]["command"], variables).wait(60) == 0
    assert httpx.head(f"{_s3_server}/unskew", trust_env=False).status_code in (200, 403)


# ---------------------------------------------------------------- systemd
@pytest.mark.parametrize("unit", sorted((ROOT / "deploy").glob("*.service")), ids=lambda path: path.name)
def test_units_run_commands_that_are_there(unit: Path) -> None:
    lines = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")
    assert lines["User"] == "unskew" and lines["Restart"] == "always"
    words = lines["ExecStart"].replace("%i", "cpu").split()
    assert words[0] == "/opt/unskew/bin/unskew"
    helped = subprocess.run(
        [sys.executable, "-m", "backend.cli.main", words[1], "--help"],
        capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"COLUMNS": "200"},
    ).stdout  # fmt: skip
    assert all(word in helped for word in words if word.startswith("--"))
