"""Bounces and headers: whole messages, which no line grammar can say (MIME; RFC 3464).  What they say to people: `bounce_text`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.hooks.bounce_text import (
    ADDRESS,
    ADDRESS_IN_FIELD,
    MOST_BODY,
    RETURNED_PART,
    Told,
    address_in,
    after_all,
    first_name,
    generic,
    host_in,
    said,
    split_reply,
    stage_in,
    tried,
    until_original,
)
from analyzer.model.events import Attempt, Event, Header, Reported
from analyzer.model.place import Place
from analyzer.read.prose import is_prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_FIELD = re.compile(r"[`*]{0,2}([A-Za-z][A-Za-z0-9-]{0,60}):(?:[ \t]|$)")
_EMPTY = re.compile(
    r"(?i)(?:x-|arc-|authentication-|received-|dkim-)[A-Za-z0-9-]{1,60}:[ \t]*"
)  # a field whose value follows on the next line
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
        "sent",
    ]
)
_TRACE = frozenset(
    [
        "received",
        "received-spf",
        "authentication-results",
        "arc-authentication-results",
        "dkim-signature",
        "x-forefront-antispam-report",
        "x-microsoft-antispam-mailbox-delivery",
        "x-ms-exchange-organization-scl",
        "x-spam-status",
        "x-spamd-result",
    ]
)
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
        "last-attempt-date",
        "will-retry-until",
        "original-envelope-id",
        "received-from-mta",
        "dsn-gateway",
        "x-postfix-queue-id",
        "x-postfix-sender",
    ]
)
_EXTENSIONS = (
    "x-postfix",
    "x-original-message",
    "x-display",
    "x-actual-",
    "x-supplementary-",
)  # what mail systems add to a report's fields
_PROSE = re.compile(r"[A-Za-z][A-Za-z ,.'()!?-]{0,60}(?: [A-Za-z,.'()!?-]{1,30}){2,20}$")  # what somebody writes before a quotation
_ELSE = re.compile(r"; <<>> DiG|;; |[$#] |[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}|220[ -]|Trying \S{1,80}\.{3}|telnet ")
_STAMPED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [0-9]{4}-|[0-9]{3}[ -]|[A-Z]{4} ")
_LEADS = re.compile(
    rf"\s{{0,8}}(?:<?{ADDRESS.pattern}>?:?\s*$|host \S{{1,255}} \[)"
)  # Exim: the recipient and the host stand before the reply
_RECIPIENT = re.compile(rf"<?{ADDRESS.pattern}>?(?: \([^()]{{1,320}}\))?:\s*")
_ITS_REASON = re.compile(  # Postfix, Qmail, Courier; what begins otherwise is part of a reply
    rf"(?i)<{ADDRESS.pattern}>(?: \([^()]{{1,320}}\))? ?: "
    r"(?:[45][0-9]{2}[ -]\S|(?!(?:recipient|sender|relay|client|helo)\b)[a-z][a-z']{0,20} [^\s:<>])"
)
_SURE_REPORT = re.compile(r"(?i)(?:reporting-mta|final-recipient|diagnostic-code|feedback-type): *[a-z0-9]")
_MBOX = re.compile(r"From \S+ +(?:\S+ ){2,8}")
_QUOTE = re.compile(r"^(?:[>|] ?){1,4}")
_FORWARDED = re.compile(r"(?i)^\W{0,4}-{2,}.{0,60}-{2,}\s*$|^\W{0,4}begin forwarded message:|^_{8,}\s*$|^`{3}")
_ACTIONS = {
    "failed": "bounced",
    "delayed": "deferred",
    "delivered": "sent",
    "relayed": "sent",
    "expanded": "sent",
    "deliverable": "deliverable",
}
_MOST_PARTS = 40
_MOST_FIELDS = 30
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RECEIPTS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_RETURNED = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})


# ---- which lines -----------------------------------------------------------------------------------------------------
def claim(lines: Sequence[Line], fmt: Format) -> list[tuple[int, int]]:
    """The ranges of *lines* that are messages: a header with at least two known fields, to the next message or the end."""
    ranges: list[tuple[int, int]] = []
    lines = _in_english(_unquoted(lines), fmt)
    index = 0
    while index < len(lines):
        before = lines[index - 1].text if index else ""
        begins = not before.strip() or _begins_anywhere(lines[index].text) or bool(_FORWARDED.match(before))
        end, names = _header(lines, index) if begins else (index, [])
        if len(_KNOWN.intersection(names)) >= 2 or not _TRACE.isdisjoint(names):
            whole = _is_whole(lines, index, end, fmt)
            ranges.append((index, _next_message(lines, max(end, index + 1), fmt) if whole else end))
            index = max(ranges[-1][1], index + 1)
        elif (how := _speaks(lines, index, fmt, begins=begins)) and _no_session(lines, index):
            first = index
            while how == _FRAGMENTARY and first > (ranges[-1][1] if ranges else 0) and _LEADS.match(lines[first - 1].text):
                first -= 1
            if how == _WHOLE:
                first = _heading_of(lines, index, ranges[-1][1] if ranges else 0, fmt)
            ranges.append((first, _next_message(lines, index + 1, fmt, fragment=how == _FRAGMENTARY)))
            index = ranges[-1][1]
        elif index + 1 < len(lines) and _DELIMITER.fullmatch(lines[index].text) and _CONTENT.match(lines[index + 1].text):
            ranges.append((_text_before(lines, index, ranges[-1][1] if ranges else 0), _next_message(lines, index + 1, fmt)))
            index = ranges[-1][1]
        else:
            index += 1
    return ranges


def _text_before(lines: Sequence[Line], index: int, stop: int) -> int:
    """Where the text begins that stands, its own beginning lost, before the part of a report at *index*; *index* where it is no such part."""
    if not any(_REPORTED.match(line.text) for line in lines[index + 1 : index + 1 + _MOST_PART_FIELDS]):
        return index
    first = index
    while first > stop and index - first < _MOST_FIELDS and _is_told(lines[first - 1].text):
        first -= 1
    return first


def _is_told(text: str) -> bool:
    """Whether *text* may be a line of what a report tells people: words, a recipient, the rest of a part's own fields."""
    return not text.strip() or bool(_CONTENT.match(text) or ADDRESS.fullmatch(text.strip(" \t<>:"))) or is_prose(text)


