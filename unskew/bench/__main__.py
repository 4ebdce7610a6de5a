"""`python -m unskew.bench KIND`: progress to standard error, one JSON object to standard output."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from unskew.errors import UnskewError
from unskew.schemas.params import SETS


def main() -> int:
    args = _arguments()
    try:
        found = _measured(args)
    except UnskewError as error:
        _tell(str(error))
        return 1
    sys.stdout.write(json.dumps(found, indent=2, allow_nan=False) + "\n")
    return 0


def _measured(args: argparse.Namespace) -> dict[str, Any]:
    """Every kind is a module of that name, and its options are what its `measure` takes."""
    options = dict(vars(args))
    measured: dict[str, Any] = import_module(f"unskew.bench.{options.pop('kind')}").measure(**options, tell=_tell)
    return measured


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m unskew.bench", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    attribution = kinds.add_parser("attribution")
    attribution.add_argument("--examples", dest="n", type=int, default=2048)
    attribution.add_argument("--repeats", type=int, default=3)
    attribution.add_argument("--traker", choices=("full", "short", "none"), default="short")
    scale = kinds.add_parser("scale")
    for name, default in (("train", 1_280_000), ("targets", 50_000), ("classes", 1000)):
        scale.add_argument(f"--{name}", dest=f"n_{name}", type=int, default=default)
    scale.add_argument("--dim", type=int, default=4096)
    scale.add_argument("--fraction", type=float, default=1.0)
    scale.add_argument("--folder", type=Path)
    evidence = kinds.add_parser("evidence")
    evidence.add_argument("--runs", type=int, default=100)
    evidence.add_argument("--skews", type=float, nargs="+", default=[0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98])
    evidence.add_argument("--first-seed", type=int, default=1000)
    lds = kinds.add_parser("lds")
    lds.add_argument("--set", dest="name", required=True)
    lds.add_argument("--subsets", dest="n_subsets", type=int, default=40)
    lds.add_argument("--checkpoints", dest="n_checkpoints", type=int, default=5)
    lds.add_argument("--folder", type=Path)
    lds.add_argument("--seed", type=int, default=0)
    lds.add_argument("--only-ours", action="store_true")
    hard = kinds.add_parser("hard")
    hard.add_argument("--runs", type=int, default=12)
    hard.add_argument("--first-seed", type=int, default=3000)
    rules = kinds.add_parser("rules")
    rules.add_argument("--set", dest="name", required=True, choices=("tiny", *SETS))
    rules.add_argument("--skews", type=float, nargs="+", default=[0.9, 0.95])
    rules.add_argument("--runs", type=int, default=5)
    rules.add_argument("--first-seed", type=int, required=True)
    rules.add_argument("--only-default", action="store_true")
    sides = kinds.add_parser("sides")
    sides.add_argument("--set", dest="name", required=True, choices=("tiny", *SETS))
    sides.add_argument("--skew", type=float, default=0.95)
    sides.add_argument("--runs", type=int, default=5)
    sides.add_argument("--first-seed", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
