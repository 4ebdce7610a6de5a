"""A brake on guessing passwords: a few failures for one name or from one address, then a pause."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from unskew.errors import UnskewError

FAILURES = 5
SECONDS = 300.0
MOST_KEYS = 10_000  # so that guessing many names does not fill the memory


class TooManyError(UnskewError):
    """Too many failures; `seconds` until the next try is heard."""

    code = "too_many"

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many failed logins.", fix=f"Try again in {seconds:.0f} seconds.")
        self.seconds = seconds


class Brake:
    """Failures of the last five minutes by key, in this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failed: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=FAILURES))
        self._lock = threading.Lock()

    def check(self, *keys: str) -> None:
        """Raise TooManyError when one of the keys has failed too often lately."""
        with self._lock:
            waits = [self._wait(key) for key in keys if key in self._failed]
        if max(waits, default=0.0) > 0:
            raise TooManyError(max(waits))

    def _wait(self, key: str) -> float:
        times = self._failed[key]
        return times[0] + SECONDS - self._now() if len(times) == FAILURES else 0.0

    def failed(self, *keys: str) -> None:
        with self._lock:
            if len(self._failed) > MOST_KEYS:
                self._failed.clear()
            for key in keys:
                self._failed[key].append(self._now())

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)
