"""Bounces and headers: whole messages, which no line grammar can say (MIME; RFC 3464 and what people read)."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import msgspec

from analyzer.model.events import Attempt, Event, Header
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60}):(?:[ \t]|$)")
_KNOWN = frozenset(
    [
        "received",
        "return-path",
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "content-type",
        "delivered-to",
        "x-original-to",
        "reply-to",
        "dkim-signature",
        "authentication-results",
        "received-spf",
        "sender",
        "auto-submitted",
        "x-failed-recipients",
        "references",
        "in-reply-to",
    ]
)
_TRACE = frozenset(["received", "received-spf", "authentication-results", "arc-authentication-results", "dkim-signature"])
_REPORT = frozenset(
    [
        "reporting-mta",
        "final-recipient",
        "action",
        "status",
        "diagnostic-code",
        "remote-mta",
        "original-recipient",
        "arrival-date",
        "disposition",
    ]
)
_MBOX = re.compile(r"From \S+ +(?:\S+ ){2,8}")
_INTRO = re.compile(
    r"(?i)^\W{0,4}(this is the mail system at host|hi\. this is the |this message was created automatically by (the )?mail delivery|"
    r"the original message was received at|delivery to the following recipients?|your message (wasn't|could not be|was not|couldn't be) delivered|"
    r"delivery has failed to these recipients|this is an automatically generated delivery status|"
    r"your mail message to the following address|a message (that )?you sent (could|to the)|"
    r"i'm afraid i wasn't able to deliver your message|message delivery has been delayed|"
    r"there was a temporary problem delivering your message|your message did not reach|"
    r"sorry, we were unable to deliver your message|address not found|message blocked|message not delivered|"
    r"this is the mailer-daemon, please|your message to \S{3,300} (couldn't|could not|wasn't) be|your message did not reach|"
    r"an error (has )?occurred while (attempting|trying) to deliver|the following addresses had (permanent|delivery)|"
    r"-{3,} the following addresses had|this is a delivery status notification from|the attached message had permanent|"
    r"the message that you sent was undeliverable|diagnostic information for administrators|failed to deliver to '|"
    r"this report relates to a message you sent|the following (message|recipient\(s\)) could not be (delivered|reached)|"
    r"the following recipient\(s\) could not be reached|technical details of (permanent|temporary) failure|"
    r"(reporting-mta|final-recipient|diagnostic-code): *[a-z0-9])"
)
_MACHINE = re.compile(
    r"(?im)^from:.{0,200}(mailer-daemon|mail-daemon|mailerdaemon|postmaster|mail delivery (sub)?system|microsoftexchange|daemon@|"
    r"mail administrator|system administrator|courier mail server|mail router|<@?>)|"
    r"^subject:.{0,200}(undeliver|returned mail|delivery (status|failure|notification|delayed|error)|failure notice|mail delivery failed|"
    r"non ?remis|unzustellbar|nicht zustellbar|could not send message|mail system error|delivery report|successful mail delivery|"
    r"could not be delivered|has failed|undelivered|ndn:|echec de (la )?remise|\u00e9chec de (la )?remise|onbestelbaar|non recapitabile|"
    r"mancata consegna|no se puede entregar|no entregado|n\u00e3o \u00e9 poss\u00edvel entregar|n\u00e3o entregue|kan ikke leveres|"
    r"kan inte leverera|niedostarczone|nie mo\u017cna dostarczy\u0107|nedoru\u010diteln|k\u00e9zbes\u00edthetetlen|"
    r"\u043d\u0435 \u0443\u0434\u0430\u0435\u0442\u0441\u044f \u0434\u043e\u0441\u0442\u0430\u0432\u0438\u0442\u044c|"
    r"\u043d\u0435\u0434\u043e\u0441\u0442\u0430\u0432\u043b\u0435\u043d\u043d|\u914d\u4fe1\u4e0d\u80fd|\u914d\u4fe1\u3067\u304d\u307e\u305b\u3093|"
    r"\u672a\u9001\u8fbe|\u9000\u4fe1|\u65e0\u6cd5\u9001\u8fbe|\u65e0\u6cd5\u4f20\u9012)|"
    r"report-type=\"?delivery-status|^x-failed-recipients:"
)
_HUMAN = re.compile(r"(?im)^subject: *((re|aw|fwd?|wg|tr|rv|vs|sv|antw): |out of office|automatic reply|abwesen)")
_QUOTE = re.compile(r"^(?:[>|] ?){1,4}")
_FORWARDED = re.compile(r"(?i)^\W{0,4}-{2,}.{0,60}-{2,}\s*$|^\W{0,4}begin forwarded message:")
_REPLY = re.compile(r"(?<![0-9.#-])#?([45][0-9]{2})[ -]+(?:#?\(?([45]\.[0-9]{1,3}\.[0-9]{1,3})\)?:?[ -]*)?(?=\S)(.{0,600})")
_STATUS = re.compile(r"(?<![0-9.])#?([45]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])[>;: -]*(.{0,600})")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+=&'/-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}")
_SAID_BY = re.compile(r"(?i)(?:host|talking to|server|from|by|connected to)\s+\[?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+){1,8})\.?\]?")
_STAGE = re.compile(
    r"(?i)(?:in reply to (?:the )?|after |>>> ?)(end of (?:DATA|message)|initial connection|MAIL FROM|RCPT TO|DATA|EHLO|HELO|STARTTLS|AUTH|MAIL|RCPT|pipelined)"
)
_CONTINUED = re.compile(r"(?<=\s)[45][0-9]{2}-(?:[45]\.[0-9]{1,3}\.[0-9]{1,3}\s)?")
_ACTIONS = {"failed": "bounced", "delayed": "deferred", "delivered": "sent", "relayed": "sent", "expanded": "sent"}
_MOST_PARTS = 40
_MOST_BODY = 400


# ---- which lines -----------------------------------------------------------------------------------------------------
def weight(_line: Line, _fmt: Format) -> float:
    """No single line is a message: only `claim` takes any."""
    return 0.0


def claim(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """The ranges of *lines* that are messages: a header with at least two known fields, to the next message or the end."""
    ranges: list[tuple[int, int]] = []
    lines = _unquoted(lines)
    index = 0
    while index < len(lines):
        before = lines[index - 1].text if index else ""
        begins = not before.strip() or bool(_MBOX.match(lines[index].text) or _FORWARDED.match(before))
        end, names = _header(lines, index) if begins else (index, [])
        if len(_KNOWN.intersection(names)) >= 2 or not _TRACE.isdisjoint(names):
            whole = _is_bounce(lines, index, end)
            ranges.append((index, _next_message(lines, max(end, index + 1)) if whole else end))
            index = max(ranges[-1][1], index + 1)
        elif begins and _INTRO.match(lines[index].text) and _no_session(lines, index):
            ranges.append((index, _next_message(lines, index + 1)))
            index = ranges[-1][1]
        else:
            index += 1
    return ranges


def _header(lines: Sequence[Line], start: int) -> tuple[int, list[str]]:
    """The end of the header that begins at *start*, and the names of its fields in lower case."""
    names: list[str] = []
    index = start + (1 if _MBOX.match(lines[start].text) else 0)
    while index < len(lines):
        text = lines[index].text
        field = _FIELD.match(text)
        if field:
            names.append(field[1].lower())
        elif not (names and text[:1] in {" ", "\t"} and text.strip()):
            break
        index += 1
    return index, names


def _is_bounce(lines: Sequence[Line], start: int, end: int) -> bool:
    """Whether the message speaks as a mail system: its body is then evidence, too."""
    head = "\n".join(line.text for line in lines[start:end])
    return speaks_as_machine(head) or "multipart/" in head.lower()


def speaks_as_machine(head: str) -> bool:
    """Whether the header *head* is that of a report by a mail system: not an answer to one, not an absent person's."""
    unfolded = re.sub(r"\n[ \t]+", " ", head)
    return bool(_MACHINE.search(unfolded)) and not _HUMAN.search(unfolded)


