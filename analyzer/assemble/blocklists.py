"""Questions to blocklists and what their answers mean: the zones are data, in `rules/reference/dnsbl.yaml`."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from analyzer import cache, resources
from analyzer.assemble.names import backwards
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFUSED = ipaddress.ip_network("127.255.255.0/24")
_NAMED_LIKE_A_BLOCKLIST = re.compile(r"(?:bl|spam|black|block|abuse|drop|\buce)", re.IGNORECASE)
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@lru_cache(maxsize=1)
def zones() -> dict[str, dict[str, Any]]:
    """The blocklists known, by zone."""
    folder = resources.path_of("rules")
    stamp = f"1\n{resources.stamp(f'{folder}/reference')}" if folder else None
    if stamp is not None and (kept := cache.load_for("blocklists", stamp, dict[str, Any])) is not None:
        return kept
    found = _read_zones()
    if stamp is not None:
        cache.save_for("blocklists", stamp, found)
    return found


def _read_zones() -> dict[str, dict[str, Any]]:
    value = resources.reference("dnsbl.yaml")
    entries = value if isinstance(value, list) else (value or {}).get("zones", [])
    return {str(e["zone"]).lower(): e for e in entries if isinstance(e, dict) and "zone" in e}


def blocklist_question(name: str) -> tuple[str, str] | None:
    """The address or domain that a question about *name* asks a blocklist for, and the list's zone; None for others."""
    labels = name.split(".")
    found = backwards(labels)
    if found is not None:
        zone = ".".join(labels[found[1] :])
        other = zone.endswith(".arpa") or "." not in zone or zones().get(zone, {}).get("information")
        return None if other else (found[0], zone)
    if name.count(".") < 2:
        return None
    for start in range(1, len(labels) - 1):
        zone = ".".join(labels[start:])
        if zone in zones():  # a domain's list, or an address that somebody has blotted out
            return ".".join(labels[:start]), zone
    return None


def blocklist_answer(
    zone: str, kind: str, status: str | None, answered: str | None, addresses: Sequence[str] | None, texts: Sequence[str] | None
) -> dict[str, Any]:
    """What a blocklist's answer means: *listing*, *answer*, *meaning*."""
    known = zones().get(zone, {})
    if status == "NXDOMAIN" or (status == "NOERROR" and answered == "no" and kind in {"A", "ANY"}):
        return {"listing": "not-listed", "answer": ()}
    if texts:
        listing = _listing_in(known, " ".join(texts).lower())
        return {"meaning": "; ".join(texts)} | ({"listing": listing} if listing else {})
    if not addresses:
        return {}
    listings, meanings = [], []
    for address in addresses:
        listing, meaning = _code(zone, known, address)
        listings.append(listing)
        if meaning and meaning not in meanings:
            meanings.append(meaning)
    found: dict[str, Any] = {"answer": tuple(addresses)}
    for worst in ("refused", "listed", "policy", "allowed"):
        if worst in listings:
            found["listing"] = worst
            break
    if meanings:
        found["meaning"] = "; ".join(meanings)
    return found


def _listing_in(known: dict[str, Any], text: str) -> str | None:
    """What a blocklist's words say; only its A record tells for certain."""
    if any(w in text for w in ("open resolver", "query refused", "excessive", "error:")):
        return "refused"
    if "/pbl" in text or "dynamic" in text or "policy" in text:
        return "policy"
    kinds = {e.get("listing", "listed") if isinstance(e, dict) else "listed" for e in (known.get("codes") or {}).values()} - {"refused"}
    certain = any(w in text for w in ("sbl/", "/css", "/xbl", "blocked", "blacklist", "blocklist", "listed"))
    return "listed" if certain or kinds <= {"listed"} else None


def _code(zone: str, known: dict[str, Any], address: str) -> tuple[str | None, str | None]:
    """How *address*, a blocklist's answer, is meant, and its meaning in words."""
    try:
        value = ipaddress.ip_address(address)
    except ValueError:
        return None, None
    said = _entry(known.get("codes") or {}, address)
    meaning = said if isinstance(said, str) else (said or {}).get("means") or (said or {}).get("meaning")
    listing = said.get("listing") if isinstance(said, dict) else None
    if known.get("dead"):
        return "refused", "this list is closed, and its answers mean nothing"
    if listing is not None:
        return str(listing), meaning
    if value in _REFUSED:
        return "refused", meaning or "the query was refused, which says nothing about the address"
    if value not in _LOOPBACK:
        return None, None  # an expired list, or a resolver that answers everything
    if address in {"127.0.0.10", "127.0.0.11"} and "spamhaus" in zone:
        return "policy", meaning
    if not known and not _NAMED_LIKE_A_BLOCKLIST.search(zone):
        return None, None  # whatever it is, it may as well be a list of good senders
    return "listed", meaning


def _entry(codes: dict[Any, Any], address: str) -> Any:
    if address in codes:
        return codes[address]
    for network, value in codes.items():
        text = str(network)
        if "/" in text:
            try:
                if ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False):
                    return value
            except ValueError:
                continue
    return None
