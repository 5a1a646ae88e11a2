"""Bounces and headers: whole messages, which no line grammar can say (MIME; RFC 3464 and what people read)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.model.events import Attempt, Event, Header
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60}):(?:[ \t]|$)")
_KNOWN = frozenset(
    ["received", "return-path", "from", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type", "delivered-to", "x-original-to", "reply-to", "dkim-signature", "authentication-results", "received-spf", "sender", "auto-submitted", "x-failed-recipients", "references", "in-reply-to"]
)
_REPORT = frozenset(["reporting-mta", "final-recipient", "action", "status", "diagnostic-code", "remote-mta", "original-recipient", "arrival-date"])
_MBOX = re.compile(r"From \S+ +(?:\S+ ){2,8}")
_INTRO = re.compile(
    r"(?i)^\W{0,4}(this is the mail system at host|hi\. this is the |this message was created automatically by (the )?mail delivery|"
    r"the original message was received at|delivery to the following recipients?|your message (wasn't|could not be|was not|couldn't be) delivered|"
    r"delivery has failed to these recipients|this is an automatically generated delivery status|"
    r"your mail message to the following address|a message (that )?you sent (could|to the)|"
    r"i'm afraid i wasn't able to deliver your message|message delivery has been delayed|"
    r"there was a temporary problem delivering your message|your message did not reach|"
    r"sorry, we were unable to deliver your message|address not found|message blocked|message not delivered|"
    r"(reporting-mta|final-recipient|diagnostic-code): *[a-z0-9])"
)
_MACHINE = re.compile(
    r"(?i)mailer-daemon|postmaster|mail delivery (sub)?system|mail-daemon|microsoftexchange|daemon@|<>|delivery-status|"
    r"undeliver|returned mail|delivery (status|failure|notification|delayed)|failure notice|mail delivery failed|non ?remis|unzustellbar"
)
_REPLY = re.compile(r"(?<![0-9.#-])#?([45][0-9]{2})[ -]+(?:#?\(?([45]\.[0-9]{1,3}\.[0-9]{1,3})\)?:?[ -]*)?(?=\S)(.{0,600})")
_STATUS = re.compile(r"(?<![0-9.])#?([45]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])[>;: -]*(.{0,600})")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+=&'/-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}")
_SAID_BY = re.compile(r"(?i)(?:host|talking to|server|from|by|connected to)\s+\[?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+){1,8})\.?\]?")
_STAGE = re.compile(r"(?i)(?:in reply to (?:the )?|after |>>> ?)(end of (?:DATA|message)|MAIL FROM|RCPT TO|DATA|EHLO|HELO|STARTTLS|AUTH|MAIL|RCPT|pipelined)")
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
    starts: list[tuple[int, int, bool]] = []
    index = 0
    while index < len(lines):
        begins = index == 0 or not lines[index - 1].text.strip() or bool(_MBOX.match(lines[index].text))
        end, names = _header(lines, index) if begins else (index, [])
        if len(_KNOWN.intersection(names)) >= 2:
            starts.append((index, end, _is_bounce(lines, index, end)))
            index = max(end, index + 1)
            if starts[-1][2]:
                index = _next_message(lines, index)
        elif begins and _INTRO.match(lines[index].text) and _no_session(lines, index):
            starts.append((index, index, True))
            index = _next_message(lines, index + 1)
        else:
            index += 1
    ranges = []
    for at, (start, end, whole) in enumerate(starts):
        following = starts[at + 1][0] if at + 1 < len(starts) else len(lines)
        ranges.append((start, following if whole else end))
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
    return bool(_MACHINE.search(head) or "multipart/" in head.lower() or "x-failed-recipients" in head.lower())


def _next_message(lines: Sequence[Line], index: int) -> int:
    while index < len(lines) and not _MBOX.match(lines[index].text):
        index += 1
    return index


def _no_session(lines: Sequence[Line], index: int) -> bool:
    return not any(line.text.startswith(("220 ", "Trying ", "354 ", "=== ")) for line in lines[max(0, index - 30): index + 3])


# ---- reading ---------------------------------------------------------------------------------------------------------
def events(segment: Segment, _fmt: Format) -> tuple[list[Event], list[int]]:
    """Header fields, and an attempt for each recipient that the message reports on."""
    reader = _Reader(segment)
    return reader.events(), []


class _Reader:
    def __init__(self, segment: Segment) -> None:
        self.source, self.lines = segment.source, segment.lines
        start = 1 if segment.lines and _MBOX.match(segment.lines[0].text) else 0
        self.body_at, names = _header(segment.lines, 0) if segment.lines else (0, [])
        if not _KNOWN.intersection(names):
            self.body_at = 0
        import email.policy  # takes its time to import: only where there is a message

        self.message: Message = email.message_from_string(
            "\n".join(line.text for line in segment.lines[start:]), policy=email.policy.compat32)

    def events(self) -> list[Event]:
        """Everything that the message says, in the order of its lines."""
        found: list[Event] = list(self._headers()) if self.body_at else []
        reports, original = self._reports()
        texts = "\n\n".join(self._texts())
        if not reports:
            reports = list(_said(texts))
        if reports and not any(r.get("text") or r.get("enhanced") for r in reports):
            reports = list(_said(texts)) or reports
        for report in reports:
            if len(report.get("text") or "") < 12 and (more := _about(report.get("rcpt_to"), texts)):
                report["text"] = f"{report.get('text') or ''} {more}".strip()
            found.append(self._attempt(report, original))
        return found

    def _place(self, *words: str | None) -> Place:
        """The line that holds the first of *words* that is found below the header."""
        for word in words:
            short = (word or "").strip()[:40]
            if len(short) < 4:
                continue
            for line in self.lines[self.body_at:]:
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
                name, value, number = field[1], line.text[field.end():].strip(), line.number

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
            if kind in {"message/rfc822", "text/rfc822-headers", "message/delivery-status", "message/global"}:
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
            if kind in {"message/delivery-status", "message/global-delivery-status"}:
                payload = part.get_payload()
                inner = _messages(payload) or [email.message_from_string(str(payload))]
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
            _report(g, reporter) for g in groups
            if {"final-recipient", "original-recipient"} & g.keys() or ({"diagnostic-code", "status"} & g.keys() and "action" in g)
        ], original

    def _attempt(self, r: dict[str, str | None], original: dict[str, str]) -> Attempt:
        code = r.get("code")
        sender = original.get("return-path") or original.get("from")
        found = _ADDRESS.search(sender or self.message.get("To") or "")
        said_ip = re.search(r"\[?((?:[0-9]{1,3}\.){3}[0-9]{1,3})\]?", r.get("said_by_ip") or "")
        return Attempt(
            place=self._place(r.get("cite"), r.get("text"), r.get("rcpt_to")), format="bounce", mail_from=found[0] if found else None,
            rcpt_to=r.get("rcpt_to"), enhanced=r.get("enhanced"), status=r.get("status") or "bounced",
            code=int(code) if code else None, text=r.get("text"), said_by=r.get("said_by"), stage=r.get("stage"),
            said_by_ip=said_ip[1] if said_ip else None, message_id=original.get("message-id"),
            time=self.message.get("Date"),
        )


def _messages(payload: object) -> list[Message]:
    from email.message import Message

    return [m for m in payload if isinstance(m, Message)] if isinstance(payload, list) else []


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
            current[name] = text.strip()[field.end():].strip()
            last = name
        elif text[:1] in {" ", "\t"} and text.strip() and last:
            current[last] += " " + text.strip()
        elif not text.strip():
            last = ""
    groups.append(current)
    return [g for g in groups if g]


def _report(g: dict[str, str], reporter: str | None) -> dict[str, str | None]:
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
        "status": _ACTIONS.get(action, "bounced"), "code": read["code"],
        "enhanced": read["enhanced"] or (status[0] if status else None),
        "text": read["text"] or words.strip() or None, "stage": _first(_STAGE, words),
        "said_by": (remote or _host(words)) if by_remote or remote else None, "said_by_ip": remote,
        "cite": "Diagnostic-Code" if diagnostic else "Status", "reporter": reporter,
    }


def split_reply(words: str) -> dict[str, str | None]:
    """The code, the enhanced code and the text of a reply somewhere in *words*; its lines are one."""
    words = " ".join(words.split())
    said = re.search(r"(?i)(?:said|reply was|responded with|error was|returned|response(?: from the remote server)? was):?\s+['\"\u201c]?", words)
    tail = words[said.end():] if said else words
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
        return {"code": None, "enhanced": found[1], "text": found[2].strip() or None}
    return {"code": None, "enhanced": None, "text": words or None}


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _host(text: str) -> str | None:
    found = _SAID_BY.search(text)
    return found[1] if found else None


# ---- what people read ------------------------------------------------------------------------------------------------
_DELAYED = re.compile(r"(?i)warning|delayed|will (be retried|continue|keep trying|retry)|still (being|trying)|temporar|not yet been delivered")
_CUT = re.compile(
    r"(?i)^\W*(-{2,} ?(original message|this is a copy|below this line|included is|the header|forwarded|message header)|"
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
    status = "deferred" if _DELAYED.search(body[:1500]) and not re.search(r"(?i)permanent|failed permanently|could not be delivered", body) else "bounced"
    blocks = _blocks(lines)
    found = False
    for recipient, words in blocks:
        reply = split_reply(words)
        if reply["text"] is None and reply["enhanced"] is None:
            continue
        found = True
        yield {**reply, "rcpt_to": recipient, "status": status, "stage": _first(_STAGE, words), "said_by": _host(words) if reply["code"] else None,
               "said_by_ip": words[:300], "cite": recipient}
    if not found and body.strip():
        reply = split_reply(body[:3000])
        address = _ADDRESS.search(body)
        named = address[0] if address else None
        yield {**reply, "rcpt_to": named, "status": status, "stage": _first(_STAGE, body), "said_by": None, "cite": named}


_HEAD = re.compile(r"^\s{0,12}(?:\W{0,3})<?(" + _ADDRESS.pattern + r")>?(?:\s*\([^()]{0,200}\))?\s*(:?)\s*(.*)$")


def _blocks(lines: Sequence[str]) -> list[tuple[str, str]]:
    """``(recipient, reason)``: from a line that begins with an address to the next such line."""
    blocks: list[tuple[str, list[str]]] = []
    for line in lines:
        head = _HEAD.match(line)
        if head and (head[2] or not head[3] or line.lstrip().startswith("<")):
            if blocks and not any(w.strip() for w in blocks[-1][1]) and blocks[-1][0] == head[1]:
                continue
            blocks.append((head[1], [head[3]]))
        elif blocks:
            blocks[-1][1].append(line)
    merged: dict[str, str] = {}
    for address, words in blocks:
        text = " ".join(" ".join(words).split())
        if text:
            merged.setdefault(address, text[:1500])
    return list(merged.items())


def _about(recipient: str | None, text: str) -> str | None:
    """What the text says of *recipient*, where its report says too little."""
    if not recipient:
        return None
    return next((words[:400] for address, words in _blocks(text.splitlines()[:_MOST_BODY]) if address.lower() == recipient.lower()), None)
