"""The other lines of the messages that failed: who sent them, what became of them, and whole stories of some."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import msgspec

from analyzer.batch.alike import Alike
from analyzer.batch.deliveries import token
from analyzer.batch.net import Finder
from analyzer.batch.sift import SHORT_ID, anchored
from analyzer.batch.sources import blocks
from analyzer.batch.stamps import Clock
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.batch.reader import Read
    from analyzer.batch.scan import Knowledge
    from analyzer.batch.sift import Anchored
    from analyzer.batch.tally import Task

_IDS = re.compile(rb"[0-9A-Za-z-]{5,24}")
Order = tuple[float, int, int]  # time, source, offset: the order of lines over all logs
_LATER = (1 << 62, 0, b"")
Row = tuple[int, int, int, int, bytes]  # where a line begins, which text was found in it, from where to where, and the line


class Sought(msgspec.Struct, frozen=True):
    """*ids*: host and queue id of messages that failed; *whole*: those of them whose every line is wanted.

    *samples*: source and offset of lines whose numbers are wanted.
    """

    ids: frozenset[bytes]
    names: frozenset[bytes] = frozenset()  # the queue ids alone
    whole: frozenset[bytes] = frozenset()
    samples: frozenset[tuple[int, int]] = frozenset()
    odd: bool = False
    before: dict[tuple[int, int], int] = {}  # lines before the block at (source, offset)
    formats: frozenset[int] = frozenset()  # those of which there are lines


class Gathered(msgspec.Struct):
    """What was found.  *sent*: host, queue id and recipient of deliveries."""

    senders: dict[bytes, tuple[int, int, bytes]] = {}  # source, offset, sender: the first one
    sent: set[bytes] = set()
    stories: dict[bytes, list[tuple[Order, bytes, int]]] = {}  # line and its number
    numbers: dict[tuple[int, int], int] = {}


class Search:
    """What blocks are searched for in the second reading: anchors behind queue ids, else the texts of lines that matter, and ids.

    It is the same for all ranges; made once a process.
    """

    def __init__(self, knowledge: Knowledge, sought: Sought, *, automaton: bool, lanes: bool) -> None:
        self.sought, self.how, self.names = sought, (automaton, lanes), sought.names
        self.width = min(map(len, self.names), default=1)
        self.tails = frozenset([n[-self.width :] for n in self.names])
        whole = sorted({i.rpartition(b" ")[2] for i in sought.whole})
        anchors: dict[bytes, tuple[int, bool]] = {}
        loose: set[bytes] = set()
        good: set[bytes] = set()
        senders: set[bytes] = set()
        for part in (knowledge.parts[i] for i in sorted(sought.formats)):
            sent = part.told
            good.update(sent)
            if part.anchors and all(anchors.get(t, a) == a for t, a in part.anchors.items()):
                anchors |= part.anchors
            else:
                loose.update(sent, part.senders)
                senders.update(part.senders)
        loose -= anchors.keys()
        self.good = re.compile(b"|".join(map(re.escape, sorted(good))) or b"(?!)").search
        senders.update(t for t, (_, names) in anchors.items() if names)
        self.texts = (*anchors, *sorted(loose), *whole)
        self.anchors, self.ids = len(anchors), len(anchors) + len(loose)
        self.gaps = [gap for gap, _ in anchors.values()]
        # What stands between such a text and the queue id, of OpenSMTPD's lines: the beginning of an envelope's id is the message's.
        self.marks = [b"" if t.endswith(b" evpid=") else b" msgid=" if t.endswith(b" message") else None for t in self.texts]
        self.marked_ids = any(m is not None for m in self.marks)
        self.marks += [None] * 4
        self.name_senders = [text in senders for text in self.texts]
        self.finder = Finder(self.texts, automaton=automaton)
        self.fast = anchored(self, self.names, self.tails, self.width) if automaton and self.names else None
        self.messages = list(sought.ids)
        self.lessons = knowledge.lessons_of_messages
        self.lanes: Alike | None = None
        self.sums: dict[Role, int] = {}  # of the lanes
        if lanes and self.fast is not None:
            self.begin()

    def begin(self) -> None:
        """Begin with new lanes."""
        self.lanes, self.sums = Alike(self.lessons), {}
        self.lanes.seek(self.messages)

    def marked(self, which: int, block: bytes, stop: int) -> bytes:
        """The queue id that stands behind such a mark."""
        mark = self.marks[which] or b""
        at = block.find(mark, stop, stop + 600) + len(mark)
        return block[at : at + SHORT_ID]

    def rows(self, block: bytes) -> list[tuple[int, int, int]]:
        """Where a line may be of interest: the anchors with the end of an id before them, and most of the others."""
        hits, names, tails, width = self.finder.find(block), self.names, self.tails, self.width
        gaps, anchors = self.gaps, self.anchors
        if b"" in self.marks:
            marks = self.marks
            hits = [h for h in hits if marks[h[0]] != b"" or block[h[2] : h[2] + SHORT_ID] in names]
        if not anchors:
            return hits
        if len(set(gaps)) == 1:
            # This is the loop that most of the second reading's time goes into.
            back, gap = gaps[0] + width, gaps[0]
            return [h for h in hits if block[h[1] - back : h[1] - gap] in tails or h[0] >= anchors]
        return [h for h in hits if h[0] >= anchors or block[h[1] - gaps[h[0]] - width : h[1] - gaps[h[0]]] in tails]


class Numbers:
    """Numbers of a block's lines, asked for in ascending order."""

    def __init__(self, block: bytes, first: int) -> None:
        self.block, self.at, self.number = block, 0, first

    def of(self, begin: int) -> int:
        """The number of the line that begins at *begin*."""
        self.number += self.block.count(b"\n", self.at, begin)
        self.at = begin
        return self.number


