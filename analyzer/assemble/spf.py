"""SPF records: what they say, where they are wrong, and whether they let an address send (RFC 7208)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import msgspec

from analyzer.assemble.tags import REDACTED, valid_of
from analyzer.expressions import re
from analyzer.model.lookup import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.lookup import Lookup
    from analyzer.model.place import Place

_MOST_DEPTH = 12
_MOST_TERMS = 300
_TERM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)(?:([:/=])(.*))?\Z")
_DOMAIN_SPEC = re.compile(r"(?:[A-Za-z0-9_.-]|%\{[A-Za-z][0-9]{0,3}r?[.+,/_=-]*\}|%%|%_|%-)+\Z")
_CIDR = re.compile(r"(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?\Z")
_ASKS = frozenset({"include", "a", "mx", "ptr", "exists"})
_MECHANISMS = _ASKS | {"all", "ip4", "ip6"}
Result = str | None


def is_spf(text: str) -> bool:
    """Whether *text* is an SPF record at all (RFC 7208 4.5)."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


class Term(msgspec.Struct, frozen=True):
    """One mechanism or modifier: *qualifier* + - ~ ?, "" for a modifier."""

    qualifier: str
    name: str
    value: str
    separator: str = ""


def terms_of(text: str) -> tuple[list[Term], str | None]:
    """The terms of an SPF record, and its first mistake."""
    if not is_spf(text):
        return [], "no blank follows v=spf1, so that this is no SPF record at all"
    found: list[Term] = []
    error: str | None = None
    for word in text.split()[1:_MOST_TERMS]:
        match = _TERM.match(word)
        wrong, hidden = None, REDACTED.search(word)
        if match is None:
            wrong = f"`{word}` is no mechanism"
        else:
            qualifier, name, separator, value = match[1], match[2].lower(), match[3] or "", match[4] or ""
            modifier = separator == "="
            wrong = _wrong_modifier(word, name, value, qualifier) if modifier else _wrong(word, name, separator, value)
            if wrong is None:
                found.append(Term("" if modifier else qualifier or "+", name, value, separator))
            if separator == ":" and name not in _MECHANISMS:
                hidden = REDACTED.search(name)  # whatever the value is, there is no such mechanism
        if wrong and error is None and not hidden:
            error = wrong
    for name in ("redirect", "exp"):
        if error is None and sum(t.name == name and not t.qualifier for t in found) > 1:
            error = f"{name}= stands more than once"
    return found, error


def _wrong_modifier(word: str, name: str, value: str, qualifier: str) -> str | None:
    if qualifier:
        return f"`{word}`: a modifier takes no qualifier"
    if name in _MECHANISMS:
        return f"`{word}`: after {name} a colon belongs, not ="
    if name in {"redirect", "exp"} and not _DOMAIN_SPEC.match(value):
        return f"`{word}` names no domain"
    return None


def _wrong(word: str, name: str, separator: str, value: str) -> str | None:
    """Why a mechanism is malformed, or None."""
    if name not in _MECHANISMS:
        return f"`{word}` is no mechanism"
    if name == "all":
        return f"`{word}`: all takes nothing" if separator else None
    if name in {"ip4", "ip6"}:
        if separator != ":":
            return f"`{word}` holds no address"
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return f"`{word}` holds no {'IPv4' if name == 'ip4' else 'IPv6'} address or network"
        return None if network.version == int(name[2]) else f"`{word}` holds an address of the other family"
    domain, cidr = (value, "") if separator == ":" else ("", value)
    if separator == ":" and name in {"a", "mx"}:
        domain, slash, rest = value.partition("/")
        cidr = rest if slash else ""
    if name in {"include", "exists"} and (separator != ":" or not domain):
        return f"`{word}` names no domain"
    if separator == ":" and not _DOMAIN_SPEC.match(domain):
        return f"`{word}` names no domain"
    if name in {"a", "mx"} and (cidr or separator == "/") and not _prefix_lengths(cidr):
        return f"`{word}` has no valid prefix length"
    if name == "ptr" and separator == "/":
        return f"`{word}`: ptr takes no prefix length"
    return None


