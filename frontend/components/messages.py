"""What a page says when something is missing or went wrong: always with what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import pandas as pd
import streamlit as st

from unskew.errors import UnskewError
from unskew.schemas.api import Problem


def show_error(error: UnskewError) -> None:
    """What is wrong, how to mend it, and the rows at fault as a table."""
    text = f"**{error.what}**" + (f"  \n{error.fix}" if error.fix else "")
    st.error(text, icon=":material/error:")
    if error.rows:
        rows = [{"row": r.row, "field": r.field, "value": r.value, "problem": r.message} for r in error.rows]
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Rows that cannot be used")


def show_problem(problem: Problem) -> None:
    """The same for a problem that a job ended with."""
    st.error(f"**{problem.detail}**" + (f"  \n{problem.fix}" if problem.fix else ""), icon=":material/error:")
    if problem.rows:
        st.dataframe(
            pd.DataFrame([r.model_dump() for r in problem.rows]), hide_index=True, alt="Rows that cannot be used"
        )


@contextmanager
def shown() -> Iterator[None]:
    """Show an error that a person can mend in place of whatever could not be drawn."""
    try:
        yield
    except UnskewError as error:
        show_error(error)


def attempt(action: Callable[[], object], *, done: str = "") -> bool:
    """Run an action of a button; toast when it worked, show the error when it did not."""
    try:
        action()
    except UnskewError as error:
        show_error(error)
        return False
    if done:
        st.session_state["toast"] = done
    return True


def empty(title: str, text: str, *, icon: str = ":material/inbox:") -> None:
    """An empty state; the caller adds its one button right after."""
    st.markdown(f"#### {icon} {title}")
    st.markdown(text)


def stop_with(title: str, text: str, *, icon: str = ":material/inbox:") -> NoReturn:
    """An empty state without a button, and nothing after it."""
    empty(title, text, icon=icon)
    st.stop()
