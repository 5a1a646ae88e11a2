"""What a bounce says to people: who could not be reached, and in whose words.

No layout is known here: recipients are addresses at the head of a line or behind a label, a reason is what stands between one
recipient and the next, and a reply that is quoted there counts more than the sentences around it.  The labels and the set
phrases are the `words` of `grammars/bounce.lark`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Words = Callable[[str], re.Pattern[str]]

MOST_BODY = 400
_MOST_REASON = 1500
_NEAR = 80  # characters before a code without an enhanced one, which might be any number

# Stars that hide a part of it are part of it (`b***b@*example*.net`, `***@***`); one or two around it are a mark.
ADDRESS = re.compile(
    r"(?!(?<=\*)\*)(?:[A-Za-z0-9._%+=&'/-]|(?<=[A-Za-z0-9*])\*|(?<![A-Za-z0-9*])\*(?=\*\*|@)){1,64}@[A-Za-z0-9*-]{1,63}(?:\.[A-Za-z0-9*-]{1,63}){0,8}(?:(?<!\*)|(?<=\*\*\*))"
)
ADDRESS_IN_FIELD = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"@]{1,255}")  # RFC 6533: any letters
REPLY = re.compile(r"(?<![0-9.#-])#?([45][0-9]{2})[ -]+(?:#?\(?([45]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9])\)?:?[ -]*)?(?=\S)(.{0,600})")
_STATUS = re.compile(r"(?<![0-9.])#?([45]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])[>;: -]*(.{0,600})")
_STAGE = re.compile(
    r"(?i)(?:in reply to (?:the )?|after |rejected command '|did not like our |>>> ?)"
    r"(end of (?:DATA|message)|initial connection|MAIL FROM|RCPT TO|DATA|EHLO|HELO|STARTTLS|AUTH|MAIL|RCPT|pipelined)"
)
_NAME = r"\[?'?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+){1,8})"
_SAID_BY = re.compile(r"(?i)\b(?:host:?|talking to|communicating with|server|from|by|connected to)\s+" + _NAME)
_HOP = re.compile(r"(?<![@\w.-])" + _NAME + r" #(?=[<45])")  # Exchange
_CONTINUED = re.compile(r"(?<=\s)[45][0-9]{2}-(?:[45]\.[0-9]{1,3}\.[0-9]{1,3}\s)?")
_ERROR_CODE = re.compile(r"(?i)ERROR_CODE ?:([45][0-9]{2}|[45]\.[0-9]{1,3}\.[0-9]{1,3}),? ?(?:ERROR_CODE ?:(?![45][0-9.]))?")  # Zoho
_QUOTED_REPLY = re.compile(r"(?i)(?:returned|with) '([45][0-9]{2} [^']{3,600})'?")
_EXPIRED_BY = re.compile(r"(?i)(?:expired|unable to deliver|not delivered|timed out)[^<>]{0,80}<([45][0-9]{2}[ -][^<>]{4,400})")
# Microsoft 365; where its own words stand in the brackets, they are the reply's.
_EXPIRED_AFTER = re.compile(
    r"(?i)message expired[^<>]{0,60}(?: -> ([45][0-9]{2}[ -].{4,400})| ?\((?:SMTP; ?)?([45][0-9]{2} [45]\.[^)]{4,400}))"
)
_CODE_OF_HOP = re.compile(r"^<?[A-Za-z0-9.-]{1,255} #([45]\.[0-9]{1,3}\.[0-9]{1,3})>?$")
_STATUS_ALONE = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")
_SAID = re.compile(
    r"(?i)(?:said|reported error|remote server returned|reply was|responded with|error was|returned|response(?: from the remote server)? was):?\s+['\"\u201c]?"
)


class Told(msgspec.Struct, frozen=True):
    """What is told of one recipient; *cite* is text of the line that says it."""

    rcpt_to: str | None = None
    status: str = "bounced"
    code: str | None = None
    enhanced: str | None = None
    text: str | None = None
    stage: str | None = None
    said_by: str | None = None
    said_by_ip: str | None = None
    relay: str | None = None  # the server that was tried, where it said nothing
    relay_ip: str | None = None
    mail_from: str | None = None
    orig_to: str | None = None  # the address that was written to, where the report names another one that it led to
    cite: str | None = None


# ---- replies ---------------------------------------------------------------------------------------------------------
def split_reply(words: str) -> Told:
    """The code, the enhanced code and the text of a reply somewhere in *words*; its lines are one."""
    words = " ".join(words.split())
    quoted = _QUOTED_REPLY.findall(words)
    if quoted:  # Exchange: the last hop's words, not its own "message delayed"
        words = next((q for q in quoted if " 4.4.7 " not in q and "Message expired" not in q), quoted[0])
    if inner := _EXPIRED_BY.search(words) or _EXPIRED_AFTER.search(words):  # given up: what the last attempt was told counts
        words = next(filter(None, inner.groups()))
    words = _ERROR_CODE.sub(lambda m: f"{m[1]} ", words)
    said = _SAID.search(words)
    tail = words[said.end() :] if said else words
    for text in (tail, words):
        found = REPLY.search(text)
        if found and (found.start() < _NEAR or found[2] or said or text[: found.start()].rstrip().endswith((":", "'", '"', "<"))):
            return _reply(found[1], found[2], found[3])
    found = _STATUS.search(words)
    if found:
        after = found[2].strip(" )>,.;")
        # qmail puts its code behind the words: "Sorry, no mailbox here by that name. (#5.1.1)"
        behind = len(after) < 12 or words[: found.start()].rstrip().endswith("(")
        return Told(enhanced=found[1], text=(words if behind else found[2].strip()) or None)
    return Told(text=words or None)


def _reply(code: str, enhanced: str | None, rest: str) -> Told:
    if f" {code}-" in rest:
        rest = _CONTINUED.sub("", rest)
    if enhanced:
        rest = rest.replace(f" {enhanced} ", " ")
    rest = rest.strip(" '\"\u201d#" + (">" if rest.count(">") > rest.count("<") else ""))
    if not enhanced and _STATUS_ALONE.fullmatch(rest):
        enhanced, rest = rest, ""
    if hop := _CODE_OF_HOP.match(rest):  # Exchange 2003: "554 5.4.0 <mail.example.net #4.4.1>"
        enhanced = hop[1]
    return Told(code=code, enhanced=enhanced, text=rest or None)


_AFTER_ALL = re.compile(
    r"(?i)(?<=\w): retry timeout exceeded$|(?<=[.)\]\w]) I'm not going to try again; this message has been in the queue too long\.?$"
    r"|(?<=\w)\.? Message could not be delivered for [0-9]{1,3} \w{3,6}s?\b.{0,60}$"
    r"|(?<=\S) Giving up on \[?(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]{3,45}|[\w.-]{1,255})\]?\.?$"
)


_IN_REPLY_TO = re.compile(r"(?i)\s*\(in reply to [^()]{0,80}\)?\s*$")  # Postfix, of a reply


def after_all(text: str) -> str:
    """*text* without what the sender adds, behind a reply and when it gives up: the last reply is the reason."""
    return _AFTER_ALL.sub("", _IN_REPLY_TO.sub("", text)).strip() or text


def generic(enhanced: str | None) -> bool:
    """X.0.0 says nothing (RFC 3463 3.1): the words count."""
    return bool(enhanced) and str(enhanced).endswith(".0.0")


_TRIED = re.compile(
    r"(?i)(?:connect(?:ion)? to '?|\bhost (?=[^\s\[]{4,255} ?\[)|\[)(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+){1,8})\.?(?:'|\[| )\(?(?P<ip>(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-f:]{4,45})?"
)


_IP_OF_HOST = re.compile(
    r"[A-Za-z0-9-]+\.[A-Za-z]{2,}\.?'? ?[\[(]((?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f.:]{4,45})(?::[0-9]{1,5})?[\])]|(?<![0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9.])"
)


def address_in(text: str) -> str | None:
    """The IP address of the server of which *text* speaks."""
    if tcp := re.search(r"TCP\|[0-9A-Fa-f.:]{2,45}\|[0-9]{1,5}\|([0-9A-Fa-f.:]{2,45})\|", text):  # Oracle: our address, then theirs
        return tcp[1]
    found = _IP_OF_HOST.search(text)
    return (found[1] or found[2]) if found else None


_SERVER_AT = re.compile(r"(?i)\bserver at ([A-Za-z0-9.-]{4,255}) \(([0-9A-Fa-f.:]{4,45})\) returned '([^']{3,600})")


def _server_at(reason: Told, text: str) -> tuple[str, str] | None:
    """The server, of those that *text* names each with its reply, that gave *reason*: its name and address (Exchange)."""
    return next(((found[1], found[2]) for found in _SERVER_AT.finditer(text) if (reason.text or "")[:40] in found[3]), None)


def _before_reply(text: str) -> str:
    """What stands before the reply in *text*: the reply itself may name the client's address."""
    found = REPLY.search(text)
    return text[: found.start()][-300:] if found else ""


