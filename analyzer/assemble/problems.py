"""What wants explaining in a case: one `Problem` for each failed event, alike ones together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from analyzer.assemble.delivery import NO_QUEUE_ID, recipients_of
from analyzer.assemble.dialled import dialled_in
from analyzer.assemble.dialogue import DOT, GREETING, HELLO
from analyzer.expressions import re
from analyzer.model import events as ev
from analyzer.model.case import MAILBOX_PORTS, Problem
from analyzer.model.events import GOOD
from analyzer.model.moment import between, duration
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analyzer.model.case import Delivery, Dialogue, Exchange

STAGES = {
    "RCPT TO": "RCPT",
    "MAIL FROM": "MAIL",
    "END OF DATA": DOT,
    "END OF MESSAGE": DOT,
    "END-OF-MESSAGE": DOT,
    "SENDING MESSAGE BODY": DOT,
    "MESSAGE BODY": DOT,
    "DATA CONTENT": DOT,
    "END-OF-DATA": DOT,
    ".": DOT,
    "EOM": DOT,
    "INITIAL SERVER GREETING": GREETING,
    "SERVER GREETING": GREETING,
    "BANNER": GREETING,
    "INITIAL GREETING": GREETING,
    "INITIAL CONNECTION": GREETING,
    "CONNECTION": "CONNECT",
    "END OF HEADER": DOT,
    "EOH": DOT,
    "DATA COMMAND": "DATA",
    "HEADERS": DOT,
    "BODY": DOT,
}
# "Name service error for name=mx.example.net type=A: Host not found"; Sendmail: "(Name server: mx.example.net.: host not found)"
_UNRESOLVED = re.compile(
    r"(?:name=|Name server: )([^\s;:]{1,255}?)\.?(?: type=|: (?=host not found|no data known|host name lookup failure))"
)
# What resolvers' callers say where no name server gave an answer, good or bad: it may be asked again.
_NOT_TOLD = re.compile(
    r"(?i)host not found, try again|host lookup did not complete|all host address lookups.{0,300} failed temporarily|temporary failure in MX lookup|"
    r"host name lookup failure|CNAME lookup failed temporarily|temporary failure in name resolution|DNS lookup failure:"
)
_BY_ROUTE = re.compile(r"(?i)smart|relay|manual|gateway|route_list|forward")  # routers whose next hop is not the recipient's domain
# The next hop that a reason names where no relay is shown, since there was no connection.
_NEXT_HOP = re.compile(
    r"(?:connect to|lost connection with|conversation with|host) (?P<server>[^\s\[\]:]{1,255})\[(?P<server_ip>[0-9A-Fa-f.:]{3,45})\](?::(?P<port>[0-9]{1,5}))?"
)
# Whom a reply in Postfix's manner is about: "<b@example.net>: Recipient address rejected: ...".
_ABOUT = re.compile(
    r"<(?P<at>[^<>\s]{0,320})>: (?:(?P<rcpt_to>Recipient address rejected|Relay access denied|User unknown)|(?P<mail_from>Sender address rejected)|(?P<helo>Helo command rejected))"
)
_CLIENT = re.compile(  # the address that a server says it sees
    r"(?i)(?:\bclient(?: host)?(?: rejected:[^\[\]]{0,80})?|\b(?:banned )?send(?:er|ing) ?(?:ip)?(?: address)?|\b(?:ip|host)(?: address)?|\baddress|\bmessages from|\bfrom"
    r"|[?&](?:ip|client|query|a)=|\bip[=:]|^)[ :]{0,2}\[? ?(?P<ip>(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-f]{1,4}:[0-9a-f:]{3,40})(?![0-9A-Za-z]|\.[0-9])"
)
_CLIENT_FIRST = re.compile(  # the same where the address comes before what is said of it
    r"(?i)(?<![0-9A-Za-z.:\[])(?P<ip>(?:[0-9]{1,3}\.){3}[0-9]{1,3})\]?,? (?:(?:is|was|has been|are) )?(?:currently )?(?:found on|listed|blocked|black ?listed|banned|not allowed|rejected)"
)
_FORWARDED = re.compile(r"forwarded as ([A-Za-z0-9]{4,30})")
_LEAST_PERMANENT = 500
_DIGITS = re.compile(r"[0-9]+")
_QUOTED = re.compile(r"<[^<>]{0,320}>|\"[^\"]{0,320}\"|\[[^\[\]]{0,80}\]|\S{1,64}@\S{1,255}")
_ASIDE = frozenset({"VRFY", "EXPN", "HELP", "NOOP", "RSET", "ETRN", "TURN", "XCLIENT", "XFORWARD"})  # refusing these stops no mail
_SAID_BYE = frozenset({421, 221, 554})
_NEEDS = {"MAIL": HELLO, "RCPT": {"MAIL"}, "DATA": {"MAIL", "RCPT"}, "BDAT": {"MAIL", "RCPT"}}
_NOT_YET = re.compile(
    r"(?i)not yet given|no (?:helo|valid rcpt|valid recipients)|need (?:mail|rcpt)|(?:helo|ehlo|mail|rcpt)\S* (?:command )?(?:is )?(?:required|first)"
)


def stage_of(words: str | None) -> str | None:
    """The stage in RFC 5321's words, from the words of an MTA."""
    if not words:
        return None
    upper = " ".join(words.upper().replace("_", " ").split())
    if upper in STAGES:
        return STAGES[upper]
    first = upper.split(" ")[0].rstrip(":")
    if upper.startswith(("SENDING ", "AFTER ")):
        return stage_of(words.split(" ", 1)[1])
    return STAGES.get(first, first)


