"""What Postfix says inside a sentence: the stage at which a connection was lost, the client that a warning is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, AuthResult, Event, Noise, Refused, TlsFailed, Trouble, of_line

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_WHILE = re.compile(r" while (?:sending|receiving|performing)(?: the)? (?P<stage>[A-Za-z ]{2,40}?)(?: handshake| response| --.*)?$")
_CLIENT = re.compile(r"(?:\bfrom |^)(?P<name>[^\s\[\]:]{1,255})\[(?P<ip>[0-9A-Fa-f.:]{3,45})\]")
_HOSTNAME = re.compile(r"hostname (?P<name>\S{1,255}) does not resolve to address (?P<ip>[0-9A-Fa-f.:]{3,45}?)(?=:? |:?$)")
_MOST_TEXT = 2_000
_NEAR = 4  # events
_ECHO = re.compile(r"Password verification failed|client response doesn't match|incorrect digest response|no secret in database")
_SPOKEN = re.compile(
    r"(?P<way>[<>]) (?P<name>[^\s\[\]]{1,255})\[(?P<ip>[^\]\s]{1,80})\](?::(?P<port>[0-9]{1,5}))?: (?P<words>.+)"
)  # smtpd names no port unless it is told to
_VERB = re.compile(r"(?i)(?P<verb>EHLO|HELO|MAIL|RCPT|DATA|BDAT|\.$)(?: (?:FROM: ?|TO: ?)?<?(?P<word>[^<>\s]{0,320}))?")
_REPLY = re.compile(r"(?P<code>[2-5][0-9]{2})[ -](?:(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3}) )?(?P<text>.*)")
_PATH = re.compile(r"(?i)(MAIL|RCPT) (?:FROM|TO): ?<([^<>]{0,320})>")
_LEAST_REFUSAL = 400
# What a filter answers that took a message in order to throw it away, as amavis does: ``250 2.7.0 Ok, discarded, id=00137-03 - spam``
_THROWN_AWAY = re.compile(r"(?i)(?:250[ -])?(?:2\.[0-9]\.[0-9]{1,2} )?ok, (?P<why>discarded, .*)")


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with what their texts tell besides."""
    found, missed = events_of(segment, fmt)
    found = [_told(e) for e in found]
    if not any(isinstance(e, Attempt) for e in found):
        found = _refusals_of_server(_from_dialogue(found))
    return _with_peers(_without_echoes(found)), missed


def _with_peers(events: list[Event]) -> list[Event]:
    """Whose handshake it was that OpenSSL complains about: the line before it names the peer."""
    last: dict[str | None, tuple[int, TlsFailed]] = {}
    found = list(events)
    for at, e in enumerate(events):
        if not isinstance(e, TlsFailed):
            continue
        if e.client_ip or e.client_name or e.server:
            last[e.pid] = (at, e)
        elif (named := last.get(e.pid)) is not None and at - named[0] <= _NEAR:
            peer = {n: getattr(named[1], n) for n in ("client_name", "client_ip", "server", "server_ip", "port")}
            found[at] = msgspec.structs.replace(e, **peer)
    return found


def _without_echoes(events: list[Event]) -> list[Event]:
    """Cyrus SASL says of its own that a password is wrong, just before smtpd says whose: that is one failure."""
    last: dict[str | None, tuple[int, Event]] = {}
    found = list(events)
    for at, e in enumerate(events):
        if not isinstance(e, AuthResult):
            continue
        if e.client_ip or e.client_name:
            before = last.pop(e.pid, None)
            if before is not None and at - before[0] <= _NEAR:
                found[before[0]] = Noise(place=before[1].place, format=e.format, text=e.text)
        elif _ECHO.search(e.text or ""):
            last[e.pid] = (at, e)
    return found


def _from_dialogue(events: list[Event]) -> list[Event]:
    """What the client of a verbose log was refused, for a log cut before the line that sums it up."""
    said: dict[str | None, dict[str, str]] = {}
    refused: dict[str | None, tuple[int, Attempt]] = {}
    for at, e in enumerate(events):
        spoken = _SPOKEN.match(e.text or "") if isinstance(e, Noise) else None
        if spoken is None or not spoken["port"]:
            continue
        words = spoken["words"]
        if spoken["way"] == ">":
            if command := _PATH.match(words):
                said.setdefault(e.pid, {})[command[1].upper()] = command[2]
            continue
        reply = _REPLY.match(words)
        if reply is None:
            continue
        before = refused.pop(e.pid, None)
        if int(reply["code"]) < _LEAST_REFUSAL:
            continue
        paths = said.get(e.pid, {})
        goes_on = before is not None and before[1].code == int(reply["code"]) and at - before[0] == 1
        refused[e.pid] = (
            at,
            Attempt(
                **of_line(e) | {"place": before[1].place if before and goes_on else e.place},
                relay=spoken["name"],
                relay_ip=spoken["ip"],
                relay_port=int(spoken["port"]),
                said_by=spoken["name"],
                code=int(reply["code"]),
                enhanced=reply["enhanced"],
                text=" ".join(x for x in (before[1].text if before and goes_on else None, reply["text"]) if x),
                status="deferred" if reply["code"].startswith("4") else "bounced",
                mail_from=paths.get("MAIL"),
                rcpt_to=paths.get("RCPT"),
            ),
        )
    return sorted([*events, *(a for _, a in refused.values())], key=lambda e: e.place)


