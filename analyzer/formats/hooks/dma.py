"""dma names a message by what stands between the brackets behind its own name; whom it is for, and by which way, other lines tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, ConnectFailed, Event, MessageInfo, Noise

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; those of one message share its id, its recipient and its sender."""
    found, missed = events_of(segment, fmt)
    ids = {line.number: line.envelope.pid for line in segment.lines if line.envelope and line.envelope.pid}
    senders: dict[str, str] = {}  # by the first half of the id: one message, a copy for each recipient
    recipients: dict[str, str] = {}
    by_smarthost: set[str] = set()
    told: list[Event] = []
    for event in found:
        own = ids.get(event.place.line)
        match event:
            case MessageInfo(queue_id=None, mail_from=str() as sender) if own:
                senders[own] = sender
            case MessageInfo(queue_id=str() as copy, rcpt_to=str() as rcpt):
                recipients[copy] = rcpt
                told.append(msgspec.structs.replace(event, mail_from=senders.get(copy.partition(".")[0])))
                continue
            case Noise(text=str()) if own:
                by_smarthost.add(own)
            case Attempt() if own and "." in own:
                way = "smarthost" if own in by_smarthost else None
                told.append(msgspec.structs.replace(event, queue_id=own, rcpt_to=event.rcpt_to or recipients.get(own), router=way))
                continue
            case ConnectFailed() if own and "." in own:
                told.append(msgspec.structs.replace(event, queue_id=own))
                continue
            case _:
                pass
        told.append(event)
    return told, missed
