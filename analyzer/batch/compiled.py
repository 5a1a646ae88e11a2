"""Compiled expressions of formats, kept: Python takes a third of a second to compile a large format's, and a millisecond to load it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from analyzer import cache
from analyzer.expressions import Code, code_of
from analyzer.formats.load import Expression

if TYPE_CHECKING:
    from analyzer.formats.load import Format


def expression_of(fmt: Format) -> Expression[bytes]:
    """`Format.regex_bytes`, faster: each format's code is kept by itself, as it is large and few are needed at a time."""
    made = fmt.compiled
    pattern = made.pattern.encode("utf-8")
    key, name = fmt.head.key, f"code-{fmt.name}"
    packed = cache.load(name, key)
    if packed is not None:
        with suppress(msgspec.MsgspecError):  # an optimisation only
            if (kept := made.expression(pattern, msgspec.msgpack.decode(packed, type=Code))) is not None:
                return kept
    code = code_of(pattern, numbers=made.numbers)
    found = made.expression(pattern, code)
    if found is None:
        return Expression(fmt.regex_bytes, made.kinds)
    cache.save(name, key, msgspec.msgpack.encode(code))
    return found
