"""What blocks are searched for: the texts of the formats of which a range has lines, and the names of other formats' programs."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from analyzer.batch import sift
from analyzer.batch.deliveries import line_from, way_of
from analyzer.batch.heads import linear, other_than
from analyzer.batch.needles import ARRIVED, FAIL, INFO, OWN_STAMPS, QUIET, SENT, WEAK, Part, has_own_line, has_own_stamp, merged
from analyzer.batch.sift import Strange
from analyzer.expressions import compiled, re

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from analyzer.batch.scan import Knowledge

    Search = tuple[list[int], Callable[[bytes], "Hits"]]  # which texts, and the search for them

_MOST_FAST = 56  # patterns; with more than 60, its own four included, the search leaves its fast path
_CHUNK = 48
_FEW = 600  # bytes of a block to a line: with more lines than that, it is searched as a whole
Hits = list[tuple[int, int, int]]  # which text, and from where to where


class Finder:
    """Where texts occur, or *which* of them: Aho-Corasick where installed, one alternation else.

    The two may differ where texts overlap, never in which lines hold one.
    """

    def __init__(self, texts: tuple[bytes, ...], which: Sequence[int] | None = None, *, automaton: bool = True) -> None:
        self._texts, self._which, self._automaton = texts, list(range(len(texts)) if which is None else which), automaton

    @cached_property
    def _searches(self) -> list[Search]:
        """Made when first asked for, as that takes its time and what is compiled needs none of them."""
        return _searches(self._which, self._texts, automaton=self._automaton)

    def find(self, block: bytes) -> Hits:
        """What is found, in the order of places."""
        return _found(self._searches, block)


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
    within = Within({texts[i] for i in which})
    for i in which:
        root = min([texts[i], *within.of(texts[i])], key=lambda t: (len(t), t))
        families.setdefault(root, []).append(i)
    most = -(-len(which) // -(-len(which) // _CHUNK))
    parts: list[list[int]] = [[]]
    for root in sorted(families):
        if parts[-1] and len(parts[-1]) + len(families[root]) > most:
            parts.append([])
        parts[-1] += families[root]
    return parts


class Within:
    """Which of *texts* others of them hold."""

    def __init__(self, texts: Collection[bytes]) -> None:
        self._texts = texts
        self._lengths = sorted({len(t) for t in texts})

    def of(self, text: bytes) -> set[bytes]:
        """Those that *text* holds, itself left out."""
        parts = {text[at : at + n] for n in self._lengths if n < len(text) for at in range(len(text) - n + 1)}
        return parts.intersection(self._texts)


def _automaton(aho: Any, which: list[int], texts: tuple[bytes, ...]) -> Search:
    # Its fast path wants more than three different first bytes.
    padded = [*(texts[i] for i in which), *(b"%cmailwhy\x00" % i for i in range(1, 5))]
    return [*which, *[len(texts)] * 4], aho.BytesAhoCorasick(padded, matchkind=aho.MATCHKIND_LEFTMOST_LONGEST).find_matches_as_indexes


# What a text tells of its line, as letters: a line's end, then what `Needles` says of roles.
_END, _INFO, ARRIVED_LETTER, _SENT, _FAIL, _WEAK, _QUIET = b"NIASFWQ"
_LETTERS = {INFO: _INFO, ARRIVED: ARRIVED_LETTER, SENT: _SENT, FAIL: _FAIL, WEAK: _WEAK, QUIET: _QUIET}
NOT_TOLD = frozenset({_END, _QUIET})  # of these alone a line says nothing
# Runs of lines that need not be read, and after them one that must; the letters are those of what was found, in order.
_LINES = re.compile(rb"(?>(?:N[IW]*+(?:Q[IWQ]*+(?>(?:[AS][IWQ]*+)?)|[AS][IWQ]*+)(?![FSA])|NI*+(?!I|[^N]))*)(?>(N[^N]*+)?)").finditer


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
        self.info = len(busy[0])
        self.arrived = self.info + len(busy[1])
        self.sent = self.arrived + len(busy[2])
        self.first = len(first)
        self.fails = self.first + len(rest)
        self.weak = self.fails + len(weak)
        self.healthy = Finder(self.texts, range(self.first), automaton=automaton)
        self.failing = Finder(self.texts, range(self.first, self.fails), automaton=automaton)
        self.names = Finder(self.texts, range(self.fails, len(self.texts)), automaton=automaton)
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
        self._unknown = compiled(_NO_KNOWN.replace(b"%b", b"|".join(map(re.escape, known)))) if known else None
        self._known = (sift.behind_lengths(known), len(known)) if automaton and known and sift.compiled() else (None, 0)
        self._ways = other_than([b" " + t for t in known]) if known else None
        self._forms: dict[bytes, Any] = {}

    def unknown(self, block: bytes) -> list[int]:
        """What `Awake.look` finds, where all lines of *block* are known to be of this net's formats."""
        return [] if (strange := self.not_known(block)) is None else with_own_stamp(block, strange)

    def not_known(self, block: bytes) -> Strange | None:
        """The lines of *block* without a format's own stamp and something known that says what they are.

        None where no such format is searched for.  Lines without any words may be left out.
        """
        if self._unknown is None:
            return None
        if (known := self._known[0]) is not None:
            match, strange = self._unknown.match, sift.strange_lines(block, known, self._known[1])
            others = [b for b in strange.others if (match(block, b - 1) if b else match(b"\n" + line_from(block, 0)))]
            return Strange(strange.own, others)
        return Strange([], [b + 1 for b in self._slowly(block)])

    def _slowly(self, block: bytes) -> list[int]:
        """Before which lines they are."""
        assert self._unknown is not None
        first = [-1] if self._unknown.match(b"\n" + line_from(block, 0)) else []
        form = next((f for f in _FORMS if f.match(block)), None)
        if form is None or self._ways is None:
            return first + [m.start() for m in self._unknown.finditer(block)]
        if form.pattern not in self._forms:
            stamp, ident = _FORMS[form]
            self._forms[form.pattern] = linear(_UNUSUAL % (stamp - 1, stamp, ident - 1, ident, self._ways))
        search, match, at, left = self._forms[form.pattern].search, self._unknown.match, 0, len(block) // _FEW
        while found := search(block, at):
            at = found.start() + 1
            if match(block, at - 1):
                first.append(at - 1)
            if (left := left - 1) < 0:  # another look for each line is dearer than one for all
                return first + [m.start() for m in self._unknown.finditer(block, at)]
        return first


