"""Names, addresses and record data as DNS tools print them; dnspython reads them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Sequence

# dnspython takes longer to import than most captures take to be read: it is imported where there is something for it to read.

_TTL_BEHIND = re.compile(r'"[ \t]+[0-9]{1,10}\Z')  # the last column of a provider's table
_PLAIN_STRINGS = re.compile(r'(?:"[ !#-\[\]-~]{0,255}"[ \t]*){1,64}')  # without escapes: nothing that only dnspython could read
_STRING = re.compile(r'"([^"]*)"')
ADDRESSES = frozenset({"A", "AAAA"})
_NIBBLES = 32
_PRIVATE = tuple(ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))


def plain_name(text: str) -> str:
    """A name in natural form: lower case, IDNs as A-labels, no dot at the end; the root is ``.``."""
    if text in {"", "."}:
        return "."
    if not text.isascii():
        import dns.exception
        import dns.name

        try:
            text = dns.name.from_text(text).to_text()
        except (dns.exception.DNSException, UnicodeError):
            return text.rstrip(".").lower()
    return text.rstrip(".").lower()


_OF_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")


def address_of(text: str) -> str | None:
    """The address that *text* writes, in its usual form, or None."""
    bare = text.strip("[]").partition("%")[0]
    if not _OF_ADDRESS.fullmatch(bare):
        return None  # as most names
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None


_NUMBERS = re.compile(r"[0-9]{1,12}")
_LEAST_OCTETS = 3  # of the four, one behind the other


def made_of_address(name: str, address: str) -> bool:
    """Whether *name* is made of the IPv4 *address*, as providers name the lines of their customers: ``host-192-0-2-7.pool.example.net``."""
    octets = address.split(".")
    if len(octets) != 4 or not all(o.isascii() and o.isdigit() for o in octets):
        return False
    numbers = [str(int(n)) for n in _NUMBERS.findall(name) if len(n) < 4]
    for way in (octets, octets[::-1]):
        if "".join(n.zfill(3) for n in way) in name or "".join(f"{int(n):02x}" for n in way) in name.lower():
            return True
        if any(numbers[i : i + _LEAST_OCTETS] == way[at : at + _LEAST_OCTETS] for i in range(len(numbers)) for at in (0, 1)):
            return True
    return False


def in_private_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether *address* is of a network without a route in the public Internet (RFC 1918, RFC 6598, RFC 4193).

    Not `is_private`, which counts the addresses of documentation, too.
    """
    return any(address in network for network in _PRIVATE if network.version == address.version)


def backwards(labels: Sequence[str]) -> tuple[str, int] | None:
    """The address that the first *labels* write backwards, and how many they are."""
    if len(labels) > _NIBBLES and all(len(n) == 1 and n in "0123456789abcdef" for n in labels[:_NIBBLES]):
        digits = "".join(reversed(labels[:_NIBBLES]))
        return str(ipaddress.ip_address(":".join(digits[i : i + 4] for i in range(0, _NIBBLES, 4)))), _NIBBLES
    if len(labels) > 4 and all(n.isascii() and n.isdigit() and len(n) < 4 and int(n) < 256 for n in labels[:4]):
        return ".".join(str(int(n)) for n in reversed(labels[:4])), 4
    return None


def reversed_address(name: str) -> str | None:
    """The address of a name below in-addr.arpa or ip6.arpa, or None."""
    labels = name.rstrip(".").lower().split(".")
    wanted = {"in-addr": 4, "ip6": _NIBBLES}.get(labels[-2]) if labels[-1] == "arpa" and len(labels) > 1 else None
    found = backwards(labels)
    return found[0] if found is not None and found[1] == wanted == len(labels) - 2 else None


def rdata_of(rtype: str, text: str) -> tuple[Any, str | None]:
    """The record's data as dnspython reads it, or None and why it cannot."""
    import dns.exception
    import dns.name
    import dns.rdata

    try:
        return dns.rdata.from_text("IN", rtype, text, origin=dns.name.root), None
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        return None, str(error) or type(error).__name__


def values_of(rtype: str | None, text: str) -> tuple[list[str], str | None]:
    """A record's data in natural form: [name], [address], [preference, name], [text], or what stands there; and what is wrong
    with it.  Data that a person edited or cut is read as far as it goes.
    """
    text = text.strip()
    if rtype in ADDRESSES:
        return [address_of(text) or text], None
    if rtype in {"NS", "PTR", "CNAME", "DNAME"}:
        return [plain_name(text)], None
    if rtype == "MX":
        head, _, tail = text.partition(" ")
        if head.rstrip(")").isdigit() and tail.strip():
            return [str(int(head.rstrip(")"))), plain_name(tail.split()[0].lstrip(")"))], None
        return (["", plain_name(text.split()[0])] if text else []), None
    if rtype == "TXT" and '"' in text[:3]:
        text = _TTL_BEHIND.sub('"', text)
        if _PLAIN_STRINGS.fullmatch(text):
            return ["".join(_STRING.findall(text))], None
        data, error = rdata_of("TXT", text)
        if data is None:  # brackets of which the copy lacks one
            data, error = rdata_of("TXT", re.sub(r"\A\(\s*|\s*\)\Z", "", text))
        if data is None:
            return [re.sub(r'"\s*"', "", text).strip('"')], error
        return [b"".join(data.strings).decode("utf-8", "replace")], None
    return [text], None