def _prefix_lengths(text: str) -> bool:
    found = _CIDR.match("/" + text)
    return bool(found and (found[1] is None or int(found[1]) <= 32) and (found[2] is None or int(found[2]) <= 128))


def spf_record(of: str | None, text: str, count: int, places: tuple[Place, ...]) -> Record:
    terms, error = terms_of(text)
    every = next((t.qualifier for t in terms if t.name == "all"), None)
    reached = _up_to_all(terms)
    networks = tuple(t.value for t in reached if t.name in {"ip4", "ip6"} and t.qualifier == "+")
    return Record(
        places=places,
        where={"text": places},
        complete=True,
        kind="SPF",
        of=of,
        text=text,
        error=error,
        valid=valid_of(text, error),
        copies=count,
        all=every,
        networks=networks,
        mechanisms=tuple(_written(t) for t in terms),
        ignored=tuple(_written(t) for t in terms[len(reached) :] if t.name != "exp"),
        includes=tuple(t.value.lower().rstrip(".") for t in reached if t.name in {"include", "redirect"}),
        lookups=sum(t.name in _ASKS or t.name == "redirect" for t in reached),
    )


def _written(term: Term) -> str:
    sign = term.qualifier if term.qualifier not in {"", "+"} else ""
    return f"{sign}{term.name}{term.separator}{term.value}"


def _up_to_all(terms: list[Term]) -> list[Term]:
    """The terms that count: nothing behind all does, nor redirect beside it."""
    at = next((i for i, t in enumerate(terms) if t.name == "all"), None)
    return terms if at is None else terms[: at + 1]


def with_includes(record: Record, spf: dict[str | None, Record], shown: Sequence[Lookup]) -> Record:
    """*record* with the look-ups and networks of the records that it includes, as far as they are shown."""
    lookups, networks, unseen = 0, list(record.networks), []
    stack, seen = [(record, 0)], {record.of}
    while stack:
        at, depth = stack.pop()
        lookups += sum(t.name in _ASKS or t.name == "redirect" for t in _up_to_all(terms_of(at.text)[0]))
        for name in at.includes:
            inner = spf.get(name)
            if inner is None:
                unseen.append(name)
            elif name not in seen and depth < _MOST_DEPTH:
                seen.add(name)
                networks += inner.networks
                stack.append((inner, depth + 1))
    dead = tuple(name for name in dict.fromkeys(unseen) if _holds_no_spf(name, shown))
    return msgspec.structs.replace(
        record, dead=dead, lookups=lookups, networks=tuple(dict.fromkeys(networks)), unseen=tuple(dict.fromkeys(unseen))
    )


def _holds_no_spf(name: str, shown: Sequence[Lookup]) -> bool:
    """Whether a look-up of *name* was shown that holds no SPF record: including it is then an error (RFC 7208 5.2)."""
    return any(
        x.of == name
        and (
            x.status == "NXDOMAIN"
            or (x.type == "TXT" and x.status == "NOERROR" and x.answered is not None and not any(map(is_spf, x.texts or ())))
        )
        for x in shown
    )


def with_client(record: Record, clients: Sequence[tuple[str, str, tuple[Place, ...]]], lookups: Sequence[Lookup]) -> Record:
    """*record* with what it says of the address from which the case shows mail of its domain; *clients* are (domain, address, lines)."""
    for domain, address, places in clients:
        if record.kind == "SPF" and domain == record.of:
            result = spf_result(record, address, lookups)
            where = {**record.where, "client_ip": places, "client_result": record.places}
            return msgspec.structs.replace(record, client_ip=address, client_result=result, where=where)
    return record


def spf_allows(record: Record, ip: str, case_lookups: Sequence[Lookup]) -> str | None:
    """Whether *record* lets *ip* send: yes (pass), no (fail, softfail), None where the case does not show enough."""
    return {"pass": "yes", "fail": "no", "softfail": "no"}.get(spf_result(record, ip, case_lookups) or "")


