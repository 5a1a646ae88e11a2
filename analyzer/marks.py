"""Sessions whose lines carry marks that no format knows: who speaks is told from what is said (RFC 5321 4.1, 4.2).

Replies begin with three digits, commands are verbs.  Where lines with one mark are replies and lines with another are
commands, the marks are read as ``S:`` and ``C:``, however they point.  Where one side has none, the other's are taken away.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import compiled, re
from analyzer.model.events import Command, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line

_SAID = re.compile(
    r"(?P<mark>(?:[^\n]{0,119}?[^\w\n.@/+=-])??)"
    r"(?:(?P<reply>[2-5][0-9]{2}(?:[ -]|[\"']?\s*$))"
    r"|(?i:EHLO|HELO|LHLO) +[\w\[(<]|(?i:MAIL FROM ?:|RCPT TO ?:)|(?i:DATA|QUIT|RSET|NOOP|STARTTLS)[\"']?\s*$"
    r"|(?i:AUTH) (?i:LOGIN|PLAIN|CRAM-MD5|XOAUTH2|NTLM|DIGEST-MD5)\b)"
)
_REPLY = re.compile(r"\s{0,20}[2-5][0-9]{2}(?:[ -]|\s*$)")
_LITERAL_END = re.compile(r"(?:\\r)?\\n$|\\r$|<CRLF>$")
_NUMBER = re.compile(r"[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*")  # numbers and ids differ from line to line
_VARIES = "[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*"
_LEAST_REPLIES, _LEAST_COMMANDS, _LEAST_TURNS = 2, 1, 3
_LEAST_KNOWN = 0.8  # of the lines that a format has to read for its reading to stand
_MOST_LOOKED_AT = 5_000
_QUOTES = ("'", '"')


def speakers(lines: Sequence[Line], enveloped: Sequence[Line], formats: Callable[[], Iterable[Format]]) -> Sequence[Line]:
    """*lines*, the marks of a session's two sides replaced by ``S:`` and ``C:`` where none of the *formats* knows them.

    *enveloped* are the same lines as the formats read them; where nothing is to be replaced, the answer is *lines* itself.
    """
    found = [(there, m) for line, there in zip(lines[:_MOST_LOOKED_AT], enveloped, strict=False) if (m := _SAID.match(line.text))]
    replies = Counter(_shape(m["mark"]) for _, m in found if m["reply"])
    commands = Counter(_shape(m["mark"]) for _, m in found if not m["reply"])
    if not replies or not commands:
        return lines
    # The further lines of a reply may carry no mark.
    server = next((mark for mark, count in replies.most_common() if mark and count >= _LEAST_REPLIES), "")
    client = commands.most_common(1)[0][0]
    marked = [(line, is_reply) for line, is_reply, told in _by_side(found, server, client) if told]
    turns = [is_reply for _, is_reply in marked]
    if (
        server == client
        or commands[server]
        or replies[client]
        or turns.count(True) < _LEAST_REPLIES
        or turns.count(False) < _LEAST_COMMANDS
        or sum(a != b for a, b in zip(turns, turns[1:], strict=False)) + 1 < _LEAST_TURNS
    ):
        return lines
    if any(_knows(fmt, marked) for fmt in formats()):
        return lines
    if not server or not client:
        mark = _expression(server or client)
        return [_without(line, mark) for line in lines]
    return list(_told(lines, _expression(server), _expression(client)))


def _by_side(found: Iterable[tuple[Line, re.Match[str]]], server: str, client: str) -> Iterable[tuple[Line, bool, bool]]:
    """The lines *found*, whether each is a reply, and whether it belongs to the session of these marks: a reply without the
    server's mark does where it goes on with one.
    """
    goes_on = not server
    for line, m in found:
        shape = _shape(m["mark"])
        if m["reply"]:
            told = shape == server or (not shape and goes_on)
            goes_on = not server or (told and m["reply"].rstrip("\"'").endswith("-"))
        else:
            told = shape == client
        yield line, bool(m["reply"]), told


def _shape(mark: str) -> str:
    return _NUMBER.sub("0", mark.rstrip()).replace('"', "'")


def _expression(shape: str) -> re.Pattern[str]:
    return compiled(_VARIES.join(re.escape(part).replace("'", "['\"]") for part in shape.split("0")) + r"\s{0,8}")


def _knows(fmt: Format, marked: Sequence[tuple[Line, bool]]) -> bool:
    """Whether *fmt* reads the lines for what they are."""
    of_its_own = "events" in fmt.head.hooks or fmt.header.view == "server"  # it tells of sessions in other kinds of events
    read = 0
    for line, is_reply in marked:
        event = fmt.event(line, 0)
        told = isinstance(event, Reply) if is_reply else isinstance(event, Command) and event.verb is not None
        read += told or (event is not None and of_its_own)
    return read >= _LEAST_KNOWN * len(marked)


def _told(lines: Iterable[Line], server: re.Pattern[str], client: re.Pattern[str]) -> Iterable[Line]:
    data = goes_on = False
    for line in lines:
        before, goes_on = goes_on, False
        if (said := _behind(line.text, server)) is not None:
            data = said.startswith("354")
            goes_on = said[3:4] == "-"
            yield msgspec.structs.replace(line, text=f"S: {said}")
        elif (said := _behind(line.text, client)) is not None:
            remark = not data and " " in said and not _SAID.match(said)  # a program's own word on what it does
            data = data and said != "."
            yield msgspec.structs.replace(line, text=said if remark else f"C: {said}")
        elif before and _REPLY.match(line.text):
            goes_on = line.text.strip()[3:4] == "-"
            yield msgspec.structs.replace(line, text=f"S: {line.text.strip()}")
        else:
            yield line


def _without(line: Line, mark: re.Pattern[str]) -> Line:
    said = _behind(line.text, mark)
    return line if said is None else msgspec.structs.replace(line, text=said)


def _behind(text: str, mark: re.Pattern[str]) -> str | None:
    """What stands behind *mark* in *text*, without the quotation mark and the line's end that a program shows."""
    found = mark.match(text)
    if found is None:
        return None
    said = text[found.end() :].rstrip()
    quote = found[0].rstrip()[-1:]
    return _LITERAL_END.sub("", said.removesuffix(quote) if quote in _QUOTES else said)
