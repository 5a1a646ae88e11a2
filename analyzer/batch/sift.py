"""The hot loops of a batch in C, from sift.c; where that was not compiled, everything is done in Python, with the same result."""

from __future__ import annotations

import ctypes
import os
from array import array
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, string_at
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from analyzer.batch.deliveries import ahead, behind, between, beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from analyzer.batch.deliveries import Way
    from analyzer.batch.gather import Search
    from analyzer.batch.net import Hits, Net
    from analyzer.batch.tally import Sent

SOURCE = os.path.join(os.path.dirname(__file__), "sift.c")
LIBRARY = os.path.join(os.path.dirname(__file__), "sift.native")
_LEAST = 3  # bytes of a text
_MOST = (1 << 31) - 1  # bytes of a block
MOST_LENGTH = 255  # of what is given behind its length, a byte
_WAYS: tuple[Way | None, ...] = (None, behind, between, ahead, beyond)
_NO_ANCHOR, _NAME_BEHIND = 255, 254
SHORT_ID = 8  # bytes of OpenSMTPD's message ids
LONG_TOKEN = 8
_SEED = int.from_bytes(os.urandom(8), "little")


class _List(Structure):
    _fields_ = (("at", c_void_p), ("used", c_size_t), ("room", c_size_t))

    def bytes(self) -> bytes:
        return string_at(self.at, self.used * 4) if self.used else b""


class _Bytes(_List):
    def lines(self) -> list[bytes]:
        return string_at(self.at, self.used - 1).split(b"\n") if self.used else []


class _Sum(Structure):
    _fields_ = (
        *((name, _Bytes) for name in ("host", "names", "senders", "clients", "sample")),
        ("times", c_void_p),
        *((name, c_int64) for name in ("first", "last", "at")),
        *((name, c_uint64) for name in ("count", "offset")),
        ("hours", c_void_p),
        *((name, c_uint32) for name in ("time_room", "hour_count", "hour_room", "named")),
        ("tells", c_int),
    )


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "names_new": (c_void_p, (c_uint32, c_uint32, c_char_p, c_uint64)),
    "sieve_new": (c_void_p, (c_uint32, c_char_p, c_char_p, c_char_p, c_char_p, c_char_p, c_char_p, c_int, c_uint64)),
    "sieve_free": (None, (c_void_p,)),
    "sieve_sift": (c_int, (c_void_p, c_char_p, c_uint32, c_char_p, c_uint32, c_int, c_char_p, c_uint32)),
    "sieve_unclear": (None, (c_void_p, c_uint32)),
    "sieve_read_unclear": (c_int, (c_void_p,)),
    "sieve_list": (POINTER(_List), (c_void_p, c_int)),
    "sieve_arrivals": (c_uint64, (c_void_p,)),
    "sieve_unclears": (c_uint32, (c_void_p,)),
    "sieve_keys": (c_uint32, (c_void_p,)),
    "sieve_key": (c_void_p, (c_void_p, c_uint32, POINTER(c_size_t))),
    "sieve_counts": (c_void_p, (c_void_p,)),
    "sieve_forget_counts": (None, (c_void_p,)),
    "anchors_new": (c_void_p, (c_uint32, c_uint32, c_char_p, c_char_p, c_char_p, c_void_p, c_void_p, c_uint64)),
    "anchors_free": (None, (c_void_p,)),
    "anchors_find": (c_int, (c_void_p, c_char_p, c_uint32)),
    "anchors_list": (POINTER(_List), (c_void_p, c_int)),
    "lanes_new": (c_void_p, (c_char_p, c_uint32, c_uint32, c_uint64)),
    "lanes_free": (None, (c_void_p,)),
    "lane_tokens": (c_int, (c_char_p, c_uint32, c_void_p)),
    "lanes_learn": (None, (c_void_p, c_uint32, c_uint32, c_char_p, c_char_p)),
    "lanes_take": (c_int, (c_void_p, c_char_p, c_uint32, c_char_p, c_uint32)),
    "lanes_list": (POINTER(_List), (c_void_p, c_int)),
    "lanes_forms": (c_uint32, (c_void_p,)),
    "lanes_keys": (c_uint32, (c_void_p,)),
    "lanes_form": (c_void_p, (c_void_p, c_uint32, POINTER(c_size_t))),
    "lanes_stamps": (c_uint32, (c_void_p,)),
    "lanes_stamp": (c_void_p, (c_void_p, c_uint32, POINTER(c_size_t))),
    "lanes_sum": (c_int32, (c_void_p, c_char_p, c_uint32, c_int)),
    "lanes_add": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_char_p, c_uint64, c_uint32)),
    "lanes_summed": (POINTER(_Sum), (c_void_p, c_uint32)),
    "lanes_forget": (None, (c_void_p, c_uint32)),
    "lanes_seek": (c_int, (c_void_p, c_char_p, c_char_p, c_uint32)),
    "lanes_forget_told": (None, (c_void_p,)),
    "lanes_pick": (c_int, (c_void_p, c_char_p, c_void_p)),
    "few_helps": (c_int, ()),
    "few_find": (c_int64, (c_char_p, c_uint32, c_int64, c_char_p, c_char_p, c_uint32)),
    "crc_of": (c_uint32, (c_char_p, c_size_t)),
    "other_head": (c_int64, (c_char_p, c_uint32, c_uint32, c_uint32, c_uint32, c_uint32, c_char_p, c_uint32)),
    "strange_lines": (None, (c_char_p, c_uint32, c_char_p, c_uint32, c_void_p, c_void_p, c_uint32, c_void_p)),
    "sift_stamp": (c_uint32, ()),
    "count_lines": (c_uint32, (c_char_p, c_uint32)),
}