def tried(told: Told, text: str, server: str | None = None) -> Told:
    """*told* with the server that *text* says was tried in vain, where nobody answered."""
    if told.code or told.said_by:
        return told
    found = _TRIED.search(text)
    return msgspec.structs.replace(told, relay=server or (found["host"] if found else None), relay_ip=found["ip"] if found else None)


def stage_in(text: str) -> str | None:
    """The command that was refused, in the writer's words."""
    found = _STAGE.search(text)
    return found[1] if found else None


def host_in(text: str) -> str | None:
    """The server that gave the reply in *text*: it is named before the reply, which may name others."""
    if found := _HOP.search(text):
        return found[1]
    named = _SAID_BY.findall(_before_reply(text)) if REPLY.search(text) else _SAID_BY.findall(text)[:1]
    return named[-1] if named else None  # the nearest: a report may name the host that wrote it first


# Sendmail's report in one line, as web pages make it
_JOINED = re.compile(r"(?i)((?:-{5} (?:the following|transcript of)[^\n-]{0,80}-{5}|while talking to [^\s:]{1,255}:))[ \t]+(?=\S)")
_JOINED_TURN = re.compile(r"(?<=[^\s>]) (?=(?:>>>|<<<) [A-Z0-9]|\.\.\. while talking|-{5} (?:The following|Transcript))")


