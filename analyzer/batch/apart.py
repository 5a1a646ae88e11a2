"""Blocks in which programs of several formats write: the lines of each are taken by themselves and searched for its texts alone."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, count
from operator import add
from typing import TYPE_CHECKING

import msgspec

from analyzer.batch.deliveries import line_from
from analyzer.batch.heads import Heads
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.batch.reader import Reader

_HEAD = (
    rb"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}|20[0-9-]{8}T[0-9:.]{8,15}(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"([^\s:\[\]]{1,255} [A-Za-z][A-Za-z0-9_./-]{0,80}+)(?=(?:\[[0-9]{1,10}\])?: )"
)
_HEADS = re.compile(rb"\n(?:" + _HEAD + rb")?")  # of every line of a block that begins with a line's end
_FIRST = re.compile(_HEAD)
_MOST_TAGS = 10_000
_FEW = 8  # of how many lines one may have no head

Formats = tuple[int, ...]


class Part(msgspec.Struct, frozen=True):
    """Lines that the same formats read, all of *host* where that is known: as a block of their own, from which *place* leads back; None:
    the block that was asked about.
    """

    formats: Formats
    block: bytes
    host: bytes | None
    place: Callable[[int], int] | None


class Apart:
    """What stands between stamp and words of lines, host and program, tells who reads them; learnt as lines come."""

    def __init__(self, reader: Reader, *, fast: bool = True) -> None:
        self.reader, self.fast = reader, fast
        self._formats: dict[bytes, Formats | None] = {b"": None}  # by host and program; None where the line must be looked at
        self._heads: dict[Formats, Heads] = {}

    def parts(self, offset: int, block: bytes) -> Iterator[Part] | None:
        """The parts of *block*, or None where most lines have no host and program."""
        found = _FIRST.match(block)
        formats = self._of(found[1], line_from(block, 0)) if found else None
        if formats is None:
            return None
        if formats and (heads := self._heads.setdefault(formats, Heads(self.reader, fast=self.fast))).known(block, formats):
            return iter([Part(formats, block, heads.host, None)])
        tags = _HEADS.findall(b"\n" + block)
        if tags.count(b"") * _FEW > len(tags) + _FEW:
            return None
        return self._parts(offset, block, tags)

    def _parts(self, offset: int, block: bytes, tags: list[bytes]) -> Iterator[Part]:
        lines = block.split(b"\n")
        present = set(tags)
        for tag in present - self._formats.keys():
            self._of(tag, lines[tags.index(tag)])
        shelves: dict[Formats | None, list[int]] = {}
        hosts: dict[Formats | None, set[bytes]] = {}
        put = {}
        for tag in present:
            formats = self._formats.get(tag)
            put[tag] = shelves.setdefault(formats, []).append
            hosts.setdefault(formats, set()).add(tag.partition(b" ")[0])
        for number, append in enumerate(map(put.__getitem__, tags)):
            append(number)
        for number in shelves.pop(None, ()):
            if line := lines[number]:
                formats = self.reader.split(line)[0].formats
                shelves.setdefault(formats, []).append(number)
                hosts[formats] = set()
        shelves.pop((), None)
        ends = list(accumulate(map(len, lines)))
        for formats, numbers in shelves.items():
            assert formats is not None
            numbers.sort()
            mine = list(map(lines.__getitem__, numbers))
            host = hosts[formats].pop() if len(hosts[formats]) == 1 else None
            yield Part(formats, b"\n".join(mine) + b"\n", host, _places(offset, mine, numbers, ends))

    def _of(self, tag: bytes, line: bytes) -> Formats | None:
        """The formats that read all lines with *tag*, of which *line* is one."""
        if tag not in self._formats:
            if len(self._formats) > _MOST_TAGS:
                self._formats.clear()
                self._formats[b""] = None
            head, _, body = self.reader.split(line)
            host, _, program = tag.partition(b" ")
            told = head.host == host and head.program is not None and head.program.encode() == program
            self._formats[tag] = head.formats if told and line.partition(b": ")[2] == body else None
        return self._formats[tag]


def _places(offset: int, lines: list[bytes], numbers: list[int], ends: list[int]) -> Callable[[int], int]:
    """From where a line of *lines*, joined, begins to where it does in its log."""
    begins: list[int] = []

    def place(at: int) -> int:
        if not begins:
            begins.extend(map(add, accumulate(map(len, lines), initial=0), count()))
        number = numbers[bisect_right(begins, at) - 1]
        return offset + (ends[number - 1] + number if number else 0)

    return place