def _begins_anywhere(text: str) -> bool:
    """Whether a message begins here though no blank line stands before: at a line of a mailbox, at a field that only mail servers write."""
    field = _FIELD.match(text)
    return bool(_MBOX.match(text) or (field and field[1].lower() in _TRACE))


def _header(lines: Sequence[Line], start: int) -> tuple[int, list[str]]:
    """The end of the header that begins at *start*, and the names of its fields in lower case."""
    names: list[str] = []
    index = start + (1 if _MBOX.match(lines[start].text) else 0)
    while index < len(lines):
        text = lines[index].text
        field = _FIELD.match(text)
        if field:
            names.append(field[1].lower())
        elif index > start and _EMPTY.fullmatch(lines[index - 1].text) and text.strip():
            pass  # a long value copied onto a line of its own
        elif not (names and text[:1] in {" ", "\t"} and text.strip()):
            break
        index += 1
    return index, names


_WHOLE, _FRAGMENTARY = 2, 1
_ALONE = re.compile(rf"\s{{0,20}}(?:[-*\u2022] )?[<\[(\"']?{ADDRESS.pattern}[>\])\"']?(:|\uff1a)?\s*")
_MOST_OPENING = 10
_WIDEST_HEADING = 90
_SHOWN = re.compile(r"\W{0,4}([^\W\d_][^:\uff1a<>@=\[\]]{0,24}?)\W{0,2}[ \u00a0\u3000]?[:\uff1a]\W{0,2}(?:\s(.*)|([^\s/].*)|)")
_MOST_SHOWN, _LEAST_SHOWN = 8, 3


def _speaks(lines: Sequence[Line], index: int, fmt: Format, *, begins: bool) -> int:
    """Whether a report without its header begins at *index*: with words that only mail systems use, with a recipient, with its fields."""
    line = lines[index]
    if line.envelope is not None or not line.text.strip() or line.text[0].isdigit():
        return 0
    text = line.text.lstrip(" \t*#=>_|~[(\"'")
    before, _, behind = text.rpartition(": ")
    if fmt.words("intro").match(text) or (_PROSE.match(before) and fmt.words("intro").match(behind.lstrip())):
        return _WHOLE
    recipient = _RECIPIENT.match(line.text)
    if fmt.words("fragment").match(text) or (recipient and fmt.words("after-address").match(line.text, recipient.end())):
        return _FRAGMENTARY
    if not begins:
        return 0
    if _ITS_REASON.match(line.text) or _told_below(lines[index : index + _MOST_OPENING]):
        return _FRAGMENTARY
    to_you = fmt.words("to-you").match(text) and ADDRESS.search(text)
    if fmt.words("opening").match(text) and (to_you or _names_recipient(lines[index : index + _MOST_OPENING])):
        return 0 if any(_is_captured(near) for near in lines[index : index + _MOST_FIELDS]) else _WHOLE
    for near in lines[index : index + _MOST_FIELDS]:
        if not near.text.strip() or near.envelope is not None:
            return 0
        if _SURE_REPORT.match(near.text):
            return _WHOLE
    return 0


def _names_recipient(lines: Sequence[Line]) -> bool:
    """Whether *lines* name a recipient as reports do: an address on a line of its own, behind a colon or with one."""
    said = [line for line in lines if line.text.strip()]
    return any(
        (found := _ALONE.fullmatch(line.text)) and line.envelope is None and (found[1] or before.text.rstrip().endswith((":", "\uff1a")))
        for before, line in itertools.pairwise(said)
    )


_QMAIL_CODE = re.compile(r"\(#[45]\.[0-9]{1,3}\.[0-9]{1,3}\)")


def _told_below(lines: Sequence[Line]) -> bool:
    """Whether *lines* begin with a recipient, as Qmail writes it, whose reason follows: with a code behind it, or in a sentence."""
    alone = _ALONE.fullmatch(lines[0].text)
    if not alone or not alone[1] or not lines[0].text.startswith("<"):
        return False
    told = list(itertools.takewhile(str.strip, (line.text for line in lines[1:])))
    return any(_QMAIL_CODE.search(text) for text in told) or (len(told) == 1 and is_prose(told[0]))


def _is_captured(line: Line) -> bool:
    """Whether *line* is of a log, a session or a tool: what stands before it in a person's words is no report."""
    return line.envelope is not None or bool(_SESSION.match(line.text) or _ELSE.match(line.text))


def _heading_of(lines: Sequence[Line], index: int, stop: int, fmt: Format) -> int:
    """Where the heading begins that stands above a report at *index*: what its subject would be, on a line of its own."""
    first = index
    while first > stop and index - first < 2 and not lines[first - 1].text.strip():
        first -= 1
    above = lines[first - 1].text.strip() if first > stop else ""
    heads = 0 < len(above) <= _WIDEST_HEADING and lines[first - 1].envelope is None and fmt.words("machine-subject").search(above)
    return first - 1 if heads and not above.endswith((".", ",")) else index


_BOLD = re.compile(r"<\*\*(?=[^\s<>*])|(?<=[^\s<>*])\*\*>")


