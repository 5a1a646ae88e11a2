"""Log lines as bytes: the same grammars and envelopes as everywhere, with what a million lines share kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import msgspec

from analyzer import cache
from analyzer.assemble.delivery import GOOD
from analyzer.batch.compiled import regex_of
from analyzer.batch.literals import behind_ids, required
from analyzer.expressions import re
from analyzer.model.capture import Line
from analyzer.model.events import INTEGERS, KINDS
from analyzer.model.place import Place
from analyzer.segment import enveloped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Format, Formats
    from analyzer.model.events import Event

FIELDS = (
    "queue_id",
    "rcpt_to",
    "mail_from",
    "relay",
    "said_by",
    "enhanced",
    "status",
    "code",
    "stage",
    "text",
    "action",
    "how",
    "severity",
    "reason",
    "result",
    "client_ip",
    "client_name",
    "server",
    "user",
    "helo",
)
SLOT = {name: i for i, name in enumerate(FIELDS)}
_FAILING = frozenset({"attempt", "refused", "trouble", "tls_failed", "client_gone", "auth", "connect_failed"})
_LOGS = _FAILING - {"tls_failed", "connect_failed"} | {"message_info", "finished"}
_PASSED = frozenset({"warn", "reject_warning", "info", "prepend", "filter", "redirect", "bcc", "pass", "whitelist", "permit"})
_MOST_HEADS = 200_000
_PLAIN = re.compile(
    rb"(?:<[0-9]{1,3}>)?([A-Z][a-z]{2} [ 0-9]?[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]{8,18}(?:Z|[+-][0-9:]{4,6})?) "
)
# Exim's own stamp, and behind it what no host or program is: the envelope never reads such a line.
_OWN = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?: ?[+-][0-9]{2}:?[0-9]{2}|Z)?) "
    rb"(?:\[[0-9]{1,10}\] )?(?:[0-9][0-9A-Za-z]{5}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} |[A-Za-z]{1,20}=)"
)
ALWAYS = frozenset({"postfix"})  # formats whose lines may have no stamp


class Plan(msgspec.Struct, frozen=True):
    """What one marker of a format's expression means: *slots* of `FIELDS`, with the groups that may fill them."""

    format: int
    alias: str
    kind: str
    fails: bool
    groups: tuple[int, ...]
    slots: tuple[int, ...]
    constants: tuple[bytes | None, ...]


class Head(msgspec.Struct, frozen=True):
    """What stands around a program's words: the host, the program, the formats that may read the words."""

    host: bytes
    program: str | None
    formats: tuple[int, ...]


class Read(msgspec.Struct):
    """A line, read: *values* are by `FIELDS`."""

    plan: Plan
    host: bytes
    stamp: bytes
    values: list[bytes | None]