def _load() -> Any:
    try:
        library = ctypes.CDLL(LIBRARY)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        with open(SOURCE, "rb") as source:
            current = library.sift_stamp() == crc32(source.read())
    except (OSError, AttributeError):  # not compiled here, or from another source
        return None
    return library if current else None


_C = _load()


def compiled() -> bool:
    """Whether there is the compiled library."""
    return _C is not None


def count_lines(block: bytes) -> int:
    """The ends of lines in *block*."""
    return block.count(b"\n") if _C is None or len(block) > _MOST else int(_C.count_lines(block, len(block)))


class _Owned:
    """What the library made, until it is no longer needed."""

    def __init__(self, state: int | None, free: Callable[[int], None]) -> None:
        if not state:
            raise MemoryError
        self._state, self._free = state, free

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._free(self._state)


class Sifted(NamedTuple):
    """The lines of a block, by where they begin: those to *read*; *weak* ones, which may be; *infos*: from where to where a text of
    role INFO stands; *arrivals*: in lines that need not be read; *fresh*: deliveries of a kind not seen before, and where one is;
    *framed*: deliveries that are not cut here, as `Hits`, and where their lines begin.
    """

    read: list[int]
    weak: list[int]
    infos: list[tuple[int, int]]
    arrivals: int
    fresh: dict[int, int]
    framed: tuple[Hits, list[int]]


