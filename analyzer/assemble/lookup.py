"""DNS events -> `Lookup`s: questions with their answers, and what answers say besides."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from analyzer.assemble.blocklists import blocklist_answer, blocklist_question
from analyzer.assemble.commands import Asked, asked_by
from analyzer.assemble.policy import records_of, spf_allows, spf_result
from analyzer.model import events as ev
from analyzer.model.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from analyzer.model.place import Place

__all__ = ["lookups_of", "records_of", "spf_allows", "spf_result"]

_DNS = (ev.DnsQuestion, ev.DnsHeader, ev.DnsSection, ev.DnsRecord, ev.DnsServer, ev.DnsFailed)
_ADDRESSES = frozenset({"A", "AAAA"})
_TOLD = frozenset({"A", "AAAA", "MX", "NS", "PTR", "TXT", "CNAME", "SOA"})  # what is worth telling apart
_MOST_ALIASES = 12
_SHOWING = ("of", "status", "ede", "dnssec", "referral", "warnings")  # the fields whose lines show a look-up
USUAL = "the usual resolver"  # asked where a command names no server
_RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_STATUS_WORDS = (
    ("nxdomain", "NXDOMAIN"),
    ("non-existent", "NXDOMAIN"),
    ("servfail", "SERVFAIL"),
    ("server failed", "SERVFAIL"),
    ("refused", "REFUSED"),
    ("no response", "TIMEOUT"),
    ("timed out", "TIMEOUT"),
    ("timed-out", "TIMEOUT"),
    ("no answer", "NOERROR"),
    ("nxrrset", "NOERROR"),
    ("formerr", "FORMERR"),
    ("notimp", "NOTIMP"),
    ("not implemented", "NOTIMP"),
)
_BOGUS_WORDS = re.compile(r"(?i)broken trust chain|no valid (?:rrsig|ds|key|signature)|insecurity proof|must be secure|bogus|signature")
_RESOLVING = re.compile(r"resolving '([^'/]{1,255})/([A-Z0-9-]{1,12})/IN'")
_UNREADABLE = re.compile(r"(?=[^xX*#]{0,64}[xX*#])(?:(?:[0-9]{1,3}|[xX*#]{1,3})\.){3}(?:[0-9]{1,3}|[xX*#]{1,3})(?:\.in-addr\.arpa)?\.?")
_EDE_RAW = re.compile(r"([0-9a-fA-F]{2})\s?([0-9a-fA-F]{2})\b")


def lookups_of(events: Sequence[ev.Event], blotted: Iterable[int] = ()) -> tuple[Lookup, ...]:
    """The look-ups in the events of one segment, in order; *blotted* are the numbers of lines that held a datum which could
    not be read (an address made unreadable before it was shown): nothing is concluded from silence there.
    """
    reader = _Reader()
    unreadable = frozenset(blotted)
    line = 0
    for event in events:
        if isinstance(event, _DNS):
            if unreadable and reader.block is not None and not unreadable.isdisjoint(range(line + 1, event.place.line)):
                reader.block.blotted = True
            reader.take(event)
            line = event.place.line
    reader.finish(last=True)
    tried = [e.place for e in events if isinstance(e, ev.Noise) and (e.text or "").startswith('Trying "')]
    return tuple(_asked_for(reader.found, tried) if tried else reader.found)


def _asked_for(found: Sequence[Lookup], tried: Sequence[Place]) -> list[Lookup]:
    """Without the questions that `host -v` asks unasked: after A and AAAA it wants the MX of any name, a mail domain or not."""
    lines = {(p.source, p.line) for p in tried}
    kept: list[Lookup] = []
    for at, lookup in enumerate(found):
        before = [(x.type, x.of) for x in found[max(at - 2, 0) : at]]
        first = lookup.places[0]
        by_itself = any((first.source, first.line - n) in lines for n in (0, 1))
        if lookup.type == "MX" and lookup.answered == "no" and by_itself and before == [("A", lookup.of), ("AAAA", lookup.of)]:
            continue
        kept.append(lookup)
    return kept


# -- names and data ----------------------------------------------------------------------------------------------------
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


def address_of(text: str) -> str | None:
    """The address that *text* writes, in its usual form, or None."""
    try:
        return str(ipaddress.ip_address(text.strip("[]").partition("%")[0]))
    except ValueError:
        return None


def reversed_address(name: str) -> str | None:
    """The address of a name below in-addr.arpa or ip6.arpa, or None."""
    plain = plain_name(name)
    if plain.endswith(".in-addr.arpa"):
        labels = plain.removesuffix(".in-addr.arpa").split(".")
        return address_of(".".join(reversed(labels))) if len(labels) == 4 else None
    if plain.endswith(".ip6.arpa"):
        nibbles = plain.removesuffix(".ip6.arpa").split(".")
        if len(nibbles) == 32 and all(len(n) == 1 for n in nibbles):
            digits = "".join(reversed(nibbles))
            return address_of(":".join(digits[i : i + 4] for i in range(0, 32, 4)))
    return None


def _rdata(rtype: str, text: str) -> tuple[Any, str | None]:
    """The record's data as dnspython reads it, or None and why it cannot."""
    import dns.exception
    import dns.name
    import dns.rdata
    import dns.tokenizer

    try:
        return dns.rdata.from_text("IN", rtype, text, origin=dns.name.root), None
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        return None, str(error) or type(error).__name__