class Reader:
    """Reads single lines of the formats that are logs."""

    def __init__(self, formats: Formats) -> None:
        self.formats = formats
        self.logs = [f for f in formats.all.values() if is_log(f)]
        self.logs.sort(key=lambda f: (-f.header.rank, f.name))
        self.plans = [plans_of(i, f) for i, f in enumerate(self.logs)]
        self.weak = [frozenset(f.header.weak) for f in self.logs]
        self._match: dict[int, Any] = {}
        self._heads: dict[bytes, Head] = {}
        self._of: dict[str | None, tuple[int, ...]] = {}
        self._own = Head(b"", None, self.formats_of(None))

    def matcher(self, index: int) -> Any:
        """The match function of a format; compiled when first asked for, as that takes its time."""
        if index not in self._match:
            self._match[index] = regex_of(self.logs[index]).match
        return self._match[index]

    def event(self, line: Line, raw: bytes) -> tuple[Format, Event] | None:
        """The event on *line* and its format, by the expression for bytes alone."""
        read = self.read(raw)
        if read is None:
            return None
        fmt = self.logs[read.plan.format]
        found = self.matcher(read.plan.format)(self.split(raw)[2])
        alias, fields = fmt.compiled.kinds[found.lastindex]
        values: dict[str, Any] = dict(fmt.header.kinds.get(alias, {}))
        kind = values.pop("kind", alias)
        for group, name in fields:
            if name not in values and (value := found.group(group)):
                values[name] = value.decode("utf-8", "replace")
        for name in INTEGERS[kind] & values.keys():
            values[name] = int(values[name]) if str(values[name]).lstrip("-").isdigit() and len(str(values[name])) < 19 else None
        envelope = line.envelope
        if envelope is not None:
            for name, value in (("time", envelope.time), ("host", envelope.host), ("agent", envelope.program), ("pid", envelope.pid)):
                values.setdefault(name, value)
        return fmt, KINDS[kind](place=Place(0, line.number), format=fmt.name, **values)

    def formats_of(self, program: str | None) -> tuple[int, ...]:
        """The formats that may read lines of *program*; without one, those that have their own stamp."""
        if program not in self._of:
            self._of[program] = tuple(
                i
                for i, f in enumerate(self.logs)
                if (f.header.over == "text" if program is None else program.islower() and f.takes(program))
            )
        return self._of[program]

    def formats_for(self, line: Line) -> tuple[int, ...]:
        """The formats that may read *line*, told from its envelope.  Logs have stamps: what has none is no line of a log."""
        if line.envelope is None:
            return self.formats_of(None) if line.text[:1].isdigit() else ()
        found = self.formats_of(line.envelope.program)
        return found if line.envelope.time else tuple(i for i in found if self.logs[i].name in ALWAYS)

    def split(self, line: bytes) -> tuple[Head, bytes, bytes]:
        """Head, stamp and the program's words."""
        # 'Nov 23 10:00:01 mx postfix/smtp[71]: ...' is most of what is read: its head is looked up whole.
        first = line[:1]
        if first.isdigit() and (own := _OWN.match(line)) is not None:
            return self._own, own[1], line
        if first.isalpha():
            at = 16
            stamp = line[:15]
            if line[15:16] != b" " or stamp[9:10] != b":" or stamp[12:13] != b":":
                return self._slowly(line)
        else:
            at = line.find(b" ") + 1
            if first == b"<" or at == 0 or not (stamp := line[: at - 1]).endswith(_DIGIT_OR_Z) or b":" not in stamp:
                return self._slowly(line)
        colon = line.find(b": ", at)
        if colon < 0:
            return self._slowly(line)
        key = line[at:colon]
        head = self._heads.get(key)
        if head is None:
            head = self._learn(line, key)
            if head is None:
                return self._slowly(line)
        return head, stamp, line[colon + 2 :]

    def _learn(self, line: bytes, key: bytes) -> Head | None:
        """The head of a line, where it can be told from *key* alone for all lines that have it."""
        host, _, tag = key.partition(b" ")
        if not tag or b" " in tag or b"[" in host or not _TAG.fullmatch(tag):
            return None
        head, _, body = self._slowly(line)
        if head.host != host or head.program is None or line[line.find(key) + len(key) + 2 :] != body:
            return None
        if len(self._heads) > _MOST_HEADS:
            self._heads.clear()
        self._heads[key] = head
        return head

    def _slowly(self, line: bytes) -> tuple[Head, bytes, bytes]:
        text = line.decode("utf-8", "surrogateescape")
        found = enveloped(Line(1, text, text, 1), self.formats)
        envelope = found.envelope
        if envelope is None:
            body = _bytes(found.text)
            stamp = _PLAIN.match(body)
            return Head(b"", None, self.formats_for(found)), stamp[1] if stamp else b"", body
        host = _bytes(envelope.host or "")
        return Head(host, envelope.program, self.formats_for(found)), _bytes(envelope.time or ""), _bytes(found.body)

    def read(self, line: bytes) -> Read | None:
        """What *line* says, or None where no log format reads it."""
        return self.of(*self.split(line))

    def of(self, head: Head, stamp: bytes, body: bytes) -> Read | None:
        """The same of a line that is split."""
        best = None
        for index in head.formats:
            found = (self._match.get(index) or self.matcher(index))(body)
            if found is None or not found.lastindex:
                continue
            plan = self.plans[index].get(found.lastindex)
            if plan is None:
                continue
            best = plan, found
            if plan.alias not in self.weak[index]:
                break
        if best is None:
            return None
        plan, found = best
        values = list(plan.constants)
        for slot, value in zip(plan.slots, found.group(0, 0, *plan.groups)[2:], strict=True):
            if value and values[slot] is None:
                values[slot] = value
        return Read(plan, head.host, stamp, values)