def _next_message(lines: Sequence[Line], index: int) -> int:
    """Where the message ends: at the next one of a mailbox, or where a log or a command's output was pasted after it."""
    while index < len(lines):
        line = lines[index]
        if _MBOX.match(line.text):
            break
        logged = line.envelope is not None and line.envelope.program is not None and line.envelope.host is not None
        if not lines[index - 1].text.strip() and (logged or line.text.startswith(("; <<>> DiG", "$ ", "# "))):
            break
        index += 1
    return index


def _unquoted(lines: Sequence[Line]) -> list[Line]:
    """*lines* without the marks of quotation in front of them."""
    return [msgspec.structs.replace(line, text=line.text[found.end() :]) if (found := _QUOTE.match(line.text)) else line for line in lines]


def _no_session(lines: Sequence[Line], index: int) -> bool:
    return not any(line.text.startswith(("220 ", "Trying ", "354 ", "=== ")) for line in lines[max(0, index - 30) : index + 3])


# ---- reading ---------------------------------------------------------------------------------------------------------
def events(segment: Segment, _fmt: Format) -> tuple[list[Event], list[int]]:
    """Header fields, and an attempt for each recipient that the message reports on."""
    reader = _Reader(segment)
    return reader.events(), []


class _Reader:
    def __init__(self, segment: Segment) -> None:
        self.source = segment.source
        quoted = sum(1 for line in segment.lines[:12] if _QUOTE.match(line.text)) > min(len(segment.lines), 12) // 2
        self.lines = tuple(_unquoted(segment.lines)) if quoted else segment.lines
        segment = msgspec.structs.replace(segment, lines=self.lines)
        start = 1 if segment.lines and _MBOX.match(segment.lines[0].text) else 0
        self.body_at, names = _header(segment.lines, 0) if segment.lines else (0, [])
        if not _KNOWN.intersection(names):
            self.body_at = 0
        import email.policy  # takes its time to import: only where there is a message

        self.message: Message = email.message_from_string(
            "\n".join(line.text for line in segment.lines[start:]), policy=email.policy.compat32
        )

    def events(self) -> list[Event]:
        """Everything that the message says, in the order of its lines."""
        found: list[Event] = list(self._headers()) if self.body_at else []
        reports, original = self._reports()
        if not reports and self.body_at and not self._is_report():
            attached = self._attached()
            if attached is None:
                return found
            self.message = attached
        said = list(_said("\n\n".join(self._texts())))
        if not reports:
            reports = [r for r in said if self.body_at or r["rcpt_to"] or r["code"] or r["enhanced"]]
        elif not any(r.get("rcpt_to") for r in reports) and said:
            reports = said
        for report in (_completed(r, said) for r in reports):
            found.append(self._attempt(report, original))
        return found

    def _is_report(self) -> bool:
        return speaks_as_machine("\n".join(line.text for line in self.lines[: self.body_at]))

    def _attached(self) -> Message | None:
        """The report by a mail system that somebody attached to a message of their own."""
        for part in self._parts():
            inner = _messages(part.get_payload()) if part.get_content_type() == "message/rfc822" else []
            if inner and speaks_as_machine("\n".join(f"{k}: {v}" for k, v in inner[0].items())):
                return inner[0]
        return None

    def _place(self, *words: str | None) -> Place:
        """The line that holds the first of *words* that is found below the header."""
        for word in words:
            short = (word or "").strip()[:40]
            if len(short) < 4:
                continue
            for line in self.lines[self.body_at :]:
                if short in line.text:
                    return Place(self.source, line.number)
        number = self.lines[min(self.body_at, len(self.lines) - 1)].number
        return Place(self.source, number)

    def _headers(self) -> Iterator[Event]:
        name, value, number = "", "", 0
        for line in [*self.lines[: self.body_at], None]:
            if line is not None and line.text[:1] in {" ", "\t"} and name:
                value += " " + line.text.strip()
                continue
            if name:
                yield Header(place=Place(self.source, number), format="bounce", name=name, value=value)
                name = ""
            field = _FIELD.match(line.text) if line is not None else None
            if line is not None and field:
                name, value, number = field[1], line.text[field.end() :].strip(), line.number

    def _parts(self) -> Iterator[Message]:
        for index, part in enumerate(self.message.walk()):
            if index > _MOST_PARTS:
                return
            yield part

    def _texts(self) -> list[str]:
        """What a reader sees of the report: its text parts, not those of the message returned."""
        found: list[str] = []
        for part in self._parts():
            kind = part.get_content_type()
            if kind in {
                "message/rfc822",
                "text/rfc822-headers",
                "message/delivery-status",
                "message/disposition-notification",
                "message/global",
            }:
                break
            if kind in {"text/plain", "text/html"} and not part.is_multipart():
                text = _decoded(part)
                found.append(_plain(text) if kind == "text/html" else text)
                if kind == "text/plain" and text.strip():
                    break
        return found

    def _reports(self) -> tuple[list[dict[str, str | None]], dict[str, str]]:
        """The fields of each recipient of a delivery report, and the header of the message returned."""
        import email

        groups: list[dict[str, str]] = []
        original: dict[str, str] = {}
        for part in self._parts():
            kind = part.get_content_type()
            if kind in {"message/delivery-status", "message/global-delivery-status", "message/disposition-notification"}:
                payload = part.get_payload()
                inner = _messages(payload) or [email.message_from_string(str(payload))]
                if "content-transfer-encoding" in part and (plain := _unwrapped(part, inner)):
                    inner = [email.message_from_string(block) for block in re.split(r"\n\s*\n", plain)]
                groups += [_fields(m) for m in inner]
            elif kind == "text/rfc822-headers" and not original:
                original = _fields(email.message_from_string(_decoded(part)))
            elif kind == "message/rfc822" and not original:
                returned = _messages(part.get_payload())
                original = _fields(returned[0]) if returned else {}
        if not groups:
            groups = _pasted_report([line.text for line in self.lines])
        reporter = next((g.get("reporting-mta") for g in groups if "reporting-mta" in g), None)
        return [
            _report(g, reporter)
            for g in groups
            if {"final-recipient", "original-recipient"} & g.keys()
            or "disposition" in g
            or ({"diagnostic-code", "status"} & g.keys() and "action" in g)
        ], original

    def _attempt(self, r: dict[str, str | None], original: dict[str, str]) -> Attempt:
        code = r.get("code")
        sender = original.get("return-path") or original.get("from")
        found = _ADDRESS.search(sender or self.message.get("To") or "")
        said_ip = re.search(r"\[?((?:[0-9]{1,3}\.){3}[0-9]{1,3})\]?", r.get("said_by_ip") or "")
        return Attempt(
            place=self._place(r.get("cite"), r.get("text"), r.get("rcpt_to")),
            format="bounce",
            mail_from=found[0] if found else None,
            rcpt_to=(r.get("rcpt_to") or "").strip("'") or None,
            enhanced=r.get("enhanced"),
            status=r.get("status") or "bounced",
            code=int(code) if code else None,
            text=r.get("text"),
            said_by=r.get("said_by"),
            stage=r.get("stage"),
            said_by_ip=said_ip[1] if said_ip else None,
            message_id=original.get("message-id"),
            time=self.message.get("Date"),
        )


