"""Logs to a batch report: scan, gather, infer."""

from __future__ import annotations

import time as clock
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer import __version__
from analyzer.batch import sources
from analyzer.batch.engines import Dask, Interrupted, Local
from analyzer.batch.gather import Gathered, Sought, sort_stories
from analyzer.batch.incidents import attempts_of, incidents, iso, outcome, representatives, surges, traffic
from analyzer.batch.stamps import Years, day_of, infer_years
from analyzer.batch.tally import Key, Tally, Task, Wanted, doubles, settle
from analyzer.expressions import re
from analyzer.model.batch import VERSION, BatchReport, Incident, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.batch.sources import Item
    from analyzer.model.rule import RuleBook

_ROTATION = re.compile(r"(?:[.-][0-9]{1,8})?(?:\.(?:gz|bz2|xz|zst))?$")
_LEAST_RANGE, _MOST_RANGE = 8 << 20, 64 << 20  # bytes that one task reads
_ORDER = ("low", "medium", "high", "critical")


class Options(msgspec.Struct, frozen=True):
    """How to read."""

    jobs: int = 1
    block: int = 1 << 18
    zone: Any = None
    wanted: Wanted = Wanted()
    automaton: bool = True
    range: int | None = None  # bytes of a log that one task reads


def years_of(items: Sequence[Item]) -> list[Years]:
    """The year of each log's first line, from its stamps, its last change and newer rotations of the same log."""
    days: list[tuple[int | None, int | None, float]] = []
    for item in items:
        head = sources.head(item, 65536)
        first = next((d for line in head.split(b"\n") if (d := day_of(_bare(line))) is not None), None)
        last = None
        if first is not None and item.splits:
            tail = _tail(item)
            last = next((d for line in reversed(tail.split(b"\n")) if (d := day_of(_bare(line))) is not None), None)
        elif first is not None and item.mtime:
            when = clock.gmtime(item.mtime)
            last = when.tm_mon * 32 + when.tm_mday
        days.append((first, last, item.mtime))
    years = infer_years(days)
    sets: dict[str, list[int]] = {}
    for i, item in enumerate(items):
        if days[i][0] is not None:
            sets.setdefault(_ROTATION.sub("", item.name), []).append(i)
    for members in sets.values():
        # A rotation ends before the next newer one begins.
        members.sort(key=lambda i: _age(items[i].name))
        for newer, older in zip(members, members[1:], strict=False):
            mine, next_ = years[older], years[newer]
            last = mine.last_day if items[older].splits else mine.first_day
            newest = next_.first_year if last <= next_.first_day + 1 else next_.first_year - 1
            if last < mine.first_day:
                newest -= 1
            if newest < mine.first_year:
                years[older] = msgspec.structs.replace(mine, first_year=newest)
    return years


def _age(name: str) -> tuple[int, int]:
    """0 for the log itself, then its rotations from the newest: .1, .2 ... or the newest date first."""
    found = re.search(r"[.-]([0-9]{1,8})(?:\.[a-z0-9]+)?$", name)
    if not found:
        return (0, 0)
    number = int(found[1])
    return (1, -number if number > 9999 else number)


_PREFIX = re.compile(rb"<[0-9]{1,3}>|[A-Za-z0-9_.-]{1,60} *\| ")


def _bare(line: bytes) -> bytes:
    found = _PREFIX.match(line)
    return line[found.end() :] if found else line


def _tail(item: Item) -> bytes:
    found = b""
    for _, block in sources.blocks(item, max(0, item.size - 65536), None, 1 << 20, []):
        found = block
    return found


