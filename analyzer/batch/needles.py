"""The texts of which one stands in every line worth reading, by format, from the grammars' own expressions."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import msgspec

from analyzer import cache
from analyzer.batch.heads import linear
from analyzer.batch.literals import behind_ids, best_of, frequency, required
from analyzer.batch.reader import ALWAYS, GOOD_STATUS, PASSED, Plan, Reader, load_stamped, save_stamped
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Format

QUIET, WEAK, FAIL, SENT, ARRIVED, INFO = range(6)
EXPIRED = frozenset({b"expired", b"force-expired"})


class Needles(msgspec.Struct, frozen=True):
    """*texts*: one of them stands in every line that matters; *every*: some such line has none, all lines are read.

    *roles*: what a line is that has no other of the texts: one to read, a delivery, an arrival, or naming a sender.
    A weak text is a program's name, where its failures have no text of their own; with a delivery or an arrival it says nothing.
    *own*: failures of formats with their own stamp have no text either, so that their lines are read unless they are known
    to be something else: deliveries, arrivals, or, by a quiet text, of no interest.
    """

    texts: tuple[bytes, ...] = ()
    roles: tuple[int, ...] = ()
    every: bool = False
    own: bool = False

    def of(self, *roles: int) -> tuple[bytes, ...]:
        """The texts of *roles*."""
        return tuple(t for t, r in zip(self.texts, self.roles, strict=True) if r in roles)


class Part(msgspec.Struct, frozen=True):
    """The needles of one format.  *wakes*: one of them stands in every line of its programs, with one of the bytes given
    behind it (any, where none are); *senders*: those of lines that name one.
    """

    name: str
    needles: Needles
    wakes: dict[bytes, bytes]
    senders: tuple[bytes, ...]
    told: tuple[bytes, ...] = ()  # those of deliveries that name a queue id
    # Texts behind the queue id in lines that name a sender or may tell a delivery: how far behind, and whether they name one.
    anchors: dict[bytes, tuple[int, bool]] = {}


_GOOD_ENDS = (b"status=sent ", b"status=delivered ", b"status=deliverable ", b"status=relayed ", b"status=expanded ")


def parts_of(reader: Reader) -> list[Part]:
    """The texts that tell lines worth reading, by format, from the grammars' own expressions; kept, as that takes its time."""
    if (kept := load_stamped("needles", reader.formats, list[Part])) is not None:
        return kept
    key = cache.key("needles-40", *(part for f in reader.logs for part in (f.name, f.compiled.pattern, repr(f.header))))
    found = _kept(key)
    if found is None:
        found = [_part(reader, i) for i in range(len(reader.logs))]
        cache.save("needles", key, msgspec.msgpack.encode(found))
    save_stamped("needles", reader.formats, found)
    return found


def _kept(key: str) -> list[Part] | None:
    packed = cache.load("needles", key)
    if packed is not None:
        with suppress(msgspec.MsgspecError):  # a damaged cache costs time only
            return msgspec.msgpack.decode(packed, type=list[Part])
    return None


def merged(parts: Sequence[Part]) -> Needles:
    """The needles of several formats as one."""
    roles: dict[bytes, int] = {}
    for part in parts:
        for text, role in zip(part.needles.texts, part.needles.roles, strict=True):
            roles[text] = min(role, roles.get(text, role))
    _drop(roles)
    roles |= {_USER_TEXTS[p.name]: INFO for p in parts if p.name in _USER_TEXTS}
    order = sorted(roles, key=lambda t: (-roles[t], t))
    return Needles(tuple(order), tuple(roles[t] for t in order), any(p.needles.every for p in parts), any(p.needles.own for p in parts))


_USER_TEXTS = {"postfix": b", sasl_username=", "exim-main": b" A="}  # before the name of the account that sends


def _drop(roles: dict[bytes, int]) -> None:
    """Texts that a shorter one finds too."""
    kept: dict[int, list[bytes]] = {}
    for text in sorted(roles, key=len):
        shorter = kept.setdefault(roles[text], [])
        if [other for other in shorter if other in text]:
            del roles[text]
        else:
            shorter.append(text)