class Sieve(_Owned):
    """Sorts lines by the texts of a net that stand in them, and counts deliveries by what `Way` cuts out; for one range."""

    def __init__(self, state: int) -> None:
        super().__init__(state, _C.sieve_free)
        self.told: list[Sent | None] = []  # what the deliveries of a key say

    def sift(self, block: bytes, extra: Sequence[int], host: bytes | None) -> Sifted:
        """The lines of *block*; those of *extra* are read anyway; *host*: that of all lines, where it is known.

        What *fresh* deliveries say is to be put into *told*, and after that `unclear` to be asked.
        """
        more = array("I", extra).tobytes()
        if not _C.sieve_sift(self._state, block, len(block), more, len(extra), _host_stands(block, host), host or b"", len(host or b"")):
            raise MemoryError
        read, weak, infos = (self._list(n) for n in range(3))
        fresh: dict[int, int] = {}
        if _C.sieve_keys(self._state) > len(self.told):
            sent = self._list(3)
            # Of each the last one, as in `Counter_.alike`.
            fresh = {key: begin for begin, key in zip(sent[::3], sent[1::3], strict=True) if key >= len(self.told)}
        framed = self._list(4)
        hits = list(zip(framed[::4], framed[1::4], framed[2::4], strict=True))
        arrivals = _C.sieve_arrivals(self._state)
        return Sifted(read, weak, list(zip(infos[::2], infos[1::2], strict=True)), arrivals, fresh, (hits, framed[3::4]))

    def key(self, number: int) -> tuple[Way, bytes, bytes]:
        """How the deliveries of a key were cut out; their host; what was cut out."""
        length = c_size_t()
        at = _C.sieve_key(self._state, number, byref(length))
        key = string_at(at, length.value)
        host, _, raw = key[1:].partition(b"\n")
        way = _WAYS[key[0]]
        assert way is not None
        return way, host, raw

    def learn(self, number: int, told: Sent | None) -> None:
        """What the deliveries of the next key say."""
        assert number == len(self.told)
        self.told.append(told)
        if told is None:
            _C.sieve_unclear(self._state, number)

    def unclear(self) -> tuple[list[int], int]:
        """The deliveries of which it is not known what they say, to be read, and the arrivals that stand in the same lines."""
        if not _C.sieve_unclears(self._state):
            return [], 0
        before, arrivals = _C.sieve_list(self._state, 0)[0].used, _C.sieve_arrivals(self._state)
        if not _C.sieve_read_unclear(self._state):
            raise MemoryError
        return self._list(0)[before:], arrivals - _C.sieve_arrivals(self._state)

    def counted(self) -> Iterator[tuple[Sent, int]]:
        """What deliveries say and how many say it, since this was last asked."""
        counts = _numbers(string_at(_C.sieve_counts(self._state), len(self.told) * 4)) if self.told else []
        _C.sieve_forget_counts(self._state)
        for told, count in zip(self.told, counts, strict=True):
            if told is not None and count:
                yield told, count

    def _list(self, which: int) -> list[int]:
        return _numbers(_C.sieve_list(self._state, which)[0].bytes())


def sieve_of(net: Net) -> Sieve | None:
    """A sieve for the texts of *net*, where there is one that does what `Counter_.hits` does."""
    if _C is None or net.needles.every or net.doubtful:
        return None
    which = [n for n in range(net.weak) if net.texts[n] != b"\n"]
    texts = [net.texts[n] for n in which]
    if any(len(t) < _LEAST or b"\n" in t for t in texts):
        return None
    roles = bytes([_role(net, n) for n in which])
    groups = bytes([0 if n < net.first else 1 if n < net.fails else 2 for n in which])
    ways = bytes([_way(net, n) for n in which])
    behind_id = bytes([n in net.behind_id for n in which])
    state = _C.sieve_new(len(texts), b"".join(texts), _lengths(texts), groups, roles, ways, behind_id, net.by_line, _SEED)
    return Sieve(state) if state else None


def _role(net: Net, n: int) -> int:
    if n >= net.fails:
        return ord("w")
    return net.letters[n] if n < net.first else ord("F")


def _way(net: Net, n: int) -> int:
    way = net.ways[n - net.arrived] if net.arrived <= n < net.sent else None
    return _WAYS.index(way) if way in _WAYS else 0


MOST_FEW = 8


