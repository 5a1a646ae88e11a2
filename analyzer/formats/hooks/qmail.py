"""qmail-send's reports put back into words, and joined to the recipient and the message that their numbers stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.hooks.postfix import without_codes
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, Finished, Noise, Refused

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_MOST_TEXT = 6_000
# qmail-send writes a line end as "/", which stands in addresses of pages as well: it is one where a sentence or a reply code follows.
_LINE_END = re.compile(
    r"/(?=Remote_host_said|Giving_up_on|I'm_not_going|[245][0-9]{2}[-_]|Connected_to|Sorry|it_isn't|STARTTLS|[A-Z][a-z]+_[a-z])"
)
_SAID = re.compile(r"Remote host said: (?P<reply>.*?)(?=\n(?:Giving up on|I'm not going)|\Z)", re.DOTALL)
_REPLY = re.compile(
    r"(?P<code>[245][0-9]{2})(?:[ -](?:(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.]) ?)?(?P<text>.*))?\Z", re.DOTALL
)
_PEER = re.compile(
    r"(?:Connected to |^)(?P<ip>[0-9A-Fa-f.:]{3,45}) (?:accepted message|does not like recipient|failed (?:on|after)|but )", re.MULTILINE
)
_OWN_CODE = re.compile(r"\(#(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})\)")
_NEXT_ID = re.compile(r"(?:queued as |\bqp |\bid=)(?P<id>[0-9A-Za-z-]{3,40})\b")
_TRIED_AGAIN_NO_MORE = "this message has been in the queue too long"
_STAGES = (
    ("does not like recipient", "RCPT"),
    ("sender was rejected", "MAIL"),
    ("my name was rejected", "EHLO"),
    ("greeting failed", "CONNECT"),
    ("failed on DATA command", "DATA"),
    ("failed after I sent the message", "END-OF-MESSAGE"),
    ("Possible duplicate!", "END-OF-MESSAGE"),
)
_CLASSES = {"ORIG": "MAIL", "SNDR": "MAIL", "SPF": "MAIL", "RCPT": "RCPT", "DATA": "END-OF-MESSAGE", "TLS": "STARTTLS", "HELO": "EHLO"}
_SCANNED = re.compile(r":(?P<ip>[0-9A-Fa-f.]{7,45}):(?P<mail_from>[^:\s]{0,320}):(?P<rcpt_to>[^:\s]{1,320})\Z")


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; attempts know their recipient, their message and its sender."""
    found, missed = events_of(segment, fmt)
    told: list[Event] = []
    names: dict[str, str] = {}  # the number of a message -> what tells it from an earlier one of the same number
    used: dict[str, int] = {}
    going: dict[str, tuple[str | None, str, str]] = {}  # the number of a delivery -> message, channel, recipient
    for event in found:
        queue_id = getattr(event, "queue_id", None)
        if queue_id is not None:
            event = msgspec.structs.replace(event, queue_id=names.get(queue_id, queue_id))  # noqa: PLW2901
        match event:
            case Noise(session=str() as number, text=str() as text):
                channel, _, recipient = text.partition(" ")
                going[number] = (event.queue_id, channel, _address(recipient))
            case Finished(how="removed") if queue_id is not None:
                used[queue_id] = used.get(queue_id, 1) + 1
                names[queue_id] = f"{queue_id}.{used[queue_id]}"
            case Attempt():
                event = _attempt(event, going.pop(event.session or "", None))  # noqa: PLW2901
            case Refused():
                event = _refused(event)  # noqa: PLW2901
        told.append(event)
    return told, missed


def _address(recipient: str) -> str:
    """A virtual user's address: "example.com-carol@example.com" is carol's."""
    local, at, domain = recipient.rpartition("@")
    return f"{local[len(domain) + 1 :]}{at}{domain}" if at and local.startswith(f"{domain}-") else recipient


def _attempt(event: Attempt, delivery: tuple[str | None, str, str] | None) -> Attempt:
    message, channel, recipient = delivery or (None, None, None)
    plain = _LINE_END.sub("\n", (event.text or "")[:_MOST_TEXT].rstrip("/")).replace("_", " ")
    plain = plain.removeprefix("User and password not set, continuing without authentication.\n")
    peer = _PEER.search(plain)
    own = _OWN_CODE.search(plain)
    told = msgspec.structs.replace(
        event,
        session=None,
        queue_id=message,
        rcpt_to=recipient,
        relay="local" if channel == "local" else None,
        relay_ip=peer["ip"] if peer else None,
        stage=next((stage for words, stage in _STAGES if words in plain), None),
        enhanced=own["enhanced"] if own else None,
        text=" ".join(plain.split()) or None,
    )
    if event.status == "bounced" and _TRIED_AGAIN_NO_MORE in plain:
        told = msgspec.structs.replace(told, status="expired")
    said = _SAID.search(plain)
    reply = _REPLY.match(said["reply"].strip()) if said else None
    if reply is None:
        return told
    code, enhanced = int(reply["code"]), reply["enhanced"]
    text = without_codes(" ".join((reply["text"] or "").split()), code, enhanced)
    if event.status == "sent":
        queued = _NEXT_ID.search(text)
        return msgspec.structs.replace(told, text=text, code=code, enhanced=enhanced, next_id=queued["id"] if queued else None)
    return msgspec.structs.replace(told, text=text, code=code, enhanced=enhanced, said_by_ip=told.relay_ip)


def _refused(event: Refused) -> Refused:
    text = event.text or ""
    if event.stage == "CONNECT":
        return msgspec.structs.replace(event, text=f"rblsmtpd: {text}" if text else "tcpserver: deny")
    if event.stage == "END-OF-MESSAGE" and (scanned := _SCANNED.search(text)):
        return msgspec.structs.replace(event, client_ip=scanned["ip"], mail_from=scanned["mail_from"], rcpt_to=scanned["rcpt_to"])
    if event.stage is None:
        return msgspec.structs.replace(
            event, stage=_CLASSES.get(text.partition("::")[0]) or ("RCPT" if text.startswith("DENIED_") else None)
        )
    return event