def _messages(payload: object) -> list[Message]:
    from email.message import Message

    return [m for m in payload if isinstance(m, Message)] if isinstance(payload, list) else []


def _unwrapped(part: Message, inner: Sequence[Message]) -> str | None:
    """The fields of a report that was encoded, which RFC 3464 does not allow and some do."""
    import base64
    import binascii
    import quopri

    how = str(part.get("content-transfer-encoding", "")).strip().lower()
    raw = "\n\n".join(m.as_string() for m in inner).strip()
    if how == "quoted-printable":
        return quopri.decodestring(raw.encode("utf-8", "replace")).decode("utf-8", "replace")
    if how == "base64" and ":" not in raw:
        try:
            return base64.b64decode("".join(raw.split())).decode("utf-8", "replace").replace("\r\n", "\n")
        except (binascii.Error, ValueError):
            return None
    return None


def _completed(report: dict[str, str | None], said: Sequence[dict[str, str | None]]) -> dict[str, str | None]:
    """*report* with what the text for people says better: a reason where there is none, all lines of a reply."""
    found = dict(report)
    text = found.get("text") or ""
    rcpt = (found.get("rcpt_to") or "").lower()
    same = [r for r in said if (r.get("rcpt_to") or "").lower() == rcpt]
    more = same[0] if same else said[0] if len(said) == 1 and not said[0].get("rcpt_to") else None
    told = (more or {}).get("text") or ""
    short = len(text) < 12 or not re.search(r"[A-Za-z]{3}", text) or (len(told) > len(text) + 10 and text[:40] in told)
    if more and told and short and found.get("status") != "sent":
        for name in ("code", "enhanced", "stage", "said_by", "said_by_ip"):
            if not found.get(name) or (name == "enhanced" and _generic(found[name])):
                found[name] = more.get(name) or found.get(name)
        found["text"], found["cite"] = told, found.get("cite") if text else more.get("cite")
    if more and not found.get("stage") and found.get("code") and found.get("code") == more.get("code") and text[:40] == told[:40]:
        found["stage"] = more.get("stage")  # the same reply, and the text for people says to what
    if _generic(found.get("enhanced")) and (found.get("text") or found.get("code")):
        found["enhanced"] = None
    if found.get("text"):
        found["text"] = _AFTER_ALL.sub("", found["text"] or "").strip() or found["text"]
    return found


