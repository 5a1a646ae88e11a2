"""Msmtp says in one line at which step it was refused, and in the next what the server replied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Event, Noise, Reply

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_STEPS = (
    (re.compile(r"authentication failed"), "AUTH"),
    (re.compile(r"envelope from address .{1,320} not accepted"), "MAIL"),
    (re.compile(r"recipient address .{1,320} not accepted"), "RCPT"),
    (re.compile(r"the server did not accept the mail|cannot send mail data"), "END-OF-MESSAGE"),
    (re.compile(r"command (?:EHLO|HELO|STARTTLS) failed"), "EHLO"),
)


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; a reply that is repeated answers the step of the line before."""
    found, missed = events_of(segment, fmt)
    told: list[Event] = []
    step = None
    for e in found:
        if isinstance(e, Noise):
            step = next((stage for pattern, stage in _STEPS if pattern.search((e.text or "")[:500])), None)
        elif isinstance(e, Reply) and e.again == "yes" and step is not None:
            told.append(msgspec.structs.replace(e, to=step))
            continue
        told.append(e)
    return told, missed