def domain_of(address: str | None) -> str | None:
    """The domain of a mail address, or None."""
    if not address or "@" not in address:
        return None
    return address.rpartition("@")[2].strip("<>[] ").rstrip(".").lower() or None


def _temporary(code: int | None, enhanced: str | None, status: str | None) -> str | None:
    if code is not None:
        return "yes" if 400 <= code < 500 else "no"
    if enhanced:
        return "yes" if enhanced.startswith("4") else "no"
    return {"deferred": "yes", "bounced": "no", "expired": "no"}.get(status or "")


# ---- from dialogues --------------------------------------------------------------------------------------------------
def of_dialogue(d: Dialogue, failed: Sequence[ev.Event]) -> list[Problem]:
    """The problems of dialogue *d*; *failed* are its events that no exchange holds (failed dials, TLS, time-outs)."""
    common: dict[str, Any] = {
        "format": d.format,
        "software": None,
        "view": d.view or "sending",
        "complete": d.complete,
        "client_ip": d.client_ip,
        "client_name": d.client_name,
        "helo": d.helo.name if d.helo else None,
        "greeted_as": d.greeted_as,
        "mail_from": d.mail_from,
        "sender_domain": domain_of(d.mail_from),
        "server": d.server or d.banner_name,
        "server_ip": d.server_ip,
        "port": d.port,
        "banner": d.banner,
        "tls": d.tls,
        "tls_first": d.tls_first,
        "ahead": d.ahead,
        "authenticated": d.authenticated,
    }
    found: list[Problem] = []
    rcpt: str | None = d.rcpt_to[-1] if d.rcpt_to else None
    turned_away = (d.greeting or 0) >= _LEAST_PERMANENT  # whatever is refused after such a greeting follows from it
    for index, e in enumerate(d.exchanges):
        if e.to == "RCPT":
            rcpt = _rcpt(e) or rcpt
        if e.code is None or e.code < 400 or _follows_from_refusal(e, d.exchanges[:index]):
            continue
        later = d.exchanges[index + 1 :]
        found.append(
            Problem(
                kind="refusal",
                stage=e.to or ("CONNECT" if index or "connected" in d.where else None),
                by="server",
                argument=e.argument,
                code=e.code,
                enhanced=e.enhanced,
                text=e.text,
                temporary=_temporary(e.code, e.enhanced, None),
                places=e.places,
                rcpt_to=rcpt,
                domain=domain_of(rcpt),
                where=_where(d, e.places),
                resolved="yes" if _repeated(e, later) or _got_over(e, d) else "no",
                what="",
                minor=e.to == "QUIT" or e.to in _ASIDE or _is_retry_of_ehlo(e, later) or (turned_away and e.to != GREETING),
                **common,
            )
        )
    common |= {"rcpt_to": rcpt, "domain": domain_of(rcpt)}
    found += _ending(d, common)
    for event in failed:
        if isinstance(event, ev.ConnectFailed):
            found.append(
                Problem(
                    **{
                        **common,
                        "kind": "connect-failure",
                        "stage": "CONNECT",
                        "by": "client",
                        "places": (event.place,),
                        "text": event.text,
                        "reason": event.reason,
                        "server": event.server or common["server"],
                        "server_ip": event.server_ip or common["server_ip"],
                        "resolved": "yes" if d.connected == "yes" else "no",
                    }
                )
            )
        elif isinstance(event, ev.TlsFailed):
            found.append(
                Problem(
                    kind="tls-failure",
                    stage="STARTTLS",
                    places=(event.place,),
                    text=event.text,
                    code=event.code,
                    enhanced=event.enhanced,
                    where=_where(d, (event.place,)),
                    **common,
                )
            )
    if (given_up := _tls_given_up(d)) is not None and not any(p.kind in {"tls-failure", "hang-up", "timeout"} for p in found):
        found.append(Problem(kind="tls-failure", stage="STARTTLS", by="client", places=given_up.places, **common))
    if not any(p.resolved == "no" and not p.minor for p in found):
        found += [
            Problem(kind="local-failure", by="local", severity=e.severity, text=e.text, places=(e.place,), **common)
            for e in failed
            if isinstance(e, ev.Trouble) and e.severity == "info" and e.text
        ][:1]
    return found


_BY_HAND = frozenset({"telnet", "openssl"})


def _tls_given_up(d: Dialogue) -> Exchange | None:
    """STARTTLS that was granted, where the program then says goodbye or nothing at all: the handshake failed."""
    at = next((i for i, e in enumerate(d.exchanges) if e.to == "STARTTLS" and e.code == 220), None)
    if at is None or d.tls is not None or d.software == "telnet":  # nobody does a handshake by hand
        return None
    after = d.exchanges[at + 1 :]
    left = after[0].to in {"QUIT", "RSET"} if after else d.closed is not None
    return d.exchanges[at] if left else None


def _rcpt(e: Exchange) -> str | None:
    found = re.match(r"(?i)\s*TO\s*:\s*<?([^<>\s]*)", e.argument or "")
    return found[1] if found else None


def _where(d: Dialogue, own: tuple[Place, ...]) -> dict[str, tuple[Place, ...]]:
    keep = ("client_ip", "helo", "mail_from", "server", "server_ip", "port", "banner", "tls_first")
    return {k: v for k, v in d.where.items() if k in keep} | dict.fromkeys(("code", "text", "enhanced", "stage"), own)


