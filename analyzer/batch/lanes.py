"""Express lanes: the commonest failures are told apart by a short expression, and read whole once for all that are alike.

A lane parts a line into what differs from message to message (queue id, addresses, times) and the rest.  All that a failure
is grouped by follows from the rest; a line that a lane does not take, or whose first reading disagrees, is read whole.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from analyzer.expressions import compiled, re

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ADDRESS = rb"[^<>\s\"\\@,:|/]{1,64}@[^<>\s\"\\@,:|/]{1,255}"
_TO = rb"(?P<rcpt>[^<>\s\"\\@,:|/]{1,64}@(?P<domain>[^<>\s\"\\@,:|/]{1,255}))"
_ID = rb"[0-9A-Za-z]{5,24}+"
_IP = rb"[0-9A-Fa-f.:]{2,45}"
# How lines begin: stamp, and what tells the host and the program; Exim's own log has neither of these.
_SYSLOG = (
    rb"(?P<stamp>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|20[0-9-]{8}T[0-9:.]{8,15}(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"(?P<tag>[^\s:\[\]]{1,255} [A-Za-z][A-Za-z0-9_./-]{0,80}+)(?:\[[0-9]{1,10}\])?: "
)
_EXIM = rb"(?P<stamp>20[0-9-]{8} [0-9:]{8}(?:\.[0-9]{1,9})?(?: [+-][0-9]{4})?)(?P<tag>) (?:\[[0-9]{1,10}\] )?"
_HEADS = {"postfix": _SYSLOG, "sendmail": _SYSLOG, "opensmtpd": _SYSLOG, "exim-main": _EXIM}
WITH_LANES = _HEADS.keys()
_END = rb"(?=\r*+(?:\n|\Z))"  # of a line

_ATTEMPTS = {
    "postfix": (
        rb"(?P<id>" + _ID + rb"): to=<" + _TO + rb">, (?:orig_to=<[^<>\s\"]{1,320}>, )?"
        rb"(?P<place>relay=[^\s,\[\]]{1,255}(?:\[private/[^\s\]]{1,60}\])?)(?:\[(?P<ip>" + _IP + rb")\]:[0-9]{1,5})?, "
        rb"(?:conn_use=[0-9]{1,6}, )?delay=[0-9.]{1,12}, delays=[0-9./]{1,60}, (?P<rest>dsn=[^\r\n]{1,2000})(?P<sender>)"
    ),
    "exim-main": (
        rb"(?P<id>[0-9A-Za-z-]{16,24}) (?P<place>==|\*\*|[=-]>) " + _TO + rb" "
        rb"(?P<rest>R=[^\s=:]{1,64}(?: T=[^\s=:]{1,64})?(?: defer \(-?[0-9]{1,5}\))?(?: H=[^\s\[\]]{1,255} \[(?P<ip>"
        + _IP
        + rb")\])?[^\r\n]{0,2000})(?P<sender>)"
    ),
    "sendmail": (
        rb"(?P<id>[0-9A-Za-z]{14}): to=<" + _TO + rb">, delay=[0-9:+]{1,16}, xdelay=[0-9:+]{1,16}, (?P<place>mailer=[a-z0-9]{1,16}), "
        rb"pri=[0-9]{1,12}, (?P<rest>relay=[^\s,\[\]]{1,255} \[(?P<ip>" + _IP + rb")\], dsn=[245]\.[0-9]{1,3}\.[0-9]{1,3}, "
        rb"stat=[^\r\n]{1,1000})(?P<sender>)"
    ),
    "opensmtpd": (
        rb"[0-9a-f]{16} mta delivery evpid=(?P<id>[0-9a-f]{8})[0-9a-f]{8} from=<(?P<sender>|" + _ADDRESS + rb")> "
        rb"to=<" + _TO + rb'> rcpt=<-> source="[0-9A-Fa-f.:-]{1,45}" (?P<place>relay="(?P<ip>' + _IP + rb') \([^\s"()]{1,255}\)") '
        rb'delay=[0-9dhms]{1,16} (?P<rest>result="[A-Za-z]{2,8}" stat="[^"\r\n]{1,1000}")'
    ),
}
_REFUSALS = {
    "sendmail": (
        rb"(?P<id>[0-9A-Za-z]{14}): (?P<verb>ruleset=check_rcpt)(?P<proto>), arg1=<(?P<rcpt>"
        + _ADDRESS
        + rb")>, relay=(?P<name>[^\s,\[\]]{1,255}) \[(?P<ip>"
        + _IP
        + rb")\], (?P<text>reject=[^\r\n]{1,600})(?P<sender>)(?P<helo>)"
    ),
    "postfix": (
        rb"NOQUEUE(?P<id>): (?P<verb>reject: [A-Z]{3,10} from) (?P<name>[^\s\[\]<>:;,]{1,255})\[(?P<ip>" + _IP + rb")\]: "
        rb"(?P<text>[^;\r\n]{1,600}(?:;(?! from=)[^;\r\n]{1,600}){0,8}); "
        rb"from=<(?P<sender>[^<>\s\"]{0,320})> to=<(?P<rcpt>"
        + _ADDRESS
        + rb")> (?P<proto>proto=[A-Z]{4,6}) helo=<(?P<helo>[^<>\s\"]{0,255})>"
    ),
    "exim-main": (
        rb"(?P<id>)H=(?:(?P<name>[^\s()\[\]]{1,255}) )?(?:\((?P<helo>[^\s()]{1,255})\) )?\[(?P<ip>" + _IP + rb")\](?::[0-9]{1,5})? "
        rb"(?:I=\[[^\s\]]{1,45}\]:[0-9]{1,5} )?(?:X=\S{1,120} CV=\S{1,9} )?F=<(?P<sender>[^<>\s\"]{0,320})> "
        rb"(?P<verb>(?:temporarily )?rejected RCPT)(?P<proto>) <(?P<rcpt>" + _ADDRESS + rb")>: (?P<text>[^\r\n]{1,600})"
    ),
}
_LOGINS = {
    "postfix": (
        rb"warning: (?P<name>[^\s\[\]<>]{1,255})\[(?P<ip>"
        + _IP
        + rb")\]: (?P<text>SASL [A-Z0-9-]{1,40} authentication failed: [^\r\n]{0,300})"
    ),
}
_SENDERS = {
    "sendmail": rb"(?P<id>[0-9A-Za-z]{14}): from=<(?P<sender>"
    + _ADDRESS
    + rb")>, size=[0-9]{1,18}, class=-?[0-9]{1,4}, nrcpts=[0-9]{1,9}, msgid=<[^<>\s]{1,255}>, proto=",
    "postfix": rb"(?P<id>" + _ID + rb"): from=<(?P<sender>[^<>\s\"]{0,320})>, size=[0-9]{1,18}, nrcpt=[0-9]{1,9} \(queue active\)" + _END,
    "exim-main": rb"(?P<id>[0-9A-Za-z-]{16,24}) <= (?P<sender>" + _ADDRESS + rb") (?:H|U|P)=",
}
# What the rest of a delivery begins with; of what is put off or given up it never does.
_SENT = {"postfix": rb"dsn=[0-9.]{5,9}, status=sent \(", "exim-main": rb"R=[^\s=]{1,64} T=", "opensmtpd": rb'result="Ok"'}
_ATTEMPT = ("id", "rcpt", "domain", "place", "ip", "rest", "sender")
_REFUSAL = ("text", "verb", "proto", "rcpt", "sender", "ip", "name", "helo", "id")
_LOGIN = ("text", "name", "ip")
Key = tuple[bytes, ...]
Told = tuple[bytes, bytes | None, bytes | None, bytes | None, bytes | None]  # of a failure: stamp, queue id, recipient, sender, client
# What a lane tells of a line: its key, which is the same in all lines that are alike and begins with host and program; the failure.
Taken = tuple[Key, Told]


class Lanes:
    """The lanes of one format; *number* is the format's.  Lines are parted together, as that takes half the time."""

    def __init__(self, name: str, number: int) -> None:
        self.format = number
        empty = b"(?!)"
        attempt = _ATTEMPTS.get(name, empty)
        sent = attempt.replace(rb"==|\*\*|", b"").replace(b"(?P<rest>", b"(?P<rest>(?=%b)" % _SENT[name]) if name in _SENT else empty
        refusal, login = _REFUSALS.get(name, empty), _LOGINS.get(name, empty)
        self._failures = _parting(name, ("stamp", "tag"), [(attempt, _ATTEMPT), (refusal, _REFUSAL), (login, _LOGIN)])
        sender = _SENDERS.get(name, empty) + rb"[^\n]*+"  # what follows does not matter
        self._messages = _parting(name, ("tag",), [(sender, ("id", "sender")), (sent, ("id", "rcpt"))])

    def messages(self, lines: list[bytes]) -> list[tuple[bytes, ...]]:
        """Of each of *lines* host and program, queue id and sender where it names one, and queue id and recipient where it tells
        a delivery; all empty where the lanes take it for neither.
        """
        return self._messages(lines)

    def take(self, lines: list[bytes]) -> list[Taken | None]:
        """What each of *lines* tells, None where no lane takes it."""
        taken: list[Taken | None] = []
        for (
            stamp, tag, queue_id, rcpt, domain, place, ip, rest, sender,
            text, verb, proto, to, by, client, name, helo, of, said, named, address,
        ) in self._failures(lines):  # fmt: skip
            if place:
                alike = rest.replace(b"[" + ip + b"]", b"[]") if ip else rest
                key = tag, place.replace(ip, b"") if ip else place, alike.replace(rcpt, b"\0"), domain
                taken.append((key, (stamp, queue_id, rcpt, sender or None, None)))
            elif verb:
                key = tag, verb + proto, without(text, (client, to, by, name, helo)), b""
                taken.append((key, (stamp, of or None, to, by or None, client)))
            elif said:
                taken.append(((tag, b"", without(said, (address, named)), b""), (stamp, None, None, None, address)))
            else:
                taken.append(None)
        return taken


