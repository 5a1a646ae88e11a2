"""Lines that a mail program, a form or a terminal broke, as one again: where a format reads the whole and not the rest alone.

`read.unquote` joins what shows by itself that it goes on (a log line's stamp, an open bracket). Here the grammars are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.envelope import enveloped
from analyzer.read.prose import is_prose
from analyzer.segment import awake, claimed, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Format, Formats
    from analyzer.model.capture import Capture, Line

_WIDEST = 82  # columns: mail programs break at 72 to 80, at a blank before them
_WIDER, _LEAST_WIDER = 105, 3  # or at 100, where several lines show it
_LEAST_WIDTH = 64  # what is narrower was not broken there
_MOST_PARTS = 12
_STRONG = 1.9  # the score of a line that only one format writes
_QUOTED_BY_PROSE = 0.2
_ENDS = re.compile(r"[.!?][\"')\]]?\s*\Z")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,60}:(?:\s|\Z)")  # of a field in a message's header
_HEADER = re.compile(
    r"(?:Received|Authentication-Results|Return-Path|Delivered-To|Content-Type|DKIM-Signature|Diagnostic-Code|Message-I[dD]|From|To|Subject|Date|X-[A-Za-z-]{2,40}):\s"
)
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"[0-9]+")


def rejoined(capture: Capture, formats: Formats) -> Capture:
    """*capture* with its broken lines joined; itself where nothing shows that some were broken."""
    lines = capture.lines
    whole = [line.text.strip() for line in lines if line.last == line.number]
    width = max((len(text) for text in whole if " " in text), default=0)
    if not 0 < width <= _WIDER:
        return capture
    breaks = [_broken(a, b, width) for a, b in zip(lines, lines[1:], strict=False)]
    if sum(breaks) < (1 if width <= _WIDEST else _LEAST_WIDER):
        return capture
    joiner = _Joiner(capture, formats)
    found: list[Line] = []
    index = 0
    while index < len(lines):
        end = index + 1
        while end < len(lines) and end - index < _MOST_PARTS and breaks[end - 1]:
            end += 1
        parts = joiner.parts(index, lines[index:end]) if end > index + 1 else 1
        found.append(_one(lines[index : index + parts]) if parts > 1 else lines[index])
        index += parts
    if len(found) == len(lines):
        return capture
    return msgspec.structs.replace(capture, lines=tuple(found), notes=(*capture.notes, "broken lines were joined"))


def _broken(line: Line, following: Line, width: int) -> bool:
    """Whether the first word of *following* had no room behind *line*, where no line is wider than *width*."""
    text, rest = line.text.rstrip(), following.text
    if not text.strip() or not rest.strip() or rest[0] in " \t" or rest.strip() == "." or line.last != line.number:
        return False
    return len(text) + 1 + len(rest.split(maxsplit=1)[0]) > max(width, _LEAST_WIDTH)


def _one(parts: Sequence[Line]) -> Line:
    text = " ".join([parts[0].text.rstrip(), *(line.text.strip() for line in parts[1:])])
    return msgspec.structs.replace(parts[0], text=text, last=parts[-1].last)


class _Joiner:
    """Asks the formats of one capture what they read."""

    def __init__(self, capture: Capture, formats: Formats) -> None:
        self.formats = formats
        lines = [enveloped(line, formats) for line in capture.lines]
        self.awake = awake(lines, formats)
        self.claimed = claimed(capture, lines, formats)[0]
        self.headers = _headers(capture.lines)

    def parts(self, index: int, lines: Sequence[Line]) -> int:
        """How many of *lines* are one: the first, the capture's *index*-th, begins it, and each of the others may go on with it."""
        if index in self.headers:
            return 1 + next((i for i, line in enumerate(lines[1:]) if _NAME.match(line.text)), len(lines) - 1)
        if index in self.claimed:
            return 1
        first = self._scores(lines[0])
        most = 1
        weakly = 0.0
        while most < len(lines) and (own := self._stands_alone(lines, most, first)) is not None:
            weakly = max(weakly, own)
            most += 1
        best, parts = 0.0, 1
        for count in range(most, 1, -1):
            whole = self._scores(_one(lines[:count]))
            gain = max((after for before, after in zip(first, whole, strict=True) if after > 0 and _no_worse(before, after)), default=0.0)
            if gain > best and (not weakly or gain >= _STRONG):
                best, parts = gain, count
        return parts

    def _stands_alone(self, lines: Sequence[Line], at: int, first: Sequence[float]) -> float | None:
        """How surely the line *at* is one by itself; None where it must be."""
        before, line = lines[at - 1], lines[at]
        if line.text[:1].isupper() and (line.text.rstrip().endswith("?") or _ENDS.search(before.text)) and is_prose(line.text):
            return None  # somebody's remark
        if _beginning(line.text) == _beginning(lines[0].text):
            return None
        own = self._scores(line)
        so_far = " ".join(part.text for part in lines[:at])
        if _is_open(so_far):
            own = [score if mine > 0 else 0.0 for score, mine in zip(own, first, strict=True)]
        if max(own, default=0.0) >= _STRONG:
            return None
        if line.text.startswith('"') and before.text.rstrip().endswith('"'):
            return 0.0  # strings of one record
        return None if any(a > _QUOTED_BY_PROSE and b > 0 for a, b in zip(first, own, strict=True)) else max(*own, 0.0)

    def _scores(self, line: Line) -> list[float]:
        there = enveloped(line, self.formats)
        return [*(score(f, there) for f in self.awake), *(self._in_prose(f, there) for f in self.formats.prose)]

    def _in_prose(self, fmt: Format, line: Line) -> float:
        return _QUOTED_BY_PROSE if line.envelope is None and fmt.weight(line.text) else -1.0


def _headers(lines: Sequence[Line]) -> set[int]:
    """The lines of *lines* that are part of a message's header: fields, and what goes on with them."""
    found: set[int] = set()
    inside = False
    for index, line in enumerate(lines):
        inside = bool(line.text.strip()) and (inside or _HEADER.match(line.text) is not None)
        if inside:
            found.add(index)
    return found


def _beginning(text: str) -> str:
    """The shape of the first word of *text*, or the word itself where it is nothing else."""
    word = text.split(maxsplit=1)[0]
    return word if word.isalpha() else _DIGITS.sub("0", _LETTERS.sub("a", word))


def _is_open(text: str) -> bool:
    """Whether a bracket or a quotation is open at the end of *text*."""
    return text.count("(") > text.count(")") or text.count("{") > text.count("}") or text.count('"') % 2 == 1


def _no_worse(before: float, after: float) -> bool:
    """Whether a format that scored *before* for the beginning scores *after* for the whole as for a line of its own."""
    return after > before or (after == before and after > 0.5)
