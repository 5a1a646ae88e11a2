"""What receivers write about a message's authenticity: Authentication-Results (RFC 8601) and Received-SPF (RFC 7208 9.1)."""

from __future__ import annotations

import ipaddress

import msgspec

from analyzer.expressions import re

_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "gob", "gouv", "ne", "net", "nom", "or", "org"})
_METHODS = frozenset({"spf", "dkim", "dmarc", "arc", "iprev", "compauth"})
# What some receivers write for the results of RFC 8601 2.7.
_RESULTS = {
    "dkim_pass": "pass",
    "success": "pass",
    "bestguesspass": "none",
    "perm_fail": "permerror",
    "permfail": "permerror",
    "temp_fail": "temperror",
    "hardfail": "fail",
    "invalid": "permerror",
    "unknown": "none",
    "error": "permerror",
}
_HEAD = re.compile(r"\s*(?:header\.\S+\s+)*([A-Za-z]{2,10})(?:/[0-9]{1,2})?\s*=\s*([A-Za-z_]{2,20})")
_PROPERTY = re.compile(r"([A-Za-z]+(?:\.[A-Za-z-]+)?)\s*=\s*(?:\"([^\"]{0,500})\"|([^\s;()\"]{1,500}))")
_COMMENT = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)")
_SAYS_ADDRESS = re.compile(
    r"(?i)(?:sender ip is |with ip |designates? |designate |client-ip=|remote-ip=|\[)\"?\[?([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f]{0,4}:[0-9a-f:.]{2,45})"
)


class Check(msgspec.Struct, frozen=True):
    """One check by a receiver: *method* spf, dkim ..., *result* in RFC 8601's words, *reason* in the receiver's own."""

    method: str
    result: str
    reason: str = ""
    properties: dict[str, str] = {}

    @property
    def domain(self) -> str | None:
        """The domain that was checked: of the envelope sender, of the signature, of the From line."""
        for name in _DOMAIN_OF.get(self.method, ()):
            if value := self.properties.get(name):
                return domain_of(value)
        return None

    @property
    def selector(self) -> str | None:
        """Of a DKIM signature."""
        return self.properties.get("header.s", "").lstrip("@") or None

    @property
    def client_ip(self) -> str | None:
        """The address that was checked, where the receiver names it."""
        remote = self.properties.get("smtp.remote-ip") or self.properties.get("policy.iprev")
        return _address(remote) if remote else client_in(self.reason)


_DOMAIN_OF = {
    "spf": ("smtp.mailfrom", "smtp.mfrom", "envelope-from", "smtp.helo"),
    "dkim": ("header.d", "header.i"),
    "dmarc": ("header.from",),
}


def checks_in(value: str) -> list[Check]:
    """The checks of an Authentication-Results field, in its order; what is no check is left out."""
    found: list[Check] = []
    for part in _parts(value):
        head = _HEAD.match(part)
        if head is None and " " in part.strip():  # the server's name stands before, without a semicolon
            head = _HEAD.match(part.strip().partition(" ")[2])
        if head is None or head[1].lower() not in _METHODS:
            continue
        outside = _COMMENT.sub(" ", part)
        properties = {m[1].lower(): m[2] or m[3] or "" for m in _PROPERTY.finditer(outside)}
        reasons = [*_COMMENT.findall(part), properties.get("reason", "")]
        result = head[2].lower()
        found.append(Check(head[1].lower(), _RESULTS.get(result, result), "; ".join(r.strip() for r in reasons if r.strip()), properties))
    return found


def received_spf(value: str) -> Check | None:
    """The check that a Received-SPF field tells of."""
    head = re.match(r"\s*([A-Za-z]{2,12})", value)
    if head is None:
        return None
    properties = {m[1].lower(): m[2] or m[3] or "" for m in _PROPERTY.finditer(_COMMENT.sub(" ", value))}
    if address := properties.get("client-ip"):
        properties["smtp.remote-ip"] = address
    result = head[1].lower()
    return Check("spf", _RESULTS.get(result, result), "; ".join(_COMMENT.findall(value)), properties)


def _parts(value: str) -> list[str]:
    """*value* cut at the semicolons that stand in no comment and no quotation."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, char in enumerate(value):
        if char == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth = max(0, depth - 1)
        elif char == ";" and not depth:
            parts.append(value[start:at])
            start = at + 1
    return [*parts, value[start:]]


def client_in(text: str) -> str | None:
    """The client's address in a receiver's remark about SPF."""
    found = _SAYS_ADDRESS.search(text)
    return _address(found[1]) if found else None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip("[]\"'")))
    except ValueError:
        return None


def domain_of(text: str) -> str | None:
    """The domain of an address or of itself, in lower case."""
    domain = text.strip("<>\"' ").rpartition("@")[2].rstrip(".").lower()
    return domain if "." in domain else None


def organisation(domain: str) -> str:
    """The organisation's domain that *domain* belongs to (RFC 7489 3.2), told by its look: the list of public suffixes is not at hand."""
    labels = domain.split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-keep:])


def aligned(one: str | None, other: str | None) -> str | None:
    """Whether DMARC takes two domains for the same organisation's (relaxed alignment): yes, no, None where one is not known."""
    if one is None or other is None:
        return None
    return "yes" if organisation(one) == organisation(other) else "no"
