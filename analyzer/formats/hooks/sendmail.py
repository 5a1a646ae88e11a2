"""What Sendmail means by `queued` (put off where a status says so, else only not tried yet), what it waited for in vain, how grave a complaint is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, ClientGone, Event, Finished, Noise, Refused, TlsFailed, Trouble, of_line

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_WAIT = re.compile(r"^timeout waiting for input from .{1,300} during client (?P<at>[A-Za-z]+(?: [A-Za-z0-9]+)?)$")
_FATAL = re.compile(
    r"(?:opendaemonsocket|getrequests|.{0,40}cannot bind|hash map|readcf|/etc/mail/sendmail\.cf|No local mailer|can not chdir|Cannot create"
    r"|problem creating SMTP socket|daemon \S+: problem|savemail panic|.{0,80}unsafe map file|unable to (?:fork|bind)|invalid (?:option|configuration)|cf file)"
)
_INFO = re.compile(
    r"Authentication-Warning: |[0-9A-Za-z]{8}\d{5,10}: sender notify: |gethostbyaddr\(|SMTP (?:MAIL|RCPT|DATA|VRFY|EXPN|ETRN|AUTH|STARTTLS) command "
    r"|SMTP outgoing|forward |clone|collect: (?:premature EOM|read timeout)|connection rate|Domain of sender|tls_\S+_features|STARTTLS=\S+ (?:field|AltName)"
    r"|[Tt]oo many|header overflow|[Tt]runcated|discarded|return receipt|sender |alias |owner|possible spam|setsender: "
    r"|\S+: SMTP \S+ protocol error|unauthorized PIPELINING|\"[A-Z]{2,10}\" command from|POSSIBLE ATTACK|Warning: |WARNING: (?:regex|mailer|Milter)"
    r"|AUTH (?:decode|encode)64 error|delaying=|Timeout\.to_aconnect|Dropped invalid|Fixed MIME|invalid domain name|smtpquit|user \d+ attempted|rejecting new messages"
    r"|timeout waiting for input during control"
)
_ERROR = re.compile(
    r"Losing |lost lock|savemail|[Cc]annot |[Cc]an't |could not |fill_fd|file descriptors|fork|[a-z]+\([^)]{0,200}\): (?:cannot|error)"
    r"|unable to (?:write|open|create|read)|queueup: |bogus queue|queue directory|persistent queue runner|queue control|dup_df|FAILED|ERROR"
)
_STAGES = {"greeting": "GREETING", "data status": "END-OF-MESSAGE", "data 354": "DATA"}


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with those that only wait told from those that were put off."""
    found, missed = events_of(segment, fmt)
    tried = {e.queue_id for e in found if isinstance(e, Attempt)}
    waited: dict[str, str] = {}  # queue id -> what the remote did not answer
    texts = {line.number: line.text for line in segment.lines}
    told: list[Event] = []
    for event in found:
        if isinstance(event, Trouble) and event.queue_id and (wait := _WAIT.search(event.text or "")):
            waited[event.queue_id] = _STAGES.get(wait["at"].lower(), wait["at"])
        told.append(_told(event, waited))
        if isinstance(event, Attempt) and event.code and event.enhanced and _PLAIN_REPLY.search(texts[event.place.line]):
            # What Sendmail makes of the reply's first digits where the reply gave no code (smtprcptstat): 5.1.1 for any 550.
            told[-1] = msgspec.structs.replace(told[-1], enhanced=None)
        if isinstance(event, Finished) and event.how == "bounced" and event.queue_id not in tried and event.text:
            told.append(_returned(event))
    return told, missed


_PLAIN_REPLY = re.compile(r"\breply=[45][0-9]{2}(?:[ -](?![245]\.[0-9]{1,3}\.[0-9])|,|$)")


def _without_numbers(text: str) -> str:
    """A failed handshake's reason, or what the numbers mean where there is none: the other side hung up (SSL_ERROR_SYSCALL)."""
    if "reason=" in text and "reason=unknown" not in text:
        return text
    return f"{text}: connection closed by peer" if re.search(r"(?:connect|accept) failed=(?:0|-1).{0,40}SSL_error=5\b", text) else text


def _returned(event: Finished) -> Attempt:
    """A message sent back without an attempt that is shown: why, only this line says."""
    return Attempt(
        **of_line(event),
        queue_id=event.queue_id,
        status="bounced",
        text=None if event.text == "User unknown" else event.text,  # its word for any refusal of a recipient
    )


def _graver(event: Trouble) -> Trouble:
    text = (event.text or "")[:400]
    if event.severity == "info" or not text:
        return event
    if _FATAL.match(text):
        return msgspec.structs.replace(event, severity="fatal")
    if event.severity == "warning" and _INFO.match(text):
        return msgspec.structs.replace(event, severity="info")
    return msgspec.structs.replace(event, severity="error") if event.severity == "warning" and _ERROR.match(text) else event


def _told(event: Event, waited: dict[str, str]) -> Event:
    match event:
        case Trouble():
            return _graver(event)
        case ClientGone(how="timeout", text=str() as text):
            return msgspec.structs.replace(event, stage="DATA" if "collect" in text or "data" in text else None, text=None)
        case TlsFailed(text=str() as text):
            return msgspec.structs.replace(event, text=_without_numbers(text))
        case Refused(stage="CONNECT", text="rejection"):
            return msgspec.structs.replace(event, text="tcpwrappers rejection")
    if not isinstance(event, Attempt):
        return event
    if event.queue_id in waited and event.code is None and "timed out" in (event.text or ""):
        event = msgspec.structs.replace(event, stage=waited.pop(event.queue_id))
    if event.status == "queued":
        if (event.enhanced or "").startswith("4"):
            return msgspec.structs.replace(event, status="deferred", text="queued")
        return Noise(**of_line(event), text="queued", queue_id=event.queue_id)
    if event.relay and event.relay.endswith("."):
        return msgspec.structs.replace(event, relay=event.relay.rstrip("."))
    return event
