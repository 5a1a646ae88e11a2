"""A case and the rules -> findings, beliefs, and the report."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.infer.certainty import Belief, Voice, combine
from analyzer.infer.conditions import NO, UNKNOWN, YES, Answer, Context, Result, Tables, join, match
from analyzer.infer.wording import fill
from analyzer.model import rule as m
from analyzer.model.case import THINGS, Problem
from analyzer.rulebook.index import dialect_rules, plain_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.model.case import Case
    from analyzer.model.place import Place
    from analyzer.model.rule import Rule, RuleBook

_MOST_THINGS = 2_000  # things of one kind that rules look at
_MOST_PLACES = 24
SURE = 0.6
_CLEAR = 0.4  # the share from which on a reply speaks for a fault
_NAMELESS = "unknown"  # what Postfix calls a client without a name that leads back to it (smtpd(8))
_HOME = 0.1  # what its own dialect's reading of a server's own words is worth more than another's
ANY_REPLY = "reply"  # in `refines`: whatever a dialect reads in the words of the reply
_HEARSAY = 0.75  # what words are worth that stand alone: nobody knows who said them to whom, at which step
_OF_WORDS = frozenset(
    {"refusal", "delivery-failure", "tls-failure", "local-failure", "auth-failure", "connect-failure", "hang-up", "timeout"}
)


class Outcome(msgspec.Struct):
    """One rule tried on one thing."""

    rule: Any  # Rule
    kind: str
    index: int
    result: Any  # Result
    bound: dict[str, Any]
    problems: tuple[int, ...] = ()
    superseded: bool = False

    @property
    def answer(self) -> Answer:
        answer: Answer = self.result.answer
        return answer


class Judged(msgspec.Struct):
    """A case with what the rules made of it."""

    case: Any  # Case, its problems completed by those that findings raised
    outcomes: list[Outcome]  # yes
    open: list[Outcome]  # unknown
    beliefs: list[Belief]  # by problem
    harmless: set[int]  # problems that are everyday noise
    aside: set[int]  # problems that come after those of the house's own mail


def judge(case: Case, book: RuleBook, *, unknown: bool = True) -> Judged:
    """Every rule on every thing, and the belief in each problem's rival causes; *unknown*: whether anybody asks what is open."""
    outcomes, open_ = _run(case, book, unknown=unknown)
    case = _raise(case, outcomes)
    _supersede(outcomes)
    harmless = {i for o in outcomes if o.rule.harmless and not o.superseded for i in o.problems}
    aside = {i for o in outcomes if o.rule.aside and not o.superseded for i in o.problems}
    voices = _voices(case, outcomes)
    beliefs = [combine(voices.get(i, [])) for i in range(len(case.problems))]
    return Judged(case, outcomes, open_, beliefs, harmless, aside)


# ---- running rules ---------------------------------------------------------------------------------------------------
def _run(case: Case, book: RuleBook, *, unknown: bool) -> tuple[list[Outcome], list[Outcome]]:
    outcomes: list[Outcome] = []
    open_: list[Outcome] = []
    found: dict[tuple[str, int], set[str]] = {}
    tables = Tables()
    beside = None if unknown else {kind for kind, (attribute, _) in THINGS.items() if getattr(case, attribute)}
    for kind, (attribute, _) in THINGS.items():
        for index, thing in enumerate(getattr(case, attribute)[:_MOST_THINGS]):
            said = found.setdefault((kind, index), set())
            if kind == "problem":
                for outcome in _dialect_outcomes(book, thing, index, case, found):
                    outcomes.append(outcome)
                    said.add(outcome.rule.rule)
                    fault, share = max(outcome.rule.suggests.items(), key=lambda x: x[1], default=("", 0.0))
                    if share >= _CLEAR:
                        said.add(m.SPEAKS_FOR + fault)
            for number in plain_rules(book.index, thing, kind, said, beside):
                outcome = try_rule(book.rules[number], thing, kind, index, case, found, tables)
                if outcome.answer == YES:
                    outcomes.append(outcome)
                    said.add(outcome.rule.rule)
                elif outcome.answer == UNKNOWN:
                    open_.append(outcome)
    return outcomes, open_


def try_rule(
    rule: Rule, thing: Any, kind: str, index: int, case: Case, found: dict[tuple[str, int], set[str]], tables: Tables | None = None
) -> Outcome:
    """*rule* on one *thing*: its condition, its joins, and what may block it."""
    context = Context(case, found, tables)
    context.thing = (kind, index)
    result = match(rule.when, thing, kind, context)
    children = [result]
    if result.answer != NO:
        for j in rule.with_:
            joined = join(j, context)
            children.append(joined)
            if joined.answer == NO:
                break
    answer = min(c.answer for c in children)
    if answer == YES and _blocked(rule, thing, kind, context):
        answer = NO
    whole = Result(answer, rule.rule, (), children)
    return Outcome(rule, kind, index, whole, context.bound, () if answer == NO else _attached(rule, thing, kind, index, context))


