"""Logs copied from a viewer that shows the newest line first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Iterable

_ISO = re.compile(r"(?:<[0-9]{1,3}>[0-9]? ?)?([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?)")
_BSD = re.compile(r"(?:<[0-9]{1,3}>)?([A-Z][a-z]{2}) ([ 0-9][0-9]) ([0-9]{2}:[0-9]{2}:[0-9]{2})")
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: f"{number:02}" for number, name in enumerate(_NAMES, start=1)}
_MOST_LOOKED_AT = 2_000


def _stamp(text: str) -> str | None:
    found = _ISO.match(text)
    if found:
        return f"{found[1]} {found[2]}"
    found = _BSD.match(text)
    return f"{_MONTHS.get(found[1], '00')}-{found[2]} {found[3]}" if found else None


def newest_first(texts: Iterable[str]) -> bool:
    """Whether the log lines *texts* go back in time throughout: at least once, and never forward."""
    stamps: list[str] = []
    for text in texts:
        stamp = _stamp(text) if text.strip() else None
        if stamp is not None:
            stamps.append(stamp)
        elif text.strip():
            return False
        if len(stamps) > _MOST_LOOKED_AT:
            break
    steps = list(zip(stamps, stamps[1:], strict=False))
    if any(a.startswith("12-") and b.startswith("01-") for a, b in steps):
        return False  # a stamp without a year, across New Year
    return any(a > b for a, b in steps) and all(a >= b for a, b in steps)
