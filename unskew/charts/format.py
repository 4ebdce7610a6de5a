"""Numbers for people: shares with n and interval, durations, counts, times. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

from unskew.schemas.api import Interval


def percent(share: float, digits: int = 1) -> str:
    """0.4734 → "47.3%"; NaN → "–"."""
    if share != share:
        return "–"
    return f"{100 * share:.{digits}f}%"


def interval(value: Interval, *, digits: int = 0, unit: str = "n") -> str:
    """A share with its 95 % interval and its n: "47% (40–54, n = 189)"."""
    return f"{percent(value.value, digits)} ({bounds(value, digits=digits)}, {unit} = {count(value.n)})"


def bounds(value: Interval, *, digits: int = 0) -> str:
    """The interval alone, in per cent: "40–54"."""
    return f"{100 * value.low:.{digits}f}–{100 * value.high:.{digits}f}"


def over_seeds(value: Interval, *, digits: int = 1) -> str:
    """A mean over seeds; the interval only where there is more than one seed."""
    if value.n < 2:
        return f"{percent(value.value, digits)} (1 seed)"
    return f"{percent(value.value, digits)} ± {100 * (value.high - value.low) / 2:.{digits}f}"


def points(share: float, digits: int = 1) -> str:
    """A difference of shares, signed, in percentage points: "+12.3 pts"."""
    return f"{100 * share:+.{digits}f} pts"


def count(n: int) -> str:
    """12345 → "12,345"."""
    return f"{n:,}"


def plural(n: int, noun: str, many: str | None = None) -> str:
    """1 → "1 run", 3 → "3 runs"."""
    return f"{count(n)} {noun if n == 1 else (many or noun + 's')}"


def seconds(value: float | None) -> str:
    """Durations: "0.4 s", "38 s", "3 min 20 s", "2 h 5 min"; None → "–"."""
    if value is None or value != value:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    whole = round(value)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min"


def signed(value: float, digits: int = 2) -> str:
    """Scores on tiles: three figures, a sign, no exponent where it can be avoided."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:+.{digits}f}" if abs(value) >= 10**-digits or value == 0 else f"{value:+.4f}"
    return f"{value:+.1e}"


def size(n_bytes: int) -> str:
    """Sizes of files: "830 KB", "4.2 MB"."""
    return f"{n_bytes / 1e3:.0f} KB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.1f} MB"


def ago(at: datetime, now: datetime | None = None) -> str:
    """Age of a moment: "just now", "5 min ago", "3 h ago", then the date."""
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    passed = ((now or datetime.now(UTC)) - moment).total_seconds()
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{passed // 60:.0f} min ago"
    if passed < 86_400:
        return f"{passed // 3600:.0f} h ago"
    return f"{moment:%Y-%m-%d}"
