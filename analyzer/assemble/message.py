"""A pasted header as a `Message`: its path with the delay of each hop, what the receiver checked, what filters think of it."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from analyzer import resources
from analyzer.assemble.authentication import Check, aligned, checks_in, domain_of, organisation, received_spf
from analyzer.assemble.names import in_private_network
from analyzer.expressions import re
from analyzer.model.case import Message
from analyzer.model.events import Attempt, Event, Header, Reported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from analyzer.model.place import Place

_BY = re.compile(r"(?i)\bby\s+([A-Za-z0-9.-]+)")
_FROM = re.compile(r"(?i)^from\s+([^\s()\[\];]{1,255})")
_NAMED = re.compile(r"\(\s*(?:EHLO |HELO |helo=)?([A-Za-z0-9_.-]{3,255}\.[A-Za-z]{2,24})\.?[\s)]")
_BRACKETS = re.compile(r"[\[(](?:IPv6:)?([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{2,45})[\])]")
_ADDRESS = re.compile(r"[^\s<>\"]{1,64}@[^\s<>\",;]{1,255}")
_TEST = re.compile(r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:[=(](-?[0-9.]+))?")
_POLICY = re.compile(r"(?i)\b(?:policy|p)\s*=\s*(none|quarantine|reject)")
_GAP = 60  # lines between fields of one header: signatures are long
_BEST_FIRST = ("pass", "fail", "permerror", "neutral", "temperror", "policy", "none")
_PLAIN = {
    "return-path": "return_path",
    "from": "from_",
    "to": "to",
    "subject": "subject",
    "message-id": "message_id",
    "auto-submitted": "auto_submitted",
}
_PASSED_ON = frozenset({"list-post", "x-forwarded-for", "x-forwarded-to", "resent-from", "x-mailing-list"})


def messages_of(events: Sequence[Event]) -> tuple[Message, ...]:
    """The messages whose header fields stand in *events*, a bounce's own header being none, and those that reports tell of."""
    groups: list[list[Header]] = []
    reports = {e.place.source for e in events if isinstance(e, Attempt) and e.format == "bounce"}
    last: Header | None = None
    for e in events:
        if not isinstance(e, Header) or e.place.source in reports:
            continue
        if last is None or e.place.source != last.place.source or e.place.line > last.place.line + _GAP:
            groups.append([])
        groups[-1].append(e)
        last = e
    return (*(_message(group) for group in groups), *(_reported(e) for e in events if isinstance(e, Reported)))


