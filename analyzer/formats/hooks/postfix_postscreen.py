"""What a client was listed for, where postscreen let it through all the same: no blocklist is to blame there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Event, Noise, Trouble, of_line

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_LISTED = re.compile(r"addr (\S{2,45}) listed by domain ")
_PASSED = re.compile(r"(?:PASS (?:NEW|OLD)|(?:WHITE|ALLOW)LISTED) \[([^\]]{2,45})\]")


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, without the listings that did not count."""
    found, missed = events_of(segment, fmt)
    passed = {m[1] for line in segment.lines if (m := _PASSED.search(line.body))}
    return [_counted(e, passed) for e in found], missed


def _counted(event: Event, passed: set[str]) -> Event:
    if isinstance(event, Trouble) and (listed := _LISTED.match(event.text or "")) and listed[1] in passed:
        return Noise(**of_line(event))
    return event
