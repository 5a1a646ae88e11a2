"""What Sendmail means by `queued` (put off where a status says so, else only not tried yet), and what it waited for in vain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, Noise, Trouble

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_WAIT = re.compile(r"^timeout waiting for input from .{1,300} during client (?P<at>[A-Za-z]+(?: [A-Za-z0-9]+)?)$")
_STAGES = {"greeting": "GREETING", "data status": "END-OF-MESSAGE", "data 354": "DATA"}


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with those that only wait told from those that were put off."""
    found, missed = events_of(segment, fmt)
    waited: dict[str, str] = {}  # queue id -> what the remote did not answer
    told: list[Event] = []
    for event in found:
        if isinstance(event, Trouble) and event.queue_id and (wait := _WAIT.search(event.text or "")):
            waited[event.queue_id] = _STAGES.get(wait["at"].lower(), wait["at"])
        told.append(_told(event, waited))
    return told, missed


def _told(event: Event, waited: dict[str, str]) -> Event:
    if not isinstance(event, Attempt):
        return event
    if event.queue_id in waited and event.code is None and "timed out" in (event.text or ""):
        event = msgspec.structs.replace(event, stage=waited.pop(event.queue_id))
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
