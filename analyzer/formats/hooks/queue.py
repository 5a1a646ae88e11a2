"""A queue listing gives a reason first, and then the recipients whom it holds up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, MessageInfo, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_SAID = re.compile(
    r"host (?P<said_by>[^\s\[]{1,255})\[(?P<said_by_ip>[^\[\]]{1,80})\] (?:said|refused to talk to me): (?P<code>[245][0-9]{2})[ -]"
    r"(?:(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})[ -])?(?P<text>.*?)(?: \(in reply to (?P<stage>[A-Za-z -]{2,40}) command\))?$"
)


_TRIED = re.compile(
    r"(?:refused by|timed out with|reset by|connect to|lost connection with|conversation with) (?P<name>(?=[^\s\[]*[A-Za-z])[A-Za-z0-9.-]{3,255}[A-Za-z0-9])\.?(?:\[(?P<ip>[0-9A-Fa-f.:]{2,45})\])?"
)


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The waiting messages of *segment*, each reason with its recipients, and the lines that cannot be read."""
    read, missed = events_of(segment, fmt)
    shape = [e for e in read if isinstance(e, Trouble)]
    return [*_joined([e for e in read if not isinstance(e, Trouble)]), *_shaped(shape)], missed


def _shaped(rows: list[Trouble]) -> Iterator[Event]:
    """For whom most of a queue waits: ``qshape`` counts the messages for each domain, first of any age, then by age."""
    counts = {name: (int(count), row) for row in rows for name, count in [(row.text or "").split()[:2]]}
    total, _ = counts.pop("TOTAL", (0, None))
    if counts and total:
        domain, (most, row) = max(counts.items(), key=lambda item: item[1][0])
        yield Attempt(
            place=row.place, format=row.format, status="deferred", text=f"{most} of {total} messages in the queue are for {domain}"
        )


def _joined(read: list[Event]) -> Iterator[Event]:
    entry: MessageInfo | None = None
    reason: Attempt | None = None
    told = True
    for event in read:
        if isinstance(event, MessageInfo) and event.text:
            yield from _from_json(event)
        elif isinstance(event, MessageInfo) and event.queue_id:
            if reason is not None and not told:
                yield reason
            entry, reason = event, None
            yield event
        elif isinstance(event, MessageInfo) and event.rcpt_to:
            if reason is not None:
                told = True
                yield msgspec.structs.replace(reason, rcpt_to=event.rcpt_to)
            else:
                yield msgspec.structs.replace(event, queue_id=entry.queue_id if entry else None)
        elif isinstance(event, Attempt) and event.queue_id is None:
            if reason is not None and not told:
                yield reason
            tried = None if event.said_by or event.relay else _TRIED.search(event.text or "")
            reason = msgspec.structs.replace(
                event,
                queue_id=entry.queue_id if entry else None,
                mail_from=entry.mail_from if entry else None,
                relay=tried["name"] if tried else event.relay,
                relay_ip=tried["ip"] if tried else event.relay_ip,
            )
            told = False
        else:
            yield event
    if reason is not None and not told:
        yield reason


def _from_json(event: MessageInfo) -> Iterator[Event]:
    """One line of ``postqueue -j`` (postqueue(1), "JSON OBJECT FORMAT")."""
    try:
        entry: Any = msgspec.json.decode(event.text or "")
    except msgspec.DecodeError:
        yield event
        return
    queue_id, sender = str(entry.get("queue_id", "")) or None, str(entry.get("sender", ""))
    size = entry.get("message_size")
    yield MessageInfo(
        place=event.place, format=event.format, queue_id=queue_id, mail_from=sender, size=size if isinstance(size, int) else None
    )
    for recipient in entry.get("recipients") or ():
        address, why = str(recipient.get("address", "")), str(recipient.get("delay_reason") or "")
        if why:
            found = _SAID.match(why)
            fields: dict[str, Any] = dict(found.groupdict()) if found else {"text": why}
            if found:
                fields["code"] = int(found["code"])
            yield Attempt(
                place=event.place, format=event.format, queue_id=queue_id, mail_from=sender, rcpt_to=address, status="deferred", **fields
            )