def gather(task: Task, sought: Sought, knowledge: Knowledge, progress: Callable[[int, int], None] | None = None) -> Gathered:
    """What the range of *task* tells of the messages in *sought*."""
    found = Gathered()
    search = knowledge.search
    if search is None or search.sought is not sought or search.how != (task.use_automaton, task.use_lanes):
        search = knowledge.search = Search(knowledge, sought, automaton=task.use_automaton, lanes=task.use_lanes)
    if search.lanes is not None:
        search.lanes.forget_told()
    reading = _Reading(found, search, knowledge, task)
    wanted = sorted(o for s, o in sought.samples if s == task.source)
    for offset, block in blocks(task.item, task.start, task.end, task.size, []):
        first = sought.before.get((task.source, offset), 0) + 1
        if search.names:
            rows = search.rows(block) if search.fast is None or len(block) >> 31 else reading.express(offset, block, search.fast)
            reading.block(offset, block, rows, Numbers(block, first))
        numbers = Numbers(block, first)
        while wanted and wanted[0] < offset + len(block):
            at = wanted.pop(0)
            if at >= offset:
                found.numbers[task.source, at] = numbers.of(at - offset)
        if progress:
            progress(len(block), 0)
    return found


class _Reading:
    """The lines of interest, read into what was found."""

    def __init__(self, found: Gathered, search: Search, knowledge: Knowledge, task: Task) -> None:
        self.found, self.search, self.reader, self.source = found, search, knowledge.reader, task.source
        self.sought, self.names = search.sought, search.names
        self.clock = Clock(task.years, task.zone)

    def express(self, offset: int, block: bytes, fast: Anchored) -> Sequence[tuple[int, ...]]:
        """What was found in *block* in lines that must be read, as they are not like others."""
        fast.find(block)
        search = self.search
        if search.lanes is None:
            return fast.rows()
        if search.lanes.full():
            search.begin()
        lanes, begins = search.lanes, fast.lines()
        if search.marked_ids:
            marks, ids = search.marks, search.ids
            mine = [
                begin
                for which, _, stop, begin in fast.rows()
                if which < ids and (marks[which] is None or search.marked(which, block, stop) in self.names)
            ]
            begins = array("I", dict.fromkeys(mine)).tobytes()
        fresh, others = lanes.take(block, begins)
        for row in fresh:
            lanes.tells(self.sum_of(lanes, block[row.begin : row.end], row.fields[1:4]))
        senders, sent = self.found.senders, self.found.sent
        for number, told, a, z, begin in lanes.pick():
            key = search.messages[number]
            if told == _SENDER:
                named = self.source, offset + begin, block[a:z]
                if senders.setdefault(key, named) > named:
                    senders[key] = named
            else:
                sent.add(b"%b %b" % (key, block[a:z]))
        left = {begin for begin, _ in lanes.others()}
        for begin, end, form in others:
            left.add(begin)
            lanes.meet(form, block[begin:end])
        if not left:
            return fast.rows(ids=True)
        return [row for row in fast.rows() if row[0] >= search.ids or row[3] in left]

    def sum_of(self, lanes: Alike, line: bytes, fields: tuple[bytes, ...]) -> int:
        """What lines like this one tell, of which *fields* were cut out; -1 where each must be read."""
        read = self.reader.read(line)
        role = None if read is None or tuple([v or b"" for v in read.values[:3]]) != fields else role_of(read)
        if role is None:
            return -1
        if role not in self.search.sums:
            self.search.sums[role] = lanes.sum(*role)
        return self.search.sums[role]

    def block(self, offset: int, block: bytes, rows: Sequence[tuple[int, ...]], numbers: Numbers) -> None:
        """The rows of one block."""
        told: set[tuple[int, int]] = set()
        search = self.search
        good = search.good
        found: list[Row] = []
        for which, start, stop, *_ in rows:
            if which >= search.ids:
                if which < len(search.texts):
                    begin, line = line_at(block, start, stop)
                    if (which, begin) not in told:  # a line may tell of two messages, and of one twice
                        told.add((which, begin))
                        self.story(search.texts[which], offset + begin, line.rstrip(b"\r"), numbers, begin)
                continue
            if search.marks[which] is not None and search.marked(which, block, stop) not in self.names:
                continue
            begin, line = line_at(block, start, stop)
            if search.name_senders[which] or good(line):
                found.append((begin, which, start, stop, line))
        done = -1  # end of the last line that was read
        for begin, which, start, stop, line in found:
            if start < done:
                continue
            if search.marks[which] is not None:
                name = search.marked(which, block, stop)
            elif which < search.anchors:
                at = start - search.gaps[which]
                name = block[max(block.rfind(b" ", begin, at) + 1, begin) : at]
            else:
                name = block[block.find(b": ", begin, stop) + 2 : start]
                name = name[: name.find(b":")]
                name = name if name in self.names else token(block, begin, begin + len(line))
                if name not in self.names and not (self.sought.odd and self.holds_id(line)):
                    continue
            done = begin + len(line)
            self.line((self.source, offset + begin), line.rstrip(b"\r"), name, names_sender=search.name_senders[which])

    def holds_id(self, line: bytes) -> bool:
        """Whether one of the queue ids stands somewhere in *line*."""
        words = _IDS.findall(line[:1000])
        return not self.names.isdisjoint(words) or not self.names.isdisjoint([w[:SHORT_ID] for w in words])

    def line(self, at: tuple[int, int], line: bytes, name: bytes, *, names_sender: bool) -> None:
        """A line that may name the sender of a message, or tell that it was delivered."""
        found, sought = self.found, self.sought
        head, stamp, body = self.reader.split(line)
        if names_sender and found.senders.get(b"%b %b" % (head.host, name), _LATER) < (*at, b""):
            return  # once is enough
        read = self.reader.of(head, stamp, body)
        if read is None:
            return
        values = read.values
        queue_id = values[0]
        if queue_id is None:
            return
        key = b"%b %b" % (read.host, queue_id)
        if key not in sought.ids:
            return
        if read.plan.kind == "message_info":
            sender = values[2]
            if sender is None and b"from=<>" in line:
                sender = b""
            if sender is not None:
                found.senders[key] = min(found.senders.get(key, _LATER), (*at, sender))
        elif read.plan.kind == "attempt" and values[6] in _GOOD:
            found.sent.add(b"%b %b" % (key, values[1] or b""))

    def story(self, name: bytes, offset: int, line: bytes, numbers: Numbers, begin: int) -> None:
        """A line with the id *name* of a message whose story is told."""
        head, stamp, _body = self.reader.split(line)
        key = b"%b %b" % (head.host, name)
        if key not in self.sought.whole:
            return
        time = self.clock.seconds(stamp)
        order = (float("inf") if time is None else time, self.source, offset)
        story = self.found.stories.setdefault(key, [])
        if len(story) < 400:
            story.append((order, line, numbers.of(begin)))