def _in_english(lines: list[Line], fmt: Format) -> list[Line]:
    """*lines*, the fields of a header as a mail program shows them to its user with the names that they have in the message."""
    lines = [
        msgspec.structs.replace(line, text=_BOLD.sub(lambda m: m[0].strip("*"), line.text)) if "**" in line.text else line for line in lines
    ]
    found = list(lines)
    index = 0
    while index < len(lines):
        names: list[tuple[str, str]] = []
        while len(names) < _MOST_SHOWN and index + len(names) < len(lines):
            line = lines[index + len(names)]
            shown = _shown(line.text, fmt) if line.envelope is None else None
            if shown is None:
                break
            names.append(shown)
        if len(names) >= _LEAST_SHOWN and {"From", "Subject"} <= {name for name, _ in names}:
            for at, (name, value) in enumerate(names, index):
                found[at] = msgspec.structs.replace(lines[at], text=f"{name}: {value}")
        index += len(names) or 1
    return found


def _shown(text: str, fmt: Format) -> tuple[str, str] | None:
    """The name, in English, and the value of the field that *text* shows."""
    found = _SHOWN.fullmatch(text)
    if not found:
        return None
    name = next((n for n in ("From", "To", "Subject", "Date") if fmt.words(f"field-{n.lower()}").fullmatch(found[1])), None)
    return (name, (found[2] or found[3] or "").strip()) if name else None


def _is_whole(lines: Sequence[Line], start: int, end: int, fmt: Format) -> bool:
    """Whether the body belongs to the message: a mail system's is evidence; an absent person's, or one in MIME, is none."""
    head = "\n".join(line.text for line in lines[start:end])
    if speaks_as_machine(head, fmt) or "multipart/" in head.lower() or _is_absent(head, fmt):
        return True
    return _is_receipt(head, fmt) and any(fmt.words("read").search(line.text) for line in lines[end : end + _MOST_OPENING])


def _unfolded(head: str) -> str:
    """*head*, one line for each field, its encoded words decoded."""
    from email.header import decode_header, make_header

    found = re.sub(r"\n[ \t]+", " ", head)
    if "=?" not in found:
        return found
    lines = []
    for line in found.splitlines():
        try:
            lines.append(str(make_header(decode_header(line))) if "=?" in line else line)
        except (LookupError, ValueError):
            lines.append(line)
    return "\n".join(lines)


def _values(head: str, name: str) -> list[str]:
    return [line[len(name) + 1 :].strip() for line in head.splitlines() if line.lower().startswith(f"{name}:")]


def speaks_as_machine(head: str, fmt: Format) -> bool:
    """Whether the header *head* is that of a report by a mail system: not an answer to one, not an absent person's."""
    head = _unfolded(head)
    subjects = _values(head, "subject")
    if any(fmt.words("machine-alone").search(v) for v in _values(head, "from")) and not any(
        fmt.words("absent").search(s) for s in subjects
    ):
        return True
    if any(fmt.words("person").match(s) or fmt.words("absent").search(s) for s in subjects):
        return False
    return (
        any(fmt.words("machine-from").search(v) for v in _values(head, "from"))
        or any(fmt.words("machine-subject").search(s) for s in subjects)
        or any(fmt.words("machine-field").search(line) for line in head.splitlines())
    )


def _is_absent(head: str, fmt: Format) -> bool:
    """Whether a program wrote the message for a person who is away, or asks for a confirmation."""
    head = _unfolded(head)
    return any(fmt.words("absent").search(s) for s in _values(head, "subject")) or any(
        fmt.words("absent-field").search(line) for line in head.splitlines()
    )


def _is_receipt(head: str, fmt: Format) -> bool:
    """Whether the subject in *head* is that of a receipt: so begins what a person answers, too."""
    return any(fmt.words("read-subject").match(s) for s in _values(_unfolded(head), "subject"))


def _next_message(lines: Sequence[Line], index: int, fmt: Format, *, fragment: bool = False) -> int:
    """Where the message ends: at the next one of a mailbox, or where a log or a command's output was pasted after it."""
    while index < len(lines):
        line = lines[index]
        if _MBOX.match(line.text):
            break
        logged = line.envelope is not None and line.envelope.program is not None and line.envelope.host is not None
        dated = line.envelope is not None or bool(_STAMPED.match(line.text))
        if not lines[index - 1].text.strip() and (logged or _ELSE.match(line.text)):
            break
        if fragment and dated and not re.match(r"[45][0-9]{2}[ -]", line.text):
            break
        if _FORWARDED.match(lines[index - 1].text) and line.text.startswith("From:"):
            end, _ = _header(lines, index)
            if speaks_as_machine("\n".join(found.text for found in lines[index:end]), fmt):
                break
        index += 1
    return index


def _unquoted(lines: Sequence[Line]) -> list[Line]:
    """*lines* without the marks of quotation in front of them."""
    return [msgspec.structs.replace(line, text=line.text[found.end() :]) if (found := _QUOTE.match(line.text)) else line for line in lines]


_SESSION = re.compile(r"220 |Trying \S{1,80}\.{3}|354 |=== ")


def _no_session(lines: Sequence[Line], index: int) -> bool:
    return not any(_SESSION.match(line.text) for line in lines[max(0, index - 30) : index + 3])


# ---- reading ---------------------------------------------------------------------------------------------------------
def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """Header fields, and an attempt for each recipient that the message reports on."""
    return _Reader(segment, fmt).events(), []