def _part(reader: Reader, index: int) -> Part:
    fmt = reader.logs[index]
    roles: dict[bytes, int] = {}
    every = own = False
    senders: set[bytes] = set()
    told: set[bytes] = set()
    harmless = [s for s in fmt.header.samples if not _may_fail(reader, index, s)]
    stamped = [t.decode() for t in _wakes_of_another_stamp(reader, index)]
    literals, programs = required(fmt, harmless), stamped or _programs(fmt)
    covers = _covers([literals[m] for m, p in reader.plans(index).items() if arrival(p)])
    deliveries = [literals[m] for m, p in reader.plans(index).items() if p.kind == "attempt" and p.constants[6] in GOOD_STATUS]
    # One set for all deliveries: with two a line may be found twice, and must be read.
    for_all = next((s for s in deliveries[0] if all(s in sets for sets in deliveries)), None) if deliveries else None
    # Where lines tell neither deliveries nor arrivals, reading some in vain is cheaper than looking at the program of each.
    rarely = len(harmless) + 1 if deliveries or covers else 4
    for marker, plan in reader.plans(index).items():
        names = {n for _, n in fmt.compiled.kinds[marker][1]}
        sent = plan.kind == "attempt" and plan.constants[6] in GOOD_STATUS
        came = arrival(plan)
        names_sender = plan.kind == "message_info" and "queue_id" in names and "mail_from" in names
        gave_up = plan.kind == "finished" and plan.constants[11] in EXPIRED
        if not (plan.fails or sent or came or names_sender or gave_up):
            continue
        sets, weak = literals[marker], False
        if plan.fails and "status" in names and any(w.endswith("status=") for s in sets if len(s) == 1 for w in s):
            roles |= dict.fromkeys(_GOOD_ENDS, SENT)
            texts = ["status="]
            told.update(_GOOD_ENDS)
        elif sets:
            if plan.kind == "refused":
                sets = [[w for w in s if w.strip(": ").replace("milter-", "") not in PASSED] for s in sets]
            rarest = min(sets, key=lambda s: (frequency(s, harmless), -min(map(len, s), default=0), len(s), s))
            common_text = _common_text(covers, sets, frequency(rarest, harmless), harmless) if came else None
            texts = [common_text] if common_text else for_all if sent and for_all in sets else rarest
            if plan.fails and frequency(texts, harmless) * rarely > len(harmless) and 0 < len(programs) <= 4:
                texts, weak = programs, True
        else:
            texts, weak = programs, True
            every = every or not texts
            own = own or (plan.fails and fmt.header.over == "text")
        if sent and "queue_id" in names:
            told.update(t.encode() for t in texts)
        if names_sender:
            senders.update(t.encode() for t in texts)
        if plan.fails or sent or came or gave_up:
            role = WEAK if weak else FAIL if plan.fails or gave_up else SENT if sent else ARRIVED
            for text in texts:
                roles[text.encode()] = min(role, roles.get(text.encode(), role))
    roles |= _quiet_texts(reader, index, roles, literals, harmless, own=own)
    _drop(roles)
    _fewer(roles, [FAIL], harmless)
    order = sorted(roles)
    needles = Needles(tuple(order), tuple(roles[t] for t in order), every, own)
    common = b"" if fmt.name in ALWAYS else _common(reader)
    return Part(
        fmt.name,
        needles,
        _wakes(fmt, common) | _wakes_of_another_stamp(reader, index) | dict.fromkeys(OWN_STAMPS if own else (), b""),
        tuple(sorted(senders)),
        tuple(sorted(told)),
        _anchors(reader, index),
    )


def _anchors(reader: Reader, index: int) -> dict[bytes, tuple[int, bool]]:
    """Texts that stand behind the queue id, with their distance from it; none where some line of interest has none."""
    fmt, plans = reader.logs[index], reader.plans(index)
    named = {m: {n for _, n in fields} for m, (_, fields) in fmt.compiled.kinds.items()}
    wanted = {
        m
        for m, p in plans.items()
        if "queue_id" in named[m]
        and ((p.kind == "message_info" and "mail_from" in named[m]) or (p.kind == "attempt" and p.constants[6] in {None, *GOOD_STATUS}))
    }
    found: dict[bytes, int] = {}
    names_sender: set[bytes] = set()
    for marker, texts in behind_ids(fmt, wanted).items():
        if min(map(len, texts)) < _LEAST_ANCHOR:
            return {}
        for text in texts:
            gaps = {g for s in fmt.header.samples if (g := _gap(reader, index, s, plans[marker].alias, text)) is not None}
            found[text.encode()] = gaps.pop() if len(gaps) == 1 else -1
            names_sender |= {text.encode()} if plans[marker].kind == "message_info" else set()
    shortest = {t: g for t, g in found.items() if not any(o != t and t.startswith(o) for o in found)}
    if len({found[t] for t in found if found[t] >= 0}) > 1:
        return {}
    gap = max(shortest.values(), default=-1)
    return {t: (gap, any(n.startswith(t) for n in names_sender)) for t in shortest} if gap >= 0 else {}


