"""What Exim says inside a sentence: the stage at which a delivery failed, how grave a complaint is, codes within a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.hooks.postfix import without_codes
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, ClientGone, ConnectFailed, Event, MessageInfo, Noise, Refused, Trouble, of_line

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_STAGE = re.compile(
    r"(?:SMTP timeout after|in response to) (?:pipelined )?(?:sending )?"
    r"(?P<stage>initial connection|end of data|data block|MAIL FROM|RCPT TO|[A-Z]{4,8}(?![a-z]))"
)
_NEXT_ID = re.compile(r"(?:queued as|\bid=|\bas) ?(?P<id>[0-9A-Za-z-]{6,40})\b")
_MOST_TEXT = 4_000
_STAGES = {
    "after DATA": "END-OF-MESSAGE",
    "after DATA PRDR": "END-OF-MESSAGE",
    "from": "END-OF-MESSAGE",
    "connection": "CONNECT",
    "EHLO or HELO": "EHLO",
    "MIME": "END-OF-MESSAGE",
    "DKIM": "END-OF-MESSAGE",
    "during MIME ACL checks": "END-OF-MESSAGE",
    "by local_scan()": "END-OF-MESSAGE",
    "by non-SMTP ACL": "END-OF-MESSAGE",
    "by DCC": "END-OF-MESSAGE",
    "by PRDR": "END-OF-MESSAGE",
    "PRDR": "END-OF-MESSAGE",
    "non-SMTP": "END-OF-MESSAGE",
}
_GREETED = frozenset({"MAIL", "MAIL FROM", "RCPT", "DATA", "END-OF-MESSAGE"})
_ATTEMPT_STAGES = {"data block": "END-OF-MESSAGE", "end of data": "END-OF-MESSAGE"}
# How grave a complaint is.  What Exim writes to its panic log as well, and goes on with, is an error.
_FATAL = re.compile(
    r"Exim configuration (?:file|error)|socket bind\(\) to port|listen\(\) failed|exim user lost privilege|Cannot |cannot (?:bind|create socket|fork)"
    r"|LOG: MAIN PANIC|.{0,80}unable to set gid|fork|socket\(\) failed|\d+ (?:select|accept)\(\) failure|IPv[46] socket creation failed"
    r"|pid \d+: exec of .{1,200} failed|pid file path|TCP port |invalid SMTP port|no port specified |initgroups |backtrace$"
)
_INFO = re.compile(
    r"SMTP error from remote |Warning: |no (?:host name|IP address) found for|DKIM: (?!signing failed|message could not)|ignoring AUTH=|spam acl condition: warning|SPF: "
    r"|DMARC |IP address lookup|Host is ignored|no MX|all relevant MX|\S+ \[\S*\] (?:Warning|is )|all hosts for |Delivery deferred by system filter"
    r"|PRDR |rescind the above|DNS list lookup defer|dnslists domain|ARC: |dnssec fail |(?:regex|MIME|mime_regex) acl condition warning"
    r"|Setting IPV6_V6ONLY|Failed to create IPv6 socket|bmi warning: |DCC: (?:warning|Couldn't shutdown)|WARNING: deprecated|Message abandoned: "
    r"|host name alias list truncated|timed out while reading local|Header modification|rewrite: |qualify/rewrite"
    r"|(?:Unexpected|unexpected) (?:EOF|disconnection)|setsockopt|getsock|Long \S+ lookup"
)
_ERROR = re.compile(
    r"Spool |Failed |[Tt]aint|Format error|spool |log directory|failed to (?:expand|create spool|write journal|update journal|fsync journal)|[Ee]rror "
    r"|write error|exim: |Exim |delivery process|Non-SMTP|queue run: process|process \S+ crashed|.{1,60}process .{0,10}(?:vanished|returned non-zero)|Process "
    r"|SIGSEGV|SEGV_|bad memory|excessive memory|store_|internal |buffer underflow|malloc|string too large|shadow transport|Fork failed"
    r"|.{0,200}: (?:Permission denied|Too many open files|No space left on device)|ACL for|(?:Expansion|expansion) of|DKIM: (?:signing failed|message could not)"
)
# Commands of mail programs: anything else in a syntax error is a scanner, a browser, or TLS on a port that does not expect it.
VERBS = frozenset(
    {"HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "AUTH", "STARTTLS", "RSET", "QUIT", "NOOP", "VRFY", "EXPN", "ETRN", "HELP"}
)


_BARE = frozenset({"warned", "noise", "remarked"})
_ARROW_ALONE = re.compile(r"\s*[-=]> ?(?!.* [RTHCFP]=)")  # in letters an arrow stands before anything
_OWN_STAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:|\[[0-9]{1,9}\]|[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} |(?i:.{0,60}\bexim|LOG:)"
)


def weight(line: Line, fmt: Format) -> float:
    """How surely *line* is Exim's: "Unable to ..." without stamp, message id and Exim's name may be anybody's complaint."""
    if line.envelope is None and not _OWN_STAMP.match(line.body) and (_ARROW_ALONE.match(line.body) or fmt.alias_of(line.body) in _BARE):
        return 0.0
    return fmt.weight(line.body)


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, with what their texts tell besides."""
    found, missed = events_of(segment, fmt)
    return _with_hosts([_told(e) for e in found]), missed


def _with_hosts(events: list[Event]) -> list[Event]:
    """An attempt that failed for want of a connection names no host: the line before, of the same message, does."""
    tried: dict[str, ConnectFailed] = {}
    found: list[Event] = []
    for e in events:
        last = tried.get(getattr(e, "queue_id", None) or "")
        if isinstance(e, ConnectFailed) and e.queue_id:
            tried[e.queue_id] = e
        if (
            isinstance(e, Attempt)
            and last
            and last.text
            and e.relay is None
            and e.relay_ip is None
            and (e.text or "").startswith(last.text)
        ):
            found.append(msgspec.structs.replace(e, relay=last.server, relay_ip=last.server_ip, relay_port=last.port))
        else:
            found.append(e)
    return found


def _told(event: Event) -> Event:
    match event:
        case Attempt(text=str() as text) if len(text) < _MOST_TEXT:
            return _attempt(event, text)
        case Trouble(mail_from=str(), text=text):  # of a sender's address, not of a delivery
            return msgspec.structs.replace(event, text=f"Sender verify failed: {text}" if text else "Sender verify failed")
        case Trouble(severity="warning", text=str() as text):
            return msgspec.structs.replace(event, severity=_severity(text))
        case ClientGone():
            return _gone(event)
        case Refused(action="syntax") if (event.stage or "").upper() not in VERBS:
            return _strange(event)
        case Refused():
            stage = _STAGES.get(event.stage or "", event.stage)
            greeted = _helo(event) if stage in _GREETED else event.helo
            return msgspec.structs.replace(event, stage=stage, helo=greeted)
        case MessageInfo(protocol=str() as protocol) if "smtp" in protocol:
            return msgspec.structs.replace(event, helo=_helo(event))
    return event


def _severity(text: str) -> str:
    head = text[:400]
    if _INFO.match(head):
        return "info"
    if _FATAL.match(head):
        return "fatal"
    return "error" if _ERROR.match(head) else "warning"


def _gone(event: ClientGone) -> Event:
    """A client that falls silent between messages, or hangs up there, is everyday life; one in the middle of a message is not."""
    if event.how == "timeout" and (event.text or "").startswith("SMTP data"):
        return msgspec.structs.replace(event, stage="DATA")
    if event.stage == "message data":
        return msgspec.structs.replace(event, stage="DATA")
    return msgspec.structs.replace(event, text=None)


def _strange(event: Refused) -> Event:
    """A command that no mail program sends: no mail is refused by it, unless a balancer puts it before all mail."""
    if (event.stage or "").upper() == "PROXY":
        return ClientGone(**of_line(event), client_name=event.client_name, client_ip=event.client_ip, how="improper", text="PROXY")
    return Noise(**of_line(event), text=event.text)


def _helo(event: Refused | MessageInfo) -> str | None:
    """Exim leaves out the name given in EHLO where it is the client's verified name (specification, 52.7)."""
    return event.helo or event.client_name


def _attempt(event: Attempt, text: str) -> Attempt:
    if "\\n" in text:
        text = text.replace("\\n", " ")
    if event.code is not None:
        text = without_codes(text, event.code, event.enhanced)
    stage, next_id = event.stage, event.next_id
    if stage is None and (found := _STAGE.search(text)):
        stage = found["stage"]
    if event.status == "sent" and (queued := _NEXT_ID.search(text)):
        next_id = queued["id"]
    return msgspec.structs.replace(event, text=text, stage=_ATTEMPT_STAGES.get(stage or "", stage), next_id=next_id)
