"""Express lanes: the commonest failures are told apart by a short expression, and read whole once for all that are alike.

A lane parts a line into what differs from message to message (queue id, addresses, times) and the rest.  All that a failure
is grouped by follows from the rest; a line that a lane does not take, or whose first reading disagrees, is read whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analyzer.expressions import compiled, re

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_SENT = {
    "postfix": re.compile(rb"dsn=[0-9.]{5,9}, status=sent \(").match,
    "exim-main": re.compile(rb"R=[^\s=]{1,64} T=").match,
    "opensmtpd": re.compile(rb'result="Ok"').match,
}
_ATTEMPT = ("stamp", "tag", "id", "rcpt", "domain", "place", "ip", "rest", "sender")
_REFUSAL = ("stamp", "tag", "text", "verb", "proto", "rcpt", "sender", "ip", "name", "helo", "id")
_LOGIN = ("stamp", "tag", "text", "name", "ip")
_SENDER = ("tag", "id", "sender")
Key = tuple[bytes, ...]


Told = tuple[bytes, bytes | None, bytes | None, bytes | None, bytes | None]  # of a failure: stamp, queue id, recipient, sender, client
# What a lane tells of a line: its key, which is the same in all lines that are alike and begins with host and program; where the
# line ends in its block; and the failure.
Taken = tuple[Key, int, Told]


Way = tuple[Callable[[bytes, int], Any], tuple[int, ...]] | None  # the match, and its groups in the order that is wanted


class Lanes:
    """The lanes of one format; *number* is the format's."""

    def __init__(self, name: str, number: int) -> None:
        self.format = number
        self._attempt = _way(name, _ATTEMPTS, _ATTEMPT)
        self._refusal = _way(name, _REFUSALS, _REFUSAL)
        self._login = _way(name, _LOGINS, _LOGIN)
        self._sender = _way(name, _SENDERS, _SENDER, end=b"")
        self._sent = _SENT.get(name)

    def sender(self, block: bytes, at: int) -> tuple[bytes, bytes, bytes] | None:
        """Host and program, queue id and sender, where the line at *at* names them."""
        if self._sender is None or (found := self._sender[0](block, at)) is None:
            return None
        tag, queue_id, sender = found.group(*self._sender[1])
        return tag, queue_id, sender

    def sent(self, block: bytes, at: int) -> tuple[bytes, bytes, bytes] | None:
        """Host and program, queue id and recipient, where the line at *at* tells a delivery."""
        if self._attempt is None or self._sent is None or (found := self._attempt[0](block, at)) is None:
            return None
        _, tag, queue_id, rcpt, _, place, _, rest, _ = found.group(*self._attempt[1])
        return (tag, queue_id, rcpt) if self._sent(rest) and place not in {b"==", b"**"} else None

    def take(self, block: bytes, at: int) -> Taken | None:
        """What the line at *at* tells, or None where no lane takes it."""
        if self._attempt is not None and (found := self._attempt[0](block, at)):
            stamp, tag, queue_id, rcpt, domain, place, ip, rest, sender = found.group(*self._attempt[1])
            if ip:
                rest, place = rest.replace(b"[%b]" % ip, b"[]"), place.replace(ip, b"")
            return (tag, place, rest.replace(rcpt, b"\0"), domain), found.end(), (stamp, queue_id, rcpt, sender or None, None)
        if self._refusal is not None and (found := self._refusal[0](block, at)):
            stamp, tag, text, verb, proto, rcpt, sender, ip, name, helo, queue_id = found.group(*self._refusal[1])
            key = tag, verb + proto, without(text, (ip, rcpt, sender, name, helo)), b""
            return key, found.end(), (stamp, queue_id or None, rcpt, sender or None, ip)
        if self._login is not None and (found := self._login[0](block, at)):
            stamp, tag, text, name, ip = found.group(*self._login[1])
            return (tag, b"", without(text, (ip, name)), b""), found.end(), (stamp, None, None, None, ip)
        return None


def _way(name: str, expressions: dict[str, bytes], names: Sequence[str], end: bytes = _END) -> Way:
    if name not in expressions:
        return None
    expression = compiled(_HEADS[name] + expressions[name] + end)
    return expression.match, tuple(expression.groupindex[n] for n in names)


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
