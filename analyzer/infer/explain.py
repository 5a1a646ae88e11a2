"""What to capture next, and why a fault is, or is not, the answer: walks over the same result trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.assemble.names import address_of
from analyzer.expressions import re
from analyzer.infer.certainty import Voice, combine, contested
from analyzer.infer.conditions import NO, UNKNOWN, Result
from analyzer.infer.engine import values_of
from analyzer.infer.wording import fill
from analyzer.model.case import MAILBOX_PORTS
from analyzer.model.report import NextCapture, OpenRule

if TYPE_CHECKING:
    from analyzer.infer.engine import Judged, Outcome
    from analyzer.model.case import Facts, Problem
    from analyzer.model.rule import CaptureHint, RuleBook

_NO_CONNECTION = re.compile(r"(?i)connect(ion)? (to|timed out|refused)|no route to host|unreachable")
_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.){1,10}[A-Za-z][A-Za-z0-9-]{1,62}")
_MOST_NEXT = 4
_ENOUGH = 0.95
_CLEAR = 0.9  # from here on only what bears on this very question is worth asking for
_LITTLE = 0.15  # what would shift less than this comes after what helps in general
_OPEN = 0.35  # the share of "something else" from which on a cause that nobody thought of is worth a look


_OF_SENDING = frozenset({"dialogue", "connections", "delivery", "queue"})  # what a capture yields that a mailbox has no part in
_FETCHERS = frozenset({"imap-pop", "fetchmail", "getmail"})
_FETCHING = re.compile(r"(?i)\b(?:imaps?|pop3s?|incoming)\b")
_PORT_BETWEEN_SERVERS = 25


def _at_a_mailbox(p: Problem) -> bool:
    """Whether mail was to be fetched, not sent."""
    if p.view == "receiving":
        return False
    return p.port in MAILBOX_PORTS or p.format in _FETCHERS or (p.by != "server" and bool(_FETCHING.search(p.text or "")))


def next_captures(judged: Judged, book: RuleBook, voices: dict[int, list[Voice]]) -> tuple[NextCapture, ...]:
    """The captures that would shift the differential most, best first.

    The score of a capture is the sum, over the rules that it would decide, of the present belief in the outcome times
    the total shift of the shares that the outcome would bring.  Where two causes lead, what moves them apart counts twice.
    """
    scores: dict[tuple[str, str], tuple[float, CaptureHint, set[str], dict[str, Any]]] = {}
    thought_of: dict[int, set[str]] = {}  # of problems that are not settled, the causes
    of_cause: dict[str, list[int]] = {}
    for index, (problem, belief) in enumerate(zip(judged.case.problems, judged.beliefs, strict=True)):
        if problem.resolved == "yes" or index in judged.harmless or (belief.shares and belief.shares[0][1] >= _ENOUGH):
            continue
        thought_of[index] = {f for f, _ in belief.shares}
        for fault in thought_of[index]:
            of_cause.setdefault(fault, []).append(index)
    for o in judged.open:
        speaks_of = set(o.rule.suggests) | set(o.rule.against)
        for index in o.problems or sorted({i for f in speaks_of for i in of_cause.get(f, ())}):
            if index not in thought_of:
                continue
            if o.problems and thought_of[index] and not speaks_of & thought_of[index] and judged.beliefs[index].rest < _OPEN:
                continue  # about none of the causes that are thought of
            for hint, values in _hints(o, judged, book):
                if _senseless(hint, values, judged.case.problems[index]):
                    continue
                gain = _gain(o, index, judged, voices)
                if gain <= 0:
                    continue
                ask = fill(hint.ask, values, command=True)
                key = (hint.capture, ask)
                old = scores.get(key, (0.0, hint, set(), values))
                faults = old[2] | set(o.rule.suggests) | set(o.rule.against)
                scores[key] = (old[0] + gain, hint, faults, values)
    ranked = sorted(scores.items(), key=lambda kv: (-kv[1][0], kv[0]))
    seen: set[str] = set()
    found = []
    for (name, ask), (score, hint, faults, values) in ranked:
        if name in seen:
            continue
        seen.add(name)
        found.append(NextCapture(ask, fill(hint.where, values), fill(hint.tells, values), tuple(sorted(faults)), name, round(score, 4)))
    if (name_first := _unaddressed(judged, book)) is not None:
        found = [name_first, *(f for f in found if f.name != name_first.name)]
        seen.add(name_first.name)
    asked = _asked(judged, book, among=not found)
    found = [*found[: _MOST_NEXT - len(asked)], *(a for a in asked if a.name not in seen)]
    if found and name_first is None and not asked and found[0].score < _LITTLE:
        found = [*_standing(judged, book, seen, any_=True), *found]
    elif len(found) < _MOST_NEXT:
        found += _standing(judged, book, seen, any_=not found or found == [name_first])
    return tuple(found[:_MOST_NEXT])


_ASKS_OF_A_NAME = frozenset({"mx", "name-servers", "mx-from-each-server", "address", "address-ipv6", "txt", "spf", "dmarc"})
_NO_SERVER_SAW_IT = frozenset({"refused", "timed-out", "unreachable", "name-not-found", "name-temporary"})


def _senseless(hint: CaptureHint, values: dict[str, Any], p: Problem) -> bool:
    """Whether a capture has nothing to show here: records of an address, the log of a server that was never reached, SMTP at a mailbox."""
    if hint.capture in _ASKS_OF_A_NAME and address_of(str(values.get("name") or values.get("domain"))):
        return True
    nothing_to_search = not {"queue_id", "client_ip", "rcpt_to"} & {n for n, v in values.items() if v}
    match hint.capture:
        case "receiver-log":
            return _at_a_mailbox(p) or nothing_to_search or (p.kind == "connect-failure" and p.reason in _NO_SERVER_SAW_IT)
        case "sender-log":
            return _at_a_mailbox(p) or nothing_to_search
        case "connections":  # they tell whether port 25 is blocked
            return p.port not in {None, _PORT_BETWEEN_SERVERS} or _nameless(p)
        case "mx":  # mail programs dial the server that they were told
            return p.port not in {None, _PORT_BETWEEN_SERVERS} and values.get("domain") in {None, p.server}
    return (_at_a_mailbox(p) or _nameless(p)) and not _OF_SENDING.isdisjoint(hint.yields)


def _nameless(p: Problem) -> bool:
    """Whether the server's name led to no address, so that there is nothing to speak to."""
    return p.kind == "connect-failure" and p.reason in {"name-not-found", "name-temporary"}


