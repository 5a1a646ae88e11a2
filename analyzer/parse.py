"""A segment's lines as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.formats.lines import events_of
from analyzer.model.capture import Parsed

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.capture import Segment

LOOSE = "loose"  # the format that looks for quoted replies in prose


def parse(segment: Segment, formats: Formats) -> Parsed:
    """The events of *segment*.  A format that fails costs its own segment, and says so; it never costs the report."""
    name = segment.format
    if name is None:
        return _loose(segment, formats)
    fmt = formats[name]
    read = getattr(fmt.hook, "events", None) if fmt.hook else None
    try:
        events, missed = read(segment, fmt) if read else events_of(segment, fmt)
    except Exception as error:  # the one broad guard: a bug in one format
        return Parsed(segment, (), tuple(line.number for line in segment.lines), f"{name}: {error!r}")
    return Parsed(segment, tuple(events), tuple(missed))


def _loose(segment: Segment, formats: Formats) -> Parsed:
    """Prose may quote a reply; whatever else it says is nobody's business."""
    fmt = formats.all.get(LOOSE)
    events = [] if fmt is None else [e for line in segment.lines if (e := fmt.event(line, segment.source))]
    read = {e.place.line for e in events}
    return Parsed(segment, tuple(events), tuple(n.number for n in segment.lines if n.text.strip() and n.number not in read))
