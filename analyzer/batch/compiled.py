"""Compiled expressions of formats, kept: Python takes a third of a second to compile a large format's, and a millisecond to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer import cache
from analyzer.expressions import Code, code_of, from_code

if TYPE_CHECKING:
    import re

    from analyzer.formats.load import Format


def regex_of(fmt: Format) -> re.Pattern[bytes]:
    """`Format.regex_bytes`, faster: each format's code is kept by itself, as it is large and few are needed at a time."""
    pattern = fmt.compiled.pattern.encode("utf-8")
    key, name = fmt.head.key, f"code-{fmt.name}"
    packed = cache.load(name, key)
    if packed is not None:
        try:
            found = from_code(pattern, msgspec.msgpack.decode(packed, type=Code))
        except msgspec.MsgspecError:
            found = None  # an optimisation only
        if found is not None:
            return found
    code = code_of(pattern)
    found = None if code is None else from_code(pattern, code)
    if found is None:
        return fmt.regex_bytes
    cache.save(name, key, msgspec.msgpack.encode(code))
    return found
