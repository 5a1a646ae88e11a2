"""What is known of a range of a log, and the sum over ranges, in which order does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.batch.sources import Item
    from analyzer.batch.stamps import Years


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


SKETCH = 256


def least_of(sums: set[int]) -> list[int]:
    """As many check sums as are kept: of two logs with the same lines, the same ones."""
    return sorted(sums)[:SKETCH]


def doubles(tally: Tally, sizes: Sequence[int]) -> dict[int, int]:
    """Sources whose failing lines all stand in another, larger one too (mail.log and syslog): which one."""
    found: dict[int, int] = {}
    for one in sorted(tally.sketch, key=lambda s: (sizes[s], s)):
        for other in sorted(tally.sketch, key=lambda s: (-sizes[s], s)):
            if other == one or other in found or (sizes[other], other) < (sizes[one], one):
                continue
            theirs = tally.sketch[other]
            mine = [c for c in tally.sketch[one] if len(theirs) < SKETCH or c <= theirs[-1]]
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


def put(of: dict[bytes, float], more: dict[bytes, float]) -> None:
    """*more* into *of*, with the earlier times of what both hold."""
    if of.keys().isdisjoint(more):
        of |= more
        return
    for name, when in more.items():
        if of.get(name, when) >= when:
            of[name] = when


def add_group(mine: Group, group: Group) -> None:
    """*group* added to *mine*."""
    mine.count += group.count
    mine.first = min((t for t in (mine.first, group.first) if t is not None), default=None)
    mine.last = max((t for t in (mine.last, group.last) if t is not None), default=None)
    for hour, count in group.hours.items():
        mine.hours[hour] = mine.hours.get(hour, 0) + count
    put(mine.of, group.of)
    mine.senders |= group.senders
    mine.clients |= group.clients
    if mine.sample is None or (group.sample is not None and group.sample[:3] < mine.sample[:3]):
        mine.sample, mine.example = group.sample, group.example