def _repeated(e: Exchange, later: Sequence[Exchange]) -> bool:
    """Whether the same step succeeded further on: a typing error put right, a second try."""
    if not e.to:
        return False  # said without a command that is shown: no other reply answers the same one
    if e.to in _ASIDE:
        return any(x.code and x.code < 400 and x.to not in {"QUIT", ""} for x in later)
    if e.to == "?" or e.unknown:
        return any(x.code and x.code < 400 and x.to not in {"QUIT", ""} for x in later)
    done = [x for x in later if x.to == e.to and x.code and x.code < 400]
    if (e.code in {500, 501, 502, 503} and e.to not in {"RCPT", "AUTH", "STARTTLS"}) or (e.code == 503 and e.to == "RCPT"):
        return bool(done)
    return any(x.argument == e.argument or (e.to == "RCPT" and _rcpt(x) == _rcpt(e) is not None) for x in done)


def _got_over(e: Exchange, d: Dialogue) -> bool:
    """Whether the session went on to hand in its message all the same: without TLS, or after a line that nobody can read any more."""
    return d.accepted == "yes" and (e.to == "STARTTLS" or (not e.to and e.code in {500, 501, 502, 503}))


_OUT_OF_SEQUENCE = 503
_OUT_OF_ORDER = frozenset({500, 501, 502, 503, 554})


def _follows_from_refusal(e: Exchange, before: Sequence[Exchange]) -> bool:
    """Whether *e* failed only because an earlier step did: no MAIL after a refused EHLO, no RCPT after a refused MAIL, no DATA
    without a recipient, and what was meant as message data is no command.  Where the commands are not shown, the words say so.
    """
    if e.to == "MAIL":
        hellos = [x for x in before if x.to in HELLO]
        return e.code == 503 and bool(hellos) and not any(_went(x) for x in hellos)
    if e.code == _OUT_OF_SEQUENCE and not e.to and _NOT_YET.search(e.text or ""):
        return any(x.code and x.code >= _LEAST_PERMANENT and not x.to for x in before)
    if e.code not in _OUT_OF_ORDER or (e.to in {"RCPT", "DATA", DOT} and e.enhanced not in {None, "5.5.0", "5.5.1", "5.0.0"}):
        return False
    failed = [to for to in ("MAIL", "RCPT", "DATA") if any(x.to == to for x in before) and not any(x.to == to and _went(x) for x in before)]
    if e.to == "RCPT":
        return e.code in {500, 501, 502, 503} and failed[:1] == ["MAIL"]
    if e.to == "DATA":
        return failed[:1] in (["MAIL"], ["RCPT"])
    return (e.to in {"", "?", DOT} or e.unknown == "yes") and e.code != 554 and "DATA" in failed


def _went(e: Exchange) -> bool:
    return e.code is not None and e.code < 400


def _is_retry_of_ehlo(e: Exchange, later: Sequence[Exchange]) -> bool:
    """EHLO refused with 5xx, then HELO accepted (RFC 5321 3.2): the old way, and no problem."""
    return e.to == "EHLO" and any(x.to == "HELO" and x.code == 250 for x in later)


def _ending(d: Dialogue, common: dict[str, Any]) -> list[Problem]:
    last = next((e for e in reversed(d.exchanges) if e.code is not None), None)
    answered = next((len(d.exchanges) - i for i, e in enumerate(reversed(d.exchanges)) if e.code is not None), 0)
    open_ = [e for e in d.exchanges[answered:] if e.code is None]  # what stands before an answer was answered, too
    if d.probe == "yes" or (d.other_words and d.port in MAILBOX_PORTS):
        return []
    if d.closed is not None:
        how = d.closed.how
        # Typed before any greeting came: it is the greeting that is missing. Programs wait for it.
        after = d.closed.after if any(e.code for e in d.exchanges) or d.software not in {None, *_BY_HAND} else GREETING
        if how == "timeout" and d.connected != "yes" and not d.exchanges:
            return [Problem(kind="connect-failure", stage="CONNECT", by="client", reason="timed-out", places=d.closed.places, **common)]
        if how == "timeout":
            places = (*(open_[0].places if open_ else ()), *d.closed.places)
            stage = None if after == GREETING and d.greeting else after  # the server has greeted: what was asked then is not shown
            return [Problem(kind="timeout", stage=stage, by="server", answered=d.closed.answered, places=places, **common)]
        # Said into a connection that is gone already, QUIT is no leave-taking.
        left = any(e.to == "QUIT" and (e.code or e.places[0] < d.closed.places[0]) for e in d.exchanges)
        due = any(e.places[0] < d.closed.places[0] for e in open_)
        gave_up = d.closed.by == "client" and (due or not d.exchanges) and not left
        if gave_up and after == GREETING and d.tls == "yes" and d.tls_first != "yes":
            return []  # TLS was begun in the dialogue, so there was a greeting; it was only not copied
        if gave_up:  # the person left while an answer was still due
            places = (*(open_[0].places if open_ else ()), *d.closed.places)
            return [Problem(kind="timeout", stage=after, by="server", answered="no", places=places, **common)]
        if left or d.closed.by == "client" or (d.closed.after in _ASIDE and any(e.to == "QUIT" for e in d.exchanges)):
            return []
        if last and last.code in _SAID_BYE and not open_:
            return []
        if last and last.code and last.code >= 500 and last.places and not open_ and d.closed.answered == "yes":
            return []  # refused, then closed: the refusal is the problem
        if after == DOT and d.closed.answered == "yes" and d.accepted == "yes":
            return []
        places = (*(open_[0].places if open_ else last.places if last else ()), *d.closed.places)
        kind = {"reset": "hang-up", "closed": "hang-up"}.get(how or "", "hang-up")
        return [
            Problem(
                kind=kind,
                stage=after,
                by=d.closed.by,
                reason=how,
                answered=d.closed.answered,
                places=places,
                where={"closed": d.closed.places, **_where(d, places)},
                **common,
            )
        ]
    if open_ and open_[0].to != "QUIT" and d.accepted != "yes":
        stage = open_[0].to if any(e.code for e in d.exchanges) else GREETING
        if stage == GREETING and d.other_words:
            return []  # something answered, only not as a mail server does
        if stage == GREETING and d.connected != "yes":
            return []  # typed lines alone: nobody knows whether there was a connection
        return [Problem(kind="no-answer", stage=stage, by=None, answered="no", places=open_[0].places, **common)]
    if d.data_open and d.accepted is None:
        return [Problem(kind="no-answer", stage="MESSAGE-DATA", answered="no", places=d.places[-1:], **common)]
    # A server waits for nobody's greeting.
    if d.connected == "yes" and not d.exchanges and d.tls is None and d.view != "receiving" and not d.other_words:
        return [Problem(kind="no-answer", stage=GREETING, answered="no", places=d.where.get("connected", d.places[:1]), **common)]
    return []