# Anybody's report in one line: before each recipient at its reason
_LONG_LINE = 200
_BETWEEN = re.compile(r"(?<=\S)(?:[,;] ?| (?=<))(?=\S)")
_SEVERAL = re.compile(rf"\s{{0,12}}<?{ADDRESS.pattern}>?(?:(?:[,;] ?| (?=<))<?{ADDRESS.pattern}>?){{1,40}}\s*")
_JOINED_RECIPIENT = re.compile(rf" (?=<{ADDRESS.pattern}>: [a-zA-Z])")


# ---- the text --------------------------------------------------------------------------------------------------------
RETURNED_PART = re.compile(r"(?i)content-type: *(?:message/(?:rfc822|global)|(?:text|message)/(?:rfc822-headers|global-headers))(?![\w-])")


def until_original(lines: Sequence[str], words: Words) -> list[str]:
    """*lines* up to where the message that is returned begins: it is no evidence."""
    begins = words("original")
    for index, line in enumerate(lines):
        if index and RETURNED_PART.match(line):
            return list(lines[:index])
        if begins.match(line.lstrip(" \t*#=>_|~[(")) or begins.match(line.strip()):
            return list(lines[:index])
        if index > 1 and line.startswith(("Received: from ", "Received: by ", "Return-Path: <", "Return-path: <")):
            return list(lines[:index])
    return list(lines)


def _apart(text: str) -> str:
    """*text* with the lines that a report had before somebody made one of them."""
    text = _JOINED.sub(r"\1\n", _JOINED_TURN.sub("\n", text))
    lines = (_JOINED_RECIPIENT.sub("\n", line) if len(line) > _LONG_LINE else line for line in text.splitlines())
    return "\n".join(_BETWEEN.sub("\n", line) if _SEVERAL.fullmatch(line) else line for line in lines)


def said(text: str, words: Words, subject: str = "", sender: str | None = None) -> list[Told]:
    """Recipients and reasons in *text*; *sender* wrote the message and is none of them."""
    lines = until_original(_apart(text).splitlines()[:MOST_BODY], words)
    body = "\n".join(lines)
    late = words("warning").search(subject) or words("warning").search(body)
    done = words("done").search(body)
    common = Told(status="sent" if done else "deferred" if late else "bounced", mail_from=_labelled_address(lines, words("sender")))
    transcript = list(_transcript(lines))
    if transcript:
        named = _named(lines, sender, words) if len(transcript) == 1 else None  # the session does not show whom it was for
        return [msgspec.structs.replace(t, status=common.status, rcpt_to=t.rcpt_to or named) for t in transcript]
    server = next((value for value in _labelled(lines, words("server")) if first_name(value)), None)
    common = msgspec.structs.replace(common, relay=first_name(server or ""), said_by_ip=server)
    return _by_block(lines, common, words, sender) or _as_a_whole(lines, common, words, sender)


