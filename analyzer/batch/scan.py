"""A range of a log -> its failures, alike ones together, and its totals.

Everything here is a plain function of (item, range, block size): the sum over all ranges does not depend on the cuts.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from analyzer.batch.lanes import WITH_LANES, Lanes, Taken, loosely, without
from analyzer.batch.reader import (
    ARRIVED,
    EXPIRED,
    FAIL,
    INFO,
    OWN_STAMPS,
    QUIET,
    SENT,
    WEAK,
    Part,
    Read,
    Reader,
    arrival,
    failed,
    merged,
    parts_of,
)
from analyzer.batch.sources import Item, blocks
from analyzer.batch.stamps import Clock, Years
from analyzer.expressions import compiled, re

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

    Rows = list[tuple[tuple[int, int, int], int]]  # what was found, and where its line begins
    Way = Callable[[bytes, Rows], list[bytes]]
    Search = tuple[list[int], Callable[[bytes], "Hits"]]  # which texts, and the search for them

_DIGITS = re.compile(r"[0-9]+")
_BRACKETS = re.compile(r"<[^<>]{0,320}>|\"[^\"]{0,320}\"|\[[^\[\]]{0,80}\]|\([^\s()]{1,80}\.[^\s()]{1,80}\)")
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_TOKEN = re.compile(r"\b(?=\w*[0-9])[\w.-]{8,80}")
_FIXED = bytes(b"0"[0] if chr(i).isdigit() else i for i in range(256))
_IDS = re.compile(rb"[0-9A-Za-z-]{5,24}")
_NO_ID = frozenset({None, b"NOQUEUE", b"000000"})
_MOST_SHAPES = 100_000
_MOST_TOLD = 50_000
_MOST_WAITING = 4_000
_DASH = b"-"[0]


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
    use_lanes: bool = True


class Group(msgspec.Struct):
    """Failures of one shape, place and destination.  *of*: host, queue id and recipient of each, apart by blanks: since when."""

    count: int = 0
    first: int | None = None
    last: int | None = None
    hours: dict[int, int] = {}
    of: dict[bytes, float] = {}
    senders: set[bytes] = set()
    clients: set[bytes] = set()
    sample: tuple[float, int, int, bytes] | None = None  # time, source, offset, line
    example: tuple[bytes, bytes | None] = (b"", None)  # host and queue id of the sample


class Slot(msgspec.Struct, eq=False):
    """The group of the failures of one key of the lanes, and the failures that wait to be put into it: where and in which line."""

    group: Group
    host: bytes
    rows: list[tuple[Taken, int, bytes]] = []


Key = tuple[Any, ...]
Ids = set[bytes]
Name = bytes
Sent = tuple[bytes, bytes, bytes, bool]  # of deliveries: host, destination (provider or domain), recipient's domain, onward


class Tally(msgspec.Struct):
    """What is known of a range."""

    lines: int = 0
    bytes: int = 0
    counts: dict[str, int] = {}
    groups: dict[Key, Group] = {}
    ends: dict[int, tuple[int, int | None]] = {}  # source -> offset and time of its last line
    blocks: dict[tuple[int, int], int] = {}  # (source, offset) -> lines of the block there
    sent: dict[Sent, int] = {}
    expired: Ids = set()  # host and queue id of messages given up
    users: dict[Name, dict[int, int]] = {}  # account -> messages by hour
    sketch: dict[int, list[int]] = {}  # source -> the least check sums of its failing lines
    formats: set[int] = set()  # those that the range was searched for
    odd: bool = False  # queue ids stand where `token` does not look
    notes: list[str] = []


def shape(text: str) -> str:
    """*text* without what differs from one message to the next."""
    text = _BRACKETS.sub("<>", text[:600])
    if "@" in text:
        text = _ADDRESS.sub("<>", text)
    return _DIGITS.sub("0", _TOKEN.sub("0", text)[:300])


_MOST_FAST = 56  # patterns; with more than 60, its own four included, the search leaves its fast path
_CHUNK = 48
Hits = list[tuple[int, int, int]]  # which text, and from where to where


class Finder:
    """Where texts occur: Aho-Corasick where installed, one alternation else.  *first* texts are apart from the others.

    The two may differ where texts overlap, never in which lines hold one.
    """

    def __init__(self, texts: tuple[bytes, ...], first: int | None = None, *, automaton: bool = True) -> None:
        self.texts = texts
        cut = len(texts) if first is None else first
        self._first = _searches(list(range(cut)), texts, automaton=automaton)
        self._rest = _searches(list(range(cut, len(texts))), texts, automaton=automaton)

    def find(self, block: bytes) -> Hits:
        """The first texts, in the order of places."""
        return _found(self._first, block)

    def others(self, block: bytes) -> Hits:
        """The other texts, in the order of places."""
        return _found(self._rest, block)


def _found(searches: list[Search], block: bytes) -> Hits:
    if len(searches) == 1 and searches[0][0][0] == 0:
        return searches[0][1](block)
    found = [(at[i], s, e) for at, find in searches for i, s, e in find(block)]
    return sorted(found, key=_place) if len(searches) > 1 else found


_place = itemgetter(1)


def _searches(which: list[int], texts: tuple[bytes, ...], *, automaton: bool) -> list[Search]:
    """Searches for some of *texts*."""
    if not which:
        return []
    if automaton:
        try:
            import ahocorasick_rs as aho
        except ImportError:
            pass
        else:
            return [_automaton(aho, part, texts) for part in _parts(which, texts)]
    number = {texts[i]: i for i in which}
    pattern = re.compile(b"|".join(re.escape(t) for t in sorted(number, key=lambda t: (-len(t), t))))
    return [([0, *range(1, len(texts))], lambda block: [(number[m[0]], m.start(), m.end()) for m in pattern.finditer(block)])]


def _parts(which: list[int], texts: tuple[bytes, ...]) -> list[list[int]]:
    """*which* in parts that one search each is fast for: texts that hold each other stay together, so that the longest is found
    alone, and so do those that begin alike.
    """
    if len(which) <= _MOST_FAST:
        return [which]
    families: dict[bytes, list[int]] = {}
    for i in which:
        root = min((texts[j] for j in which if texts[j] in texts[i]), key=lambda t: (len(t), t))
        families.setdefault(root, []).append(i)
    most = -(-len(which) // -(-len(which) // _CHUNK))
    parts: list[list[int]] = [[]]
    for root in sorted(families):
        if parts[-1] and len(parts[-1]) + len(families[root]) > most:
            parts.append([])
        parts[-1] += families[root]
    return parts


def _automaton(aho: Any, which: list[int], texts: tuple[bytes, ...]) -> Search:
    # Its fast path wants more than three different first bytes.
    padded = [*(texts[i] for i in which), *(b"%cmailwhy\x00" % i for i in range(1, 5))]
    return [*which, *[len(texts)] * 4], aho.BytesAhoCorasick(padded, matchkind=aho.MATCHKIND_LEFTMOST_LONGEST).find_matches_as_indexes


# What a text tells of its line, as letters: a line's end, then what `Needles` says of roles.
_END, _INFO, _ARRIVED, _SENT, _FAIL, _WEAK, _QUIET = b"NIASFWQ"
_LETTERS = {INFO: _INFO, ARRIVED: _ARRIVED, SENT: _SENT, FAIL: _FAIL, WEAK: _WEAK, QUIET: _QUIET}
# Runs of lines that need not be read, and after them one that must; the letters are those of what was found, in order.
_LINES = re.compile(rb"(?:N[IW]*+(?:Q[IWQ]*+(?:[AS][IWQ]*+)?+|[AS][IWQ]*+)(?![FSA])|NI*+(?!I|[^N]))*+(N[^N]*+)?+").finditer


class Net:
    """The search for lines of some formats, and for the names of other formats' programs (*wakes*).

    The first texts are those that healthy lines have.  Where lines of a program may matter that have none of them, the ends of
    lines are among them (*by_line*).
    """

    def __init__(self, parts: Sequence[Part], wakes: tuple[bytes, ...], owners: dict[bytes, frozenset[int]], *, automaton: bool) -> None:
        self.needles = needles = merged(parts)
        busy = needles.of(INFO), needles.of(ARRIVED), needles.of(SENT)
        told = {t for p in parts if not p.needles.own for t in p.needles.of(WEAK, QUIET)}.intersection(needles.of(WEAK, QUIET))
        fails = needles.of(FAIL)
        tied = [t for t in fails if any(t in o or o in t for texts in (*busy, told) for o in texts)]
        self.by_line = bool(told)
        first = [t for texts in busy for t in texts] + tied + sorted(told) + [b"\n"] * self.by_line
        rest = [t for t in fails if t not in tied]
        weak = [t for t in needles.of(WEAK) if t not in told]
        self.texts = (*first, *rest, *weak, *(w for w in wakes if w not in needles.texts))
        self.finder = Finder(self.texts, len(first), automaton=automaton)
        self.info = len(busy[0])
        self.arrived = self.info + len(busy[1])
        self.sent = self.arrived + len(busy[2])
        self.first = len(first)
        self.fails = self.first + len(rest)
        self.weak = self.fails + len(weak)
        roles = dict(zip(needles.texts, needles.roles, strict=True))
        # What is found by the search's own padding is read, to be on the safe side.
        self.letters = [_LETTERS[roles[t]] if t in roles else _END for t in first] + [_FAIL] * 4
        self.ways = [way_of(t) for t in first[self.arrived : self.sent]]
        # Arrivals that stand behind a message's id; anywhere else the text is somebody's words.
        behind_id = {t for p in parts if p.needles.own for t in p.needles.of(ARRIVED)}
        self.behind_id = frozenset(n for n, t in enumerate(first) if t in behind_id)
        self.doubtful = {n: owners[t] for n, t in enumerate(first) if t in owners}
        # Lines with a format's own stamp, of which some failures have no text: those that are something else, by what stands
        # behind the message's id.
        known = [t for p in parts if p.needles.own for t in p.needles.of(ARRIVED, SENT, QUIET)]
        self.quiet = [t for t in known if t not in first]
        self._unknown = compiled(_NO_KNOWN.replace(b"%b", b"|".join(map(re.escape, known)))).finditer if known else None

    def unknown_of(self, block: bytes) -> list[int]:
        """Before which lines of *block* these are: with a format's own stamp, and nothing known that says what they are."""
        if self._unknown is None:
            return []
        first = [-1] if any(self._unknown(b"\n" + line_from(block, 0))) else []
        return [b for b in chain(first, (m.start() for m in self._unknown(block))) if has_own_stamp(block, b + 1)]


