"""Groups of failures -> incidents: why, where, since when, how many, how bad."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.batch.tally import Group, Key, Tally, add_group
from analyzer.formats.envelope import enveloped
from analyzer.model.batch import Incident, Reply, Sample, SampleLine, Surge, Traffic, Waiting
from analyzer.model.capture import Capture, Line, Parsed, Segment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analyzer.batch.gather import Gathered
    from analyzer.batch.reader import Reader
    from analyzer.model.rule import Fault, RuleBook

UNEXPLAINED = "unexplained"
MOST_SHAPES = 2_000  # judged; rarer ones stay unexplained
_SURE = 0.5
_NOISE = frozenset({"password-guessing", "relay-probing", "address-harvesting"})
_WEIGHT = {"critical": 4.0, "high": 2.0, "medium": 1.0, "low": 0.5, "info": 0.2}
_STILL = 6 * 3600  # seconds before the end of the logs
_SAMPLES = 3
_MOST_STORY = 12
_OVER = (b": removed", b" Completed")  # how the last line of a message ends


class Judgement(msgspec.Struct, frozen=True):
    """What the rules say of one shape of failure."""

    fault: str = UNEXPLAINED
    certainty: float = 0.0
    title: str = ""
    summary: str = ""
    severity: str = "medium"
    fixed_by: str = ""
    steps: tuple[str, ...] = ()
    what: str = ""
    noise: bool = False
    harmless: bool = False
    minor: bool = False
    rules: tuple[str, ...] = ()
    kind: str = ""  # cause, echo, consequence


def shape_of(key: Key) -> Key:
    """A group's key without host and format's details of place: what is judged once."""
    return (*key[:2], *key[3:12], b"" if key[12] is None or b"." in key[12] else key[12])


def representatives(tally: Tally) -> dict[Key, Group]:
    """The first group (by the time of its first line) of each shape, the most frequent shapes only."""
    by_shape: dict[Key, Group] = {}
    counts: Counter[Key] = Counter()
    for key, group in tally.groups.items():
        shape = shape_of(key)
        counts[shape] += group.count
        old = by_shape.get(shape)
        if old is None or (group.sample is not None and old.sample is not None and group.sample[:3] < old.sample[:3]):
            by_shape[shape] = group
    if len(by_shape) <= MOST_SHAPES:
        return by_shape
    most = sorted(counts, key=lambda s: (-counts[s], repr(s)))[:MOST_SHAPES]
    return {s: by_shape[s] for s in most}


def judgements(
    chosen: dict[Key, Group], gathered: Gathered, reader: Reader, book: RuleBook, hosts: Collection[bytes]
) -> dict[Key, Judgement]:
    """What the rules say of each shape, asked once with its representative's story; *hosts* are those that delivered mail."""
    return {shape: _judged(group, gathered, reader, book, hosts) for shape, group in chosen.items()}


def _story(group: Group, gathered: Gathered) -> list[tuple[Any, bytes, int]]:
    """The lines of the group's sample message up to the failure and beyond, in order."""
    assert group.sample is not None
    host, queue_id = group.example
    own = (group.sample[:3], group.sample[3], gathered.numbers.get(group.sample[1:3], 0))
    if queue_id is None:
        return [own]
    story = gathered.stories.get(b"%b %b" % (host, queue_id), [])
    lines = {order: (order, line, number) for order, line, number in story}
    lines[own[0]] = own
    found = [lines[o] for o in sorted(lines)]
    # The same id may have been another message's before, or be one's afterwards.
    at = found.index(own)
    begin = max((n + 1 for n, (_, line, _) in enumerate(found[:at]) if line.endswith(_OVER)), default=0)
    end = next((n for n, (_, line, _) in enumerate(found[at:], at) if line.endswith(_OVER)), len(found))
    return found[begin : end + 1]


