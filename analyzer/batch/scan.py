"""A range of a log -> its failures, alike ones together, and its totals.

Everything here is a plain function of (item, range, block size): the sum over all ranges does not depend on the cuts.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import compress, pairwise
from operator import itemgetter, le
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from analyzer.batch import sift
from analyzer.batch.alike import Alike, Lessons
from analyzer.batch.apart import Apart
from analyzer.batch.deliveries import DASH, framed, hosts, line_from, shortened, token
from analyzer.batch.gather import role_of
from analyzer.batch.interrupt import whole
from analyzer.batch.needles import ARRIVED, EXPIRED, SENT, arrival, parts_of
from analyzer.batch.net import ARRIVED_LETTER, NOT_TOLD, Awake, Net, told_apart
from analyzer.batch.reader import Read, Reader, failed
from analyzer.batch.sift import Sieve, count_lines, sieve_of
from analyzer.batch.sources import LONGEST_LINE, blocks
from analyzer.batch.stamps import Clock
from analyzer.batch.tally import SKETCH, Group, Key, Sent, Tally, Task, Wanted, least_of, put
from analyzer.expressions import re
from analyzer.model.provider import provider_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analyzer.batch.deliveries import Way
    from analyzer.batch.gather import Search
    from analyzer.batch.net import Asleep, Hits
    from analyzer.batch.stamps import Years
    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

_DIGITS = re.compile(r"[0-9]+")
_BRACKETS = re.compile(r"<[^<>]{0,320}>|\"[^\"]{0,320}\"|\[[^\[\]]{0,80}\]|\([^\s()]{1,80}\.[^\s()]{1,80}\)")
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_TOKEN = re.compile(r"\b(?=\w*[0-9])[\w.-]{8,80}")
_FIXED = bytes(b"0"[0] if chr(i).isdigit() else i for i in range(256))
_NO_ID = frozenset({None, b"", b"NOQUEUE", b"000000"})
_MOST_SHAPES = 100_000
_MOST_TOLD = 50_000
_MOST_WAITING = 16_000
_NEVER = float("inf")
_time = itemgetter(1)
_MOST_USERS = 100_000
_ACCOUNT = re.compile(rb"(?:[A-Za-z0-9_-]{1,40}:)?([^\s,;:\"<>]{1,200})")


Told = tuple[bytes, bytes | None, bytes | None, bytes | None, bytes | None]  # of a failure: stamp, queue id, recipient, sender, client


class Slot(msgspec.Struct, eq=False):
    """A group, and the failures that wait to be put into it: where and in which line."""

    group: Group
    host: bytes
    rows: list[tuple[Told, int, bytes]] = []


class Sums:
    """Failures that are alike, added up; for logs whose stamps mean the same.  *keys*: the group of each sum."""

    def __init__(self, lessons: Lessons, years: Years, zone: Any) -> None:
        self.stamps = years, zone
        self.lanes = Alike(lessons, [i for i in _NO_ID if i])
        self.keys: list[Key] = []
        self._numbers: dict[Key, int] = {}

    def number(self, key: Key) -> int:
        """The sum of the group *key*."""
        if key not in self._numbers:
            self._numbers[key] = self.lanes.sum(host_of(key))
            self.keys.append(key)
        return self._numbers[key]


def host_of(key: Key) -> bytes:
    """The host of a group."""
    host: bytes = key[2]
    return host


def shape(text: str) -> str:
    """*text* without what differs from one message to the next."""
    text = _BRACKETS.sub("<>", text[:600])
    if "@" in text:
        text = _ADDRESS.sub("<>", text)
    return _DIGITS.sub("0", _TOKEN.sub("0", text)[:300])


class Knowledge:
    """Formats and providers as the scan uses them; made once a process."""

    def __init__(self, formats: Formats, book: RuleBook) -> None:
        self.reader = Reader(formats)
        self.parts = parts_of(self.reader)
        self.with_stamps = {i for i, f in enumerate(self.reader.logs) if f.header.over == "text"}
        self._nets: dict[tuple[Any, ...], Net] = {}
        self.asleep: dict[tuple[frozenset[int], bool, bool], Asleep] = {}
        self.providers = book.providers
        self.remotes: dict[bytes | None, bytes | None] = {None: None}
        self.shapes: dict[bytes, str] = {b"": ""}
        self.lessons = Lessons(self.reader, lambda read: self.key_of(read) if failed(read) else None)
        self.lessons_of_messages = Lessons(self.reader, role_of, ("status",), domains=False)
        self.search: Search | None = None  # of the second reading, the last one
        self._sums: Sums | None = None  # of the last range that was read
        # What deliveries say: by what is left of their lines, and by what `way_of` cuts out of them.
        self.alike: dict[tuple[bytes, bytes, Way], Sent | None] = {}
        self.told: dict[tuple[Way, bytes | None], dict[Any, Sent | None]] = {}
        self.unclear: dict[tuple[Way, bytes | None], set[Any]] = {}

    def sums(self, task: Task, *, anew: bool = False) -> Sums:
        """Where the failures of *task* are added up: as those of the range before, whose sums were taken out."""
        if anew or self._sums is None or self._sums.stamps != (task.years, task.zone):
            self._sums = Sums(self.lessons, task.years, task.zone)
        return self._sums

    def net(self, formats: frozenset[int], wakes: tuple[bytes, ...], *, automaton: bool) -> Net:
        """The search for lines of *formats* and for *wakes*, kept."""
        key = formats, wakes, automaton
        if key not in self._nets:
            if len(self._nets) > 50:
                self._nets.clear()
                self.asleep.clear()
            parts = [self.parts[i] for i in sorted(formats)]
            self._nets[key] = Net(parts, wakes, self._owners(formats), automaton=automaton)
        return self._nets[key]

    def _owners(self, formats: frozenset[int]) -> dict[bytes, frozenset[int]]:
        """The texts of deliveries and arrivals that lines of another of *formats* may hold too: which formats' they are."""
        found = {}
        for text in {t for i in formats for t in self.parts[i].needles.of(SENT, ARRIVED)}:
            own = frozenset(i for i in formats if text in self.parts[i].needles.of(SENT, ARRIVED))
            if any(text in s.encode() for i in formats - own for s in self.reader.logs[i].header.samples):
                found[text] = own
        return found

    def provider(self, name: bytes | None) -> bytes | None:
        """The provider to whose names *name* belongs."""
        if name not in self.remotes:
            if len(self.remotes) > 100_000:
                self.remotes.clear()
            found = provider_of((name or b"").decode("latin-1"), self.providers)
            self.remotes[name] = None if found is None else found.encode()
        return self.remotes[name]

    def remote_of(self, read: Read) -> bytes | None:
        """The destination that a line is about: the provider, else the recipient's domain."""
        v = read.values
        if read.plan.kind == "attempt":
            return self.provider(v[3]) or self.provider(v[4]) or (v[1].rpartition(b"@")[2].lower() if v[1] and b"@" in v[1] else v[3])
        return None if v[17] is None else self.provider(v[17]) or v[17]

    def key_of(self, read: Read) -> Key:
        """The group of a failure."""
        v, plan = read.values, read.plan
        text, rcpt = v[9], v[1]
        if text and plan.kind != "attempt":
            shape = self.shape(without(text, (v[15], rcpt, v[2], v[16], v[19])), None)
        else:
            shape = self.shape(text, rcpt) if text else ""
        # Whether the client has a name decides whether a broken handshake matters.
        reason = v[13] or (b"unnamed" if plan.kind == "tls_failed" and v[16] == b"unknown" else None)
        return (plan.format, plan.alias, read.host, v[6], v[8], v[7], v[5], v[10], v[11], v[12], reason, shape, self.remote_of(read))

    def shape(self, text: bytes, rcpt: bytes | None) -> str:
        """The shape of *text*, kept by what is left of it without the recipient and the digits."""
        key = (text.replace(rcpt, b"") if rcpt else text).translate(_FIXED)
        found = self.shapes.get(key)
        if found is None:
            if len(self.shapes) > _MOST_SHAPES:
                self.shapes.clear()
            found = self.shapes[key] = shape(key.decode("utf-8", "replace"))
        return found