class _Reader:
    def __init__(self, segment: Segment, fmt: Format) -> None:
        self.source = segment.source
        self.fmt = fmt
        self._seen: tuple[Message, list[str]] | None = None  # what a reader sees of which message
        quoted = sum(1 for line in segment.lines[:12] if _QUOTE.match(line.text)) > min(len(segment.lines), 12) // 2
        lines = segment.lines
        self.lines = tuple(_in_english(_unquoted(lines) if quoted else _lightly_unquoted(lines), fmt))
        if len(self.lines) > 1 and (whole := _mended(self.lines[0].text, self.lines[1].text)):
            self.lines = (msgspec.structs.replace(self.lines[0], text=whole), *self.lines[1:])
        start = 1 if self.lines and _MBOX.match(self.lines[0].text) else 0
        self.body_at, names = _header(self.lines, 0) if self.lines else (0, [])
        if not (_KNOWN | _TRACE).intersection(names):
            self.body_at = 0
        import email.policy  # takes its time to import: only where there is a message

        text = "\n".join(line.text for line in self.lines[start:])
        head = "\n".join(line.text for line in self.lines[start : self.body_at])
        if "multipart/" not in head.lower() and (boundary := _boundary([line.text for line in self.lines[self.body_at :]])):
            text = _with_boundary(head, text[len(head) :].lstrip("\n"), boundary)
        elif not self.body_at and _BREAKS.search(raw := "\n".join(line.raw for line in self.lines)):
            text = "\n" + _plain(raw)  # copied as HTML: its line breaks are not those of the lines
        elif not self.body_at:
            text = f"\n{text}"
        elif (told := _BOUNDARY.search(head)) and f"\n--{told[1]}" not in text:
            text = _TYPE.sub("", head) + text[len(head) :]  # the parts are there, and nothing that tells them apart
        self.message: Message = email.message_from_string(text, policy=email.policy.compat32)
        self.envelope_sender: str | None = None  # of the message returned, where Postfix's report names it
        self.report = self.message  # the report itself, which may be attached to somebody's own message

    def events(self) -> list[Event]:
        """Everything that the message says, in the order of its lines."""
        found: list[Event] = list(self._headers()) if self.body_at else []
        reports, original, pasted = self._reports()
        feedback = list(self._feedback(original))
        speaks = self._is_report()
        if self.body_at and not feedback and not speaks:
            if not reports and (answer := self._answer()):
                return [*found, answer]
            speaks = self._answers_as_report()
            if not self.message.is_multipart() and not speaks:
                return found
        found += feedback
        if not reports and self.body_at and not speaks:
            attached = self._attached()
            if attached is None:
                return found
            self.message = attached
        text = "\n\n".join(self._texts())
        told = said(text, self.fmt.words, self._subject(), _address(self.message.get("To") or ""))
        silent = not any(isinstance(e, Attempt | Reported) for e in found)
        return found + [self._attempt(report, original) for report in self._chosen(reports, told, text, pasted=pasted, silent=silent)]

    def _chosen(self, reports: list[Told], told: list[Told], text: str, *, pasted: bool, silent: bool) -> list[Told]:
        """What is known of each recipient: from the fields of the *reports*, from what the *text* says, from the header."""
        if reports and all(r.cite == _RECEIPT for r in reports):
            reports = self._receipts(reports, told, text)
        if not reports and silent:
            begins = self._begins_as_report()
            reports = [r for r in told if self.body_at or begins or r.rcpt_to or r.code or r.enhanced] or [_NOTHING] * begins
            if not reports and self.body_at and self.fmt.words("machine-subject").search(self._subject()):
                why = "" if self.fmt.words("subject-alone").match(self._subject()) else self._subject()
                reports = [Told(text=why or None, cite="Subject")]  # the body was not copied, and some say in the subject why
        elif reports and not any(r.rcpt_to for r in reports) and any(r.rcpt_to or r.code for r in told):
            known = len(told) == len(reports) == 1 and not told[0].code and (reports[0].code or reports[0].text)
            reports = [msgspec.structs.replace(reports[0], rcpt_to=told[0].rcpt_to)] if known else told
        elif pasted:
            reports += _others(told, reports)  # the fields of one recipient were copied, and the words for all
        named = ADDRESS.findall(self.message.get("X-Failed-Recipients") or "")
        if len(reports) == len(named) == 1 and not reports[0].rcpt_to:
            reports = [msgspec.structs.replace(reports[0], rcpt_to=named[0])]
        return [r if r is _NOTHING else _completed(_led_on(r, text), told) for r in reports]

    def _receipts(self, receipts: list[Told], told: list[Told], text: str) -> list[Told]:
        """What *receipts* say: one may refuse (RFC 5429), and one that tells of deletion may tell of a person who did not care to read."""
        if self.fmt.words("rejected").search(text):
            return [msgspec.structs.replace(r, rcpt_to=receipts[0].rcpt_to) for r in told[:1]]
        if self.fmt.words("unread-subject").match(self._subject()) or self.fmt.words("unread").search(" ".join(text.split())):
            return [msgspec.structs.replace(r, status="sent") for r in receipts]
        return receipts

    def _subject(self) -> str:
        return " ".join(_values(_unfolded(self._head()), "subject"))

    def _is_report(self) -> bool:
        return speaks_as_machine(self._head(), self.fmt)

    def _attached(self) -> Message | None:
        """The report by a mail system that somebody attached to a message of their own."""
        for part in self._parts():
            inner = _messages(part.get_payload()) if part.get_content_type() == "message/rfc822" else []
            if inner and speaks_as_machine("\n".join(f"{k}: {v}" for k, v in inner[0].items()), self.fmt):
                return inner[0]
        return None

    def _is_report_itself(self, message: Message) -> bool:
        return message.is_multipart() and speaks_as_machine("\n".join(f"{k}: {v}" for k, v in message.items()), self.fmt)

    def _place(self, told: Told) -> Place:
        """The line below the header that says it: the words first, and those that stand behind the recipient's name."""
        body = self.lines[self.body_at :]
        rcpt = (told.rcpt_to or "").lower()
        named = [i for i, line in enumerate(body) if rcpt and rcpt in line.text.lower()]
        text = (told.text or "").strip()
        for needle in (text[:40], text[:18], told.cite, told.rcpt_to):
            short = (needle or "").strip().lower()[:40]
            if len(short) < 4:
                continue
            holding = [i for i, line in enumerate(body) if short in line.text.lower()]
            for first in (named[0] if named else 0, 0):
                if (at := next((i for i in holding if i >= first), None)) is not None:
                    return Place(self.source, body[at].number)
        number = self.lines[min(self.body_at, len(self.lines) - 1)].number
        return Place(self.source, number)

    def _headers(self) -> Iterator[Event]:
        name, value, number = "", "", 0
        for line in [*self.lines[: self.body_at], None]:
            field = _FIELD.match(line.text) if line is not None else None
            if line is not None and name and (line.text[:1] in {" ", "\t"} or (not field and not value)):
                value += " " + line.text.strip()
                continue
            if name:
                yield Header(place=Place(self.source, number), format="bounce", name=name, value=value)
                name = ""
            if line is not None and field:
                name, value, number = field[1], line.text[field.end() :].strip(), line.number

    def _parts(self) -> Iterator[Message]:
        for index, part in enumerate(self.message.walk()):
            if index > _MOST_PARTS:
                return
            yield part

    def _texts(self) -> list[str]:
        """What a reader sees of the report: its text parts, not those of the message returned.  Decoded once for each message."""
        if self._seen is None or self._seen[0] is not self.message:
            self._seen = self.message, self._visible()
        return self._seen[1]

    def _visible(self) -> list[str]:
        found: list[str] = []
        for part in self._parts():
            kind = part.get_content_type()
            if kind in _RETURNED | _REPORTS | _RECEIPTS:
                break
            if kind in {"text/plain", "text/html"} and not part.is_multipart():
                text = _decoded(part)
                found.append(_plain(text) if kind == "text/html" or _MARKUP.match(text) else _without_fields(text))
                if kind == "text/plain" and text.strip():
                    break
        return found

    def _reports(self) -> tuple[list[Told], dict[str, str], bool]:
        """The fields of each recipient of a delivery report, the header of the message returned, whether the fields stand in the text."""
        import email

        groups: list[dict[str, str]] = []
        original: dict[str, str] = {}
        for part in self._parts():
            kind = part.get_content_type()
            if kind in _REPORTS | _RECEIPTS:
                groups += _groups(part)
            elif kind in {"text/rfc822-headers", "message/global-headers"} and not original:
                original = _fields(email.message_from_string(_decoded(part)))
            elif kind in _RETURNED and not original:
                returned = _messages(part.get_payload())
                if returned and self._is_report_itself(returned[0]):
                    self.report = returned[0]  # somebody attached it: what it returns follows inside
                else:
                    original = _fields(returned[0]) if returned else {}
        pasted = not groups
        if pasted:
            body = [line.text for line in self.lines[self.body_at :][:MOST_BODY]]
            kept = until_original(body, self.fmt.words)
            groups = _pasted_report(kept)
            original = original or _returned(body[len(kept) :])
        self.envelope_sender = next((g["x-postfix-sender"].partition(";")[2] for g in groups if "x-postfix-sender" in g), None)
        if self.envelope_sender is None and (given := next((m for text in self._texts() if (m := _GIVEN.search(text))), None)):
            self.envelope_sender = given[1]
        reports = [
            _report(g)
            for g in groups
            if {"final-recipient", "original-recipient"} & g.keys()
            or "disposition" in g
            or ({"diagnostic-code", "status"} & g.keys() and "action" in g)
            or split_reply(g.get("diagnostic-code", "")).code
        ]
        return reports, original, pasted

    def _begins_as_report(self) -> bool:
        """Whether words that only mail systems use stand there, though what failed was not copied."""
        begins = self.fmt.words("intro")
        return not self.body_at and any(begins.match(line.text.lstrip(" \t*#=>_|~[(\"'")) for line in self.lines)

    def _feedback(self, original: dict[str, str]) -> Iterator[Event]:
        """What a feedback report says (RFC 5965): the message had reached somebody, or (RFC 6591) was not found authentic."""
        parts = (p for p in self._parts() if p.get_content_type() == "message/feedback-report")
        groups = [g for part in parts for g in _groups(part) if "feedback-type" in g]
        groups = groups or _pasted_feedback([line.text for line in self.lines[self.body_at :][:MOST_BODY]])
        if not groups and self.fmt.words("complaint").search(self._subject()):
            groups = [{"feedback-type": "abuse"}]  # before there was a form for it
        for fields in groups:
            kind = fields["feedback-type"].lower()
            place = self._place(Told(cite="Feedback-Type"))
            if kind == "auth-failure":
                yield _forensic(fields, place)
                continue
            sender = fields.get("original-mail-from") or original.get("return-path") or ""
            rcpt = fields.get("original-rcpt-to") or original.get("x-hmxmroriginalrecipient") or ""
            yield Attempt(
                place=place,
                format="bounce",
                status="sent",
                mail_from=_address(sender),
                rcpt_to=_address(rcpt),
                text=f"Feedback-Type: {kind}",
            )

    def _answer(self) -> Attempt | None:
        """What is known of the message that a program answered for somebody: it arrived there, be it where nobody is any more."""
        head = self._head()
        text = "\n\n".join(self._texts())
        read = _is_receipt(head, self.fmt) and self.fmt.words("read").search(text)
        if not read and not _is_absent(head, self.fmt):
            return None
        gone = next((s for s in _SENTENCE.split(" ".join(text.split())) if self.fmt.words("gone").search(s)), None)
        if not read and not gone and not self._for_somebody(text) and self._opens("intro", "opening"):
            return None  # it may as well say that the message was not delivered
        told = Told(rcpt_to=_address(self.message.get("From") or ""), status="bounced" if gone else "sent", text=gone or _ANSWERED)
        return self._attempt(told, {})

    def _answers_as_report(self) -> bool:
        """Whether a program that nobody knows answers in the words of mail systems."""
        return _is_absent(self._head(), self.fmt) and not self._for_somebody("\n\n".join(self._texts())) and self._opens("intro")

    def _for_somebody(self, text: str) -> bool:
        """Whether subject or *text* are those of a program that answers for a person."""
        return bool(self.fmt.words("absent").search(self._subject()) or self.fmt.words("challenge").search(" ".join(text.split())))

    def _opens(self, *names: str) -> bool:
        """Whether a line begins as a report does."""
        lines = [line.strip() for text in self._texts() for line in text.splitlines()]
        return any(self.fmt.words(name).match(line) for name in names for line in lines)

    def _head(self) -> str:
        return "\n".join(line.text for line in self.lines[: self.body_at])

    def _attempt(self, told: Told, original: dict[str, str]) -> Attempt:
        sender = original.get("return-path") or original.get("from")
        found = ADDRESS.search(sender or told.mail_from or self.envelope_sender or self.report.get("To") or "")
        named = ADDRESS.findall(original.get("to", "")) if told is not _NOTHING else []
        if found and not sender and found[0] == told.rcpt_to:
            found = None  # a copy of the report that names the recipient in its own field To
        return Attempt(
            place=self._place(told),
            format="bounce",
            mail_from=found[0] if found else None,
            rcpt_to=(told.rcpt_to or (named[0] if len(named) == 1 else "")).strip("'") or None,
            orig_to=told.orig_to,
            enhanced=told.enhanced,
            status=told.status,
            code=int(told.code) if told.code else None,
            text=told.text,
            said_by=told.said_by,
            stage=told.stage,
            said_by_ip=None if told.relay else told.said_by_ip,
            relay=told.relay,
            relay_ip=told.relay_ip,
            message_id=original.get("message-id"),
            time=self.message.get("Date"),
        )


