"""A grammar's reading of a segment, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.model.events import Command, Content, DataEnd, Event, Reply
from analyzer.model.place import Place
from analyzer.read.prose import is_prose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment


def events_of(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """What *fmt*'s grammar reads, line by line, and the lines that it cannot read."""
    events: list[Event] = []
    missed: list[int] = []
    data = False
    for index, line in enumerate(segment.lines):
        if data:
            event = _data(line, fmt, segment.source)
            data = isinstance(event, Content)
            events.append(event)
            continue
        read = fmt.event(line, segment.source)
        if read is None and _typed(index, segment.lines, fmt, events):
            read = Command(place=Place(segment.source, line.number), format=fmt.name, text=line.text)
        if read is None:
            if line.text.strip():
                missed.append(line.number)
            continue
        events.append(read)
        data = fmt.header.session and isinstance(read, Reply) and read.code == 354 and _data_was_asked(events)
    return events, missed


_MOST_TYPED = 120
_MOST_BLANK = 3
_LEAST_SENTENCE = 3  # blanks in a remark; what is typed in a dialogue has fewer, or more than words


def _typed(index: int, lines: Sequence[Line], fmt: Format, events: list[Event]) -> bool:
    """Whether a line that is no command as it stands was typed as one: a reply follows, and the server has greeted."""
    text = lines[index].text.strip()
    if not fmt.header.session or not 0 < len(text) <= _MOST_TYPED or (text.count(" ") >= _LEAST_SENTENCE and is_prose(text)):
        return False
    said = next((e for e in reversed(events) if isinstance(e, Reply | Command)), None)
    if said is None or (isinstance(said, Reply) and said.more == "-"):
        return False  # nobody has greeted, or the reply goes on: this is part of it
    near = range(index + 1, min(index + 2 + _MOST_BLANK, len(lines)))
    following = next((lines[i] for i in near if lines[i].text.strip()), None)
    return following is not None and isinstance(fmt.event(following, 0), Reply)


def _data_was_asked(events: list[Event]) -> bool:
    last = next((e for e in reversed(events) if isinstance(e, Command)), None)
    if last is None:  # only what the server says is shown (nc fed by a pipe), unless the paste begins here
        return sum(isinstance(e, Reply) for e in events) == 1
    return (last.verb or last.text or "").upper().startswith("DATA")


def _data(line: Line, fmt: Format, source: int) -> Event:
    """Message data, its end, or what ended the session before its end."""
    place = Place(source, line.number)
    if line.text.rstrip() == ".":
        return DataEnd(place=place, format=fmt.name)
    read = fmt.event(line, source)
    if read is not None and not isinstance(read, Command) and fmt.weight(line.body) == 1.0:
        return read
    return Content(place=place, format=fmt.name, text=line.text)
