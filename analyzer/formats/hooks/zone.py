"""Zone files and tables of records: names made whole, and the cells beside the data (TTL, "Auto", "DNS only") taken off."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import DnsRecord, DnsSection, Event, Noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_CELLS = re.compile(r"[ \t|]+")
_BESIDE = re.compile(
    r"(?i)[ \t|]+(?:auto(?:matic)?|default|[0-9]{1,9}(?: ?(?:s|sec|seconds?|m|min|minutes?|h|hrs?|hours?|d|days?))?|dns only|proxied|n/?a|-|edit|delete)[ \t|]*\Z"
)
_POINTS = frozenset({"CNAME", "NS", "PTR", "MX"})
_LARGEST_PREFERENCE = 299  # a number above, beside a smaller one, is a time to live


def weight(line: Line, fmt: Format) -> float:
    """A line that dig prints just so is dig's."""
    found = fmt.weight(line.body)
    return 0.3 if found and fmt.alias_of(line.body) == "by_name" and '"' not in line.body and "|" not in line.body else found


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The records of *segment* with whole names and bare data, and the lines that cannot be read."""
    read, missed = events_of(segment, fmt)
    tabular = {line.number for line in segment.lines if fmt.alias_of(line.body) in {"by_type", "by_name"}}
    return list(_whole(read, tabular)), missed


def _whole(read: Sequence[Event], tabular: set[int]) -> Iterator[Event]:
    origin = _origin(read)
    owner: str | None = None
    begun = False
    for event in read:
        if not isinstance(event, DnsRecord):
            yield event
            continue
        if not begun:
            begun = True
            yield DnsSection(place=event.place, format=event.format, section="ANSWER")
        if event.rtype == "origin":
            origin = f"{(event.rdata or '').strip('.')}."
            yield Noise(place=event.place, format=event.format)
            continue
        if event.rtype == "more":
            yield msgspec.structs.replace(event, rdata=_uncommented(event.rdata or ""))
            continue
        table = event.place.line in tabular
        if event.owner is not None:
            owner = _name(event.owner, origin, table) or (None if event.owner == "@" else event.owner)
        kind = (event.rtype or "").upper().removesuffix(" RECORD")
        kind = "TXT" if kind == "SPF" else kind
        data, preference = _data(kind, _uncommented(event.rdata or ""), table)
        if kind in _POINTS and data is not None:
            data = _name(data, origin, table)
        if data is None:
            yield Noise(place=event.place, format=event.format)
        else:
            yield msgspec.structs.replace(event, owner=owner, rtype=kind, rdata=data, preference=preference)


def _origin(read: Sequence[Event]) -> str | None:
    """The domain of the zone where no $ORIGIN names it: what stands behind a host's own label elsewhere in the zone."""
    records = [e for e in read if isinstance(e, DnsRecord)]
    soa = next((e.owner for e in records if e.rtype == "SOA" and e.owner and e.owner.endswith(".")), None)
    if soa:
        return soa
    for e in records:
        servers = (e.rdata or "").split()[:2] if e.rtype == "SOA" else []
        domains = {name.partition(".")[2] for name in servers if name.endswith(".")}
        if len(servers) == 2 and len(domains) == 1 and (domain := domains.pop()):
            return domain  # the first server and the postmaster are both of the zone's own domain
    labels = {e.owner for e in records if e.owner and "." not in e.owner and e.owner != "@" and e.rtype in {"A", "AAAA", "CNAME"}}
    for e in records:
        for word in _CELLS.split(e.rdata or ""):
            first, dot, rest = word.rstrip(".").partition(".")
            if dot and first in labels and "." in rest and e.rtype in _POINTS:
                return rest + "."
    return None


def _name(text: str, origin: str | None, table: bool) -> str | None:
    """*text* as a whole name with a dot at its end; None where its domain is not known."""
    text = text.strip("\"'`<>")
    if text in {"@", ""}:
        return origin
    if text.endswith("."):
        return text
    if _is_address(text):
        return text
    if table and "." in text and not text.startswith("_") and "_domainkey" not in text:
        return text + "."
    if origin is None:
        return text + "." if "." in text and not table else text if text.startswith("_") or "_domainkey" in text else None
    inside = table and text.lower().endswith("." + origin.lower().rstrip("."))
    return text + "." if inside else f"{text}.{origin}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _uncommented(text: str) -> str:
    """*text* without a comment at its end."""
    quoted = False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == ";" and not quoted and (at == 0 or text[at - 1] in " \t"):
            return text[:at].rstrip()
    return text.strip()


def _data(kind: str, text: str, table: bool) -> tuple[str | None, int | None]:
    """A record's data without the cells beside it, and an MX record's preference."""
    if kind == "TXT":
        return _text(text, table), None
    if kind == "SOA":
        return text, None
    cells = [c for c in _CELLS.split(text.strip(" \t|")) if c]
    if kind == "MX":
        numbers = [int(c) for c in cells[:4] if c.isdecimal() and len(c) < 6]
        host = next((c for c in cells if not c.isdecimal() and c.lower() not in {"auto", "default"}), None)
        small = [n for n in numbers if n <= _LARGEST_PREFERENCE]
        return host, (small or numbers or [0])[0]
    if kind in {"A", "AAAA"}:
        return next((c for c in cells if _is_address(c)), None), None
    if kind in _POINTS:
        return next((c for c in cells if "." in c or c == "@"), cells[0] if cells else None), None
    return text, None


def _text(text: str, table: bool) -> str:
    text = text.strip()
    if text.startswith("(") or not table:
        return text
    if text[:1] in {'"', "'", "`"} and (end := text.rfind(text[0])) > 0:
        inner = text[1:end]
        return text[: end + 1] if text[0] == '"' else '"' + inner.replace('"', '\\"') + '"'
    while (less := _BESIDE.sub("", text)) != text:
        text = less
    return '"' + text.strip(" |").replace("\\", "\\\\").replace('"', '\\"') + '"'
