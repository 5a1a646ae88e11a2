"""The log of IIS's SMTP service: `+` stands for a blank, and sessions with several servers stand mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Command, Connected, Event, Reply

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_SERVER = re.compile(r"\S+ \S+ (?P<ip>\S+) OutboundConnection\S+ \S+ \S+ \S+ (?P<port>[0-9]+) ")


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """What the grammar reads, the sessions with one server after the other."""
    read, missed = events_of(segment, fmt)
    bodies = {line.number: line.body for line in segment.lines}
    found: list[Event] = []
    sessions: dict[str, list[Event]] = {}
    for event in read:
        server = _SERVER.match(bodies[event.place.line])
        if server is None or not isinstance(event, Reply | Command):
            found.append(event)
            continue
        session = sessions.setdefault(server["ip"], [])
        if isinstance(event, Reply):
            if event.code == 220 and not (session and isinstance(session[-1], Command)):
                session.append(Connected(place=event.place, format=fmt.name, server_ip=server["ip"], port=int(server["port"])))
            event = msgspec.structs.replace(event, text=(event.text or "").replace("+", " ") or None)  # noqa: PLW2901
        else:
            event = msgspec.structs.replace(event, argument=event.argument and event.argument.replace("+", " "))  # noqa: PLW2901
        session.append(event)
    return [*found, *(event for session in sessions.values() for event in session)], missed
