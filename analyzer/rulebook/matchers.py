"""A condition as YAML writes it -> a matcher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.expressions import re
from analyzer.model import rule as m
from analyzer.rulebook.literals import texts_of

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?\Z")
_RANGE = frozenset({"from", "to", "over"})


class BadCondition(ValueError):
    """A condition that says nothing; *path* leads to it."""

    def __init__(self, message: str, path: tuple[str | int, ...]) -> None:
        super().__init__(message)
        self.path = path


def number(value: object) -> float:
    """A number, or a duration such as ``10m`` in seconds.  Raises `ValueError`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _NUMBER.match(str(value))
    if not found:
        raise ValueError(f"`{value}` is neither a number nor a duration such as 10m")
    return float(found[1]) * _UNITS[found[2] or ""]


def words(value: Any) -> tuple[str, ...]:
    """A text or a list of texts, as a tuple."""
    return tuple(str(v) for v in value) if isinstance(value, list) else (str(value),)


def matcher(value: Any, path: tuple[str | int, ...] = ()) -> m.AnyMatcher:
    """The matcher that *value* writes.  Raises `BadCondition`."""
    if isinstance(value, str):
        return m.Var(value[1:]) if value.startswith("$") and len(value) > 1 else m.Equals(value)
    if isinstance(value, list):
        return m.OneOf(tuple(matcher(v, (*path, i)) for i, v in enumerate(value)))
    if isinstance(value, dict):
        return _mapping(value, path)
    if value is None:
        raise BadCondition("an empty condition; write {known: false} for a field that is not shown", path)
    return m.Equals(value)


def fields(value: Any, path: tuple[str | int, ...] = ()) -> m.Fields:
    """A mapping of conditions: all must hold.  Raises `BadCondition`."""
    if not isinstance(value, dict):
        raise BadCondition("a mapping of fields is wanted", path)
    found: list[tuple[str, m.AnyMatcher]] = []
    for key, inner in value.items():
        here = (*path, key)
        if key == "not":
            found.append(("", m.Not(fields(inner, here))))
        elif key == "any":
            found.append(("", m.OneOf(tuple(fields(v, (*here, i)) for i, v in enumerate(inner)))))
        elif key == "steps":
            found.append(("", m.Steps(tuple(fields(v, (*here, i)) for i, v in enumerate(inner)))))
        elif key == "count":
            found.append(("", _count(inner, here)))
        elif key == "finding":
            found.append(("", m.FindingOf(str(inner))))
        elif key == "speaks_for":
            found.append(("", m.SpeaksFor(words(inner))))
        else:
            found.append((str(key), matcher(inner, here)))
    return m.Fields(tuple(found))


def _mapping(value: dict[str, Any], path: tuple[str | int, ...]) -> m.AnyMatcher:
    if value and value.keys() <= _RANGE:
        try:
            return m.Range(*(number(value[k]) if k in value else None for k in ("from", "to", "over")))
        except ValueError as error:
            raise BadCondition(str(error), path) from None
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key in _OPERATORS:
            return _OPERATORS[key](inner, (*path, key))
    return fields(value, path)


def _count(value: dict[str, Any], path: tuple[str | int, ...]) -> m.Count:
    try:
        return m.Count(
            over=int(value["over"]),
            by=words(value.get("by", [])),
            within=number(value["within"]) if "within" in value else None,
            distinct=value.get("distinct"),
            where=fields(value["where"], (*path, "where")) if "where" in value else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BadCondition(f"count: {error}", path) from None


def _regex(value: Any, path: tuple[str | int, ...]) -> m.Matches:
    import re2

    try:
        re2.compile(f"(?i){value}")
    except re2.error as error:
        raise BadCondition(f"not an RE2 expression: {error}", path) from None
    return m.Matches(str(value), texts_of(str(value)))


_OPERATORS: dict[str, Callable[[Any, tuple[str | int, ...]], m.AnyMatcher]] = {
    "not": lambda v, p: m.Not(matcher(v, p)),
    "any": lambda v, p: m.OneOf(tuple(matcher(x, (*p, i)) for i, x in enumerate(v))),
    "has": lambda v, _p: _texts("has", v),
    "starts": lambda v, _p: _texts("starts", v),
    "ends": lambda v, _p: _texts("ends", v),
    "matches": _regex,
    "under": lambda v, _p: m.Under(words(v)),
    "in": lambda v, _p: m.In(words(v)),
    "known": lambda v, _p: m.Known(bool(v)),
}


def _texts(how: str, value: Any) -> m.AnyMatcher:
    found = tuple(m.Text(how, word.lower()) for word in words(value))
    return found[0] if len(found) == 1 else m.OneOf(found)