class _Record:
    """One resource record as printed, and as far as it can be read."""

    def __init__(self, section: str, owner: str | None, rtype: str | None, text: str, place: Place) -> None:
        self.section, self.owner, self.type, self.text, self.places = section, owner, rtype, text, [place]
        self.error: str | None = None

    def read(self) -> list[str]:
        """Its values in natural form: [name], [address], [preference, name], [text], or what stands there."""
        text = self.text.strip()
        if self.type in _ADDRESSES:
            return [address_of(text) or text]
        if self.type in {"NS", "PTR", "CNAME", "DNAME"}:
            return [plain_name(text)]
        if self.type == "MX":
            head, _, tail = text.partition(" ")
            if head.rstrip(")").isdigit() and tail.strip():
                return [str(int(head.rstrip(")"))), plain_name(tail.split()[0].lstrip(")"))]
            return ["", plain_name(text.split()[0])] if text else []
        if self.type == "TXT":
            return [self._text(text)]
        return [text]

    def _text(self, text: str) -> str:
        if not text.startswith('"'):
            return text
        data, self.error = _rdata("TXT", text.replace("( ", "").removesuffix(" )"))
        if data is None:
            return re.sub(r'"\s*"', "", text).strip('"')
        return b"".join(data.strings).decode("utf-8", "replace")


# -- one question ------------------------------------------------------------------------------------------------------
class _Block:
    """One question and everything that was printed about it."""

    def __init__(self, asked: Asked | None = None) -> None:
        self.asked = asked or Asked()
        self.name: str | None = None
        self.type: str | None = None
        self.status: str | None = None
        self.flags: tuple[str, ...] | None = None
        self.answers: int | None = None
        self.section = "ANSWER"
        self.records: list[_Record] = []
        self.server: str | None = None
        self.server_ip: str | None = None
        self.ede: list[int] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.dnssec: str | None = None
        self.failed: str | None = None
        self.absent: list[tuple[str, str | None, str, Place]] = []  # (name, type, status, place)
        self.referral: str | None = None
        self.places: list[Place] = []
        self.where: dict[str, list[Place]] = {}
        self.ended = False
        self.steps = 0
        self.header = False
        self.shown_question = False
        self.told = False  # every line was a look-up of its own
        self.blotted = False  # a line of its answer could not be read
        self.format = ""

    def cite(self, field: str, place: Place) -> None:
        self.where.setdefault(field, []).append(place)

    @property
    def empty(self) -> bool:
        """Whether nothing but the command has been seen."""
        return not (self.header or self.records or self.failed or self.absent or self.ended or self.shown_question)

    @property
    def queries_known(self) -> bool:
        """Whether it is known what was asked."""
        return self.name is not None or bool(self.asked.queries)


