"""Events -> `Case`: what people reason about, cross-linked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.assemble.authentication import aligned
from analyzer.assemble.certificate import certificates_of
from analyzer.assemble.delivery import deliveries_of
from analyzer.assemble.dialogue import dialogues_of, host_named
from analyzer.assemble.facts import facts_of
from analyzer.assemble.login import logins_of
from analyzer.assemble.names import address_of, plain_name
from analyzer.assemble.problems import complaints_of, domain_of, merged, of_deliveries, of_dialogue, of_events, of_remarks, with_named
from analyzer.assemble.stranger import household_of, with_stranger
from analyzer.expressions import re
from analyzer.model import events as ev
from analyzer.model.case import Case, Delivery, Dialogue, Message, Problem
from analyzer.model.events import GOOD
from analyzer.model.lookup import Lookup, Record
from analyzer.model.place import Place
from analyzer.model.provider import provider_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Capture, Parsed
    from analyzer.model.provider import Providers

_SESSION = (ev.Dial, ev.Connected, ev.ConnectFailed, ev.Reply, ev.Command, ev.TimedOut)


def assemble(
    captures: Sequence[Capture],
    parsed: Sequence[Parsed],
    formats: Formats,
    providers: Providers = (),
) -> Case:
    """One case from everything parsed."""
    parsed = _without_hearsay(parsed, formats)
    back = frozenset(c.source for c in captures if c.newest_first)
    events = tuple(sorted((e for p in parsed for e in p.events), key=lambda e: _moment(e.place, back)))
    software, views = formats.software, formats.views
    dialogues, problems = _dialogues(parsed, software, views, back)
    dialogues = [_foreign(d, providers) for d in dialogues]
    deliveries = deliveries_of(events, software)
    lookups, records = _dns(parsed)
    owners: list[tuple[str, int] | None] = [("dialogue", i) for i, _ in problems]
    found = [p for _, p in problems]
    complaints = complaints_of(events)
    for index, problem in of_deliveries(deliveries, software, complaints):
        owners.append(("delivery", index))
        found.append(problem)
    loose = [e for e in events if e.format not in {d.format for d in dialogues} or isinstance(e, ev.Refused | ev.Trouble)]
    prose = frozenset(f.name for f in formats.prose)
    shown = {(p.code, _subject(p.enhanced)) for p in found if p.code}
    for problem in of_events(loose, software, views, complaints, prose):
        if problem.format in prose and {(problem.code, _subject(problem.enhanced)), (problem.code, None)} & shown:
            continue  # somebody's words about what the session or the log shows itself
        owners.append(None)
        found.append(problem)
    left = all(p.kind == "hang-up" and p.minor for p in found)  # nothing but clients that went away
    if left and not dialogues and not any(a.status in GOOD for d in deliveries for a in d.attempts):
        remarks = of_remarks(events, software, views, strangers=not deliveries)
        found += remarks
        owners += [None] * len(remarks)
    alone = _alone(formats)
    stated = [e for e in events if isinstance(e, ev.Fact) and e.format in prose]
    found = [_as_set(with_named(p), stated) for p in found]
    found = [msgspec.structs.replace(p, hearsay="yes") if p.format in alone and p.server is None else p for p in found]
    client = _only_client(lookups)
    typed = _typed_at(captures, dialogues, found)
    found = [_in_session(p, dialogues) for p in found]
    found = [_linked(p, dialogues, deliveries, providers, events, back, typed) for p in found]
    if client is not None:
        found = [_with_client(p, client) for p in found]
    home = household_of(deliveries, events)
    found = [with_stranger(p, home, providers) for p in found]
    whole, index_of = merged(found)
    certificates = certificates_of(events)
    mine: dict[tuple[str, int] | None, set[int]] = {}
    for at, owner in enumerate(owners):
        mine.setdefault(owner, set()).add(index_of[at])

    def owned(kind: str, at: int) -> tuple[int, ...]:
        return tuple(sorted(mine.get((kind, at), ())))

    messages = _messages(events)
    case = Case(
        captures=tuple(captures),
        parsed=tuple(parsed),
        events=events,
        lookups=lookups,
        records=_of_clients(records, lookups, [*whole, *dialogues, *messages]),
        dialogues=tuple(msgspec.structs.replace(d, problems=owned("dialogue", i)) for i, d in enumerate(dialogues)),
        deliveries=tuple(msgspec.structs.replace(d, problems=owned("delivery", i)) for i, d in enumerate(deliveries)),
        certificates=certificates,
        messages=messages,
        logins=logins_of(events),
        problems=tuple(whole),
    )
    return msgspec.structs.replace(case, facts=facts_of(case, providers))


def _alone(formats: Formats) -> set[str]:
    """The formats of sentences that are believed only where nothing else is read."""
    return {f.name for f in formats.prose if f.header.alone}


def _as_set(p: Problem, stated: Sequence[ev.Fact]) -> Problem:
    """*p* with the server and port that a mail program *stated* beside its error."""
    if p.server is not None or p.view == "receiving":
        return p
    known = {name: next((v for e in stated if (v := getattr(e, name))), None) for name in ("server", "server_ip", "port")}
    if p.server_ip is not None or not any(known.values()):
        return p
    return msgspec.structs.replace(p, **known | ({"port": p.port} if p.port else {}))


_OF_THE_SESSION = ("server", "server_ip", "port", "tls", "tls_first", "helo", "mail_from")


def _in_session(p: Problem, dialogues: Sequence[Dialogue]) -> Problem:
    """What a client complains of amid a session, with what the session shows of itself."""
    if p.kind not in {"local-failure", "auth-failure"} or p.view == "receiving":
        return p
    d = next((d for d in dialogues if not set(p.places).isdisjoint(d.places)), None)
    if d is None and p.kind == "auth-failure" and p.client_ip is None:  # a login at a mailbox is told line by line
        d = next(
            (d for d in reversed(dialogues) if d.server and d.places[0].source == p.places[0].source and d.places[0] < p.places[0]), None
        )
    if d is None:
        return p
    shown = {n: getattr(d, n) for n in _OF_THE_SESSION if getattr(p, n) is None and getattr(d, n) is not None}
    if "helo" in shown:
        shown["helo"] = shown["helo"].name
    return msgspec.structs.replace(p, **shown) if shown else p


def _without_hearsay(parsed: Sequence[Parsed], formats: Formats) -> Sequence[Parsed]:
    """*parsed* without what is believed only where nothing else is read."""
    alone = _alone(formats)
    if all(e.format in alone for p in parsed for e in p.events):
        return parsed
    return [_unread(p, alone) if any(e.format in alone for e in p.events) else p for p in parsed]


def _unread(p: Parsed, formats: set[str]) -> Parsed:
    missed = {e.place.line for e in p.events if e.format in formats}
    kept = tuple(e for e in p.events if e.format not in formats)
    return msgspec.structs.replace(p, events=kept, unrecognised=tuple(sorted({*p.unrecognised, *missed})))


def _dialogues(
    parsed: Sequence[Parsed], software: dict[str, str | None], views: dict[str, str | None], back: frozenset[int]
) -> tuple[list[Dialogue], list[tuple[int, Problem]]]:
    sessions: dict[tuple[int, str], list[ev.Event]] = {}
    for p in parsed:
        name = p.segment.format
        # What a server's log shows of a session is told by its refusals and deliveries; a client's log is the session.
        told_here = [e for e in p.events if not _logged(e)]
        if name and any(isinstance(e, _SESSION) and (not e.agent or views.get(name) == "sending") for e in told_here):
            sessions.setdefault((p.segment.source, name), []).extend(told_here)
    dialogues: list[Dialogue] = []
    problems: list[tuple[int, Problem]] = []
    for (_, name), events in sorted(sessions.items(), key=lambda kv: kv[1][0].place):
        events.sort(key=lambda e: _moment(e.place, back))
        for d in dialogues_of(events, software.get(name), views.get(name) or "sending"):
            lines = set(d.places)
            failed = _failed([e for e in events if e.place in lines])
            problems += [(len(dialogues), p) for p in of_dialogue(d, failed)]
            dialogues.append(d)
    return dialogues, problems


def _logged(e: ev.Event) -> bool:
    """Whether a log tells *e* of one of its messages, which is no part of a session."""
    return isinstance(e, ev.ConnectFailed) and e.queue_id is not None


def _foreign(d: Dialogue, providers: Providers) -> Dialogue:
    """*d* with whether sender and recipient are of large providers whose server this is not."""
    here = {p for name in (d.server, d.banner_name, d.greeted_as) if (p := provider_of(name, providers))}

    def foreign(domain: str | None) -> str | None:
        if domain is None or not (d.banner_name or d.server):
            return None
        provider = provider_of(domain, providers)
        return "yes" if provider is not None and provider not in here else "no"

    return msgspec.structs.replace(d, rcpt_foreign=foreign(d.rcpt_domain), sender_foreign=foreign(domain_of(d.mail_from)))


def _failed(events: Sequence[ev.Event]) -> list[ev.Event]:
    """Failed connections, each with the address that was being dialled, failures of TLS, and a client's own complaints."""
    found: list[ev.Event] = []
    dialled: str | None = None
    silent: str | None = None  # dialled in vain, and the program goes on to the next address without a word
    for e in events:
        if isinstance(e, ev.Dial):
            silent, dialled = dialled if e.server_ip else None, e.server_ip
        elif isinstance(e, ev.Connected):
            dialled = None
        elif isinstance(e, ev.ConnectFailed):
            if not e.server_ip and silent and ":" in (dialled or "") and ":" not in silent:
                # What is said is said of the last address, an IPv6 one: why IPv4 failed as well, nobody knows.
                e = msgspec.structs.replace(e, server_ip=silent, reason="other", text=None)  # noqa: PLW2901
            found.append(e if e.server_ip else msgspec.structs.replace(e, server_ip=dialled))
            silent = dialled = None
        elif isinstance(e, ev.Trouble):
            found.append(e)
        elif isinstance(e, ev.TlsFailed):
            last = found[-1] if found else None
            if isinstance(last, ev.TlsFailed) and e.place.line - last.place.line == 1:  # the reason, and then "STARTTLS failed"
                found[-1] = msgspec.structs.replace(last, text=f"{last.text}; {e.text}")
            else:
                found.append(e)
    return found


