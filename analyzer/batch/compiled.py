"""Compiled expressions of formats, kept: Python takes a third of a second to compile a large format's, and a millisecond to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from analyzer import cache
from analyzer.expressions import Code, code_of, from_code

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from analyzer.formats.load import Format

    Kinds = Mapping[int, tuple[str, tuple[tuple[int, str], ...]]]  # as `Compiled.kinds`


class Expression(NamedTuple):
    """A format's expression for bytes, and what its groups mean."""

    pattern: re.Pattern[bytes]
    kinds: Kinds


class _Kept(msgspec.Struct, frozen=True):
    code: Code
    numbers: dict[int, int]


def expression_of(fmt: Format) -> Expression:
    """`Format.regex_bytes`, faster: each format's code is kept by itself, as it is large and few are needed at a time.

    Python copies all groups up to the last one that is set wherever it may have to go back, and a format has a thousand; so
    they are numbered anew, low: those that never belong to one line may have the same number.
    """
    pattern = fmt.compiled.pattern.encode("utf-8")
    key, name = fmt.head.key, f"code-{fmt.name}"
    packed = cache.load(name, key)
    if packed is not None:
        try:
            kept = msgspec.msgpack.decode(packed, type=_Kept)
        except msgspec.MsgspecError:
            pass  # an optimisation only
        else:
            if (found := from_code(pattern, kept.code)) is not None:
                return Expression(found, _renumbered(fmt.compiled.kinds, kept.numbers))
    numbers = numbers_of(fmt.compiled.kinds)
    code = code_of(pattern, numbers=numbers)
    found = None if code is None else from_code(pattern, code)
    if code is None or found is None:
        return Expression(fmt.regex_bytes, fmt.compiled.kinds)
    cache.save(name, key, msgspec.msgpack.encode(_Kept(code, numbers)))
    return Expression(found, _renumbered(fmt.compiled.kinds, numbers))


def numbers_of(kinds: Kinds) -> dict[int, int]:
    """New numbers for the groups of *kinds*: higher than all that stand before them in some line, and for markers above all others."""
    together: dict[int, set[int]] = {}
    for _, fields in kinds.values():
        groups = {group for group, _ in fields}
        for group in groups:
            together.setdefault(group, set()).update(groups)
    numbers: dict[int, int] = {}
    for group in sorted(together):
        numbers[group] = 1 + max((numbers[g] for g in together[group] if g < group), default=0)
    last = max(numbers.values(), default=0)
    return numbers | {marker: last + n for n, marker in enumerate(sorted(kinds), 1)}


def _renumbered(kinds: Kinds, numbers: dict[int, int]) -> Kinds:
    return {numbers[m]: (alias, tuple([(numbers[g], name) for g, name in fields])) for m, (alias, fields) in kinds.items()}