def _judged(group: Group, gathered: Gathered, reader: Reader, book: RuleBook, hosts: Collection[bytes]) -> Judgement:
    from analyzer.infer.engine import judge, problem_values, values_of
    from analyzer.infer.wording import fill, what
    from analyzer.model.case import Delivery

    story = _story(group, gathered)
    assert group.sample is not None
    at = next(i for i, (order, _, _) in enumerate(story) if order == group.sample[:3])
    # What came after the failure would only say that it passed.
    case = case_of([line for _, line, _ in story[: at + 1]][-200:], reader, book)
    if group.example[0] in hosts and any(p.kind == "tls-failure" for p in case.problems):
        # A handshake that fails beside delivered mail is another matter than one that fails alone.
        case = msgspec.structs.replace(case, deliveries=(*case.deliveries, Delivery(places=(), delivered="yes")))
    last = case.captures[0].lines[-1].number
    judged = judge(case, book, unknown=False)
    found = [i for i, p in enumerate(judged.case.problems) if any(x.line == last for x in p.places) and p.kind != "observed"]
    found = found or [i for i, p in enumerate(judged.case.problems) if any(x.line == last for x in p.places)]
    if not found:
        return Judgement(minor=True)
    index = found[0]
    problem = judged.case.problems[index]
    shares = sorted(judged.beliefs[index].shares, key=lambda s: (-s[1], s[0]))
    words = what(problem)
    if not shares or shares[0][1] < _SURE or shares[0][0] not in book.faults:
        guess = shares[0] if shares else ("", 0.0)
        return Judgement(
            certainty=round(guess[1], 2),
            what=words,
            minor=problem.minor,
            harmless=index in judged.harmless,
            summary=f"Possible: {book.faults[guess[0]].title}" if guess[0] in book.faults else "",
            severity="low" if problem.minor else "medium",
        )
    fault: Fault = book.faults[shares[0][0]]
    voices = [o for o in judged.outcomes if index in o.problems and not o.superseded and fault.fault in o.rule.suggests]
    values = problem_values(problem)
    for o in voices:
        values = {**values_of(o, judged.case), **values}
    side = problem.view or "sending"
    have = {side, problem.software or ""}
    steps = [s for s in fault.steps if all(w in have for w in s.for_)]
    return Judgement(
        fault=fault.fault,
        certainty=round(shares[0][1], 2),
        title=fill(fault.title, {}),
        summary=fill(fault.summary, values),
        severity=fault.severity,
        fixed_by=fault.fixed_by,
        steps=tuple(fill(s.do, values) for s in steps[:5]),
        what=words,
        noise=fault.fault in _NOISE,
        harmless=index in judged.harmless,
        minor=problem.minor,
        rules=tuple(sorted({o.rule.rule for o in voices})),
        kind=fault.kind,
    )


def case_of(story: Sequence[bytes], reader: Reader, book: RuleBook) -> Any:
    """A case from log lines alone, by the same formats, `assemble` included."""
    from analyzer.assemble import assemble  # which a log without failures does not need

    formats = reader.formats
    lines = [enveloped(Line(n, text, text, n), formats) for n, text in enumerate((b.decode("utf-8", "replace") for b in story), 1)]
    segments: dict[str, list[Line]] = {}
    events: dict[str, list[Any]] = {}
    for line, raw in zip(lines, story, strict=True):
        if (read := reader.event(line, raw)) is not None:
            segments.setdefault(read[0].name, []).append(line)
            events.setdefault(read[0].name, []).append(read[1])
    parsed = [Parsed(Segment(0, name, tuple(found)), tuple(events[name])) for name, found in segments.items()]
    return assemble([Capture(0, "log", tuple(lines))], parsed, formats, book.providers)


# ---- grouping --------------------------------------------------------------------------------------------------------
class _Open(msgspec.Struct):
    """An incident as it grows."""

    group: Group
    judgement: Judgement
    shapes: Counter[tuple[str, str]]
    samples: list[Group]
    temporary: set[bytes]
    final: set[bytes]
    attempts: int = 0


INCIDENTS, REFUSED, NOISE = range(3)


def _section(key: Key, judgement: Judgement) -> int:
    """Where failures of *key* belong: a server that turns strangers away as it was told to has no incident."""
    if judgement.noise or judgement.harmless:
        return NOISE
    theirs = judgement.fixed_by in {"sender", "user"} or judgement.kind == "echo"
    return REFUSED if theirs and outcome(key) == "rejected" else INCIDENTS


def incidents(
    tally: Tally, gathered: Gathered, judged: dict[Key, Judgement], names: Sequence[str], now: int | None
) -> tuple[list[Incident], list[Incident], list[Incident]]:
    """Incidents, the most harmful first; apart from them what was refused at the door, and the noise of strangers."""
    open_: dict[tuple[Any, ...], _Open] = {}
    for key in sorted(tally.groups, key=repr):
        group = tally.groups[key]
        judgement = judged.get(shape_of(key), Judgement(minor=True))
        section = _section(key, judgement)
        if judgement.minor and judgement.fault == UNEXPLAINED and section != NOISE:
            continue
        shape = _words(key)
        host, remote = key[2].decode("utf-8", "replace"), (key[12] or b"").decode("utf-8", "replace")
        name: tuple[Any, ...] = (judgement.fault, host, remote, section, shape if judgement.fault == UNEXPLAINED else "")
        found = open_.get(name)
        if found is None:
            found = open_[name] = _Open(Group(), judgement, Counter(), [], set(), set())
        add_group(found.group, group)
        if (judgement.certainty, judgement.what) > (found.judgement.certainty, found.judgement.what):
            found.judgement = judgement
        found.shapes[shape, judgement.what] += group.count
        found.samples.append(group)
        (found.temporary if is_temporary(key) else found.final).update(group.of)
        found.attempts += group.count if key[3] is not None else 0
    attempts = attempts_of(tally)
    built = [(name[3], _incident(name, o, tally, gathered, attempts, names, now)) for name, o in open_.items()]
    built.sort(key=lambda b: (-b[1].harm, -b[1].events, b[1].id))
    sections: tuple[list[Incident], ...] = ([], [], [])
    for section, incident in built:
        sections[section].append(incident)
    return sections[INCIDENTS], sections[REFUSED], sections[NOISE]