_LEAST_ANCHOR = 3
_LEAST_WAKING = 5
_LEAST_QUIET = 8


def _gap(reader: Reader, index: int, sample: str, alias: str, text: str) -> int | None:
    """How far behind the queue id *text* stands in *sample*, where that is a line of *alias*."""
    known = reader.known(index)
    found = known.match(sample.encode())
    plan = known.plans.get(found.lastindex or -1) if found else None
    if found is None or plan is None or plan.alias != alias:
        return None
    ends = [found.end(g) for g, slot in zip(plan.groups, plan.slots, strict=True) if slot == 0 and found.start(g) >= 0]
    at = sample.find(text, ends[0]) if ends else -1
    return at - ends[0] if ends and 0 <= at - ends[0] <= 3 else None


def _quiet_texts(
    reader: Reader, index: int, roles: dict[bytes, int], literals: dict[int, list[list[str]]], harmless: list[str], *, own: bool
) -> dict[bytes, int]:
    """Texts of lines that are of no interest, where lines may have to be read for their program's name alone."""
    fmt, plans = reader.logs[index], reader.plans(index)
    if own:
        done = [m for m, p in plans.items() if p.kind == "finished" and p.constants[11] == b"completed"]
        return dict.fromkeys((t.encode() for m in done for s in literals[m][:1] for t in s), QUIET)
    if WEAK not in roles.values():
        return {}
    failing = [s for s in fmt.header.samples if s not in harmless]
    calm = [literals[m] for m, p in plans.items() if not p.fails and p.kind != "attempt"]
    eligible = [
        {tuple(s) for s in sets if min(map(len, s), default=0) >= _LEAST_QUIET and not any(u in f for u in s for f in failing)}
        for sets in calm
    ]
    found: set[str] = set()
    while some := Counter(s for sets in eligible for s in sets):  # a text for every kind, before a second one for some
        best = max(some, key=lambda s: (some[s], -len(s), s))
        found.update(best)
        eligible = [sets for sets in eligible if best not in sets]
    left = {m for m, p in plans.items() if p.kind == "client_gone" and not p.fails}
    aliases = {plans[m].alias for m in left}
    ends = {" " + s.rpartition(" ")[2] for s in fmt.header.samples if s not in failing and fmt.alias_of(s) in aliases}
    found |= {e for e in ends if "=" in e and len(e) >= _LEAST_QUIET and not any(e in f for f in failing)}
    # Words in the middle of lines first: texts that begin a line are whole old sentences.
    known = sorted((t.encode() for t in found), key=lambda t: (t[:1].isalpha(), len(t), t))
    told = [t for t, role in roles.items() if role in {ARRIVED, SENT}]  # the search takes the longer of two that overlap
    return {t: QUIET for t in known[:_MOST_QUIET] if t not in roles and not any(u in t for u in told)}


def _covers(arrivals: list[list[list[str]]]) -> dict[str, int]:
    """How many of the kinds of arrivals each text stands in: one text for all, or a line that holds two of them would count twice."""
    texts = {s[0] for sets in arrivals for s in sets if len(s) == 1}
    return {t: sum(any(len(s) == 1 and t in s[0] for s in sets) for sets in arrivals) for t in texts}


def _common_text(covers: dict[str, int], sets: list[list[str]], fewest: int, harmless: list[str]) -> str | None:
    """Of the texts that stand in every line of *sets* the one that serves most arrivals.

    None where it serves one kind alone, and more than *fewest* of the *harmless* lines hold it.
    """
    shared = [t for t in covers if any(len(s) == 1 and t in s[0] for s in sets)]
    found = max(shared, key=lambda t: (covers[t], t), default=None)
    return found if found is None or covers[found] > 1 or frequency([found], harmless) <= fewest else None


def arrival(plan: Plan) -> bool:
    """Whether lines of *plan* tell that a message came in: once for each message at each server that wrote the log."""
    return plan.kind == "message_info" and plan.alias in {"received", "picked_up"}


def _wakes(fmt: Format, common: bytes) -> dict[bytes, bytes]:
    every: dict[bytes, bytes] = {}
    for pattern in fmt.header.programs:
        text = max(re.split(r"[*?]|\[[^\]]*\]", pattern), key=len)
        name = (b"" if pattern.startswith(("*", "/")) else b" ") + text.encode()
        every[name] = b"" if not pattern.endswith(text) or every.get(name) == b"" else b"[:( "
    found = {}
    for text, behind in every.items():
        if not any(o != text and o in text for o in every):
            longer = [t[len(text) :] for t in every if t != text and t.startswith(text)]
            found[text] = behind and behind + b"".join(t[:1] for t in longer)
    found = {_rarest(t, common): b for t, b in found.items()}
    for short in {t[:5] for t in found}:  # fewer texts are found faster
        alike = [t for t in found if t.startswith(short)]
        if len(alike) > 1 and short not in common:
            found = {t: b for t, b in found.items() if t not in alike} | {short: b""}
    return found