def _by_block(lines: Sequence[str], common: Told, words: Words, sender: str | None) -> list[Told]:
    blocks = _blocks(lines, words)
    if not blocks:
        return []
    told = [(rcpt, _reason(part, words), part) for rcpt, part in blocks]
    if not any(r.code or r.enhanced for _, r, _ in told):
        first = list(itertools.takewhile(lambda line: not _head(line, words), lines))
        if all(_OFFICE.match(rcpt) for rcpt, _ in blocks) and _named(first, sender, words):
            return []  # whom to ask stands on a line of its own, whom it was for in a sentence
        kept = [line for line in first if not words("frame").match(line.lstrip(" \t*#<|"))]
        before = _reason(kept if any(line.strip() for line in kept) else first, words)
        if before.code or before.enhanced or not any(r.text for _, r, _ in told):  # first the reason, then whom it concerns
            told = [(rcpt, before, first) for rcpt, _, _ in told] if before.text or before.enhanced else told
    found = []
    for rcpt, reason, part in told:
        if reason.text is None and reason.enhanced is None:
            continue
        if sender and rcpt.lower() == sender.lower() and len(told) > 1:
            continue
        joined = " ".join(part)
        found.append(_complete(reason, rcpt, joined, common, words))
    return found


def _complete(reason: Told, rcpt: str | None, text: str, common: Told, words: Words) -> Told:
    """*reason* with what else is known: whom it concerns, what was refused, and which server said it or was tried."""
    lost = (
        common.status == "sent" and reason.text is not None and words("lost").search(reason.text)
    )  # OpenSMTPD: the words of success, and an error
    if reason.code and (at := _server_at(reason, text)):
        common = msgspec.structs.replace(common, relay=at[0], said_by_ip=f"{at[0]} ({at[1]})")
    told = msgspec.structs.replace(
        reason,
        text=after_all(reason.text) if reason.text and reason.code else reason.text,
        rcpt_to=rcpt,
        status="bounced" if lost else common.status,
        mail_from=common.mail_from,
        stage=stage_in(text),
        said_by=(common.relay or host_in(text)) if reason.code else None,
        said_by_ip=address_in(common.said_by_ip or _before_reply(text)),
        cite=rcpt,
    )
    return tried(told, text, common.relay)


def _as_a_whole(lines: Sequence[str], common: Told, words: Words, sender: str | None) -> list[Told]:
    """One reason for everything, where no recipient stands at the head of a line."""
    body = "\n".join(lines)
    if not body.strip():
        return []
    reason = _reason([line for line in lines if not words("frame").match(line.lstrip(" \t*#<|"))], words)
    return [_complete(reason, _named(lines, sender, words), body, common, words)]


_OFFICE = re.compile(
    r"(?i)^(?:(?:postmaster|mailer-daemon|abuse|support|help(?:desk)?|no-?reply|webmaster|hostmaster|mailman|majordomo|sympa|list-?serv(?:er)?)"
    r"|[^@]{1,60}-(?:request|owner|admin|bounces)|owner-[^@]{1,60})@"
)
_WRITTEN_TO = re.compile(r"(?i)(?:your (?:message|mail|e-?mail)|delivered|deliver it|unable to send) to \W{0,3}$|recipient.{0,20}\($")
_MEANS_RECIPIENT = re.compile(
    r"(?i)(?:\b(?:to|recipient|address|for|an|\u00e0|para|aan|mailbox|user|account|rcpt to)|\u6536\u4ef6\u4eba.{0,8}|\u5b9b\u5148)\W{0,6}$"
)