_GIVEN = re.compile(r"(?im)^>>> MAIL FROM: ?<([^<>\s]{1,320}@[^<>\s]{1,255})>")  # Sendmail's transcript of the session
_SENTENCE = re.compile(r"(?<=[.!?\u3002])\s+")
_ANSWERED = "answered by a program"


def _address(text: str) -> str | None:
    found = ADDRESS.search(text)
    return found[0] if found else None


def _lightly_unquoted(lines: Sequence[Line]) -> list[Line]:
    """*lines* without a single mark of quotation: more marks may be a transcript's."""
    return [msgspec.structs.replace(line, text=line.text[2:]) if re.match(r"[>|] (?![>|])", line.text) else line for line in lines]


_BREAKS = re.compile(r"(?i)<br\b[^<>]{0,200}>|</p>")


# ---- MIME ------------------------------------------------------------------------------------------------------------
_DELIMITER = re.compile(r"--(?=\S{0,68}[A-Za-z0-9])(\S{1,72})\s*")
_CONTENT = re.compile(r"(?i)content-[a-z-]{2,30}:(?:\s|$)")
_REPORTED = re.compile(
    r"(?i)content-type: *(?:message|text)/(?:(?:global-)?(?:delivery-status|disposition-notification)|rfc822|rfc822-headers|global|global-headers)\b"
)
_BOUNDARY = re.compile(r"(?i)boundary=[\"']?([^\"'\n;]{1,70})")
_TYPE = re.compile(r"(?im)^(?:content-type|content-transfer-encoding):.*(?:\n[ \t].*)*\n?")
_MOST_PART_FIELDS = 6


