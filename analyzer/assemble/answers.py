"""DNS events -> answers: which question each printed line belongs to, whatever the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.assemble.commands import Asked, asked_by
from analyzer.assemble.names import address_of, plain_name, values_of
from analyzer.expressions import re
from analyzer.model import events as ev

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.place import Place

_DNS = (ev.DnsQuestion, ev.DnsHeader, ev.DnsSection, ev.DnsRecord, ev.DnsServer, ev.DnsFailed)
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
_EDE_RAW = re.compile(r"([0-9a-fA-F]{2})\s?([0-9a-fA-F]{2})\b")


def answers_of(events: Sequence[ev.Event], blotted: Iterable[int] = ()) -> list[Answer]:
    """The answers in the events of one segment, in order; *blotted* are the numbers of lines that held a datum which could
    not be read (an address made unreadable before it was shown).
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
    if reader.block is not None:
        reader.block.last = True
    reader.finish()
    return reader.found


class PrintedRecord:
    """One resource record as printed, and as far as it can be read."""

    def __init__(self, section: str, owner: str | None, rtype: str | None, text: str, place: Place) -> None:
        self.section, self.owner, self.type, self.text, self.places = section, owner, rtype, text, [place]
        self.server: str | None = None
        self.error: str | None = None

    def read(self) -> list[str]:
        """Its values in natural form."""
        values, self.error = values_of(self.type, self.text)
        return values


class Answer:
    """One question and everything that was printed about it."""

    def __init__(self, asked: Asked | None = None) -> None:
        self.asked = asked or Asked()
        self.name: str | None = None
        self.type: str | None = None
        self.status: str | None = None
        self.flags: tuple[str, ...] | None = None
        self.answers: int | None = None
        self.section = "ANSWER"
        self.records: list[PrintedRecord] = []
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
        self.serials: list[PrintedRecord] = []  # +nssearch: one line a server
        self.last = False  # nothing follows it in the paste
        self.blotted = False  # a line of its answer could not be read
        self.format = ""

    @property
    def traced(self) -> bool:
        """Whether the way to the answer is shown (``dig +trace``), also where the command was not copied."""
        return "trace" in self.asked.options or self.steps > 0

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


# Where a policy stands (RFC 8461 3.1, RFC 8460 3, RFC 7489 6.1).
_POLICIES = (("v=stsv1", "_mta-sts."), ("v=tlsrptv1", "_smtp._tls."), ("v=dmarc1", "_dmarc."))
_SHORT_KINDS = (
    ("text", re.compile(r'"')),
    ("exchange", re.compile(r"[0-9]{1,5} \S+\.$")),
    ("address", re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}$|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{2,40}$")),
)


def _short_kind(text: str) -> str:
    return next((kind for kind, shape in _SHORT_KINDS if shape.match(text)), "other")


def _of_another_question(block: Answer, text: str) -> bool:
    """Whether *text*, data alone as ``+short`` prints it, cannot answer the question of *block*: it is the policy of a name that was
    asked for later, or, where no question is shown, data of another kind than what came before it.
    """
    names = [name.lower() for name, _ in block.asked.queries]
    label = next((label for version, label in _POLICIES if text.lower().lstrip('"').startswith(version)), None)
    if len(names) > 1:
        return label is not None and not names[0].startswith(label) and names[1].startswith(label)
    if names or block.name or not block.records or any(r.owner for r in block.records):
        return False
    before, now = _short_kind(block.records[-1].text), _short_kind(text)
    return before != now and "exchange" in {before, now}