def _unaddressed(judged: Judged, book: RuleBook) -> NextCapture | None:
    """The look-up of a name that was dialled in vain, where no line tells to which address that led."""
    hint = next((h for h in book.captures if h.capture == "address"), None)
    looked_up = {lookup.of for lookup in judged.case.lookups}
    for index, p in enumerate(judged.case.problems):
        failed = p.kind == "connect-failure" or (p.kind in {"hang-up", "timeout", "no-answer"} and p.stage == "GREETING")
        settled = p.resolved == "yes" or index in judged.harmless
        nameless = p.unresolved or p.reason in {"name-not-found", "name-temporary"}
        if hint is None or not failed or settled or nameless or p.server is None or p.server_ip is not None:
            continue
        if _NAME.fullmatch(p.server) and p.server.lower() not in looked_up:
            values = {"name": p.server}
            faults = tuple(f for f, _ in judged.beliefs[index].shares)
            return NextCapture(
                fill(hint.ask, values, command=True), fill(hint.where, values), fill(hint.tells, values), faults, hint.capture
            )
    return None


def _asked(judged: Judged, book: RuleBook, *, among: bool) -> list[NextCapture]:
    """What the findings themselves ask for: those between whose causes it is open, and, *among* others, those that left most open."""
    hints = {h.capture: h for h in book.captures}
    found: dict[str, NextCapture] = {}
    for o in judged.outcomes:
        own = [judged.beliefs[i] for i in o.problems if judged.case.problems[i].resolved == "no" and i not in judged.harmless]
        if o.superseded or not any(contested(b) or (among and b.rest >= _OPEN) for b in own):
            continue
        values = values_of(o, judged.case)
        for hint in (hints[name] for name in o.rule.asks if name in hints):
            ask = fill(hint.ask, values, command=True)
            found.setdefault(
                ask, NextCapture(ask, fill(hint.where, values), fill(hint.tells, values), tuple(o.rule.suggests), hint.capture)
            )
    return list(found.values())