# Exim's stamp and message id, of 16 or 23 characters.
_NO_KNOWN = (
    rb"\n(?!\Z|20[^\n]{31}-[^\n]{2} (?:%b)|20[^\n]{36}-[^\n]{4} (?:%b)|"
    rb"(?:[A-Za-z0-9_.-]{1,60} *\| |\S{1,40} std(?:out|err) [FP] )?20[^\n]{17,50}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} (?:%b))"
)


class Awake:
    """Which formats a range is searched for: those of which a program's name, or their own stamp, was seen in it."""

    def __init__(self, knowledge: Knowledge, *, automaton: bool) -> None:
        self.k, self.automaton = knowledge, automaton
        self.on: frozenset[int] = frozenset()
        self.dated = False  # the lines begin with a date; which of them have a format's own stamp must be looked at
        self._sleepers()

    def _sleepers(self) -> None:
        self.of: dict[bytes, tuple[bytes, set[int]]] = {b'\n{"': (b"", set(range(len(self.k.parts))) - self.on)}
        for i, part in enumerate(self.k.parts):
            for text, behind in part.wakes.items() if i not in self.on else ():
                old, formats = self.of.get(text, (behind, set()))
                self.of[text] = old and behind and old + behind, {*formats, i}
        for text, (behind, formats) in self.of.items():  # the longest is found alone
            for other, (_, more) in self.of.items():
                if other != text and other in text:
                    self.of[text] = behind, formats | more
        self.own = self.of.pop(OWN_STAMPS[0], (b"", set()))[1] if self.dated else set()
        self.lanes = [lanes for i in sorted(self.on) if (lanes := self.k.lanes(i)) is not None]
        self.net = self.k.net(self.on, tuple(sorted(t for t, (_, f) in self.of.items() if f)), automaton=self.automaton)
        self.shared = [t for t in self.of if t in self.net.needles.texts]  # these are searched for anyway

    def find(self, block: bytes) -> tuple[Hits, Hits, list[int]]:
        """Where *block* holds one of the texts of all formats of which it has lines: those of healthy lines, and the others; and
        before which lines with a format's own stamp nothing is known that says that they need not be read.
        """
        if not self.dated and block.startswith(b"20"):
            self.dated = True
            self._sleepers()
        while True:
            while self._wake(block, others := self.net.finder.others(block)):
                pass
            unknown = self.net.unknown_of(block)
            if not self._wake_by_lines(block, unknown):
                return self.net.finder.find(block), others, unknown

    def _wake(self, block: bytes, others: Hits) -> bool:
        """Wake the formats of *block*; whether some were."""
        texts, fails = self.net.texts, self.net.weak
        seen = set()
        for n, _, end in others:
            if fails <= n < len(texts) and n not in seen and (not (behind := self.of[texts[n]][0]) or block[end : end + 1] in behind):
                seen.add(n)
        woken = {i for n in seen for i in self.of[texts[n]][1]}
        for text in self.shared:
            woken |= self.of[text][1] if text in block else set()
        if self.own and _OWN_LINE.search(block):
            woken |= self.own
        if block.startswith(b"{"):
            woken |= set(range(len(self.k.parts)))
        return self._woken(woken)

    def _wake_by_lines(self, block: bytes, unknown: list[int]) -> bool:
        """The same by lines with a format's own stamp that are not surely Exim's: what reads them is woken."""
        woken: set[int] = set()
        if self.k.with_stamps <= self.on:
            return False
        for begin in unknown:
            if _OF_EXIM.match(block, begin + 1) is None:
                head, _, body = self.k.reader.split(line_from(block, begin + 1))
                woken.update(i for i in head.formats if i not in self.on and i not in woken and self.k.reader.matcher(i)(body))
        return self._woken(woken)

    def _woken(self, formats: set[int]) -> bool:
        if formats <= self.on:
            return False
        self.on |= formats
        self._sleepers()
        return True


