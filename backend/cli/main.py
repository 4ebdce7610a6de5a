"""Entry point of `unskew`: registers the commands and turns errors into clear text and exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer
from pydantic import ValidationError

from backend.cli import accounts, battery, bench, demo, keep, loop, paper, rounds, serve, subpopulations
from backend.cli.context import err, show_error
from unskew import __version__
from unskew.errors import SettingsError, UnskewError

app = typer.Typer(
    name="unskew",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find the biases a classifier picked up from its training data, and remove the examples that cause them.",
)
for module in (demo, serve, loop, accounts, keep, bench, battery, subpopulations, rounds, paper):
    module.register(app)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Exit codes: 0 done, 1 a mistake that the user can mend, 2 wrong arguments, 130 interrupted."""
    os.environ.setdefault("DBOS_DISABLE_STARTUP_BANNER", "1")
    sys.path.insert(0, str(Path.cwd()))  # model factories are named relative to where the command is given
    try:
        app()
    except UnskewError as error:
        show_error(error, "--json" in sys.argv)
        sys.exit(1)
    except ValidationError as error:
        if not error.title.endswith("Params"):  # not what a person typed
            raise
        said = "; ".join(": ".join([*map(str, e["loc"]), e["msg"]]) for e in error.errors(include_url=False))
        show_error(SettingsError(f"{said}.", fix="See the command's --help."), "--json" in sys.argv)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("Stopped.")
        sys.exit(130)


if __name__ == "__main__":
    main()
