"""The fixed texts without which an expression cannot match: a cheap test before a dear one."""

from __future__ import annotations

import re
import re._parser as sre  # type: ignore[import-not-found]  # the standard library's own parser
from typing import Any

_LEAST = 3
_MOST = 60


def literals_of(expression: str) -> tuple[str, ...]:
    """Texts in lower case of which one stands in whatever *expression* matches; empty where none can be told."""
    try:
        found = _sequence(list(sre.parse(expression, re.IGNORECASE)))
    except (re.error, ValueError, OverflowError):
        return ()
    return tuple(sorted(found)) if found and len(found) <= _MOST else ()


def _sequence(items: list[tuple[Any, Any]]) -> set[str] | None:
    """The best set of alternatives among the parts of a sequence: the one whose shortest text is longest."""
    choices: list[set[str]] = []
    run = ""
    for op, value in [*items, (None, None)]:
        if str(op) == "LITERAL":
            run += chr(value).lower()
            continue
        if len(run) >= _LEAST:
            choices.append({run})
        run = ""
        inner = _part(str(op), value) if op is not None else None
        if inner:
            choices.append(inner)
    return max(choices, key=lambda c: (min(map(len, c)), -len(c)), default=None)


def _part(op: str, value: Any) -> set[str] | None:
    if op == "SUBPATTERN":
        return _sequence(list(value[3]))
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return _sequence(list(value[2])) if value[0] >= 1 else None
    if op == "BRANCH":
        union: set[str] = set()
        for branch in value[1]:
            found = _sequence(list(branch))
            if not found:
                return None
            union |= found
        return union
    return None
