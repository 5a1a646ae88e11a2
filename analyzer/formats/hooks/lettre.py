"""lettre prints a reply's code in words: one for each digit, on one line or on several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Event, Reply
from analyzer.model.place import Place

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_CODE = re.compile(
    r"Code \{\s{1,60}severity: ([A-Za-z]{10,40}),\s{1,60}category: ([A-Za-z0-9]{4,20}),\s{1,60}detail: ([A-Z][a-z]{2,6}),?\s{1,60}\}"
)
_SAID = re.compile(r'(?:source: |message: \[\s{0,60})"(?:(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3}) )?(?P<text>(?:[^"\\\n]|\\.){1,1000})"')
_FIRST = {"PositiveCompletion": 2, "PositiveIntermediate": 3, "TransientNegativeCompletion": 4, "PermanentNegativeCompletion": 5}
_SECOND = {"Syntax": 0, "Information": 1, "Connections": 2, "Unspecified3": 3, "Unspecified4": 4, "MailSystem": 5}
_THIRD = {word: n for n, word in enumerate(("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"))}
_NEAR = 400  # characters between the code and the words that came with it
_LEAST_REFUSAL = 400
_LOGIN = frozenset({534, 535, 538})


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """One reply for each code."""
    found, missed = events_of(segment, fmt)
    text = "\n".join(line.body for line in segment.lines)
    told: list[Event] = [e for e in found if not isinstance(e, Reply)]
    for code in _CODE.finditer(text):
        digits = (_FIRST.get(code[1]), _SECOND.get(code[2]), _THIRD.get(code[3]))
        if None in digits:
            continue
        value = int("".join(map(str, digits)))
        said = _SAID.search(text, code.end(), code.end() + _NEAR)
        told.append(
            Reply(
                place=Place(segment.source, segment.lines[text.count("\n", 0, code.start())].number),
                format=fmt.name,
                code=value,
                enhanced=said["enhanced"] if said else None,
                text=said["text"] if said else None,
                to="END-OF-MESSAGE" if value < _LEAST_REFUSAL else "AUTH" if value in _LOGIN else None,
            )
        )
    return sorted(told, key=lambda e: e.place), missed