def _messages(events: Sequence[ev.Event]) -> tuple[Message, ...]:
    if not any(isinstance(e, ev.Header | ev.Reported) for e in events):
        return ()
    from analyzer.assemble.message import messages_of

    return messages_of(events)


def _dns(parsed: Sequence[Parsed]) -> tuple[tuple[Lookup, ...], tuple[Record, ...]]:
    segments = [p for p in parsed if any(isinstance(e, _DNS) for e in p.events)]
    if not segments:
        return (), ()
    from analyzer.assemble.lookup import lookups_of  # dnspython takes its time to import
    from analyzer.assemble.policy import records_of

    lookups = tuple(found for p in segments for found in lookups_of(p.events, _words_alone(p)))
    return lookups, records_of(lookups)


def _of_clients(
    records: tuple[Record, ...], lookups: Sequence[Lookup], things: Sequence[Problem | Dialogue | Message]
) -> tuple[Record, ...]:
    """*records*, those of SPF with what they say of the one address from which the case shows mail of their domain."""
    if not any(r.kind == "SPF" and r.of for r in records):
        return records
    from analyzer.assemble.spf import with_client

    clients: dict[str, dict[str, tuple[Place, ...]]] = {}
    for thing in things:
        sender = thing.return_path if isinstance(thing, Message) else thing.mail_from
        domain = sender.rpartition("@")[2].lower() if sender else None
        if domain and thing.client_ip:
            clients.setdefault(domain, {}).setdefault(thing.client_ip, thing.where.get("client_ip") or thing.places[:1])
    sole = [(domain, *next(iter(found.items()))) for domain, found in clients.items() if len(found) == 1]
    return tuple(with_client(r, sole, lookups) for r in records) if sole else records


