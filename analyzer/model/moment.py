"""Stamps as they stand in captures, for telling how much time lies between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re

if TYPE_CHECKING:
    from datetime import datetime

_CLOCK = r"(?:(?P<days>\d{1,4})\+)?(?P<hours>\d{1,2}):(?P<minutes>\d{2}):(?P<seconds>\d{2})"


def moment(stamp: str | None) -> datetime | None:
    """When, by an ISO 8601 or a traditional syslog stamp (of no known year: for differences only)."""
    from datetime import datetime

    if not stamp:
        return None
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        pass
    try:
        return datetime.strptime(f"2000 {' '.join(stamp.split())}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        return None


def between(earlier: str | None, later: str | None) -> float | None:
    """Seconds from *earlier* to *later*; None where that cannot be told."""
    a, b = moment(earlier), moment(later)
    return (b - a).total_seconds() if a and b and (a.tzinfo is None) == (b.tzinfo is None) else None


def duration(text: str | None) -> float | None:
    """Seconds, from seconds or from a clock as Sendmail writes it: 1+02:03:04."""
    if not text:
        return None
    if found := re.fullmatch(_CLOCK, text):
        days, hours, minutes, seconds = (int(n or 0) for n in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        return None
