"""Whether a client that a server turned away is a stranger at the door, or somebody whose mail is awaited."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import msgspec

from analyzer.assemble.delivery import is_near
from analyzer.assemble.names import in_private_network, made_of_address
from analyzer.assemble.problems import domain_of
from analyzer.expressions import re
from analyzer.model import events as ev
from analyzer.model.events import GOOD
from analyzer.model.provider import provider_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.case import Delivery, Problem
    from analyzer.model.provider import Providers

# The reverse names of networks for end users and of machines for rent, and of those that scan the Internet.
_GENERIC = re.compile(
    r"(?i)(?:^|[.-])(?:a?dsl|dyn(?:amic)?|dynamicip|dhcp|pool|ppp(?:oe)?|cable|dial(?:up|in)?|dip[0-9]{0,3}|broadband|cust(?:omer)?s?|clients?|"
    r"static|mobile|wireless|unassigned|vps|hsd[0-9]|res|residential|catv|ftth|fibre|fiber)[0-9]{0,6}(?:[.-]|$)"
)
_SCANNER = re.compile(
    r"(?i)scan|shodan|censys|shadowserver|probe|measurement|stretchoid|binaryedge|onyphe|leakix|internet-?census|recyber|researchscan"
)
_PUBLIC_NAME = re.compile(
    r"(?i)^(?!localhost)(?=.{4,255}$)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?\.(?!local$|lan$|localdomain$|home$|internal$|invalid$)[a-z][a-z0-9-]{1,62}\.?$"
)


class Household(msgspec.Struct, frozen=True):
    """Who belongs to a server, as its log shows: *domains* that it serves, *clients* that it takes mail from."""

    domains: frozenset[str]
    clients: frozenset[str]


def household_of(deliveries: Sequence[Delivery], events: Iterable[ev.Event]) -> Household:
    """The domains for which mail is delivered here or whose users log in, and the clients whose mail is taken."""
    domains: set[str | None] = set()
    clients: set[str | None] = {e.client_ip for e in events if isinstance(e, ev.AuthResult) and e.result == "ok"}
    for d in deliveries:
        clients.add(d.client_ip)
        if d.user:
            domains |= {domain_of(d.mail_from), domain_of(d.user)}
        elif d.client_ip and is_private(d.client_ip):
            domains.add(domain_of(d.mail_from))
        for a in d.attempts:
            if a.status in GOOD and (is_near(a) or is_private(a.relay_ip or "")):
                domains |= {domain_of(a.rcpt_to), domain_of(a.orig_to)}
    return Household(frozenset(d for d in domains if d), frozenset(c for c in clients if c))


def with_stranger(p: Problem, home: Household, providers: Providers) -> Problem:
    """*p* with whether its client is a stranger, where *p* is about a client at all."""
    if p.view != "receiving" or not (p.client_ip or p.client_name) or p.by == "server":
        return p
    return msgspec.structs.replace(p, stranger=_stranger(p, home, providers))


def _stranger(p: Problem, home: Household, providers: Providers) -> str | None:
    """*yes*: nothing about it is as with a mail server or a user of this house; *perhaps*: a mail server without a name of its own;
    *named*: one with a name; *claims*: it writes under a domain of this house; *no*: it belongs here, or to a large provider; None: it is hidden.
    """
    if (
        (p.client_ip and is_private(p.client_ip))
        or (p.client_ip in home.clients and any(map(str.isdigit, p.client_ip or "")))
        or (p.user and p.kind != "auth-failure")
    ):
        return "no"
    name = (p.client_name or "").strip("<>").rstrip(".").lower()
    generic = _generic(name, p.client_ip)
    if provider_of(name, providers) and not generic:
        return "no"
    if p.kind != "auth-failure" and p.sender_domain and p.sender_domain in home.domains:
        return "claims"  # forged as often as one's own
    nameless = name in {"", "unknown"} or name.startswith("[") or generic
    if _SCANNER.search(name):
        return "yes"
    if not nameless:
        return "named"
    hidden = p.client_ip is not None and not any(map(str.isdigit, p.client_ip))
    if hidden and not name and p.kind != "auth-failure":
        return None  # whoever showed the line took out all that tells who it is
    helo = (p.helo or "").lower().rstrip(".")
    if p.sender_domain and helo and _PUBLIC_NAME.match(helo) and _related(helo, p.sender_domain):
        return "perhaps"  # a mail server without a reverse name, as it seems
    if p.kind == "auth-failure" and hidden and p.client_ip not in home.clients:
        return "perhaps"  # whoever showed the line hid the address: one hides one's own, unless all are hidden
    return "yes"


def is_private(address: str) -> bool:
    """Whether *address* is none of the public Internet's, those of documentation left out."""
    try:
        found = ipaddress.ip_address(address.removeprefix("IPv6:"))
    except ValueError:
        return False
    return found.is_loopback or found.is_link_local or in_private_network(found)


def _generic(name: str, address: str | None) -> bool:
    if _GENERIC.search(".".join(name.split(".")[:-2])):
        return True
    return address is not None and made_of_address(name, address)


def _related(name: str, domain: str) -> bool:
    """Whether *name* and *domain* share their last two labels."""
    return name.split(".")[-2:] == domain.split(".")[-2:]
