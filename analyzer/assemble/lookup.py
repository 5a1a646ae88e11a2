"""DNS answers -> `Lookup`s: questions with their answers, and what answers say besides."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from analyzer.assemble.answers import Answer, PrintedRecord, answers_of, open_bracket
from analyzer.assemble.blocklists import blocklist_answer, blocklist_question
from analyzer.assemble.names import ADDRESSES, address_of, made_of_address, plain_name, reversed_address
from analyzer.expressions import re
from analyzer.model import events as ev
from analyzer.model.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from analyzer.model.place import Place

_TOLD = frozenset({"A", "AAAA", "MX", "NS", "PTR", "TXT", "CNAME", "SOA"})  # what is worth telling apart
_DOUBLED = re.compile(r"(?:^|\.)((?:[a-z0-9-]+\.)+[a-z]{2,63})\.\1$")  # mail.example.org.example.org
_MOST_ALIASES = 12
_SHOWING = ("of", "status", "ede", "dnssec", "referral", "warnings")  # the fields whose lines show a look-up
USUAL = "the usual resolver"  # asked where a command names no server
_UNREADABLE = re.compile(r"(?=[^xX*#]{0,64}[xX*#])(?:(?:[0-9]{1,3}|[xX*#]{1,3})\.){3}(?:[0-9]{1,3}|[xX*#]{1,3})(?:\.in-addr\.arpa)?\.?")


def lookups_of(events: Sequence[ev.Event], blotted: Iterable[int] = ()) -> tuple[Lookup, ...]:
    """The look-ups in the events of one segment, in order; nothing is concluded from silence where a line in *blotted* stands."""
    found = [lookup for answer in answers_of(events, blotted) for lookup in _Finished(answer).lookups()]
    tried = [e.place for e in events if isinstance(e, ev.Noise) and (e.text or "").startswith('Trying "')]
    return tuple(_asked_for(found, tried) if tried else found)


def _asked_for(found: Sequence[Lookup], tried: Sequence[Place]) -> list[Lookup]:
    """Without the questions that `host -v` asks unasked: after A and AAAA it wants the MX of any name, a mail domain or not."""
    lines = {(p.source, p.line) for p in tried}
    kept: list[Lookup] = []
    for at, lookup in enumerate(found):
        before = [(x.type, x.of) for x in found[max(at - 2, 0) : at]]
        first = lookup.places[0]
        by_itself = any((first.source, first.line - n) in lines for n in (0, 1, 2))  # a blank line may stand between
        if lookup.type == "MX" and lookup.answered == "no" and by_itself and before == [("A", lookup.of), ("AAAA", lookup.of)]:
            continue
        kept.append(lookup)
    return kept


class _Finished:
    def __init__(self, block: Answer) -> None:
        self.block, self.last = block, block.last
        if self.last and not block.ended and block.records and _is_half(block.records[-1], block.format):
            block.records.pop()  # the paste ends within it
            block.blotted = True
        self.aliases = {plain_name(r.owner): r for r in block.records if r.type == "CNAME" and r.owner and r.section != "QUESTION"}
        self.used: set[int] = set()

    def lookups(self) -> list[Lookup]:
        block = self.block
        found: list[Lookup] = []
        if block.serials:
            return self._serials()
        self._absences(found)
        queries: list[tuple[str | None, str | None]] = [(block.name, block.type)] if block.name is not None else [*block.asked.queries]
        if block.absent:
            queries = [q for q in queries if not self._told_absent(q)]
        if block.failed and not block.records:
            queries = queries[:1]  # host asks further only after an answer
        if block.asked.short:
            queries = self._spread(queries)
        for name, rtype in queries:
            if _UNREADABLE.fullmatch(name or ""):
                continue  # a question about x.x.x.x
            if (lookup := self._main(name or "", rtype, sole=len(queries) == 1)) is not None:
                found.append(lookup)
        found += self._besides()
        if block.failed and not found:
            found.append(self._unasked())
        return [f for f in found if not (f.of and _UNREADABLE.fullmatch(f.of))]

    def _serials(self) -> list[Lookup]:
        """The zone's serial number at each of its servers."""
        query = next(iter(self.block.asked.queries), None)
        name = query[0] if query else None
        return [
            Lookup(
                places=tuple(record.places),
                complete=name is not None,
                format=self.block.format,
                type="SOA",
                of=plain_name(name) if name else None,
                name=name,
                purpose="name",
                status="NOERROR",
                answered="yes",
                serial=_serial(record.text),
                server=record.server,
                server_ip=record.server,
                where={"serial": tuple(record.places), "server": tuple(record.places)},
            )
            for record in self.block.serials
        ]

    def _unasked(self) -> Lookup:
        """A failure, the question not shown."""
        block = self.block
        return Lookup(
            places=tuple(sorted(set(block.places))),
            where={k: tuple(v) for k, v in block.where.items()},
            complete=True,
            format=block.format,
            status=block.failed,
            **self._circumstances(block.failed),
        )

    def _told_absent(self, query: tuple[str | None, str | None]) -> bool:
        name = plain_name(query[0] or "")
        for owner, rtype, status, _place in self.block.absent:
            address = address_of(name)
            same = name == plain_name(owner) or (address is not None and reversed_address(owner) == address)
            if same and (status != "NOERROR" or rtype in {None, query[1]} or query[1] is None):
                return True
        return False

    def _spread(self, queries: list[tuple[str | None, str | None]]) -> list[tuple[str | None, str | None]]:
        """+short: give each printed datum its owner and type, by its shape."""
        bare = [r for r in self.block.records if r.type == "short" or r.owner is None]
        for record in bare:
            shape = _shape(record.text)
            query = next((q for q in queries if (q[1] or "A") in shape), queries[0] if queries else None)
            wanted = (query[1] or "A") if query else shape[0]
            record.owner = query[0] if query else None
            record.type = wanted if wanted in shape else shape[0]
        # a name before addresses is the end of an alias
        for name, rtype in queries:
            if (rtype or "A") not in ADDRESSES:
                continue
            owner = name
            for record in bare:
                if record.owner == name and record.type == "NAME":
                    record.type, record.owner = "CNAME", owner
                    owner = record.text
                elif record.owner == name and record.type in ADDRESSES:
                    record.owner = owner
        for record in bare:
            if record.type == "NAME":
                record.type = next((q[1] for q in queries if q[1] in {"PTR", "NS", "CNAME"}), "CNAME")
        self.aliases = {plain_name(r.owner): r for r in self.block.records if r.type == "CNAME" and r.owner}
        return queries

    def _absences(self, found: list[Lookup]) -> None:
        block = self.block
        query = block.asked.queries[0] if block.asked.queries else (None, None)
        for said, rtype, status, place in block.absent:
            owner = said or query[0] or ""  # a translated complaint names it somewhere; the command does, too
            address = reversed_address(owner)
            kind = rtype or (query[1] if query[0] else None) or ("PTR" if address else "A")
            answered = "no" if status in {"NXDOMAIN", "NOERROR"} else None
            found.append(
                self._lookup(
                    owner,
                    kind,
                    status=status,
                    answered=answered,
                    complete=True,
                    places=[*_until(block.places, place), place],
                    values={},
                    cited={"status": [place], "of": [place]},
                )
            )

    def _chain(self, name: str) -> tuple[list[PrintedRecord], str]:
        """The aliases from *name* on, and where they end."""
        chain: list[PrintedRecord] = []
        at = plain_name(name)
        while at in self.aliases and len(chain) < _MOST_ALIASES and self.aliases[at] not in chain:
            chain.append(self.aliases[at])
            at = chain[-1].read()[0]
        return chain, at

    def _main(self, name: str, rtype: str | None, sole: bool) -> Lookup | None:
        block = self.block
        kind = (rtype or "A").upper()
        address = address_of(name) if kind == "PTR" else None
        owner = ipaddress.ip_address(address).reverse_pointer if address else name
        chain, end = self._chain(owner)
        final = f"STEP{block.steps}" if block.steps else "ANSWER"
        answer = [r for r in block.records if r.section == final]
        if block.steps > 1 and not answer and not block.failed and not any(r.section == "ANSWER" for r in block.records):
            block.referral = block.referral or "empty"  # the last server had nothing to say, not even a negative answer
            block.where.setdefault("referral", block.where.get("server", []))
        own = [r for r in answer if r.type == kind and r.owner is not None and plain_name(r.owner) in {end, plain_name(owner)}]
        if sole and not own and kind == "PTR":
            own = [r for r in answer if r.type == "PTR"]
        for record in (*chain, *own):
            self.used.add(id(record))
        status = block.status or block.failed or ("NOERROR" if own or chain else None)
        host_default = block.asked.tool == "host" and rtype is None
        answered = self._answered(own, status, answer)
        whole = block.header and self._all_shown([r for r in answer if r.type != "short"])
        if status is None and not own and self._denial():
            status, answered, whole = "NOERROR", "no", True  # the zone's own word that there is none
        complete = bool(status in {"NXDOMAIN", "SERVFAIL", "REFUSED"} or block.failed or (status == "NOERROR" and whole))
        if status is None:
            if not own and (block.blotted or (self.last and block.asked.short and not chain)):
                return self._silent(name, kind)  # what was printed for it may have been made unreadable, or not copied
            # Nothing printed: +short and +noall print nothing where there is nothing; the rest may be cut off.
            if not (block.asked.short or block.asked.quiet or host_default or block.records) or (self.last and not block.records):
                return None if not block.asked.tool else self._silent(name, kind)
            if not block.asked.short and not block.asked.quiet and not block.records:
                return None
            answered = "no" if not own else "yes"
            if not (block.asked.short or block.asked.quiet):
                status = "NOERROR"
        if block.format in {"host", "nslookup"} and own:
            complete = True
        if kind == "ANY":
            answered = "yes" if answer else answered
        values = self._values(kind, own, chain, end)
        cited = {k: list(v) for k, v in block.where.items()}
        for field in ("of", "type"):
            cited[field] = cited.get(field, [])[-1:]  # the command, dig's copy of it, the question: the last says it best
        data = [p for r in (*chain, *own) for p in r.places] or block.where.get("flags") or [p for r in self._denial() for p in r.places]
        if data:
            cited.setdefault("answered", []).extend(data)
        shown = [p for field in _SHOWING for p in cited.get(field, ())]
        return self._lookup(
            owner,
            kind,
            status=status,
            answered=answered,
            complete=complete,
            values=values,
            cited=cited,
            places=sorted({*shown, *data}) or block.places[:1],
            main=True,
            errors=[r.error for r in own if r.error],
        )

    def _answered(self, own: list[PrintedRecord], status: str | None, answer: list[PrintedRecord]) -> str | None:
        block = self.block
        if own:
            return "yes"
        if status == "NXDOMAIN":
            return "no"
        if status == "NOERROR" and not block.failed:
            if block.steps and not any(r.type == "SOA" for r in answer):
                return None
            if block.header and self._all_shown(answer):
                return "no"
            if block.asked.tool in {"host", "nslookup"} and answer:
                return "no"
        return None

    def _all_shown(self, answer: Sequence[PrintedRecord]) -> bool:
        """Whether *answer* is everything that the server answered: as many records as it says, or the paste goes on behind it."""
        if self.block.answers is not None:
            return self.block.answers == len(answer)
        return bool(answer) or self.block.ended or not self.last or any(r.section == "AUTHORITY" for r in self.block.records)

    def _silent(self, name: str, kind: str) -> Lookup | None:
        """A command after which nothing was printed, or copied."""
        block = self.block
        if not name or block.steps or (not block.asked.short and not block.asked.quiet):
            return None
        return self._lookup(
            name, kind, status=None, answered=None, complete=False, values={}, places=block.places, cited=dict(block.where), main=True
        )

    def _values(self, kind: str, own: list[PrintedRecord], chain: list[PrintedRecord], end: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        read = [r.read() for r in own]
        if kind in ADDRESSES:
            legible = tuple(v[0] for v in read if not _UNREADABLE.fullmatch(v[0]))
            values["addresses"] = None if read and not legible else legible
        elif kind == "MX":
            ordered = sorted(((int(v[0]) if v[0] else None, v[1]) for v in read if len(v) == 2), key=lambda v: v[0] or 0)
            values["exchanges"] = tuple(v[1] for v in ordered)
            values["names"] = values["exchanges"]
            values["preferences"] = tuple(v[0] for v in ordered if v[0] is not None)
            values["addresses"] = self._also(values["exchanges"]) or None
        elif kind in {"PTR", "NS", "CNAME"}:
            values["names"] = tuple(v[0] for v in read)
        elif kind == "TXT":
            if not any((r.error and r.text.count('"') % 2) or _is_cut(r.text) for r in own):  # a tool closes its quotes; the copy lost them
                texts = tuple(v[0] for v in read)
                all_shown = self.block.answers is None or self.block.answers <= len(texts) + len(chain)
                if all_shown or any(t.startswith("v=") for t in texts):  # what was left out may be the record that is looked for
                    values["texts"] = texts
        elif kind == "SOA" and own:
            values["serial"] = _serial(own[0].text)
        if kind == "CNAME" and own:
            values["cname"] = read[0][0]
        elif chain:
            values["cname"] = chain[0].read()[0]
            values["target"] = end
        return values

    def _also(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = set(names)
        return tuple(
            r.read()[0] for r in self.block.records if r.type in ADDRESSES and r.owner is not None and plain_name(r.owner) in wanted
        )

    def _besides(self) -> list[Lookup]:
        """What the answer says about other names: one look-up for each set of records, none of them whole."""
        block = self.block
        groups: dict[tuple[str, str], list[PrintedRecord]] = {}
        for record in block.records:
            if id(record) in self.used or record.type not in _TOLD or record.owner is None:
                if record.owner is None and block.format == "zone" and record.type in _TOLD:
                    groups.setdefault(("", record.type), []).append(record)  # of a domain that is not named
                elif record.owner is None and (record.type == "TXT" or record.text.startswith('"')):
                    record.type = "TXT"  # a policy record says what it is; other bare data do not
                    groups.setdefault((record.text, "TXT"), []).append(record)
                continue
            if record.type == "SOA" and (block.queries_known or record.section == "AUTHORITY"):
                continue
            if block.traced and record.type in {"NS", "SOA"}:
                continue  # where the way leads on, also from a step of which the end was not copied
            groups.setdefault((plain_name(record.owner), record.type), []).append(record)
        found = []
        for (owner, rtype), records in groups.items():
            chain, end = self._chain(owner) if records[0].owner else ([], owner)
            values = self._values(rtype, records, [], end)
            cited = {"answered": [p for r in records for p in r.places]}
            found.append(
                self._lookup(
                    records[0].owner or "",
                    rtype,
                    status="NOERROR",
                    answered="yes",
                    complete=False,
                    values=values,
                    cited=cited,
                    places=cited["answered"],
                )
            )
            if rtype == "CNAME" and chain:
                found += self._over_alias(records[0], chain, end)
        return found

    def _over_alias(self, first: PrintedRecord, chain: list[PrintedRecord], end: str) -> list[Lookup]:
        found = []
        for rtype in sorted(ADDRESSES):
            records = [r for r in self.block.records if r.type == rtype and r.owner is not None and plain_name(r.owner) == end]
            if records:
                places = [p for r in (*chain, *records) for p in r.places]
                found.append(
                    self._lookup(
                        first.owner or "",
                        rtype,
                        status="NOERROR",
                        answered="yes",
                        complete=False,
                        places=places,
                        values=self._values(rtype, records, chain, end),
                        cited={"answered": places},
                    )
                )
        return found

    def _lookup(
        self,
        owner: str,
        kind: str,
        *,
        status: str | None,
        answered: str | None,
        complete: bool,
        values: dict[str, Any],
        places: Iterable[Place],
        cited: dict[str, list[Place]],
        main: bool = False,
        errors: Sequence[str] = (),
    ) -> Lookup:
        block = self.block
        of = reversed_address(owner) if kind == "PTR" else None
        if kind == "PTR" and of is None:
            of = address_of(owner) or plain_name(owner)
        of = of or (plain_name(owner) if owner else None)
        fields: dict[str, Any] = {k: v for k, v in values.items() if v is not None}
        if answered is None:
            fields = {k: v for k, v in fields.items() if v != ()}  # not shown is not the same as none
        if status == "NXDOMAIN" or (answered == "no" and status == "NOERROR"):
            fields = {**_nothing(kind), **{k: v for k, v in fields.items() if v}}
        fields |= purpose_of(of, kind)
        if answered == "yes":
            fields["doubled"] = next((n for n in (of, *(fields.get("names") or ())) if n and _DOUBLED.search(n)), "no")
        if kind == "PTR" and of and fields.get("names"):
            fields["generic"] = "yes" if all(made_of_address(n, of) for n in fields["names"]) else "no"
        if fields.get("zone"):
            fields |= blocklist_answer(fields["zone"], kind, status, answered, fields.get("addresses"), fields.get("texts"))
        if main:
            fields |= self._circumstances(status)
        elif block.server or block.server_ip:
            fields |= {"server": block.server, "server_ip": block.server_ip}
        if errors:
            fields["error"] = errors[0]
        spread = {k: tuple(sorted(set(v))) for k, v in cited.items()}
        for name in ("addresses", "names", "exchanges", "texts", "answer", "cname", "serial", "listing", "meaning"):
            if fields.get(name) and "answered" in spread:
                spread.setdefault(name, spread["answered"])
        return Lookup(
            places=tuple(sorted(set(places))),
            where=spread,
            complete=complete,
            format=block.format,
            type=kind,
            of=of,
            name=owner or None,
            status=status,
            answered=None if block.flags and "tc" in block.flags else answered,  # cut off: what is missing may yet be there
            short="yes" if block.asked.short and main else None,
            **fields,
        )

    def _denial(self) -> list[PrintedRecord]:
        """The start of the zone that says that there is none of the records asked for (RFC 2308 3)."""
        return [r for r in self.block.records if r.type == "SOA" and r.section == "AUTHORITY"]

    def _circumstances(self, status: str | None) -> dict[str, Any]:
        """Who answered, and how."""
        block = self.block
        flags = block.flags
        soa = next(iter(self._denial()), None)
        ns = [r for r in block.records if r.type == "NS" and r.section == "AUTHORITY"]
        found: dict[str, Any] = {
            "server": block.server or block.asked.server or (USUAL if block.asked.tool else None),
            "server_ip": block.server_ip or address_of(block.asked.server or ""),
            "flags": flags,
            "dnssec": block.dnssec or ("validated" if flags is not None and "ad" in flags else None),
            "ede": tuple(block.ede) if block.ede else None,
            "warnings": tuple(dict.fromkeys(block.warnings)),
            "negative_of": plain_name(soa.owner) if soa is not None and soa.owner else None,
            "referral": block.referral,
        }
        if flags is not None:
            found["authoritative"] = "yes" if "aa" in flags else "no"
            found["checking_disabled"] = "yes" if "cd" in flags else "no"
            if not block.referral and "aa" in flags:
                found["referral"] = "no"
            if not block.referral and status == "NOERROR" and block.answers == 0 and soa is None and ns and "aa" not in flags:
                found["referral"] = "upward" if ns[0].owner == "." else "yes"
        elif block.asked.short:
            found["checking_disabled"] = "yes" if {"cd", "cdflag", "checkingdisabled"} & block.asked.options else "no"
        if block.ede:
            found["ede_text"] = "; ".join(n for n in block.notes if n)
        elif block.failed and block.notes:
            found["error"] = block.notes[-1]
        elif block.failed and block.warnings:
            found["error"] = block.warnings[-1]
        return {k: v for k, v in found.items() if v is not None}


_DOTTED = frozenset({"dig", "dig-yaml", "host"})  # tools that print each name with its last dot


def _is_half(record: PrintedRecord, fmt: str) -> bool:
    """Whether the data of *record*, the last line of a paste, shows that it goes on: no last dot, no second quotation mark."""
    text = record.text.rstrip()
    if record.type in {"MX", "NS", "CNAME", "PTR"}:
        name = text.split()[-1] if text else ""
        return not name.endswith(".") if fmt in _DOTTED else "." not in name
    return record.type == "TXT" and ((text.count('"') % 2 == 1 and text.startswith('"')) or _is_cut(text) or open_bracket(text) or not text)


def _is_cut(text: str) -> bool:
    """Whether the data *text* was begun in brackets (RFC 1035 5.1), and the key that follows on the next lines is not there."""
    return text.lstrip().startswith("(") and "DKIM1" in text and "p=" not in text


def _until(places: list[Place], place: Place) -> list[Place]:
    return [p for p in places[:1] if p <= place]


def _serial(text: str) -> int | None:
    """The serial number in the data of an SOA record."""
    parts = text.replace("(", " ").split()
    return int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else None


def _nothing(kind: str) -> dict[str, Any]:
    """The fields that a negative answer leaves empty."""
    if kind in ADDRESSES:
        return {"addresses": ()}
    if kind == "MX":
        return {"exchanges": (), "names": (), "preferences": ()}
    if kind in {"PTR", "NS", "CNAME"}:
        return {"names": ()}
    return {"texts": ()} if kind == "TXT" else {}


def _shape(text: str) -> tuple[str, ...]:
    """Which types of record a bare datum can be, likeliest first."""
    if address_of(text) is not None:
        return ("AAAA",) if ":" in text else ("A",)
    if _UNREADABLE.fullmatch(text):
        return ("A",)
    if text.startswith('"'):
        return ("TXT", "SPF")
    words = text.split()
    if len(words) == 2 and words[0].isdigit():
        return ("MX",)
    if len(words) >= 7:
        return ("SOA",)
    return ("NAME", "PTR", "NS", "CNAME") if len(words) == 1 else ("OTHER", "TLSA", "CAA", "SRV", "DS", "DNSKEY", "SSHFP", "NAPTR", "HTTPS")


def purpose_of(of: str | None, kind: str) -> dict[str, Any]:
    """What a question about *of* is asked for, and whom it concerns."""
    if of is None:
        return {}
    if kind == "PTR" or of.endswith((".in-addr.arpa", ".ip6.arpa")):
        return {"purpose": "reverse"}
    if (found := blocklist_question(of)) is not None:
        return {"purpose": "dnsbl", "zone": found[1], "dnsbl_of": found[0]}
    labels = of.split(".")
    if labels[0] == "_dmarc":
        return {"purpose": "dmarc", "dmarc_of": ".".join(labels[1:]) or None}
    if "_domainkey" in labels[1:]:
        at = labels.index("_domainkey")
        return {"purpose": "dkim", "dkim_of": ".".join(labels[at + 1 :]) or None, "selector": ".".join(labels[:at])}
    if labels[0] == "_mta-sts" or labels[0] == "mta-sts":
        return {"purpose": "mta-sts"}
    if of.startswith("_smtp._tls."):
        return {"purpose": "tls-rpt"}
    if "_bimi" in labels[1:]:
        return {"purpose": "bimi"}
    if kind == "TLSA":
        return {"purpose": "tlsa"}
    if any(label.startswith("_") for label in labels[1:]):
        return {"purpose": "service"}
    if labels[0].startswith("_"):
        return {"purpose": "service"} | ({"spf_of": of} if kind == "TXT" else {})
    return {"purpose": "name"} | ({"spf_of": of} if kind == "TXT" else {})
