"""SPF, DMARC and DKIM records in TXT answers: what they say and where they are wrong (RFC 7208, 7489, 6376)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.model.lookup import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.lookup import Lookup
    from analyzer.model.place import Place

_MOST_DEPTH = 12
_MOST_TERMS = 300
_TERM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)(?:([:/=])(.*))?\Z")
_DOMAIN_SPEC = re.compile(r"(?:[A-Za-z0-9_.-]|%\{[A-Za-z][0-9]{0,3}r?[.+,/_=-]*\}|%%|%_|%-)+\Z")
_CIDR = re.compile(r"(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?\Z")
_ASKS = frozenset({"include", "a", "mx", "ptr", "exists"})
_MECHANISMS = _ASKS | {"all", "ip4", "ip6"}
_REDACTED = re.compile(r"\.\.\.|…|\*\*|<[^>]*>|\[[^\]]*\]|(?i:redacted|xxxx|snip)")
_NAME = {"": "+"}
Result = str | None


def records_of(lookups: Sequence[Lookup]) -> tuple[Record, ...]:
    """The policy records in *lookups*, each once."""
    found: list[Record] = []
    seen: set[tuple[str, str | None, str]] = set()
    for lookup in lookups:
        for record in _of_lookup(lookup):
            key = (record.kind, record.of if record.selector is None else f"{record.selector} {record.of}", record.text)
            if key not in seen:
                seen.add(key)
                found.append(record)
    spf: dict[str | None, Record] = {r.of: r for r in found if r.kind == "SPF" and r.of is not None}
    return tuple(_with_includes(r, spf) if r.kind == "SPF" else r for r in found)


def _of_lookup(lookup: Lookup) -> Iterable[Record]:
    if lookup.type not in {"TXT", "SPF", "ANY"} or not lookup.texts:
        return
    places = lookup.where.get("answered") or lookup.places
    spf = [t for t in lookup.texts if t.lower().startswith("v=spf1")]
    if lookup.of is None:
        yield from _bare(lookup, places)
        return
    if lookup.dmarc_of is not None:
        dmarc = [t for t in lookup.texts if re.match(r"(?i)\s*v\s*=\s*dmarc1|.*\bp=(?:none|reject|quarantine)", t[:200])]
        for text in dmarc:
            yield _dmarc(lookup.dmarc_of, text, len(dmarc), _place(lookup, text, places))
    elif lookup.dkim_of is not None:
        for text in lookup.texts:
            yield _dkim(lookup, text, _place(lookup, text, places))
    else:
        for text in spf:
            yield _spf(lookup.of, text, len([t for t in spf if _is_spf(t)]) or 1, _place(lookup, text, places))


def _bare(lookup: Lookup, places: tuple[Place, ...]) -> Iterable[Record]:
    """Records copied without their names."""
    for text in lookup.texts or ():
        low = text.lower()
        if low.startswith("v=spf1"):
            yield _spf(None, text, 1, places)
        elif low.startswith("v=dmarc1"):
            yield _dmarc(None, text, 1, places)
        elif low.startswith("v=dkim1"):
            yield _dkim(lookup, text, places)


def _place(lookup: Lookup, text: str, places: tuple[Place, ...]) -> tuple[Place, ...]:
    """The line of one of several records, where they stand on one line each."""
    if lookup.texts is not None and len(places) == len(lookup.texts):
        return (places[lookup.texts.index(text)],)
    return places


def _is_spf(text: str) -> bool:
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


# -- SPF ---------------------------------------------------------------------------------------------------------------
class Term(msgspec.Struct, frozen=True):
    """One mechanism or modifier: *qualifier* + - ~ ?, "" for a modifier."""

    qualifier: str
    name: str
    value: str
    separator: str = ""


def terms_of(text: str) -> tuple[list[Term], str | None]:
    """The terms of an SPF record, and its first mistake."""
    if not _is_spf(text):
        return [], "no blank follows v=spf1, so that this is no SPF record at all"
    found: list[Term] = []
    error: str | None = None
    for word in text.split()[1:_MOST_TERMS]:
        match = _TERM.match(word)
        wrong = None
        if match is None:
            wrong = f"`{word}` is no mechanism"
        else:
            qualifier, name, separator, value = match[1], match[2].lower(), match[3] or "", match[4] or ""
            modifier = separator == "="
            wrong = _wrong_modifier(word, name, value, qualifier) if modifier else _wrong(word, name, separator, value)
            if wrong is None:
                found.append(Term("" if modifier else qualifier or "+", name, value, separator))
        if wrong and error is None and not _REDACTED.search(word):
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


def _spf(of: str | None, text: str, count: int, places: tuple[Place, ...]) -> Record:
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
        valid=_valid(text, error),
        copies=count,
        all=every,
        networks=networks,
        mechanisms=tuple(_written(t) for t in terms),
        includes=tuple(t.value.lower().rstrip(".") for t in reached if t.name in {"include", "redirect"}),
        lookups=sum(t.name in _ASKS or t.name == "redirect" for t in reached),
    )


def _valid(text: str, error: str | None) -> str | None:
    if error is not None:
        return "no"
    return None if _REDACTED.search(text) else "yes"


def _written(term: Term) -> str:
    sign = term.qualifier if term.qualifier not in {"", "+"} else ""
    return f"{sign}{term.name}{term.separator}{term.value}"


def _up_to_all(terms: list[Term]) -> list[Term]:
    """The terms that count: nothing behind all does, nor redirect beside it."""
    at = next((i for i, t in enumerate(terms) if t.name == "all"), None)
    return terms if at is None else terms[: at + 1]


def _with_includes(record: Record, spf: dict[str | None, Record]) -> Record:
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
    return msgspec.structs.replace(record, lookups=lookups, networks=tuple(dict.fromkeys(networks)), unseen=tuple(dict.fromkeys(unseen)))


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
                texts = [t for t in lookup.texts or () if _is_spf(t)]
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


# -- DMARC and DKIM: lists of tags -------------------------------------------------------------------------------------
def tags_of(text: str) -> tuple[list[tuple[str, str]], str | None]:
    """The ``tag=value`` pairs of a record (RFC 6376 3.2), and the first mistake."""
    found: list[tuple[str, str]] = []
    error: str | None = None
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            error = error or f"`{part.strip()[:60]}` is no tag=value"
            continue
        if any(n == name for n, _ in found):
            error = error or f"{name}= stands twice"
        found.append((name, value.strip()))
    return found, error


_DMARC_VALUES = {
    "p": ("none", "quarantine", "reject"),
    "sp": ("none", "quarantine", "reject"),
    "np": ("none", "quarantine", "reject"),
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": ("y", "n", "u"),
}


def _dmarc(of: str | None, text: str, count: int, places: tuple[Place, ...]) -> Record:
    found, error = tags_of(text)
    tags = {n.lower(): v for n, v in found}
    if not found or found[0] != ("v", "DMARC1"):
        error = "it does not begin with v=DMARC1 (exactly so, in capitals)"
    elif "p" not in tags:
        error = error or "it has no policy (p=)"
    elif error is None:
        error = _wrong_dmarc(tags)
    if _REDACTED.search(text) and error and "begin" not in error and "policy" not in error:
        error = None
    strict = [n for n in ("adkim", "aspf") if tags.get(n, "").lower() == "s"]
    return Record(
        places=places,
        where={"text": places},
        complete=True,
        kind="DMARC",
        of=of,
        text=text,
        error=error,
        valid=_valid(text, error),
        copies=count,
        policy=tags.get("p", "").lower() or None,
        subdomain_policy=tags.get("sp"),
        alignment=" ".join(strict) or None,
    )


def _wrong_dmarc(tags: dict[str, str]) -> str | None:
    for name, allowed in _DMARC_VALUES.items():
        if name in tags and tags[name].lower() not in allowed:
            return f"{name}={tags[name]} is none of {', '.join(allowed)}"
    if "pct" in tags and not (tags["pct"].isdigit() and int(tags["pct"]) <= 100):
        return f"pct={tags['pct']} is no percentage"
    for name in ("rua", "ruf"):
        for uri in tags.get(name, "").split(","):
            if uri.strip() and not re.match(r"(?i)[a-z][a-z0-9+.-]*:", uri.strip()):
                return f"{name}={uri.strip()} is no URI: mailto: is missing"
    return None


def _dkim(lookup: Lookup, text: str, places: tuple[Place, ...]) -> Record:
    found, error = tags_of(text)
    tags = dict(found)
    key = re.sub(r"\s+", "", tags.get("p", ""))
    revoked, bits = "no" if key else None, None
    if "v" in tags and (tags["v"] != "DKIM1" or found[0][0] != "v"):
        error = error or "v=DKIM1 is not its first tag, exactly so"
    if "p" not in tags:
        error = error or "it has no key (p=)"
    elif not key:
        revoked = "yes"
    elif error is None and not _REDACTED.search(text):
        kind = tags.get("k", "rsa").lower()
        error, bits = _key_error(kind, key)
    return Record(
        places=places,
        where={"text": places},
        complete=True,
        kind="DKIM",
        of=lookup.dkim_of,
        selector=lookup.selector,
        text=text,
        error=error,
        valid=None if revoked == "yes" else _valid(text, error),
        copies=len(lookup.texts or ()),
        revoked=revoked,
        testing="yes" if "y" in tags.get("t", "").split(":") else None,
        key_type=tags.get("k", "rsa").lower(),
        key_bits=bits,
    )


def _key_error(kind: str, key: str) -> tuple[str | None, int | None]:
    """Why a public key cannot be used, and its size."""
    try:
        data = base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
    except (binascii.Error, ValueError):
        return "the key is no Base64", None
    if kind == "ed25519":
        return (None, 256) if len(data) in {32, 44} else ("the key is not of Ed25519's length", None)
    if kind != "rsa":
        return f"k={kind} is not known", None
    return _rsa(data)


def _rsa(data: bytes) -> tuple[str | None, int | None]:
    """The size of an RSA public key in DER (RFC 8017 A.1.1 in RFC 5280's wrapping), or why it has none."""
    outer = _der(data, 0)
    if outer is None or outer[0] != 0x30:
        return "the key is no RSA public key", None
    if outer[2] > len(data):
        return f"the key is cut short: {len(data)} of {outer[2]} octets", None
    inner = _der(data, outer[1])
    if inner is not None and inner[0] == 0x30:  # SubjectPublicKeyInfo: algorithm, then the key as a bit string
        bits = _der(data, inner[2])
        sequence = _der(data, bits[1] + 1) if bits is not None and bits[0] == 0x03 else None
        inner = _der(data, sequence[1]) if sequence is not None else None
    if inner is None or inner[0] != 0x02 or inner[2] > len(data):
        return "the key is no RSA public key", None
    return None, int.from_bytes(data[inner[1] : inner[2]], "big").bit_length()


def _der(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The tag, the start and the end of the DER value at *at*."""
    if at + 2 > len(data):
        return None
    tag, length = data[at], data[at + 1]
    start = at + 2
    if length & 0x80:
        octets = length & 0x7F
        if octets > 4 or start + octets > len(data):
            return None
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    return tag, start, start + length