_DIGIT_OR_Z = (*(b"%d" % d for d in range(10)), b"Z")
_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9_./-]*(?:\[[0-9]{1,10}\])?")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def is_log(fmt: Format) -> bool:
    """Whether *fmt* reads lines of a mail server's log."""
    if fmt.header.session or fmt.header.over == "envelope":
        return False
    kinds = {dict(fmt.header.kinds.get(alias, {})).get("kind", alias) for alias, _ in fmt.compiled.kinds.values()}
    stamped = any(name == "time" for _, fields in fmt.compiled.kinds.values() for _, name in fields)
    return fmt.header.over == "log" or bool(stamped and kinds & {"attempt", "refused", "finished"} and fmt.header.view != "client")


def plans_of(index: int, fmt: Format) -> dict[int, Plan]:
    """The plan of each marker of *fmt*'s expression."""
    plans = {}
    for marker, (alias, fields) in fmt.compiled.kinds.items():
        constants: dict[str, Any] = dict(fmt.header.kinds.get(alias, {}))
        kind = constants.pop("kind", alias)
        if kind not in KINDS:
            continue
        wanted = [(group, SLOT[name]) for group, name in fields if name in SLOT]
        values: list[bytes | None] = [None] * len(FIELDS)
        for name, value in constants.items():
            if name in SLOT:
                values[SLOT[name]] = str(value).encode()
        plans[marker] = Plan(
            index,
            alias,
            kind,
            may_fail(kind, constants) and (kind != "attempt" or "status" in constants or any(name == "status" for _, name in fields)),
            tuple(g for g, _ in wanted),
            tuple(s for _, s in wanted),
            tuple(values),
        )
    return plans


def may_fail(kind: str, constants: dict[str, Any]) -> bool:
    """Whether lines of *kind* with these constants can be failures."""
    if kind not in _FAILING:
        return False
    return not (
        constants.get("status") in GOOD
        or (kind == "client_gone" and constants.get("how") in {"disconnect", "quit"})
        or (kind == "auth" and constants.get("result") == "ok")
        or (kind == "trouble" and constants.get("severity") == "info")
        or (kind == "refused" and constants.get("action") in _PASSED)
    )


_GOOD = frozenset(w.encode() for w in GOOD)
_PASSED_BYTES = frozenset(w.encode() for w in _PASSED)


def failed(read: Read) -> bool:
    """Whether the line tells a failure; the same question as `analyzer.assemble.problems` asks."""
    plan, values = read.plan, read.values
    if not plan.fails:
        return False
    match plan.kind:
        case "attempt":
            status = values[6]
            return status is not None and status not in _GOOD
        case "refused":
            return (values[10] or b"").lower().replace(b"milter-", b"") not in _PASSED_BYTES
        case "client_gone":
            return values[11] not in {None, b"disconnect", b"quit"}
        case "auth":
            return values[14] not in {None, b"ok"}
        case "trouble":
            return values[12] != b"info"
        case _:
            return True


# ---- what a block is searched for ------------------------------------------------------------------------------------
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
    # Texts behind the queue id in lines that name a sender or may tell a delivery: how far behind, and whether they name one.
    anchors: dict[bytes, tuple[int, bool]] = {}