def _led_elsewhere(a: ev.Attempt, sender_domain: str | None) -> bool:
    """The address written to led on to one of another domain, and the sender is of neither: mail passed on for a stranger."""
    first, last = domain_of(a.orig_to), domain_of(a.rcpt_to)
    return bool(first and last and sender_domain) and len({first, last, sender_domain}) == 3


# ---- from logs -------------------------------------------------------------------------------------------------------
# How a message ends that is sent back, and the words for that where no attempt says more.
_SENT_BACK = {"expired": "status=expired, returned to sender", "bounced": None}


def of_deliveries(
    deliveries: Sequence[Delivery], software: dict[str, str | None], complaints: dict[Place, ev.Trouble | ev.TlsFailed]
) -> list[tuple[int, Problem]]:
    """``(index of the delivery, problem)`` for every attempt that failed."""
    found = []
    forwards = {x[1] for d in deliveries for a in d.attempts if (x := _FORWARDED.search(a.text or ""))}
    for index, d in enumerate(deliveries):
        recipients = recipients_of(d.attempts)
        delivered = {rcpt_to: at for at, rcpt_to in enumerate(recipients) if d.attempts[at].status in GOOD}  # the last time
        for at, a in enumerate(d.attempts):
            if a.status in GOOD or a.status is None:
                continue
            problem = _attempt(a, d, software, resolved=delivered.get(recipients[at], -1) > at)
            if d.queue_id in forwards or _led_elsewhere(a, problem.sender_domain):
                problem = msgspec.structs.replace(problem, forwarded="yes")
            complaint = complaints.get(a.place)
            found.append((index, _complained(problem, complaint, software) if complaint else problem))
        failed = {a.status for a in d.attempts} - GOOD - {None}
        if d.ended in _SENT_BACK and (d.ended not in failed if d.ended == "expired" else not failed):
            found.append(
                (
                    index,
                    Problem(
                        kind="delivery-failure",
                        by="local",
                        status=d.ended,
                        text=_SENT_BACK[d.ended],
                        places=d.places[:1],
                        software=d.software,
                        view="sending",
                        mail_from=d.mail_from,
                        queue_id=d.queue_id,
                        complete=True,
                    ),
                )
            )
    return found


_NEAR = 12  # lines between a complaint and what it led to


def _process(e: ev.Event) -> tuple[object, ...] | None:
    """The process that wrote *e*; of Postfix's log without process ids, the program: what it says goes on line by line, mostly."""
    return (e.place.source, e.host, e.agent, e.pid) if e.pid or (e.agent and e.format == "postfix") else None


def complaints_of(events: Sequence[ev.Event]) -> dict[Place, ev.Trouble | ev.TlsFailed]:
    """For the place of a failure: what the same process, or anyone about the same message, complained about just before."""
    last: dict[tuple[object, ...], ev.Trouble | ev.TlsFailed] = {}
    found: dict[Place, ev.Trouble | ev.TlsFailed] = {}
    elsewhere = {e.place: e for e in events if isinstance(e, ev.Trouble) and e.severity != "info"}
    for e in events:
        if (
            isinstance(e, ev.Attempt)
            and e.status not in GOOD
            and _SEE_LOG.search(e.text or "")
            and (told := _log_of(e, elsewhere)) is not None
        ):
            found[e.place] = told
            continue
        process = _process(e)
        queue_id = getattr(e, "queue_id", None)
        message = (e.place.source, e.host, queue_id) if queue_id and queue_id not in NO_QUEUE_ID else None
        dealing = None  # one client's mail by one sender: what Exim tells of its checks has no process
        if isinstance(e, ev.Trouble | ev.Refused) and e.client_ip and e.mail_from:
            dealing = (e.place.source, e.host, e.client_ip, e.mail_from.lower())
        if isinstance(e, ev.TlsFailed) or (isinstance(e, ev.Trouble) and (e.severity != "info" or message or dealing)):
            for key in (process if getattr(e, "severity", None) != "info" or message else None, message, dealing):
                if key is not None and not _outweighed(e, last.get(key)):
                    last[key] = e
        elif isinstance(e, ev.Refused) or (isinstance(e, ev.Attempt) and e.status not in GOOD):
            near = (c for key in (message, process, dealing) if key is not None and (c := last.get(key)) is not None)
            fits = [c for c in near if 0 < abs(e.place.line - c.place.line) <= _NEAR and _of_one_message(c, e)]
            if fits:  # what was said of the message itself comes before what the process said at large, and a complaint before a remark
                found[e.place] = min(fits, key=lambda c: getattr(c, "severity", None) == "info")
    return found


