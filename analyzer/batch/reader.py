"""Log lines as bytes: the same grammars and envelopes as everywhere, with what a million lines share kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from analyzer import cache, resources
from analyzer.batch.compiled import expression_of
from analyzer.expressions import re
from analyzer.formats.envelope import enveloped
from analyzer.model.capture import Line
from analyzer.model.events import GOOD, INTEGERS, KINDS
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.formats.groups import Kinds
    from analyzer.formats.load import Format, Formats
    from analyzer.model.events import Event

T = TypeVar("T")
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
PASSED = frozenset({"warn", "reject_warning", "info", "prepend", "filter", "redirect", "bcc", "pass", "whitelist", "permit"})
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
    again: bytes = b""  # what words begin with that name the program once more


class Read(msgspec.Struct):
    """A line, read: *values* are by `FIELDS`."""

    plan: Plan
    host: bytes
    stamp: bytes
    values: list[bytes | None]


class _Known(msgspec.Struct, frozen=True):
    """A format's expression, compiled, and what its markers mean."""

    match: Callable[[bytes], re.Match[bytes] | None]
    kinds: Kinds
    plans: dict[int, Plan]


class Reader:
    """Reads single lines of the formats that are logs."""

    def __init__(self, formats: Formats) -> None:
        self.formats = formats
        self.logs = [formats[name] for name in logs_of(formats)]
        self.weak = [frozenset(f.header.weak) for f in self.logs]
        self._known: dict[int, _Known] = {}
        self._heads: dict[bytes, Head] = {}
        self._of: dict[str | None, tuple[int, ...]] = {}
        self._own = Head(b"", None, self.formats_of(None))

    def known(self, index: int) -> _Known:
        """What is known of a format; made when first asked for, as that takes its time and a range has lines of few."""
        if index not in self._known:
            pattern, kinds = expression_of(self.logs[index])
            self._known[index] = _Known(pattern.match, kinds, plans_of(index, self.logs[index], kinds))
        return self._known[index]

    def plans(self, index: int) -> dict[int, Plan]:
        """The plan of each marker of a format's expression, as the format numbers them."""
        return plans_of(index, self.logs[index], self.logs[index].compiled.kinds)

    def event(self, line: Line, raw: bytes) -> tuple[Format, Event] | None:
        """The event on *line* and its format, by the expression for bytes alone."""
        head, _, body = self.split(raw)
        best = self.matched(head, body)
        if best is None:
            return None
        plan, found = best
        fmt = self.logs[plan.format]
        assert found.lastindex is not None
        alias, fields = self.known(plan.format).kinds[found.lastindex]
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
                if (f.header.over == "text" if program is None else program.partition("(")[0].islower() and f.takes(program))
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
        if (stamped := _STAMPED(line)) is None:
            return self._slowly(line)
        stamp, at = stamped[1], stamped.end()
        colon = line.find(b": ", at)
        if colon < 0:
            return self._slowly(line)
        key = line[at:colon]
        head = self._heads.get(key)
        if head is None:
            head = self._learn(line, key)
            if head is None:
                return self._slowly(line)
        if head.program and line.startswith(head.again, colon + 2):  # it names itself once more
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
        self._heads[key] = head = msgspec.structs.replace(head, again=_bytes(head.program) + b": ")
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
        found = self.matched(head, body)
        return None if found is None else read_of(head, stamp, *found)

    def matched(self, head: Head, body: bytes) -> tuple[Plan, re.Match[bytes]] | None:
        """What reads the words of a line, and how they match."""
        best = None
        for index in head.formats:
            known = self._known.get(index) or self.known(index)
            found = known.match(body)
            if found is None or not found.lastindex:
                continue
            plan = known.plans.get(found.lastindex)
            if plan is None:
                continue
            best = plan, found
            if plan.alias not in self.weak[index]:
                break
        return best


def read_of(head: Head, stamp: bytes, plan: Plan, found: re.Match[bytes]) -> Read:
    """What a line says of which the words match."""
    values = list(plan.constants)
    for slot, value in zip(plan.slots, found.group(0, 0, *plan.groups)[2:], strict=True):
        if value and values[slot] is None:
            values[slot] = value
    return Read(plan, head.host, stamp, values)


_STAMPED = re.compile(
    rb"([A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}|20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})) "
).match
_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9_./-]*(?:\[[0-9]{1,10}\])?")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def logs_of(formats: Formats) -> list[str]:
    """The names of the formats that are logs, by rank."""
    if (kept := load_stamped("logs", formats, list[str])) is not None:
        return kept
    logs = sorted((f for f in formats.all.values() if is_log(f)), key=lambda f: (-f.header.rank, f.name))
    found = [f.name for f in logs]
    save_stamped("logs", formats, found)
    return found


def load_stamped(name: str, formats: Formats, kind: type[T]) -> T | None:
    """What `save_stamped` kept of *formats*, for the same of them and the same modules of this package."""
    return None if formats.stamp is None else cache.load_for(name, _stamp(formats), kind)


def save_stamped(name: str, formats: Formats, value: object) -> None:
    """Keep *value*."""
    if formats.stamp is not None:
        cache.save_for(name, _stamp(formats), value)


def _stamp(formats: Formats) -> str:
    return f"{resources.stamp(*resources.own('batch'))}\n{formats.stamp}"


def is_log(fmt: Format) -> bool:
    """Whether *fmt* reads lines of a mail server's log."""
    if fmt.header.session or fmt.header.pasted or fmt.header.over == "envelope":
        return False
    kinds = {dict(fmt.header.kinds.get(alias, {})).get("kind", alias) for alias, _ in fmt.compiled.kinds.values()}
    stamped = any(name == "time" for _, fields in fmt.compiled.kinds.values() for _, name in fields)
    return fmt.header.over == "log" or bool(stamped and kinds & {"attempt", "refused", "finished"} and fmt.header.view != "client")


def plans_of(index: int, fmt: Format, kinds: Kinds) -> dict[int, Plan]:
    """The plan of each marker of *fmt*'s expression, of *kinds*."""
    plans = {}
    for marker, (alias, fields) in kinds.items():
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
        or (kind == "refused" and constants.get("action") in PASSED)
    )


GOOD_STATUS = frozenset(w.encode() for w in GOOD)
_PASSED_BYTES = frozenset(w.encode() for w in PASSED)


def failed(read: Read) -> bool:
    """Whether the line tells a failure; the same question as `analyzer.assemble.problems` asks."""
    plan, values = read.plan, read.values
    if not plan.fails:
        return False
    match plan.kind:
        case "attempt":
            status = values[6]
            return status is not None and status not in GOOD_STATUS
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