# A stamp, and then no host and program: "2026-11-23 10:00:01 ...", "2026-11-23T10:00:01Z INFO ...", "2026-11-23T10:00:01Z smtp: ..."
_OWN = rb"20[0-9-]{8}(?: |T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})?[ \t]+(?:[A-Z]{4,6} |\[[A-Z]{2,8}\] |[a-z_./]{2,30}: ))"
_OWN_LINE = re.compile(rb"^" + _OWN, re.MULTILINE)
_WITH_OWN = re.compile(_OWN)
_WRAPPED = re.compile(rb"(?:[A-Za-z0-9_.-]{1,60} *\| |\S{1,40} std(?:out|err) [FP] )" + _OWN)


# The stamp, and behind it a message's id or a field: no other format's line.
_OF_EXIM = re.compile(
    rb"20[0-9-]{8} [0-9:]{8}(?:\.[0-9]{1,9})?(?: [+-][0-9]{4})? (?:\[[0-9]{1,10}\] )?(?:[0-9][0-9A-Za-z]{5}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} |H=)"
)


def has_own_stamp(block: bytes, at: int) -> bool:
    """Whether the line at *at* has a format's own stamp."""
    if block.startswith(b"20", at):
        return block[at + 10 : at + 11] == b" " or _WITH_OWN.match(block, at) is not None
    return b" 20" in block[at : at + 104] and _WRAPPED.match(block, at) is not None


