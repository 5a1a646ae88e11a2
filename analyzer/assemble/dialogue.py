"""Session events -> `Dialogue`s: one SMTP connection each, replayed (RFC 5321 3 and 4)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.model import events as ev
from analyzer.model.case import Closing, Dialogue, Exchange, Helo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.place import Place

GREETING, DOT = "GREETING", "END-OF-MESSAGE"
_HOST_FIRST = re.compile(r"(?i)\s*(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?:\s|$)")
# No server greets so: these answer a command (RFC 5321 4.2.2, RFC 4954), which stood before what was pasted.
_NO_GREETING = frozenset({211, 214, 221, 235, 250, 251, 252, 334, 354, 432, 454, 503, 530, 534, 535, 538})
_DONE = 250
# In these words servers take a whole message, and nothing else.
_TAKEN = re.compile(
    r"(?i)\bqueued as \S|\bqueued mail for delivery|message accepted for delivery|^OK id=[0-9a-z]{6}-|^ok [0-9]{9,} qp [0-9]"
)
HELLO = frozenset({"EHLO", "HELO", "LHLO"})
_EHLO_AND_ONE = 2
_GREETS_BACK = re.compile(
    r"(?i)\s*(?:(?:[a-z0-9_-]{1,63}\.){1,8}[a-z0-9-]{2,24}(?:\s|$)|\[|hi\b|hello|.{0,60}(?:hello|pleased to meet|nice to meet))"
)
_ANSWERS_ONLY = {334: ("AUTH",), 235: ("AUTH", "?"), 354: ("DATA",), 221: ("QUIT",)}
_VERBS = re.compile(r"(?i)(HELO|EHLO|LHLO|MAIL|RCPT|DATA|QUIT|RSET|NOOP|VRFY|EXPN|HELP|STARTTLS|AUTH|BDAT|ETRN|XCLIENT|XFORWARD)\b\s*(.*)")
_PATH = re.compile(r"(?i)^\s*(?:FROM|TO)\s*:\s*<?([^<>\s]*)>?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.IPv]+\]")
_LITERAL_END = re.compile(r"(?:\\r)?\\n\s*$|\\r\s*$")  # a program's debug output may show the line's end
_IS_SMTP = re.compile(r"(?i)\s+E?SMTP\b")
_ADDRESS = re.compile(r"\[([0-9A-Fa-f.:]{3,45})\]|\b((?:[0-9]{1,3}\.){3}[0-9]{1,3})\b")
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128")))
_SESSION = (
    ev.Dial,
    ev.Connected,
    ev.ConnectFailed,
    ev.Reply,
    ev.Command,
    ev.Content,
    ev.DataEnd,
    ev.Closed,
    ev.TimedOut,
    ev.TlsStarted,
    ev.TlsFailed,
    ev.Fact,
    ev.Trouble,
)


def dialogues_of(events: Sequence[ev.Event], software: str | None, view: str | None) -> list[Dialogue]:
    """The dialogues in the *events* of one session segment, in order."""
    found: list[Dialogue] = []
    current = _Replay(software, view)
    for event in events:
        if not isinstance(event, _SESSION):
            continue
        if current.ends_before(event):
            found.append(current.dialogue())
            current = _Replay(software, view)
        current.take(event)
    if current.places:
        found.append(current.dialogue())
    return found


class _Replay:
    """The state of one dialogue while its events are taken in."""

    def __init__(self, software: str | None, view: str | None) -> None:
        self.software, self.view = software, view
        self.format = ""
        self.places: list[Place] = []
        self.where: dict[str, list[Place]] = {}
        self.server: str | None = None
        self.server_ip: str | None = None
        self.port: int | None = None
        self.client_ip: str | None = None
        self.client_name: str | None = None
        self.connected: str | None = None
        self.probe: str | None = None
        self.pending: list[tuple[str, str | None, Place, bool]] = []
        self.exchanges: list[Exchange] = []
        self.reply: list[ev.Reply] = []
        self.in_data = False
        self.data_open = False
        self.talked = False
        self.closed: Closing | None = None
        self.quit = False
        self.tls: str | None = None
        self.tls_first: str | None = None
        self.ahead: str | None = None
        self.failed_dials: list[ev.ConnectFailed] = []
        self.stated: dict[str, str] = {}
        self.other_words: str | None = None

    # -- where one connection ends and the next begins -----------------------------------------------------------------
    def ends_before(self, event: ev.Event) -> bool:
        """Whether *event* belongs to the next connection."""
        if isinstance(event, ev.Dial | ev.Connected):
            again = isinstance(event, ev.Dial) and (self.connected == "yes" or self._gave_up_on_another(event))
            another = isinstance(event, ev.Connected) and event.probe == "yes" and event.port != self.port and self._tried_a_port()
            return self.talked or self.closed is not None or again or another
        if isinstance(event, ev.ConnectFailed):
            return self.talked or self.closed is not None or self.probe == "yes"
        if isinstance(event, ev.Fact):
            return (self.closed is not None or bool(self.failed_dials)) and bool(event.server or event.server_ip)
        if self.closed is not None and isinstance(event, ev.Reply) and event.code in {220, 554, 421}:
            return not self.reply and not self.pending and event.place > self.closed.places[-1]
        return bool(isinstance(event, ev.Reply) and event.code == 220 and self._said_quit())

    def _tried_a_port(self) -> bool:
        """Whether what is shown so far is a try of one port and no more."""
        return self.port is not None and (self.probe == "yes" or bool(self.failed_dials))

    def _gave_up_on_another(self, event: ev.Dial) -> bool:
        """Whether the last server could not be reached, and *event* is a command of its own, or names another server."""
        if not self.failed_dials:
            return False
        return event.typed == "yes" or bool(self.server and event.server and (event.server != self.server or event.server_ip is None))

    def _said_quit(self) -> bool:
        return self.quit and not self.pending and not self.reply

    # -- one event -----------------------------------------------------------------------------------------------------
    def take(self, event: ev.Event) -> None:
        self.format = self.format or event.format
        self.places.append(event.place)
        match event:
            case ev.Dial() | ev.Connected() | ev.Fact():
                if isinstance(event, ev.Fact) and event.text and self.connected == "yes" and not self.exchanges:
                    self.other_words = event.text
                    self._cite("other_words", event.place)
                self._learn(event)
                if isinstance(event, ev.Connected):
                    self.connected = "yes"
                    self.probe = event.probe
                    self._cite("connected", event.place)
            case ev.ConnectFailed():
                self._learn(event)
                self.failed_dials.append(event)
                if self.connected is None:
                    self.connected = "no"
                    self._cite("connected", event.place)
            case ev.Reply():
                self._learn(event)
                self._reply(event)
            case ev.Command():
                self._command(event)
            case ev.Content():
                self.talked = self.data_open = True
            case ev.DataEnd():
                self._was_message()
                self._ask(DOT, None, event.place)
                self.in_data = self.data_open = False
            case ev.Closed():
                self._close(event.by, event.how, event.place)
            case ev.TimedOut():
                self.connected = event.connected or self.connected
                self._close("server", "timeout", event.place)
            case ev.TlsStarted():
                self.tls = "yes"
                self._learn(event)
                self._cite("tls", event.place)
            case ev.TlsFailed():
                self.tls = "failed"
                self._cite("tls", event.place)
            case _:
                pass

    def _cite(self, field: str, place: Place) -> None:
        self.where.setdefault(field, []).append(place)

    def _learn(self, event: ev.Event) -> None:
        for field in ("server", "server_ip", "port", "tls_first", "ahead", "client_ip", "client_name"):
            value = getattr(event, field, None)
            if value not in (None, ""):
                setattr(self, field, value.rstrip(".") if field == "server" else value)
                self.where[field] = [event.place]
        for field in ("helo", "mail_from", "rcpt_to"):
            if value := getattr(event, field, None):
                self.stated[field] = value
                self.where.setdefault(field, [event.place])

    def _command(self, event: ev.Command) -> None:
        self._flush()
        text = _LITERAL_END.sub("", event.text if event.text is not None else f"{event.verb or ''}{event.argument or ''}")
        if self.in_data:
            if text.strip() == "." or text.endswith(("\\r\\n.", "\\n.")):  # smtplib shows the message in one line
                self._ask(DOT, None, event.place)
                self.in_data = self.data_open = False
            else:
                self.data_open = True
            return
        if text.strip() == ".":
            self._was_message()
            self._ask(DOT, None, event.place)
            return
        found = _VERBS.match(text.strip())
        if event.verb and (not found or found[1].upper() != event.verb.upper()):
            self._ask(event.verb.upper(), _LITERAL_END.sub("", event.argument or "").strip() or None, event.place)
        elif found:
            self._ask(found[1].upper(), found[2].strip() or None, event.place)
        else:
            self._ask(self._continued(), text.strip() or None, event.place, unknown=True)

    def _was_message(self) -> None:
        """What stands before a lone dot and is no command was a message, the DATA before it is not shown."""
        self.pending = [asked for asked in self.pending if not asked[3]]

    def _continued(self) -> str:
        """A line that is no command: the next step of AUTH, or something that SMTP does not know."""
        last = self.exchanges[-1] if self.exchanges else None
        return "AUTH" if last and last.to == "AUTH" and last.code == 334 else "?"

    def _ask(self, verb: str, argument: str | None, place: Place, *, unknown: bool = False) -> None:
        self._flush()
        self.talked = True
        self.quit = self.quit or verb == "QUIT"
        self.pending.append((verb, argument, place, unknown and verb == "?"))

    def _reply(self, event: ev.Reply) -> None:
        if event.again == "yes" and self._knows(event):
            return
        if self.closed is not None and self.closed.how == "empty":
            self.closed = None  # the answer came after all
        self.talked = True
        self.connected = "yes"
        if self.reply and self.reply[-1].code != event.code:
            self._flush()
        self.reply.append(event)
        if event.more != "-":
            self._flush()

    def _knows(self, event: ev.Reply) -> bool:
        """Whether a reply that is said again was shown."""
        if self.reply and self.reply[-1].again == "yes":
            return False  # the next line of one that was not
        self._flush()
        return any(e.code == event.code for e in self.exchanges[-4:]) and not any(to == event.to for to, *_ in self.pending)

    def _flush(self) -> None:
        """A whole reply answers the oldest command, or greets."""
        if not self.reply:
            return
        first, places = self.reply[0], tuple(r.place for r in self.reply)
        enhanced = next((r.enhanced for r in self.reply if r.enhanced), None)
        text = " ".join(t for r in self.reply if (t := (r.text or "").strip())) or None
        self.reply = []
        if self.pending:
            for _ in range(self._not_shown(first, alone=len(places) == 1 and first.more != "-")):
                verb, argument, place, unknown = self.pending.pop(0)
                self.exchanges.append(Exchange(verb, argument, places=(place,), unknown="yes" if unknown else None))
            verb, argument, place, unknown = self.pending.pop(0)
            asked: tuple[Place, ...] = (place,)
        elif first.to:
            verb, argument, asked, unknown = first.to, None, (), False
            self.in_data = self.data_open = False
        elif first.code == _DONE and _TAKEN.search(text or ""):
            verb, argument, asked, unknown = DOT, None, (), False  # a message was handed in, of which nothing else is shown
        elif not self.exchanges and first.code not in _NO_GREETING and ("connected" in self.where or _greets(first)):
            verb, argument, asked, unknown = GREETING, None, (), False
        elif self.in_data:
            verb, argument, asked, unknown = DOT, None, (), False  # many clients do not show the message
            self.in_data = self.data_open = False
        else:
            verb, argument, asked, unknown = "", None, (), False  # said without being asked
        self.exchanges.append(Exchange(verb, argument, first.code, enhanced, text, (*asked, *places), places, "yes" if unknown else None))
        if verb in {"DATA", ""} and first.code == 354:
            self.in_data = self.data_open = True

    def _not_shown(self, first: ev.Reply, *, alone: bool) -> int:
        """How many commands were answered before, and the answers left out: a reply that answers one command alone tells it.

        So does a command after EHLO, which a client sends only once EHLO is answered (RFC 2920 3.1), where one reply is no greeting.
        """
        verbs = [verb for verb, *_ in self.pending]
        if first.code in _ANSWERS_ONLY:
            return next((i for i, verb in enumerate(verbs) if verb in _ANSWERS_ONLY[first.code]), 0)
        one_more = len(verbs) == _EHLO_AND_ONE and verbs[0] in HELLO and verbs[1] not in {"QUIT", *HELLO}
        return int(one_more and alone and not _GREETS_BACK.match(first.text or ""))

    def _close(self, by: str | None, how: str | None, place: Place) -> None:
        self._flush()
        if self.closed is not None:
            return
        if len(self.places) == 1 and how in {None, "closed"}:
            return  # the end of a connection of which nothing else is shown
        answered = not self.pending
        after = self.pending[0][0] if self.pending else next((e.to for e in reversed(self.exchanges) if e.to), None)
        if self.in_data:
            after, answered = "MESSAGE-DATA", False
        elif after is None:
            after, answered = GREETING, False
        self.closed = Closing(by, after, how or "closed", "yes" if answered else "no", (place,))
        self._cite("closed", place)

    # -- the whole -----------------------------------------------------------------------------------------------------
    def dialogue(self) -> Dialogue:
        """The dialogue as far as it was shown."""
        self._flush()
        unanswered = tuple(Exchange(v, a, places=(p,), unknown="yes" if u else None) for v, a, p, u in self.pending)
        done = tuple(self.exchanges)
        if done and done[0].to == "" and (done[0].code or 0) >= 400 and (unanswered or any(e.to for e in done[1:])):
            done = (msgspec.structs.replace(done[0], to=GREETING), *done[1:])  # the client spoke after it
        greeting = next((e for e in done if e.to == GREETING), None)
        helo = _last(e for e in (*done, *unanswered) if e.to in HELLO)
        said_hello = _last(e for e in done if e.to in HELLO and _good(e))
        mail = _last(e for e in (*done, *unanswered) if e.to == "MAIL")
        recipients = [e for e in (*done, *unanswered) if e.to == "RCPT"]
        final = _last(e for e in done if e.to in {DOT, "BDAT"})
        auth = _last(e for e in done if e.to == "AUTH")
        for field, exchange in (
            ("banner", greeting),
            ("greeting", greeting),
            ("banner_name", greeting),
            ("helo", helo),
            ("mail_from", mail),
            ("accepted", final),
        ):
            if exchange:
                self.where[field] = list(exchange.places)
        if recipients:
            self.where["rcpt_to"] = [e.places[0] for e in recipients]
        if taken := _last(e for e in recipients if _good(e)):
            self.where["rcpt_accepted"] = self.where["rcpt_domain"] = [*taken.places, *taken.reply_places]
        rcpt = [p for e in recipients if (p := _path(e.argument))]
        banner_name = host_named(greeting.text) if greeting and greeting.text else None
        # "host Hello client [192.0.2.7]": the address that the server sees.
        greeted = _ADDRESS.search(said_hello.text or "") if said_hello else None
        if greeted and said_hello and self.client_ip is None:
            self.client_ip = greeted[1] or greeted[2]
            self.where["client_ip"] = list(said_hello.reply_places)
        return Dialogue(
            places=tuple(self.places),
            where={k: tuple(v) for k, v in self.where.items()},
            complete=self.closed is not None or any(e.to == "QUIT" and e.code for e in done) or self.connected == "no",
            format=self.format,
            software=self.software,
            view=self.view,
            server=self.server,
            server_ip=self.server_ip,
            port=self.port,
            client_ip=self.client_ip,
            client_name=self.client_name,
            connected=self.connected,
            probe="no" if done or unanswered else self.probe or _tried(self.closed),
            banner=greeting.text if greeting else None,
            banner_name=banner_name,
            greeting=greeting.code if greeting else None,
            helo=Helo(helo.to, (helo.argument or "").split(" ")[0] or None)
            if helo
            else (Helo("EHLO", self.stated["helo"]) if "helo" in self.stated else None),
            greeted_as=(said_hello.text or "").split(" ")[0] if said_hello else None,
            extensions=_extensions(said_hello) if said_hello and said_hello.to != "HELO" else None,
            tls=self.tls,
            tls_first=self.tls_first,
            ahead=self.ahead,
            authenticated=None if auth is None else "yes" if auth.code == 235 else "failed",
            mail_from=_path(mail.argument) if mail else self.stated.get("mail_from"),
            rcpt_to=tuple(rcpt) or ((self.stated["rcpt_to"],) if "rcpt_to" in self.stated else ()),
            exchanges=(*done, *unanswered),
            closed=self.closed,
            reached=next((e.to for e in reversed(done) if e.to and _good(e)), None),
            rcpt_accepted="yes" if any(_good(e) for e in recipients) else "no" if any(e.code for e in recipients) else None,
            accepted=None if final is None or final.code is None else "yes" if _good(final) else "no",
            data_open="yes" if self.data_open else None,
            other_words=self.other_words,
            rcpt_domain=next(
                (p.rpartition("@")[2].lower() for e in reversed(recipients) if _good(e) and (p := _path(e.argument)) and "@" in p), None
            ),
            client_private=_private(self.client_ip),
            server_private=_private(self.server_ip),
        )


def host_named(text: str) -> str | None:
    """The host that a greeting names: its first word (RFC 5321 4.2), where that is no mere word."""
    found = _NAME.match(text)
    if found is None:
        return None
    names_host = "." in found[0] or found[0].lower() == "localhost" or bool(_IS_SMTP.match(text[found.end() :]))
    return found[0] if names_host else None


def _tried(closed: Closing | None) -> str | None:
    return "yes" if closed is not None and closed.how == "probe" else None


def _greets(first: ev.Reply) -> bool:
    """Whether a reply that nothing stands before may be a greeting: a refusal is one where the server's name comes first."""
    return (first.code or 0) < 400 or bool(_HOST_FIRST.match(first.text or ""))


def _last(items: Iterable[Exchange]) -> Exchange | None:
    found = None
    for item in items:
        found = item
    return found


def _good(exchange: Exchange) -> bool:
    return exchange.code is not None and exchange.code < 400


def _private(address: str | None) -> str | None:
    # Not `is_private`, which counts the addresses of documentation, too.
    try:
        found = ipaddress.ip_address(address) if address else None
    except ValueError:
        return "no"
    return None if found is None else "yes" if any(found.version == n.version and found in n for n in _PRIVATE) else "no"


def _path(argument: str | None) -> str | None:
    found = _PATH.match(argument or "")
    return found[1] if found else None


def _extensions(hello: Exchange) -> tuple[str, ...]:
    words = (hello.text or "").split()
    known = {"STARTTLS", "PIPELINING", "SIZE", "8BITMIME", "AUTH", "DSN", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "ETRN"}
    return tuple(
        sorted({w.upper() for w in words if w.upper() in known} | ({"AUTH"} if any(w.startswith("AUTH=") for w in words) else set()))
    )