_SURGE, _TIMES, _MOST_SURGES = 50, 8, 20


def surges(users: dict[bytes, dict[int, int]]) -> tuple[Surge, ...]:
    """Accounts whose busiest hour has at least 50 messages, and eight times as many as the middle one of all their other hours."""
    every = [h for hours in users.values() for h in hours]
    span = max(every) - min(every) + 1 if every else 0
    found = []
    for user, hours in users.items():
        peak = max(hours.values())
        at = min(h for h, n in hours.items() if n == peak)
        rest = sorted([n for h, n in hours.items() if h != at] + [0] * (span - len(hours)))
        usual = rest[len(rest) // 2] if rest else None
        if peak >= _SURGE and usual is not None and peak >= _TIMES * max(usual, 1):
            found.append(Surge(user.decode("utf-8", "replace"), sum(hours.values()), peak, iso(at * 3600), float(usual)))
    return tuple(sorted(found, key=lambda s: (-s.peak, s.account))[:_MOST_SURGES])


Place = tuple[bytes, bytes]  # host and destination


def attempts_of(tally: Tally) -> dict[Place, dict[str, int]]:
    """What happened at each host towards each destination: delivered, deferred, bounced; refusals have the destination b""."""
    found: dict[Place, dict[str, int]] = {}
    for (host, remote, _, _), count in tally.sent.items():
        at = found.setdefault((host, remote), {})
        at["delivered"] = at.get("delivered", 0) + count
    for key, group in tally.groups.items():
        name = outcome(key)
        if name in {"deferred", "bounced", "rejected"}:
            at = found.setdefault((key[2], b"" if name == "rejected" else key[12] or b""), {})
            at[name] = at.get(name, 0) + group.count
    return found


def outcome(key: Key) -> str:
    """What became of the mail in failures of *key*: deferred, bounced, rejected or other."""
    status = (key[3] or b"").decode()
    if status in {"deferred", "bounced"}:
        return status
    return "rejected" if key[3] is None and key[5] else "other"


def traffic(attempts: dict[Place, dict[str, int]], which: int, most: int) -> tuple[Traffic, ...]:
    """*attempts* by host (*which* 0) or destination (1), the busiest first."""
    sums: dict[bytes, Counter[str]] = {}
    for place, counts in attempts.items():
        sums.setdefault(place[which], Counter()).update(counts)
    if which == 1:
        sums.pop(b"", None)
    rows = []
    for name, c in sums.items():
        tried = c["delivered"] + c["deferred"] + c["bounced"]
        rate = round((c["deferred"] + c["bounced"]) / tried, 4) if tried else None
        rows.append(Traffic(name.decode("utf-8", "replace"), c["delivered"], c["deferred"], c["bounced"], c["rejected"], rate))
    return tuple(sorted(rows, key=lambda r: (-(r.delivered + r.deferred + r.bounced + r.rejected), r.name))[:most])


def is_temporary(key: Key) -> bool:
    """Whether the mail of such failures may still pass."""
    status, code, enhanced = key[3], key[5], key[6]
    if status in {b"deferred"}:
        return True
    if status is not None:
        return False
    return (code or enhanced or b"").startswith(b"4")


def _words(key: Key) -> str:
    parts = [x.decode("utf-8", "replace") for x in (key[3], key[5], key[6]) if x] + ([key[11]] if key[11] else [])
    return " ".join(parts) or str(key[1])


def _incident(
    name: tuple[Any, ...],
    o: _Open,
    tally: Tally,
    gathered: Gathered,
    attempts: dict[Place, dict[str, int]],
    names: Sequence[str],
    now: int | None,
) -> Incident:
    from analyzer.model.report import word_of

    fault, host, remote, _, shape = name
    g, j = o.group, o.judgement
    nameless = host.encode() + b"  "  # no queue id behind the host
    unqueued = {x for x in g.of if x.startswith(nameless)}
    lost, later = o.final, o.temporary - o.final if o.final else o.temporary
    delayed = later & gathered.sent
    if tally.expired:
        lost = lost | {x for x in later - delayed if x.rpartition(b" ")[0] in tally.expired}
        later = o.temporary - lost
    waiting = later - delayed - unqueued
    messages = {x[: x.rindex(b" ")] for x in (g.of.keys() - unqueued if unqueued else g.of)}
    senders = {s.lower() for s in g.senders} | _senders(messages, gathered)
    ongoing = now is not None and g.last is not None and now - g.last <= _STILL
    weight = _WEIGHT.get(j.severity, 1.0)
    kept = len(lost - unqueued)
    harm = round((3 * kept + 0.3 * (len(lost) - kept) + 2 * len(waiting) + 0.5 * len(delayed)) * weight * (1.5 if ongoing else 1.0), 1)
    at = attempts.get((host.encode(), remote.encode()), {})
    tried = sum(at.get(n, 0) for n in ("delivered", "deferred", "bounced"))
    chosen = sorted((s for s in o.samples if s.sample is not None), key=lambda s: s.sample[:3] if s.sample else ())
    return Incident(
        id="/".join(p for p in (fault, host or "-", remote or "-", shape[:60]) if p),
        fault=fault,
        title=j.title or j.what or "Unexplained failure",
        certainty=j.certainty if fault != UNEXPLAINED else 0.0,
        word=word_of(j.certainty) if fault != UNEXPLAINED else "unexplained",
        severity=j.severity,
        fixed_by=j.fixed_by,
        summary=j.summary,
        host=host,
        destination=remote,
        first=iso(g.first),
        last=iso(g.last),
        ongoing=ongoing,
        events=g.count,
        messages=len(messages),
        recipients=len({x.rpartition(b" ")[2].lower() for x in g.of} - {b""}),
        senders=len(senders - {b""}),
        clients=len(g.clients),
        lost=len(lost),
        waiting=len(waiting),
        delayed=len(delayed),
        delivered=at.get("delivered", 0),
        rate=round(o.attempts / tried, 4) if o.attempts and tried else None,
        oldest=_oldest(g, waiting, gathered),
        harm=harm,
        trend={str(iso(h * 3600)): n for h, n in sorted(g.hours.items())},
        replies=tuple(Reply(words, text, n) for (text, words), n in sorted(o.shapes.items(), key=lambda x: (-x[1], x[0]))[:5]),
        samples=tuple(_sample(s, gathered, names) for s in chosen[:_SAMPLES]),
        steps=j.steps,
        rules=j.rules,
    )


def _senders(messages: set[bytes], gathered: Gathered) -> set[bytes]:
    """The senders of *messages*, in lower case."""
    known = gathered.senders
    if len(messages) < len(known) // 2:
        return {known[m][2].lower() for m in messages if m in known}
    return {sender.lower() for m, (_, _, sender) in known.items() if m in messages}  # memory is read in its order


def _oldest(group: Group, waiting: set[bytes], gathered: Gathered) -> Waiting | None:
    """The message that has waited longest."""
    if not waiting:
        return None
    since, name = _NEVER, b""
    for other, when in group.of.items():  # which are about in the order of time: few need be looked at
        if (when < since or not name or (when == since and other < name)) and other in waiting:
            since, name = when, other
    host, queue_id, rcpt = (x.decode("utf-8", "replace") for x in name.split(b" ", 2))
    sender = gathered.senders.get(name.rpartition(b" ")[0])
    return Waiting(
        host, queue_id, rcpt, sender[2].decode("utf-8", "replace") if sender else None, iso(None if since == _NEVER else int(since))
    )


_NEVER = float("inf")


def _sample(group: Group, gathered: Gathered, names: Sequence[str]) -> Sample:
    story = _story(group, gathered)
    assert group.sample is not None
    at = next(i for i, (order, _, _) in enumerate(story) if order == group.sample[:3])
    start = max(0, min(at - _MOST_STORY // 2, len(story) - _MOST_STORY))
    host, queue_id = group.example
    sender = gathered.senders.get(b"%b %b" % (host, queue_id)) if queue_id else None
    return Sample(
        queue_id.decode("utf-8", "replace") if queue_id else None,
        host.decode("utf-8", "replace"),
        sender[2].decode("utf-8", "replace") if sender else None,
        tuple(
            SampleLine(names[order[1]], number, line.decode("utf-8", "replace")[:600])
            for order, line, number in story[start : start + _MOST_STORY]
        ),
    )


@lru_cache(maxsize=4096)
def iso(seconds: int | None) -> str | None:
    """*seconds* since 1970 as a stamp in UTC."""
    if seconds is None:
        return None
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
