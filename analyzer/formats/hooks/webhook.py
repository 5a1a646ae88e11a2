"""What mailing services tell an application of a message: JSON on one line or on many, one record or a list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.expressions import re
from analyzer.model.events import Attempt, Event, MessageInfo, Noise
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_ITS_OWN = re.compile(
    r'\\?"(?:sg_event_id|sg_message_id|event-data|delivery-status|bouncedRecipients|delayedRecipients|bounceSubType|notificationType|'
    r'smtpResponse|RecordType|complaintFeedbackType)\\?"\s*:'
)
_MOST_LINES = 2_000
_REPLY = re.compile(
    r"^(?:[a-z0-9-]+;\s*)?(?:(?P<code>[245][0-9]{2})(?:[ -]|$))?\s*(?:#?(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})[ :,-]*)?(?P<text>.*)$",
    re.DOTALL,
)
_SENDGRID = {"bounce": "bounced", "blocked": "bounced", "dropped": "bounced", "deferred": "deferred", "delivered": "sent"}
_LONGEST = 2_000
_SHOWN = 24  # so much of a reason tells its line


def claim(lines: Sequence[Line], _fmt: Format) -> list[tuple[int, int]]:
    """The ranges of *lines* that are whole JSON values with a record in them."""
    ranges: list[tuple[int, int]] = []
    index = 0
    while index < len(lines):
        if not lines[index].text.lstrip().startswith(("{", "[")):
            index += 1
            continue
        start, depth = index, 0
        while index < len(lines) and index - start < _MOST_LINES:
            bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", lines[index].text)
            depth += sum(map(bare.count, "{[")) - sum(map(bare.count, "}]"))
            index += 1
            if depth <= 0:
                break
        text = "\n".join(line.text for line in lines[start:index])
        if depth == 0 and _ITS_OWN.search(text) and any(True for _ in _records(_decoded(text))):
            ranges.append((start, index))
    return ranges


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """An attempt for each recipient of each record."""
    found: list[Event] = []
    told: set[int] = set()
    for record in _records(_decoded("\n".join(line.text for line in segment.lines))):
        for values in _attempts(record):
            line = _line_of(segment, str(values.get("text") or ""), str(values.get("rcpt_to") or ""))
            place = Place(segment.source, line)
            told.add(line)
            kind = MessageInfo if values.get("status") is None else Attempt
            known = {k: v for k, v in values.items() if v is not None and k in kind.__struct_fields__}
            found.append(kind(place=place, format=fmt.name, **known))
    found += [
        Noise(place=Place(segment.source, line.number), format=fmt.name)
        for line in segment.lines
        if line.text.strip() and line.number not in told
    ]
    return found, []


def _line_of(segment: Segment, *texts: str) -> int:
    for text in texts:
        shown = msgspec.json.encode(text[:_SHOWN]).decode()[1:-1]
        for line in segment.lines:
            if shown and shown in line.text:
                return line.number
    return segment.lines[0].number


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _records(value: Any) -> Iterator[dict[str, Any]]:
    """The records in *value*: a list of them, what SNS wraps, what a log calls its items."""
    if isinstance(value, list):
        for one in value:
            yield from _records(one)
    elif isinstance(value, dict):
        wrapped = value.get("Message") or value.get("Records") or value.get("Sns") or value.get("items") or value.get("event-data")
        if isinstance(wrapped, str) and _ITS_OWN.search(wrapped):
            yield from _records(_decoded(wrapped))
        elif isinstance(wrapped, dict | list):
            yield from _records(wrapped)
        elif any(key in value for key in ("sg_event_id", "sg_message_id", "notificationType", "eventType", "RecordType")) or (
            "event" in value and ("delivery-status" in value or "recipient" in value)
        ):
            yield value


def _attempts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "sg_event_id" in record or "sg_message_id" in record:
        yield from _sendgrid(record)
    elif "RecordType" in record:
        yield from _postmark(record)
    elif "notificationType" in record or "eventType" in record:
        yield from _ses(record)
    else:
        yield from _mailgun(record)


def _sendgrid(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    event = _text(record, "event") or ""
    values = {"queue_id": _text(record, "sg_message_id"), "rcpt_to": _text(record, "email"), "message_id": _bare(_text(record, "smtp-id"))}
    if event == "processed":
        yield values
    elif event in _SENDGRID:
        said = _text(record, "reason") or _text(record, "response")
        yield {**values, "status": _SENDGRID[event], **_reply(said, _text(record, "status"))}


def _postmark(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    values = {
        "queue_id": _text(record, "MessageID"),
        "mail_from": _text(record, "From"),
        "rcpt_to": _text(record, "Email") or _text(record, "Recipient"),
    }
    kind = _text(record, "RecordType")
    if kind == "Delivery":
        yield {**values, "status": "sent", **_reply(_text(record, "Details"), None)}
    elif kind == "Bounce":
        said = _text(record, "Details") or _text(record, "Description") or _text(record, "Type")
        status = "deferred" if _text(record, "Type") in {"Transient", "SoftBounce", "DnsError"} else "bounced"
        yield {**values, "status": status, **_reply(said, None)}


def _ses(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    mail = _mapping(record, "mail")
    values = {"queue_id": _text(mail, "messageId"), "mail_from": _text(mail, "source")}
    bounce, delay, delivery = _mapping(record, "bounce"), _mapping(record, "deliveryDelay"), _mapping(record, "delivery")
    for one in _list(bounce, "bouncedRecipients"):
        said = _text(one, "diagnosticCode") or " ".join(
            word for word in ("Bounce:", _text(bounce, "bounceType"), _text(bounce, "bounceSubType")) if word
        )
        relay = _mta(_text(bounce, "reportingMTA"))
        ip = {"relay": relay, "relay_ip": _text(bounce, "remoteMtaIp")}
        yield {**values, "rcpt_to": _text(one, "emailAddress"), "status": "bounced", **ip, **_reply(said, _text(one, "status"))}
    for one in _list(delay, "delayedRecipients"):
        why = _text(one, "diagnosticCode") or _text(delay, "delayType")
        yield {**values, "rcpt_to": _text(one, "emailAddress"), "status": "deferred", **_reply(why, _text(one, "status"))}
    for address in delivery.get("recipients") or ():
        ip = {"relay": _mta(_text(delivery, "reportingMTA")), "relay_ip": _text(delivery, "remoteMtaIp")}
        yield {**values, "rcpt_to": str(address), "status": "sent", **ip, **_reply(_text(delivery, "smtpResponse"), None)}
    reject = _mapping(record, "reject")
    if reject:
        for address in mail.get("destination") or ():
            yield {**values, "rcpt_to": str(address), "status": "bounced", "text": f"Rejected: {_text(reject, 'reason') or ''}"}


def _mailgun(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    status, envelope = _mapping(record, "delivery-status"), _mapping(record, "envelope")
    headers = _mapping(_mapping(record, "message"), "headers")
    values = {
        "queue_id": _text(record, "id"),
        "mail_from": _text(envelope, "sender"),
        "rcpt_to": _text(record, "recipient"),
        "message_id": _text(headers, "message-id"),
        "relay": _text(status, "mx-host"),
    }
    event = _text(record, "event")
    if event == "accepted":
        yield values
    elif event == "delivered":
        yield {**values, "status": "sent", **_coded(status, _text(status, "message"))}
    elif event in {"failed", "rejected"}:
        said = _text(status, "message") or _text(status, "description") or _text(record, "reason")
        kind = "deferred" if _text(record, "severity") == "temporary" else "bounced"
        yield {**values, "status": kind, **_coded(status, said)}


def _coded(status: dict[str, Any], said: str | None) -> dict[str, Any]:
    """Mailgun gives the code apart, and its own (600 and more) where no server was asked."""
    told = _reply(said, _text(status, "enhanced-code"))
    code = _text(status, "code")
    if told.get("code") is None and code and re.fullmatch(r"[245][0-9]{2}", code):
        told["code"] = int(code)
    return told


def _reply(said: str | None, enhanced: str | None) -> dict[str, Any]:
    match = _REPLY.match(" ".join((said or "").split())[:_LONGEST])
    if match is None:
        return {}
    plain = enhanced if enhanced and re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", enhanced) else None
    return {
        "code": int(match["code"]) if match["code"] else None,
        "enhanced": match["enhanced"] or plain,
        "text": match["text"].strip() or said or None,
    }


def _mta(name: str | None) -> str | None:
    return name.rpartition(";")[2].strip() or None if name else None


def _bare(name: str | None) -> str | None:
    return name.strip("<> ") if name else None


def _text(record: dict[str, Any], key: str) -> str | None:
    value = record.get(key)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip() else None


def _mapping(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _list(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = record.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