def _parting(
    name: str, head: Sequence[str], ways: Sequence[tuple[bytes, Sequence[str]]]
) -> Callable[[list[bytes]], list[tuple[bytes, ...]]]:
    """What parts lines by one of *ways*: to *head*, and the named groups of each way, in that order."""
    numbered = [way.replace(b"(?P<", b"(?P<w%d" % n) for n, (way, _) in enumerate(ways)]
    expression = b"(?>(?:" + _HEADS[name] + b"(?:" + b"|".join(numbered) + rb")(?=\n))?)[^\n]*+()\n"
    # The same for lines without returns and breaks, and faster so.
    expression = expression.replace(rb"[^\r\n]", rb"[^\n]").replace(rb"\s", rb" \t\n\r\f\v")
    pattern = compiled(expression)
    wanted = [*head, *(f"w{n}{group}" for n, (_, groups) in enumerate(ways) for group in groups)]
    # Groups that this format's expression has not are what the last, empty one is.
    order = itemgetter(*(pattern.groupindex.get(group, pattern.groups) - 1 for group in wanted))

    def parted(lines: list[bytes]) -> list[tuple[bytes, ...]]:
        text = b"\n".join(lines)
        if b"\r" in text:
            text = b"\n".join([b"" if b"\r" in line else line for line in lines])
        return list(map(order, pattern.findall(text + b"\n")))

    return parted


