"""Memory that ran out: how Python, numpy, CUDA and torch's allocator on the CPU say so."""

from __future__ import annotations

ERRORS = (MemoryError, RuntimeError)  # what to catch, before asking `ran_out`


def ran_out(error: BaseException) -> bool:
    """Whether this is about memory, and not another failure of the same type."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or "out of memory" in text or "can't allocate memory" in text
