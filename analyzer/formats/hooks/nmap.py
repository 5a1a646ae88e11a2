"""nmap: each port of a host is a try of its own; that one is closed says nothing where another one of that host is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Connected, ConnectFailed, Event, Fact

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with the host on each port's line."""
    found, missed = events_of(segment, fmt)
    told: list[Event] = []
    host: dict[str, str | None] = {}
    for event in found:
        if isinstance(event, Fact):
            host = {"server": event.server, "server_ip": event.server_ip}
        told.append(msgspec.structs.replace(event, **host) if isinstance(event, Connected | ConnectFailed) else event)
    answering = {(e.server, e.server_ip) for e in told if isinstance(e, Connected)}
    kept = [
        e
        for e in told
        if not isinstance(e, Fact) and not (isinstance(e, ConnectFailed) and e.reason == "refused" and (e.server, e.server_ip) in answering)
    ]
    return [_in_words(e) for e in kept], missed


def _in_words(event: Event) -> Event:
    if isinstance(event, ConnectFailed):
        return msgspec.structs.replace(event, text=f"{event.port}{event.text}")
    return event