def _outweighed(e: ev.Trouble | ev.TlsFailed, before: ev.Trouble | ev.TlsFailed | None) -> bool:
    """Whether *e* is a mere remark, and a complaint stands near it: it led to what follows, the remark only tells of it."""
    if before is None or getattr(e, "severity", None) != "info" or getattr(before, "severity", None) == "info":
        return False
    return e.place.line - before.place.line <= _NEAR and _of_one_message(before, e)


def _of_one_message(one: ev.Event, other: ev.Event) -> bool:
    """Whether two lines of one process may be about the same message: not where each names another one."""
    ids = {getattr(e, "queue_id", None) for e in (one, other)} - {None} - NO_QUEUE_ID
    return len(ids) < 2


_SEE_LOG = re.compile(
    r"(?i)refer to (?:the )?server log|^temporary failure[.]?$|^(?:<\S{1,320}> )?temporary internal error$|Execution of script .{1,300} failed"
)


def _log_of(a: ev.Attempt, troubles: Mapping[Place, ev.Trouble]) -> ev.Trouble | None:
    """What the server or program that says no more than that wrote into its own log of the same recipient, where the capture shows it, too."""
    if not a.rcpt_to:
        return None
    whom = a.rcpt_to.lower()
    names = {whom, whom.partition("@")[0]}
    near = sorted(range(-_NEAR, _NEAR + 1), key=abs)
    told = (e for lines in near if (e := troubles.get(Place(a.place.source, a.place.line + lines))) and not _SEE_LOG.search(e.text or ""))
    return next((e for e in told if names & set(re.split(r"[()<>, ]", f"{e.user or ''} {e.agent or ''}".lower()))), None)


def _complained(p: Problem, complaint: ev.Trouble | ev.TlsFailed, software: Mapping[str, str | None]) -> Problem:
    by = software.get(complaint.format)
    where = {**p.where, "complaint": (complaint.place,)}
    return msgspec.structs.replace(p, complaint=complaint.text, complainer=by if by != p.software else None, where=where)


_CODES = re.compile(r"(?P<code>[245][0-9]{2})?(?(code)(?:$|[ -]))#?(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})?[.:;]?$")
_Coded = TypeVar("_Coded", ev.Attempt, ev.Refused)


def _coded(e: _Coded) -> _Coded:
    """*e*, whose words may be a reply's codes and nothing more, with these as codes."""
    found = _CODES.match(e.text.strip()) if e.text else None
    if found is None:
        return e
    code = e.code or (int(found["code"]) if found["code"] else None)
    return msgspec.structs.replace(e, code=code, enhanced=found["enhanced"] or e.enhanced, text=None)


def _attempt(a: ev.Attempt, d: Delivery, software: dict[str, str | None], *, resolved: bool) -> Problem:
    a = _coded(a)
    said = a.code is not None or bool(a.said_by)
    sender = a.mail_from if d.mail_from is None else d.mail_from
    thrown_away = a.status == "discarded"  # by a filter of this house, which is no server that anybody reaches
    server = a.said_by or (a.relay if a.relay not in {"none", "local", "virtual", None} else None)
    server, server_ip = (None, None) if thrown_away else (server, a.said_by_ip or a.relay_ip)
    named = _NEXT_HOP.search(a.text or "") if server is None else None
    untold = not said and _NOT_TOLD.search(a.text or "") is not None
    return Problem(
        kind="refusal" if said else "delivery-failure",
        stage=stage_of(a.stage),
        by="server" if said else "local",
        code=a.code,
        enhanced=a.enhanced,
        text=a.text,
        temporary=_temporary(a.code, None if said and a.code else a.enhanced, a.status),
        status=a.status,
        agent=a.agent,
        software=software.get(a.format),
        format=a.format,
        view="receiving" if thrown_away else "sending",
        client_ip=None,
        mail_from=sender,
        sender_domain=domain_of(sender),
        rcpt_to=a.rcpt_to,
        domain=domain_of(a.rcpt_to),
        server=named["server"] if named else server,
        server_ip=named["server_ip"] if named else server_ip,
        port=int(named["port"]) if named and named["port"] else a.relay_port,
        helo=a.helo,
        router=a.router or a.transport,
        queue_id=d.queue_id,
        time=a.time,
        waited=duration(a.delay),
        places=(a.place,),
        resolved="yes" if resolved else "no",
        reason="name-temporary" if untold else None if said else "other",
        unresolved=_unresolved(a, untold=untold),
        minor=a.status in {"undeliverable", "deliverable"},  # a probe of an address, not a message
    )


def _unresolved(a: ev.Attempt, *, untold: bool) -> str | None:
    """The name that could not be looked up: the one that the reason names, else the recipient's domain, where mail goes by that."""
    if name := _UNRESOLVED.search(a.text or ""):
        return name[1]
    return domain_of(a.rcpt_to) if untold and not _BY_ROUTE.search(a.router or "") else None


