"""How many requests are worked on at the same time.

One interpreter computes for all of them: more threads than a few only take turns more often. Who labels waits in a
queue of its own, not in a thread, so that neither a busy database nor other people's labels keep readers out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

P = ParamSpec("P")
R = TypeVar("R")

READERS = 8
_writers: RunVar[CapacityLimiter] = RunVar("_writers")  # of an event loop


async def in_turn(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call in a thread, one call after the other in the order in which they came."""
    try:
        limiter = _writers.get()
    except LookupError:
        limiter = CapacityLimiter(1)
        _writers.set(limiter)
    return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=limiter)


def few_threads(lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None) -> Any:
    """The lifespan given, and inside it `READERS` threads for everything else; Streamlit's own sets another number."""

    @asynccontextmanager
    async def lived(app: Any) -> AsyncIterator[Any]:
        async with nullcontext() if lifespan is None else lifespan(app) as state:
            to_thread.current_default_thread_limiter().total_tokens = READERS
            yield state

    return lived
