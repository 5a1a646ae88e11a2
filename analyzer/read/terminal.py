"""What a terminal would have shown: control sequences removed, backspaces applied."""

from __future__ import annotations

from analyzer.expressions import re

_ESCAPES = re.compile(
    r"\x1b\[[0-9;:?<=>]{0,32}[ -/]?[@-~]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|\x1b[()*+][0-9A-Za-z]|\x1b[=>78cDEHMNOZ]"
)
# A colour code whose first byte was written out, or lost, where the lines were copied: "ESC[36m", "^[[36m", "\\033[0m", "[36m".
_WRITTEN_OUT = re.compile(r"(?:ESC|\^\[|\\(?:0?33|x1[bB]|u001[bB]|e)|\u241b|\ufffd)\[[0-9;]{0,12}[mK]|\[(?:[0-9]{1,2};)?[0-9]{1,2}m")
_COLOUR_END = re.compile(r"\[[0-9;]{0,12}[mK]")  # quicker to look for
_CONTROL = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]")


def plain(text: str) -> str:
    """*text* as a reader saw it."""
    if text.endswith(("  ", "\t")):
        text = text.rstrip(" \t")
    if text.isprintable():
        return _WRITTEN_OUT.sub("", text) if "[" in text and _COLOUR_END.search(text) else text
    text = _ESCAPES.sub("", text).rstrip("\r")
    if "\x08" in text or "\x7f" in text:
        text = _erased(text)
    return _CONTROL.sub("", text.replace("\xa0", " "))


def _erased(text: str) -> str:
    out: list[str] = []
    for char in text:
        if char in "\x08\x7f":
            if out:
                out.pop()
        else:
            out.append(char)
    return "".join(out)
