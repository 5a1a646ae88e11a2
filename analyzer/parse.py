"""A segment's lines as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.formats.lines import events_of
from analyzer.model.capture import Parsed

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.capture import Line, Segment
    from analyzer.model.events import Event


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
        return Parsed(segment, (), tuple(line.number for line in segment.lines), f"{name}: {error!r}")
    return Parsed(segment, tuple(events), tuple(missed))


def _prose(segment: Segment, formats: Formats) -> Parsed:
    """Prose may quote a reply or a program's error; whatever else it says is nobody's business."""
    events = [e for line in segment.lines if line.text.strip() and (e := _quoted(line, segment.source, formats)) is not None]
    read = {e.place.line for e in events}
    return Parsed(segment, tuple(events), tuple(n.number for n in segment.lines if n.text.strip() and n.number not in read))


def _quoted(line: Line, source: int, formats: Formats) -> Event | None:
    return next((e for fmt in formats.prose if (e := fmt.event(line, source)) is not None), None)