class _Reader:
    """The state while a segment's events are taken in."""

    def __init__(self) -> None:
        self.found: list[Lookup] = []
        self.block: _Block | None = None
        self.default_type: str | None = None
        self.default_server: str | None = None
        self.pending: str | None = None  # nslookup: the name whose addresses follow
        self.pending_soa: ev.DnsRecord | None = None
        self.format = ""

    # -- events --------------------------------------------------------------------------------------------------------
    def take(self, event: ev.Event) -> None:
        self.format = event.format
        match event:
            case ev.DnsQuestion(text=str()):
                self._command(event)
            case ev.DnsQuestion():
                self._question(event)
            case ev.DnsHeader():
                self._header(event)
            case ev.DnsSection():
                self._section(event)
            case ev.DnsRecord():
                self._record(event)
            case ev.DnsServer():
                self._server(event)
            case ev.DnsFailed():
                self._failed(event)
            case _:
                pass

    def _open(self, place: Place) -> _Block:
        if self.block is None:
            self.block = _Block(Asked(type=self.default_type, server=self.default_server))
        self.block.places.append(place)
        self.block.format = self.format
        return self.block

    def _next(self, place: Place) -> _Block:
        """The next answer of the same command, or one without a command."""
        asked = self.block.asked if self.block else None
        rest = self.block.asked.queries[1:] if self.block else ()
        self.finish()
        if asked is not None and rest:
            self.block = _Block(asked.rest())
        return self._open(place)

    def _command(self, event: ev.DnsQuestion) -> None:
        asked = asked_by(event.text or "", event.format, self.default_type)
        block = self.block
        if asked.set_type or asked.set_server:
            self.finish()
            self.default_type = asked.set_type or self.default_type
            self.default_server = asked.set_server or self.default_server
            return
        waiting = block is not None and not (block.header or block.records or block.ended)
        if not asked.tool and block is not None and waiting and (block.asked.tool or block.failed):
            block.places.append(event.place)  # dig repeats the command in its first line
            if not block.asked.queries:
                block.asked = asked
            block.cite("type", event.place)
            return
        self.finish()
        block = self._open(event.place)
        block.asked = asked
        block.cite("of", event.place)
        block.cite("type", event.place)

    def _question(self, event: ev.DnsQuestion) -> None:
        block = self.block
        if block is not None and (block.shown_question or block.ended or (event.rtype is None and not block.empty)):
            block = self._next(event.place)
        else:
            block = self._open(event.place)
        owner = event.owner or ""
        if event.rtype is None:  # nslookup's own prompt
            kind = self.default_type or ("PTR" if address_of(owner) else None)
            block.asked = Asked(tool="nslookup", queries=((owner, kind),), server=self.default_server)
        else:
            block.name, block.type, block.shown_question = owner, event.rtype, True
        block.cite("of", event.place)
        block.cite("type", event.place)

    def _header(self, event: ev.DnsHeader) -> None:
        block = self.block
        if event.status is not None and block is not None and (block.header or block.ended or block.records):
            block = self._next(event.place)
        else:
            block = self._open(event.place)
        if event.status is not None:
            block.status, block.header, block.failed = event.status, True, None
            block.cite("status", event.place)
        if event.flags is not None or event.answers is not None:
            block.flags = tuple((event.flags or "").split())
            block.answers = event.answers
            block.cite("flags", event.place)
        self._note(block, event)

    def _note(self, block: _Block, event: ev.DnsHeader) -> None:
        text = (event.text or "").strip()
        raw = _EDE_RAW.match(text) if not event.ede and event.status is None and event.dnssec is None else None
        if event.ede is not None or raw:
            code = event.ede if event.ede is not None else int(raw[1] + raw[2], 16) if raw else 0
            block.ede.append(code)
            block.notes.append(text.lstrip(": "))
            block.cite("ede", event.place)
        elif event.dnssec == "referral":
            block.referral = "upward" if "HORIZONTAL" not in text else "sideways"
            block.cite("referral", event.place)
            block.warnings.append(text)
        elif event.dnssec is not None:
            if block.dnssec != "bogus":
                block.dnssec = event.dnssec
            block.cite("dnssec", event.place)
            if text:
                block.notes.append(text)
        elif text:
            block.warnings.append(text)
            block.cite("warnings", event.place)
        found = _RESOLVING.search(text)
        if found and not block.asked.queries and block.name is None:
            block.name, block.type = found[1], found[2]

    def _section(self, event: ev.DnsSection) -> None:
        text = (event.section or "").strip().upper()
        if text.endswith(("$", "#", "%", "❯")):  # the shell's next prompt: the command before has said all
            self.finish()
            return
        block = self._open(event.place)
        block.section = "ADDITIONAL" if text.startswith("AUTHORITATIVE ANSWERS") else text.split()[0] if text else "ANSWER"
        if "ANSWER:" in text or text.startswith(("USING", "NON-AUTHORITATIVE")):
            block.section = "ANSWER"
        self.pending = None

    def _record(self, event: ev.DnsRecord) -> None:
        special = event.rtype in {"more", "name", "address", "alias", "owner", "serial"}
        block = self.block
        if block is not None and block.ended and not special and event.format == "dig":
            block = self._next(event.place)
        else:
            block = self._open(event.place)
        if special:
            self._special(block, event)
            return
        text = event.rdata or ""
        if event.preference is not None:
            text = f"{event.preference} {text}"
        owner = event.owner
        rtype = event.rtype
        if event.server:
            block.server_ip = block.server_ip or event.server
        if rtype == "SOA" and owner is None and event.server:  # +nssearch: one line a server
            self._nssearch(block, event)
            return
        if rtype and rtype.startswith("\\-"):  # delv's negative cache
            status = "NXDOMAIN" if "NXDOMAIN" in text else "NOERROR"
            block.absent.append((owner or "", rtype[2:], status, event.place))
            return
        block.records.append(_Record(block.section, owner, rtype, text, event.place))

    def _special(self, block: _Block, event: ev.DnsRecord) -> None:
        text = event.rdata or ""
        last = block.records[-1] if block.records else None
        match event.rtype:
            case "more" if last is not None:
                last.text = f"{last.text} {text}".strip()
                last.places.append(event.place)
            case "serial" if self.pending_soa is not None:
                soa, self.pending_soa = self.pending_soa, None
                block.records.append(_Record(block.section, soa.owner, "SOA", f". . {text} 0 0 0 0", event.place))
            case "serial" if last is not None and last.type == "SOA":
                last.text = f"{last.text.rstrip(' (')} {text} 0 0 0 0"
                last.places.append(event.place)
            case "owner":
                self.pending_soa = event
            case "name":
                query = block.asked.queries[0] if block.asked.queries else None
                if query is not None and query[1] == "PTR":
                    block.records.append(_Record("ANSWER", query[0], "PTR", event.owner or "", event.place))
                    self.pending = None
                    block.section = "SKIP"
                else:
                    self.pending = event.owner
            case "address" if self.pending is not None:
                rtype = "AAAA" if ":" in text else "A"
                block.records.append(_Record("ANSWER", self.pending, rtype, text, event.place))
            case "address" if block.section == "SKIP":
                pass
            case "address" if block.server is not None and block.server_ip is None:
                block.server_ip = text
                block.cite("server", event.place)
            case "alias" if self.pending is not None:
                block.records.append(_Record("ANSWER", event.owner, "CNAME", self.pending, event.place))
            case _:
                pass

    def _nssearch(self, block: _Block, event: ev.DnsRecord) -> None:
        name = block.asked.queries[0][0] if block.asked.queries else None
        values = (event.rdata or "").split()
        serial = int(values[2]) if len(values) > 2 and values[2].isdigit() else None
        self.found.append(
            Lookup(
                places=(event.place,),
                complete=name is not None,
                format=event.format,
                type="SOA",
                of=plain_name(name) if name else None,
                name=name,
                purpose="name",
                status="NOERROR",
                answered="yes",
                serial=serial,
                server=event.server,
                server_ip=event.server,
                where={"serial": (event.place,), "server": (event.place,)},
            )
        )
        block.told = True

    def _server(self, event: ev.DnsServer) -> None:
        block = self.block
        if event.format != "dig":
            self._server_first(event)
            return
        block = self._open(event.place)
        if event.size is not None and "trace" in block.asked.options:
            block.steps += 1
            block.server, block.server_ip = event.server, event.server_ip
            for record in block.records:
                if record.section == "ANSWER":
                    record.section = f"STEP{block.steps}"
            return
        block.server_ip = address_of(event.server_ip or "") or event.server_ip
        named = event.server if event.server and event.server != event.server_ip else None
        block.server = plain_name(named) if named else block.server_ip
        block.cite("server", event.place)
        block.ended = True

    def _server_first(self, event: ev.DnsServer) -> None:
        """Host and nslookup name the server before the answer."""
        block = self.block
        if block is not None and event.server and event.server_ip is None and (block.records or block.failed or block.absent):
            block = self._next(event.place)
        else:
            block = self._open(event.place)
        self.pending = None
        if event.server:
            block.server = plain_name(event.server)
        if event.server_ip:
            block.server_ip = address_of(event.server_ip) or event.server_ip
        if block.server and address_of(block.server):
            block.server_ip = block.server_ip or block.server
        block.server = block.server or block.server_ip
        block.cite("server", event.place)

    def _failed(self, event: ev.DnsFailed) -> None:
        block = self.block
        if block is not None and block.ended and event.format == "dig":
            block = self._next(event.place)
        else:
            block = self._open(event.place)
        text = (event.text or "").lstrip(": ").strip()
        reason = event.reason or "other"
        if reason in {"not-found", "no-record"}:
            self._absent(block, event, text, reason)
        elif reason == "resolution":
            self._resolution(block, text, event.place)
        elif reason == "communications":
            block.warnings.append(text)
            block.server_ip = block.server_ip or address_of(event.server or "") or event.server
            block.server = block.server or block.server_ip
            if event.owner and not block.asked.queries:
                block.asked = Asked(queries=((event.owner, None),))
            block.cite("warnings", event.place)
            if block.status is None:
                block.failed = block.failed or ("TIMEOUT" if "timed out" in text else "NO-SERVERS")
            block.cite("status", event.place)
        else:
            refused = any("refused" in w or "unreachable" in w for w in block.warnings)
            late = reason == "timed-out" or any("timed out" in w for w in block.warnings)
            if block.status is None:
                block.failed = "NO-SERVERS" if refused or not late else "TIMEOUT"
                if reason == "server-unknown":
                    block.failed = "SERVER-UNKNOWN"
                    block.server = event.server
            block.notes.append(text or {"timed-out": "timed out", "no-servers": "no servers could be reached"}.get(reason, reason))
            block.cite("status", event.place)
            if event.format == "dig":
                block.ended = True

    def _resolution(self, block: _Block, text: str, place: Place) -> None:
        """Delv's last word."""
        block.cite("status", place)
        status = status_in(text)
        if status in {"NXDOMAIN", "NOERROR"}:
            block.status = status
            block.header = True
        elif _BOGUS_WORDS.search(text):
            block.dnssec, block.failed = "bogus", "SERVFAIL"
            block.cite("dnssec", place)
        else:
            refused = any("refused" in w for w in block.warnings)
            block.failed = status or ("NO-SERVERS" if refused else "SERVFAIL")
        block.notes.append(text)
        block.ended = True

    def _absent(self, block: _Block, event: ev.DnsFailed, text: str, reason: str) -> None:
        code = re.match(r"([0-9]{1,4})\(", text)
        if reason == "no-record":
            status = "NOERROR"
        else:
            status = status_in(text) or (_RCODES.get(int(code[1])) if code else None) or "NXDOMAIN"
        rtype = event.rtype
        for word, known in (
            ("(mx)", "MX"),
            ("text (txt)", "TXT"),
            ("(ns)", "NS"),
            ("pointer", "PTR"),
            ("aaaa)", "A"),
            ("(a)", "A"),
            ("(aaaa)", "AAAA"),
        ):
            if reason == "no-record" and rtype is None and word in text.lower():
                rtype = known
        if event.server:
            block.server = block.server or plain_name(event.server)
        block.absent.append((event.owner or "", rtype, status, event.place))
        block.cite("status", event.place)

    # -- the end of a question -----------------------------------------------------------------------------------------
    def finish(self, last: bool = False) -> None:
        block, self.block, self.pending = self.block, None, None
        if block is not None:
            self.found += _Finished(block, last).lookups()