class _Reader:
    """The state while a segment's events are taken in."""

    def __init__(self) -> None:
        self.found: list[Answer] = []
        self.block: Answer | None = None
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

    def _open(self, place: Place) -> Answer:
        if self.block is None:
            self.block = Answer(Asked(type=self.default_type, server=self.default_server))
        self.block.places.append(place)
        self.block.format = self.format
        return self.block

    def _next(self, place: Place) -> Answer:
        """The next answer of the same command, or one without a command."""
        asked = self.block.asked if self.block else None
        rest = self.block.asked.queries[1:] if self.block else ()
        self.finish()
        if asked is not None and rest:
            self.block = Answer(asked.rest())
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
            if event.flags is not None or block.flags is None:
                block.flags = tuple((event.flags or "").split())
            block.answers = event.answers
            block.cite("flags", event.place)
        self._note(block, event)

    def _note(self, block: Answer, event: ev.DnsHeader) -> None:
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
        text = (event.section or "").strip().upper().replace("_", " ")
        if text == "MESSAGE":  # dig +yaml: the next answer
            if self.block is not None and not self.block.empty:
                self._next(event.place)
            return
        if text.endswith(("$", "#", "%", "❯")):  # the shell's next prompt: the command before has said all
            self.finish()
            return
        block = self._open(event.place)
        block.section = "ADDITIONAL" if text.startswith("AUTHORITATIVE ANSWERS") else text.split()[0] if text else "ANSWER"
        if "ANSWER:" in text or text.startswith(("USING", "NON-AUTHORITATIVE")):
            block.section = "ANSWER"
        self.pending = None

    def _record(self, event: ev.DnsRecord) -> None:
        if event.rtype == "short" and self.block is not None and self.block.records and open_bracket(self.block.records[-1].text):
            event = msgspec.structs.replace(event, rtype="more")  # a continued record that lost its indent
        special = event.rtype in {"more", "name", "address", "alias", "owner", "serial", "hosts"}
        block = self.block
        if (block is not None and block.ended and not special and event.format == "dig") or (
            block is not None and not special and event.owner is None and _of_another_question(block, event.rdata or "")
        ):
            block = self._next(event.place)
        else:
            block = self._open(event.place)
        if special:
            self._special(block, event)
            return
        text = "." if event.rdata == "(root)" else event.rdata or ""  # so Windows writes the root
        if event.preference is not None:
            text = f"{event.preference} {text}"
        owner = event.owner
        rtype = event.rtype
        if event.server:
            block.server_ip = block.server_ip or event.server
        if rtype == "SOA" and owner is None and event.server:  # +nssearch: one line a server
            block.serials.append(PrintedRecord(block.section, None, rtype, text, event.place))
            block.serials[-1].server = event.server
            return
        if rtype and rtype.startswith("\\-"):  # delv's negative cache
            status = "NXDOMAIN" if "NXDOMAIN" in text else "NOERROR"
            block.absent.append((owner or "", rtype[2:], status, event.place))
            return
        block.records.append(PrintedRecord(block.section, owner, rtype, text, event.place))

    def _special(self, block: Answer, event: ev.DnsRecord) -> None:
        text = event.rdata or ""
        last = block.records[-1] if block.records else None
        match event.rtype:
            case "more" if last is not None:
                last.text = f"{last.text} {text}".strip()
                last.places.append(event.place)
            case "serial" if self.pending_soa is not None:
                soa, self.pending_soa = self.pending_soa, None
                asked = block.asked.queries[0][1] if len(block.asked.queries) == 1 else None
                if asked in {None, "SOA", "ANY"}:
                    block.records.append(PrintedRecord(block.section, soa.owner, "SOA", f". . {text} 0 0 0 0", event.place))
                else:  # nslookup shows the zone's start where there is no record of the type that was asked for
                    block.absent.append((soa.owner or "", asked, "NOERROR", soa.place))
                    block.cite("status", soa.place)
            case "serial" if last is not None and last.type == "SOA":
                last.text = f"{last.text.rstrip(' (')} {text} 0 0 0 0"
                last.places.append(event.place)
            case "owner":
                self.pending_soa = event
            case "name":
                query = block.asked.queries[0] if block.asked.queries else None
                if query is not None and query[1] == "PTR":
                    block.records.append(PrintedRecord("ANSWER", query[0], "PTR", event.owner or "", event.place))
                    self.pending = None
                    block.section = "SKIP"
                else:
                    self.pending = event.owner
            case "address" if self.pending is not None:
                rtype = "AAAA" if ":" in text else "A"
                block.records.append(PrintedRecord("ANSWER", self.pending, rtype, text, event.place))
            case "address" if block.section == "SKIP":
                pass
            case "address" if block.server is not None and block.server_ip is None:
                block.server_ip = text
                block.cite("server", event.place)
            case "hosts" if block.asked.queries:
                name, kind = block.asked.queries[0]
                owner = (name, kind, event.owner or "") if kind == "PTR" else (name, "AAAA" if ":" in text else "A", text)
                block.records.append(PrintedRecord("ANSWER", *owner, event.place))
            case "alias" if self.pending is not None:
                block.records.append(PrintedRecord("ANSWER", event.owner, "CNAME", self.pending, event.place))
            case _:
                pass

    def _server(self, event: ev.DnsServer) -> None:
        block = self.block
        if event.format != "dig":
            self._server_first(event)
            return
        block = self._open(event.place)
        if event.size is not None and (block.traced or (event.server and not block.asked.queries)):  # only a trace says so
            block.steps += 1
            block.server, block.server_ip = event.server, event.server_ip
            block.where["server"] = [event.place]  # the last one counts
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

    def _resolution(self, block: Answer, text: str, place: Place) -> None:
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
            asked = {found[1] for w in block.warnings if (found := _DELV_ASKED.search(w))}
            if block.server_ip is None and len(asked) == 1:
                block.server_ip = block.server = asked.pop()
            codes = {w.split(" unexpected RCODE ")[0] for w in block.warnings if " unexpected RCODE " in w}
            status = status or (codes.pop() if len(codes) == 1 else None)
            block.failed = status or ("NO-SERVERS" if refused else "SERVFAIL")
        block.notes.append(text)
        block.ended = True

    def _absent(self, block: Answer, event: ev.DnsFailed, text: str, reason: str) -> None:
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
    def finish(self) -> None:
        if self.block is not None:
            self.found.append(self.block)
        self.block = self.pending = None


# Whom delv asked: "connection refused resolving 'example.net/MX/IN': 127.0.0.1#53"
_DELV_ASKED = re.compile(r" resolving '[^']{1,300}': ([0-9A-Fa-f.:]{2,45})#[0-9]{1,5}$")


def status_in(text: str) -> str | None:
    """The status that a tool's words mean."""
    low = text.lower()
    return next((status for word, status in _STATUS_WORDS if word in low), None)


def open_bracket(text: str) -> bool:
    """Whether the data *text* of a record goes on: a bracket stands open before it (RFC 1035 5.1)."""
    text = text.strip()
    return text.startswith("(") and not text.endswith(")")