_STANDING = {
    "hang-up": ("delivery", "dialogue"),
    "no-answer": ("dialogue", "delivery"),
    "timeout": ("dialogue", "connections"),
    "refusal": ("delivery", "dialogue"),
    "connect-failure": ("connections", "dialogue"),
    "delivery-failure": ("delivery", "dialogue"),
    "tls-failure": ("certificate",),
    "local-failure": ("settings", "delivery"),
    "refused login": ("login",),
    "login here": ("settings",),
    "unknown name": ("address", "resolver"),
    "refusal here": ("receiver-log", "settings"),
}


_FIRST = ("bounce", "sender-log", "dialogue")


def first_captures(book: RuleBook, facts: Facts) -> tuple[NextCapture, ...]:
    """What to begin with, where nothing shown so far tells anything: the log first, where a message is known by its id."""
    hints = {h.capture: h for h in book.captures}
    values = {n: v for n in facts.__struct_fields__ if (v := getattr(facts, n)) not in (None, ())}
    if facts.rcpt_to:
        values["rcpt_to"] = facts.rcpt_to[0]
    first = ["mailbox"] if facts.port in MAILBOX_PORTS else sorted(_FIRST, key=lambda name: name != "sender-log" or not facts.queue_id)
    return tuple(
        NextCapture(fill(h.ask, values, command=True), fill(h.where, values), fill(h.tells, values), (), h.capture)
        for h in (hints.get(name) for name in first)
        if h is not None
    )


def _standing(judged: Judged, book: RuleBook, seen: set[str], *, any_: bool) -> list[NextCapture]:
    """What helps with this kind of problem in general, where nothing more exact is known to be missing."""
    from analyzer.infer.engine import problem_values

    if not any_:
        return []
    for index, p in enumerate(judged.case.problems):
        belief = judged.beliefs[index]
        if (
            p.resolved == "yes"
            or index in judged.harmless
            or (belief.shares and belief.shares[0][1] >= _CLEAR)
            or (p.minor and not belief.shares)
        ):
            continue
        values = problem_values(p)
        if (name := p.unresolved or p.server) is not None:
            values |= {"name": name, "unresolved": name}
        shown = {"sender-log"} if _log_is_shown(p, judged) else set()
        wanted = ("mailbox",) if _at_a_mailbox(p) else _STANDING.get(_theme(p, belief.shares[0][0] if belief.shares else ""), ())
        return [
            NextCapture(
                fill(h.ask, values, command=True),
                fill(h.where, values),
                fill(h.tells, values),
                tuple(f for f, _ in belief.shares),
                h.capture,
            )
            for thing in wanted
            for h in book.captures
            if (thing in h.yields or thing == h.capture) and h.capture not in seen | shown and not _senseless(h, values, p)
        ][:2]
    return []


def _log_is_shown(p: Problem, judged: Judged) -> bool:
    """Whether the sending server's log of the message is there already; a listing of the queue is none."""
    return p.format != "queue" and any(d.queue_id == p.queue_id and d.attempts for d in judged.case.deliveries)


