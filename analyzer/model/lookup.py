"""A DNS question with its answer, and the mail policy records found in answers.

None means *not shown*; an empty tuple means that the answer was shown and holds none.
"""

from __future__ import annotations

import msgspec

from analyzer.model.place import Place


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """One DNS question with its answer, or what an answer says besides (*complete* is then False).

    *status*: NOERROR, NXDOMAIN, SERVFAIL, REFUSED ... as the server said it; TIMEOUT, NO-SERVERS and SERVER-UNKNOWN where none did.
    *answered*: whether records of the type asked for were in the answer.
    """

    places: tuple[Place, ...]
    where: dict[str, tuple[Place, ...]] = {}
    complete: bool = False
    format: str = ""
    type: str | None = None  # A, AAAA, MX, PTR, TXT, NS, SOA, CNAME ...
    of: str | None = None  # the subject: a name without its last dot, an address for PTR
    name: str | None = None  # the owner as DNS writes it
    purpose: str | None = None  # name, reverse, dnsbl, dmarc, dkim, mta-sts, tls-rpt, bimi, tlsa, service
    status: str | None = None
    answered: str | None = None  # yes | no
    addresses: tuple[str, ...] | None = None  # those of aliases' targets included
    names: tuple[str, ...] | None = None  # the names that PTR, MX, NS or CNAME records give
    exchanges: tuple[str, ...] | None = None  # MX targets, best first
    preferences: tuple[int, ...] | None = None  # beside them
    texts: tuple[str, ...] | None = None  # TXT records, their strings joined
    cname: str | None = None  # what the name is an alias of
    target: str | None = None  # the end of the chain of aliases
    serial: int | None = None  # of an SOA record
    server: str | None = None  # who answered, by name where one is shown
    server_ip: str | None = None
    flags: tuple[str, ...] | None = None  # qr aa rd ra ad cd tc
    authoritative: str | None = None  # yes | no
    checking_disabled: str | None = None  # yes: asked without validation (+cd)
    dnssec: str | None = None  # validated | unsigned | bogus | not-validated
    ede: tuple[int, ...] | None = None  # extended DNS error codes (RFC 8914)
    ede_text: str | None = None
    error: str | None = None  # what cannot be read in a record, or why there was no answer
    referral: str | None = None  # yes: the server pointed elsewhere; upward: to the root
    doubled: str | None = None  # a name, asked for or answered, that ends in the same domain twice; no: none does
    generic: str | None = None  # of a reverse name: yes: it is made of the address, as providers name their customers' lines
    short: str | None = None  # yes: only the data was printed (+short)
    negative_of: str | None = None  # the zone whose SOA record came with a negative answer
    zone: str | None = None  # the blocklist asked
    dnsbl_of: str | None = None  # the address or domain asked about
    listing: str | None = None  # listed | not-listed | policy | refused
    answer: tuple[str, ...] | None = None  # the codes that a blocklist answered
    meaning: str | None = None  # what they mean
    spf_of: str | None = None  # a TXT question about this name
    dmarc_of: str | None = None
    dkim_of: str | None = None
    selector: str | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A policy record in TXT: *kind* SPF, DMARC, DKIM, MTA-STS, TLS-RPT or BIMI.  *error* is its first mistake, None where there is none."""

    places: tuple[Place, ...]
    where: dict[str, tuple[Place, ...]] = {}
    complete: bool = False
    kind: str
    of: str | None = None  # the mail domain
    selector: str | None = None
    text: str = ""
    error: str | None = None
    valid: str | None = None  # yes | no
    copies: int = 1  # records of this kind at the name
    mechanisms: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()  # ip4 and ip6 networks that SPF passes
    includes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # included names whose records the case does not show
    lookups: int | None = None  # DNS look-ups that SPF needs, as far as visible
    dead: tuple[str, ...] = ()  # those that hold no SPF record, as a look-up shows
    ignored: tuple[str, ...] = ()  # SPF terms behind all, which nobody looks at
    all: str | None = None  # the qualifier of all: + - ~ ?
    client_ip: str | None = None  # the address from which the case shows mail of the domain
    client_result: str | None = None  # what SPF says of it: pass, fail, softfail, neutral, permerror; None where look-ups are missing
    policy: str | None = None  # DMARC p=
    subdomain_policy: str | None = None
    alignment: str | None = None  # strict where DMARC wants it for SPF or DKIM
    revoked: str | None = None  # yes: an empty DKIM key
    testing: str | None = None  # yes: DKIM t=y
    key_type: str | None = None
    key_bits: int | None = None  # of an RSA key
    problems: tuple[int, ...] = ()
