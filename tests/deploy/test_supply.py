"""What an installation brings: its licences are listed, and none of them binds more than ours."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "licences.md").read_text()
LISTED = dict(re.findall(r"^\| ([\w.-]+) \| [\w.+!-]+ \| (.+) \|$", PAGE, re.M))
# Their metadata is silent: NVIDIA's meta package of CUDA libraries, and traker's (MIT, says its repository).
SILENT = {"cuda-toolkit", "traker"}


def canonical(line: str) -> str:
    return re.split(r"[\[<>=!~;\s]", line, maxsplit=1)[0].lower().replace("_", "-")


def test_every_dependency_has_its_licence_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for name in ("s3", "oidc", "text") for line in project["optional-dependencies"][name]]
    assert {canonical(line) for line in [*project["dependencies"], *extras]} <= set(LISTED), "run `make licences`"
    assert {name for name, found in LISTED.items() if found == "not stated"} <= SILENT


def test_no_licence_asks_for_our_source() -> None:
    strong = {name: found for name, found in LISTED.items() if re.search(r"\bA?GPL|General Public", found)}
    weak = {name for name, found in strong.items() if "LGPL" in found or "Lesser" in found}
    assert set(strong) == weak, "GPL and AGPL do not go with MIT"


def test_the_list_is_made_by_its_command() -> None:
    code = "import sys; sys.path.insert(0, 'tools'); import licences; sys.stdout.write(licences.page())"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^\| ([\w.-]+) \|", made, re.M))
    assert {"torch", "fastapi", "streamlit", "argon2-cffi", "authlib"} <= listed