def _boundary(texts: Sequence[str]) -> str | None:
    """What stands between the parts of a message, told from the parts themselves: its header was lost in copying."""
    last = None
    for index, text in enumerate(texts):
        if not text.startswith("--") or not (found := _DELIMITER.fullmatch(text)):
            continue
        fields = list(itertools.takewhile(str.strip, texts[index + 1 : index + 1 + _MOST_PART_FIELDS]))
        if any(_REPORTED.match(field) for field in fields):
            return found[1]
        if fields and _CONTENT.match(fields[0]):
            last = last or found[1]
        elif last is None and found[1].endswith("--") and f"--{found[1][:-2]}" not in texts[:index]:
            last = found[1][:-2]  # the end of the last part
    return last


def _with_boundary(head: str, body: str, boundary: str) -> str:
    """The message whose parts *boundary* separates: what stands before the first of them is the rest of a part."""
    first = next((line for line in body.splitlines() if line.strip()), "")
    if first.startswith(f"--{boundary}"):
        begin = ""
    elif _CONTENT.match(first):
        begin = f"--{boundary}\n"
    elif _name_of(first):
        begin = f"--{boundary}\nContent-Type: message/delivery-status\n\n"
    else:
        begin = f"--{boundary}\nContent-Type: text/plain\n\n"
    return "\n".join(filter(None, [head, f'Content-Type: multipart/mixed; boundary="{boundary}"'])) + f"\n\n{begin}{body}"


_MARKUP = re.compile(r"(?i)\s*(?:<!doctype html|<(?:html|head|body|table|div|p|br|font|span|h[1-6])\b[^<>]{0,400}>)")


def _messages(payload: object) -> list[Message]:
    from email.message import Message

    return [m for m in payload if isinstance(m, Message)] if isinstance(payload, list) else []