_AFTER_ALL = re.compile(
    r"(?i)(?<=\w): retry timeout exceeded$|(?<=[.)]) I'm not going to try again; this message has been in the queue too long\.?$"
)


def _generic(enhanced: str | None) -> bool:
    """X.0.0 says nothing (RFC 3463 3.1): the words count."""
    return bool(enhanced) and str(enhanced).endswith(".0.0")


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return str(part.get_payload())
    for charset in (part.get_content_charset() or "utf-8", "utf-8", "latin-1"):
        try:
            return payload.decode(charset)
        except (LookupError, UnicodeDecodeError):
            continue
    return payload.decode("latin-1")


def _plain(html: str) -> str:
    from html import unescape

    text = re.sub(r"(?is)<(script|style)\b.{0,20000}?</\1>", " ", html)
    text = re.sub(r"(?i)<(?:br|/p|/div|/tr|/h[1-6]|/li)\b[^<>]{0,400}>", "\n", text)
    return unescape(re.sub(r"<[^<>]{0,2000}>", " ", text))


def _fields(message: Message) -> dict[str, str]:
    return {k.lower(): " ".join(str(v).split()) for k, v in message.items()}


def _pasted_report(texts: Sequence[str]) -> list[dict[str, str]]:
    """Delivery report fields pasted without their MIME wrapping."""
    groups: list[dict[str, str]] = []
    current: dict[str, str] = {}
    last = ""
    for text in [*texts, ""]:
        field = _FIELD.match(text.strip()) if text.strip() else None
        name = field[1].lower() if field else ""
        if name in _REPORT or name.startswith(("x-postfix", "last-attempt", "will-retry", "received-from")):
            if name in current or (name == "final-recipient" and "final-recipient" in current):
                groups.append(current)
                current = {}
            assert field is not None
            current[name] = text.strip()[field.end() :].strip()
            last = name
        elif text[:1] in {" ", "\t"} and text.strip() and last:
            current[last] += " " + text.strip()
        elif not text.strip():
            last = ""
    groups.append(current)
    return [g for g in groups if g]