class Knowledge:
    """Formats and providers as the scan uses them; made once a process."""

    def __init__(self, formats: Formats, book: RuleBook) -> None:
        self.reader = Reader(formats)
        self.parts = parts_of(self.reader)
        self.with_stamps = {i for i, f in enumerate(self.reader.logs) if f.header.over == "text"}
        self._nets: dict[tuple[Any, ...], Net] = {}
        self.suffixes = {s.encode(): p.encode() for p, all_of in book.providers for s in all_of}
        self.remotes: dict[bytes | None, bytes | None] = {None: None}
        self.shapes: dict[bytes, str] = {b"": ""}
        self._lanes: dict[int, Lanes | None] = {}
        # What deliveries say: by what is left of their lines, and by what `way_of` cuts out of them.
        self.alike: dict[tuple[bytes, bytes, Way], Sent | None] = {}
        self.told: dict[tuple[Way, bytes | None], dict[Any, Sent | None]] = {}
        self.unclear: dict[tuple[Way, bytes | None], set[Any]] = {}

    def lanes(self, index: int) -> Lanes | None:
        """The express lanes of a format, kept."""
        if index not in self._lanes:
            name = self.reader.logs[index].name
            self._lanes[index] = Lanes(name, index) if name in WITH_LANES else None
        return self._lanes[index]

    def net(self, formats: frozenset[int], wakes: tuple[bytes, ...], *, automaton: bool) -> Net:
        """The search for lines of *formats* and for *wakes*, kept."""
        key = formats, wakes, automaton
        if key not in self._nets:
            if len(self._nets) > 50:
                self._nets.clear()
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


def scan(task: Task, knowledge: Knowledge, progress: Callable[[int, int], None] | None = None, tally: Tally | None = None) -> Tally:
    """What the range of *task* tells; *tally*, where given, also holds what is known when this is interrupted."""
    tally = Tally() if tally is None else tally
    counter = Counter_(tally, task, knowledge)
    awake = Awake(knowledge, automaton=task.use_automaton)
    try:
        _read(counter, awake, tally, task, progress)
    finally:
        counter.close()
        tally.formats = set(awake.on)
    return tally


def _read(counter: Counter_, awake: Awake, tally: Tally, task: Task, progress: Callable[[int, int], None] | None) -> None:
    for offset, block in blocks(task.item, task.start, task.end, task.size, tally.notes):
        before = counter.failures
        hits, others, unknown = awake.find(block)
        if counter.fast:
            counter.lanes = awake.lanes
        if awake.net.needles.every:
            counter.all_lines(offset, block)
        else:
            counter.hits(offset, block, awake.net, hits, others, unknown)
        tally.blocks[task.source, offset] = lines = block.count(b"\n") + (not block.endswith(b"\n"))
        tally.lines += lines
        tally.bytes += len(block)
        tail = block[block.rfind(b"\n", 0, -1) + 1 :].rstrip(b"\r\n")
        tally.ends[task.source] = (offset + len(block), counter.clock.seconds(counter.k.reader.split(tail)[1]) if tail else None)
        if progress:
            progress(len(block), counter.failures - before)
        if not block.endswith(b"\n") and len(block) < (1 << 20):
            tally.notes.append(f"{task.item.name}: the last line has no end; it may be cut")


def line_from(block: bytes, at: int) -> bytes:
    """The line that begins at *at*."""
    end = block.find(b"\n", at)
    return block[at : len(block) if end < 0 else end]


