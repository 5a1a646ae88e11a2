"""Cisco's mail logs name recipients and servers once, by number: each attempt is told whom it was for and where it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_RECIPIENT = re.compile(r"MID (?P<mid>[0-9]+) ICID [0-9]+ RID (?P<rid>[0-9]+) To: <(?P<to>[^<>\s]+)>")
_SERVER = re.compile(r"New SMTP DCID (?P<dcid>[0-9]+) interface (?P<own>\S+) address (?P<ip>[0-9A-Fa-f.:]+)(?: port (?P<port>[0-9]+))?")
_WHOSE = re.compile(r" to (?:RID )?\[?(?P<rids>[0-9]+(?:, ?[0-9]+)*)")


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """What the grammar reads, an attempt for each of its recipients."""
    read, missed = events_of(segment, fmt)
    bodies = {line.number: line.body for line in segment.lines}
    recipients = {(m["mid"], m["rid"]): m["to"] for body in bodies.values() if (m := _RECIPIENT.search(body))}
    servers = {m["dcid"]: m for body in bodies.values() if (m := _SERVER.search(body))}
    found: list[Event] = []
    for event in read:
        if not isinstance(event, Attempt):
            found.append(event)
            continue
        server = servers.get(event.session or "")
        if server is not None:
            port = int(server["port"]) if server["port"] else None
            event = msgspec.structs.replace(event, relay_ip=server["ip"], relay_port=port)  # noqa: PLW2901
        whose = _WHOSE.search(bodies[event.place.line])
        numbers = whose["rids"].replace(" ", "").split(",") if whose else [""]
        found += [msgspec.structs.replace(event, rcpt_to=recipients.get((event.queue_id or "", number))) for number in numbers]
    return found, missed
