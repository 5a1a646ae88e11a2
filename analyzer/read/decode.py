"""Bytes to text: encodings and line ends."""

from __future__ import annotations

import codecs

from analyzer.expressions import re

_LINE_END = re.compile(r"\r*\n|\r(?!$)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_JIS = re.compile(r"\x1b\$[@B][!-~]{0,2000}(?:\x1b\([BJ]|$)", re.MULTILINE)  # ISO-2022-JP, which mail in Japan is written in


def _from_jis(found: re.Match[str]) -> str:
    return found[0].encode("ascii").decode("iso2022_jp", "replace")


def decode(data: bytes) -> tuple[str, str]:
    """*data* as text, and the name of its encoding: a byte order mark, UTF-8, UTF-16 without a mark, else Latin-1."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), name
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) > len(sample) // 8 and min(even, odd) * 8 <= max(even, odd):
        name = "utf-16-le" if odd > even else "utf-16-be"
        return data.decode(name, "replace"), name
    try:
        return _JIS.sub(_from_jis, data.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def split_lines(text: str) -> list[str]:
    """The lines of *text*, whatever ends them; a last empty one is not a line."""
    lines = _LINE_END.split(text)
    if lines and not lines[-1].strip("\r"):
        lines.pop()
    return lines
