"""A range of a log -> its failures, alike ones together, and its totals.

Everything here is a plain function of (item, range, block size): the sum over all ranges does not depend on the cuts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.batch.reader import INFO, STATUS, Reader, failed, needles_of
from analyzer.batch.sources import Item, blocks
from analyzer.batch.stamps import Clock, Years

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

_GOOD_WORDS = (b"sent ", b"sent\n", b"delivered ", b"deliverable ", b"relayed ", b"expanded ")
_DIGITS = re.compile(r"[0-9]+")
_BRACKETS = re.compile(r"<[^<>]{0,320}>|\"[^\"]{0,320}\"|\[[^\[\]]{0,80}\]|\([^\s()]{1,80}\.[^\s()]{1,80}\)")
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_TOKEN = re.compile(r"\b(?=\w*[0-9])[\w.-]{8,80}")
_FIXED = bytes(b"0"[0] if chr(i).isdigit() else i for i in range(256))
_IDS = re.compile(rb"[0-9A-Za-z-]{5,24}")
_NO_ID = frozenset({None, b"NOQUEUE", b"000000"})
_MOST_SHAPES = 100_000


class Wanted(msgspec.Struct, frozen=True):
    """Which failures count: times in seconds since 1970, the rest in lower case; *ids*: messages of the senders asked for."""

    since: int | None = None
    until: int | None = None
    host: str | None = None
    recipient: str | None = None
    sender: str | None = None
    ids: frozenset[bytes] | None = None


class Task(msgspec.Struct, frozen=True):
    """A range of a log; *source* counts the logs."""

    source: int
    item: Item
    start: int
    end: int | None
    size: int
    years: Years
    zone: Any = None
    wanted: Wanted = Wanted()
    use_automaton: bool = True


class Group(msgspec.Struct):
    """Failures of one shape, place and destination.  *of*: host, queue id and recipient of each, apart by blanks."""

    count: int = 0
    first: int | None = None
    last: int | None = None
    hours: dict[int, int] = {}
    of: set[bytes] = set()
    senders: set[bytes] = set()
    clients: set[bytes] = set()
    sample: tuple[float, int, int, bytes] | None = None  # time, source, offset, line
    example: tuple[bytes, bytes | None] = (b"", None)  # host and queue id of the sample


Key = tuple[Any, ...]


class Tally(msgspec.Struct):
    """What is known of a range."""

    lines: int = 0
    bytes: int = 0
    counts: dict[str, int] = {}
    groups: dict[Key, Group] = {}
    ends: dict[int, tuple[int, int | None]] = {}  # source -> offset and time of its last line
    blocks: dict[tuple[int, int], int] = {}  # (source, offset) -> lines of the block there
    odd: bool = False  # queue ids stand where `token` does not look
    notes: list[str] = []


def shape(text: str) -> str:
    """*text* without what differs from one message to the next."""
    text = _BRACKETS.sub("<>", text[:600])
    if "@" in text:
        text = _ADDRESS.sub("<>", text)
    return _DIGITS.sub("0", _TOKEN.sub("0", text)[:300])


class Finder:
    """Where texts occur: Aho-Corasick where installed, one alternation else; both find the first, longest."""

    def __init__(self, texts: tuple[bytes, ...], *, automaton: bool = True) -> None:
        self.texts = texts
        self.find: Callable[[bytes], Any] = self._with_re
        if automaton and texts:
            try:
                import ahocorasick_rs as aho
            except ImportError:
                pass
            else:
                # Its fast path wants more than three different first bytes and at most 64 patterns.
                padded = [*texts, *(b"%cmailwhy\x00" % i for i in range(1, 5) if len(texts) < 60)]
                self.find = aho.BytesAhoCorasick(padded, matchkind=aho.MATCHKIND_LEFTMOST_LONGEST).find_matches_as_indexes
        self._at = {t: i for i, t in enumerate(texts)}
        self._pattern = re.compile(b"|".join(re.escape(t) for t in sorted(texts, key=lambda t: (-len(t), t)))) if texts else None

    def _with_re(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        if self._pattern is not None:
            for m in self._pattern.finditer(block):
                yield self._at[m[0]], m.start(), m.end()


class Knowledge:
    """Formats and providers as the scan uses them; made once a process."""

    def __init__(self, formats: Formats, book: RuleBook) -> None:
        self.reader = Reader(formats)
        self.needles = needles_of(self.reader)
        self.suffixes = {s.encode(): p.encode() for p, all_of in book.providers for s in all_of}
        self.remotes: dict[bytes | None, bytes | None] = {None: None}
        self.shapes: dict[bytes, str] = {b"": ""}

    def provider(self, name: bytes | None) -> bytes | None:
        """The provider to whose names *name* belongs."""
        if name not in self.remotes:
            if len(self.remotes) > 100_000:
                self.remotes.clear()
            at = (name or b"").split(b" ", 1)[0].rstrip(b".").lower()
            while at and at not in self.suffixes:
                at = at.partition(b".")[2]
            self.remotes[name] = self.suffixes.get(at)
        return self.remotes[name]

    def shape(self, text: bytes, rcpt: bytes | None) -> str:
        """The shape of *text*, kept by what is left of it without the recipient and the digits."""
        key = (text.replace(rcpt, b"") if rcpt else text).translate(_FIXED)
        found = self.shapes.get(key)
        if found is None:
            if len(self.shapes) > _MOST_SHAPES:
                self.shapes.clear()
            found = self.shapes[key] = shape(key.decode("utf-8", "replace"))
        return found


def scan(task: Task, knowledge: Knowledge, progress: Callable[[int, int], None] | None = None) -> Tally:
    """What the range of *task* tells."""
    tally = Tally()
    needles = knowledge.needles
    use = [i for i, r in enumerate(needles.roles) if r != INFO]
    finder = Finder(tuple(needles.texts[i] for i in use), automaton=task.use_automaton)
    roles = [needles.roles[i] for i in use]
    counter = Counter_(tally, task, knowledge)
    for offset, block in blocks(task.item, task.start, task.end, task.size, tally.notes):
        before = counter.failures
        if needles.every:
            counter.all_lines(offset, block)
        else:
            counter.hits(offset, block, finder.find(block), roles)
        tally.blocks[task.source, offset] = lines = block.count(b"\n") + (not block.endswith(b"\n"))
        tally.lines += lines
        tally.bytes += len(block)
        tail = block[block.rfind(b"\n", 0, -1) + 1 :].rstrip(b"\r\n")
        tally.ends[task.source] = (offset + len(block), counter.clock.seconds(knowledge.reader.split(tail)[1]) if tail else None)
        if progress:
            progress(len(block), counter.failures - before)
        if not block.endswith(b"\n") and len(block) < (1 << 20):
            tally.notes.append(f"{task.item.name}: the last line has no end; it may be cut")
    counter.close()
    return tally


class Counter_:  # noqa: N801
    """The scan of one range, as it goes."""

    def __init__(self, tally: Tally, task: Task, knowledge: Knowledge) -> None:
        self.tally, self.task, self.k = tally, task, knowledge
        self.clock = Clock(task.years, task.zone)
        self.failures = self.received = self.sent = 0
        w = task.wanted
        self.filtered = w != Wanted()
        self.checked: set[int] = set()

    def close(self) -> None:
        """The totals into the tally."""
        for name, value in (("received", self.received), ("delivered", self.sent)):
            if value:
                self.tally.counts[name] = self.tally.counts.get(name, 0) + value

    def hits(self, offset: int, block: bytes, hits: Any, roles: list[int]) -> None:
        """The lines in which something was found."""
        done = good = -1
        sent = 0
        startswith, find, rfind = block.startswith, block.find, block.rfind
        for text in self.k.needles.received:
            self.received += block.count(text)
        for which, start, end in hits:
            if start < done:
                continue
            if roles[which] == STATUS and (startswith(b"sent ", end) or startswith(_GOOD_WORDS, end)):
                # Words in a stranger's text do not count twice.
                if good < 0 or start - good > 4096 or find(b"\n", good, start) >= 0:
                    sent += 1
                good = start
                continue
            done = find(b"\n", end)
            if done < 0:
                done = len(block)
            begin = rfind(b"\n", 0, start) + 1
            self.line(offset + begin, block[begin:done], counted=good >= begin)
        self.sent += sent

    def all_lines(self, offset: int, block: bytes) -> None:
        """Every line, where some failure has no text to find it by."""
        at = 0
        while at < len(block):
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            self.line(offset + at, block[at:end], counted=False, every=True)
            at = end + 1

    def line(self, offset: int, line: bytes, *, counted: bool, every: bool = False) -> None:
        """One line that may tell a failure; *counted*: it was already taken for a delivery."""
        line = line.rstrip(b"\r")
        read = self.k.reader.read(line)
        if read is None:
            return
        kind = read.plan.kind
        if not every and kind != "message_info":
            for text in self.k.needles.received:
                if text in line:  # in a stranger's text
                    self.received -= line.count(text)
        if failed(read):
            self.sent -= counted
            self.add(offset, line, read)
        elif kind == "attempt":
            self.sent += read.values[6] is not None and not counted
        elif every and kind == "message_info" and read.values[15]:
            self.received += 1

    def add(self, offset: int, line: bytes, read: Any) -> None:
        """A failure into its group."""
        v, plan, host = read.values, read.plan, read.host
        queue_id, rcpt, sender = v[0], v[1], v[2]
        if queue_id in _NO_ID:
            queue_id = None
        time = self.clock.seconds(read.stamp)
        if self.filtered and not self.is_wanted(time, host, rcpt, sender, queue_id):
            return
        self.failures += 1
        if queue_id and plan.format not in self.checked and not self.tally.odd:
            self.checked.add(plan.format)
            self.tally.odd = token(line, 0, len(line)) != queue_id
        kind = plan.kind
        remote: bytes | None = None
        if kind == "attempt":
            remote = self.k.provider(v[3]) or self.k.provider(v[4]) or (rcpt.rpartition(b"@")[2].lower() if rcpt else v[3])
        elif v[17] is not None:
            remote = self.k.provider(v[17]) or v[17]
        text = v[9]
        key = (
            plan.format,
            plan.alias,
            host,
            v[6],
            v[8],
            v[7],
            v[5],
            v[10],
            v[11],
            v[12],
            v[13],
            self.k.shape(text, rcpt) if text else "",
            remote,
        )
        group = self.tally.groups.get(key)
        if group is None:
            group = self.tally.groups[key] = Group()
        group.count += 1
        when: float = float("inf")
        if time is not None:
            when = time
            if group.first is None or time < group.first:
                group.first = time
            if group.last is None or time > group.last:
                group.last = time
            hour = time // 3600
            group.hours[hour] = group.hours.get(hour, 0) + 1
        if queue_id:
            group.of.add(b"%b %b %b" % (host, queue_id, rcpt or b""))
        else:
            group.of.add(b"%b  %b" % (host, rcpt or b""))
            if v[15]:
                group.clients.add(v[15])
        if sender is not None:
            group.senders.add(sender)
        old = group.sample
        if old is None or (when, self.task.source, offset) < old[:3]:
            group.sample = (when, self.task.source, offset, line)
            group.example = (host, queue_id)

    def is_wanted(self, time: int | None, host: bytes, rcpt: bytes | None, sender: bytes | None, queue_id: bytes | None) -> bool:
        """Whether the failure passes the filters."""
        w = self.task.wanted
        if w.since is not None and (time is None or time < w.since):
            return False
        if w.until is not None and (time is None or time >= w.until):
            return False
        if w.host is not None and host.decode("utf-8", "replace").lower() != w.host:
            return False
        if w.recipient is not None and not same_mail(rcpt, w.recipient):
            return False
        if w.sender is not None:
            if sender is not None:
                return same_mail(sender, w.sender)
            return w.ids is None or (queue_id is not None and b"%b %b" % (host, queue_id) in w.ids)
        return True


def same_mail(address: bytes | None, wanted: str) -> bool:
    """Whether *address* is *wanted*, or in the domain *wanted* where that has no local part."""
    text = (address or b"").decode("utf-8", "replace").lower().strip("<>")
    if "@" in wanted.lstrip("@"):
        return text == wanted
    return text.rpartition("@")[2] == wanted.lstrip("@")


def token(block: bytes, begin: int, end: int) -> bytes:
    """The word at which log lines carry the queue id: behind the program, or behind Exim's stamp."""
    if block[begin + 10 : begin + 11] == b" " and block[begin : begin + 1].isdigit():
        at = begin + 20
        for _ in range(3):
            stop = block.find(b" ", at, end + 64)
            word = block[at:stop] if stop > 0 else block[at:end]
            if not word.startswith((b"[", b"+")) or stop < 0:
                return word
            at = stop + 1
        return b""
    at = block.find(b": ", begin, end)
    if at < 0:
        return b""
    stop = block.find(b":", at + 2, end + 1)
    return block[at + 2 : stop] if stop > 0 else b""


