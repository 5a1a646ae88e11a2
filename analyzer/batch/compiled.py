"""Compiled expressions, kept: Python takes a third of a second to compile a large format's, and a millisecond to load it.

What is kept is the regular expression engine's own code; it is keyed by the very version of Python, checked by the engine
when loaded, and compiled anew where anything is amiss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer import cache

if TYPE_CHECKING:
    import re

    from analyzer.formats.load import Format


class Code(msgspec.Struct, frozen=True):
    code: list[int]
    flags: int
    groups: int
    index: dict[str, int]
    names: list[str | None]


def regex_of(fmt: Format) -> re.Pattern[bytes]:
    """`Format.regex_bytes`, faster."""
    key = cache.key(fmt.compiled.pattern, "code-1")
    name = f"code-{fmt.name}"
    packed = cache.load(name, key)
    pattern = fmt.compiled.pattern.encode("utf-8")
    if packed is not None:
        try:
            return _loaded(pattern, msgspec.msgpack.decode(packed, type=Code))
        except (ImportError, msgspec.MsgspecError, RuntimeError, TypeError, ValueError, OverflowError):
            pass  # an optimisation only
    try:
        code = _code(pattern)
        found = _loaded(pattern, code)
    except (ImportError, AttributeError, RuntimeError, TypeError):
        return fmt.regex_bytes
    cache.save(name, key, msgspec.msgpack.encode(code))
    return found


def _code(pattern: bytes) -> Code:
    import re._compiler as compiler  # type: ignore[import-not-found]
    import re._parser as parser  # type: ignore[import-not-found]

    tree: Any = parser.parse(pattern, 0)
    index = tree.state.groupdict
    names: list[str | None] = [None] * tree.state.groups
    for name, number in index.items():
        names[number] = name
    return Code([int(c) for c in compiler._code(tree, 0)], int(tree.state.flags), tree.state.groups - 1, dict(index), names)  # noqa: SLF001


def _loaded(pattern: bytes, code: Code) -> re.Pattern[bytes]:
    import _sre  # type: ignore[import-not-found]

    found: re.Pattern[bytes] = _sre.compile(pattern, code.flags, code.code, code.groups, code.index, tuple(code.names))
    return found