def loosely(key: Key) -> Key:
    """*key* without what servers put into their replies to tell one message from another."""
    tag, place, text, domain = key
    if not domain or len(text) > _SHORT:  # only what other servers say differs so
        return key
    ahead, said, reply = text.partition(b" said: ")
    if not said and place in {b"==", b"**"}:
        ahead, said, reply = text.partition(b": SMTP error from remote mail")
    if said:
        return tag, place, ahead + said + _untokened(reply), domain
    return (tag, place, _IN_BRACKETS.sub(b"[]", text), domain) if b"[" in text else key


def _untokened(reply: bytes) -> bytes:
    if _COUNTED(reply):
        return _TOKEN.sub(b"0", reply)
    words = reply.split(b" ")
    for n, word in enumerate(words):  # much faster than one expression
        if len(word) >= _LEAST_TOKEN and not word.isalpha() and _IS_TOKEN(word):
            words[n] = b"0"
    return b" ".join(words)


_LEAST_TOKEN = 8
_COUNTED = re.compile(rb"[0-9] ?[smh]").search
_IS_TOKEN = re.compile(rb"(?=\w*[0-9])[\w.-]{8,80}\Z").match
_IN_BRACKETS = re.compile(rb"\[" + _IP + rb"\]")
_SHORT = 450  # longer texts are cut for their shape, and the cut would not be the same
_TOKEN = re.compile(rb"\b(?:(?=\w*[0-9])[\w.-]{8,80}|[0-9]{1,9}(?= ?(?:s|secs?|seconds?|min|minutes?|hours?)\b))")


def without(text: bytes, values: Sequence[bytes | None]) -> bytes:
    """*text* without *values*, of those that cannot be a common word."""
    for value in values:
        if value and (b"." in value or b"@" in value or b":" in value):
            text = text.replace(value, b"\0")
    return text