def told_apart(hits: Hits, letters: bytes) -> Iterator[int]:
    """The lines that must be read, told by what was found in each."""
    for found in _LINES(b"N" + letters):
        if found[1]:
            at = found.start(1) - 1
            yield hits[at][1] if at >= 0 else -1


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
        self.fast = task.use_lanes and not self.filtered
        self.lanes: list[Lanes] = []  # of the formats of which the range has lines
        self.slots: dict[tuple[Any, ...], Slot] = {}  # by what the lanes tell
        self.touched: list[Slot] = []
        self.waiting = 0
        self.counted: dict[tuple[Way, bytes | None], Counter[Any]] = {}
        self.stamp, self.time = b"", self.clock.seconds(b"")

    def close(self) -> None:
        """The totals into the tally."""
        self.sum_up()
        self.flush()
        self.tally.sketch[self.task.source] = least_of(self.sums)
        if self.received:
            self.tally.counts["received"] = self.tally.counts.get("received", 0) + self.received

    def hits(self, offset: int, block: bytes, net: Net, hits: Hits, others: Hits, unknown: list[int]) -> None:
        """The lines in which something was found.

        A line that has only the text of a delivery, or only that of an arrival, and once, is taken for one and not read.
        """
        rfind = block.rfind
        read = {rfind(b"\n", 0, s) for n, s, _ in others if n < net.fails}
        weak = {rfind(b"\n", 0, s) for n, s, _ in others if net.fails <= n < net.weak}
        read.update(unknown)
        arrived: tuple[bytes, ...] = ()
        if self.filtered:
            read |= weak
            ends = {n for n, letter in enumerate(net.letters) if letter in {_END, _QUIET}}
            read.update(rfind(b"\n", 0, s) for n, s, _ in hits if n not in ends)
        else:
            arrived = net.texts[net.info : net.arrived]
            sent = [h for h in hits if net.arrived <= h[0] < net.sent]
            begins = [rfind(b"\n", 0, s) for _, s, _ in sent]
            if weak:
                told = {rfind(b"\n", 0, s) for n, s, _ in hits if net.info <= n < net.sent}
                read.update(b for b in weak - told if not any(q in line_from(block, b + 1) for q in net.quiet))
            if net.by_line:
                letters = bytes([net.letters[h[0]] for h in hits])
                read.update(told_apart(hits, letters))
                self.received += letters.count(_ARRIVED)
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
                strange = [s for n, s, _ in hits if n in behind and (s < 6 or (block[s - 4] != _DASH and block[s - 6] != _DASH))]
                read.update([rfind(b"\n", 0, s) for s in strange])
            if net.doubtful:
                read |= self.of_others(block, [h for h in hits if h[0] in net.doubtful], net.doubtful) - read
            if sent:
                self.deliveries(block, sent, begins, net, read)
        self.lines(offset, block, sorted(read), arrived)

    def lines(self, offset: int, block: bytes, begins: list[int], arrived: Sequence[bytes]) -> None:
        """The lines before which *begins* are, read; what was taken for an arrival by a text of *arrived* is none."""
        slots = self.slots
        read = []
        for begin in begins:
            at = begin + 1
            for lanes in self.lanes:
                if (taken := lanes.take(block, at)) is None:
                    continue
                key = taken[0]
                slot = slots.get(key)
                if slot is None and (loose := loosely(key)) is not key:
                    slot = slots.get(loose)
                line = block[at : taken[2]]
                if slot is not None:
                    if not slot.rows:
                        self.touched.append(slot)
                    slot.rows.append((taken, offset + at, line))
                else:
                    self.line(offset + at, line, taken, lanes)
                break
            else:
                line = line_from(block, at)
                self.line(offset + at, line)
            read.append(line)
        if read and arrived:
            joined = b"\n".join(read)
            self.received -= sum(map(joined.count, arrived))
        self.waiting += len(read)
        if self.waiting >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """The failures that lanes told into their groups."""
        self.waiting = 0
        for slot in self.touched:
            rows, group, host = slot.rows, slot.group, slot.host
            slot.rows = []
            when = [self.time_of(taken[1]) for taken, _, _ in rows]
            times = [t for t in when if t is not None]
            if len(times) < len(rows):
                for time, (taken, offset, line) in zip(when, rows, strict=True):
                    self.place(group, time, host, taken[3], taken[4], taken[5], taken[6], offset, line)
                continue
            self.failures += len(rows)
            self.sketch(map(crc32, [line for _, _, line in rows]))
            group.count += len(rows)
            first, last = min(times), max(times)
            if group.first is None or first < group.first:
                group.first = first
            if group.last is None or last > group.last:
                group.last = last
            hours, of = group.hours, group.of
            for hour, count in Counter([t // 3600 for t in times]).items():
                hours[hour] = hours.get(hour, 0) + count
            for time, ((_, _, _, queue_id, rcpt, sender, client), _, _) in zip(times, rows, strict=True):
                name = b"%b %b %b" % (host, queue_id or b"", rcpt or b"")
                if of.get(name, time) >= time:
                    of[name] = time
                if sender is not None:
                    group.senders.add(sender)
                if client and not queue_id:
                    group.clients.add(client)
            taken, offset, line = rows[times.index(first)]
            if group.sample is None or (first, self.task.source, offset) < group.sample[:3]:
                group.sample = (first, self.task.source, offset, line)
                group.example = (host, taken[3])
        self.touched.clear()

    def sketch(self, checks: Iterable[int]) -> None:
        """The least of *checks* kept."""
        most = self.most
        self.sums.update([c for c in checks if c <= most])
        if len(self.sums) > 16 * _SKETCH:
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
        rows = list(zip(sent, begins, strict=True))
        if not read.isdisjoint(begins):
            rows = [r for r in rows if r[1] not in read]
        for way in dict.fromkeys(net.ways):
            mine = rows
            if len(set(net.ways)) > 1:
                mine = [r for r in rows if net.ways[r[0][0] - net.arrived] is way]
            if way is None:
                read.update(b for _, b in mine)
            elif mine:
                self.alike(way, block, mine, read)

    def alike(self, way: Way, block: bytes, rows: Rows, read: set[int]) -> None:
        """Deliveries that are told apart by *way*."""
        raws, names = way(block, rows), hosts(block, rows)
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
            where = dict(zip(keys, (b for _, b in rows), strict=True))
            for key in fresh:
                host, raw = (names, key) if isinstance(names, bytes) else key
                short = host, shortened(raw), way
                if short not in self.k.alike:
                    self.learn(short, block, where[key])
                told[key] = self.k.alike[short]
                if told[key] is None:
                    unclear.add(key)
        self.counted.setdefault(place, Counter()).update(keys)
        if unclear and not unclear.isdisjoint(keys):
            read.update(b for key, (_, b) in zip(keys, rows, strict=True) if key in unclear)

    def sum_up(self) -> None:
        """Deliveries by what they say into the tally."""
        sent = self.tally.sent
        for place, counts in self.counted.items():
            told = self.k.told[place]
            for key, count in counts.items():
                if (what := told[key]) is not None:
                    sent[what] = sent.get(what, 0) + count
        self.counted.clear()

    def learn(self, short: tuple[bytes, bytes, Way], block: bytes, begin: int) -> None:
        """What the line at *begin* says, kept for all lines that are alike: None, where nothing follows from that."""
        if len(self.k.alike) > 200_000:
            self.k.alike.clear()
        line = line_from(block, begin + 1).rstrip(b"\r")
        found = self.k.reader.read(line)
        good = found is not None and short[1] and found.host == short[0] and found.plan.kind == "attempt" and not failed(found)
        self.k.alike[short] = self.sent_of(found, line) if good and found is not None and found.values[6] is not None else None

    def sent_of(self, read: Read, line: bytes) -> Sent:
        """Where a delivery went."""
        v = read.values
        relay = v[3] or b""
        onward = b"." in relay and not any(relay + t in line for t in (b"[private/", b"[127.", b"[::1]")) and not relay.startswith(b"127.")
        return read.host, self.remote_of(read) or b"", (v[1] or b"").lower().rpartition(b"@")[2] if b"@" in (v[1] or b"") else b"", onward

    def remote_of(self, read: Read) -> bytes | None:
        """The destination that a line is about: the provider, else the recipient's domain."""
        v = read.values
        if read.plan.kind == "attempt":
            return self.k.provider(v[3]) or self.k.provider(v[4]) or (v[1].rpartition(b"@")[2].lower() if v[1] and b"@" in v[1] else v[3])
        return None if v[17] is None else self.k.provider(v[17]) or v[17]

    def all_lines(self, offset: int, block: bytes) -> None:
        """Every line, where some failure has no text to find it by."""
        at = 0
        while at < len(block):
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            self.line(offset + at, block[at:end])
            at = end + 1

    def line(self, offset: int, line: bytes, taken: Taken | None = None, lanes: Lanes | None = None) -> None:
        """One line, read; *taken* is what *lanes* say of it."""
        line = line.rstrip(b"\r")
        head, stamp, body = self.k.reader.split(line)
        read = self.k.reader.of(head, stamp, body)
        if read is None:
            return
        if failed(read):
            group = self.add(offset, line, read)
            if taken is not None and lanes is not None and group is not None and head.formats[0] == lanes.format:
                self.learn_failure(taken, read, group)
        elif read.plan.kind == "attempt":
            if read.values[6] is not None and self.is_wanted(*self.asked(read)):
                told = self.sent_of(read, line)
                self.tally.sent[told] = self.tally.sent.get(told, 0) + 1
        elif arrival(read.plan):
            self.received += self.is_wanted(*self.asked(read))
        elif read.plan.kind == "finished" and read.values[11] in EXPIRED and read.values[0] and self.is_wanted(*self.asked(read)):
            self.tally.expired.add(b"%b %b" % (read.host, read.values[0]))

    def learn_failure(self, taken: Taken, read: Read, group: Group) -> None:
        """Lines like this one are failures of *group*, where the lane tells the same as the grammar."""
        v = read.values
        key, stamp, _, queue_id, rcpt, sender, client = taken
        told = None if v[0] in _NO_ID else v[0], v[1], v[2], None if queue_id else v[15]
        host = key[0].partition(b" ")[0]
        if told == (queue_id, rcpt, sender, client) and (host, stamp) == (read.host, read.stamp):
            if len(self.slots) > _MOST_SHAPES:
                self.flush()
                self.slots.clear()
            self.slots[loosely(key)] = Slot(group, host)

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

    def add(self, offset: int, line: bytes, read: Read) -> Group | None:
        """A failure into its group; the group, where the filters let it pass."""
        v, plan, host = read.values, read.plan, read.host
        queue_id, rcpt, sender = v[0], v[1], v[2]
        if queue_id in _NO_ID:
            queue_id = None
        time = self.time_of(read.stamp)
        if not self.is_wanted(time, host, rcpt, sender, queue_id):
            return None
        if queue_id and plan.format not in self.checked and not self.tally.odd:
            self.checked.add(plan.format)
            self.tally.odd = token(line, 0, len(line)) != queue_id
        text = v[9]
        if text and plan.kind != "attempt":
            shape = self.k.shape(without(text, (v[15], rcpt, sender, v[16], v[19])), None)
        else:
            shape = self.k.shape(text, rcpt) if text else ""
        key = (plan.format, plan.alias, host, v[6], v[8], v[7], v[5], v[10], v[11], v[12], v[13], shape, self.remote_of(read))
        group = self.tally.groups.get(key)
        if group is None:
            group = self.tally.groups[key] = Group()
        self.place(group, time, host, queue_id, rcpt, sender, v[15], offset, line)
        return group

    def place(
        self,
        group: Group,
        time: int | None,
        host: bytes,
        queue_id: bytes | None,
        rcpt: bytes | None,
        sender: bytes | None,
        client: bytes | None,
        offset: int,
        line: bytes,
    ) -> None:
        """One failure more in *group*."""
        self.failures += 1
        self.sketch([crc32(line)])
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
        of = group.of
        name = b"%b %b %b" % (host, queue_id or b"", rcpt or b"")
        if of.get(name, when) >= when:
            of[name] = when
        if client and not queue_id:
            group.clients.add(client)
        if sender is not None:
            group.senders.add(sender)
        old = group.sample
        if old is None or (when <= old[0] and (when, self.task.source, offset) < old[:3]):
            group.sample = (when, self.task.source, offset, line)
            group.example = (host, queue_id)

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


def same_mail(address: bytes | None, wanted: str) -> bool:
    """Whether *address* is *wanted*, or in the domain *wanted* where that has no local part."""
    text = (address or b"").decode("utf-8", "replace").lower().strip("<>")
    if "@" in wanted.lstrip("@"):
        return text == wanted
    return text.rpartition("@")[2] == wanted.lstrip("@")


# ---- deliveries without reading their lines --------------------------------------------------------------------------


def behind(block: bytes, rows: Rows) -> list[bytes]:
    """What stands between recipient and relay, of Postfix: ``... to=<greta@example.com>, relay=mx.example.com[192.0.2.1]:25, ..., status=sent``"""
    find = block.find
    return [block[a : find(b"[", a) + 2] if 0 <= (a := find(b"@", find(b"to=", b + 1))) < s else b"" for (_, s, _), b in rows]


def between(block: bytes, rows: Rows) -> list[bytes]:
    """The same of Sendmail: ``to=<greta@example.com>, delay=..., mailer=esmtp, pri=120000, relay=mx.example.com. [192.0.2.1], ..., stat=Sent``"""
    find = block.find
    return [
        block[a : find(b",", a)] + b"," + block[r : find(b"[", r) + 2]
        if 0 <= (a := find(b"@", find(b"to=", b + 1))) < (r := find(b" relay=", a)) < s
        else b""
        for (_, s, _), b in rows
    ]


def ahead(block: bytes, rows: Rows) -> list[bytes]:
    """The same of Exim: ``1aspm4-000001-G7 => greta@example.com R=dnslookup T=remote_smtp H=mx.example.com [192.0.2.1]``"""
    find = block.find
    # The arrow stands behind the message's id; anything else is a stranger's text.
    # The local part is left out, where there is one.
    return [
        block[at if (at := find(b"@", e, find(b" ", e))) > 0 else e : find(b" [", e)]
        if s > 5 and (block[s - 4] == _DASH or block[s - 6] == _DASH)
        else b""
        for (_, s, e), _ in rows
    ]


def beyond(block: bytes, rows: Rows) -> list[bytes]:
    """The same of OpenSMTPD: ``mta delivery evpid=... to=<greta@example.com> ... relay="192.0.2.1 (mx.example.com)" delay=0s``"""
    find = block.find
    ats = [find(b"@", find(b" to=<", h[2])) for h, _ in rows]
    ends = [find(b" delay=", h[2]) for h, _ in rows]
    stops = [find(b"\n", h[2]) for h, _ in rows]
    return [block[a:z] if 0 <= a < z < n else b"" for a, z, n in zip(ats, ends, stops, strict=True)]


def hosts(block: bytes, rows: Rows) -> bytes | list[bytes]:
    """The word behind the stamp of each row's line, or the one of all; a line with another stamp than most gets what is no host."""
    find = block.find
    first = block[:1]
    if first.isalpha():  # Nov 20 00:00:00 mx1 postfix/smtp[7]: ...
        one = block[rows[0][1] + 17 : find(b" ", rows[0][1] + 17)]
        length = 18 + len(one)
        if {block[b + 16 : b + length] for _, b in rows} == {b" %b " % one}:
            return one
        return [block[b + 17 : find(b" ", b + 17)] for _, b in rows]
    if block[10:11] == b"T":  # 2026-11-20T00:00:00+01:00 mx1 ...
        return [block[(at := find(b" ", b + 1) + 1) : find(b" ", at)] for _, b in rows]
    firsts = list(map(block.__getitem__, [b + 1 for _, b in rows]))
    return b"" if _NUMBERS.issuperset(firsts) else [b"" if first in _NUMBERS else b"?" for first in firsts]


_NUMBERS = frozenset(b"0123456789")


def shortened(raw: bytes) -> bytes:
    """*raw* without what differs among deliveries to one domain by one relay."""
    raw = raw.partition(b"\n")[0]
    if (at := raw.find(b", ")) >= 0:
        relay = raw.find(b"relay=", at)
        return raw[:at] + b" " + (raw[relay:].partition(b",")[0] if relay >= 0 else b"")
    if (at := raw.find(b' relay="')) >= 0:
        return raw.partition(b">")[0] + b" " + raw[at:].partition(b"(")[2]
    cut = min((n for t in (b" F=", b" P=<", b" R=", b" T=", b" S=") if (n := raw.find(t)) >= 0), default=len(raw))
    relay = raw.find(b" H=", cut)
    return raw[:cut] + (raw[relay:] if relay >= 0 else b"")


def way_of(text: bytes) -> Way | None:
    """How lines with *text* are told apart; None where each must be read."""
    if text.startswith(b"status="):
        return behind
    if text.startswith(b", stat="):
        return between
    return ahead if text in {b"=> ", b"-> ", b">> "} else beyond if text == b" mta delivery evpid=" else None


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
    into.formats |= other.formats
    into.expired |= other.expired
    for user, hours in other.users.items():
        mine_ = into.users.setdefault(user, {})
        for hour, count in hours.items():
            mine_[hour] = mine_.get(hour, 0) + count
    for source, sums in other.sketch.items():
        into.sketch[source] = least_of({*into.sketch.get(source, ()), *sums})
    for told, value in other.sent.items():
        into.sent[told] = into.sent.get(told, 0) + value
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


_SKETCH = 256
_MOST_USERS = 100_000
_ACCOUNT = re.compile(rb"(?:[A-Za-z0-9_-]{1,40}:)?([^\s,;:\"<>]{1,200})")


def least_of(sums: set[int]) -> list[int]:
    """As many check sums as are kept: of two logs with the same lines, the same ones."""
    return sorted(sums)[:_SKETCH]


def doubles(tally: Tally, sizes: Sequence[int]) -> dict[int, int]:
    """Sources whose failing lines all stand in another, larger one too (mail.log and syslog): which one."""
    found: dict[int, int] = {}
    for one in sorted(tally.sketch, key=lambda s: (sizes[s], s)):
        for other in sorted(tally.sketch, key=lambda s: (-sizes[s], s)):
            if other == one or other in found or (sizes[other], other) < (sizes[one], one):
                continue
            theirs = tally.sketch[other]
            mine = [c for c in tally.sketch[one] if len(theirs) < _SKETCH or c <= theirs[-1]]
            if len(mine) >= _LEAST_DOUBLE and len(set(mine) & set(theirs)) >= 0.95 * len(mine):
                found[one] = other
                break
    return found


_LEAST_DOUBLE = 3


def settle(tally: Tally) -> Tally:
    """Failures before any server of a domain was reached belong to the provider that otherwise takes the domain's mail."""
    takes: dict[bytes, dict[bytes, int]] = {}
    for (_, remote, domain, _), count in tally.sent.items():
        if domain and remote != domain:
            takes.setdefault(domain, {})[remote] = takes.get(domain, {}).get(remote, 0) + count
    known = {d: min(r, key=lambda n: (-r[n], n)) for d, r in takes.items()}
    for key in [k for k in tally.groups if k[12] in known]:
        group = tally.groups.pop(key)
        new = (*key[:12], known[key[12]])
        if new in tally.groups:
            add_group(tally.groups[new], group)
        else:
            tally.groups[new] = group
    return tally


def add_group(mine: Group, group: Group) -> None:
    """*group* added to *mine*."""
    mine.count += group.count
    mine.first = min((t for t in (mine.first, group.first) if t is not None), default=None)
    mine.last = max((t for t in (mine.last, group.last) if t is not None), default=None)
    for hour, count in group.hours.items():
        mine.hours[hour] = mine.hours.get(hour, 0) + count
    of = mine.of
    for name, when in group.of.items():
        if of.get(name, when) >= when:
            of[name] = when
    mine.senders |= group.senders
    mine.clients |= group.clients
    if mine.sample is None or (group.sample is not None and group.sample[:3] < mine.sample[:3]):
        mine.sample, mine.example = group.sample, group.example
