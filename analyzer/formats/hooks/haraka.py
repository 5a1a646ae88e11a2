"""What Haraka says once for a connection or a transaction: who the client is, whom the message is for when it goes out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, ClientConnected, Event, MessageInfo, Refused

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; those of one connection share its client, those of one message its only recipient."""
    found, missed = events_of(segment, fmt)
    outgoing = {line.number for line in segment.lines if "[outbound]" in line.text}
    clients: dict[str, str | None] = {}
    recipients: dict[str, set[str]] = {}
    sent_on: set[str] = set()
    for event in found:
        queue_id = getattr(event, "queue_id", None)
        if not queue_id:
            continue
        if isinstance(event, ClientConnected):
            clients[_connection(queue_id)] = event.client_ip
        if isinstance(event, MessageInfo) and event.rcpt_to:
            recipients.setdefault(queue_id, set()).add(event.rcpt_to)
        if event.place.line in outgoing:
            sent_on.add(queue_id)
    told: list[Event] = []
    for event in found:
        match event:
            case MessageInfo(queue_id=str() as queue_id) | Refused(queue_id=str() as queue_id) if event.client_ip is None:
                told.append(msgspec.structs.replace(event, client_ip=clients.get(_connection(queue_id))))
            case Attempt(queue_id=str() as queue_id) if queue_id in sent_on and event.place.line not in outgoing:
                told.append(
                    MessageInfo(place=event.place, format=event.format, time=event.time, host=event.host, queue_id=queue_id)
                )  # queued
            case Attempt(queue_id=str() as queue_id, rcpt_to=None) if len(only := recipients.get(queue_id, set())) == 1:
                told.append(msgspec.structs.replace(event, rcpt_to=next(iter(only))))
            case _:
                told.append(event)
    return told, missed


def _connection(queue_id: str) -> str:
    return queue_id.partition(".")[0]