def scan(task: Task, knowledge: Knowledge, progress: Callable[[int, int], None] | None = None, tally: Tally | None = None) -> Tally:
    """What the range of *task* tells; added to *tally*, where given, which also holds what is known when this is interrupted."""
    tally = Tally() if tally is None else tally
    counter = Counter_(tally, task, knowledge)
    apart, awake = Apart(knowledge.reader, fast=task.use_automaton), Awake(knowledge, automaton=task.use_automaton)
    try:
        for offset, block in blocks(task.item, task.start, task.end, task.size, tally.notes):
            with whole():
                _count(counter, apart, awake, offset, block, progress)
    finally:
        with whole():
            counter.close()
            tally.formats |= awake.on
    return tally


def _count(counter: Counter_, apart: Apart, awake: Awake, offset: int, block: bytes, progress: Callable[[int, int], None] | None) -> None:
    """What the *block* at *offset* tells."""
    tally, task = counter.tally, counter.task
    before = counter.failures
    if (parts := apart.parts(offset, block)) is None:
        names, unknown = awake.look(block)
        counter.block(offset, block, awake.net, names, unknown)
    else:
        for part in parts:
            net = counter.k.net(frozenset(part.formats), (), automaton=task.use_automaton)
            tally.formats.update(part.formats)
            counter.block(offset, part.block, net, None, net.unknown(part.block), part.host, part.place)
    tally.blocks[task.source, offset] = lines = count_lines(block) + (not block.endswith(b"\n"))
    tally.lines += lines
    tally.bytes += len(block)
    tail = block[block.rfind(b"\n", 0, -1) + 1 :].rstrip(b"\r\n")
    tally.ends[task.source] = (offset + len(block), counter.clock.seconds(counter.k.reader.split(tail)[1]) if tail else None)
    if progress:
        progress(len(block), counter.failures - before)
    if counter.failures - counter.placed >= _MOST_WAITING:
        counter.flush()
    if not block.endswith(b"\n") and len(block) < LONGEST_LINE:
        tally.notes.append(f"{task.item.name}: the last line has no end; it may be cut")