_GOOD_ENDS = (b"status=sent ", b"status=delivered ", b"status=deliverable ", b"status=relayed ", b"status=expanded ")


def parts_of(reader: Reader) -> list[Part]:
    """The texts that tell lines worth reading, by format, from the grammars' own expressions; kept, as that takes its time."""
    key = cache.key("needles-29", *(part for f in reader.logs for part in (f.name, f.compiled.pattern, repr(f.header))))
    packed = cache.load("needles", key)
    if packed is not None:
        try:
            return msgspec.msgpack.decode(packed, type=list[Part])
        except msgspec.MsgspecError:
            pass  # a damaged cache costs time only
    found = [_part(reader, i) for i in range(len(reader.logs))]
    cache.save("needles", key, msgspec.msgpack.encode(found))
    return found


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
    for longer in [t for t in roles if any(o != t and o in t and roles[o] == roles[t] for o in roles)]:
        del roles[longer]


def _part(reader: Reader, index: int) -> Part:
    fmt = reader.logs[index]
    roles: dict[bytes, int] = {}
    every = own = False
    senders: set[bytes] = set()
    harmless = [s for s in fmt.header.samples if not _may_fail(reader, index, s)]
    literals, programs = required(fmt), _programs(fmt)
    covers = _covers([literals[m] for m, p in reader.plans[index].items() if arrival(p)])
    for marker, plan in reader.plans[index].items():
        names = {n for _, n in fmt.compiled.kinds[marker][1]}
        sent = plan.kind == "attempt" and plan.constants[6] in _GOOD
        came = arrival(plan)
        names_sender = plan.kind == "message_info" and "queue_id" in names and "mail_from" in names
        gave_up = plan.kind == "finished" and plan.constants[11] in EXPIRED
        if not (plan.fails or sent or came or names_sender or gave_up):
            continue
        sets, weak = literals[marker], False
        if plan.fails and "status" in names and any(w.endswith("status=") for s in sets if len(s) == 1 for w in s):
            roles |= dict.fromkeys(_GOOD_ENDS, SENT)
            texts = ["status="]
        elif sets:
            if plan.kind == "refused":
                sets = [[w for w in s if w.strip(": ").replace("milter-", "") not in _PASSED] for s in sets]
            common_text = _common_text(covers, sets) if came else None
            texts = (
                [common_text] if common_text else min(sets, key=lambda s: (_frequent(s, harmless), -min(map(len, s), default=0), len(s), s))
            )
            if plan.fails and _frequent(texts, harmless) and 0 < len(programs) <= 4:
                texts, weak = programs, True
        else:
            texts, weak = programs, True
            every = every or not texts
            own = own or (plan.fails and fmt.header.over == "text")
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
        _wakes(fmt, common) | dict.fromkeys(OWN_STAMPS if own else (), b""),
        tuple(sorted(senders)),
        _anchors(reader, index),
    )