def _named(lines: Sequence[str], sender: str | None, words: Words) -> str | None:
    """The address that the text most likely means as the recipient's."""
    best: tuple[int, str] | None = None
    for line in lines:
        for found in ADDRESS.finditer(line):
            before = line[max(0, found.start() - 40) : found.start()]
            if (_OFFICE.match(found[0]) and not _WRITTEN_TO.search(before)) or re.search(
                r"(?i)(?:message[- ]id|from|sender|hello|dear)\W{0,4}$|[<@]$(?<=id: <)", before
            ):
                continue
            score = 1 + bool(_MEANS_RECIPIENT.search(before)) - 2 * (sender is not None and found[0].lower() == sender.lower())
            score -= bool(words("frame").match(line.lstrip(" \t*#<|")))
            if "message-id" not in line.lower() and score >= 0 and (best is None or score > best[0]):
                best = (score, found[0].strip("'"))
    return best[1] if best else None


# ---- labels ----------------------------------------------------------------------------------------------------------
_COLON = r"(?:\(s\)|\(es\))?\W{0,2}\s{0,8}[:\uff1a]\s{0,20}"


def _labelled(lines: Sequence[str], label: re.Pattern[str]) -> list[str]:
    """The values behind *label*, each with the lines that go on with it."""
    found: list[str] = []
    going = False
    for line in lines:
        value = _value(line, label)
        if value is not None:
            found.append(value)
            going = True
        elif not line.strip():
            going = going and not found[-1]
        elif going and re.match(r"\s{0,12}[A-Z][A-Za-z -]{1,30}:\s", line):
            going = False
        elif going:
            found[-1] = f"{found[-1]} {line.strip()}".strip()
    return found


def _value(line: str, label: re.Pattern[str]) -> str | None:
    text = line.lstrip(" \t*#<|-=>(").replace("*", "")
    found = label.match(text)
    if not found:
        return None
    colon = re.match(_COLON, text[found.end() :])
    value = text[found.end() + colon.end() :].strip() if colon else None
    bracketed = line.lstrip().startswith("(") and value is not None and value.count(")") > value.count("(")
    return value.removesuffix(")") if value and bracketed else value  # Sendmail: "(reason: 550 5.1.1 User unknown)"


def _labelled_address(lines: Sequence[str], label: re.Pattern[str]) -> str | None:
    return next((a[0] for value in _labelled(lines, label) if (a := ADDRESS.match(value.lstrip("<[("))) is not None), None)


def first_name(value: str) -> str | None:
    """The host's name in *value*, which may have a type before it and an address behind it."""
    found = re.search(_NAME, value.partition(";")[2] or value)
    return found[1] if found else None


def _reason(lines: Sequence[str], words: Words) -> Told:
    """Why, in *lines*: a labelled reply, a reply, a labelled sentence, the sentences."""
    labelled = [split_reply(value) for value in _labelled(lines, words("reason")) if value]
    for reply in labelled:
        if reply.text and (reply.code or (reply.enhanced and not generic(reply.enhanced))):
            return reply
    whole = split_reply(" ".join(lines)[:_MOST_REASON])
    if whole.code or whole.enhanced:
        return whole
    worded = [r for r in labelled if len(r.text or "") > 7 or not (r.text or "").isascii()]
    return worded[-1] if worded else whole


# ---- recipients ------------------------------------------------------------------------------------------------------
_HEAD = re.compile(r"^\s{0,12}(?:\W{0,3})<?(" + ADDRESS.pattern + r")>?(\s*\([^()]{0,200}\))?\s*(:?)\s*(.*)$")
_BEHIND_LABEL = re.compile(
    r"(?i)[\s:\uff1a]{0,8}(?:and |the )?[\[<(\"']{0,3}(?:smtp|rfc822|utf-8)?[:;]?\s?[<\"']{0,2}(" + ADDRESS.pattern + r")[\]>)\"']{0,4}"
)
_WHEN = re.compile(
    r"(?:[^\W\d]{1,4} )?(?:[^\W\d]{1,12}\.?,? )?[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}\b.{0,20}$"
)  # Exchange 2003: "on 3/2/2026 9:13 AM"
_LINKED = re.compile(r"\[([^\[\]]{1,320})\]\(mailto:[^()]{1,320}\)|<mailto:[^<>]{1,320}>")


class _Head(msgspec.Struct, frozen=True):
    address: str
    note: str
    rest: str