def _wakes_of_another_stamp(reader: Reader, index: int) -> dict[bytes, bytes]:
    """The texts of the header's `wakes`, for lines whose stamp is none that `has_own_stamp` knows."""
    fmt = reader.logs[index]
    if fmt.header.over != "text" or fmt.header.wakes is None:
        return {}
    other = [s for s in fmt.header.samples if not has_own_stamp(s.encode(), 0) and _may_fail(reader, index, s)]
    texts = best_of(fmt.header.wakes) if other else []
    return {t.encode(): b"" for t in texts if len(t) >= _LEAST_WAKING}


def _common(reader: Reader) -> bytes:
    """What stands in most logs."""
    samples = [s for f in reader.logs if f.name in ALWAYS for s in f.header.samples]
    return "\n".join(f"Nov 20 10:00:00 mx postfix/smtpd[71]: {s}" for s in samples).encode()


def _rarest(text: bytes, common: bytes) -> bytes:
    """The end of *text* whose beginning is rarest in *common*: the search looks for beginnings first."""
    ends = [text[n:] for n in range(max(1, len(text) - 5))]
    return min(ends, key=lambda e: (common.count(e[:3]), -len(e)))


OWN_STAMPS = (b"\n20", b"| 20", b" F 20", b" P 20")
# A stamp, and then no host and program: "2026-11-23 10:00:01 ...", "2026-11-23T10:00:01Z INFO ...", "2026-11-23T10:00:01Z smtp: ..."
_OWN = rb"20[0-9-]{8}(?: |T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})?[ \t]+(?:[A-Z]{4,6} |\[[A-Z]{2,8}\] |[a-z_./]{2,30}: ))"
_WITH_OWN = re.compile(_OWN)
_WRAPPED = re.compile(rb"(?:[A-Za-z0-9_.-]{1,60} *\| |\S{1,40} std(?:out|err) [FP] )" + _OWN)


def has_own_line(block: bytes) -> bool:
    """Whether a line of *block* begins with a format's own stamp."""
    if _WITH_OWN.match(block):
        return True
    if not _OWN_LINES:
        _OWN_LINES.append(linear(rb"\n" + _OWN))
    return _OWN_LINES[0].search(block) is not None


_OWN_LINES: list[Any] = []  # the search, when it is first needed


def has_own_stamp(block: bytes, at: int) -> bool:
    """Whether the line at *at* has a format's own stamp."""
    if block.startswith(b"20", at):
        return (block[at + 10 : at + 11] == b" " and block[at + 4 : at + 5] == b"-") or _WITH_OWN.match(block, at) is not None
    return b" 20" in block[at : at + 104] and _WRAPPED.match(block, at) is not None


_MOST_TEXTS, _MOST_QUIET = 20, 40  # the fewer, the faster the search


def _fewer(roles: dict[bytes, int], which: list[int], harmless: list[str]) -> None:
    """Texts of one role that begin alike become their common beginning, where that is not frequent in healthy lines."""
    while sum(r in which for r in roles.values()) > _MOST_TEXTS:
        texts = sorted(t for t, r in roles.items() if r in which)
        best: bytes | None = None
        for one, two in zip(texts, texts[1:], strict=False):
            common = cast("bytes", os.path.commonprefix([one, two]))  # noqa: RUF071  (characters are meant)
            if len(common) >= 5 and not frequency([common.decode()], harmless) and (best is None or len(common) > len(best)):
                best = common
        if best is None:
            return
        for text in [t for t in texts if t.startswith(best)]:
            del roles[text]
        roles[best] = which[0]


def _may_fail(reader: Reader, index: int, sample: str) -> bool:
    known = reader.known(index)
    found = known.match(sample.encode())
    plan = known.plans.get(found.lastindex or -1) if found else None
    return plan is not None and plan.fails


def _programs(fmt: Format) -> list[str]:
    """A text for each of the format's programs' names; none where some name has no fixed part."""
    found = [max(re.split(r"[*?]|\[[^\]]*\]", p), key=len) for p in fmt.header.programs]
    return found if all(len(t) >= 3 for t in found) else []