def _anchors(reader: Reader, index: int) -> dict[bytes, tuple[int, bool]]:
    """Texts that stand behind the queue id, with their distance from it; none where some line of interest has none."""
    fmt, plans = reader.logs[index], reader.plans[index]
    named = {m: {n for _, n in fields} for m, (_, fields) in fmt.compiled.kinds.items()}
    wanted = {
        m
        for m, p in plans.items()
        if "queue_id" in named[m]
        and ((p.kind == "message_info" and "mail_from" in named[m]) or (p.kind == "attempt" and p.constants[6] in {None, *_GOOD}))
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
_LEAST_QUIET = 8


def _gap(reader: Reader, index: int, sample: str, alias: str, text: str) -> int | None:
    """How far behind the queue id *text* stands in *sample*, where that is a line of *alias*."""
    found = reader.matcher(index)(sample.encode())
    plan = reader.plans[index].get(found.lastindex or -1) if found else None
    if found is None or plan is None or plan.alias != alias:
        return None
    ends = [found.end(g) for g, slot in zip(plan.groups, plan.slots, strict=True) if slot == 0 and found.start(g) >= 0]
    at = sample.find(text, ends[0]) if ends else -1
    return at - ends[0] if ends and 0 <= at - ends[0] <= 3 else None


def _quiet_texts(
    reader: Reader, index: int, roles: dict[bytes, int], literals: dict[int, list[list[str]]], harmless: list[str], *, own: bool
) -> dict[bytes, int]:
    """Texts of lines that are of no interest, where lines may have to be read for their program's name alone."""
    fmt, plans = reader.logs[index], reader.plans[index]
    if own:
        done = [m for m, p in plans.items() if p.kind == "finished" and p.constants[11] == b"completed"]
        return dict.fromkeys((t.encode() for m in done for s in literals[m][:1] for t in s), QUIET)
    if WEAK not in roles.values():
        return {}
    failing = [s for s in fmt.header.samples if s not in harmless]
    calm = [literals[m] for m, p in plans.items() if not p.fails and p.kind != "attempt"]
    found = {
        t for sets in calm for s in sets for t in s if min(map(len, s)) >= _LEAST_QUIET and not any(u in f for u in s for f in failing)
    }
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


def _common_text(covers: dict[str, int], sets: list[list[str]]) -> str | None:
    """Of the texts that stand in every line of *sets* the one that serves most arrivals."""
    shared = [t for t in covers if any(len(s) == 1 and t in s[0] for s in sets)]
    return max(shared, key=lambda t: (covers[t], t), default=None)


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


def _common(reader: Reader) -> bytes:
    """What stands in most logs."""
    samples = [s for f in reader.logs if f.name in ALWAYS for s in f.header.samples]
    return "\n".join(f"Nov 20 10:00:00 mx postfix/smtpd[71]: {s}" for s in samples).encode()


def _rarest(text: bytes, common: bytes) -> bytes:
    """The end of *text* whose beginning is rarest in *common*: the search looks for beginnings first."""
    ends = [text[n:] for n in range(max(1, len(text) - 5))]
    return min(ends, key=lambda e: (common.count(e[:3]), -len(e)))


OWN_STAMPS = (b"\n20", b"| 20", b" F 20", b" P 20")

_MOST_TEXTS, _MOST_QUIET = 20, 40  # the fewer, the faster the search


def _fewer(roles: dict[bytes, int], which: list[int], harmless: list[str]) -> None:
    """Texts of one role that begin alike become their common beginning, where that is not frequent in healthy lines."""
    while sum(r in which for r in roles.values()) > _MOST_TEXTS:
        texts = sorted(t for t, r in roles.items() if r in which)
        best: bytes | None = None
        for one, two in zip(texts, texts[1:], strict=False):
            common = cast("bytes", os.path.commonprefix([one, two]))  # noqa: RUF071  (characters are meant)
            if len(common) >= 5 and not _frequent([common.decode()], harmless) and (best is None or len(common) > len(best)):
                best = common
        if best is None:
            return
        for text in [t for t in texts if t.startswith(best)]:
            del roles[text]
        roles[best] = which[0]


def _frequent(texts: list[str], harmless: list[str]) -> int:
    """How many of the lines that tell no failure hold one of *texts*."""
    return sum(any(t in line for t in texts) for line in harmless)


def _may_fail(reader: Reader, index: int, sample: str) -> bool:
    found = reader.matcher(index)(sample.encode())
    plan = reader.plans[index].get(found.lastindex or -1) if found else None
    return plan is not None and plan.fails


def _programs(fmt: Format) -> list[str]:
    """A text for each of the format's programs' names; none where some name has no fixed part."""
    found = [max(re.split(r"[*?]|\[[^\]]*\]", p), key=len) for p in fmt.header.programs]
    return found if all(len(t) >= 3 for t in found) else []