class Counter_:  # noqa: N801
    """The scan of one range, as it goes."""

    def __init__(self, tally: Tally, task: Task, knowledge: Knowledge) -> None:
        self.tally, self.task, self.k = tally, task, knowledge
        self.clock = Clock(task.years, task.zone)
        self.failures = self.received = 0
        w = task.wanted
        self.filtered = w != Wanted()
        self.checked: set[int] = set()
        self.sums: set[int] = set()
        self.tags: dict[tuple[int, bytes], bool] = {}
        self.most = 1 << 32
        self.of_groups: dict[Key, Slot] = {}
        self.touched: list[Slot] = []
        self.placed = 0  # of the failures
        self.counted: dict[tuple[Way, bytes | None], Counter[Any]] = {}
        self.offset = 0  # where the block stands; or, where its lines were taken out of others:
        self.place: Callable[[int], int] | None = None
        self.one_host: bytes | None = None  # of all its lines, where that is known
        self.sieves: dict[Net, Sieve | None] = {}
        self.added = knowledge.sums(task) if task.use_lanes and not self.filtered and sift.compiled() else None
        self.stamp, self.time = b"", self.clock.seconds(b"")

    def close(self) -> None:
        """The totals into the tally."""
        self.sum_up()
        self.flush()
        self.tally.sketch[self.task.source] = least_of(self.sums.union(self.tally.sketch.get(self.task.source, ())))
        if self.received:
            self.tally.counts["received"] = self.tally.counts.get("received", 0) + self.received

    def block(
        self,
        offset: int,
        block: bytes,
        net: Net,
        names: Hits | None,
        unknown: list[int],
        host: bytes | None = None,
        place: Callable[[int], int] | None = None,
    ) -> None:
        """The lines of the block at *offset* that *net* is for, all of *host* where that is known.

        *place*: where in the log a line stands, where others stand between those of *block*; *names*: where it names other formats' programs, and programs of which a line may have to be read, if that is known;
        *unknown*: lines, by where they begin, in which nothing says what they are.
        """
        self.offset, self.place, self.one_host = offset, place, host
        if net not in self.sieves:
            self.sieves[net] = sieve_of(net) if self.task.use_automaton and not self.filtered else None
        sieve = self.sieves[net]
        if sieve is None or len(block) >> 31:
            others = net.failing.find(block) + (net.names.find(block) if names is None else names)
            self.hits(block, net, net.healthy.find(block), others, unknown)
            return
        if len(sieve.told) > _MOST_TOLD:
            self.sum_up()
            sieve = self.sieves[net] = sieve_of(net)
            assert sieve is not None
        found = sieve.sift(block, unknown, self.one_host)
        for number, begin in found.fresh.items():
            way, host, raw = sieve.key(number)
            short = host, shortened(way, raw), way
            if short not in self.k.alike:
                self.learn(short, block, begin - 1)
            sieve.learn(number, self.k.alike[short])
        unclear, arrivals = sieve.unclear()
        read: set[int] = set()
        if found.framed[0]:
            self.alike(framed, block, found.framed[0], [b - 1 for b in found.framed[1]], read)
        weak = [b for b in found.weak if not any(q in line_from(block, b) for q in net.quiet)] if net.quiet else found.weak
        self.received += found.arrivals - arrivals
        self.accounts(block, [(0, start, end) for start, end in found.infos])
        more = {*(b + 1 for b in read), *weak, *unclear}
        self.lines(block, sorted(more.union(found.read)) if more else found.read)

    def stands(self, begin: int) -> int:
        """Where in the log the line stands that begins at *begin* of the block."""
        return self.offset + begin if self.place is None else self.place(begin)

    def hits(self, block: bytes, net: Net, hits: Hits, others: Hits, unknown: list[int]) -> None:
        """The lines in which something was found.

        A line that has only the text of a delivery, or only that of an arrival, and once, is taken for one and not read.
        """
        if net.needles.every:
            self.all_lines(block)
            return
        rfind = block.rfind
        read = {rfind(b"\n", 0, s) for n, s, _ in others if n < net.fails}
        weak = {rfind(b"\n", 0, s) for n, s, _ in others if net.fails <= n < net.weak}
        read.update([b - 1 for b in unknown])
        if self.filtered:
            read |= weak
            ends = {n for n, letter in enumerate(net.letters) if letter in NOT_TOLD}
            read.update(rfind(b"\n", 0, s) for n, s, _ in hits if n not in ends)
        else:
            sent = [h for h in hits if net.arrived <= h[0] < net.sent]
            begins = [rfind(b"\n", 0, s) for _, s, _ in sent]
            if weak:
                told = {rfind(b"\n", 0, s) for n, s, _ in hits if net.info <= n < net.sent}
                read.update(b for b in weak - told if not any(q in line_from(block, b + 1) for q in net.quiet))
            if net.by_line:
                letters = bytes([net.letters[h[0]] for h in hits])
                read.update(told_apart(hits, letters))
                self.received += letters.count(ARRIVED_LETTER)
            else:
                tied = [s for n, s, _ in hits if n >= net.sent]
                read.update(rfind(b"\n", 0, s) for s in tied)
                if len(set(begins)) != len(begins):
                    read.update(b for b, next_ in pairwise(begins) if b == next_)
                self.received += len(hits) - len(sent) - len(tied)
            if net.info:
                accounts = [h for h in hits if h[0] < net.info]
                self.received -= 0 if net.by_line else len(accounts)
                self.accounts(block, accounts)
            if behind := net.behind_id:
                strange = [s for n, s, _ in hits if n in behind and (s < 6 or (block[s - 4] != DASH and block[s - 6] != DASH))]
                read.update([rfind(b"\n", 0, s) for s in strange])
            if net.doubtful:
                doubtful = [h for h in hits if h[0] in net.doubtful]
                read |= self.of_others(block, doubtful, net.doubtful) - read
                if not net.by_line and any(net.info <= n < net.arrived for n, _, _ in doubtful):  # one arrival, by two formats' texts
                    arrivals = Counter(rfind(b"\n", 0, s) for n, s, _ in hits if net.info <= n < net.arrived)
                    read.update(b for b, times in arrivals.items() if times > 1)
            if sent:
                self.deliveries(block, sent, begins, net, read)
        self.lines(block, sorted(b + 1 for b in read))
        if read and not self.filtered and net.info < net.arrived:
            found = b"\n".join([line_from(block, b + 1) for b in read])
            self.received -= sum(net.info <= h[0] < net.arrived for h in net.healthy.find(found))

    def lines(self, block: bytes, begins: list[int]) -> None:
        """The lines that begin at *begins*, read: of failures that are alike the first ones."""
        if self.added is None or len(block) >> 31:
            for begin in begins:
                self.line(self.stands(begin), line_from(block, begin))
            return
        if self.added.lanes.full():
            self.flush()
            self.added = self.k.sums(self.task, anew=True)
        lanes = self.added.lanes
        fresh, left = lanes.take(block, array("I", begins).tobytes())
        for row in fresh:
            lanes.tells(self.sum_of(self.added, block[row.begin : row.end], row.fields))
        self.failures += lanes.add(self.offset, self.place, self.clock.seconds, self.most)
        self.sketch(lanes.checks())
        for begin, end in lanes.others():
            self.line(self.stands(begin), block[begin:end])
        for begin, end, form in left:
            line = block[begin:end]
            self.line(self.stands(begin), line)
            lanes.meet(form, line)

    def sum_of(self, added: Sums, line: bytes, fields: tuple[bytes, ...]) -> int:
        """Into which sum lines like this one go, with the *fields* that were cut out of it; -1 where each must be read."""
        read = self.k.reader.read(line)
        if read is None or not failed(read):
            return -1
        key, told = self.told_of(line, read)
        stamp, queue_id, *others = fields
        if told != (stamp, None if queue_id in _NO_ID else queue_id, *(f or None for f in others)):
            return -1
        return added.number(key)

    def put(self, slot: Slot, told: Told, offset: int, line: bytes) -> None:
        """A failure to be placed with others."""
        if not slot.rows:
            self.touched.append(slot)
        slot.rows.append((told, offset, line))
        self.failures += 1

    def flush(self) -> None:
        """The failures that were put by into their groups."""
        self.placed = self.failures
        for slot in self.touched:
            self.add_rows(slot)
        self.touched.clear()
        if self.added is None:
            return
        for number, key in enumerate(self.added.keys):
            if (s := self.added.lanes.summed(number)) is not None:
                times: Sequence[float] = s.times
                hours = dict(zip(s.hours[::2], s.hours[1::2], strict=True))
                if (dated := sum(hours.values())) < len(times):
                    times = [_NEVER if t == sift.NEVER else t for t in times]
                time, offset, line, which = s.sample
                ends = (s.first, s.last) if dated else (None, None)
                sample = _NEVER if time == sift.NEVER else time, self.task.source, offset, line
                slot = self.slot(key)
                self.add_all(slot, s.names, times, ends, hours, sample, which)
                slot.group.senders.update(s.senders)
                slot.group.clients.update(s.clients)

    def add_rows(self, slot: Slot) -> None:
        """The failures that wait in *slot* into its group."""
        tolds, offsets, lines = zip(*slot.rows, strict=True)
        stamps, ids, rcpts, senders, clients = zip(*tolds, strict=True)
        slot.rows = []
        when = self.clock.all_seconds(stamps)
        dated = [t for t in when if t is not None]
        times: Sequence[float] = dated if len(dated) == len(when) else [_NEVER if t is None else t for t in when]
        self.sketch(map(crc32, lines))
        names = [b" ".join((slot.host, queue_id or b"", rcpt or b"")) for queue_id, rcpt in zip(ids, rcpts, strict=True)]
        first = min(times)
        at = min((n for n, time in enumerate(times) if time == first), key=offsets.__getitem__)
        ends = min(dated, default=None), max(dated, default=None)
        sample = first, self.task.source, offsets[at], lines[at]
        self.add_all(slot, names, times, ends, Counter([t // 3600 for t in dated]), sample, at)
        slot.group.senders.update(s for s in set(senders) if s is not None)
        slot.group.clients.update([c for c, queue_id in zip(clients, ids, strict=True) if c and not queue_id])

    def add_all(
        self,
        slot: Slot,
        names: Sequence[bytes],
        times: Sequence[float],
        ends: tuple[int | None, int | None],
        hours: dict[int, int],
        sample: tuple[float, int, int, bytes],
        which: int,
    ) -> None:
        """Failures into a group: their *names*, as `Group.of` has them, and *times*; *which* of them is the *sample*."""
        group, host = slot.group, slot.host
        group.count += len(names)
        group.first = min((t for t in (group.first, ends[0]) if t is not None), default=None)
        group.last = max((t for t in (group.last, ends[1]) if t is not None), default=None)
        for hour, count in hours.items():
            group.hours[hour] = group.hours.get(hour, 0) + count
        if all(map(le, times, times[1:])):
            put(group.of, dict(zip(reversed(names), reversed(times), strict=True)))
        else:
            put(group.of, dict(sorted(zip(names, times, strict=True), key=_time, reverse=True)))
        if group.sample is None or sample[:3] < group.sample[:3]:
            group.sample = sample
            group.example = host, names[which][len(host) + 1 :].partition(b" ")[0] or None

    def sketch(self, checks: Iterable[int]) -> None:
        """The least of *checks* kept."""
        most = self.most
        self.sums.update([c for c in checks if c <= most])
        if len(self.sums) > 16 * SKETCH:
            kept = least_of(self.sums)
            self.sums, self.most = set(kept), kept[-1]

    def accounts(self, block: bytes, hits: list[tuple[int, int, int]]) -> None:
        """Messages by the account that sent them, and by hour."""
        last = -1
        for _, start, end in hits:
            found = _ACCOUNT.match(block, end)
            begin = block.rfind(b"\n", 0, start) + 1
            before = block[begin:start]
            if found is None or begin == last or not (b": client=" in before or (b" <= " in before and b' T="' not in before)):
                continue
            last = begin
            time = self.time_of(self.k.reader.split(block[begin:end])[1])
            if time is not None and (len(self.tally.users) < _MOST_USERS or found[1] in self.tally.users):
                hours = self.tally.users.setdefault(found[1].lower(), {})
                hours[time // 3600] = hours.get(time // 3600, 0) + 1

    def of_others(self, block: bytes, hits: list[tuple[int, int, int]], owners: dict[int, frozenset[int]]) -> set[int]:
        """The lines that hold a text of another format than their program's."""
        found = set()
        rfind, find, known = block.rfind, block.find, self.tags
        for n, start, end in hits:
            begin = rfind(b"\n", 0, start)
            # Host and program, where they stand behind a stamp as most have it.
            tag = block[begin + 1 : begin + 2].isalpha() and block[begin + 14 : begin + 17] + block[begin + 17 : find(b"[", begin, start)]
            other = known.get((n, tag[2:])) if tag and tag[2:3] == b" " else None
            if other is None:
                stop = find(b"\n", end)
                other = owners[n].isdisjoint(self.k.reader.split(block[begin + 1 : len(block) if stop < 0 else stop])[0].formats)
                if tag and tag[2:3] == b" " and len(known) < _MOST_SHAPES and b" " in tag[3:] and b":" not in tag:
                    known[n, tag[2:]] = other
            if other:
                found.add(begin)
        return found

    def deliveries(self, block: bytes, sent: Hits, begins: list[int], net: Net, read: set[int]) -> None:
        """Lines that tell a delivery and nothing else, by host and destination; lines that must be read are put into *read*.

        What such a line says is known by its host and what stands between recipient and relay: of those alike, one is read.
        """
        if not read.isdisjoint(begins):
            sent = [h for h, b in zip(sent, begins, strict=True) if b not in read]
            begins = [b for b in begins if b not in read]
        for way in dict.fromkeys(net.ways):
            mine, lines = sent, begins
            if len(set(net.ways)) > 1:
                of_way = [net.ways[h[0] - net.arrived] is way for h in sent]
                mine, lines = list(compress(sent, of_way)), list(compress(begins, of_way))
            if mine:
                self.alike(way, block, mine, lines, read)

    def alike(self, way: Way, block: bytes, sent: Hits, begins: list[int], read: set[int]) -> None:
        """Deliveries that are told apart by *way*."""
        raws, names = way(block, sent, begins), self.one_host if self.one_host is not None else hosts(block, begins)
        keys: list[Any] = raws if isinstance(names, bytes) else list(zip(names, raws, strict=True))
        place = way, names if isinstance(names, bytes) else None
        told = self.k.told.setdefault(place, {})
        if len(told) > _MOST_TOLD:
            self.sum_up()
            told.clear()
            self.k.unclear.pop(place, None)
        unclear = self.k.unclear.setdefault(place, set())
        fresh = set(keys) - told.keys()
        if fresh:
            where = dict(zip(keys, begins, strict=True))
            for key in fresh:
                host, raw = (names, key) if isinstance(names, bytes) else key
                short = host, shortened(way, raw), way
                if short not in self.k.alike:
                    self.learn(short, block, where[key])
                told[key] = self.k.alike[short]
                if told[key] is None:
                    unclear.add(key)
        self.counted.setdefault(place, Counter()).update(keys)
        if unclear and not unclear.isdisjoint(keys):
            read.update(b for key, b in zip(keys, begins, strict=True) if key in unclear)

    def sum_up(self) -> None:
        """Deliveries by what they say into the tally."""
        sent = self.tally.sent
        for place, counts in self.counted.items():
            told = self.k.told[place]
            for key, count in counts.items():
                if (what := told[key]) is not None:
                    sent[what] = sent.get(what, 0) + count
        self.counted.clear()
        for sieve in self.sieves.values():
            for what, count in sieve.counted() if sieve is not None else ():
                sent[what] = sent.get(what, 0) + count

    def learn(self, short: tuple[bytes, bytes, Way], block: bytes, begin: int) -> None:
        """What the line at *begin* says, kept for all lines that are alike: None, where nothing follows from that."""
        if len(self.k.alike) > 200_000:
            self.k.alike.clear()
        line = line_from(block, begin + 1).rstrip(b"\r")
        found = self.k.reader.read(line)
        good = (
            found is not None
            and short[1]
            and (short[2] is not framed or not any(found.values[n] for n in (1, 3, 4)))
            and found.host == short[0]
            and found.plan.kind == "attempt"
            and not failed(found)
        )
        self.k.alike[short] = self.sent_of(found, line) if good and found is not None and found.values[6] is not None else None

    def sent_of(self, read: Read, line: bytes) -> Sent:
        """Where a delivery went."""
        v = read.values
        relay = v[3] or b""
        onward = b"." in relay and not any(relay + t in line for t in (b"[private/", b"[127.", b"[::1]")) and not relay.startswith(b"127.")
        return read.host, self.k.remote_of(read) or b"", (v[1] or b"").lower().rpartition(b"@")[2] if b"@" in (v[1] or b"") else b"", onward

    def all_lines(self, block: bytes) -> None:
        """Every line, where some failure has no text to find it by."""
        at = 0
        while at < len(block):
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            self.line(self.stands(at), block[at:end])
            at = end + 1

    def line(self, offset: int, line: bytes) -> None:
        """One line, read."""
        line = line.rstrip(b"\r")
        head, stamp, body = self.k.reader.split(line)
        read = self.k.reader.of(head, stamp, body)
        if read is None:
            return
        if failed(read):
            if self.is_wanted(*self.asked(read)):
                key, failure = self.told_of(line, read)
                self.put(self.slot(key), failure, offset, line)
        elif read.plan.kind == "attempt":
            if read.values[6] is not None and self.is_wanted(*self.asked(read)):
                told = self.sent_of(read, line)
                self.tally.sent[told] = self.tally.sent.get(told, 0) + 1
        elif arrival(read.plan):
            self.received += self.is_wanted(*self.asked(read))
        elif read.plan.kind == "finished" and read.values[11] in EXPIRED and read.values[0] and self.is_wanted(*self.asked(read)):
            self.tally.expired.add(b"%b %b" % (read.host, read.values[0]))

    def time_of(self, stamp: bytes) -> int | None:
        """Seconds since 1970; neighbours have the same stamp."""
        if stamp != self.stamp:
            self.stamp, self.time = stamp, self.clock.seconds(stamp)
        return self.time

    def asked(self, read: Any) -> tuple[Any, ...]:
        """What the filters ask of a line."""
        v = read.values
        queue_id = None if v[0] in _NO_ID else v[0]
        return self.clock.seconds(read.stamp) if self.filtered else None, read.host, v[1], v[2], queue_id

    def told_of(self, line: bytes, read: Read) -> tuple[Key, Told]:
        """The group of a failure, and what it tells of itself."""
        v, plan = read.values, read.plan
        queue_id = None if v[0] in _NO_ID else v[0]
        if queue_id and plan.format not in self.checked and not self.tally.odd:
            self.checked.add(plan.format)
            self.tally.odd = token(line, 0, len(line)) != queue_id
        return self.k.key_of(read), (read.stamp, queue_id, v[1], v[2], v[15])

    def slot(self, key: Key) -> Slot:
        """Where the failures of a group wait."""
        if key not in self.of_groups:
            self.of_groups[key] = Slot(self.tally.groups.setdefault(key, Group()), host_of(key))
        return self.of_groups[key]

    def is_wanted(self, time: int | None, host: bytes, rcpt: bytes | None, sender: bytes | None, queue_id: bytes | None) -> bool:
        """Whether the failure passes the filters."""
        if not self.filtered:
            return True
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


def without(text: bytes, values: Sequence[bytes | None]) -> bytes:
    """*text* without *values*, of those that cannot be a common word."""
    for value in values:
        if value and (b"." in value or b"@" in value or b":" in value):
            text = text.replace(value, b"\0")
    return text


def same_mail(address: bytes | None, wanted: str) -> bool:
    """Whether *address* is *wanted*, or in the domain *wanted* where that has no local part."""
    text = (address or b"").decode("utf-8", "replace").lower().strip("<>")
    if "@" in wanted.lstrip("@"):
        return text == wanted
    return text.rpartition("@")[2] == wanted.lstrip("@")
