"""`make licences` writes docs/licences.md: every package that an installation of Unskew brings, with its licence.

What is listed is what is installed here: the closure of our dependencies and of the extras that a server may want.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "licences.md"
EXTRAS = frozenset({"s3", "oidc", "text"})
HEAD = """# Licences of what Unskew installs

Made by `make licences` from the packages' own metadata; versions are those of constraints.txt. Extras: {extras}.

| package | version | licence |
|---|---|---|
"""


def ours() -> list[str]:
    """What pyproject.toml asks for, with the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return project["dependencies"] + [line for extra in sorted(EXTRAS) for line in extras[extra]]


def closure(lines: list[str]) -> dict[str, Distribution]:
    """Canonical name → distribution, of all that these requirements bring on this machine."""
    found: dict[str, Distribution] = {}
    todo, seen = [Requirement(line) for line in lines], set()
    while todo:
        wanted = todo.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = distribution(key[0])
        except PackageNotFoundError:
            continue  # of another platform
        for need in map(Requirement, found[key[0]].requires or []):
            extras = {"", *wanted.extras}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(need)
    return found


def licence(package: Distribution) -> str:
    """SPDX expression, else the trove classifiers, else the first line of the free text or of the licence file."""
    data = package.metadata
    if data.get("License-Expression"):
        return str(data["License-Expression"])
    classified = [
        line.rpartition(" :: ")[2] for line in data.get_all("Classifier", []) if line.startswith("License ::")
    ]
    text = str(data.get("License", "") or "").strip().splitlines()
    if classified or text:
        return ", ".join(classified) or text[0]
    file = next((path for path in package.files or [] if path.name.upper().startswith("LICEN")), None)
    lines = [] if file is None else file.read_text().strip().splitlines()
    return f"{lines[0].strip()} (its licence file)" if lines else "not stated"


def page() -> str:
    rows = sorted(closure(ours()).items())
    lines = [f"| {name} | {found.version} | {licence(found).replace('|', '/')} |" for name, found in rows]
    return HEAD.format(extras=", ".join(sorted(EXTRAS))) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(page())
    sys.stdout.write(f"{FILE}: {page().count(chr(10)) - HEAD.count(chr(10))} packages\n")
