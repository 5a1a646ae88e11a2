"""Log events -> `Delivery`s: one message's story at one MTA, by host and queue id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.model import events as ev
from analyzer.model.case import Delivery
from analyzer.model.events import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.place import Place

_GIVEN_UP = frozenset({"expired", "force-expired", "killed"})  # says more than the removal that follows
NO_QUEUE_ID = frozenset({"NOQUEUE", "000000"})  # what Postfix and verbose daemons print where there is no message yet
_ID_WITHIN = 120  # "Ok: queued as 4XyZ1ab2c3z91", "5d5ee473 Message accepted for delivery"


def deliveries_of(events: Iterable[ev.Event], software: dict[str, str | None]) -> list[Delivery]:
    """The stories of all messages that *events* name by queue id; *software* tells a format's software."""
    stories: dict[tuple[str | None, str], list[ev.Event]] = {}
    unnamed: list[ev.Event] = []
    for event in events:
        if not isinstance(event, ev.MessageInfo | ev.Attempt | ev.Finished):
            continue
        queue_id = event.queue_id
        if queue_id and queue_id not in NO_QUEUE_ID:
            stories.setdefault((event.host, queue_id), []).append(event)
        elif isinstance(event, ev.Attempt):
            unnamed.append(event)
    found = [_delivery(queue_id, story, software) for (_, queue_id), story in stories.items()]
    ways: dict[tuple[object, ...], set[object]] = {}
    for at, d in enumerate(found):
        for way in _ways(d):
            ways.setdefault(way, set()).add((at,) if d.size is None else d.size)  # each round adds a Received field
    rounds = _rounds(found)
    found = [
        msgspec.structs.replace(d, passes=max([rounds.get((d.host, d.queue_id), 1), *(len(ways[w]) for w in _ways(d))])) for d in found
    ]
    return found + [_delivery(None, [event], software) for event in unnamed]


def _rounds(found: Sequence[Delivery]) -> dict[tuple[str | None, str | None], int]:
    """How often a message went on to this very host, by host and queue id: its own log shows the id that the next hop gave."""
    named = {(d.host, d.queue_id): d for d in found}
    on: dict[tuple[str | None, str | None], tuple[str | None, str | None]] = {}
    for d in found:
        for a in d.attempts:
            near = is_near(a)
            ids = [] if near or a.status not in GOOD else [a.next_id, *(a.text or "")[:_ID_WITHIN].split()]
            given = next(((d.host, i) for i in ids if (d.host, i) in named and i != d.queue_id), None)
            if given is not None and any(b.rcpt_to == a.rcpt_to for b in named[given].attempts):
                on[d.host, d.queue_id] = given
    counts: dict[tuple[str | None, str | None], int] = {}
    for first in on.keys() - set(on.values()):
        chain = [first]
        while chain[-1] in on and len(chain) <= len(found):
            chain.append(on[chain[-1]])
        for d_id in chain:
            counts[d_id] = max(counts.get(d_id, 1), len(chain) - 1)
    return counts


def recipients_of(attempts: Sequence[ev.Attempt]) -> list[str | None]:
    """Whom each of a message's *attempts* was for: where its line does not say so any more, the only one whom the others name."""
    named = {a.rcpt_to for a in attempts if a.rcpt_to}
    only = named.pop() if len(named) == 1 else None
    return [a.rcpt_to or only for a in attempts]


_FILTER_PORTS = frozenset(range(10020, 10050))


def is_near(a: ev.Attempt) -> bool:
    """Whether the message went to a filter on this very host, a way which ends; its address may have been made unreadable."""
    if not a.relay_ip or a.relay_ip.startswith("127.") or a.relay_ip == "::1":
        return True
    return a.relay_port in _FILTER_PORTS and not any(map(str.isdigit, a.relay_ip))


def _ways(d: Delivery) -> set[tuple[object, ...]]:
    """The ways on which the message left this host: the same message on the same way twice goes round."""
    return {
        (d.host, d.message_id, a.rcpt_to, a.relay_ip)
        for a in d.attempts
        if d.message_id
        and a.status in GOOD
        and a.relay_ip
        and not a.relay_ip.startswith("127.")
        and a.relay_ip != "::1"
        # What was made unreadable (`xxx@example.org`, `x.x.x.x`) is the same everywhere and tells nothing apart.
        and any(c.isdigit() for c in d.message_id.partition("@")[0])
        and any(c.isdigit() for c in a.relay_ip)
    }


def _completes(field: str, known: object, value: str) -> bool:
    """Whether *value* is the sender *known* with its domain: what was handed in is completed by ``cleanup`` (append_at_myorigin)."""
    return field == "mail_from" and value.startswith(f"{known}@") and bool(known)


_NOTICE = re.compile(r"$|double-bounce@")  # the sender of what mail systems write about other mail (Postfix: double_bounce_sender)
_CLASSES = {"2": "sent", "4": "deferred", "5": "bounced"}


def _ended(a: ev.Attempt) -> ev.Attempt:
    """*a*, whose line may be cut before it says what came of it, but not before the code that tells it."""
    if a.status is not None or not a.enhanced:
        return a
    return msgspec.structs.replace(a, status=_CLASSES.get(a.enhanced[0]))


def _delivery(queue_id: str | None, story: Sequence[ev.Event], software: dict[str, str | None]) -> Delivery:
    facts: dict[str, object] = {}
    where: dict[str, tuple[Place, ...]] = {}
    attempts: list[ev.Attempt] = []
    ended = None
    for event in story:
        if isinstance(event, ev.Attempt):
            attempts.append(_ended(event))
        if isinstance(event, ev.Finished):
            ended = ended if ended in _GIVEN_UP or (ended and event.how in {None, "removed"}) else event.how or "removed"
        for field in ("client_name", "client_ip", "helo", "mail_from", "message_id", "size", "user"):
            value = getattr(event, field, None)
            if value is not None and (field not in facts or _completes(field, facts[field], value)):
                facts[field] = value
                where[field] = (event.place,)
    # None: the line is cut
    last = {rcpt_to: a.status for a, rcpt_to in zip(attempts, recipients_of(attempts), strict=True) if a.status is not None}
    delivered = None if not last else "yes" if all(s in GOOD for s in last.values()) else "no"
    return Delivery(
        places=tuple(e.place for e in story),
        where=where,
        complete=ended is not None,
        queue_id=queue_id,
        host=story[0].host,
        software=software.get(story[0].format),
        attempts=tuple(attempts),
        ended=ended,
        delivered=delivered,
        notice="yes" if _NOTICE.match(str(facts.get("mail_from", "?"))) else "no",
        **facts,  # type: ignore[arg-type]
    )
