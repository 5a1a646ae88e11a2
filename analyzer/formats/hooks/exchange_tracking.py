"""The columns of Exchange's message tracking log, by their names: those of the `#Fields` line, or those of Exchange 2013 and later."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.expressions import re
from analyzer.formats.hooks.postfix import without_codes
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, MessageInfo

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_OLD = [
    "date-time",
    "client-ip",
    "client-hostname",
    "server-ip",
    "server-hostname",
    "source-context",
    "connector-id",
    "source",
    "event-id",
    "internal-message-id",
    "message-id",
    "recipient-address",
    "recipient-status",
    "total-bytes",
    "recipient-count",
    "related-recipient-address",
    "reference",
    "message-subject",
    "sender-address",
    "return-path",
]
_NEW = [*_OLD[:11], "network-message-id", *_OLD[11:]]
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_LAST_ERROR = re.compile(r"\{LED=(?P<text>[^}]{0,2000})\}")
_LAST_NAME = re.compile(r"\{FQDN=(?P<name>[^}\s]{1,255})\}")
_LAST_ADDRESS = re.compile(r"\{IP=(?P<ip>[0-9A-Fa-f.:]{2,45})\}")
_REPLY = re.compile(r"(?P<code>[245][0-9]{2})[ -](?:(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})[ ;]\s*)?(?P<text>.*)", re.DOTALL)


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with what their columns hold."""
    found, missed = events_of(segment, fmt)
    lines = {line.number: line.text for line in segment.lines}
    names: list[str] | None = None
    for text in lines.values():
        if "#Fields: date-time,client-ip" in text:
            names = text.partition("#Fields: ")[2].strip().split(",")
    return [_told(e, _row(lines.get(e.place.line, ""), names)) for e in found], missed


def _row(text: str, names: list[str] | None) -> dict[str, str]:
    values = next(csv.reader([text]), [])
    if names is None:
        names = _NEW if any(_GUID.match(v) for v in values[10:13]) else _OLD
    return dict(zip(names, values, strict=False))


def _told(event: Event, row: dict[str, str]) -> Event:
    common: dict[str, Any] = {
        "time": row.get("date-time"),
        "host": row.get("server-hostname") if row.get("source") != "SMTP" or isinstance(event, MessageInfo) else None,
        "queue_id": row.get("internal-message-id") or row.get("message-id"),
        "message_id": (row.get("message-id") or "").strip("<>") or None,
        "mail_from": "" if row.get("return-path") == "<>" else row.get("return-path") or row.get("sender-address"),
        "rcpt_to": (row.get("recipient-address") or "").replace(";", " ") or None,
    }
    match event:
        case MessageInfo():
            size = row.get("total-bytes") or ""
            return msgspec.structs.replace(
                event,
                **common,
                text=None,
                client_ip=row.get("client-ip") or None,
                client_name=row.get("client-hostname") or None,
                subject=row.get("message-subject") or None,
                size=int(size) if size.isdigit() else None,
            )
        case Attempt():
            return _attempt(msgspec.structs.replace(event, **common | {"host": None}), row)
    return event


def _attempt(event: Attempt, row: dict[str, str]) -> Attempt:
    status = row.get("recipient-status") or row.get("source-context") or ""
    error, name, address = _LAST_ERROR.search(status), _LAST_NAME.search(status), _LAST_ADDRESS.search(status)
    text = error["text"] if error else status
    remote = row.get("source") == "SMTP"
    told = msgspec.structs.replace(
        event,
        text=text or None,
        relay=(name["name"] if name else row.get("server-hostname") if remote and event.status == "sent" else None) or None,
        relay_ip=(address["ip"] if address else row.get("server-ip") if remote and event.status == "sent" else None) or None,
        rcpt_to=(event.rcpt_to or "").split(" ")[0] or None,
    )
    reply = _REPLY.match(text)
    if reply is None:
        return told
    code, enhanced = int(reply["code"]), reply["enhanced"]
    return msgspec.structs.replace(
        told, code=code if remote else None, enhanced=enhanced, text=without_codes(reply["text"], code, enhanced)
    )