def _words_alone(parsed: Parsed) -> list[int]:
    """The unread lines that hold one word, as a datum that was made unreadable does."""
    if not parsed.unrecognised and not parsed.prose:
        return []
    unread = frozenset({*parsed.unrecognised, *parsed.prose})
    return [line.number for line in parsed.segment.lines if line.number in unread and len(line.text.split(maxsplit=1)) == 1]


_DNS = (ev.DnsQuestion, ev.DnsHeader, ev.DnsSection, ev.DnsRecord, ev.DnsServer, ev.DnsFailed)


# Failures that a delivery gets over: the next host, another try, no TLS.
_ON_THE_WAY = frozenset({"tls-failure", "connect-failure", "hang-up", "timeout"})


def _linked(
    p: Problem,
    dialogues: Sequence[Dialogue],
    deliveries: Sequence[Delivery],
    providers: Providers,
    events: Sequence[ev.Event],
    back: frozenset[int],
    typed: Mapping[Place, str],
) -> Problem:
    """*p* with what only the rest of the case can tell: its provider, whether the same succeeded later."""
    changes: dict[str, str] = {}
    if provider := provider_of(p.server or p.banner or (p.unresolved if p.reason else None), providers):
        changes["provider"] = provider
    if own := _own(p):
        changes["domain_own"] = own
    if p.resolved == "no" and (
        (p.rcpt_to and p.temporary != "no" and _succeeded(p, dialogues, deliveries, events, back))
        or (p.kind == "connect-failure" and _connected_after_all(p, dialogues, typed))
        or (p.queue_id and p.kind in _ON_THE_WAY and _delivered_after_all(p, deliveries))
        or (p.kind == "auth-failure" and p.view == "receiving" and _logged_in_after_all(p, events, back))
    ):
        changes["resolved"] = "yes"
    return msgspec.structs.replace(p, **changes) if changes else p


