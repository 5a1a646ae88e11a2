"""A segment's lines as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.capture import Parsed
from analyzer.read.prose import is_prose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Line, Segment
    from analyzer.model.events import Event


_FIELD = re.compile(r"(?:Subject|From|To|Cc|Date|Message-I[dD]|Received|Return-[Pp]ath): ")


def parse(segment: Segment, formats: Formats) -> Parsed:
    """The events of *segment*.  A format that fails costs its own segment, and says so; it never costs the report."""
    name = segment.format
    if name is None:
        return _prose(segment, formats)
    fmt = formats[name]
    read = fmt.hook("events")
    try:
        events, missed = read(segment, fmt) if read else events_of(segment, fmt)
    except Exception as error:  # the one broad guard: a bug in one format
        return Parsed(segment, (), tuple(line.number for line in segment.lines), error=f"{name}: {error!r}")
    return _parsed(segment, events, missed)


def _parsed(segment: Segment, events: Sequence[Event], missed: Iterable[int]) -> Parsed:
    """*missed* told apart: what a person wrote beside the capture, and evidence that was not understood."""
    unread = frozenset(missed)
    words = {line.number for line in segment.lines if line.number in unread and line.envelope is None and is_prose(line.text)}
    return Parsed(segment, tuple(events), tuple(sorted(unread - words)), tuple(sorted(words)))


def _prose(segment: Segment, formats: Formats) -> Parsed:
    """Prose may quote a reply or a program's error; whatever else it says is nobody's business."""
    events = [e for line in segment.lines if line.text.strip() and (e := _quoted(line, segment.source, formats)) is not None]
    read = {e.place.line for e in events}
    return _parsed(segment, events, (n.number for n in segment.lines if n.text.strip() and n.number not in read))


def _quoted(line: Line, source: int, formats: Formats) -> Event | None:
    if _FIELD.match(line.text):
        return None  # what a message is about, not what became of it
    return next((e for fmt in formats.prose if (e := fmt.event(line, source)) is not None), None)