def _attached(rule: Rule, thing: Any, kind: str, index: int, context: Context) -> tuple[int, ...]:
    """The problems that a finding speaks of: the thing itself, those joined, those of the thing; none where it raises its own."""
    if kind == "problem":
        return (index,)
    bound = [v for v in context.bound.values() if isinstance(v, Problem)]
    joined = tuple(i for i, p in enumerate(context.case.problems) if any(p is v for v in bound)) if bound else ()
    if joined or rule.raises:
        return joined
    return tuple(getattr(thing, "problems", ()))


def _blocked(rule: Rule, thing: Any, kind: str, context: Context) -> bool:
    if rule.unless_when is not None and match(rule.unless_when, thing, kind, context).answer == YES:
        return True
    return any(join(j, context).answer == YES for j in rule.unless)


def _dialect_outcomes(book: RuleBook, problem: Problem, index: int, case: Case, found: dict[tuple[str, int], set[str]]) -> list[Outcome]:
    """The one dialect pattern that says most: text before code, specific before generic."""
    if problem.kind not in _OF_WORDS:
        return []
    if problem.complaint:
        shadow = msgspec.structs.replace(
            problem,
            kind="local-failure",
            text=problem.complaint,
            software=problem.complainer or problem.software,
            complaint=None,
            code=None,
            enhanced=None,
            stage=None,
        )
        said = _dialect_outcomes(book, shadow, index, case, found)
        for o in said:
            o.result.children[0].children = [Result(YES, "complaint", problem.where["complaint"])]
        if said and not said[0].rule.harmless and max(said[0].rule.suggests.values(), default=0.0) >= SURE:
            return said  # what the process complained about just before is why it failed
    best = _best_pattern(book, problem, index, case, found)
    if best is None:
        return []
    if best.rule.wordless:
        return _dialect_outcomes(book, msgspec.structs.replace(problem, text=None), index, case, found) or [best]
    return [best]


def _best_pattern(book: RuleBook, problem: Problem, index: int, case: Case, found: dict[tuple[str, int], set[str]]) -> Outcome | None:
    """The pattern that says most among those that are in their dialects' files the first ones to hold."""
    own = problem.software if problem.by == "local" or problem.kind in _OWN_WORDS else None

    def order(rule: Rule) -> tuple[int, float, str]:
        home = own is not None and (rule.dialect or "").partition("-")[0] == own
        return rule.tier, -max(rule.suggests.values(), default=0.0) - (_HOME if home else 0.0), rule.rule

    dialects: dict[str | None, list[Rule]] = {}
    for number in dialect_rules(book.index, problem):
        rule = book.rules[number]
        if _speaks_so(problem, rule):
            dialects.setdefault(rule.dialect, []).append(rule)
    best: Outcome | None = None
    # Most of the patterns are never tried: their dialects cannot say more than another one did.
    for least, rules in sorted(((min(map(order, rules)), rules) for rules in dialects.values()), key=itemgetter(0)):
        if best is not None and order(best.rule) < least:
            break
        outcomes = (try_rule(rule, problem, "problem", index, case, found) for rule in rules)
        hit = next((o for o in outcomes if o.answer == YES), None)
        if hit is not None and (best is None or order(hit.rule) < order(best.rule)):
            best = hit
    return best


# Mail servers that complain in words of their own: another one's dialect does not read them.
_MTAS = frozenset({"courier", "dovecot", "exchange", "exim", "opensmtpd", "postfix", "qmail", "sendmail"})
_SOFTWARE_TIER = 1


def _speaks_so(problem: Problem, rule: Rule) -> bool:
    """Whether what *problem*'s software says itself, of itself or of a delivery, can be in the words of *rule*'s dialect."""
    if problem.kind not in _OWN_WORDS:
        return True
    if rule.tier > _SOFTWARE_TIER:
        return problem.kind != "local-failure"
    own = problem.software
    if own not in _MTAS or problem.severity == "info" or " said: " in (problem.text or "").lower():  # a remark hands on another's words
        return True
    head = (rule.dialect or "").partition("-")[0]
    if problem.kind == "delivery-failure":
        return head == own or head not in _MTAS
    return rule.tier == _SOFTWARE_TIER and (head == own or head not in _MTAS | {"bounces", "others"})


_OWN_WORDS = frozenset({"local-failure", "delivery-failure"})