def _groups(part: Message) -> list[dict[str, str]]:
    """The groups of fields of a report.  Python reads RFC 3464's as messages; RFC 6533's, and encoded ones, as one message."""
    import email

    payload = part.get_payload()
    inner = _messages(payload) or [email.message_from_string(str(payload))]
    if "content-transfer-encoding" in part and (plain := _unwrapped(part, inner)):
        inner = [email.message_from_string(block) for block in re.split(r"\n\s*\n", plain)]
    found = []
    for message in inner:
        found.append(_fields(message))
        rest = message.get_payload()
        if isinstance(rest, str) and rest.strip():
            found += [_fields(email.message_from_string(block.strip("\n"))) for block in re.split(r"\n\s*\n", rest)]
    return [g for g in found if g]


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


def _decoded(part: Message) -> str:
    """The text of *part*.  What came as 8-bit text has been decoded already, unless as Latin-1 for want of better."""
    raw = part.get_payload()
    charset = part.get_content_charset() or "utf-8"
    if isinstance(raw, str) and str(part.get("content-transfer-encoding", "8bit")).strip().lower() in {"7bit", "8bit", "binary"}:
        if raw.isascii():
            return _soft_breaks(raw)
        try:
            return raw.encode("latin-1").decode(charset)
        except (LookupError, UnicodeError):
            return raw
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return str(raw)
    for name in (charset, "utf-8", "latin-1"):
        try:
            return payload.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    return payload.decode("latin-1")


def _soft_breaks(text: str) -> str:
    """*text* with its quoted-printable undone, where the header that says so was lost in copying."""
    if len(re.findall(r"(?m)=$", text)) < 2 or not re.search(r"=(?:3D|20|0A|C[23][=\n])", text):
        return text
    import quopri

    return quopri.decodestring(text.encode("ascii")).decode("utf-8", "replace")


def _plain(html: str) -> str:
    from html import unescape

    text = re.sub(r"(?is)<(script|style|head)\b.{0,20000}?</\1>", " ", html)
    text = re.sub(r"(?i)<(?:br|/p|/div|/tr|/h[1-6]|/li|/table)\b[^<>]{0,400}>", "\n", text)
    text = unescape(re.sub(r"<(?![\w.+=&'-]{1,64}@)[^<>]{0,2000}>", " ", text)).replace("\xa0", " ")
    return "\n".join(line.strip() for line in text.splitlines())


def _fields(message: Message) -> dict[str, str]:
    return {k.lower(): " ".join(str(v).split()) for k, v in message.items()}


# ---- reports ---------------------------------------------------------------------------------------------------------
def _name_of(text: str) -> str:
    """The name of the report's field in *text*, in lower case, or nothing."""
    field = _FIELD.match(text.strip()) if text.strip() else None
    name = field[1].lower() if field else ""
    return name if name in _REPORT or name.startswith(_EXTENSIONS) else ""


_LEAST_OF_NAME = 5


def _mended(text: str, following: str) -> str | None:
    """*text* as the report's field that it was, where its first letters were lost in copying and another field follows."""
    name, colon, value = text.partition(":")
    if not colon or len(name) < _LEAST_OF_NAME or name.lower() in _REPORT or not _name_of(following):
        return None
    whole = min((known for known in _REPORT if known.endswith(name.lower())), default=None)
    return f"{whole}:{value}" if whole else None


def _without_fields(text: str) -> str:
    """*text* without the fields of a report pasted into it: they are read on their own."""
    found: list[str] = []
    field = ""
    for line in text.splitlines():
        if field and line[:1] in {" ", "\t"} and line.strip():
            continue
        field = _name_of(line)
        if not field and _CONTENT.match(line):
            if RETURNED_PART.match(line):
                break
            found.append("")
            field = "content"
        elif not field:
            found.append(line)
    return "\n".join(found)


def _pasted_report(texts: Sequence[str]) -> list[dict[str, str]]:
    """Delivery report fields pasted without their MIME wrapping."""
    groups: list[dict[str, str]] = []
    current: dict[str, str] = {}
    last = ""
    for text in [*texts, ""]:
        name = _name_of(text)
        if name:
            if name in current:
                groups.append(current)
                current = {}
            current[name] = text.strip().partition(":")[2].strip()
            last = name
        elif text[:1] in {" ", "\t"} and text.strip() and last:
            current[last] += " " + text.strip()
        else:
            last = ""
    groups.append(current)
    return [g for g in groups if g]


def _pasted_feedback(texts: Sequence[str]) -> list[dict[str, str]]:
    """The fields of feedback reports pasted without their MIME wrapping."""
    blocks = (
        [*block] for fields, block in itertools.groupby(texts, lambda text: bool(_FIELD.match(text) or text[:1] in {" ", "\t"})) if fields
    )
    return [fields for block in blocks if "feedback-type" in (fields := _block(block))]


def _block(texts: Sequence[str]) -> dict[str, str]:
    import email

    return _fields(email.message_from_string("\n".join(texts).lstrip()))


def _returned(texts: Sequence[str]) -> dict[str, str]:
    """The header, if it stands there, of the message that is returned in *texts*, which begin where that is announced."""
    first = next((i for i, text in enumerate(texts[:_MOST_PART_FIELDS]) if _FIELD.match(text)), None)
    fields = _block([*itertools.takewhile(str.strip, texts[first:])]) if first is not None else {}
    return fields if len(_KNOWN.intersection(fields)) > 1 else {}


_NOTHING = Told()  # a report of which only the beginning was copied
_RESULT = re.compile(r"(?i)\b(spf|dkim|dmarc)\s*=\s*([a-z]{4,10})")


