"""The whole story of messages: an address, queue id, message id, host or IP -> every line about them, over all logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.batch.net import Finder
from analyzer.batch.sift import few
from analyzer.batch.sources import blocks
from analyzer.batch.stamps import Clock
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from analyzer.batch.scan import Knowledge
    from analyzer.batch.tally import Task
    from analyzer.model.events import Event

MOST_IDS = 2_000
MOST_LINES = 200_000
_MOST_LEARNT = 50  # ids in one reading of a range: of more, the next reading takes care
_SAMPLE = 1 << 13  # bytes
_ROUNDS = 12
_INSIDE = re.compile(rb"[0-9A-Za-z]")
_NO_ID = frozenset({None, "", "NOQUEUE", "000000"})
_QUEUE_ID = re.compile(r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}|[0-9A-F]{6,16}|[0-9B-Zb-z]{10,20}|[0-9A-Za-z]{14}")
_IP = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+")


class Found(msgspec.Struct, frozen=True):
    """A line, with its time (infinite where it has none), source, offset and what precedes it in its range."""

    time: float
    source: int
    offset: int
    line: bytes
    number: int = 0


class Searched(msgspec.Struct, frozen=True):
    """What a range was found to hold: lines with their events, and from which offset on each text was looked for."""

    lines: list[tuple[Found, Event | None]]
    since: dict[bytes, int]


class Story(msgspec.Struct):
    """One message, or one refused attempt to bring one.  *ids*: host and queue id, in the order of their first lines."""

    ids: list[tuple[str, str]]
    lines: list[Found]
    events: list[Any]


def kind_of(what: str) -> str:
    """What *what* is: message id, address, IP, queue id or host."""
    text = what.strip("<>")
    if what.startswith("<"):
        return "message id or address"
    if "@" in text:
        return "address or message id"
    if _IP.fullmatch(text):
        return "IP address"
    if _QUEUE_ID.fullmatch(text) and any(c.isdigit() for c in text) and "." not in text:
        return "queue id"
    return "host"


def grep(task: Task, texts: Iterable[bytes], knowledge: Knowledge) -> Searched:
    """The lines of the range that hold one of *texts* as a whole word, and from there on those with the ids that stand in these."""
    found: dict[int, tuple[Found, Event | None]] = {}
    since = dict.fromkeys(texts, task.start)
    clock, most = Clock(task.years, task.zone), len(since) + _MOST_LEARNT
    search = None
    for offset, block in blocks(task.item, task.start, task.end, task.size, []):
        if task.end is not None and offset >= task.end:
            break
        learnt = True
        while learnt:
            learnt = False
            search = search or _Search(list(since), block[:_SAMPLE], automaton=task.use_automaton)
            for begin, end in search.lines(block):
                if offset + begin in found:
                    continue
                line = block[begin:end].rstrip(b"\r")
                time = clock.seconds(knowledge.reader.split(line)[1])
                one = Found(float("inf") if time is None else float(time), task.source, offset + begin, line)
                event = event_of(one, knowledge)
                found[offset + begin] = one, event
                if len(found) >= MOST_LINES:
                    return Searched(list(found.values()), since)
                new = [i for i in map(str.encode, ids_in(event)) if i not in since]
                if new and len(since) + len(new) <= most:
                    since |= dict.fromkeys(new, offset)
                    search, learnt = None, True
    return Searched(list(found.values()), since)


class _Search:
    """The lines that hold one of some texts as a whole word."""

    def __init__(self, texts: Sequence[bytes], sample: bytes, *, automaton: bool) -> None:
        self._few = few(texts, sample) if automaton else None
        self._finder = Finder(tuple(texts), automaton=automaton)
        self._count = len(texts)

    def lines(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Where they begin and end."""
        done = -1
        for which, start, end in self._finder.find(block) if self._few is None or len(block) >> 31 else self._few.find(block):
            if start < done or which >= self._count or _cut(block, start, end):
                continue
            done = block.find(b"\n", end)
            done = len(block) if done < 0 else done
            yield block.rfind(b"\n", 0, start) + 1, done


def _cut(block: bytes, start: int, end: int) -> bool:
    """Whether what was found is only part of a word."""
    before, first = block[start - 1 : start] if start else b"", block[start : start + 1]
    after, last = block[end : end + 1], block[end - 1 : end]
    return bool(
        (_INSIDE.match(before) and _INSIDE.match(first))
        or (_INSIDE.match(last) and (_INSIDE.match(after) or (after in {b".", b"-"} and _INSIDE.match(block[end + 1 : end + 2]))))
    )