class _Found:
    """The fields found so far, each with its lines; what was found first stays."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.where: dict[str, tuple[Place, ...]] = {}

    def put(self, name: str, value: Any, *places: Place) -> None:
        if value is not None and name not in self.values:
            self.values[name] = value
            self.where[name] = places

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)


def _message(fields: Sequence[Header]) -> Message:
    found = _Found()
    for f in fields:
        name = _PLAIN.get((f.name or "").lower())
        if name in {"return_path", "from_", "to"}:
            address = _ADDRESS.search(f.value or "")
            found.put(name, address[0] if address else (f.value or "").strip("<> "), f.place)
        elif name:
            found.put(name, (f.value or "").strip("<> "), f.place)
    found.put("from_domain", domain_of(found["from_"] or ""), *found.where.get("from_", ()))
    _authenticity(found, fields)
    _filters(found, fields)
    hops = [f for f in fields if (f.name or "").lower() == "received"]
    _path(found, hops)
    return Message(
        places=tuple(f.place for f in fields),
        where=found.where,
        complete=bool(hops),
        hops=tuple(_by(h) or "?" for h in reversed(hops)),
        **found.values,
    )


# -- authenticity ------------------------------------------------------------------------------------------------------
def _authenticity(found: _Found, fields: Sequence[Header]) -> None:
    """What the last receiver found: its field stands topmost.  ARC's copies count where it left none of its own."""
    named = [((f.name or "").lower(), f) for f in fields]
    own = [(c, f.place) for n, f in named if n == "authentication-results" for c in checks_in(f.value or "")]
    sealed = [(c, f.place) for n, f in named if n == "arc-authentication-results" for c in checks_in(f.value or "")]
    spf = [(c, f.place) for n, f in named if n == "received-spf" and (c := received_spf(f.value or ""))]
    said = [*(own or sealed), *spf]
    for check, place in said:
        if check.method == "spf":
            _put_check(found, check, place, "spf_domain")
            found.put("client_ip", check.client_ip, place)
            found.put("helo", check.properties.get("smtp.helo") or check.properties.get("helo"), place)
        elif check.method == "iprev":
            found.put("client_ip", check.client_ip, place)
        elif check.method == "compauth":
            found.put("implicit", "pass" if check.result in {"pass", "softpass"} else check.result, place)
        elif check.method == "dmarc":
            found.put("from_domain", check.domain, place)
            found.put("dmarc", check.result, place)
            policy = _POLICY.search(check.reason) or _POLICY.search(
                check.properties.get("policy", "") and f"p={check.properties['policy']}"
            )
            found.put("dmarc_policy", policy[1].lower() if policy else None, place)
    # Each receiver names all signatures: those of the topmost field that speaks of any.
    signed = [(c, p) for c, p in said if c.method == "dkim"]
    signatures = [(c, p) for c, p in signed if p == signed[0][1]]
    if own and not signed and found["spf"] and not any(n == "dkim-signature" for n, _ in named):
        found.put("dkim", "none", own[0][1])  # there was nothing to check
    if signatures:
        check, place = min(signatures, key=lambda s: _rank(s[0], found["from_domain"]))
        _put_check(found, check, place, "dkim_domain")
        found.put("selector", check.selector, place)
    _alignment(found)
    if found["dmarc"] != "pass" and said:
        places = _on_the_way(found, named, own, sealed)
        found.put("forwarded", "yes" if places else "no", *(places or (said[0][1],)))


def _on_the_way(
    found: _Found,
    named: Sequence[tuple[str, Header]],
    own: Sequence[tuple[Check, Place]],
    sealed: Sequence[tuple[Check, Place]],
) -> tuple[Place, ...]:
    """The lines that show that a forwarder or a list passed it on, where a check fails that may have passed before."""
    failing = [m for m in ("spf", "dkim", "dmarc") if found[m] not in {"pass", None}]
    if not failing:
        return ()
    if own and (before := [p for c, p in sealed if c.method in failing and c.result == "pass"]):
        return tuple(before[:1])
    if arc := [p for c, p in own if c.method == "arc" and c.result == "pass" and any(f"{m}=pass" in c.reason for m in failing)]:
        return tuple(arc[:1])
    return tuple(f.place for n, f in named if n in _PASSED_ON)[:1]


def _put_check(found: _Found, check: Check, place: Place, domain: str) -> None:
    if check.method in found.values:
        return
    found.put(check.method, check.result, place)
    found.put(f"{check.method}_reason", check.reason or None, place)
    found.put(domain, check.domain, place)


def _rank(check: Check, from_domain: str | None) -> tuple[int, int]:
    """The signature that says most: one that passes for the From domain, one that passes, the From domain's that fails."""
    own = aligned(check.domain, from_domain) == "yes"
    at = _BEST_FIRST.index(check.result) if check.result in _BEST_FIRST else len(_BEST_FIRST)
    return (0 if own and at == 0 else 1 if at == 0 else 2 if own else 3, at)


def _alignment(found: _Found) -> None:
    """Whether a domain that passed is that of the From line."""
    passed = [
        (aligned(found[d], found["from_domain"]), m) for m, d in (("spf", "spf_domain"), ("dkim", "dkim_domain")) if found[m] == "pass"
    ]
    answers = [a for a, _ in passed if a is not None]
    if answers:
        found.put("aligned", "yes" if "yes" in answers else "no", *(p for _, m in passed for p in found.where[m]))


def _reported(e: Reported) -> Message:
    """The messages of one source that a DMARC report tells of."""
    found = _Found()
    for name in (
        "from_domain",
        "client_ip",
        "messages",
        "spf",
        "spf_domain",
        "dkim",
        "dkim_domain",
        "selector",
        "dmarc",
        "dmarc_policy",
        "forwarded",
        "tls",
    ):
        found.put(name, getattr(e, name), e.place)
    _alignment(found)
    places = tuple(type(e.place)(e.place.source, line) for line in range(e.place.line, (e.last_line or e.place.line) + 1))
    return Message(places=places, where=found.where, complete=True, **found.values)