def _report(g: dict[str, str], reporter: str | None) -> dict[str, str | None]:
    if "disposition" in g:  # RFC 8098: whatever became of it, the message had reached the mailbox
        named = _ADDRESS.search(g.get("final-recipient") or "")
        read = {"code": None, "enhanced": None, "text": f"Disposition: {g['disposition']}"}
        return {**read, "rcpt_to": named[0] if named else None, "status": "sent", "cite": "Disposition", "reporter": reporter}
    recipient = _ADDRESS.search(g.get("original-recipient") or "") or _ADDRESS.search(g.get("final-recipient") or "")
    final = _ADDRESS.search(g.get("final-recipient") or "")
    diagnostic = g.get("diagnostic-code", "")
    kind, _, words = diagnostic.partition(";") if re.match(r"[A-Za-z0-9-]{1,30}\s*;", diagnostic) else ("", "", diagnostic)
    read = split_reply(words.strip())
    status = re.search(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", g.get("status", ""))
    remote = g.get("remote-mta", "").partition(";")[2].strip() or None
    action = g.get("action", "failed").split(" ")[0].strip("();,").lower()
    by_remote = kind.strip().lower() == "smtp" and read["code"] is not None
    return {
        "rcpt_to": (final or recipient)[0] if (final or recipient) else None,  # type: ignore[index]
        "status": _ACTIONS.get(action, "bounced"),
        "code": read["code"],
        "enhanced": read["enhanced"] or (status[0] if status else None),
        "text": read["text"] or words.strip() or None,
        "stage": _first(_STAGE, words),
        "said_by": (remote or _host(words)) if by_remote or remote else None,
        "said_by_ip": remote,
        "cite": "Diagnostic-Code" if diagnostic else "Status",
        "reporter": reporter,
    }


_ERROR_CODE = re.compile(r"(?i)ERROR_CODE ?:([45][0-9]{2}|[45]\.[0-9]{1,3}\.[0-9]{1,3}),? ?(?:ERROR_CODE ?:(?![45][0-9.]))?")  # Zoho
_QUOTED_REPLY = re.compile(r"(?i)returned '([45][0-9]{2} [^']{3,600})'")


def split_reply(words: str) -> dict[str, str | None]:
    """The code, the enhanced code and the text of a reply somewhere in *words*; its lines are one."""
    words = " ".join(words.split())
    quoted = _QUOTED_REPLY.findall(words)
    if quoted:  # Exchange: the last hop's words, not its own "message delayed"
        words = next((q for q in quoted if " 4.4.7 " not in q), quoted[0])
    words = _ERROR_CODE.sub(lambda m: f"{m[1]} ", words)
    said = re.search(
        r"(?i)(?:said|reported error|remote server returned|reply was|responded with|error was|returned|response(?: from the remote server)? was):?\s+['\"\u201c]?",
        words,
    )
    tail = words[said.end() :] if said else words
    for text in (tail, words):
        found = _REPLY.search(text)
        if found and (found.start() < 80 or found[2] or said):
            code = found[1]
            rest = _CONTINUED.sub("", found[3]) if f" {code}-" in found[3] else found[3]
            enhanced = found[2]
            if enhanced:
                rest = rest.replace(f" {enhanced} ", " ")
            return {"code": code, "enhanced": enhanced, "text": rest.strip(" '\"\u201d>") or None}
    found = _STATUS.search(words)
    if found:
        after = found[2].strip(" )>,.;")
        # qmail puts its code behind the words: "Sorry, no mailbox here by that name. (#5.1.1)"
        behind = len(after) < 12 or words[: found.start()].rstrip().endswith("(")
        return {"code": None, "enhanced": found[1], "text": (words if behind else found[2].strip()) or None}
    return {"code": None, "enhanced": None, "text": words or None}


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _host(text: str) -> str | None:
    found = _SAID_BY.search(text)
    return found[1] if found else None


# ---- what people read ------------------------------------------------------------------------------------------------
_DELAYED = re.compile(
    r"(?i)warning|delayed|will (be retried|continue|keep trying|retry)|still (being|trying)|temporar|not yet been delivered"
)
_CUT = re.compile(
    r"(?i)^\W*(-{2,} ?(original message|returned message|this is a copy|below this line|included is|the header|forwarded|message header)|"
    r"--- ?(below this line|enclosed)|original message headers?:|original message follows|------ this is a copy)"
)


def _said(text: str) -> Iterator[dict[str, str | None]]:
    """Recipients and reasons in the text of a bounce: a reason is what stands between one address and the next."""
    lines: list[str] = []
    for line in text.splitlines()[:_MOST_BODY]:
        if _CUT.match(line):
            break
        lines.append(line)
    body = "\n".join(lines)
    warns = re.search(
        r"(?i)warning (message )?only|it will be retried until|not yet been delivered|will keep trying|delivery attempts will continue",
        body,
    )
    status = (
        "deferred"
        if warns or (_DELAYED.search(body[:1500]) and not re.search(r"(?i)permanent|failed permanently|could not be delivered", body))
        else "bounced"
    )
    transcript = list(_transcript(lines))
    if transcript:
        yield from ({**r, "status": status} for r in transcript)
        return
    blocks = _blocks(lines)
    if blocks and not any(_REPLY.search(words) or _STATUS.search(words) for _, words in blocks):
        before = split_reply(" ".join(_without_frame(list(itertools.takewhile(lambda line: not _HEAD.match(line), lines)))))
        if before["code"] or before["enhanced"]:  # first the reason, then whom it concerns
            yield from (
                {**before, "rcpt_to": rcpt, "status": status, "stage": None, "said_by": None, "cite": before["text"]} for rcpt, _ in blocks
            )
            return
    found = False
    for recipient, words in blocks:
        reply = split_reply(words)
        if reply["text"] is None and reply["enhanced"] is None:
            continue
        found = True
        yield {
            **reply,
            "rcpt_to": recipient,
            "status": status,
            "stage": _first(_STAGE, words),
            "said_by": _host(words) if reply["code"] else None,
            "said_by_ip": words[:300],
            "cite": recipient,
        }
    if not found and body.strip():
        reply = split_reply(" ".join(_without_frame(lines))[:3000])
        address = _ADDRESS.search(body)
        named = address[0] if address else None
        yield {**reply, "rcpt_to": named, "status": status, "stage": _first(_STAGE, body), "said_by": None, "cite": named}


_FRAME = re.compile(
    r"(?i)^\W*(subject|sent|date|from|to|cc|message[- ]id|the (subject|date|identifier) of)\b.{0,20}:|^\W*$|"
    r"^\W*(i'm sorry|i'm afraid|please do not|for further assistance|if you do so|this message was created automatically|"
    r"this is an automatic|the mail system|your message\W*$|hi!?\W*$|the following address|a message that you sent|recipients?\. this is a perm)"
)


def _without_frame(lines: Sequence[str]) -> list[str]:
    """The lines that may hold a reason: not the fields of the message returned, not what every bounce says."""
    return [line.strip() for line in lines if not _FRAME.match(line)]


_TALKING = re.compile(r"(?i)^\W*(?:while talking to|connected to|connecting to) \[?([A-Za-z0-9.-]{3,255}?)\.?\]?:?\s*$")
_TURN = re.compile(r"^(?:[^<>]{0,40}: ?)?\s{0,8}(?:(>>>|-->)|(<<<|<--)) ?(.{0,600})$")
_SENT = re.compile(r"(?i)^\s*(?:(?:hMailServer|Server|We) sent:|Sent (?:<<<|>>>)) (.{0,300})$")
_REPLIED = re.compile(r"(?i)^\s*(?:remote server (?:replied|returned|said):|Received (?:<<<|>>>)) ([45][0-9]{2}.{0,600})$")
_FATAL = re.compile(
    r"(?i)^\s{0,4}<?(" + _ADDRESS.pattern + r")>?\s*(?:\([^()]{0,200}\))?:?\s*$|^\W*failed address: *<?(" + _ADDRESS.pattern + ")"
)
_OWN = re.compile(r"^([45][0-9]{2}) (?:([45]\.[0-9]{1,3}\.[0-9]{1,3}) )?<?(" + _ADDRESS.pattern + r")>?\.\.\. (.{3,300})$")


def _transcript(lines: Sequence[str]) -> Iterator[dict[str, str | None]]:
    """What a transcript of the session shows (Sendmail, Courier, MDaemon): each failed reply with its command."""
    host = command = None
    fatal: list[str] = []
    failed: list[dict[str, str | None]] = []
    own: list[dict[str, str | None]] = []
    reply: list[str] = []
    for line in lines:
        if found := _TALKING.match(line):
            host = found[1]
        elif found := _FATAL.match(line):
            fatal.append(found[1] or found[2])
        elif found := _OWN.match(line):
            own.append(
                {
                    "code": found[1],
                    "enhanced": None if _generic(found[2]) else found[2],
                    "text": found[4],
                    "rcpt_to": found[3],
                    "stage": None,
                    "said_by": None,
                    "cite": line,
                }
            )
        elif (found := _TURN.match(line)) or _SENT.match(line) or _REPLIED.match(line):
            sent, said = _turn(line)
            if sent:
                command, reply = sent, []
            elif said:
                reply.append(said)
                if re.match(r"[45][0-9]{2}(?!-)", said):
                    stage = command or ("initial connection" if host else None)  # the command stands before its reply
                    failed.append({**_one_reply(reply), "stage": stage, "said_by": host, "cite": reply[0]})
                if not re.match(r"[0-9]{3}-", said):
                    reply = []
    yield from _by_recipient(failed, own, fatal)


def _turn(line: str) -> tuple[str | None, str | None]:
    """``(command, reply line)`` of a line of a transcript."""
    if found := _SENT.match(line):
        return found[1].strip(), None
    if found := _REPLIED.match(line):
        return None, found[1].strip()
    found = _TURN.match(line)
    if found is None:
        return None, None
    return (found[3].strip(), None) if found[1] else (None, found[3].strip())


def _one_reply(lines: Sequence[str]) -> dict[str, str | None]:
    """The reply of which these are the lines: its codes once, its words joined."""
    enhanced = None
    words = []
    for line in lines:
        found = re.match(r"([45][0-9]{2})[ -]?(?:#?([45]\.[0-9]{1,3}\.[0-9]{1,3})\b:?)?\s*(.*)$", line)
        if found:
            enhanced = enhanced or found[2]
            words.append(found[3].strip())
    return {"code": lines[-1][:3], "enhanced": None if _generic(enhanced) else enhanced, "text": " ".join(w for w in words if w) or None}


def _by_recipient(
    failed: Sequence[dict[str, str | None]], own: Sequence[dict[str, str | None]], fatal: Sequence[str]
) -> Iterator[dict[str, str | None]]:
    """One failure for each recipient: the reply to its own command, else one that names it, else the first."""
    told = list(dict.fromkeys([*fatal, *(str(o["rcpt_to"]) for o in own)]))
    named = [str(a[0]) for f in failed if (a := _ADDRESS.search(f["stage"] or "")) and (f["stage"] or "").upper().startswith("RCPT")]
    recipients: list[str | None] = [*(told or dict.fromkeys(named))]
    for rcpt in recipients or [None]:
        mine = [f for f in failed if rcpt and rcpt.lower() in (f["stage"] or "").lower()]
        mine = mine or [f for f in failed if rcpt and rcpt.lower() in (f["text"] or "").lower()]
        mine = mine or [f for f in failed if not (f["stage"] or "").upper().startswith("RCPT")]
        mine = mine or ([] if any(o["rcpt_to"] == rcpt for o in own) else list(failed))
        mine = mine or [o for o in own if o["rcpt_to"] == rcpt]
        if mine:
            stage = re.match(r"(?i)(MAIL FROM|RCPT TO|initial connection|[A-Z.]{1,8})", mine[0]["stage"] or "")
            yield {**mine[0], "rcpt_to": rcpt, "stage": stage[1] if stage else None}


_HEAD = re.compile(r"^\s{0,12}(?:\W{0,3})<?(" + _ADDRESS.pattern + r")>?(\s*\([^()]{0,200}\))?\s*(:?)\s*(.*)$")


def _blocks(lines: Sequence[str]) -> list[tuple[str, str]]:
    """``(recipient, reason)``: from a line that begins with an address to the next such line."""
    blocks: list[tuple[str, list[str]]] = []
    depth = 0
    for line in lines:
        head = _HEAD.match(line)
        indent = len(line) - len(line.lstrip())
        if head and blocks and indent > depth and any(w.strip() for w in blocks[-1][1]) and blocks[-1][0] == head[1]:
            blocks[-1][1].append(line)  # a folded reply that goes on with the address
        elif head and (head[3] or not head[4] or line.lstrip().startswith("<")):
            if blocks and not any(w.strip() for w in blocks[-1][1]) and blocks[-1][0] == head[1]:
                continue
            blocks.append((head[1], [head[4] or (head[2] or "").strip(" ()")]))
            depth = indent
        elif blocks:
            blocks[-1][1].append(line)
    merged: dict[str, str] = {}
    for address, words in blocks:
        text = " ".join(" ".join(words).split())
        if text and (address not in merged or (_REPLY.search(text) and not _REPLY.search(merged[address]))):
            merged[address] = text[:1500]  # the words for administrators count more than those for everybody
    return list(merged.items())