def trace(
    what: str,
    tasks: Sequence[Task],
    search: Callable[[list[tuple[Task, list[bytes]]]], Iterable[Searched]],
) -> list[Story]:
    """The stories of all messages that *what* is about; *search* looks for texts in ranges, as `grep` does."""
    text = what.strip()
    texts = {text.encode()} | ({text.lower().encode()} if "@" in text or "." in text else set())
    if text.startswith("<") and text.endswith(">"):
        texts = {text[1:-1].encode()}
    asked, most = set(texts), MOST_IDS + len(texts)
    lines: dict[tuple[int, int], Found] = {}
    events: dict[tuple[int, int], Any] = {}
    since: list[dict[bytes, int]] = [{} for _ in tasks]  # of each range: from where on a text was looked for
    for _ in range(_ROUNDS):
        todo = [
            (n, missing) for n, task in enumerate(tasks) if (missing := [t for t in sorted(asked) if since[n].get(t, _NEVER) > task.start])
        ]
        if not todo:
            break
        ranges = [(_up_to(tasks[n], max(since[n].get(t, _NEVER) for t in missing)), missing) for n, missing in todo]
        for (n, _), searched in zip(todo, search(ranges), strict=True):
            for found, event in searched.lines:
                lines[found.source, found.offset], events[found.source, found.offset] = found, event
            for t, offset in searched.since.items():
                since[n][t] = min(offset, since[n].get(t, _NEVER))
        ids = {i.encode() for e in events.values() for i in ids_in(e)}
        asked.update(sorted(ids - asked)[: max(0, most - len(asked))])
    return stories_of(lines, events)


_NEVER = 1 << 62


def _up_to(task: Task, end: int) -> Task:
    return task if end == _NEVER else msgspec.structs.replace(task, end=end)


_NEAR = 1 << 18  # bytes before and after, in which a connection's lines are looked for
_MOST_OF_CONNECTION = 40
_TAG = re.compile(rb"\S+ \S+\[[0-9]{1,10}\]: ")