def _head(line: str, words: Words) -> _Head | None:
    """The recipient with whom *line* begins, if it does."""
    line = _LINKED.sub(lambda m: m[1] or "", line)
    found = _HEAD.match(line)
    if found and _WHEN.match(found[4]):
        return _Head(found[1].strip("'"), "", "")
    if found and (found[3] or not found[4] or line.lstrip(" *").startswith("<") or re.match(r"[-|]? ?#?[45][0-9]{2}[ -]", found[4])):
        return _Head(found[1].strip("'"), (found[2] or "").strip(" ()"), found[4])
    text = line.lstrip(" \t*#<|-=>")
    label = words("recipient").match(text)
    if not label:
        return None
    behind = _BEHIND_LABEL.match(text, label.end())
    if not behind:
        return None
    colon = ":" in text[label.end() : behind.start(1)] or "\uff1a" in text[label.end() : behind.start(1)]
    rest = text[behind.end() :].strip(" .,;")
    if not colon and not rest:
        return None
    return _Head(behind[1].strip("'"), "", rest if colon else text)


def _blocks(lines: Sequence[str], words: Words) -> list[tuple[str, list[str]]]:
    """``(recipient, lines of the reason)``: from a line that begins with an address to the next such line."""
    blocks: list[tuple[str, list[str]]] = []
    depth = 0
    for before, line in itertools.pairwise(["", *lines]):
        head = _head(line, words)
        indent = len(line) - len(line.lstrip())
        same = bool(blocks) and head is not None and blocks[-1][0].lower() == head.address.lower()
        if head and same and (indent > depth or before.strip()) and any(w.strip() for w in blocks[-1][1]):
            blocks[-1][1].append(line)  # a folded reply that goes on with the address
        elif head:
            if same and not any(w.strip() for w in blocks[-1][1]) and not head.rest:
                continue
            blocks.append((head.address, [head.rest or head.note]))
            depth = indent
        elif blocks:
            blocks[-1][1].append(line)
    blocks = [(address, _until_aside(part, words)) for address, part in blocks]
    merged: dict[str, tuple[str, list[str]]] = {}
    for address, part in blocks:
        key = address.lower()
        if any(line.strip() for line in part) and (key not in merged or _weight(part, words) > _weight(merged[key][1], words)):
            merged[key] = (address, part)  # the words for administrators count more than those for everybody
    return list(merged.values()) or list({a.lower(): (a, part) for a, part in blocks}.values())


_RULE = re.compile(r"\s{0,8}([*=_#~-])\1{5,}\s*")  # a line across the page


def _until_aside(part: Sequence[str], words: Words) -> list[str]:
    """*part* up to what no longer speaks of the recipient: a line across the page, or a paragraph that every report has."""
    said = False
    for index, line in enumerate(part):
        if said and _RULE.fullmatch(line):
            return list(part[:index])
        begins = index > 0 and not part[index - 1].strip() and words("aside").match(line.lstrip(" \t*#<|"))
        if begins and (said or not _weight(part[index:], words)):
            return list(part[:index])
        said = said or any(c.isalnum() for c in line)
    return list(part)


def _weight(part: Sequence[str], words: Words) -> int:
    """How much *part* says: a labelled reply, a reply, or sentences."""
    if any(REPLY.search(value) for value in _labelled(part, words("reason"))):
        return 2
    text = " ".join(part)
    return int(bool(REPLY.search(text) or _STATUS.search(text)))


# ---- transcripts -----------------------------------------------------------------------------------------------------
_TALKING = re.compile(r"(?i)^\W*(?:while talking to|connected to|connecting to) \[?([A-Za-z0-9.-]{3,255}?)\.?\]?:?\s*$")
_TURN = re.compile(r"^(?:[^<>]{0,40}: ?)?\s{0,8}(?:(>>>|-->|<<-)|(<<<|<--|->>)) ?(.{0,600})$")
_SENT = re.compile(r"(?i)^\s*(?:(?:hMailServer|Server|We) sent:|Sent (?:<<<|>>>)) (.{0,300})$")
_REPLIED = re.compile(r"(?i)^\s*(?:remote server (?:replied|returned|said):|Received (?:<<<|>>>)) ([45][0-9]{2}.{0,600})$")
_FATAL = re.compile(
    r"(?i)^\s{0,4}<?(" + ADDRESS.pattern + r")>?\s*(?:\([^()]{0,200}\))?:?\s*$|^\W*failed address: *<?(" + ADDRESS.pattern + ")"
)
_EXPANDED = re.compile(rf"^\s{{1,8}}\(expanded from: <?({ADDRESS.pattern})>?\)")
_OWN = re.compile(r"^([45][0-9]{2}) (?:([45]\.[0-9]{1,3}\.[0-9]{1,3}) )?(?:\"\|[^\n]{1,300}\"|<?([^\s<>]{1,320})>?)\.\.\. (.{3,300})$")
_SAYS_LITTLE = re.compile(r"(?i)can't create output|service unavailable|local configuration error|unknown mailer error|^deferred$")
_DEFERRED = re.compile(r"^<?(" + ADDRESS.pattern + r")>?\.\.\. (?:Deferred: )(.{3,300})$")


