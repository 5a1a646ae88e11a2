"""What Courier tells of one attempt in several lines, put together: the remote's words, then what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.hooks.exim_main import VERBS
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, Noise, Refused, of_line

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_BY = re.compile(r"^delivered: (?P<name>[^\s\[]{1,255}) \[(?:::ffff:)?(?P<ip>[^\]\s]{2,45})\]")


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; an attempt has the words that the lines before it give for it."""
    found, missed = events_of(segment, fmt)
    told: list[Event] = []
    words: dict[tuple[str | None, str | None], Attempt] = {}
    for event in found:
        match event:
            case Attempt(status="deferred", text=str()):
                key = (event.queue_id, event.rcpt_to)
                before = words.get(key)
                words[key] = _joined(before, event) if before else event
            case Attempt():
                said = words.pop((event.queue_id, event.rcpt_to), None)
                told.append(_attempt(event, said))
            case Refused() if event.stage and event.stage.upper() not in VERBS:
                told.append(_strange(event))
            case _:
                told.append(event)
    told += [_alone(said) for said in words.values()]
    return sorted(told, key=lambda e: e.place.line), missed


def _joined(before: Attempt, after: Attempt) -> Attempt:
    if after.code is not None and before.code is None:
        return after  # the connection was told first
    return msgspec.structs.replace(before, text=f"{before.text} {after.text}")


def _attempt(event: Attempt, said: Attempt | None) -> Attempt:
    if event.status == "sent" and (by := _BY.match(event.text or "")):
        event = msgspec.structs.replace(event, relay=by["name"], relay_ip=by["ip"])
    if said is None:
        return event
    return msgspec.structs.replace(event, text=said.text, code=said.code, enhanced=said.enhanced)


def _alone(said: Attempt) -> Attempt:
    told = {2: "sent", 5: "bounced"}.get((said.code or 0) // 100)
    return msgspec.structs.replace(said, status=told) if told else said


def _strange(event: Refused) -> Noise:
    """A command that no mail program sends: no mail is refused by it."""
    return Noise(**of_line(event), text=event.text)
