"""Compiled expressions of formats, kept: Python takes a third of a second to compile a large format's, and a millisecond to load it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from analyzer import cache
from analyzer.expressions import Code, code_of, from_code
from analyzer.formats.groups import renumbered

if TYPE_CHECKING:
    import re

    from analyzer.formats.groups import Kinds
    from analyzer.formats.load import Format


class Expression(NamedTuple):
    """A format's expression for bytes, and what its groups mean."""

    pattern: re.Pattern[bytes]
    kinds: Kinds


def expression_of(fmt: Format) -> Expression:
    """`Format.regex_bytes`, faster: each format's code is kept by itself, as it is large and few are needed at a time."""
    made = fmt.compiled
    pattern = made.pattern.encode("utf-8")
    key, name = fmt.head.key, f"code-{fmt.name}"
    packed = cache.load(name, key)
    if packed is not None:
        with suppress(msgspec.MsgspecError):  # an optimisation only
            if (found := from_code(pattern, msgspec.msgpack.decode(packed, type=Code))) is not None:
                return Expression(found, renumbered(made.kinds, made.numbers))
    code = code_of(pattern, numbers=made.numbers)
    found = None if code is None else from_code(pattern, code)
    if found is None:
        return Expression(fmt.regex_bytes, made.kinds)
    cache.save(name, key, msgspec.msgpack.encode(code))
    return Expression(found, renumbered(made.kinds, made.numbers))