def _transcript(lines: Sequence[str]) -> Iterator[Told]:
    """What a transcript of the session shows (Sendmail, Courier, MDaemon): each failed reply with its command."""
    host = command = None
    fatal: list[str] = []
    failed: list[Told] = []
    own: list[Told] = []
    reply: list[str] = []
    for before, line in itertools.pairwise(["", *lines]):
        if found := _TALKING.match(line):
            host = found[1]
        elif found := _FATAL.match(line):
            fatal.append(found[1] or found[2])
        elif not fatal and (found := _EXPANDED.match(line)):
            fatal.append(found[1])  # an alias that leads to a program
        elif found := _OWN.match(line):
            enhanced = None if generic(found[2]) else found[2]
            text = found[4]
            if _SAYS_LITTLE.search(text) and before.strip() and not before.lstrip().startswith(("-", "...", ">>>", "<<<")):
                text = f"{before.strip()} {text}"  # what the delivery program printed
            rcpt = found[3].strip("()") if found[3] else None
            own.append(Told(code=found[1], enhanced=enhanced, text=text, rcpt_to=rcpt, cite=line))
        elif (found := _DEFERRED.match(line)) and not REPLY.match(found[2]):
            own.append(Told(text=found[2], rcpt_to=found[1], cite=line))
        elif _TURN.match(line) or _SENT.match(line) or _REPLIED.match(line):
            sent, answer = _turn(line)
            if sent:
                command, reply = sent, []
            elif answer:
                reply.append(answer)
                if re.match(r"[45][0-9]{2}(?!-)", answer):
                    stage = command or ("initial connection" if host else None)  # the command stands before its reply
                    failed.append(msgspec.structs.replace(_one_reply(reply), stage=stage, said_by=host, cite=reply[0]))
                if not re.match(r"[0-9]{3}-", answer):
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


def _one_reply(lines: Sequence[str]) -> Told:
    """The reply of which these are the lines: its codes once, its words joined."""
    enhanced = None
    words = []
    for line in lines:
        found = re.match(r"([45][0-9]{2})[ -]?(?:#?([45]\.[0-9]{1,3}\.[0-9]{1,3})\b:?)?\s*(.*)$", line)
        if found:
            enhanced = enhanced or found[2]
            words.append(found[3].strip())
    return Told(code=lines[-1][:3], enhanced=None if generic(enhanced) else enhanced, text=" ".join(w for w in words if w) or None)


def _by_recipient(failed: Sequence[Told], own: Sequence[Told], fatal: Sequence[str]) -> Iterator[Told]:
    """One failure for each recipient: the reply to its own command, else one that names it, else the first."""
    told = list(dict.fromkeys([*fatal, *(o.rcpt_to for o in own if o.rcpt_to)]))
    named = [a[0] for f in failed if (f.stage or "").upper().startswith("RCPT") and (a := ADDRESS.search(f.stage or ""))]
    recipients: list[str | None] = [*(told or dict.fromkeys(named))]
    for rcpt in recipients or [None]:
        mine = [f for f in failed if rcpt and rcpt.lower() in (f.stage or "").lower()]
        mine = mine or [f for f in failed if rcpt and rcpt.lower() in (f.text or "").lower()]
        mine = mine or [f for f in failed if not (f.stage or "").upper().startswith("RCPT")]
        mine = mine or ([] if any(o.rcpt_to == rcpt for o in own) else list(failed))
        mine = mine or [o for o in own if o.rcpt_to in {rcpt, None}]
        if mine:
            stage = re.match(r"(?i)(MAIL FROM|RCPT TO|initial connection|[A-Z.]{1,8})", mine[0].stage or "")
            yield msgspec.structs.replace(mine[0], rcpt_to=rcpt, stage=stage[1] if stage else None)
