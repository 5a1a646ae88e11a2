"""What Sendmail means by `queued`: put off where a status says so, else only not tried yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, Noise

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with those that only wait told from those that were put off."""
    found, missed = events_of(segment, fmt)
    return [_told(e) for e in found], missed


def _told(event: Event) -> Event:
    if not isinstance(event, Attempt):
        return event
    if event.status == "queued":
        if (event.enhanced or "").startswith("4"):
            return msgspec.structs.replace(event, status="deferred", text="queued")
        return Noise(
            place=event.place,
            last_line=event.last_line,
            format=event.format,
            time=event.time,
            host=event.host,
            agent=event.agent,
            pid=event.pid,
            text="queued",
            queue_id=event.queue_id,
        )
    if event.relay and event.relay.endswith("."):
        return msgspec.structs.replace(event, relay=event.relay.rstrip("."))
    return event