def tasks_of(items: Sequence[Item], years: Sequence[Years], options: Options) -> list[Task]:
    """The ranges to read."""
    tasks = []
    for source, item in enumerate(items):
        step = options.range or max(options.block, min(_MOST_RANGE, max(_LEAST_RANGE, -(-item.size // max(1, options.jobs * 4)))))
        starts = range(0, item.size, step) if item.splits else (0,)
        tasks += [
            Task(
                source,
                item,
                start,
                start + step if item.splits else None,
                options.block,
                years[source],
                options.zone,
                options.wanted,
                options.automaton,
            )
            for start in starts
        ]
    return tasks


def batch(
    items: Sequence[Item],
    notes: Sequence[str],
    book: RuleBook,
    options: Options,
    engine: Local | Dask,
    progress: Callable[[str, int], Callable[[int, int], None]] | None = None,
    events: Callable[[Tally, Gathered], None] | None = None,
) -> BatchReport:
    """The report on *items*.  A keyboard interrupt gives what is known, marked partial."""
    years = years_of(items)
    size = sum(i.size for i in items)
    partial = False
    gathered = Gathered()
    try:
        if options.wanted.sender is not None:
            options = _of_sender(items, years, options, engine)
        tasks = tasks_of(items, years, options)
        tally = engine.scan(tasks, progress("reading", size) if progress else None)
        if twice := doubles(tally, [i.size for i in items]):
            notes = [*notes, *(f"{items[a].name}: left out: its failures stand in {items[b].name} too" for a, b in twice.items())]
            kept = [n for n in range(len(items)) if n not in twice]
            items, years = [items[n] for n in kept], [years[n] for n in kept]
            tasks = tasks_of(items, years, options)
            tally = engine.scan(tasks, progress("reading again", sum(i.size for i in items)) if progress else None)
    except Interrupted as stop:
        tally, partial, tasks = (stop.result if isinstance(stop.result, Tally) else Tally()), True, []
    settle(tally)
    chosen, hosts = representatives(tally), {told[0] for told in tally.sent}
    if not partial:
        sought = sought_of(tally, chosen)
        try:
            if sought.ids or sought.samples:
                gathered = engine.gather(tasks, sought, progress("gathering", size) if progress else None)
        except Interrupted as stop:
            gathered, partial = stop.result, True
        gathered = sort_stories(gathered)
    judged = engine.judge(chosen, gathered, book, hosts)
    if events:
        events(tally, gathered)
    return report_of(items, years, [*notes, *tally.notes], tally, gathered, judged, book, partial=partial)


def sought_of(tally: Tally, chosen: dict[Key, Any]) -> Sought:
    """What the second reading looks for."""
    ids = frozenset(i for g in tally.groups.values() for x in g.of if (i := x[: x.rfind(b" ")])[-1:] != b" ")
    names = frozenset([i[i.rfind(b" ") + 1 :] for i in ids])
    whole = {b"%b %b" % g.example for g in chosen.values() if g.example[1]}
    samples = {g.sample[1:3] for g in tally.groups.values() if g.sample}
    before: dict[tuple[int, int], int] = {}
    source, total = -1, 0
    for at in sorted(tally.blocks):
        source, total = at[0], total if at[0] == source else 0
        before[at] = total
        total += tally.blocks[at]
    return Sought(ids, names, frozenset(whole), frozenset(samples), tally.odd, before, frozenset(tally.formats))


def _of_sender(items: Sequence[Item], years: Sequence[Years], options: Options, engine: Local | Dask) -> Options:
    """*options* with the messages of the sender asked for: failures do not name their sender."""
    from analyzer.batch.scan import same_mail

    wide = msgspec.structs.replace(options, wanted=msgspec.structs.replace(options.wanted, sender=None))
    tasks = tasks_of(items, years, wide)
    tally = engine.scan(tasks, None)
    gathered = engine.gather(tasks, sought_of(tally, {}), None)
    ids = frozenset(i for i, (_, _, s) in gathered.senders.items() if options.wanted.sender and same_mail(s, options.wanted.sender))
    return msgspec.structs.replace(options, wanted=msgspec.structs.replace(options.wanted, ids=ids))


def report_of(
    items: Sequence[Item],
    years: Sequence[Years],
    notes: Sequence[str],
    tally: Tally,
    gathered: Gathered,
    judged: dict[Key, Any],
    book: RuleBook,
    *,
    partial: bool = False,
) -> BatchReport:
    """The report on what was scanned and gathered."""
    now = max((t for _, t in tally.ends.values() if t is not None), default=None)
    found, refused, noise = incidents(tally, gathered, judged, [i.name for i in items], now)
    totals = totals_of(tally, found)
    hours: dict[int, int] = {}
    for group in tally.groups.values():
        for hour, count in group.hours.items():
            hours[hour] = hours.get(hour, 0) + count
    recognised = totals["failures"] + totals["received"] + totals["delivered"]
    verdict = "incidents" if found else "healthy" if recognised else "unrecognised"
    attempts = attempts_of(tally)
    return BatchReport(
        VERSION,
        verdict,
        headline(verdict, totals, found, noise),
        totals,
        tuple(found),
        tuple(noise),
        (),
        {str(iso(h * 3600)): n for h, n in sorted(hours.items())},
        traffic(attempts, 0, 1_000),
        traffic(attempts, 1, 100),
        tuple(
            Source(i.name, i.size, i.packed, y.first_year if y.assumed else None, iso(tally.ends.get(s, (0, None))[1]))
            for s, (i, y) in enumerate(zip(items, years, strict=True))
        ),
        tuple(sorted(set(notes))),
        surges(tally.users),
        partial,
        tuple(refused),
        book.version,
        __version__,
    )


def totals_of(tally: Tally, found: Sequence[Incident]) -> dict[str, int]:
    """Counts of events by what they are."""
    totals = {
        "lines": tally.lines,
        "bytes": tally.bytes,
        "received": tally.counts.get("received", 0),
        "delivered": sum(tally.sent.values()),
        "onward": sum(n for told, n in tally.sent.items() if told[3]),
        "deferred": 0,
        "bounced": 0,
        "expired": len(tally.expired),
        "rejected": 0,
        "other": 0,
        "failures": 0,
    }
    for key, group in tally.groups.items():
        totals[outcome(key)] += group.count
        totals["failures"] += group.count
    totals["lost"] = sum(i.lost for i in found)
    totals["waiting"] = sum(i.waiting for i in found)
    totals["delayed"] = sum(i.delayed for i in found)
    return totals


def headline(verdict: str, totals: dict[str, int], found: Sequence[Incident], noise: Sequence[Incident]) -> str:
    """The report in a sentence."""
    if verdict == "unrecognised":
        return "Nothing in these logs is in a format that mailwhy knows."
    if verdict == "healthy":
        aside = f"; {sum(n.events for n in noise):,} events are strangers' noise" if noise else ""
        turned = f"; {totals['rejected']:,} were refused here" if totals["rejected"] else ""
        return f"No incidents: {totals['delivered']:,} deliveries{turned}{aside}."
    tried = totals["delivered"] + totals["deferred"] + totals["bounced"]
    failed = totals["deferred"] + totals["bounced"]
    by_cause = Counter[str]()
    for i in found:
        by_cause[i.fault] += i.events
    events = sum(by_cause.values())
    counts = [count for _, count in by_cause.most_common(3)]
    top = next((n for n in range(1, len(counts) + 1) if sum(counts[:n]) >= 0.9 * events), len(counts))
    share = sum(counts[:top])
    causes = f"{top} cause{'s' * (top != 1)} make{'s' * (top == 1)} up {100 * share // max(1, events)} %"
    return f"{failed:,} of {tried:,} delivery attempts failed or waited; {totals['rejected']:,} were refused here; {causes}."


def compared(report: BatchReport, baseline: dict[str, Any]) -> BatchReport:
    """*report* with each incident's state against an older report as JSON."""
    old = {i["id"]: i for i in baseline.get("incidents", ()) if isinstance(i, dict) and "id" in i}
    rate_old = max(1, int(baseline.get("totals", {}).get("lines", 0)))
    rate_new = max(1, report.totals["lines"])

    def state(i: Incident) -> str:
        if i.id not in old:
            return "new"
        then, now = old[i.id].get("events", 0) / rate_old, i.events / rate_new
        return "grown" if now > 1.5 * then else "shrunk" if now < then / 1.5 else "steady"

    mine = {i.id for i in report.incidents}
    return msgspec.structs.replace(
        report,
        incidents=tuple(msgspec.structs.replace(i, state=state(i)) for i in report.incidents),
        gone=tuple(sorted(k for k in old if k not in mine)),
    )


def worst(report: BatchReport, least: str) -> bool:
    """Whether some incident is at least as severe as *least*."""
    return any(i.severity in _ORDER and _ORDER.index(i.severity) >= _ORDER.index(least) for i in report.incidents)
