"""The wheel: everything it imports is declared, and `unskew demo` answers from it in an empty environment."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
OURS = ("unskew", "backend", "workers", "frontend")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Where the code says what to do when they are missing.
OPTIONAL = {"torchvision": "comes with the user's own model, if at all"}


def normal(name: str) -> str:
    return re.split(r"[\s\[<>=!~;]", name, maxsplit=1)[0].lower().replace("_", "-")


def imported() -> dict[str, str]:
    """Top-level modules that our packages import → a file that does."""
    found: dict[str, str] = {}
    for path in (file for package in OURS for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            found |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return found


def test_every_imported_package_is_declared() -> None:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    declared = {normal(line) for line in [*PROJECT["dependencies"], *extras]}
    known = packages_distributions()
    missing = {
        module: where
        for module, where in imported().items()
        if module not in (*OURS, *sys.stdlib_module_names, *OPTIONAL)
        and not {normal(name) for name in known.get(module, [module])} & declared
    }
    assert missing == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_answers_from_the_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    """`pip install unskew && unskew demo`, at the versions of constraints.txt."""
    programs = tmp_path / "env" / "bin"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    pip = [programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True, timeout=300)
    (wheel,) = tmp_path.glob("unskew-*.whl")
    subprocess.run([*pip, "install", "--constraint", ROOT / "constraints.txt", wheel], check=True, timeout=1200)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UNSKEW"))}
    where = "import unskew, backend, torch; print(unskew.__file__, backend.__file__, torch.__file__)"
    found = subprocess.run(
        [programs / "python", "-c", where], capture_output=True, text=True, check=True, env=clean, cwd=tmp_path
    )
    assert found.stdout.count(str(tmp_path)) == 3, "nothing comes from the source tree or the tests' environment"
    command = [programs / "unskew", "demo", "--no-open", "--port", str(port), "--data", tmp_path / "data"]
    demo = subprocess.Popen(command, env=clean, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 540
        while True:
            assert demo.poll() is None, f"unskew demo ended with {demo.returncode}"
            assert time.monotonic() < end
            try:
                names = httpx.get(f"http://127.0.0.1:{port}/api/v1/projects", trust_env=False, timeout=10).json()
                break
            except httpx.TransportError:
                time.sleep(1)
        assert [project["slug"] for project in names] == ["digits-on-textures"]
        page = httpx.get(f"http://127.0.0.1:{port}/discover", trust_env=False, timeout=30)
        assert page.status_code == 200 and "<title>" in page.text
        assert httpx.get(f"http://127.0.0.1:{port}/login", trust_env=False, timeout=30).status_code == 303
    finally:
        demo.terminate()
        demo.wait(30)