class Few:
    """Where few texts stand: of each the two bytes are looked for that are rarest in a sample."""

    def __init__(self, texts: Sequence[bytes], sample: bytes) -> None:
        often = {byte: sample.count(byte) for byte in set(b"".join(texts))}
        numbers = array("I")
        for text in texts:
            rarest = sorted(range(len(text)), key=lambda n, text=text: (often[text[n]], n))  # type: ignore[misc]
            numbers.extend((len(text), *rarest[:2]))
        self._lengths = numbers[::3].tolist()
        self._arguments = b"".join(texts), numbers.tobytes(), len(texts)

    def find(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """Which one, and from where to where, in the order of places; they may overlap."""
        at = -1
        while (at := _C.few_find(block, len(block), at + 1, *self._arguments)) >= 0:
            begin, number = divmod(at, MOST_FEW)
            yield number, begin, begin + self._lengths[number]


def few(texts: Sequence[bytes], sample: bytes) -> Few | None:
    """A search for *texts*, where they are few enough for that to be the fastest; *sample*: of what will be searched."""
    helps = _C is not None and 0 < len(texts) <= MOST_FEW and min(map(len, texts)) > 1 and _C.few_helps()
    return Few(texts, sample) if helps else None


class Anchored(_Owned):
    """Where texts stand, anchors but where one of some queue ids stands before them."""

    def __init__(self, state: int) -> None:
        super().__init__(state, _C.anchors_free)

    def find(self, block: bytes) -> None:
        """Search *block*; what was found is to be asked for before the next one."""
        if not _C.anchors_find(self._state, block, len(block)):
            raise MemoryError

    def lines(self) -> bytes:
        """Where the lines begin in which a text stands that is no id, as packed numbers."""
        return _C.anchors_list(self._state, 1)[0].bytes()  # type: ignore[no-any-return]

    def rows(self, *, ids: bool = False) -> list[tuple[int, int, int, int]]:
        """Which text, from where to where, and where its line begins; of *ids* alone, or of all texts, ids last where they are many."""
        found = _numbers(_C.anchors_list(self._state, 2 if ids else 0)[0].bytes())
        return list(zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True))


def anchored(search: Search, names: frozenset[bytes], tails: frozenset[bytes], width: int) -> Anchored | None:
    """What does the same as `Search.rows`."""
    texts = search.texts
    if _C is None or not texts or any(len(t) < _LEAST for t in texts) or max(search.gaps, default=0) >= _NAME_BEHIND:
        return None
    gaps = bytes([*search.gaps, *(_NAME_BEHIND if search.marks[n] == b"" else _NO_ANCHOR for n in range(search.anchors, len(texts)))])
    if b"" in search.marks[: search.anchors]:
        return None
    short = [n for n in names if len(n) == SHORT_ID]
    before = _C.names_new(len(tails), width, b"".join(tails), _SEED)
    behind_them = _C.names_new(len(short), SHORT_ID, b"".join(short), _SEED)
    state = _C.anchors_new(len(texts), search.ids, b"".join(texts), _lengths(texts), gaps, before, behind_them, _SEED)
    return Anchored(state) if state else None


class Token(NamedTuple):
    """Where a token of a line stands, as which one before it is (-1: as none), and whether it is a code, which matters whatever is learnt."""

    start: int
    end: int
    same: int
    code: bool


def tokens_of(line: bytes) -> list[Token] | None:
    """What differs among lines that are alike: words that have a digit, names with dots, what stands before and behind an @.

    None where the line is too long.
    """
    found = array("I", bytes(4 * 4 * MOST_TOKENS))
    count = _C.lane_tokens(line, len(line), found.buffer_info()[0])
    if count < 0:
        return None
    return [Token(found[n], found[n + 1], found[n + 2] - 1, bool(found[n + 3])) for n in range(0, 4 * count, 4)]


MOST_TOKENS = 100
INSIDE, NO_FIELD = 1_000, (-2, 0, 0, 0)
FIELDS = ("stamp", "queue_id", "rcpt_to", "mail_from", "client_ip")  # that are cut out of lines
_FIELD = 5
ROW = _FIELD + 2 * len(FIELDS)  # numbers
NEVER = (1 << 63) - 1
_MOST_KEYS = 50_000
_ROWS, _LEFT, _FRESH, _OTHERS, _FOUND, _CHECKS = range(6)


class Row(NamedTuple):
    """A line, from *begin* to *end*; *alike*: number of what those that are alike tell; *fields*: `FIELDS`, empty where it has none."""

    begin: int
    end: int
    alike: int
    fields: tuple[bytes, ...]


class Summed(NamedTuple):
    """What lines add up to.  *names*: host, queue id and recipient of each, apart by blanks, and their *times*; *sample*: the earliest
    line, its time, where it stands and which name is its.
    """

    names: list[bytes]
    times: array[int]
    first: int
    last: int
    hours: array[int]  # number of an hour and lines of it, by turns
    senders: list[bytes]
    clients: list[bytes]  # of lines without a queue id
    sample: tuple[int, int, bytes, int]


