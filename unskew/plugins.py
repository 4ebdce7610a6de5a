"""Functions of a user's own by import path, `package.module:function`, where a name of ours could stand."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from unskew.errors import SettingsError, Stopped, UnskewError


def find(path: str, what: str, *, error: type[UnskewError] = SettingsError) -> Callable[..., Any]:
    """The function that a path names, looked up with the current directory on `sys.path`.

    Args:
        what: what it is to do, for the error: "model", "reader".
        error: raised when there is no such function.
    """
    module_name, colon, function_name = path.partition(":")
    if not (module_name and colon and function_name):
        raise error(f"{path!r} is not the path of a {what}.", fix='Write it as "package.module:function".')
    found: Any = _imported(module_name, error)
    for part in function_name.split("."):
        if not hasattr(found, part):
            raise error(f"The module {module_name!r} has no {function_name!r}.", fix="Check the name after the colon.")
        found = getattr(found, part)
    if not callable(found):
        raise error(
            f"{path!r} is a {type(found).__name__}, not a {what}.", fix="Name a function or a class that can be called."
        )
    return found  # type: ignore[no-any-return]


def _imported(name: str, error: type[UnskewError]) -> Any:
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name and (name + ".").startswith(missing.name + "."):
            raise error(
                f"There is no module {name!r} (looked in {here} and on the Python path).",
                fix="Start Unskew in the folder that holds it, or install its package.",
            ) from missing
        raise error(
            f"Importing {name!r} failed: it needs {missing.name!r}.", fix=f"Install {missing.name!r} here."
        ) from missing
    except Exception as failed:
        raise error(
            f"Importing {name!r} failed: {type(failed).__name__}: {failed}.", fix="Mend the module."
        ) from failed
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def call(path: str, what: str, *arguments: Any, error: type[UnskewError] = SettingsError) -> Any:
    """Call it; what it raises becomes an error that names it, but for errors of ours."""
    function = find(path, what, error=error)
    try:
        return function(*arguments)
    except (UnskewError, Stopped):
        raise
    except Exception as failed:
        raise error(
            f"The {what} {path!r} failed: {type(failed).__name__}: {failed}.", fix=f"Mend the {what}."
        ) from failed
