"""A pasted header as a `Message`: its path with the delay of each hop, and what the receiver checked (RFC 8601)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.model.case import Message
from analyzer.model.events import Attempt, Event, Header

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from analyzer.model.place import Place

_RESULT = re.compile(r"(?i)\b(spf|dkim|dmarc)\s*=\s*([a-z]+)")
_BY = re.compile(r"(?i)\bby\s+([A-Za-z0-9.-]+)")
_ADDRESS = re.compile(r"[^\s<>\"]{1,64}@[^\s<>\",;]{1,255}")


def messages_of(events: Sequence[Event]) -> tuple[Message, ...]:
    """The messages whose header fields stand in *events*; a bounce's own header is none."""
    groups: list[list[Header]] = []
    reports = {e.place.source for e in events if isinstance(e, Attempt) and e.format == "bounce"}
    last: Header | None = None
    for e in events:
        if not isinstance(e, Header) or e.place.source in reports:
            continue
        if last is None or e.place.source != last.place.source or e.place.line > last.place.line + 60:
            groups.append([])
        groups[-1].append(e)
        last = e
    return tuple(_message(group) for group in groups)


def _message(fields: Sequence[Header]) -> Message:
    values: dict[str, str] = {}
    where: dict[str, tuple[Place, ...]] = {}
    for f in fields:
        name = (f.name or "").lower()
        if name in _PLAIN and _PLAIN[name] not in values:
            found = _ADDRESS.search(f.value or "") if _PLAIN[name] in {"return_path", "from_", "to"} else None
            values[_PLAIN[name]] = found[0] if found else (f.value or "").strip("<> ")
            where[_PLAIN[name]] = (f.place,)
        if name in {"authentication-results", "arc-authentication-results"}:
            for method, result in _RESULT.findall(f.value or ""):
                # The topmost field is the last receiver's, whose word counts.
                if method.lower() not in values:
                    values[method.lower()] = result.lower()
                    where[method.lower()] = (f.place,)
        if name == "received-spf" and "spf" not in values and f.value:
            values["spf"] = f.value.split(" ", 1)[0].lower()
            where["spf"] = (f.place,)
    hops = [f for f in fields if (f.name or "").lower() == "received"]
    slowest, at = _slowest(hops)
    if at:
        where["slowest_hop"] = at
    return Message(
        places=tuple(f.place for f in fields),
        where=where,
        complete=bool(hops),
        slowest_hop=slowest,
        hops=tuple(m[1] if (m := _BY.search(h.value or "")) else "?" for h in reversed(hops)),
        **values,  # type: ignore[arg-type]
    )


_PLAIN = {
    "return-path": "return_path",
    "from": "from_",
    "to": "to",
    "subject": "subject",
    "message-id": "message_id",
    "auto-submitted": "auto_submitted",
}


def _slowest(hops: Sequence[Header]) -> tuple[int | None, tuple[Place, ...]]:
    """The longest delay between two hops in seconds, and their lines."""
    stamps = [(s, h) for h in hops if (s := _stamp(h.value or "")) is not None]
    best: tuple[int | None, tuple[Place, ...]] = (None, ())
    for (later, upper), (earlier, lower) in zip(stamps, stamps[1:], strict=False):
        delay = int((later - earlier).total_seconds())
        if best[0] is None or delay > best[0]:
            best = (delay, (upper.place, lower.place))
    return best


def _stamp(value: str) -> datetime | None:
    from datetime import UTC
    from email.utils import parsedate_to_datetime  # takes its time to import

    try:
        found = parsedate_to_datetime(value.rpartition(";")[2].strip())
    except (ValueError, TypeError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
