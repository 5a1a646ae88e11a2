"""What OpenSMTPD says once for a whole session: who the client is, whom it called; and replies whose lines it joined without a blank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.expressions import re
from analyzer.formats.hooks.exim_main import VERBS
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, AuthResult, ClientConnected, ClientGone, Event, MessageInfo, Noise, Refused, TlsFailed, Trouble

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_NEXT_ID = re.compile(r"queued as (?P<id>[0-9A-Za-z-]{6,40})\b")
# "BANNER rejected: 554 5.7.1 No"
_SAID = re.compile(r"(?P<stage>[A-Z]{4,10}) rejected: (?P<code>[45][0-9]{2})[ -](?:(?P<enhanced>[45](?:\.[0-9]{1,3}){2}) )?(?P<text>.*)")
# What ails this side's own key or settings; the rest of OpenSSL's complaints are what strangers send.
_OWN_TLS = re.compile(r"SSL routines:[^:]*:(?:EVP lib|internal error|no shared cipher|unsupported protocol|no suitable signature)")
_MOST_TEXT = 4_000


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; those of one session share its client."""
    found, missed = events_of(segment, fmt)
    clients: dict[tuple[str | None, str], ClientConnected] = {}
    called: dict[tuple[str | None, str], Trouble] = {}
    last_sent = max((n for n, e in enumerate(found) if isinstance(e, Attempt) and e.status == "sent" and e.relay_ip), default=-1)
    told: list[Event] = []
    for n, event in enumerate(found):
        match event:
            case ClientConnected(session=str() as session):
                clients[event.host, session] = event
                told.append(event)
            case Refused(stage=str() as stage, code=535) if stage.upper().startswith("AUTH"):
                told.append(_login(event, told, clients))
            case Refused() | AuthResult() | ClientGone() | MessageInfo() if event.session and event.client_ip is None:
                client = clients.get((event.host, event.session))
                told.append(
                    _told(msgspec.structs.replace(event, client_ip=client.client_ip, client_name=client.client_name) if client else event)
                )
            case Trouble(session=str() as session, text=None, server_ip=str()):
                called[event.host, session] = event
                told.append(event)
            case Trouble(session=str() as session, text=str() as text) if peer := called.get((event.host, session)):
                # Another host, or another try, may yet take the message: then this was a detour.
                told.append(event if n < last_sent else _cut_short(event, peer, text))
            case Attempt(text=str() as text) if len(text) < _MOST_TEXT:
                told.append(_attempt(event, text))
            case _:
                told.append(_told(event))
    return told, missed


def _told(event: Event) -> Event:
    match event:
        case ClientGone(text=str() as text) if "handshake" in text or "tls-accept" in text or _OWN_TLS.search(text):
            return TlsFailed(**_common(event), text=text, client_ip=event.client_ip, client_name=event.client_name, session=event.session)
        case ClientGone():
            return msgspec.structs.replace(event, text=None)  # that a client hung up is no fault of itself
        case AuthResult(result="failed"):
            return msgspec.structs.replace(event, text="permfail")
        case Refused(text=str() as text) if "Command unrecognized" in text and (event.stage or "").upper() not in VERBS:
            return Noise(**_common(event), text=text, session=event.session)  # a scanner's: no mail was refused
    return event


def _login(event: Refused, told: list[Event], clients: dict[tuple[str | None, str], ClientConnected]) -> Event:
    """A refused AUTH: the login that failed, unless a line before has told it."""
    last = next((e for e in reversed(told) if isinstance(e, AuthResult)), None)
    if last is not None and (last.host, last.session) == (event.host, event.session) and last.session:
        return Noise(**_common(event), text=event.text, session=event.session)
    client = clients.get((event.host, event.session or ""))
    address = event.client_ip or (client.client_ip if client else None)
    return AuthResult(**_common(event), result="failed", text=event.text, session=event.session, client_ip=address)


def _common(event: Event) -> dict[str, Any]:
    names = ("place", "last_line", "format", "time", "host", "agent", "pid")
    return {n: getattr(event, n) for n in names}


def _cut_short(event: Trouble, peer: Trouble, text: str) -> Event:
    """A session with another server that failed as a whole: the attempt whose message the log does not name."""
    common = _common(event) | {"session": event.session, "status": "deferred", "relay": peer.server}
    common |= {"relay_ip": (peer.server_ip or "").strip("[]"), "relay_port": peer.port}
    said = _SAID.match(text)
    if said is None:
        return Attempt(**common, text=text.removeprefix("IO Error: ").removeprefix("Connection failed: "))
    code, reply = int(said["code"]), said["text"]
    status = "bounced" if code >= 500 else "deferred"
    common |= {"said_by": peer.server, "status": status, "stage": said["stage"]}
    return Attempt(**common, code=code, enhanced=said["enhanced"], text=reply)


def _attempt(event: Attempt, text: str) -> Attempt:
    if event.enhanced and event.enhanced in text:
        text = re.sub(rf" ?{re.escape(event.enhanced)} ", " ", text)
    queued = _NEXT_ID.search(text)
    session = None if event.session and not event.session.strip("0") else event.session
    return msgspec.structs.replace(event, text=text, next_id=queued["id"] if queued else event.next_id, session=session)