def _refusals_of_server(events: list[Event]) -> list[Event]:
    """What the server of a verbose log refused, session by session, where the lines that sum it up were cut away."""
    summed = {e.pid for e in events if isinstance(e, Refused)}
    said: dict[str | None, dict[str, str]] = {}
    refused: dict[str | None, tuple[int, int]] = {}
    found: list[Event] = []
    for at, e in enumerate(events):
        if not isinstance(e, Noise) or e.pid in summed or not (e.agent or "").endswith("smtpd"):
            continue
        heard = _SPOKEN.match(e.text or "")
        if heard is None:
            continue
        session, words = said.setdefault(e.pid, {}), heard["words"]
        if heard["way"] == "<":
            verb = _VERB.match(words)
            stage = verb["verb"].upper() if verb else ""
            session["stage"] = {"BDAT": "DATA", ".": "END-OF-MESSAGE"}.get(stage, stage)
            if verb and verb["word"] is not None:
                session[session["stage"]] = verb["word"]
            continue
        reply = _REPLY.match(words)
        if reply is None or int(reply["code"]) < _LEAST_REFUSAL or session.get("stage", "CONNECT") == "":
            continue
        if refused.get(e.pid) == (at - 1, int(reply["code"])):  # goes on
            before = found[-1]
            assert isinstance(before, Refused)
            found[-1] = msgspec.structs.replace(before, text=f"{before.text} {reply['text']}")
        else:
            found.append(
                Refused(
                    **of_line(e),
                    action="reject",
                    stage=session.get("stage", "CONNECT"),
                    client_name=heard["name"],
                    client_ip=heard["ip"],
                    code=int(reply["code"]),
                    enhanced=reply["enhanced"],
                    text=reply["text"],
                    mail_from=session.get("MAIL"),
                    rcpt_to=session.get("RCPT") if session.get("stage") == "RCPT" else None,
                    helo=session.get("EHLO") or session.get("HELO"),
                )
            )
        refused[e.pid] = (at, int(reply["code"]))
    return sorted([*events, *found], key=lambda e: e.place)


def _told(event: Event) -> Event:
    match event:
        case Attempt(status="sent", text=str() as text) if said := _THROWN_AWAY.match(text[:_MOST_TEXT]):
            return msgspec.structs.replace(event, status="discarded", code=None, enhanced=None, text=said["why"])
        case Attempt(status="sent", agent=str() as agent) if agent.endswith("/discard"):
            return msgspec.structs.replace(event, status="discarded", enhanced=None, text=f"discarded: {event.text or ''}")
        case Attempt(code=int() as code, text=str() as text) if len(text) < _MOST_TEXT:
            plain = without_codes(text, code, event.enhanced)
            return event if plain == text else msgspec.structs.replace(event, text=plain)
        case Attempt(stage=None, text=str() as text) if len(text) < _MOST_TEXT and (found := _WHILE.search(text)):
            return msgspec.structs.replace(event, stage=found["stage"])
        case AuthResult(result="failed", text=None):
            return msgspec.structs.replace(event, text="authentication failed")
        case Trouble(client_ip=None, text=str() as text):
            found = _HOSTNAME.search(text[:_MOST_TEXT]) or _CLIENT.search(text[:_MOST_TEXT])
            if found:
                return msgspec.structs.replace(event, client_name=found["name"], client_ip=found["ip"])
    return event


def without_codes(text: str, code: int, enhanced: str | None) -> str:
    """*text* without the codes that began each line of a reply before Postfix joined its lines."""
    if str(code) not in text:
        return text
    again = rf"(?:^|(?<=\s)){code}[ -](?:{re.escape(enhanced)} )?" if enhanced else rf"(?:^|(?<=\s)){code}[ -]"
    return re.sub(again, "", text)
