"""Lines that look alike: some of them are read whole, and tried out, and the others are known by what may differ.

A line's form (sift.c) is the line without its tokens: ids, numbers, names, addresses.  What a token tells is learnt by experiment: where
another one in its place, of the same kind of characters, changes nothing of what is asked of such lines, it does not matter.  Lines of
one form with the same tokens that matter tell the same; what differs, their ids and addresses, is cut out of them.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.batch import sift
from analyzer.batch.reader import SLOT, read_of
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from analyzer.batch.reader import Read, Reader
    from analyzer.batch.sift import Token

    KeyOf = Callable[[Read], Any]  # what is asked of a line; None: nothing of it is

Span = tuple[int, int]
_TIMES = 3  # that a form is met before it is learnt
_MOST_FORMS = 5_000  # that are learnt
_MOST_AHEAD = 80  # bytes before a stamp
# By looking these up, what follows from a line is found: they matter, whatever an experiment says.
_MATTER = ("relay", "said_by", "server", "status", "code", "enhanced", "stage", "action", "how", "severity", "reason")
_TEXT, _RCPT = SLOT["text"], SLOT["rcpt_to"]
_ALL = b"0123456789abcdefghijklmnopqrstuvwxyz"
_THEIRS = b"3456789012" + b"defabc" + b"jklmnopqrstuvwxyzghi"  # those of hexadecimal numbers stay such
_OTHER = bytes.maketrans(_ALL + _ALL[10:].upper(), _THEIRS + _THEIRS[10:].upper())
_NUMBERS = {1: (b"0",), 3: (b"450", b"550")}  # that may mean something
_ONE_KIND = re.compile(rb"[0-9A-Za-z]+").fullmatch


class Lane(NamedTuple):
    """What is learnt of a form; see `sift.Lanes.learn`."""

    matters: bytes
    fields: bytes


class Lessons:
    """What was learnt of forms, for one question: *key_of* says what is asked of a line, *matter* what is looked up for that."""

    def __init__(self, reader: Reader, key_of: KeyOf, matter: Iterable[str] = _MATTER, *, domains: bool = True) -> None:
        self.reader, self.key_of, self.domains = reader, key_of, domains
        self.matter = frozenset(SLOT[n] for n in matter)
        self.asked = self.matter.union(SLOT[n] for n in sift.FIELDS[1:])
        self._lanes: dict[bytes, Lane | None] = {}

    def of(self, form: bytes, line: bytes) -> Lane | None:
        """What *line*, of the *form*, teaches of it, kept."""
        if form not in self._lanes:
            if len(self._lanes) >= _MOST_FORMS:
                return None
            self._lanes[form] = lane_of(line, self)
        return self._lanes[form]


class Alike(sift.Lanes):
    """Lines by their forms; what they tell is learnt as they come."""

    def __init__(self, lessons: Lessons, no_ids: Collection[bytes] = ()) -> None:
        super().__init__(no_ids)
        self._lessons = lessons
        self._met: list[int] = []

    def meet(self, form: int, line: bytes) -> None:
        """Another *line* of a *form*, as `take` tells it, that is not known: after some of them it is learnt."""
        if form:
            if form > len(self._met):
                self._met += [0] * (form - len(self._met))
            self._met[form - 1] += 1
            if self._met[form - 1] == _TIMES and (lane := self._lessons.of(self.form(form - 1), line)) is not None:
                self.learn(form - 1, *lane)


class _Tried(NamedTuple):
    key: Any
    stamp: bytes
    spans: dict[int, Span]  # by `reader.FIELDS`, in the line
    host: bytes


def lane_of(line: bytes, lessons: Lessons) -> Lane | None:
    """What *line* teaches of its form; None where nothing is asked of it, or where a field ends within a token of many kinds."""
    tokens, tried = sift.tokens_of(line), _tried(line, lessons)
    if tokens is None or tried is None or (at := line.find(tried.stamp, 0, _MOST_AHEAD)) < 0:
        return None
    wanted = [(at, at + len(tried.stamp)), *(tried.spans.get(SLOT[n]) for n in sift.FIELDS[1:])]
    fields = [sift.NO_FIELD if span is None else _field(span, tokens, line) for span in wanted]
    if None in fields:
        return None
    must = [tried.spans[n] for n in lessons.matter if n in tried.spans]
    if tried.host and (start := line.find(tried.host, at + len(tried.stamp))) >= 0:
        must.append((start, start + len(tried.host)))
    if lessons.domains and (rcpt := tried.spans.get(_RCPT)) is not None:
        must.append((max(rcpt[0], line.rfind(b"@", *rcpt)), rcpt[1]))
    places: dict[int, list[Token]] = {}  # of a token and those that are the same as it
    for n, token in enumerate(tokens):
        places.setdefault(n if token.same < 0 else token.same, []).append(token)
    text = tried.spans.get(_TEXT)
    must += [(t.start, t.end) for t in tokens if t.code]
    others = {
        n: _others(line, mine, text) for n, mine in places.items() if not any(a < t.end and t.start < z for t in mine for a, z in must)
    }
    free = _free(list(others), lambda some: _same_for_others(line, tokens, {n: others[n] for n in some}, tried, lessons))
    matters = bytes(token.same < 0 and n not in free for n, token in enumerate(tokens))
    return Lane(matters, array("h", [n for field in fields if field is not None for n in field]).tobytes())


def _free(some: list[int], same: Callable[[list[int]], bool]) -> set[int]:
    """Those of *some* that do not matter: all, where they do not together, else by halves."""
    if not some or same(some):
        return set(some)
    half = len(some) // 2
    return _free(some[:half], same) | _free(some[half:], same) if half else set()


def _tried(line: bytes, lessons: Lessons) -> _Tried | None:
    head, stamp, body = lessons.reader.split(line)
    if not line.endswith(body) or (matched := lessons.reader.matched(head, body)) is None:
        return None
    plan, found = matched
    if (key := lessons.key_of(read_of(head, stamp, plan, found))) is None:
        return None
    shift = len(line) - len(body)
    spans: dict[int, Span] = {}
    for group, slot in zip(plan.groups, plan.slots, strict=True):
        if slot not in spans and found[group] and plan.constants[slot] is None:
            spans[slot] = found.start(group) + shift, found.end(group) + shift
    return _Tried(key, stamp, spans, head.host)


def _field(span: Span, tokens: Sequence[Token], line: bytes) -> tuple[int, int, int, int] | None:
    """Where a field begins and ends: behind which token, and how far behind it."""
    found: list[int] = []
    for at in span:
        inside = next((n for n, t in enumerate(tokens) if t.start < at < t.end), None)
        if inside is not None:
            if not _ONE_KIND(line, tokens[inside].start, tokens[inside].end):
                return None
            found += [sift.INSIDE + inside, at - tokens[inside].start]
            continue
        before = max((n for n, t in enumerate(tokens) if t.end <= at), default=-1)
        found += [before, at - (tokens[before].end if before >= 0 else 0)]
    return found[0], found[1], found[2], found[3]


def _same_for_others(line: bytes, tokens: Sequence[Token], others: dict[int, list[bytes]], tried: _Tried, lessons: Lessons) -> bool:
    """Whether *others* in the places of tokens, and wherever else these stand, leave what is asked of the line as it is."""
    for turn in range(max(map(len, others.values()))):
        parts, spans, at = [], dict(tried.spans), 0
        for n, token in enumerate(tokens):
            if (mine := others.get(n if token.same < 0 else token.same)) is None:
                continue
            other = mine[min(turn, len(mine) - 1)]
            parts += [line[at : token.start], other]
            at, longer = token.end, len(other) - (token.end - token.start)
            for slot, (a, z) in tried.spans.items() if longer else ():
                spans[slot] = spans[slot][0] + longer * (a >= at), spans[slot][1] + longer * (z >= at)
        again = _tried(b"".join([*parts, line[at:]]), lessons)
        if again is None or again.key != tried.key or any(again.spans.get(n) != spans.get(n) for n in lessons.asked):
            return False
    return True


def _others(line: bytes, places: Sequence[Token], text: Span | None) -> list[bytes]:
    """What else could stand in the *places* of a token."""
    old = line[places[0].start : places[0].end]
    others = [old.translate(_OTHER), *(_NUMBERS.get(len(old), ()) if old.isdigit() else ())]
    # In the text the length of a token counts too, as long ones are cut out of the shape.
    if text is not None and len(old) + 1 != sift.LONG_TOKEN and any(text[0] <= t.start < text[1] for t in places):
        others.append(old[:1] + others[0])
    return others