def with_own_stamp(block: bytes, strange: Strange) -> list[int]:
    """Those of the lines that have a format's own stamp."""
    others = [b for b in strange.others if has_own_stamp(block, b)]
    return sorted(strange.own + others) if others else strange.own


# Exim's stamp and message id, of 16 or 23 characters.
_NO_KNOWN = (
    rb"\n(?!\Z|20[^\n]{31}-[^\n]{2} (?:%b)|20[^\n]{36}-[^\n]{4} (?:%b)|"
    rb"(?:[A-Za-z0-9_.-]{1,60} *\| |\S{1,40} std(?:out|err) [FP] )?20[^\n]{17,50}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} (?:%b))"
)
# The two forms, with the lengths before the last dash and behind it.
_FORMS = {re.compile(rb"20[^\n]{31}-[^\n]{2} "): (31, 2), re.compile(rb"20[^\n]{36}-[^\n]{4} "): (36, 4)}
_UNUSUAL = rb"\n(?:[^2\n]|2[^0]|20(?:[^\n]{0,%d}\n|[^\n]{%d}(?:[^-]|-(?:[^\n]{0,%d}\n|[^\n]{%d}%b))))"


# What wakes which formats, those that wake by their own stamp, the search, and which of the former it finds anyway.
Asleep = tuple[dict[bytes, tuple[bytes, set[int]]], set[int], Net, list[bytes]]


