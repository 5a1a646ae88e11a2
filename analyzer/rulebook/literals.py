"""The fixed texts without which an expression cannot match: a cheap test before a dear one."""

from __future__ import annotations

import re
import re._parser as sre  # type: ignore[import-not-found]  # the standard library's own parser
from typing import Any

_LEAST = 3
_MOST = 60


def literals_of(expression: str) -> tuple[str, ...]:
    """Texts in lower case of which one stands in whatever *expression* matches; empty where none can be told."""
    found = _best(_choices(expression))
    return tuple(sorted(found)) if found and len(found) <= _MOST else ()


def all_literals_of(expression: str) -> tuple[tuple[str, ...], ...]:
    """Every such set of texts: of each, one stands in whatever *expression* matches."""
    return tuple(sorted({tuple(sorted(texts)) for texts in _choices(expression) if len(texts) <= _MOST}))


def _choices(expression: str) -> list[set[str]]:
    try:
        return _sequence(list(sre.parse(expression, re.IGNORECASE)))
    except (re.error, ValueError, OverflowError):
        return []


def _best(choices: list[set[str]]) -> set[str] | None:
    """The set whose shortest text is longest."""
    return max(choices, key=lambda c: (min(map(len, c)), -len(c)), default=None)


def _sequence(items: list[tuple[Any, Any]]) -> list[set[str]]:
    """The sets of alternatives among the parts of a sequence."""
    choices: list[set[str]] = []
    run = ""
    for op, value in [*items, (None, None)]:
        if str(op) == "LITERAL":
            run += chr(value).lower()
            continue
        if len(run) >= _LEAST:
            choices.append({run})
        run = ""
        if op is not None:
            choices += _part(str(op), value)
    return choices


def _part(op: str, value: Any) -> list[set[str]]:
    if op == "SUBPATTERN":
        return _sequence(list(value[3]))
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return _sequence(list(value[2])) if value[0] >= 1 else []
    if op == "BRANCH":
        union: set[str] = set()
        for branch in value[1]:
            found = _best(_sequence(list(branch)))
            if not found:
                return []
            union |= found
        return [union]
    return []
