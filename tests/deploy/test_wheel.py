"""The wheel: everything it imports is declared, and `unskew demo` answers from an environment that has only the wheel.

Third-party packages are those of the environment that runs the tests, at the versions of constraints.txt: they are lent
to the new environment, and only ours is installed there. That they are declared is the other test's.
"""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import sysconfig
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of a new environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True, timeout=300)
    (wheel,) = folder.glob("unskew-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    subprocess.run([*pip, "install", "--no-deps", "--target", packages, wheel], check=True, timeout=300)
    program = folder / "env" / "bin" / "unskew"
    program.write_text(
        f"#!{folder / 'env' / 'bin' / 'python'}\nimport sys\nfrom backend.cli.main import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    (packages / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "env" / "bin"


def test_the_entry_point_is_the_one_that_is_tested() -> None:
    assert PROJECT["scripts"] == {"unskew": "backend.cli.main:main"}


@pytest.mark.slow
def test_the_demo_answers_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UNSKEW"))}
    where = "import unskew, backend; print(unskew.__file__, backend.__file__)"
    found = subprocess.run(
        [installed / "python", "-c", where], capture_output=True, text=True, check=True, env=clean, cwd=tmp_path
    )
    assert found.stdout.count(str(installed.parent)) == 2, "the wheel's code runs, not the source tree's"
    command = [installed / "unskew", "demo", "--no-open", "--port", str(port), "--data", tmp_path / "data"]
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