class Nearby:
    """The blocks around places in logs; one that is compressed is read on from where the last question left it."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = {t.source: t for t in reversed(tasks)}
        self._open: dict[int, tuple[Iterator[tuple[int, bytes]], list[tuple[int, bytes]]]] = {}

    def blocks(self, source: int, offset: int) -> list[tuple[int, bytes]]:
        """Whole lines from about *_NEAR* bytes before *offset* to as much behind it."""
        item = self.tasks[source].item
        start, end = max(0, offset - _NEAR), offset + _NEAR
        if item.splits:
            return list(blocks(item, start, end, 2 * _NEAR, []))
        reading, held = self._open.get(source, (iter(()), []))
        if not held or held[0][0] > start:
            reading, held = blocks(item, 0, None, _NEAR, []), []
        while not held or held[-1][0] + len(held[-1][1]) < end:
            held = [h for h in held if h[0] + len(h[1]) > start]
            block = next(reading, None)
            if block is None:
                break
            held.append(block)
        self._open[source] = reading, held
        return held


def with_connection(story: Story, nearby: Nearby, knowledge: Knowledge) -> Story:
    """*story* with the lines of the connection by which the message came: those of the same process around its first line."""
    at = next(
        (n for n, e in enumerate(story.events) if getattr(e, "client_ip", None) and type(e).__struct_config__.tag == "message_info"), None
    )
    if at is None:
        return story
    found = story.lines[at]
    tag = _TAG.search(found.line)
    task = nearby.tasks.get(found.source)
    if tag is None or task is None:
        return story
    lines = []
    clock, tags = Clock(task.years, task.zone), Finder((b" " + tag[0],), automaton=False)
    for offset, block in nearby.blocks(found.source, found.offset):
        for _, start, end in tags.find(block):
            begin = block.rfind(b"\n", 0, start) + 1
            stop = block.find(b"\n", end)
            line = block[begin : len(block) if stop < 0 else stop].rstrip(b"\r")
            time = clock.seconds(knowledge.reader.split(line)[1])
            lines.append(Found(float("inf") if time is None else float(time), found.source, offset + begin, line))
    here = next((n for n, f in enumerate(lines) if f.offset == found.offset), None)
    if here is None:
        return story
    start = next((n for n in range(here, -1, -1) if b"]: connect from " in lines[n].line), here)
    stop = next(
        (n for n in range(here, len(lines)) if b"]: disconnect from " in lines[n].line or b"]: lost connection" in lines[n].line), here
    )
    known = {f.offset for f in story.lines if f.source == found.source}
    ids = {q for _, q in story.ids}
    more = []
    for f in lines[start : stop + 1][:_MOST_OF_CONNECTION]:
        event = None if f.offset in known else event_of(f, knowledge)
        if event is not None and (getattr(event, "queue_id", None) in _NO_ID or getattr(event, "queue_id", None) in ids):
            more.append((f, event))
    pairs = sorted([*zip(story.lines, story.events, strict=True), *more], key=lambda p: (p[0].time, p[0].source, p[0].offset))
    return Story(story.ids, [f for f, _ in pairs], [e for _, e in pairs])


def event_of(found: Found, knowledge: Knowledge) -> Event | None:
    """The event on a line, or None."""
    from analyzer.formats.envelope import enveloped
    from analyzer.model.capture import Line

    text = found.line.decode("utf-8", "replace")
    read = knowledge.reader.event(enveloped(Line(1, text, text, 1), knowledge.reader.formats), found.line)
    return read[1] if read else None


def ids_in(event: Event | None) -> list[str]:
    """The ids by which other lines tell more of the same message."""
    names = ["queue_id", "next_id", "previous_id"]
    found = [getattr(event, n, None) for n in names]
    return [i for i in found if isinstance(i, str) and i not in _NO_ID and len(i) >= 5]


def stories_of(lines: dict[tuple[int, int], Found], events: dict[tuple[int, int], Any]) -> list[Story]:
    """Lines by message: those of one queue id, and of the ids that it had before and after."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    loose: list[Story] = []
    by_id: dict[str, list[tuple[int, int]]] = {}
    known = {e.queue_id for e in events.values() if e is not None and getattr(e, "queue_id", None)}
    of_message: dict[str, str] = {}
    for at in sorted(lines, key=lambda a: (lines[a].time, a)):
        event = events.get(at)
        queue_id: Any = getattr(event, "queue_id", None) if event is not None else None
        if event is None or queue_id in _NO_ID:
            if event is not None:
                loose.append(Story([], [lines[at]], [event]))
            continue
        by_id.setdefault(queue_id, []).append(at)
        for other in ids_in(event):
            if other in known:
                parent[root(other)] = root(queue_id)
        message_id = getattr(event, "message_id", None)
        if message_id:
            parent[root(of_message.setdefault(message_id, queue_id))] = root(queue_id)
    groups: dict[str, list[tuple[int, int]]] = {}
    for queue_id, places in by_id.items():
        groups.setdefault(root(queue_id), []).extend(places)
    stories = []
    for places in groups.values():
        places.sort(key=lambda a: (lines[a].time, a))
        ids = dict.fromkeys((events[a].host or "", events[a].queue_id) for a in places)
        stories.append(Story(list(ids), [lines[a] for a in places], [events[a] for a in places]))
    stories += loose
    return sorted(stories, key=lambda s: (s.lines[0].time, s.lines[0].source, s.lines[0].offset))


def state_of(story: Story) -> str:
    """What became of the message."""
    from analyzer.model import events as ev
    from analyzer.model.events import GOOD

    last: dict[str | None, str] = {}
    ended = None
    passed_on = {getattr(e, "next_id", None) for e in story.events} & {q for _, q in story.ids}
    for e in story.events:
        if isinstance(e, ev.Attempt) and e.status and not (e.next_id and e.next_id in passed_on):
            last[e.rcpt_to] = "delivered" if e.status in GOOD else e.status
        elif isinstance(e, ev.Finished):
            ended = e.how
        elif isinstance(e, ev.Refused):
            last.setdefault(e.rcpt_to, "put off" if str(e.code or e.enhanced or "").startswith("4") else "refused")
    if not last:
        return {"removed": "gone from the queue", None: "no delivery attempt shown"}.get(ended, str(ended))
    states = dict.fromkeys(last.values())
    return ", ".join(f"{s} ({sum(1 for x in last.values() if x == s)})" if len(last) > 1 else s for s in states)