def merge(into: Tally, other: Tally) -> Tally:
    """*other* added to *into*; order does not matter."""
    into.lines += other.lines
    into.bytes += other.bytes
    into.odd |= other.odd
    into.blocks |= other.blocks
    into.notes = sorted({*into.notes, *other.notes})
    for name, value in other.counts.items():
        into.counts[name] = into.counts.get(name, 0) + value
    for source, end in other.ends.items():
        into.ends[source] = max(into.ends.get(source, (0, None)), end, key=lambda e: e[0])
    for key, group in other.groups.items():
        mine = into.groups.get(key)
        if mine is None:
            into.groups[key] = group
            continue
        add_group(mine, group)
    return into


def add_group(mine: Group, group: Group) -> None:
    """*group* added to *mine*."""
    mine.count += group.count
    mine.first = min((t for t in (mine.first, group.first) if t is not None), default=None)
    mine.last = max((t for t in (mine.last, group.last) if t is not None), default=None)
    for hour, count in group.hours.items():
        mine.hours[hour] = mine.hours.get(hour, 0) + count
    mine.of |= group.of
    mine.senders |= group.senders
    mine.clients |= group.clients
    if mine.sample is None or (group.sample is not None and group.sample[:3] < mine.sample[:3]):
        mine.sample, mine.example = group.sample, group.example
