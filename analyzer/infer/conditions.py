"""Conditions on things: yes, no or unknown, with the lines that say so (Kleene's logic).

`match` returns a tree; a report, *why* and *why not* all read that same tree.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.model import rule as m
from analyzer.model.case import SUBJECTS, THINGS

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.model.case import Case
    from analyzer.model.place import Place


class Answer(IntEnum):
    """In the order that makes *and* the least, *or* the greatest."""

    NO = 0
    UNKNOWN = 1
    YES = 2


NO, UNKNOWN, YES = Answer.NO, Answer.UNKNOWN, Answer.YES
_FEW = 8  # things, among which a table is not worth its making
_LONGEST_TEXT = 4096  # characters of a value that an expression sees


class Result:
    """The answer to one condition: *label* says which, *places* on which lines it rests, *lacks* what is missing."""

    __slots__ = ("_label", "answer", "children", "lacks", "places")

    def __init__(
        self,
        answer: Answer,
        label: str | tuple[str, m.AnyMatcher, dict[str, Any]] = "",
        places: Iterable[Place] = (),
        children: Sequence[Result] = (),
        lacks: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        self.answer, self._label, self.children, self.lacks = answer, label, children, lacks
        self.places: tuple[Place, ...] = tuple(places)

    @property
    def label(self) -> str:
        """The condition in words, which few ever read."""
        if isinstance(self._label, str):
            return self._label
        name, condition, bound = self._label
        return f"{name} {describe(condition, bound)}"

    def all_places(self) -> list[Place]:
        """The lines of this condition and of the parts that made its answer."""
        found = list(self.places)
        for child in self.children:
            if child.answer == self.answer or self.answer == YES:
                found += child.all_places()
        return list(dict.fromkeys(found))

    def missing(self) -> list[tuple[str, dict[str, Any]]]:
        """What would have to be captured, where the answer is unknown."""
        if self.answer != UNKNOWN:
            return []
        if self.lacks is not None:
            return [self.lacks]
        return [x for child in self.children if child.answer == UNKNOWN for x in child.missing()]


class Tables:
    """What is worked out once for all conditions on one case."""

    __slots__ = ("alone", "counted", "joined", "valued")

    def __init__(self) -> None:
        # (kind of thing, field) -> value -> things with their places: see `_candidates`
        self.valued: dict[tuple[str, str], dict[str | None, list[tuple[int, Any]]]] = {}
        self.joined: dict[int, tuple[Result, Any]] = {}  # joins that ask about nothing else than what they name
        self.counted: dict[int, dict[tuple[Any, ...], Result]] = {}  # counts, by the values of their `by`
        self.alone: dict[int, bool] = {}


class Context:
    """What a condition may refer to: the case, names bound so far, findings made so far."""

    __slots__ = ("bound", "case", "found", "tables", "thing")

    def __init__(self, case: Case, found: dict[tuple[str, int], set[str]], tables: Tables | None = None) -> None:
        self.case = case
        self.bound: dict[str, Any] = {}
        self.found = found
        self.tables = Tables() if tables is None else tables
        self.thing: tuple[str, int] = ("", -1)


def match(when: m.Fields, thing: Any, kind: str, context: Context) -> Result:
    """*when* on *thing*, which is of *kind* (`problem`, `lookup`, ...)."""
    return _fields(when, thing, kind, context)


def join(j: m.Join, context: Context) -> Result:
    """Another thing of the case that meets *j*: *no* where the same question is answered otherwise, *unknown* where
    nobody asked.
    """
    if not _alone(j.when, context):
        return _join(j, context)
    if id(j) not in context.tables.joined:
        result = _join(j, context)
        context.tables.joined[id(j)] = result, context.bound.get(j.name)
    result, thing = context.tables.joined[id(j)]
    if result.answer == YES:
        context.bound[j.name] = thing
    return result


def _alone(matcher: m.AnyMatcher, context: Context) -> bool:
    """Whether *matcher* asks about the thing alone that it is applied to, not about names that are bound, nor about findings on another."""
    known = context.tables.alone
    if id(matcher) not in known:
        match matcher:
            case m.Fields(fields=fields):
                known[id(matcher)] = all(_alone(x, context) for _, x in fields)
            case m.OneOf(of=parts) | m.Steps(steps=parts):
                known[id(matcher)] = all(_alone(x, context) for x in parts)
            case m.Not(inner=inner):
                known[id(matcher)] = _alone(inner, context)
            case _:
                known[id(matcher)] = not isinstance(matcher, m.Var | m.Count | m.FindingOf | m.SpeaksFor)
    return known[id(matcher)]


def _join(j: m.Join, context: Context) -> Result:
    subject = set(SUBJECTS.get(j.thing, ()))
    asked = m.Fields(tuple((n, c) for n, c in j.when.fields if n in subject))
    rest = m.Fields(tuple((n, c) for n, c in j.when.fields if n not in subject))
    needs_bound = [c.name for _, c in asked.fields if isinstance(c, m.Var) and c.name not in context.bound]
    lacks = (j.thing, {n: _shown(c, context) for n, c in asked.fields})
    if needs_bound:
        return Result(UNKNOWN, f"{j.name}: {' '.join(needs_bound)} not shown", lacks=lacks)
    best: Result | None = None
    for thing in _candidates(j.thing, asked, context):
        before = dict(context.bound)
        same = _fields(asked, thing, j.thing, context)
        if same.answer != YES:
            context.bound = before
            continue
        other = _fields(rest, thing, j.thing, context) if rest.fields else Result(YES)
        result = Result(other.answer, j.name, thing.places, [same, other])
        if other.answer == YES:
            context.bound[j.name] = thing
            return result
        context.bound = before
        if best is None or result.answer == UNKNOWN:
            best = result
    return best or Result(UNKNOWN, f"{j.name}: not captured", lacks=lacks)


def _candidates(kind: str, asked: m.Fields, context: Context) -> Iterable[Any]:
    """The things of *kind* that may be what *asked* names, in order: where a field must equal a value that is bound, those
    that have it.
    """
    everything: Sequence[Any] = getattr(context.case, THINGS[kind][0])
    for name, condition in asked.fields:
        wanted = context.bound.get(condition.name) if isinstance(condition, m.Var) else None
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        if len(everything) < _FEW or not all(isinstance(v, str) and ":" not in v for v in values):
            continue  # an address may be written otherwise
        table = context.tables.valued.get((kind, name))
        if table is None:
            table = context.tables.valued[kind, name] = _table(everything, name)
        keys = {None, *(_plain(v) for v in values)}
        found = dict(pair for key in keys for pair in table.get(key, ()))
        return [found[at] for at in sorted(found)]
    return everything


def _table(things: Sequence[Any], name: str) -> dict[str | None, list[tuple[int, Any]]]:
    """*things* by their values of the field *name*; under None those whose value is no text."""
    table: dict[str | None, list[tuple[int, Any]]] = {}
    for at, thing in enumerate(things):
        value = getattr(thing, name, None)
        texts = value if isinstance(value, tuple | list) else (value,)
        for key in {_plain(v) if isinstance(v, str) else None for v in texts if v is not None}:
            table.setdefault(key, []).append((at, thing))
    return table


def _plain(text: str) -> str:
    return text.lower().rstrip(".")


def _shown(c: m.AnyMatcher, context: Context) -> Any:
    if isinstance(c, m.Var):
        return context.bound.get(c.name)
    if isinstance(c, m.Equals):
        return c.value
    if isinstance(c, m.OneOf):
        return [_shown(x, context) for x in c.of]
    return None


# ---- the pieces ------------------------------------------------------------------------------------------------------
def _fields(when: m.Fields, thing: Any, kind: str, context: Context) -> Result:
    answer, children = YES, []
    for name, condition in when.fields:
        if name:
            result = _field(name, condition, thing, kind, context)
        else:
            result = _special(condition, thing, kind, context)
        children.append(result)
        if result.answer < answer:
            answer = result.answer
            if answer == NO:
                break
    return Result(answer, "", (), children)


def _special(condition: m.AnyMatcher, thing: Any, kind: str, context: Context) -> Result:
    match condition:
        case m.Not(inner=m.Fields() as inner):
            before = dict(context.bound)
            result = _fields(inner, thing, kind, context)
            context.bound = before
            return Result(Answer(2 - result.answer), "not", (), [result])
        case m.OneOf(of=of):
            results = [_fields(c, thing, kind, context) for c in of if isinstance(c, m.Fields)]
            return Result(max((r.answer for r in results), default=NO), "any", (), results)
        case m.Steps(steps=steps):
            return _steps(steps, thing, context)
        case m.Count() as count:
            return _count(count, thing, kind, context)
        case m.FindingOf(rule=rule):
            has = rule in context.found.get(context.thing, ())
            return Result(YES if has else NO, f"finding {rule}")
        case m.SpeaksFor(faults=faults):
            said = context.found.get(context.thing, ())
            return Result(_yes(any(m.SPEAKS_FOR + f in said for f in faults)), f"the reply speaks for {' or '.join(faults)}")
        case _:
            return Result(UNKNOWN, "?")


def _field(name: str, condition: m.AnyMatcher, thing: Any, kind: str, context: Context) -> Result:
    attribute = "from_" if name == "from" else name
    value = getattr(thing, attribute, None)
    places = _places(thing, name) if value is not None else ()  # no line shows what is missing
    complete = bool(getattr(thing, "complete", True))
    answer, children = _value(condition, value, context, complete=complete)
    # A field that the thing did not show: ask for a capture that would show it.
    lacks = (kind, {name: None}) if answer == UNKNOWN and value is None else None
    inner = [c for c in children if c.places or c.children]
    return Result(answer, (name, condition, context.bound), () if inner else places, inner, lacks)


def _places(thing: Any, name: str) -> tuple[Place, ...]:
    where = getattr(thing, "where", None)
    if where and name in where:
        return tuple(where[name])
    return tuple(getattr(thing, "places", ()) or ())[:12]


def _value(condition: m.AnyMatcher, value: Any, context: Context, *, complete: bool) -> tuple[Answer, list[Result]]:
    """The answer of *condition* for *value*: a list is matched where one of its elements is."""
    if isinstance(condition, m.Known):
        shown = value is not None and value != () and value != ""
        return (YES if shown == condition.known else NO), []
    if isinstance(condition, m.Not):
        before = dict(context.bound)
        answer, children = _value(condition.inner, value, context, complete=complete)
        context.bound = before
        return Answer(2 - answer), children
    if isinstance(condition, m.OneOf) and not isinstance(value, tuple | list):
        best: tuple[Answer, list[Result]] = (NO if condition.of else UNKNOWN, [])
        for part in condition.of:
            answer, children = _value(part, value, context, complete=complete)
            if answer == YES:
                return YES, children
            if answer == UNKNOWN:
                best = (UNKNOWN, children)
        return best
    if value is None:
        return UNKNOWN, []
    if isinstance(value, tuple | list):
        return _elements(condition, value, context, complete=complete)
    if isinstance(condition, m.Fields):
        result = _fields(condition, value, "", context)
        return result.answer, [Result(result.answer, "", getattr(value, "places", ()) or (), result.children)]
    return _scalar(condition, value, context), []


def _elements(condition: m.AnyMatcher, values: Sequence[Any], context: Context, *, complete: bool) -> tuple[Answer, list[Result]]:
    unsure = False
    for value in values:
        before = dict(context.bound)
        answer, children = _value(condition, value, context, complete=True)
        if answer == YES:
            return YES, children
        context.bound = before
        unsure = unsure or answer == UNKNOWN
    return (UNKNOWN if unsure or not (complete or values) else NO), []


def _scalar(condition: m.AnyMatcher, value: Any, context: Context) -> Answer:
    match condition:
        case m.Equals(value=wanted):
            return _yes(_same(value, wanted))
        case m.Var(name=name):
            if name not in context.bound:
                context.bound[name] = value
                return YES
            wanted = context.bound[name]
            if wanted is None:
                return UNKNOWN
            return _yes(any(_same(value, w) for w in wanted) if isinstance(wanted, tuple) else _same(value, wanted))
        case m.Text(how=how, value=wanted):
            text = str(value)[:_LONGEST_TEXT].lower()
            return _yes(wanted in text if how == "has" else text.startswith(wanted) if how == "starts" else text.endswith(wanted))
        case m.Matches(pattern=pattern, texts=texts):
            text = str(value)[:_LONGEST_TEXT]
            # Most often the texts are not there, and then nothing need be compiled.
            return _yes(texts.stand_in(text.lower()) and bool(compiled(pattern).search(text)))
        case m.Under(domains=domains):
            name = str(value).lower().rstrip(".")
            return _yes(any(name == d or name.endswith("." + d) for d in (x.lower().strip(".") for x in domains)))
        case m.In(networks=networks):
            return _inside(str(value), networks)
        case m.Range() as r:
            return _range(value, r)
        case _:
            return UNKNOWN


def _yes(truth: bool) -> Answer:
    return YES if truth else NO


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) or isinstance(wanted, str):
        # YAML reads 5.10 and yes as it likes: compare what was meant.
        if isinstance(wanted, bool):
            wanted = "yes" if wanted else "no"
        one, other = _plain(str(value)), _plain(str(wanted))
        return one == other or (":" in one and ":" in other and _address(one) == _address(other) is not None)
    return bool(value == wanted)


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    import ipaddress

    try:
        return ipaddress.ip_address(text.strip("[]").removeprefix("IPv6:").removeprefix("ipv6:"))
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    import ipaddress

    return ipaddress.ip_network(text, strict=False)


def _inside(value: str, networks: tuple[str, ...]) -> Answer:
    address = _address(value)
    if address is None:
        return UNKNOWN
    for network in map(_network, networks):
        if network.version == address.version and address in network:
            return YES
    return NO


def _range(value: Any, r: m.Range) -> Answer:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return UNKNOWN
    good = (r.least is None or number >= r.least) and (r.most is None or number <= r.most) and (r.over is None or number > r.over)
    return _yes(good)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """A rule's expression: RE2 where it is installed, else Python's (the rules' lint holds them to RE2)."""
    try:
        import re2
    except ImportError:
        import re

        return re.compile(pattern, re.IGNORECASE)
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(pattern, options)


def _steps(steps: Sequence[m.AnyMatcher], thing: Any, context: Context) -> Result:
    """*steps* met in this order by elements of the thing's story, others between allowed."""
    story = _story(thing)
    at, places = 0, []
    for step in steps:
        if not isinstance(step, m.Fields):
            continue
        for index in range(at, len(story)):
            before = dict(context.bound)
            if _fields(_unwrapped(step), story[index], "", context).answer == YES:
                places += list(_places(story[index], ""))
                at = index + 1
                break
            context.bound = before
        else:
            return Result(NO if getattr(thing, "complete", False) else UNKNOWN, "steps", places, lacks=None)
    return Result(YES, "steps", places)


def _unwrapped(step: m.Fields) -> m.Fields:
    """``{attempt: {...}}`` and ``{reply: {...}}`` name the element; its conditions are what counts."""
    if len(step.fields) == 1 and step.fields[0][0] in {"attempt", "exchange", "reply"} and isinstance(step.fields[0][1], m.Fields):
        return step.fields[0][1]
    return step


def _story(thing: Any) -> Sequence[Any]:
    for name in ("attempts", "exchanges"):
        if hasattr(thing, name):
            return list(getattr(thing, name))
    return []


def _count(count: m.Count, thing: Any, kind: str, context: Context) -> Result:
    """How many things of the case are alike in the fields of `by`."""
    key = _by(count, thing)
    if count.where is not None and not _alone(count.where, context):
        found = _counted(count, kind, context, only=key)
    elif id(count) in context.tables.counted:
        found = context.tables.counted[id(count)]
    else:
        found = context.tables.counted[id(count)] = _counted(count, kind, context)
    return found.get(key, Result(NO, "count 0"))


def _by(count: m.Count, thing: Any) -> tuple[Any, ...]:
    return tuple(getattr(thing, f, None) for f in count.by)


def _counted(count: m.Count, kind: str, context: Context, only: tuple[Any, ...] | None = None) -> dict[tuple[Any, ...], Result]:
    """The answers to *count*, by the values of the fields of `by`; what lacks one of them is like nothing else."""
    alike: dict[tuple[Any, ...], tuple[int, list[Place], set[Any]]] = {}
    for other in getattr(context.case, THINGS[kind][0]):
        key = _by(count, other)
        if (
            None in key
            or only not in {None, key}
            or (isinstance(count.where, m.Fields) and _fields(count.where, other, kind, context).answer != YES)
        ):
            continue
        number, places, seen = alike.get(key) or (0, [], set())
        if count.distinct is not None:
            value = getattr(other, count.distinct, None)
            if value is None:
                continue
            merged = int(getattr(other, _MANY.get(count.distinct, ""), 1) or 1)  # alike problems are one, which knows how many
            number = max(number + (value not in seen), merged)
            seen.add(value)
        else:
            number += int(getattr(other, "count", 1))
        alike[key] = number, [*places, *other.places[:2]] if len(places) < _MOST_COUNTED else places, seen
    return {
        key: Result(YES if number > count.over else NO, f"count {number}", places[:_MOST_COUNTED])
        for key, (number, places, _) in alike.items()
    }


_MOST_COUNTED = 20  # lines that a count rests on
_MANY = {"client_ip": "clients", "rcpt_to": "recipients", "domain": "domains", "mail_from": "senders", "user": "users"}


def describe(condition: m.AnyMatcher, known: Mapping[str, Any] = {}) -> str:
    """*condition* in words, with the values that are *known* of its names."""
    match condition:
        case m.Equals(value=value):
            return f"is {value}"
        case m.Var(name=name):
            bound = known.get(name)
            return f"is {bound}" if isinstance(bound, str | int) else f"is ${name}"
        case m.OneOf(of=of):
            return " or ".join(describe(c, known) for c in of[:6])
        case m.Not(inner=inner):
            return f"not ({describe(inner, known)})"
        case m.Text(how=how, value=value):
            return f"{how} \u201c{value}\u201d"
        case m.Matches(pattern=pattern):
            return f"matches {pattern}"
        case m.Under(domains=domains):
            return f"is under {', '.join(domains)}"
        case m.In(networks=networks):
            return f"is in {', '.join(networks)}"
        case m.Range() as r:
            return "is " + " and ".join(
                f"{w} {v:g}" for w, v in (("at least", r.least), ("at most", r.most), ("over", r.over)) if v is not None
            )
        case m.Known(known=shown):
            return "is shown" if shown else "is not shown"
        case m.Fields(fields=fields):
            return "{" + ", ".join(f"{n} {describe(c, known)}" for n, c in fields) + "}"
        case _:
            return type(condition).__name__.lower()


def as_value(thing: Any) -> Any:
    """A bound thing as plain values, for texts."""
    return msgspec.structs.asdict(thing) if isinstance(thing, msgspec.Struct) else thing
