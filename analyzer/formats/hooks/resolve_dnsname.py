"""Lists of Resolve-DnsName: one field a line, a record for each "Name"; and the errors, which name their cause in a second line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import DnsFailed, DnsHeader, DnsRecord, DnsSection, Event, Noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_DATA = ("NameExchange", "IPAddress", "IP4Address", "IP6Address", "NameHost", "Strings", "PrimaryServer", "Server")
# What the Windows error means; the words before it are in the user's language.
_ERRORS = {
    "DNS_ERROR_RCODE_NAME_ERROR": ("not-found", "NXDOMAIN"),
    "DNS_INFO_NO_RECORDS": ("no-record", "no answer"),
    "DNS_ERROR_RCODE_SERVER_FAILURE": ("not-found", "server failed"),
    "DNS_ERROR_RCODE_REFUSED": ("not-found", "refused"),
    "DNS_ERROR_RCODE_FORMAT_ERROR": ("not-found", "formerr"),
    "DNS_ERROR_RCODE_NOT_IMPLEMENTED": ("not-found", "not implemented"),
    "ERROR_TIMEOUT": ("timed-out", "timed out"),
    "WSAETIMEDOUT": ("timed-out", "timed out"),
    "DNS_ERROR_NO_DNS_SERVERS": ("no-servers", "no DNS servers configured"),
    "DNS_ERROR_UNSECURE_PACKET": ("not-found", "signature"),
}
_WORDS = (
    (re.compile(r"(?i)name does not exist"), "DNS_ERROR_RCODE_NAME_ERROR"),
    (re.compile(r"(?i)record does not exist|no records found"), "DNS_INFO_NO_RECORDS"),
    (re.compile(r"(?i)server failure"), "DNS_ERROR_RCODE_SERVER_FAILURE"),
    (re.compile(r"(?i)refused"), "DNS_ERROR_RCODE_REFUSED"),
    (re.compile(r"(?i)timeout period expired|timed out"), "ERROR_TIMEOUT"),
    (re.compile(r"(?i)no dns servers configured"), "DNS_ERROR_NO_DNS_SERVERS"),
)


def weight(line: Line, fmt: Format) -> float:
    """A "Name : value" alone is this tool's only among its other lines."""
    found = fmt.weight(line.body)
    return (
        0.1
        if found and fmt.alias_of(line.body) == "field" and line.body.startswith(("Name", "Type", "TTL", "Server", "Text", "Status"))
        else found
    )


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The records of *segment*, those of lists put together, and the lines that cannot be read."""
    read, missed = events_of(segment, fmt)
    return list(_joined(read)), missed


def _joined(read: Sequence[Event]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    first: DnsRecord | None = None
    failed: DnsFailed | None = None
    for event in read:
        if isinstance(event, DnsRecord) and event.rtype == "field":
            if event.owner == "Name" and first is not None:
                yield from _record(first, fields)
                fields, first = {}, None
            first = first or event
            if event.owner and event.owner not in fields:
                fields[event.owner] = (event.rdata or "").strip()
            yield Noise(place=event.place, format=event.format)
        elif isinstance(event, DnsHeader) and event.text in _ERRORS:
            if failed is not None:
                yield _meant(failed, event.text)
                failed = None
            yield Noise(place=event.place, format=event.format)
        elif isinstance(event, DnsHeader):
            yield Noise(place=event.place, format=event.format)
        else:
            if first is not None and not isinstance(event, Noise):
                yield from _record(first, fields)
                fields, first = {}, None
            if failed is not None and not isinstance(event, Noise):
                yield _meant(failed, _by_words(failed))
                failed = None
            if isinstance(event, DnsFailed):
                failed = event
            elif isinstance(event, DnsRecord) and event.rtype == "TXT":
                yield msgspec.structs.replace(event, rdata=_strings(event.rdata or ""))
            elif isinstance(event, DnsRecord) and event.rtype == "SOA":
                yield DnsSection(place=event.place, format=event.format, section="AUTHORITY")
                yield msgspec.structs.replace(event, rdata=f"{event.rdata} 0 0 0 0")
            else:
                yield event
    if first is not None:
        yield from _record(first, fields)
    if failed is not None:
        yield _meant(failed, _by_words(failed))


def _strings(text: str) -> str:
    """The strings between the braces; an ellipsis stays, for what a table cuts off must not be judged."""
    inner = text.strip().removesuffix("}")
    return '"' + ('" "'.join(inner.split(", ")) if "..." not in inner else inner).replace("\\", "\\\\") + '"'


def _by_words(failed: DnsFailed) -> str | None:
    return next((name for pattern, name in _WORDS if pattern.search(failed.text or "")), None)


def _meant(failed: DnsFailed, error: str | None) -> DnsFailed:
    reason, text = _ERRORS.get(error or "", ("other", failed.text))
    return msgspec.structs.replace(failed, reason=reason, text=text)


def _record(first: DnsRecord, fields: dict[str, str]) -> Iterator[Event]:
    data = next((fields[n] for n in _DATA if fields.get(n)), None)
    kind = fields.get("QueryType") or fields.get("Type")
    if data is None or not kind:
        return
    if kind == "TXT":
        data = _strings(data.removeprefix("{"))
    if kind == "SOA":
        data = f"{data} {fields.get('NameAdministrator', '.')} {fields.get('SerialNumber', '0')} 0 0 0 0"
    preference = fields.get("Preference", "")
    yield msgspec.structs.replace(
        first,
        owner=fields.get("Name"),
        rtype=kind,
        rdata=data,
        preference=int(preference) if kind == "MX" and preference.isdecimal() else None,
    )