# -- filters -----------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def _filter_fields() -> dict[str, dict[str, Any]]:
    """What spam filters write, by the field's name."""
    return {str(e["field"]): e for e in resources.reference("spam-headers.yaml") or []}


def _filters(found: _Found, fields: Sequence[Header]) -> None:
    verdicts: list[tuple[str, str, Place]] = []
    tests: dict[str, Place] = {}
    for f in fields:
        name = (f.name or "").lower()
        entry = _filter_fields().get(name) if name.startswith("x-") else None
        if entry is None:
            continue
        value = (f.value or "")[:4000]
        for answer in ("spam", "clean"):
            if entry.get(answer) and re.search(entry[answer], value, re.IGNORECASE):
                verdicts.append(("yes" if answer == "spam" else "no", str(entry["by"]), f.place))
                break
        for field, key in (("spam_score", "score"), ("spam_kind", "category")):
            if entry.get(key) and (said := re.search(entry[key], value, re.IGNORECASE)):
                found.put(field, said[1], f.place)
        if entry.get("tests"):
            hits = (m for m in _TEST.finditer(value) if m[2] is None or not m[2].startswith("-"))
            tests |= {m[1]: f.place for m in hits if m[2] is None or m[2].strip("0.")}
    for wanted in ("yes", "no"):
        if mine := [v for v in verdicts if v[0] == wanted]:
            found.put("spam", wanted, *(p for _, _, p in mine))
            found.put("spam_by", mine[0][1], mine[0][2])
    if tests:
        found.put("tests", tuple(tests), *dict.fromkeys(tests.values()))


# -- the path ----------------------------------------------------------------------------------------------------------
def _path(found: _Found, hops: Sequence[Header]) -> None:
    """Where the receiver took the message from, and the longest wait on the way."""
    for hop in hops:
        value = hop.value or ""
        address = next((a for a in _BRACKETS.findall(value.partition(" by ")[0]) if _public(a)), None)
        if address is None and not (found["client_ip"] and str(found["client_ip"]) in value):
            continue
        if found["client_ip"] in {None, address}:
            found.put("client_ip", address, hop.place)
            name = _NAMED.search(value.partition(" by ")[0])
            found.put("client_name", name[1].lower() if name else None, hop.place)
            helo = _FROM.match(value)
            found.put("helo", helo[1] if helo and "." in helo[1] else None, hop.place)
            found.put("server", _by(hop), hop.place)
            break
    stamps = [(s, h) for h in hops if (s := _stamp(h.value or "")) is not None]
    slowest: tuple[int, Header, Header] | None = None
    for (later, upper), (earlier, lower) in zip(stamps, stamps[1:], strict=False):
        delay = int((later - earlier).total_seconds())
        if slowest is None or delay > slowest[0]:
            slowest = (delay, upper, lower)
    if slowest is not None:
        delay, upper, lower = slowest
        places = (upper.place, lower.place)
        before, after = _by(lower), _by(upper)
        found.put("slowest_hop", delay, *places)
        found.put("slow_for", _in_words(delay), *places)
        found.put("slow_from", before, lower.place)
        found.put("slow_by", after, upper.place)
        if before and after:
            found.put("slow_inside", "yes" if organisation(before) == organisation(after) else "no", *places)


def _by(hop: Header) -> str | None:
    found = _BY.search(hop.value or "")
    return found[1].rstrip(".") if found else None


def _public(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    special = address.is_loopback or address.is_link_local or address.is_unspecified
    return not special and not in_private_network(address)


def _in_words(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    return f"{seconds // 3600} hours {seconds % 3600 // 60} minutes"


def _stamp(value: str) -> datetime | None:
    from datetime import UTC
    from email.utils import parsedate_to_datetime  # takes its time to import

    try:
        found = parsedate_to_datetime(value.rpartition(";")[2].strip())
    except (ValueError, TypeError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
