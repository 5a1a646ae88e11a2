"""What Postfix says inside a sentence: the stage at which a connection was lost, the client that a warning is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, Trouble

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_WHILE = re.compile(r" while (?:sending|receiving|performing)(?: the)? (?P<stage>[A-Za-z ]{2,40}?)(?: handshake| response| --.*)?$")
_CLIENT = re.compile(r"(?:\bfrom |^)(?P<name>[^\s\[\]:]{1,255})\[(?P<ip>[0-9A-Fa-f.:]{3,45})\]")
_HOSTNAME = re.compile(r"hostname (?P<name>\S{1,255}) does not resolve to address (?P<ip>[0-9A-Fa-f.:]{3,45}?)(?=:? |:?$)")
_MOST_TEXT = 2_000


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with what their texts tell besides."""
    found, missed = events_of(segment, fmt)
    return [_told(e) for e in found], missed


def _told(event: Event) -> Event:
    match event:
        case Attempt(code=int() as code, text=str() as text) if len(text) < _MOST_TEXT:
            plain = without_codes(text, code, event.enhanced)
            return event if plain == text else msgspec.structs.replace(event, text=plain)
        case Attempt(stage=None, text=str() as text) if len(text) < _MOST_TEXT and (found := _WHILE.search(text)):
            return msgspec.structs.replace(event, stage=found["stage"])
        case Trouble(client_ip=None, text=str() as text):
            found = _HOSTNAME.search(text[:_MOST_TEXT]) or _CLIENT.search(text[:_MOST_TEXT])
            if found:
                return msgspec.structs.replace(event, client_name=found["name"], client_ip=found["ip"])
    return event


def without_codes(text: str, code: int, enhanced: str | None) -> str:
    """*text* without the codes that began each line of a reply before Postfix joined its lines."""
    if str(code) not in text:
        return text
    again = rf"(?:^|(?<=\s)){code}[ -](?:{re.escape(enhanced)} )?" if enhanced else rf"(?:^|(?<=\s)){code}[ -]"
    return re.sub(again, "", text)