def line_at(block: bytes, start: int, stop: int) -> tuple[int, bytes]:
    """Where the line begins that holds what stands from *start* to *stop*, and the line."""
    begin, end = block.rfind(b"\n", 0, start) + 1, block.find(b"\n", stop)
    return begin, block[begin : len(block) if end < 0 else end]


_GOOD = frozenset({b"sent", b"delivered", b"deliverable", b"relayed", b"expanded"})


def merge_gathered(into: Gathered, other: Gathered) -> Gathered:
    """*other* added to *into*; order does not matter after `sort_stories`."""
    for key, value in other.senders.items():
        if key not in into.senders or value < into.senders[key]:
            into.senders[key] = value
    into.sent |= other.sent
    for key, story in other.stories.items():
        into.stories.setdefault(key, []).extend(story)
    into.numbers |= other.numbers
    return into


def sort_stories(found: Gathered) -> Gathered:
    """*found* with the lines of each story in their order."""
    for story in found.stories.values():
        story.sort()
    return found


Role = tuple[bytes, int]  # the host; what lines alike tell
_NOTHING, _SENDER, _SENT = range(3)


def role_of(read: Read) -> Role | None:
    """What a line tells of its message: who sent it, that it was delivered, or nothing of interest.  None: that has to be looked up."""
    values, kind, told = read.values, read.plan.kind, _NOTHING
    if values[0] is not None and kind == "message_info":
        if values[2] is None:
            return None
        told = _SENDER
    elif values[0] is not None and kind == "attempt" and values[6] in _GOOD:
        told = _SENT
    return read.host, told
