"""SMTP TLS reports: JSON on one line or on many, whole or cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.model.events import Event, Noise, Reported, TlsFailed
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_ITS_OWN = re.compile(r'"(?:total-(?:successful|failure)-session-count|result-type|failed-session-count)"\s*:')
_MEMBER = re.compile(r'"([a-z-]{2,60})"\s*:\s*(?:"((?:[^"\\]|\\.){0,500})"|([0-9]{1,15})|([\[{]))')
_NEAR = 60  # lines within which a report shows itself


def claim(lines: Sequence[Line], _fmt: Format) -> list[tuple[int, int]]:
    """The ranges of *lines* that are reports: from a brace to the one that closes it, or to the end."""
    ranges: list[tuple[int, int]] = []
    index = 0
    while index < len(lines):
        opens = lines[index].text.lstrip().startswith(("{", "[{"))
        if not opens or not any(_ITS_OWN.search(line.text) for line in lines[index : index + _NEAR]):
            index += 1
            continue
        start, depth = index, 0
        while index < len(lines):
            bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", lines[index].text)
            depth += sum(map(bare.count, "{[")) - sum(map(bare.count, "}]"))
            index += 1
            if depth <= 0:
                break
        ranges.append((start, index))
    return ranges


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """An event for each kind of failure, and one for the sessions of a policy that succeeded."""
    found: list[Event] = [Noise(place=Place(segment.source, line.number), format=fmt.name) for line in segment.lines if line.text.strip()]
    return [*found, *_told(segment, fmt.name)], []


def _told(segment: Segment, name: str) -> Iterator[Event]:
    domain: str | None = None
    failure: dict[str, str] | None = None
    begun = segment.lines[0].number
    for line in segment.lines:
        for found in _MEMBER.finditer(line.text):
            key, value = found[1], found[2] if found[2] is not None else found[3] or ""
            place = Place(segment.source, line.number)
            if key == "policy-domain":
                domain = value
            elif key == "total-successful-session-count" and int(value or 0):
                yield Reported(place=place, format=name, from_domain=domain, messages=int(value), tls="yes")
            elif key in _OF_A_FAILURE:
                if failure is not None and key in failure:
                    yield _failed(failure, domain, name, Place(segment.source, begun), line.number)
                    failure = None
                if failure is None:
                    failure, begun = {}, line.number
                failure[key] = value
    if failure is not None:
        yield _failed(failure, domain, name, Place(segment.source, begun), segment.lines[-1].number)


_OF_A_FAILURE = frozenset(
    {
        "result-type",
        "sending-mta-ip",
        "receiving-ip",
        "receiving-mx-hostname",
        "receiving-mx-helo",
        "failed-session-count",
        "failure-reason-code",
    }
)


def _failed(failure: dict[str, str], domain: str | None, name: str, place: Place, last: int) -> TlsFailed:
    words = [failure.get("result-type", ""), failure.get("failure-reason-code", "")]
    return TlsFailed(
        place=place,
        last_line=last,
        format=name,
        text=": ".join(w for w in words if w) or None,
        server=failure.get("receiving-mx-hostname") or domain,
        server_ip=failure.get("receiving-ip"),
        client_ip=failure.get("sending-mta-ip"),
    )
