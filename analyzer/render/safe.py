"""Text from strangers, made visible: no control or bidirectional character reaches a terminal or a page."""

from __future__ import annotations

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """*text* with control, format and bidirectional characters as tokens such as ``<U+202E>``; a tab as blanks."""
    if text.isprintable() and text.isascii():
        return text
    import unicodedata

    return "".join(_token(c, unicodedata.category(c)) for c in text)


def _token(char: str, category: str) -> str:
    if char == "\t":
        return "    "
    if char in _BIDI or category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return f"<U+{ord(char):04X}>"
    return char


def visible_block(text: str) -> str:
    """`visible`, line ends kept: for pages, where they are harmless."""
    return "\n".join(visible(line) for line in text.split("\n"))
