"""``from analyzer.expressions import re``: the `re` of the standard library, but expressions are compiled when first used.

A capture needs few of the expressions that the modules name, and Python takes 100 ms for the largest; so the code that `re`
makes is kept in the cache, keyed by Python's exact version, and checked by `re` when it is loaded.
"""

from __future__ import annotations

import re as _re
import sys
from array import array
from typing import TYPE_CHECKING, Any, AnyStr

import msgspec

from analyzer import cache

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

__all__ = ["Code", "code_of", "compiled", "from_code", "keep", "re"]
_MOST_KEPT = 1_000
_NAME, _STAMP = "expressions", f"{sys.version} 2"
_METHODS = ("match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer")


class Code(msgspec.Struct, frozen=True):
    """What `re` makes of an expression."""

    flags: int
    groups: int
    index: dict[str, int]
    words: bytes


class _Kept:
    """The code of small expressions: what the cache has, and what was compiled since."""

    def __init__(self) -> None:
        self.old: dict[str, msgspec.Raw] | None = None
        self.new: dict[str, Code] = {}

    def of(self, asked: str) -> Code | None:
        if self.old is None:
            self.old = cache.load_for(_NAME, _STAMP, dict[str, msgspec.Raw]) or {}
        packed = self.old.get(asked)
        return None if packed is None else msgspec.msgpack.decode(packed, type=Code)


_KEPT = _Kept()


def keep() -> None:
    """Keep the code of the expressions that this process had to compile."""
    if _KEPT.new:
        old: dict[str, Any] = _KEPT.old if _KEPT.old and len(_KEPT.old) + len(_KEPT.new) <= _MOST_KEPT else {}
        cache.save_for(_NAME, _STAMP, old | _KEPT.new)
        _KEPT.new.clear()


def code_of(pattern: str | bytes, flags: int = 0, numbers: Mapping[int, int] | None = None) -> Code | None:
    """What `re` makes of *pattern*, its groups with other *numbers* where given; None where this Python does not let us see it."""
    try:
        from re import _compiler, _parser  # type: ignore[attr-defined]

        tree = _parser.parse(pattern, flags)
        if numbers:
            _number(tree, numbers, _parser.SubPattern)
        words = array("I", _compiler._code(tree, flags)).tobytes()  # noqa: SLF001 - `from_code` checks what comes of it
    except (ImportError, AttributeError, OverflowError):
        return None
    return Code(tree.state.flags, max(numbers.values()) if numbers else tree.state.groups - 1, dict(tree.state.groupdict), words)


def _number(tree: Any, numbers: Mapping[int, int], nested: type[Any]) -> None:
    """Other *numbers* for the groups of *tree*, which has neither names nor references."""
    for at, item in enumerate(tree):
        if isinstance(item, tuple) and len(item) == 2 and str(item[0]) == "SUBPATTERN" and item[1][0] is not None:
            group, *rest = item[1]
            tree[at] = (item[0], (numbers[group], *rest))
            _number(rest[-1], numbers, nested)
        elif isinstance(item, (tuple, list, nested)):
            _number(item, numbers, nested)


def from_code(pattern: AnyStr, code: Code) -> re.Pattern[AnyStr] | None:
    """*pattern* compiled, or None where *code* is not what this Python makes."""
    import _sre  # type: ignore[import-not-found]

    names: list[str | None] = [None] * (code.groups + 1)
    try:
        for name, number in code.index.items():
            names[number] = name
        found: re.Pattern[AnyStr] = _sre.compile(
            pattern, code.flags, array("I", code.words).tolist(), code.groups, code.index, tuple(names)
        )
    except (ValueError, TypeError, RuntimeError, OverflowError, IndexError):
        return None
    return found


def compiled(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """*pattern*, from the code that is kept where there is any."""
    asked = f"{int(flags)} {pattern!r}"
    code = _KEPT.of(asked)
    found = None if code is None else from_code(pattern, code)
    if found is None:
        found = _re.compile(pattern, flags)
        if (code := code_of(pattern, int(flags))) is not None:
            _KEPT.new[asked] = code
    return found


class _Expression:
    """Stands for a compiled expression until its first use, and then answers with that one's own methods."""

    def __init__(self, pattern: Any, flags: int) -> None:
        self.pattern = pattern
        self._asked = int(flags)

    def __getattr__(self, name: str) -> Any:
        real = compiled(self.pattern, self._asked)
        self.__dict__.update({method: getattr(real, method) for method in _METHODS})
        return getattr(real, name)


class _Lazy:
    """The module `re`, where a module's own expressions are put off.  Those that a function makes hold what a user wrote,
    and are not kept.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(_re, name)

    @staticmethod
    def compile(pattern: str | bytes, flags: int = 0) -> Any:
        if sys._getframe(1).f_code.co_name == "<module>":  # noqa: SLF001
            return _Expression(pattern, flags)
        return _re.compile(pattern, flags)


if not TYPE_CHECKING:
    re = _Lazy()