def status_in(text: str) -> str | None:
    """The status that a tool's words mean."""
    low = text.lower()
    return next((status for word, status in _STATUS_WORDS if word in low), None)


# -- a finished block as look-ups --------------------------------------------------------------------------------------
class _Finished:
    def __init__(self, block: _Block, last: bool) -> None:
        self.block, self.last = block, last
        self.aliases = {plain_name(r.owner): r for r in block.records if r.type == "CNAME" and r.owner and r.section != "QUESTION"}
        self.used: set[int] = set()

    def lookups(self) -> list[Lookup]:
        block = self.block
        found: list[Lookup] = []
        if block.told:
            return found
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
            if (rtype or "A") not in _ADDRESSES:
                continue
            owner = name
            for record in bare:
                if record.owner == name and record.type == "NAME":
                    record.type, record.owner = "CNAME", owner
                    owner = record.text
                elif record.owner == name and record.type in _ADDRESSES:
                    record.owner = owner
        for record in bare:
            if record.type == "NAME":
                record.type = next((q[1] for q in queries if q[1] in {"PTR", "NS", "CNAME"}), "CNAME")
        self.aliases = {plain_name(r.owner): r for r in self.block.records if r.type == "CNAME" and r.owner}
        return queries

    def _absences(self, found: list[Lookup]) -> None:
        block = self.block
        query = block.asked.queries[0] if block.asked.queries else (None, None)
        for owner, rtype, status, place in block.absent:
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

    def _chain(self, name: str) -> tuple[list[_Record], str]:
        """The aliases from *name* on, and where they end."""
        chain: list[_Record] = []
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
        own = [r for r in answer if r.type == kind and r.owner is not None and plain_name(r.owner) in {end, plain_name(owner)}]
        if sole and not own and kind == "PTR":
            own = [r for r in answer if r.type == "PTR"]
        for record in (*chain, *own):
            self.used.add(id(record))
        status = block.status or block.failed or ("NOERROR" if own or chain else None)
        host_default = block.asked.tool == "host" and rtype is None
        answered = self._answered(own, status, answer)
        whole = block.header and (block.answers is None or block.answers == len([r for r in answer if r.type != "short"]))
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
        data = [p for r in (*chain, *own) for p in r.places]
        if data or block.where.get("flags"):
            cited.setdefault("answered", []).extend(data or block.where["flags"])
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

    def _answered(self, own: list[_Record], status: str | None, answer: list[_Record]) -> str | None:
        block = self.block
        if own:
            return "yes"
        if status == "NXDOMAIN":
            return "no"
        if status == "NOERROR" and not block.failed:
            if block.steps and not any(r.type == "SOA" for r in answer):
                return None
            count = block.answers
            if block.header and (count is None or count == len(answer)):
                return "no"
            if block.asked.tool in {"host", "nslookup"} and answer:
                return "no"
        return None

    def _silent(self, name: str, kind: str) -> Lookup | None:
        """A command after which nothing was printed, or copied."""
        block = self.block
        if not name or block.steps or (not block.asked.short and not block.asked.quiet):
            return None
        return self._lookup(
            name, kind, status=None, answered=None, complete=False, values={}, places=block.places, cited=dict(block.where), main=True
        )

    def _values(self, kind: str, own: list[_Record], chain: list[_Record], end: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        read = [r.read() for r in own]
        if kind in _ADDRESSES:
            values["addresses"] = tuple(v[0] for v in read if not _UNREADABLE.fullmatch(v[0]))
        elif kind == "MX":
            ordered = sorted(((int(v[0]) if v[0] else None, v[1]) for v in read if len(v) == 2), key=lambda v: v[0] or 0)
            values["exchanges"] = tuple(v[1] for v in ordered)
            values["names"] = values["exchanges"]
            values["preferences"] = tuple(v[0] for v in ordered if v[0] is not None)
            values["addresses"] = self._also(values["exchanges"]) or None
        elif kind in {"PTR", "NS", "CNAME"}:
            values["names"] = tuple(v[0] for v in read)
        elif kind == "TXT":
            if not any(r.error and r.text.count('"') % 2 for r in own):  # a tool closes its quotes; the copy lost them
                values["texts"] = tuple(v[0] for v in read)
        elif kind == "SOA" and own:
            parts = own[0].text.replace("(", " ").split()
            values["serial"] = int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else None
        if kind == "CNAME" and own:
            values["cname"] = read[0][0]
        elif chain:
            values["cname"] = chain[0].read()[0]
            values["target"] = end
        return values

    def _also(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = set(names)
        return tuple(
            r.read()[0] for r in self.block.records if r.type in _ADDRESSES and r.owner is not None and plain_name(r.owner) in wanted
        )

    def _besides(self) -> list[Lookup]:
        """What the answer says about other names: one look-up for each set of records, none of them whole."""
        block = self.block
        groups: dict[tuple[str, str], list[_Record]] = {}
        for record in block.records:
            if id(record) in self.used or record.type not in _TOLD or record.owner is None:
                if record.owner is None and (record.type == "TXT" or record.text.startswith('"')):
                    record.type = "TXT"  # a policy record says what it is; other bare data do not
                    groups.setdefault((record.text, "TXT"), []).append(record)
                continue
            if record.type == "SOA" and (block.queries_known or record.section == "AUTHORITY"):
                continue
            if record.section.startswith("STEP") and record.type in {"NS", "SOA"}:
                continue
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

    def _over_alias(self, first: _Record, chain: list[_Record], end: str) -> list[Lookup]:
        found = []
        for rtype in sorted(_ADDRESSES):
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
            answered=answered,
            short="yes" if block.asked.short and main else None,
            **fields,
        )

    def _circumstances(self, status: str | None) -> dict[str, Any]:
        """Who answered, and how."""
        block = self.block
        flags = block.flags
        soa = next((r for r in block.records if r.type == "SOA" and r.section == "AUTHORITY"), None)
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
        if block.ede:
            found["ede_text"] = "; ".join(n for n in block.notes if n)
        elif block.failed and block.notes:
            found["error"] = block.notes[-1]
        elif block.failed and block.warnings:
            found["error"] = block.warnings[-1]
        return {k: v for k, v in found.items() if v is not None}


def _until(places: list[Place], place: Place) -> list[Place]:
    return [p for p in places[:1] if p <= place]


def _nothing(kind: str) -> dict[str, Any]:
    """The fields that a negative answer leaves empty."""
    if kind in _ADDRESSES:
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
    if text.startswith('"'):
        return ("TXT", "SPF")
    words = text.split()
    if len(words) == 2 and words[0].isdigit():
        return ("MX",)
    if len(words) >= 7:
        return ("SOA",)
    return ("NAME", "PTR", "NS", "CNAME") if len(words) == 1 else ("OTHER",)


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
        return {"purpose": "dmarc", "dmarc_of": ".".join(labels[1:])}
    if "_domainkey" in labels[1:]:
        at = labels.index("_domainkey")
        return {"purpose": "dkim", "dkim_of": ".".join(labels[at + 1 :]), "selector": ".".join(labels[:at])}
    if labels[0] == "_mta-sts" or labels[0] == "mta-sts":
        return {"purpose": "mta-sts"}
    if of.startswith("_smtp._tls."):
        return {"purpose": "tls-rpt"}
    if kind == "TLSA":
        return {"purpose": "tlsa"}
    if labels[0].startswith("_"):
        return {"purpose": "service"} | ({"spf_of": of} if kind == "TXT" else {})
    return {"purpose": "name"} | ({"spf_of": of} if kind == "TXT" else {})