class Awake:
    """Which formats a range is searched for: those of which a program's name, or their own stamp, was seen in it."""

    def __init__(self, knowledge: Knowledge, *, automaton: bool) -> None:
        self.k, self.automaton = knowledge, automaton
        self.on: frozenset[int] = frozenset()
        self.dated = False  # the lines begin with a date; which of them have a format's own stamp must be looked at
        self._sleepers()

    def _sleepers(self) -> None:
        key = self.on, self.dated, self.automaton
        if key not in self.k.asleep:
            self.k.asleep[key] = self._asleep()
        self.of, self.own, self.net, self.shared = self.k.asleep[key]

    def _asleep(self) -> Asleep:
        of: dict[bytes, tuple[bytes, set[int]]] = {b'\n{"': (b"", set(range(len(self.k.parts))) - self.on)}
        for i, part in enumerate(self.k.parts):
            for text, behind in part.wakes.items() if i not in self.on else ():
                old, formats = of.get(text, (behind, set()))
                of[text] = old and behind and old + behind, {*formats, i}
        within = Within(of.keys())
        for text, (behind, formats) in of.items():  # the longest is found alone
            if shorter := within.of(text):
                of[text] = behind, formats.union(*(of[other][1] for other in shorter))
        own = of.pop(OWN_STAMPS[0], (b"", set()))[1] if self.dated else set()
        net = self.k.net(self.on, tuple(sorted(t for t, (_, f) in of.items() if f)), automaton=self.automaton)
        return of, own, net, [t for t in of if t in net.needles.texts]

    def look(self, block: bytes) -> tuple[Hits, list[int]]:
        """Where *block* names programs that are still asleep; and the lines with a format's own stamp of which nothing is known that
        says that they need not be read.
        """
        if not self.dated and block.startswith(b"20"):
            self.dated = True
            self._sleepers()
        while True:
            strange = self.net.not_known(block)
            names = self._names(block, None if strange is None else strange.others)
            if names is None:
                continue
            if strange is None:
                return names, []
            if not self._wake_by_lines(block, [b for b in strange.others if has_own_stamp(block, b)]):
                return names, with_own_stamp(block, strange)

    def _names(self, block: bytes, strange: list[int] | None) -> Hits | None:
        """Where *block* names programs, but for lines of which it is known what they are, or whose; None where formats were woken by
        that.
        """
        if strange is not None and len(strange) * _FEW < len(block):
            if not strange:
                return []
            lines = [line_from(block, b) for b in strange]
            part = b"\n" + b"\n".join(lines) + b"\n"
            names = self.net.names.find(part)
            if self._wake(part, names):
                return None
            begins = list(accumulate(map(len, lines), lambda at, length: at + length + 1, initial=1))
            shifts = [b - at for b, at in zip(strange, begins, strict=False)]
            return [(n, s + (d := shifts[max(0, bisect_right(begins, s) - 1)]), e + d) for n, s, e in names]
        names = self.net.names.find(block)
        return None if self._wake(block, names) else names

    def _wake(self, block: bytes, names: Hits) -> bool:
        """Wake the formats of *block*; whether some were."""
        texts, fails = self.net.texts, self.net.weak
        seen = set()
        for n, _, end in names:
            if fails <= n < len(texts) and n not in seen and (not (behind := self.of[texts[n]][0]) or block[end : end + 1] in behind):
                seen.add(n)
        woken = {i for n in seen for i in self.of[texts[n]][1]}
        for text in self.shared:
            woken |= self.of[text][1] if text in block else set()
        if self.own and has_own_line(block):
            woken |= self.own
        if block.startswith(b"{"):
            woken |= set(range(len(self.k.parts)))
        return self._woken(woken)

    def _wake_by_lines(self, block: bytes, unknown: list[int]) -> bool:
        """The same by lines with a format's own stamp: what reads those that are not surely Exim's is woken."""
        woken: set[int] = set()
        if self.k.with_stamps <= self.on:
            return False
        for begin in unknown:
            if _OF_EXIM.match(block, begin) is None:
                head, _, body = self.k.reader.split(line_from(block, begin))
                woken.update(i for i in head.formats if i not in self.on and i not in woken and self.k.reader.known(i).match(body))
        return self._woken(woken)

    def _woken(self, formats: set[int]) -> bool:
        if formats <= self.on:
            return False
        self.on |= formats
        self._sleepers()
        return True


# The stamp, and behind it a message's id or a field: no other format's line.
_OF_EXIM = re.compile(
    rb"20[0-9-]{8} [0-9:]{8}(?:\.[0-9]{1,9})?(?: [+-][0-9]{4})? (?:\[[0-9]{1,10}\] )?(?:[0-9][0-9A-Za-z]{5}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} |H=)"
)


def told_apart(hits: Hits, letters: bytes) -> Iterator[int]:
    """The lines that must be read, told by what was found in each."""
    for found in _LINES(b"N" + letters):
        if found[1]:
            at = found.start(1) - 1
            yield hits[at][1] if at >= 0 else -1
