"""Low numbers for the groups of formats' expressions.

A format's expression has up to 1,400 groups, and Python copies all up to the last one that is set wherever it may have to go
back.  Those that never belong to one line may have the same number.
"""

from __future__ import annotations

from collections.abc import Mapping

Kinds = Mapping[int, tuple[str, tuple[tuple[int, str], ...]]]  # as `Compiled.kinds`


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


def renumbered(kinds: Kinds, numbers: Mapping[int, int]) -> Kinds:
    """*kinds* with other *numbers*."""
    return {numbers[m]: (alias, tuple([(numbers[g], name) for g, name in fields])) for m, (alias, fields) in kinds.items()}
