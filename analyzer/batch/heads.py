"""How lines begin: where all lines of a block have a host and program that are known, no name of a program is searched for.

RE2 finds the first line that begins otherwise, at the speed of a search for one text; as it cannot say "not followed by", the
expression spells out in which byte a line may differ from all that is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.batch import sift
from analyzer.batch.deliveries import line_from
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from analyzer.batch.reader import Reader

_MOST = 80  # heads of a range
_STAMPS = range(15, 40)  # how long they may be
_DATED = re.compile(rb"[A-Z][a-z]{2} [ 0-9][0-9] |20[0-9]{2}-").match


def linear(expression: bytes) -> Any:
    """*expression* by RE2."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(expression, options)


def other_than(texts: Collection[bytes]) -> bytes | None:
    """An expression for what begins with none of *texts*, as far as it takes to see that; None where everything does."""
    if b"" in texts:
        return None
    rests: dict[int, set[bytes]] = {}
    for text in texts:
        rests.setdefault(text[0], set()).add(text[1:])
    ways = [b"[^%b]" % b"".join(b"\\x%02x" % c for c in sorted(rests))]
    for byte, rest in sorted(rests.items()):
        if (other := other_than(rest)) is not None:
            ways.append(b"\\x%02x%b" % (byte, other))
    return b"(?:%b)" % b"|".join(ways)


class Heads:
    """The heads of a range's lines, learnt as they come."""

    def __init__(self, reader: Reader, *, fast: bool = True) -> None:
        self.reader = reader
        self.host: bytes | None = None  # of all lines of the block last asked about, where they have the same
        self._hosts: set[bytes] = set()
        self._known: set[bytes] = set()
        self._stamp = 0
        self._search: Callable[[bytes, int], int] = lambda _block, _at: -1
        self._fast = fast and sift.compiled()

    def known(self, block: bytes, formats: tuple[int, ...]) -> bool:
        """Whether all lines of *block* have heads that are known, and what has such is read by *formats*, which are always the same."""
        self.host = None
        if not block.startswith(tuple(self._known), self._stamp) and not self._learn(line_from(block, 0), formats):
            return False
        at = 0
        while (at := self._search(block, at)) >= 0:
            if not self._learn(line_from(block, at), formats):
                return False
        self.host = next(iter(self._hosts)) if len(self._hosts) == 1 else None
        return True

    def _learn(self, line: bytes, formats: tuple[int, ...]) -> bool:
        """Learn the head of *line*; whether that could be done."""
        head = self.reader.split(line)[0]
        if head.program is None or not head.host or head.formats != formats or len(self._known) >= _MOST:
            return False
        text = b" %b %b" % (head.host, head.program.encode())
        at = line.find(text)
        text = line[at : at + len(text) + 1]
        if (
            len(text) > sift.MOST_LENGTH
            or at not in _STAMPS
            or (self._known and at != self._stamp)
            or not _DATED(line)
            or text[-1:] not in {b"[", b":"}
            or b" " in line[at - 8 : at]
        ):
            return False
        if text in self._known:
            return False
        self._known.add(text)
        self._hosts.add(head.host)
        self._stamp = at
        self._search = self._searching(line[:1].isalpha())
        return True

    def _searching(self, months: bool) -> Callable[[bytes, int], int]:
        """What finds, from where a line begins, the first line that has none of the known heads; the very first may be left out."""
        if self._fast:
            return sift.Heads(self._known, self._stamp, b"AZ" if months else b"22").search
        other = other_than(self._known)
        assert other is not None
        search = linear(rb"\n(?:[^%b\n]|[^\n]{%d}%b)" % (b"A-Z" if months else b"2", self._stamp, other)).search

        def found(block: bytes, at: int) -> int:
            other = search(block, max(0, at - 1))
            return -1 if other is None else int(other.start()) + 1

        return found
