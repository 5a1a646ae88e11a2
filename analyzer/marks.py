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
    r"(?P<mark>(?:[^\n]{0,79}?[^\w\n.@/+=-])?)"
    r"(?:(?P<reply>[2-5][0-9]{2}(?:[ -]|[\"']?\s*$))"
    r"|(?i:EHLO|HELO|LHLO) +[\w\[(<]|(?i:MAIL FROM ?:|RCPT TO ?:)|(?i:DATA|QUIT|RSET|NOOP|STARTTLS)[\"']?\s*$"
    r"|(?i:AUTH) (?i:LOGIN|PLAIN|CRAM-MD5|XOAUTH2|NTLM|DIGEST-MD5)\b)"
)
_NUMBER = re.compile(r"[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*")  # numbers and ids differ from line to line
_VARIES = "[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*"
_LEAST_REPLIES, _LEAST_COMMANDS, _LEAST_TURNS = 2, 1, 3
_LEAST_KNOWN = 0.8  # of the lines that a format has to read for its reading to stand
_MOST_LOOKED_AT = 5_000
_QUOTES = ("'", '"')


def speakers(lines: Sequence[Line], formats: Callable[[], Iterable[Format]], enveloped: Callable[[Line], Line]) -> Sequence[Line]:
    """*lines*, the marks of a session's two sides replaced by ``S:`` and ``C:`` where none of the *formats* knows them."""
    found = [(line, m) for line in lines[:_MOST_LOOKED_AT] if (m := _SAID.match(line.text))]
    replies = Counter(_shape(m["mark"]) for _, m in found if m["reply"])
    commands = Counter(_shape(m["mark"]) for _, m in found if not m["reply"])
    if not replies or not commands:
        return lines
    server, client = replies.most_common(1)[0][0], commands.most_common(1)[0][0]
    marked = [(line, bool(m["reply"])) for line, m in found if _shape(m["mark"]) == (server if m["reply"] else client)]
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
    if any(_knows(fmt, [(enveloped(line), is_reply) for line, is_reply in marked]) for fmt in formats()):
        return lines
    both = bool(server and client)
    sides = [(_expression(mark), side if both else "") for mark, side in ((server, "S: "), (client, "C: ")) if mark]
    return [_told(line, sides) for line in lines]


def _shape(mark: str) -> str:
    return _NUMBER.sub("0", mark.rstrip())


def _expression(shape: str) -> re.Pattern[str]:
    return compiled(_VARIES.join(map(re.escape, shape.split("0"))) + r"\s{0,8}")


def _knows(fmt: Format, marked: Sequence[tuple[Line, bool]]) -> bool:
    """Whether *fmt* reads the lines for what they are."""
    of_its_own = "events" in fmt.head.hooks or fmt.header.view == "server"  # it tells of sessions in other kinds of events
    read = 0
    for line, is_reply in marked:
        event = fmt.event(line, 0)
        told = isinstance(event, Reply) if is_reply else isinstance(event, Command) and event.verb is not None
        read += told or (event is not None and of_its_own)
    return read >= _LEAST_KNOWN * len(marked)


def _told(line: Line, sides: Iterable[tuple[re.Pattern[str], str]]) -> Line:
    for mark, side in sides:
        found = mark.match(line.text)
        if found is None:
            continue
        said = line.text[found.end() :].rstrip()
        quote = found[0].rstrip()[-1:]
        if quote in _QUOTES:
            said = said.removesuffix(quote)
        return msgspec.structs.replace(line, text=side + said)
    return line