# ---- what findings mean for each other -------------------------------------------------------------------------------
def _raise(case: Case, outcomes: list[Outcome]) -> Case:
    """Findings that are problems by themselves become problems of the case."""
    problems = list(case.problems)
    at: dict[tuple[str, int, str], int] = {}
    for o in outcomes:
        if not o.rule.raises or o.problems:
            continue
        own = "" if o.kind == "lookup" else o.rule.rule
        key = (o.kind, o.index, own)
        if key not in at:
            at[key] = len(problems)
            thing = getattr(case, THINGS[o.kind][0])[o.index]
            lines = places_of(o)
            problems.append(
                Problem(
                    kind="observed",
                    places=tuple(x for x in lines if x in thing.places) or tuple(lines),  # what is joined is told beside it
                    what=fill(o.rule.raises, values_of(o, case)),
                    complete=True,
                    view=getattr(thing, "view", None),
                    domain=getattr(thing, "of", None),
                    server=getattr(thing, "server", None) if o.kind != "lookup" else None,
                    client_ip=_client_of(thing),
                )
            )
        o.problems = (at[key],)
    return msgspec.structs.replace(case, problems=tuple(problems))


def _client_of(thing: Any) -> str | None:
    """The address that a look-up of a reverse name or in a blocklist is about."""
    return getattr(thing, "dnsbl_of", None) or (thing.of if getattr(thing, "type", None) == "PTR" else getattr(thing, "client_ip", None))


def _supersede(outcomes: list[Outcome]) -> None:
    """A finding that refines another on the same problem takes its place."""
    named: dict[str, list[Outcome]] = {}
    for o in outcomes:
        named.setdefault(o.rule.rule, []).append(o)
        if o.rule.dialect is not None:
            named.setdefault(ANY_REPLY, []).append(o)
    taken: dict[str, tuple[set[int], set[tuple[str, int]]]] = {}  # rule -> the problems and things where it is refined
    for o in outcomes:
        for name in o.rule.refines:
            problems, things = taken.setdefault(name, (set(), set()))
            problems.update(o.problems)
            things.add((o.kind, o.index))
    for name, (problems, things) in taken.items():
        for other in named.get(name, ()):
            if not problems.isdisjoint(other.problems) or (other.kind, other.index) in things:
                other.superseded = True


def _voices(case: Case, outcomes: list[Outcome]) -> dict[int, list[Voice]]:
    voices: dict[int, list[Voice]] = {}
    for o in outcomes:
        if o.superseded or not (o.rule.suggests or o.rule.against):
            continue
        for index in o.problems:
            own = set(case.problems[index].places)
            own |= {p for places in case.problems[index].where.values() for p in places}
            rests_on = frozenset(set(places_of(o)) - own)
            suggests = o.rule.suggests
            if case.problems[index].hearsay == "yes":
                suggests = {fault: share * _HEARSAY for fault, share in suggests.items()}
            voices.setdefault(index, []).append(Voice(o.rule.rule, rests_on, suggests, o.rule.against))
    return voices


def places_of(o: Outcome) -> list[Place]:
    """The lines on which an outcome rests."""
    return sorted(dict.fromkeys(o.result.all_places()))[:_MOST_PLACES]


def values_of(o: Outcome, case: Case) -> dict[str, Any]:
    """The names that a rule's texts may use: the thing's fields, its problem's, what was bound and joined."""
    values: dict[str, Any] = {}
    problem = next((case.problems[index] for index in o.problems[:1] if index < len(case.problems)), None)
    if problem is not None:
        values |= problem_values(problem)
    thing = getattr(case, THINGS[o.kind][0])[o.index] if o.index < len(getattr(case, THINGS[o.kind][0])) else None
    if thing is not None and thing is not problem:
        values |= (
            problem_values(thing)
            if isinstance(thing, Problem)
            else {n: v for n in thing.__struct_fields__ if (v := getattr(thing, n)) not in (None, (), "")}
        )
    return values | {n: v for n, v in o.bound.items() if v is not None}


def told(o: Outcome, case: Case) -> dict[str, Any]:
    """The values for a fault's texts: there ``server`` is a mail server, not the name server that a look-up asked."""
    values = values_of(o, case)
    if o.kind in {"lookup", "record"}:
        values = {n: v for n, v in values.items() if n not in {"server", "server_ip"}}
        values["sender_domain"] = next((values[n] for n in ("dmarc_of", "dkim_of", "spf_of", "of") if values.get(n)), None)
    elif o.kind == "message" and values.get("return_path"):
        values |= {"mail_from": values["return_path"], "sender_domain": values["return_path"].rpartition("@")[2] or None}
    return values


def problem_values(p: Problem) -> dict[str, Any]:
    """A problem's fields by the names that texts use."""
    values = {n: v for n in p.__struct_fields__ if (v := getattr(p, n)) not in (None, "", ())}
    words = " ".join(str(v) for v in (p.code, p.enhanced, p.text) if v is not None)
    if words:
        values["reply"] = words
    if values.get("client_name") == _NAMELESS:
        del values["client_name"]
    values["client"] = values.get("client_name") or p.client_ip
    return values


def alike(beliefs: Iterable[Belief]) -> dict[str, float]:
    """The greatest share of each fault over several problems."""
    best: dict[str, float] = {}
    for belief in beliefs:
        for fault, share in belief.shares:
            best[fault] = max(best.get(fault, 0.0), share)
    return best
