#!/usr/bin/env bash
# Known vulnerabilities of the versions in constraints.txt, where the database of them can be reached.
set -uo pipefail
cd "$(dirname "$0")/.."

tools=.venv/tools
if [ ! -x $tools/bin/pip-audit ]; then
  .venv/bin/python -m venv $tools && $tools/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1 ||
    { echo "pip-audit: skipped, it cannot be installed here"; exit 0; }
fi
$tools/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off --timeout 10 \
  --format json --output $tools/audit.json 2>$tools/audit.log
.venv/bin/python - $tools/audit.json <<'PYTHON'
import json, sys
try:
    packages = json.load(open(sys.argv[1]))["dependencies"]
except (OSError, ValueError):
    packages = []
looked_up = [package for package in packages if "skip_reason" not in package]
if not looked_up:
    print("pip-audit: skipped, no network: its database cannot be reached")
    sys.exit(0)
bad = [(p["name"], p["version"], [v["id"] for v in p["vulns"]]) for p in looked_up if p["vulns"]]
print(f"pip-audit: {len(looked_up)} of {len(packages)} packages looked up, {len(bad)} with known vulnerabilities")
for name, version, ids in bad:
    print(f"  {name} {version}: {', '.join(ids)}")
sys.exit(1 if bad else 0)
PYTHON
