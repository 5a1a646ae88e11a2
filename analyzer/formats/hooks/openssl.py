"""openssl s_client: how much was read before a handshake failed tells whether the two had spoken in the clear before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Dial, Event, Fact, TlsFailed
from analyzer.model.place import Place

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_READ = re.compile(r"SSL handshake has read ([0-9]{1,9}) bytes")
_NO_TLS = re.compile(r"(?i)wrong[ _]version[ _]number|packet length too long|record layer failure")
_LEAST_SPOKEN = 50  # bytes; who began with TLS has read the 5 of a record's head when it says that this is none


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with what the sum of bytes tells where the command is not shown."""
    found, missed = events_of(segment, fmt)
    told = next((line for line in segment.lines if (read := _READ.match(line.body)) and int(read[1]) >= _LEAST_SPOKEN), None)
    failed = any(isinstance(e, TlsFailed) and _NO_TLS.search(e.text or "") for e in found)
    if told and failed and not any(isinstance(e, Dial) for e in found):
        found.append(Fact(place=Place(segment.source, told.number), format=fmt.name, tls_first="no"))
    return found, missed
