"""Express lanes of the second reading: who sent a message, and whether it was delivered, by a short expression.

A line that a lane does not take is read whole, and so is the first one of each host and program.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from analyzer.expressions import compiled

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
_SENDERS = {
    "sendmail": rb"(?P<id>[0-9A-Za-z]{14}): from=<(?P<sender>"
    + _ADDRESS
    + rb")>, size=[0-9]{1,18}, class=-?[0-9]{1,4}, nrcpts=[0-9]{1,9}, msgid=<[^<>\s]{1,255}>, proto=",
    "postfix": rb"(?P<id>" + _ID + rb"): from=<(?P<sender>[^<>\s\"]{0,320})>, size=[0-9]{1,18}, nrcpt=[0-9]{1,9} \(queue active\)" + _END,
    "exim-main": rb"(?P<id>[0-9A-Za-z-]{16,24}) <= (?P<sender>" + _ADDRESS + rb") (?:H|U|P)=",
}
# What the rest of a delivery begins with; of what is put off or given up it never does.
_SENT = {"postfix": rb"dsn=[0-9.]{5,9}, status=sent \(", "exim-main": rb"R=[^\s=]{1,64} T=", "opensmtpd": rb'result="Ok"'}


class Lanes:
    """The lanes of one format; *number* is the format's.  Lines are parted together, as that takes half the time."""

    def __init__(self, name: str, number: int) -> None:
        self.format = number
        empty = b"(?!)"
        attempt = _ATTEMPTS.get(name, empty)
        sent = attempt.replace(rb"==|\*\*|", b"").replace(b"(?P<rest>", b"(?P<rest>(?=%b)" % _SENT[name]) if name in _SENT else empty
        sender = _SENDERS.get(name, empty) + rb"[^\n]*+"  # what follows does not matter
        self._messages = _parting(name, ("tag",), [(sender, ("id", "sender")), (sent, ("id", "rcpt"))])

    def messages(self, lines: list[bytes]) -> list[tuple[bytes, ...]]:
        """Of each of *lines* host and program, queue id and sender where it names one, and queue id and recipient where it tells
        a delivery; all empty where the lanes take it for neither.
        """
        return self._messages(lines)


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