def spf_result(record: Record, ip: str, case_lookups: Sequence[Lookup]) -> str | None:
    """pass, fail, softfail, neutral or permerror (RFC 7208 2.6), None where look-ups are missing."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    return _Check(address, case_lookups).result(record.text, record.of or "", 0)


_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class _Check:
    def __init__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, lookups: Sequence[Lookup]) -> None:
        self.address, self.lookups = address, lookups

    def result(self, text: str, domain: str, depth: int) -> Result:
        terms, error = terms_of(text)
        if error is not None:
            return "permerror"
        possible: set[str] = set()
        outcome: Result = "neutral"
        for term in terms:
            if not term.qualifier:
                continue
            matched = self._matches(term, domain, depth)
            if matched == "permerror":
                outcome = "permerror"
                break
            if matched is None:
                possible.add(_RESULTS[term.qualifier])
            elif matched == "yes":
                outcome = _RESULTS[term.qualifier]
                break
        else:
            redirect = next((t.value for t in terms if t.name == "redirect" and not t.qualifier), None)
            if redirect is not None:
                outcome = self._of_domain(redirect, depth)
        return outcome if not possible or possible == {outcome} else None

    def _of_domain(self, domain: str, depth: int) -> Result:
        """The result of another domain's record; permerror where it has none."""
        if depth > _MOST_DEPTH or "%" in domain:
            return None
        name = domain.lower().rstrip(".")
        for lookup in self.lookups:
            if lookup.type == "TXT" and lookup.of == name:
                texts = [t for t in lookup.texts or () if is_spf(t)]
                if len(texts) == 1:
                    return self.result(texts[0], name, depth + 1)
                if len(texts) > 1 or lookup.answered == "no" or lookup.complete:
                    return "permerror"
        return None

    def _matches(self, term: Term, domain: str, depth: int) -> str | None:
        match term.name:
            case "all":
                return "yes"
            case "ip4" | "ip6":
                network = ipaddress.ip_network(term.value, strict=False)
                return "yes" if network.version == self.address.version and self.address in network else "no"
            case "include":
                inner = self._of_domain(term.value, depth)
                if inner == "permerror":
                    return inner
                return None if inner is None else "yes" if inner == "pass" else "no"
            case "a":
                name, lengths = _target(term, domain)
                return self._among(self._addresses(name), lengths)
            case "mx":
                name, lengths = _target(term, domain)
                return self._among(self._mail_hosts(name), lengths)
            case _:
                return None

    def _addresses(self, name: str) -> list[str] | None:
        """The addresses of *name* in the client's family; None where nobody asked."""
        wanted = "A" if self.address.version == 4 else "AAAA"
        found: list[str] | None = None
        for lookup in self.lookups:
            if lookup.of == name and (lookup.type == wanted or lookup.status == "NXDOMAIN") and lookup.addresses is not None:
                found = [*(found or []), *lookup.addresses]
        return found

    def _mail_hosts(self, name: str) -> list[str] | None:
        for lookup in self.lookups:
            if lookup.of == name and lookup.type == "MX" and lookup.exchanges is not None:
                lists = [self._addresses(host) for host in lookup.exchanges]
                known = [a for found in lists if found is not None for a in found]
                if str(self.address) in known:
                    return known
                return None if None in lists else known
        return None

    def _among(self, addresses: list[str] | None, lengths: tuple[int, int]) -> str | None:
        if addresses is None:
            return None
        length = lengths[0] if self.address.version == 4 else lengths[1]
        for text in addresses:
            try:
                network = ipaddress.ip_network(f"{text}/{length}", strict=False)
            except ValueError:
                continue
            if network.version == self.address.version and self.address in network:
                return "yes"
        return "no"


def _target(term: Term, domain: str) -> tuple[str, tuple[int, int]]:
    """The name that an a or mx mechanism asks for, and its prefix lengths."""
    name, _, cidr = term.value.partition("/") if term.separator == ":" else ("", "", term.value)
    found = _CIDR.match("/" + cidr) if cidr else None
    lengths = (int(found[1]) if found and found[1] else 32, int(found[2]) if found and found[2] else 128)
    return (name or domain).lower().rstrip("."), lengths