_WARNED = frozenset({"warn", "reject_warning", "info", "prepend", "filter", "redirect", "bcc", "pass", "whitelist", "permit"})


def of_events(
    events: Sequence[ev.Event],
    software: dict[str, str | None],
    views: dict[str, str | None],
    complaints: dict[Place, ev.Trouble | ev.TlsFailed],
    prose: frozenset[str] = frozenset(),
) -> list[Problem]:
    """Problems that stand on a log line of their own: refusals by this server, hang-ups, TLS, complaints, logins."""
    found = []
    told = " ".join(f"{e.relay_ip} {e.text}" for e in events if isinstance(e, ev.Attempt) and e.status not in GOOD)[:200_000]
    got_through = _got_through(events)
    turned_away: dict[tuple[str | None, str], set[str]] = {}
    for e in events:
        if isinstance(e, ev.ConnectFailed) and e.server_ip and e.server_ip in told:
            continue  # the attempt to which this led says the same
        if e.format in prose:
            found += _quoted(e)
            continue
        read = _LOG.get(type(e))
        problem = read(e, software.get(e.format), views.get(e.format)) if read else None
        if problem is not None and e.place in got_through:
            problem = msgspec.structs.replace(problem, resolved="yes")
        if problem is not None and isinstance(e, ev.Refused) and e.client_ip:
            stages = turned_away.setdefault((e.host, e.client_ip), set())
            if stages & _NEEDS.get(problem.stage or "", set()) and (e.code == 503 or _NOT_YET.search(e.text or "")):
                problem = msgspec.structs.replace(problem, minor=True)  # only because the step before was refused
            stages.add(problem.stage or "")
        if problem is not None:
            complaint = complaints.get(e.place)
            found.append(_complained(problem, complaint, software) if complaint else problem)
    return found


def _got_through(events: Sequence[ev.Event]) -> set[Place]:
    """Failed connections and handshakes of a delivery agent whose next attempt succeeded, or whose message did in the end.

    And the failed handshakes of a client that handed in a message later on: it came again without TLS.
    """
    done = {(e.queue_id, e.rcpt_to) for e in events if isinstance(e, ev.Attempt) and e.status in GOOD and e.queue_id}
    waiting: dict[tuple[object, ...], list[Place]] = {}
    outside: dict[str, list[Place]] = {}
    served: dict[tuple[object, ...], str] = {}
    found: set[Place] = set()
    for e in events:
        if isinstance(e, ev.MessageInfo) and e.client_ip:
            found.update(outside.pop(e.client_ip, ()))
        process = _process(e) if isinstance(e, ev.ConnectFailed | ev.TlsFailed | ev.Attempt) else None
        if process is None:
            continue
        if isinstance(e, ev.TlsFailed) and (e.client_ip or process in served):
            client = served[process] = e.client_ip or served[process]
            outside.setdefault(client, []).append(e.place)
        elif isinstance(e, ev.ConnectFailed | ev.TlsFailed):
            waiting.setdefault(process, []).append(e.place)
        elif isinstance(e, ev.Attempt):
            before = waiting.pop(process, ())
            if e.relay != "none" and (e.status in GOOD or (e.relay and (e.queue_id, e.rcpt_to) in done)):
                found.update(before)
    return found


def _quoted(e: ev.Event) -> list[Problem]:
    """What prose quotes: a reply, or the error with which a program gave up."""
    match e:
        case ev.Reply():
            found = {"kind": "refusal", "by": "server", "code": e.code, "temporary": _temporary(e.code, e.enhanced, None)}
            found |= {"enhanced": e.enhanced, "minor": (e.code or 500) < 400, "stage": e.to}
        case ev.ConnectFailed():
            found = {"kind": "connect-failure", "stage": "CONNECT", "by": "client", "reason": e.reason}
        case ev.TlsFailed():
            found = {"kind": "tls-failure", "stage": "STARTTLS"}
        case ev.Closed():
            found = {"kind": "hang-up", "by": e.by, "reason": e.how}
        case ev.TimedOut():
            found = {"kind": "timeout", "by": "server"}
        case ev.Trouble():
            found = {"kind": "local-failure", "by": "local", "severity": e.severity}
        case _:
            return []
    fields = _fields(e, None, "sending")
    if not isinstance(e, ev.Reply) and not fields.keys() & {"server", "server_ip"}:  # a reply may name the client as well
        fields |= {k: v for k, v in msgspec.structs.asdict(dialled_in(fields["text"])).items() if v is not None}
    return [Problem(**fields | {"view": None if isinstance(e, ev.Reply) else "sending"} | found)]


def _fields(e: Any, software: str | None, view: str | None) -> dict[str, Any]:
    names = ("client_name", "client_ip", "helo", "mail_from", "rcpt_to", "queue_id", "server", "server_ip", "port", "user", "time", "agent")
    found = {n: v for n in names if (v := getattr(e, n, None)) is not None}
    if found.get("queue_id") in NO_QUEUE_ID:
        del found["queue_id"]
    return found | {
        "places": (e.place,),
        "software": software,
        "format": e.format,
        "view": view,
        "text": getattr(e, "text", None),
        "sender_domain": domain_of(getattr(e, "mail_from", None)),
        "domain": domain_of(getattr(e, "rcpt_to", None)),
    }


