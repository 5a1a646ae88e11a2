"""``exim -bt`` says which routers it asks about an address (``R: dnslookup for bob@example.net``) before it says what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, Noise

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; an address that no router took has the last one that was asked."""
    found, missed = events_of(segment, fmt)
    asked: str | None = None
    told: list[Event] = []
    for event in found:
        if isinstance(event, Noise) and event.text:
            asked = event.text
        elif isinstance(event, Attempt):
            told.append(msgspec.structs.replace(event, router=event.router or asked))
            asked = None
            continue
        told.append(event)
    return told, missed
