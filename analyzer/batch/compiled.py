"""Compiled expressions of formats, kept: Python takes a third of a second to compile a large format's, and a millisecond to load it."""

from __future__ import annotations

from array import array
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from analyzer import cache
from analyzer.expressions import Code, code_of
from analyzer.formats.load import Expression

if TYPE_CHECKING:
    from analyzer.formats.load import Format


class _Kept(msgspec.Struct, frozen=True):
    """The code, and a check sum of the expression and its groups' numbers that it was made from: elsewhere these may be others."""

    made_from: int
    code: Code


def expression_of(fmt: Format) -> Expression[bytes]:
    """`Format.regex_bytes`, faster: each format's code is kept by itself, as it is large and few are needed at a time."""
    made = fmt.compiled
    pattern = made.pattern.encode("utf-8")
    key, name = fmt.head.key, f"code-{fmt.name}"
    made_from = crc32(array("I", [*made.numbers, *made.numbers.values()]).tobytes(), crc32(pattern))
    packed = cache.load(name, key)
    if packed is not None:
        with suppress(msgspec.MsgspecError):  # an optimisation only
            kept = msgspec.msgpack.decode(packed, type=_Kept)
            if kept.made_from == made_from and (found := made.expression(pattern, kept.code)) is not None:
                return found
    code = code_of(pattern, numbers=made.numbers)
    found = made.expression(pattern, code)
    if code is None or found is None:
        return Expression(fmt.regex_bytes, made.kinds)
    cache.save(name, key, msgspec.msgpack.encode(_Kept(made_from, code)))
    return found