def _refused(e: ev.Refused, software: str | None, view: str | None) -> Problem | None:
    action = (e.action or "").lower().replace("milter-", "")
    if action in _WARNED:
        return None
    e = _coded(e)
    return Problem(
        **_fields(e, software, view)
        | {
            "kind": "refusal",
            "stage": stage_of(e.stage),
            "by": "local",
            "code": e.code,
            "enhanced": e.enhanced,
            "action": action or None,
            "temporary": _temporary(e.code, e.enhanced, None),
            "view": "receiving",
            "minor": action == "hold",  # mail filters take what they look at from there
        }
    )


def _gone(e: ev.ClientGone, software: str | None, view: str | None) -> Problem | None:
    if e.how in {None, "disconnect", "quit"}:
        return None
    kind = "timeout" if e.how == "timeout" else "hang-up"
    return Problem(
        **_fields(e, software, view)
        | {
            "kind": kind,
            "stage": stage_of(e.stage),
            "by": "client",
            "reason": e.how,
            "minor": True,
            "view": "receiving",
        }
    )


def _tls(e: ev.TlsFailed, software: str | None, view: str | None) -> Problem:
    stranger = e.client_ip is not None or e.client_name is not None
    return Problem(
        **_fields(e, software, view)
        | {
            "kind": "tls-failure",
            "text": " ".join(e.text.split()) if e.text else None,  # a web page may have put blanks in
            "stage": "STARTTLS",
            "code": e.code,
            "enhanced": e.enhanced,
            "minor": True,
            "view": "receiving" if stranger else view,
        }
    )


# "SMTP error from remote mail server after RCPT TO:<b@example.net>: host mx.example.net [192.0.2.1]: 550 ...", "550 ... (in reply to RCPT TO command)"
_HANDED_ON = re.compile(
    r"(?:SMTP error from remote (?:mail server|mailer) after (?:pipelined )?(?:sending )?"
    r"(?P<after>initial connection|end of data|data block|MAIL FROM|RCPT TO|[A-Z]{4,8})(?::? ?[^\s:][^\s]{0,600}(?: SIZE=[0-9]+)?)?: "
    r"(?:host (?P<server>[^\s\[]{1,255}) \[(?P<server_ip>[^\]\s]{2,45})\]: )?)?"
    r"(?P<code>[45][0-9]{2})[ -](?:(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3}) )?"
    r"(?P<text>(?:(?! \(in reply to ).)+)(?: \(in reply to (?P<to>[A-Za-z ]{2,30}?)(?: command)?\))?$"
)


def of_remarks(events: Iterable[Any], software: dict[str, str | None], views: dict[str, str | None], *, strangers: bool) -> list[Problem]:
    """What companions remark on a message in passing, and where *strangers* count what a server found of a client
    before it did anything about it.

    For a capture that shows nothing else: it is all there is to go by.
    """
    return [
        _remark(e, software, views)
        for e in events
        if (isinstance(e, ev.Trouble) and e.severity == "info" and e.text)
        or (strangers and isinstance(e, ev.Refused) and e.action == "info")
    ]


_NO_CONNECTION = re.compile(
    r"(?:.{0,60}(?:IO Error|failed): )?(?:(?P<refused>Connection refused)|(?P<unreachable>No route to host|Network is (?:unreachable|down)|Host is down)|"
    r"(?P<timed_out>(?:Connection|Operation) timed out))\.?$"
)


def _reason_of(e: ev.Trouble) -> str | None:
    """Why there was no connection to the next hop, where a remark says nothing else."""
    found = _NO_CONNECTION.match(e.text or "")
    if found is None or not (e.server or e.server_ip or "IO Error" in (e.text or "")):
        return None
    return str(found.lastgroup).replace("_", "-")


def _remark(e: ev.Trouble | ev.Refused, software: dict[str, str | None], views: dict[str, str | None]) -> Problem:
    """A remark as a complaint of its software, or, where it hands on what the next hop said, as that refusal."""
    from analyzer.formats.hooks.postfix import without_codes

    fields = _fields(e, software.get(e.format), views.get(e.format))
    if isinstance(e, ev.Refused):
        return Problem(
            **fields | {"kind": "local-failure", "by": "local", "severity": "info", "stage": stage_of(e.stage), "view": "receiving"}
        )
    said = _HANDED_ON.match(e.text or "")
    if (reason := _reason_of(e)) is not None:
        return Problem(**fields | {"kind": "connect-failure", "stage": "CONNECT", "by": "client", "reason": reason, "view": "sending"})
    if said is None:
        return Problem(**fields | {"kind": "local-failure", "by": "local", "severity": "info"})
    code = int(said["code"])
    return Problem(
        **fields
        | {
            "kind": "refusal",
            "by": "server",
            "stage": stage_of(said["to"] or said["after"]),
            "code": code,
            "enhanced": said["enhanced"],
            "text": without_codes(said["text"], code, said["enhanced"]),
            "temporary": _temporary(code, said["enhanced"], None),
            "server": said["server"] or fields.get("server"),
            "server_ip": said["server_ip"] or fields.get("server_ip"),
            "view": "sending",
        }
    )


def _trouble(e: ev.Trouble, software: str | None, view: str | None) -> Problem | None:
    if e.severity == "info":
        return None
    return Problem(
        **_fields(e, software, view)
        | {
            "kind": "local-failure",
            "by": "local",
            "severity": e.severity,
            "minor": bool(e.agent) and e.severity not in {"fatal", "panic"},
        }
    )


