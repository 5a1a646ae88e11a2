"""Texts without which a line cannot be of a kind, from the format's own expression."""

from __future__ import annotations

import re._parser as sre  # type: ignore[import-not-found]  # the standard library's own parser, as in analyzer.formats.fuse
from re._constants import (  # type: ignore[import-not-found]
    ASSERT,
    ASSERT_NOT,
    AT,
    ATOMIC_GROUP,
    BRANCH,
    IN,
    LITERAL,
    MAX_REPEAT,
    MIN_REPEAT,
    POSSESSIVE_REPEAT,
    SUBPATTERN,
)
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer import cache

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from analyzer.formats.load import Format

AnyOf = frozenset[str]
_LEAST = 3
_MOST = 48  # alternatives of one literal
_REPEATS = (MAX_REPEAT, MIN_REPEAT, POSSESSIVE_REPEAT)


def behind_ids(fmt: Format, markers: Iterable[int]) -> dict[int, set[str]]:
    """For each of *markers* the texts of which one stands behind the queue id."""
    ways = paths(sre.parse(fmt.compiled.pattern).data, set(markers))
    found = {}
    for marker in markers:
        groups = {g for g, name in fmt.compiled.kinds[marker][1] if name == "queue_id"}
        found[marker] = behind(ways.get(marker, []), groups) if groups else {""}
    return found


def required(fmt: Format, common: Sequence[str]) -> dict[int, list[list[str]]]:
    """For each marker of *fmt*'s expression the sets of texts of which one stands in every line that it marks.

    Where an alternative offers several, what is rare in *common* lines is taken.
    """
    key = cache.key(fmt.compiled.pattern, *common, "literals-6")
    packed = cache.load(f"literals-{fmt.name}", key)
    if packed is not None:
        try:
            return msgspec.msgpack.decode(packed, type=dict[int, list[list[str]]])
        except msgspec.MsgspecError:
            pass  # a damaged cache costs time only
    found = _required(fmt, _Texts(common))
    cache.save(f"literals-{fmt.name}", key, msgspec.msgpack.encode(found))
    return found


def _required(fmt: Format, texts: _Texts) -> dict[int, list[list[str]]]:
    ways = paths(sre.parse(fmt.compiled.pattern).data, fmt.compiled.kinds.keys())
    return {marker: [sorted(s) for s in sorted(texts.of(ways.get(marker, [])), key=sorted)] for marker in fmt.compiled.kinds}


def best_of(expression: str) -> list[str]:
    """Texts of which one stands in whatever *expression* finds: the set whose shortest is longest."""
    texts = _Texts(())
    found = texts.of(list(sre.parse(expression)))
    return sorted(texts.best(found)) if found else []


def paths(tree: Sequence[Any], markers: Collection[int]) -> dict[int, list[Any]]:
    """What must be matched, in order, before each of the groups *markers* is."""
    found: dict[int, list[Any]] = {}

    def walk(items: Sequence[Any], above: list[Any]) -> None:
        for n, (op, value) in enumerate(items):
            if op is SUBPATTERN and value[0] in markers:
                found[value[0]] = [*above, *items[:n]]
            inside = _inside(op, value)
            if inside:
                before = [*above, *items[:n]]
                for part in inside:
                    walk(part.data if isinstance(part, sre.SubPattern) else part, before)

    walk(tree, [])
    return found


def behind(items: Any, groups: set[int]) -> set[str]:
    """The texts of which one stands directly behind what the first of *groups* matches; {""} where there is none."""
    run = {""}
    for op, value in _flat(_after(list(items), groups)):
        if op in {ASSERT, ASSERT_NOT, AT}:
            continue
        words = _words(op, value)
        if words is None or len(words) * len(run) > _MOST:
            break
        run = {a + b for a in run for b in words}
    return run


def _after(items: list[Any], groups: set[int]) -> list[Any]:
    for n, (op, value) in enumerate(items):
        inside = _inside(op, value)
        if (op is SUBPATTERN and value[0] in groups) or (op is BRANCH and any(_holds(i, groups) for i in inside)):
            return items[n + 1 :]
        if inside and _holds(inside[0], groups):
            return _after(list(inside[0]), groups) + items[n + 1 :]
    return []