def _forensic(fields: dict[str, str], place: Place) -> Reported:
    """A report of one message that failed its checks."""
    results = {method.lower(): result.lower() for method, result in _RESULT.findall(fields.get("authentication-results", ""))}
    failed = fields.get("auth-failure", "").lower()
    if failed in {"spf", "dmarc"} or failed in {"adsp", "bodyhash", "revoked", "signature", "dkim"}:
        results.setdefault(failed if failed in {"spf", "dmarc"} else "dkim", "fail")
    sender = ADDRESS.search(fields.get("original-mail-from", ""))
    return Reported(
        place=place,
        format="bounce",
        client_ip=fields.get("source-ip"),
        messages=1,
        from_domain=fields.get("reported-domain", "").lower() or None,
        dmarc=results.get("dmarc"),
        dmarc_policy="reject" if fields.get("delivery-result", "").lower() in {"reject", "policy"} else None,
        spf=results.get("spf"),
        spf_domain=sender[0].rpartition("@")[2].lower() if sender else None,
        dkim=results.get("dkim"),
        dkim_domain=fields.get("dkim-domain", "").lower() or None,
        selector=fields.get("dkim-selector"),
    )


_RECEIPT = "Disposition"


_DELETED = re.compile(r"(?i)automatic-action\b[^;]*; *(?:(?:deleted|denied|failed|error)\b|[a-z]{1,20}/ *(?:error|failure)\b)")


def _report(g: dict[str, str]) -> Told:
    final = ADDRESS_IN_FIELD.search(g.get("final-recipient") or "")
    if "disposition" in g:  # RFC 8098: whatever became of it, the message had reached the mailbox; RFC 5429: but for a filter that refuses
        status = "bounced" if _DELETED.match(g["disposition"]) else "sent"
        return Told(text=f"Disposition: {g['disposition']}", rcpt_to=final[0] if final else None, status=status, cite=_RECEIPT)
    original = ADDRESS_IN_FIELD.search(g.get("original-recipient") or "")
    recipient = final or original
    diagnostic = g.get("diagnostic-code", "")
    kind, _, words = diagnostic.partition(";") if re.match(r"[A-Za-z0-9-]{1,30}\s*;", diagnostic) else ("", "", diagnostic)
    read = split_reply(words.strip())
    code = re.search(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", g.get("status", ""))
    mta = g.get("remote-mta", "")
    remote = (mta.partition(";")[2] if ";" in mta else mta).strip() or None
    action = g.get("action", "failed").split(" ")[0].strip("();,").lower()
    by_remote = kind.strip().lower() == "smtp" and read.code is not None
    told = Told(
        rcpt_to=recipient[0] if recipient else None,
        orig_to=original[0] if original and recipient and original[0].lower() != recipient[0].lower() else None,
        status=_ACTIONS.get(action, "bounced"),
        code=read.code,
        enhanced=read.enhanced or (code[0] if code else None),
        text=read.text or words.strip() or None,
        stage=stage_in(words),
        said_by=(first_name(remote or "") or remote or host_in(words)) if by_remote or remote else None,
        said_by_ip=address_in(remote or ""),
        cite="Diagnostic-Code" if diagnostic else "Status",
    )
    return tried(told, words)


_GENERATED = re.compile(r"(?m)^\s{1,8}(\S{1,64}@\S{1,255})\s{1,8}\(generated from (\S{1,64}@\S{1,255}?)\)")
_FROM_WHOM = re.compile(r"^\(generated from \S{1,320}\) ?")


def _led_on(report: Told, text: str) -> Told:
    """*report* with both addresses where Exim says which one led to which: the report's fields name the first alone."""
    pairs = [(to, first) for to, first in _GENERATED.findall(text) if (report.rcpt_to or "").lower() in {to.lower(), first.lower()}]
    return msgspec.structs.replace(report, rcpt_to=pairs[0][0], orig_to=pairs[0][1]) if len(pairs) == 1 else report


def _others(told: Sequence[Told], reports: Sequence[Told]) -> list[Told]:
    """Those of *told* of whose recipients *reports* say nothing: where the text gives each recipient a reason."""
    known = {(a or "").lower() for r in reports for a in (r.rcpt_to, r.orig_to)}
    named = [t for t in told if t.rcpt_to and t.text]
    return [t for t in named if (t.rcpt_to or "").lower() not in known] if len(named) == len(told) > 1 else []


def _completed(report: Told, told: Sequence[Told]) -> Told:
    """*report* with what the text for people says better: a reason where there is none, all lines of a reply."""
    text = report.text or ""
    rcpt = (report.rcpt_to or "").lower()
    same = [r for r in told if (r.rcpt_to or "").lower() == rcpt]
    more = same[0] if same else told[0] if len(told) == 1 and not told[0].rcpt_to else None
    better = _FROM_WHOM.sub("", (more.text if more else None) or "")
    silent = len(text) < 12 or not re.search(r"[A-Za-z]{3}", text)
    short = len(better) > len(text) + 10 and text[:40] in better
    if more and better and report.status != "sent" and (short or (silent and (more.code or not (report.code and text)))):
        report = msgspec.structs.replace(
            report,
            code=report.code or more.code,
            enhanced=more.enhanced or report.enhanced if generic(report.enhanced) else report.enhanced or more.enhanced,
            stage=report.stage or more.stage,
            said_by=report.said_by or more.said_by,
            said_by_ip=report.said_by_ip or more.said_by_ip,
            text=better,
            cite=report.cite if text else more.cite,
        )
    if more and more.said_by_ip and not report.said_by_ip and more.said_by == report.said_by:
        report = msgspec.structs.replace(report, said_by_ip=more.said_by_ip)
    if more and not report.stage and report.code and report.code == more.code and text[:40] == better[:40]:
        report = msgspec.structs.replace(report, stage=more.stage)  # the same reply, and the text for people says to what
    if generic(report.enhanced) and (report.text or report.code):
        report = msgspec.structs.replace(report, enhanced=None)
    if report.text:
        report = msgspec.structs.replace(report, text=after_all(report.text))
    return report