def _login(e: ev.AuthResult, software: str | None, view: str | None) -> Problem | None:
    if e.result in {None, "ok"}:
        return None
    outgoing = e.client_ip is None and (e.agent or "").endswith("/smtp")  # this host logs in at its relay
    return Problem(
        **_fields(e, software, view)
        | {
            "kind": "auth-failure",
            "stage": "AUTH",
            "by": "local",
            "reason": e.result,  # failed: the server said no; error: it could not tell
            "minor": True,
            "view": "sending" if outgoing or (view == "sending" and e.client_ip is None) else "receiving",
        }
    )


def _no_connection(e: ev.ConnectFailed, software: str | None, view: str | None) -> Problem | None:
    if not e.agent and not e.queue_id:
        return None  # a session's own: its dialogue tells it
    return Problem(
        **_fields(e, software, view)
        | {
            "kind": "connect-failure",
            "stage": "CONNECT",
            "by": "client",
            "reason": e.reason,
            "minor": True,
            "view": "sending",
        }
    )


def _broken_off(e: ev.Closed, software: str | None, view: str | None) -> Problem | None:
    """The last word of a client, of whose session nothing else is shown: nobody knows at which step it was."""
    if view != "sending" or e.agent or e.by != "server":
        return None
    return Problem(**_fields(e, software, view), kind="hang-up", by=e.by, reason=e.how)


_LOG: dict[type[ev.Event], Callable[[Any, str | None, str | None], Problem | None]] = {
    ev.Refused: _refused,
    ev.ClientGone: _gone,
    ev.TlsFailed: _tls,
    ev.Trouble: _trouble,
    ev.AuthResult: _login,
    ev.ConnectFailed: _no_connection,
    ev.Closed: _broken_off,
}


def with_named(p: Problem) -> Problem:
    """*p* with the address or name that its reply names in front of the reason, where nothing else told it."""
    if p.client_ip is None and p.by == "server" and (client := _seen(p)) is not None:
        p = msgspec.structs.replace(p, client_ip=client, where={**p.where, "client_ip": p.where.get("text") or p.places})
    found = _ABOUT.match(p.text or "")
    if found is None:
        return p
    field = str(found.lastgroup)
    if getattr(p, field) is not None or not (
        "@" in found["at"] or (field == "helo" and found["at"]) or (field == "mail_from" and not found["at"])
    ):
        return p
    places = {**p.where, field: p.where.get("text") or p.places}
    changed = msgspec.structs.replace(p, where=places, **{field: found["at"]})
    domains = {"rcpt_to": "domain", "mail_from": "sender_domain"}
    return msgspec.structs.replace(changed, **{domains[field]: domain_of(found["at"])}) if field in domains else changed


def _seen(p: Problem) -> str | None:
    """The client's address, as the reply names it: the one address that can be meant."""
    found = {m["ip"] for shape in (_CLIENT, _CLIENT_FIRST) for m in shape.finditer(p.text or "")} - {p.server_ip}
    whole = {ip for ip in found if not ip.startswith(("127.", "0."))}
    return next(iter(whole)) if len(whole) == 1 else None


# ---- alike problems together -----------------------------------------------------------------------------------------
def shape(text: str | None) -> str:
    """*text* without what differs from one message to the next: addresses, names in brackets, digits."""
    return _DIGITS.sub("0", _QUOTED.sub("<>", text or "")[:400]).lower()


def merged(problems: Iterable[Problem]) -> tuple[list[Problem], list[int]]:
    """Problems of one shape as one, and for each problem given the index of what it became."""
    groups: dict[tuple[object, ...], list[Problem]] = {}
    keys = []
    for p in problems:
        key = _alike(p)
        groups.setdefault(key, []).append(p)
        keys.append(key)
    at = {key: i for i, key in enumerate(groups)}
    return [_as_one(group) for group in groups.values()], [at[k] for k in keys]


def _alike(p: Problem) -> tuple[object, ...]:
    return (
        p.kind,
        p.stage,
        p.by,
        p.code,
        p.enhanced,
        shape(p.text),
        p.software,
        p.view,
        p.severity,
        p.resolved,
        p.reason,
        p.status,
        shape(p.complaint),
        p.unresolved == p.domain,
        p.client_ip if p.kind in {"refusal", "hang-up"} and p.view == "sending" else None,
        p.server_ip if p.by != "local" else None,
        p.server if p.kind in {"connect-failure", "delivery-failure"} else None,
        p.stranger if p.kind == "refusal" else None,
    )


def _as_one(group: Sequence[Problem]) -> Problem:
    first = group[0]
    if len(group) == 1:
        return first
    recipients, senders = _different(group, "rcpt_to"), _different(group, "mail_from")
    waits = [p.waited for p in group]
    if recipients < 2 and senders < 2:  # one message, as far as can be told
        waits.append(between(first.time, group[-1].time))
    return msgspec.structs.replace(
        first,
        count=len(group),
        waited=max((s for s in waits if s is not None), default=None),
        places=tuple(x for p in group[:_MOST_CITED] for x in p.places),
        minor=all(p.minor for p in group),
        queue_id=first.queue_id if all(p.queue_id == first.queue_id for p in group) else None,
        clients=_different(group, "client_ip"),
        tries=max(Counter(p.client_ip for p in group).values()),
        recipients=recipients,
        domains=_different(group, "domain"),
        senders=senders,
        users=_different(group, "user"),
    )


_MOST_CITED = 50


def _different(group: Sequence[Problem], field: str) -> int:
    return len({v for p in group if (v := getattr(p, field)) is not None})