class Lanes(_Owned):
    """Sorts lines by their form, those of forms that were learnt by what matters in them, and adds these up."""

    def __init__(self, no_ids: Collection[bytes] = ()) -> None:
        packed = behind_lengths(no_ids)
        assert packed is not None
        super().__init__(_C.lanes_new(packed, len(packed), len(no_ids), _SEED), _C.lanes_free)
        self._block = b""
        self._of, self._times = array("i"), array("q")  # the sum of each number; the time of each stamp

    def take(self, block: bytes, begins: bytes) -> tuple[list[Row], list[tuple[int, int, int]]]:
        """The lines that begin at *begins*, packed numbers: those of forms that were learnt are kept as rows.

        The rows of a number that is new, one of each in the order of numbers, for which `tells` is to be called; and begin, end, and
        form + 1 of lines of other forms, 0 where a line has none.
        """
        self._block = block
        if not _C.lanes_take(self._state, block, len(block), begins, len(begins) // 4):
            raise MemoryError
        left = self._list(_LEFT)
        return [self._row(n) for n in self._list(_FRESH)], list(zip(left[::3], left[1::3], left[2::3], strict=True))

    def rows(self) -> list[Row]:
        """All rows."""
        return [self._row(n) for n in range(_C.lanes_list(self._state, _ROWS)[0].used // ROW)]

    def _row(self, number: int) -> Row:
        at = _C.lanes_list(self._state, _ROWS)[0].at + 4 * ROW * number
        row, block = _numbers(string_at(at, 4 * ROW)), self._block
        return Row(row[0], row[1], row[2], tuple([block[a:z] for a, z in zip(row[_FIELD::2], row[_FIELD + 1 :: 2], strict=True)]))

    def full(self) -> bool:
        """Whether it is time to begin anew."""
        return any(size(self._state) > _MOST_KEYS for size in (_C.lanes_forms, _C.lanes_keys, _C.lanes_stamps))

    def form(self, number: int) -> bytes:
        """A form."""
        length = c_size_t()
        at = _C.lanes_form(self._state, number, byref(length))
        return string_at(at, length.value)

    def learn(self, number: int, matters: bytes, fields: bytes) -> None:
        """Of the form: whether each token matters, and where each field begins and ends, as shorts: behind which token, and how far.

        -1 is the line's begin, *INSIDE* + n the begin of the token n.  `NO_FIELD` where there is none.
        """
        _C.lanes_learn(self._state, number, len(matters), matters, fields)

    def sum(self, host: bytes, tells: int = 0) -> int:
        """The number of a new sum, of lines of *host*; *tells*: 1 the sender of messages, 2 their deliveries."""
        number = int(_C.lanes_sum(self._state, host, len(host), tells))
        if number < 0:
            raise MemoryError
        return number

    def tells(self, sum_: int) -> None:
        """Into which sum the lines of the next number go; -1: each must be read."""
        self._of.append(sum_)

    def add(self, offset: int, place: Callable[[int], int] | None, seconds: Callable[[bytes], int | None], most: int) -> int:
        """Add up the rows, and how many they were; `others` must be read.

        *offset*: where the block stands, or *place*: where a line does; *seconds*: the time of a stamp; *most*: of check sums that are
        wanted.
        """
        assert len(self._of) == _C.lanes_keys(self._state)
        length = c_size_t()
        for number in range(len(self._times), _C.lanes_stamps(self._state)):
            at = _C.lanes_stamp(self._state, number, byref(length))
            time = seconds(string_at(at, length.value))
            self._times.append(NEVER if time is None else time)
        places = None if place is None else array("Q", map(place, self._list(_ROWS)[::ROW])).tobytes()
        if not _C.lanes_add(self._state, self._block, _address(self._of), _address(self._times), places, offset, min(most, (1 << 32) - 1)):
            raise MemoryError
        return int(_C.lanes_list(self._state, _ROWS)[0].used // ROW - _C.lanes_list(self._state, _OTHERS)[0].used // 2)

    def others(self) -> list[tuple[int, int]]:
        """Where rows begin and end that are not added up."""
        others = self._list(_OTHERS)
        return list(zip(others[::2], others[1::2], strict=True))

    def checks(self) -> list[int]:
        """The check sums of lines that were added last."""
        return self._list(_CHECKS)

    def summed(self, number: int) -> Summed | None:
        """What lines added up to since this was last asked; None where there was none."""
        found = _C.lanes_summed(self._state, number)[0]
        if not found.count:
            return None
        sample = found.at, found.offset, string_at(found.sample.at, found.sample.used - 1), found.named
        summed = Summed(
            found.names.lines(),
            array("q", string_at(found.times, 8 * found.count)),
            found.first,
            found.last,
            array("q", string_at(found.hours, 16 * found.hour_count) if found.hour_count else b""),
            found.senders.lines(),
            found.clients.lines(),
            sample,
        )
        _C.lanes_forget(self._state, number)
        return summed

    def seek(self, ids: Sequence[bytes]) -> None:
        """Messages that are looked for: host, a blank and queue id of each."""
        if not _C.lanes_seek(self._state, b"".join(ids), _lengths(ids), len(ids)):
            raise MemoryError

    def forget_told(self) -> None:
        """That senders were told."""
        _C.lanes_forget_told(self._state)

    def pick(self) -> list[tuple[int, int, int, int, int]]:
        """Of rows that tell of messages that are looked for: which message, what is told, from where to where the sender or the recipient
        stands, and where the line begins.  `others` must be read.  The sender of a message is told once.
        """
        assert len(self._of) == _C.lanes_keys(self._state)
        if not _C.lanes_pick(self._state, self._block, _address(self._of)):
            raise MemoryError
        found = self._list(_FOUND)
        return list(zip(*(found[n::5] for n in range(5)), strict=True))

    def _list(self, which: int) -> list[int]:
        return _numbers(_C.lanes_list(self._state, which)[0].bytes())


class Heads:
    """Where the first line stands that begins otherwise than with *heads* at *place*, or whose first byte is not of *first* (two bytes)."""

    def __init__(self, heads: Collection[bytes], place: int, first: bytes) -> None:
        packed = behind_lengths(heads)
        assert packed is not None
        self._arguments = place, first[0], first[1], packed, len(heads)

    def search(self, block: bytes, at: int) -> int:
        """Where it begins, from *at*; -1 where there is none."""
        return int(_C.other_head(block, len(block), at, *self._arguments))


class Strange(NamedTuple):
    """Lines, by where they begin, of which it is not known what they are: those that are surely Exim's *own*, and *others*."""

    own: list[int]
    others: list[int]


def strange_lines(block: bytes, known: bytes, count: int) -> Strange:
    """The lines of *block* that have not at once, behind a message's id of Exim, one of *known*: *count* texts, each behind its length."""
    room = 1024
    while True:
        own, others, counts = array("I", bytes(4 * room)), array("I", bytes(4 * room)), array("I", bytes(8))
        _C.strange_lines(block, len(block), known, count, _address(own), _address(others), room, _address(counts))
        if max(counts) <= room:
            return Strange(own[: counts[0]].tolist(), others[: counts[1]].tolist())
        room = max(counts)


def behind_lengths(texts: Collection[bytes]) -> bytes | None:
    """*texts*, each behind its length; None where one is too long for that."""
    return None if any(len(t) > MOST_LENGTH for t in texts) else b"".join(bytes([len(t)]) + t for t in texts)


def _host_stands(block: bytes, host: bytes | None) -> int:
    if host is not None:
        return 0
    if block[:1].isalpha():
        return 1
    return 2 if block[10:11] == b"T" else 3


def _address(of: array[int]) -> int:
    return of.buffer_info()[0]


def _lengths(texts: Sequence[bytes]) -> bytes:
    return array("I", map(len, texts)).tobytes()


def _numbers(of: bytes) -> list[int]:
    return memoryview(of).cast("I").tolist()
