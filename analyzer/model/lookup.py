"""DNS questions with their answers, and the mail records found in them."""

from __future__ import annotations

import msgspec

from analyzer.model.place import Place  # noqa: TC001 - msgspec reads the annotation


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """One DNS question with its answer (RFC 8499).  None means: not shown."""

    places: tuple[Place, ...]
    where: dict[str, tuple[Place, ...]] = {}
    complete: bool = False
    type: str | None = None
    of: str | None = None             # the subject: a name without its last dot, for PTR the address
    name: str | None = None           # the owner as asked
    status: str | None = None         # NOERROR, NXDOMAIN, SERVFAIL, REFUSED, TIMEOUT, NO-SERVERS ...
    answered: str | None = None       # yes | no: the answer holds records of the type
    addresses: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    exchanges: tuple[str, ...] | None = None
    preferences: tuple[int, ...] | None = None
    texts: tuple[str, ...] | None = None
    cname: str | None = None
    server: str | None = None         # who answered
    flags: tuple[str, ...] | None = None
    authoritative: str | None = None
    ede: str | None = None            # extended DNS error (RFC 8914)
    dnsbl_of: str | None = None       # the address or domain that a DNSBL was asked about
    zone: str | None = None           # the DNSBL's zone
    answer: tuple[str, ...] | None = None
    meaning: str | None = None
    listing: str | None = None        # listed | policy | not-listed | refused
    spf_of: str | None = None
    dmarc_of: str | None = None
    dkim_of: str | None = None
    selector: str | None = None
    problems: tuple[int, ...] = ()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An SPF, DKIM or DMARC record (RFC 7208, 6376, 7489)."""

    places: tuple[Place, ...]
    where: dict[str, tuple[Place, ...]] = {}
    complete: bool = False
    kind: str | None = None           # spf | dkim | dmarc
    of: str | None = None
    selector: str | None = None
    text: str | None = None
    error: str | None = None
    count: int | None = None
    lookups: int | None = None
    all: str | None = None
    policy: str | None = None
    revoked: str | None = None
    mechanisms: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()
