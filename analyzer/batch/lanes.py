"""Express lanes: the commonest failures are told apart by a short expression, and read whole once for all that are alike.

A lane parts a line into what differs from message to message (queue id, addresses, times) and the rest.  All that a failure
is grouped by follows from the rest; a line that a lane does not take, or whose first reading disagrees, is read whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESS = rb"[^<>\s\"\\@,:|/]{1,64}@[^<>\s\"\\@,:|/]{1,255}"
_TO = rb"([^<>\s\"\\@,:|/]{1,64}@([^<>\s\"\\@,:|/]{1,255}))"  # the address, and its domain
_ID = rb"[0-9A-Za-z]{5,24}"
_IP = rb"[0-9A-Fa-f.:]{2,45}"
_STAMP = rb"[0-9-]{10} [0-9:]{8}(?:\.[0-9]{1,9})?(?: [+-][0-9]{4})?(?: \[[0-9]{1,10}\])? "

# The expressions, and their groups for queue id, recipient, its domain, place, the place's IP address, the rest, and the sender.
_ATTEMPTS = {
    "postfix": (
        rb"(" + _ID + rb"): to=<" + _TO + rb">, (?:orig_to=<[^<>\s\"]{1,320}>, )?"
        rb"(relay=[^\s,\[\]]{1,255}(?:\[private/[^\s\]]{1,60}\])?)(?:\[(" + _IP + rb")\]:[0-9]{1,5})?, "
        rb"(?:conn_use=[0-9]{1,6}, )?delay=[0-9.]{1,12}, delays=[0-9./]{1,60}, (dsn=.{1,2000})()\Z",
        (1, 2, 3, 4, 5, 6, 7),
    ),
    "exim-main": (
        _STAMP + rb"([0-9A-Za-z-]{16,24}) (==|\*\*|[=-]>) " + _TO + rb" "
        rb"(R=[^\s=:]{1,64}(?: T=[^\s=:]{1,64})?(?: defer \(-?[0-9]{1,5}\))?(?: H=[^\s\[\]]{1,255} \[(" + _IP + rb")\])?.{0,2000})()\Z",
        (1, 3, 4, 2, 6, 5, 7),
    ),
    "sendmail": (
        rb"([0-9A-Za-z]{14}): to=<" + _TO + rb">, delay=[0-9:+]{1,16}, xdelay=[0-9:+]{1,16}, (mailer=[a-z0-9]{1,16}), pri=[0-9]{1,12}, "
        rb"(relay=[^\s,\[\]]{1,255} \[(" + _IP + rb")\], dsn=[245]\.[0-9]{1,3}\.[0-9]{1,3}, stat=.{1,1000})()\Z",
        (1, 2, 3, 4, 6, 5, 7),
    ),
    "opensmtpd": (
        rb"[0-9a-f]{16} (mta delivery) evpid=([0-9a-f]{8})[0-9a-f]{8} from=<(|" + _ADDRESS + rb")> to=<" + _TO + rb"> rcpt=<-> "
        rb'source="[0-9A-Fa-f.:-]{1,45}" (?=relay="(' + _IP + rb") \()(relay=\"[^\s\"]{1,45} \([^\s\"()]{1,255}\)\") delay=[0-9dhms]{1,16} "
        rb'(result="[A-Za-z]{2,8}" stat="[^"]{1,1000}")\Z',
        (2, 4, 5, 7, 6, 8, 3),
    ),
}
# Their groups: the words, what was done, the protocol, recipient, sender, client's address and name, HELO, queue id.
_REFUSALS = {
    "sendmail": (
        rb"([0-9A-Za-z]{14}): (ruleset=check_rcpt), arg1=<(" + _ADDRESS + rb")>, relay=([^\s,\[\]]{1,255}) \[(" + _IP + rb")\], "
        rb"(reject=.{1,600})()\Z",
        (6, 2, 2, 3, 7, 5, 4, 7, 1),
    ),
    "postfix": (
        rb"NOQUEUE: (reject: [A-Z]{3,10} from) ([^\s\[\]<>:;,]{1,255})\[(" + _IP + rb")\]: ([^;]{1,600}(?:;(?! from=)[^;]{1,600}){0,8}); "
        rb"from=<([^<>\s\"]{0,320})> to=<(" + _ADDRESS + rb")> (proto=[A-Z]{4,6}) helo=<([^<>\s\"]{0,255})>()\Z",
        (4, 1, 7, 6, 5, 3, 2, 8, 9),
    ),
    "exim-main": (
        _STAMP + rb"H=(?:([^\s()\[\]]{1,255}) )?(?:\(([^\s()]{1,255})\) )?\[(" + _IP + rb")\](?::[0-9]{1,5})? "
        rb"(?:I=\[[^\s\]]{1,45}\]:[0-9]{1,5} )?(?:X=\S{1,120} CV=\S{1,9} )?F=<([^<>\s\"]{0,320})> "
        rb"((?:temporarily )?rejected RCPT) <(" + _ADDRESS + rb")>: (.{1,600})()\Z",
        (7, 5, 5, 6, 4, 3, 1, 2, 8),
    ),
}
_SENDERS = {
    "sendmail": rb"([0-9A-Za-z]{14}): from=<("
    + _ADDRESS
    + rb")>, size=[0-9]{1,18}, class=-?[0-9]{1,4}, nrcpts=[0-9]{1,9}, msgid=<[^<>\s]{1,255}>, proto=",
    "postfix": rb"(" + _ID + rb"): from=<([^<>\s\"]{0,320})>, size=[0-9]{1,18}, nrcpt=[0-9]{1,9} \(queue active\)\Z",
    "exim-main": _STAMP + rb"([0-9A-Za-z-]{16,24}) <= (" + _ADDRESS + rb") (?:H|U|P)=",
}
_SENT = {
    "postfix": re.compile(rb"dsn=[0-9.]{5,9}, status=sent \(").match,
    "exim-main": re.compile(rb"R=[^\s=]{1,64} T=").match,
    "opensmtpd": re.compile(rb'result="Ok"').match,
}
_LOGIN = re.compile(rb"warning: ([^\s\[\]<>]{1,255})\[(" + _IP + rb")\]: (SASL [A-Z0-9-]{1,40} authentication failed: .{0,300})\Z").match
Key = tuple[bytes, ...]


class Taken(NamedTuple):
    """What a lane tells of a line: *key* is the same in all lines that are alike."""

    key: Key
    queue_id: bytes | None
    rcpt: bytes | None
    sender: bytes | None
    client: bytes | None


class Lanes:
    """The lanes of one format."""

    def __init__(self, name: str) -> None:
        attempt, refusal = _ATTEMPTS.get(name), _REFUSALS.get(name)
        self._attempt = re.compile(attempt[0]).match if attempt else None
        self._groups: tuple[int, ...] = attempt[1] if attempt else ()
        self._refusal = re.compile(refusal[0]).match if refusal else None
        self._order: tuple[int, ...] = refusal[1] if refusal else ()

        sender = _SENDERS.get(name)
        self._sender = re.compile(sender).match if sender else None
        self._sent = _SENT.get(name)
        self._login = _LOGIN if name == "postfix" else None

    def sender(self, body: bytes) -> tuple[bytes, bytes] | None:
        """Queue id and sender, where *body* names them."""
        found = self._sender(body) if self._sender else None
        return (found[1], found[2]) if found else None

    def sent(self, body: bytes) -> tuple[bytes, bytes] | None:
        """Queue id and recipient, where *body* tells a delivery."""
        found = self._attempt(body) if self._attempt and self._sent else None
        if found is None or self._sent is None:
            return None
        queue_id, rcpt, _, place, _, rest, _ = found.group(*self._groups)
        return (queue_id, rcpt) if self._sent(rest) and place not in {b"==", b"**"} else None

    def take(self, body: bytes) -> Taken | None:
        """What *body* tells, or None where no lane takes it."""
        if self._attempt and (found := self._attempt(body)):
            queue_id, rcpt, domain, place, ip, rest, sender = found.group(*self._groups)
            if ip:
                rest, place = rest.replace(b"[%b]" % ip, b"[]"), place.replace(ip, b"")
            return Taken((place, rest.replace(rcpt, b"\0"), domain), queue_id, rcpt, sender or None, None)
        if self._refusal and (found := self._refusal(body)):
            text, verb, proto, rcpt, sender, ip, name, helo, queue_id = found.group(*self._order)
            return Taken((verb, proto, without(text, (ip, rcpt, sender, name, helo)), b""), queue_id or None, rcpt, sender or None, ip)
        if self._login and (found := self._login(body)):
            name, ip, text = found.groups()
            return Taken((b"", without(text, (ip, name))), None, None, None, ip)
        return None


def loosely(key: Key) -> Key:
    """*key* without what servers put into their replies to tell one message from another."""
    if len(key) != 3 or len(key[1]) > _SHORT:
        return key
    ahead, said, reply = key[1].partition(b" said: ")
    if not said and key[0] in {b"==", b"**"}:
        ahead, said, reply = key[1].partition(b": SMTP error from remote mail")
    if said:
        return key[0], ahead + said + _TOKEN.sub(b"0", reply), key[2]
    return (key[0], _IN_BRACKETS.sub(b"[]", key[1]), key[2]) if b"[" in key[1] else key


_IN_BRACKETS = re.compile(rb"\[" + _IP + rb"\]")
_SHORT = 450  # longer texts are cut for their shape, and the cut would not be the same
_TOKEN = re.compile(rb"\b(?:(?=\w*[0-9])[\w.-]{8,80}|[0-9]{1,9}(?= ?(?:s|secs?|seconds?|min|minutes?|hours?)\b))")


def without(text: bytes, values: Sequence[bytes | None]) -> bytes:
    """*text* without *values*, of those that cannot be a common word."""
    for value in values:
        if value and (b"." in value or b"@" in value or b":" in value):
            text = text.replace(value, b"\0")
    return text