def _theme(p: Problem, top: str) -> str:
    """What kind of problem *p* is: an MTA's own reason may be one of the connection, or of TLS."""
    if p.kind in {"delivery-failure", "local-failure"}:
        if top.startswith("tls-"):
            return "tls-failure"
        if _NO_CONNECTION.search(p.text or ""):
            return "connect-failure"
    if p.kind == "delivery-failure" and p.by == "local":
        return "local-failure"
    if p.view == "receiving":
        return {"refusal": "refusal here", "auth-failure": "login here"}.get(p.kind, p.kind)
    if _nameless(p):
        return "unknown name"
    return "refused login" if p.stage == "AUTH" or top.startswith("auth-") else p.kind


def _gain(o: Outcome, index: int, judged: Judged, voices: dict[int, list[Voice]]) -> float:
    before = dict(judged.beliefs[index].shares)
    rule = o.rule
    after = dict(combine([*voices.get(index, []), Voice(rule.rule, frozenset({f"open {rule.rule}"}), rule.suggests, rule.against)]).shares)
    shift = sum(abs(after.get(f, 0.0) - before.get(f, 0.0)) for f in before.keys() | after.keys())
    if leaders := contested(judged.beliefs[index]):
        one, other = leaders
        shift += abs((after.get(one, 0.0) - after.get(other, 0.0)) - (before[one] - before[other]))
    likely = sum(before.get(f, 0.02) for f in rule.suggests) or 1.0 - sum(before.get(f, 0.0) for f in rule.against)
    return max(0.0, min(1.0, likely)) * shift


def _hints(o: Outcome, judged: Judged, book: RuleBook) -> list[tuple[CaptureHint, dict[str, Any]]]:
    found = []
    for thing, subject in o.result.missing():
        for hint in book.captures:
            wanted = hint.yields.get(thing)
            if wanted is None or not _fits(wanted, subject):
                continue
            values = values_of(o, judged.case)
            for name, variable in wanted.items():
                if isinstance(variable, str) and variable.startswith("$") and isinstance(subject.get(name), str):
                    values[variable[1:]] = subject[name]
            _more_names(values)
            found.append((hint, values))
    return found


def _more_names(values: dict[str, Any]) -> None:
    """The client's address, also in reverse as DNSBLs want it."""
    import ipaddress

    ip = values.get("ip") or values.get("client_ip")
    if isinstance(ip, str):
        try:
            address = ipaddress.ip_address(ip.strip("[]"))
        except ValueError:
            return
        values["ip"] = ip
        values["reverse_ip"] = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _fits(wanted: dict[str, Any], subject: dict[str, Any]) -> bool:
    """Whether a capture that yields *wanted* answers a question about *subject*."""
    for name, value in wanted.items():
        asked = subject.get(name)
        if isinstance(value, str) and value.startswith("$"):
            if name not in subject:
                return False
        else:
            values = value if isinstance(value, list) else [value]
            asks = asked if isinstance(asked, list) else [asked]
            if asked is not None and not {str(v) for v in values} & {str(a) for a in asks}:
                return False
    return all(
        name in wanted for name, asked in subject.items() if name in {"dnsbl_of", "spf_of", "dmarc_of", "dkim_of"} and asked is not None
    )


def open_rules(judged: Judged, book: RuleBook) -> tuple[OpenRule, ...]:
    """Rules that could not be answered, with what they lack; joins only, the rest would list every rule."""
    found: dict[str, OpenRule] = {}
    for o in judged.open:
        if o.rule.rule in found or o.result.children[0].answer == NO or not o.problems:
            continue
        lacking = o.result.missing()
        if not lacking:
            continue
        thing, subject = lacking[0]
        words = " ".join(f"{k} {v}" for k, v in subject.items() if v is not None)
        hints = _hints(o, judged, book)
        if thing == "problem" and not hints:
            continue
        found[o.rule.rule] = OpenRule(o.rule.rule, f"{thing} {words}".strip(), hints[0][0].capture if hints else None)
    return tuple(found.values())[:50]


def failing(result: Result) -> list[Result]:
    """The branches that made the answer *no* or *unknown*: only these are worth printing."""
    if result.answer not in {NO, UNKNOWN}:
        return []
    parts = [r for child in result.children if child.answer == result.answer for r in failing(child)]
    return parts or [result]