def _holds(items: Any, groups: set[int]) -> bool:
    return any((op is SUBPATTERN and value[0] in groups) or any(_holds(i, groups) for i in _inside(op, value)) for op, value in items)


def _inside(op: Any, value: Any) -> list[Any]:
    if op is SUBPATTERN:
        return [value[3]]
    if op is ATOMIC_GROUP:
        return [value]
    if op is BRANCH:
        return list(value[1])
    if op in _REPEATS:
        return [value[2]]
    return []


def frequency(texts: Collection[str], lines: Sequence[str]) -> int:
    """How many of *lines* hold one of *texts*."""
    return sum(any(t in line for t in texts) for line in lines)


class _Texts:
    """The texts that expressions cannot do without, chosen by how rare they are in *common* lines."""

    def __init__(self, common: Sequence[str]) -> None:
        self.common = common
        self._frequent: dict[AnyOf, int] = {}

    def best(self, sets: set[AnyOf]) -> AnyOf:
        """The rarest set; of several the one whose shortest text is longest."""
        return max(sets, key=lambda s: (-self.frequency(s), min(map(len, s)), sorted(s)))

    def frequency(self, texts: AnyOf) -> int:
        """How many of the common lines hold one of *texts*."""
        if texts not in self._frequent:
            self._frequent[texts] = frequency(texts, self.common)
        return self._frequent[texts]

    def of(self, items: Any) -> set[AnyOf]:
        """Sets of texts of which one stands in whatever *items* match."""
        found: set[AnyOf] = set()
        run = {""}

        def end() -> None:
            nonlocal run
            if min(map(len, run)) >= _LEAST:
                found.add(frozenset(run))
            run = {""}

        for op, value in _flat(items):
            if op is ASSERT:
                found |= self.of(value[1])  # what is looked for ahead stands in the line too
            if op in {ASSERT, ASSERT_NOT, AT}:
                continue
            words = _words(op, value)
            if words is not None and len(words) * len(run) <= _MOST:
                run = {a + b for a in run for b in words}
                continue
            end()
            found |= self._inside(op, value)
            if words is not None:
                run = words
        end()
        return found

    def _inside(self, op: Any, value: Any) -> set[AnyOf]:
        if op is BRANCH:
            each = [self.of(branch) for branch in value[1]]
            if not all(each):
                return set()
            best = frozenset().union(*(self.best(c) for c in each))
            return {best} if len(best) <= _MOST else set()
        if op in _REPEATS and value[0] >= 1:
            return self.of(value[2])
        return set()


def _words(op: Any, value: Any) -> set[str] | None:
    """All texts that the item matches, where they are few."""
    if op is LITERAL:
        return {chr(value)}
    if op is BRANCH:
        each = [_all_words(branch) for branch in value[1]]
        return set().union(*(w for w in each if w)) if all(w is not None for w in each) else None
    if op in _REPEATS and (value[0], value[1]) in {(0, 1), (1, 1)}:
        words = _all_words(value[2])
        return None if words is None else words | ({""} if value[0] == 0 else set())
    if op is IN and len(value) <= 4 and all(o is LITERAL for o, _ in value):
        return {chr(v) for _, v in value}
    return None


def _all_words(items: Any) -> set[str] | None:
    run = {""}
    for op, value in _flat(items):
        if op in {ASSERT, ASSERT_NOT, AT}:
            continue
        words = _words(op, value)
        if words is None or len(words) * len(run) > _MOST:
            return None
        run = {a + b for a in run for b in words}
    return run


def _flat(items: Any) -> list[Any]:
    """*items* with the contents of plain groups in their place."""
    found: list[Any] = []
    for op, value in items:
        if op is ATOMIC_GROUP:
            found += _flat(value)
        elif op is SUBPATTERN and not value[1] and not value[2]:
            found += _flat(value[3])
        else:
            found.append((op, value))
    return found
