"""What a page says when something is missing or went wrong: always with what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NoReturn

import pandas as pd
import streamlit as st

from unskew.errors import RowError, UnskewError
from unskew.schemas.api import Problem, RowProblem

ROWS_IN_FULL, TABLE_HEIGHT = 12, 420  # more rows than this are scrolled through, in so many px


def show_error(error: UnskewError) -> None:
    """What is wrong, how to mend it, and the rows at fault as a table."""
    text = f"**{error.what}**" + (f"  \n{error.fix}" if error.fix else "")
    st.error(text, icon=":material/error:")
    if error.rows:
        problem_table(error.rows)


def show_problem(problem: Problem) -> None:
    """The same for a problem that a job ended with."""
    st.error(f"**{problem.detail}**" + (f"  \n{problem.fix}" if problem.fix else ""), icon=":material/error:")
    if problem.rows:
        problem_table(problem.rows)


def problem_table(rows: Sequence[RowError | RowProblem], *, alt: str = "Rows that cannot be used") -> None:
    """What is wrong in which row. Its sentences are as long as it takes to say how to mend it, so they are wrapped."""
    shown_rows = [
        {"Row": "" if r.row is None else str(r.row), "Field": r.field, "Value": r.value, "Problem": r.message}
        for r in rows
    ]
    height: Literal["content"] | int = TABLE_HEIGHT if len(rows) > ROWS_IN_FULL else "content"
    st.table(pd.DataFrame(shown_rows), border="horizontal", hide_index=True, height=height, alt=alt)


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
