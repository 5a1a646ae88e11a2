"""What Exim says inside a sentence: the stage at which a delivery failed, codes within a reply of several lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.hooks.postfix import without_codes
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, MessageInfo, Refused

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_STAGE = re.compile(
    r"(?:SMTP timeout after|in response to) (?:pipelined )?(?:sending )?"
    r"(?P<stage>initial connection|end of data|data block|MAIL FROM|RCPT TO|[A-Z]{4,8}(?![a-z]))"
)
_NEXT_ID = re.compile(r"(?:queued as|\bid=|\bas) ?(?P<id>[0-9A-Za-z-]{6,40})\b")
_MOST_TEXT = 4_000
_STAGES = {
    "after DATA": "END-OF-MESSAGE",
    "after DATA PRDR": "END-OF-MESSAGE",
    "from": "END-OF-MESSAGE",
    "connection": "CONNECT",
    "EHLO or HELO": "EHLO",
    "MIME": "END-OF-MESSAGE",
    "DKIM": "END-OF-MESSAGE",
    "PRDR": "END-OF-MESSAGE",
    "non-SMTP": "END-OF-MESSAGE",
}
_GREETED = frozenset({"MAIL", "MAIL FROM", "RCPT", "DATA", "END-OF-MESSAGE"})
_ATTEMPT_STAGES = {"data block": "END-OF-MESSAGE", "end of data": "END-OF-MESSAGE"}


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with what their texts tell besides."""
    found, missed = events_of(segment, fmt)
    return [_told(e) for e in found], missed


def _told(event: Event) -> Event:
    match event:
        case Attempt(text=str() as text) if len(text) < _MOST_TEXT:
            return _attempt(event, text)
        case Refused():
            stage = _STAGES.get(event.stage or "", event.stage)
            greeted = _helo(event) if stage in _GREETED else event.helo
            return msgspec.structs.replace(event, stage=stage, helo=greeted)
        case MessageInfo(protocol=str() as protocol) if "smtp" in protocol:
            return msgspec.structs.replace(event, helo=_helo(event))
    return event


def _helo(event: Refused | MessageInfo) -> str | None:
    """Exim leaves out the name given in EHLO where it is the client's verified name (specification, 52.7)."""
    return event.helo or event.client_name


def _attempt(event: Attempt, text: str) -> Attempt:
    if "\\n" in text:
        text = text.replace("\\n", " ")
    if event.code is not None:
        text = without_codes(text, event.code, event.enhanced)
    stage, next_id = event.stage, event.next_id
    if stage is None and (found := _STAGE.search(text)):
        stage = found["stage"]
    if event.status == "sent" and (queued := _NEXT_ID.search(text)):
        next_id = queued["id"]
    return msgspec.structs.replace(event, text=text, stage=_ATTEMPT_STAGES.get(stage or "", stage), next_id=next_id)