def _own(p: Problem) -> str | None:
    """Whether the recipient's domain is of the same organisation as the server, going by the names under which it is dialled and greets."""
    names = [plain_name(n) for n in (p.server, host_named(p.banner or "")) if n and "." in n and address_of(n) is None]
    kin = {aligned(p.domain.lower(), n) for n in names} if p.domain else set()
    return "yes" if "yes" in kin else "no" if "no" in kin else None


def _connected_after_all(p: Problem, dialogues: Sequence[Dialogue], typed: Mapping[Place, str]) -> bool:
    return any(
        d.connected == "yes"
        and d.places > p.places
        and d.server in {p.server, None}
        and not (p.port and d.port and p.port != d.port)  # a port that answers says nothing of another one
        and not _other_family(p, d)
        and not (d.server is None and p.server_ip and d.server_ip and p.server_ip != d.server_ip)  # two addresses, dialled by hand
        and not _elsewhere(p, d, typed)
        for d in dialogues
    )


# Who typed a command, and where: "user@host:~$ ", "C:\\>", or a bare mark.
_PROMPT = re.compile(r"\s{0,8}\[?(?P<who>[\w.-]{1,40}@[\w.-]{1,80}|[A-Za-z]:\\|(?=[$#>]))[^$#>\n]{0,80}[$#>] ?(?=\S)")


def _typed_at(captures: Sequence[Capture], dialogues: Sequence[Dialogue], problems: Sequence[Problem]) -> dict[Place, str]:
    """For the first lines of dialogues and of failed connections the prompt at which their command was typed, where one is shown."""
    failed = [p.places[0] for p in problems if p.kind == "connect-failure"]
    if not failed:
        return {}
    begins = {place: d.places[0] for d in reversed(dialogues) for place in d.places}
    firsts = {d.places[0]: d.places[0] for d in dialogues} | {place: begins.get(place, place) for place in failed}
    wanted = set(firsts.values())
    prompts = {
        at: found["who"].lower()
        for c in captures
        for line in c.lines
        if (at := Place(c.source, line.number)) in wanted and (found := _PROMPT.match(line.text))
    }
    return {place: prompts[first] for place, first in firsts.items() if first in prompts}


