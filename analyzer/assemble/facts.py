"""What a case shows about the mail in question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.model.case import Facts
from analyzer.model.events import ClientConnected, Fact, MessageInfo
from analyzer.model.provider import provider_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.case import Case, Delivery
    from analyzer.model.provider import Providers


def facts_of(case: Case, providers: Providers) -> Facts:
    """The facts of the first dialogue, the first failed delivery or refusal: whichever shows more."""
    values: dict[str, Any] = {}
    recipients: list[str] = []
    for d in case.dialogues:
        _fill(values, d, ("client_ip", "client_name", "mail_from", "banner"))
        _fill_server(values, d)
        if d.helo and d.helo.name:
            values.setdefault("helo", d.helo.name)
        recipients += d.rcpt_to
    failing = [d for d in case.deliveries if d.delivered == "no"]
    for p in sorted(case.problems, key=lambda p: p.minor or p.resolved == "yes"):
        if p.minor and case.deliveries:
            continue
        _fill(values, p, ("client_name", "helo", "mail_from", "queue_id"))
        if not (
            p.by == "server" and p.view == "sending" and case.deliveries
        ):  # the reply names this server: a log may show who came before
            _fill(values, p, ("client_ip",))
        _fill_server(values, p)
        if p.rcpt_to:
            recipients.append(p.rcpt_to)
    tried = [d for d in case.deliveries if d.attempts]
    for story in failing or tried[:1] or case.deliveries[:1]:
        # The same message as other programs tell of it: Dovecot's log names no envelope.
        also = [d for d in case.deliveries if d is not story and d.message_id and d.message_id == story.message_id]
        for told in (story, *also):
            _fill(values, told, ("client_ip", "client_name", "helo", "mail_from", "queue_id", "message_id"))
        for a in [a for d in (story, *(also if not story.queue_id else ())) for a in d.attempts]:
            recipients += [to for to in (a.rcpt_to, a.orig_to) if to and ("@" in to or to == a.rcpt_to)]
    for p in case.problems:
        _fill(values, p, ("client_ip",) if p.resolved == "no" and not p.minor else ())
    if not failing:
        _fill(values, _last_hop(tried), ("server", "server_ip", "port"))
    if "client_ip" not in values:
        _fill(values, _first_client(case), ("client_ip", "client_name", "helo"))
    for m in case.messages:
        _fill(values, m, ("message_id", "client_ip", "client_name", "helo", "server"))
        if m.return_path:
            values.setdefault("mail_from", m.return_path)
        if m.to and not recipients:
            recipients.append(m.to)
    asked = {lookup.dnsbl_of for lookup in case.lookups if lookup.dnsbl_of and lookup.dnsbl_of.replace(".", "").isdigit()}
    if len(asked) == 1:  # whoever asks a blocklist means the client
        values.setdefault("client_ip", *asked)
    for e in case.events:
        if isinstance(e, Fact):  # listed beside an error that is quoted
            _fill(values, e, ("server", "server_ip", "port"))
    provider = provider_of(values.get("server") or values.get("banner"), providers)
    return Facts(**values, rcpt_to=tuple(_whole(_unique(recipients)))[:20], provider=provider)


def _last_hop(deliveries: Sequence[Delivery]) -> Hop | None:
    """The first next hop that is another host; a filter on this one is none."""
    hops = [Hop(a.relay, a.relay_ip, a.relay_port) for d in deliveries for a in d.attempts if a.relay and a.relay_ip]
    return next((h for h in hops if h.server_ip and not h.server_ip.startswith("127.") and h.server_ip != "::1"), None)


def _first_client(case: Case) -> object:
    """The first client from elsewhere that a log shows, where nothing says more."""
    met = (e for e in case.events if isinstance(e, ClientConnected | MessageInfo) and e.client_ip and not e.client_ip.startswith("127."))
    return next(met, None) if not case.deliveries and not case.dialogues and all(p.minor for p in case.problems) else None


class Hop(msgspec.Struct, frozen=True):
    server: str | None
    server_ip: str | None
    port: int | None


def _fill(values: dict[str, Any], thing: object, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(thing, name, None)
        if value not in (None, ""):
            values.setdefault(name, value)


def _fill_server(values: dict[str, Any], thing: object) -> None:
    """The server's name, address and port, where *thing* does not speak of another server than the one that is known."""
    for name in ("server", "server_ip"):
        mine, theirs = values.get(name), getattr(thing, name, None)
        if mine and theirs and str(mine).lower() != str(theirs).lower():
            return
    _fill(values, thing, ("server", "server_ip", "port"))


def _whole(recipients: Sequence[str]) -> list[str]:
    """*recipients* without those local parts that stand there as whole addresses, too."""
    whole = {r.partition("@")[0] for r in recipients if "@" in r}
    return [r for r in recipients if "@" in r or r not in whole]


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
