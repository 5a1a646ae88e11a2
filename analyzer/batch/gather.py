"""The other lines of the messages that failed: who sent them, what became of them, and whole stories of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.batch.reader import SENT, Reader
from analyzer.batch.scan import _IDS, Awake, Finder, Knowledge, Task, token
from analyzer.batch.sources import blocks
from analyzer.batch.stamps import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

Order = tuple[float, int, int]  # time, source, offset: the order of lines over all logs


class Sought(msgspec.Struct, frozen=True):
    """*ids*: host and queue id of messages that failed; *whole*: those of them whose every line is wanted.

    *samples*: source and offset of lines whose numbers are wanted.
    """

    ids: frozenset[bytes]
    whole: frozenset[bytes] = frozenset()
    samples: frozenset[tuple[int, int]] = frozenset()
    odd: bool = False
    before: dict[tuple[int, int], int] = {}  # lines before the block at (source, offset)


class Gathered(msgspec.Struct):
    """What was found.  *sent*: host, queue id and recipient of deliveries."""

    senders: dict[bytes, tuple[int, int, bytes]] = {}  # source, offset, sender: the first one
    sent: set[bytes] = set()
    stories: dict[bytes, list[tuple[Order, bytes, int]]] = {}  # line and its number
    numbers: dict[tuple[int, int], int] = {}


def gather(task: Task, sought: Sought, knowledge: Knowledge, progress: Callable[[int, int], None] | None = None) -> Gathered:
    """What the range of *task* tells of the messages in *sought*."""
    found = Gathered()
    reader: Reader = knowledge.reader
    names = frozenset(i.rpartition(b" ")[2] for i in sought.ids)
    whole = frozenset(i.rpartition(b" ")[2] for i in sought.whole)
    awake = Awake(knowledge, automaton=task.use_automaton)
    finder: Finder | None = None
    senders: frozenset[bytes] = frozenset()
    stories = Finder(tuple(sorted(whole)), automaton=task.use_automaton) if whole else None
    clock = Clock(task.years, task.zone)
    wanted = sorted(o for s, o in sought.samples if s == task.source)
    for offset, block in blocks(task.item, task.start, task.end, task.size, []):
        number = sought.before.get((task.source, offset), 0)
        done = -1
        find, rfind = block.find, block.rfind
        if awake.wake(block) or finder is None:
            senders = frozenset(t for i in awake.on for t in knowledge.parts[i].senders)
            texts = {t for i in awake.on for t in knowledge.parts[i].needles.of(SENT)} | senders
            finder = knowledge.finder(tuple(sorted(texts)), automaton=task.use_automaton)
        for which, start, end in finder.find(block) if names else ():
            if start < done or which >= len(finder.texts):
                continue
            begin = rfind(b"\n", 0, start) + 1
            at = find(b": ", begin, end) + 2
            name = block[at : find(b":", at, end)]
            if name not in names:
                if block[begin : begin + 1].isalpha() and not sought.odd:
                    continue
                name = token(block, begin, end)
                if name not in names and not (sought.odd and any(w in names for w in _IDS.findall(block[begin : end + 160]))):
                    continue
            done = find(b"\n", end)
            done = len(block) if done < 0 else done
            _line(
                found,
                sought,
                reader,
                (task.source, offset + begin),
                block[begin:done].rstrip(b"\r"),
                name,
                info=finder.texts[which] in senders,
            )
        if stories:
            _stories(found, sought, reader, clock, task.source, offset, block, stories, number)
        while wanted and wanted[0] < offset + len(block):
            at = wanted.pop(0)
            if at >= offset:
                found.numbers[task.source, at] = number + block.count(b"\n", 0, at - offset) + 1
        if progress:
            progress(len(block), 0)
    return found


def _line(
    found: Gathered,
    sought: Sought,
    reader: Reader,
    at: tuple[int, int],
    line: bytes,
    name: bytes,
    *,
    info: bool,
) -> None:
    if info and b"%b %b" % (reader.split(line)[0].host, name) in found.senders:
        return  # once is enough
    read = reader.read(line)
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
            found.senders.setdefault(key, (*at, sender))
    elif read.plan.kind == "attempt" and values[6] in _GOOD:
        found.sent.add(b"%b %b" % (key, values[1] or b""))


_GOOD = frozenset({b"sent", b"delivered", b"deliverable", b"relayed", b"expanded"})


def _stories(
    found: Gathered,
    sought: Sought,
    reader: Reader,
    clock: Clock,
    source: int,
    offset: int,
    block: bytes,
    stories: Finder,
    number: int,
) -> None:
    done = -1
    for which, start, end in stories.find(block):
        if start < done or which >= len(stories.texts):
            continue
        stop = block.find(b"\n", end)
        stop = len(block) if stop < 0 else stop
        begin = block.rfind(b"\n", 0, start) + 1
        line = block[begin:stop].rstrip(b"\r")
        head, stamp, _body = reader.split(line)
        key = b"%b %b" % (head.host, stories.texts[which])
        if key not in sought.whole:
            continue
        done = stop
        time = clock.seconds(stamp)
        order = (float("inf") if time is None else time, source, offset + begin)
        story = found.stories.setdefault(key, [])
        if len(story) < 400:
            story.append((order, line, number + block.count(b"\n", 0, begin) + 1))


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