def _elsewhere(p: Problem, d: Dialogue, typed: Mapping[Place, str]) -> bool:
    """Whether *d* was typed at another machine's prompt than what failed: that it works there says nothing of here."""
    here, there = typed.get(p.places[0]), typed.get(d.places[0])
    return here is not None and there is not None and here != there


def _other_family(p: Problem, d: Dialogue) -> bool:
    """Somebody called IPv6 and then, in a command of its own, IPv4: that the second works does not undo the first."""
    return ":" in (p.server_ip or "") and ":" not in (d.server_ip or ":") and d.places[0] > p.places[-1]


def _delivered_after_all(p: Problem, deliveries: Sequence[Delivery]) -> bool:
    return any(d.queue_id == p.queue_id and d.delivered == "yes" for d in deliveries)


def _subject(enhanced: str | None) -> str | None:
    """Class and subject of an enhanced status code (RFC 3463 2): what is left of it where two servers' details differ."""
    return None if enhanced is None else enhanced.rpartition(".")[0]


_MOST_TYPING_ERRORS = 4  # places in a log; a login that failed is told by up to three programs


def _logged_in_after_all(p: Problem, events: Sequence[ev.Event], back: frozenset[int]) -> bool:
    """Whether the same client, as the same user, got in after a failure or two: a mistyped password, not a guessed one."""
    if p.client_ip is None:
        return False
    moment = _moment(p.places[-1], back)
    tries = 0
    got_in = False
    for e in events:
        if getattr(e, "client_ip", None) != p.client_ip:
            continue
        if isinstance(e, ev.AuthResult) and e.result == "failed":
            tries += 1
        elif isinstance(e, ev.AuthResult | ev.MessageInfo) and e.user is not None and p.user in {e.user, None}:
            got_in = got_in or (_moment(e.place, back) > moment and getattr(e, "result", "ok") == "ok")
    return got_in and tries <= _MOST_TYPING_ERRORS


def _only_client(lookups: Sequence[Lookup]) -> tuple[str, tuple[Place, ...]] | None:
    """The one address that the case asks blocklists or reverse names about: whoever asks so means the client."""
    asked: dict[str, tuple[Place, ...]] = {}
    for lookup in lookups:
        address = lookup.dnsbl_of or (lookup.of if lookup.type == "PTR" else None)
        if address and address.replace(".", "").isdigit():
            asked.setdefault(address, lookup.places[:1])
    return next(iter(asked.items())) if len(asked) == 1 else None


def _with_client(p: Problem, client: tuple[str, tuple[Place, ...]]) -> Problem:
    if p.client_ip is not None or p.view != "sending" or p.server_ip == client[0] or p.kind == "local-failure":
        return p
    return msgspec.structs.replace(p, client_ip=client[0], where={**p.where, "client_ip": client[1]})


def _moment(place: Place, back: frozenset[int]) -> tuple[int, int]:
    """Where *place* comes in time: sources in *back* have their newest line first."""
    return place.source, -place.line if place.source in back else place.line


def _succeeded(
    p: Problem, dialogues: Sequence[Dialogue], deliveries: Sequence[Delivery], events: Sequence[ev.Event], back: frozenset[int]
) -> bool:
    """Whether the same recipient of the same sender was served further on (a retry that passed)."""
    at = p.places[-1]
    moment = _moment(at, back)
    for d in dialogues:
        if (
            _moment(d.places[0], back) > moment
            and p.rcpt_to in d.rcpt_to
            and (d.accepted == "yes" or (p.stage != "END-OF-MESSAGE" and d.rcpt_accepted == "yes"))
        ):
            return d.mail_from == p.mail_from
    if p.view == "receiving" and p.temporary == "yes":
        taken = [d for d in deliveries if d.mail_from is not None and d.mail_from == p.mail_from and _moment(d.places[0], back) > moment]
        return any(a.rcpt_to == p.rcpt_to or a.orig_to == p.rcpt_to for d in taken for a in d.attempts) or any(
            isinstance(e, ev.MessageInfo) and _moment(e.place, back) > moment and e.rcpt_to == p.rcpt_to and e.mail_from == p.mail_from
            for e in events
        )
    return False
