"""The sessions in Exchange's protocol logs and hMailServer's log, parted by their ids; each connection has its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import AuthResult, Closed, Command, Connected, ConnectFailed, DataEnd, Dial, Event, Reply, TlsFailed, TlsStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_LINE = re.compile(
    r"(?P<time>[0-9T:.-]{19,30}Z?),(?:\"(?:[^\"]|\"\")*\"|[^,]*),(?P<session>[0-9A-Fa-f]{16}),[0-9]+,(?P<local>[^,]*),(?P<remote>[^,]*),"
)
_TABS = re.compile(
    r"\"SMTP[DC]\"[ \t]+(?P<thread>[0-9]+)[ \t]+(?P<session>[0-9]+)[ \t]+\"(?P<time>[^\"]*)\"[ \t]+\"(?P<remote>[^\"]*)\"[ \t]+"
)
_ENDPOINT = re.compile(r"\[?(?P<ip>[0-9A-Fa-f.]{3,15}|[0-9A-Fa-f:.%]{2,60}?)\]?(?::(?P<port>[0-9]{1,5}))?\Z")
_WINSOCK = re.compile(r"Winsock error code: (?P<code>[0-9]{4,5})")
_REASONS = {
    "10060": "timed-out",
    "10061": "refused",
    "10051": "unreachable",
    "10065": "unreachable",
    "10054": "reset",
    "11001": "name-not-found",
}
_GOES_ON = 354


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events, one session after the other."""
    found, missed = events_of(segment, fmt)
    return sessions(segment, fmt, found, _LINE if fmt.name.startswith("exchange") else _TABS), missed


def sessions(segment: Segment, fmt: Format, found: Sequence[Event], head: re.Pattern[str]) -> list[Event]:
    """*found* by session, in the order in which the sessions began; *head* reads a line's time, session and endpoints."""
    server = fmt.header.view == "server"
    heads = {line.number: head.match(line.text) for line in segment.lines}
    by_session: dict[str, list[Event]] = {}
    for event in found:
        match = heads.get(event.place.line)
        if match is None:
            by_session.setdefault("", []).append(event)
            continue
        told = by_session.setdefault(match["session"], [])
        values: dict[str, Any] = {"time": match["time"]}
        if not told and not isinstance(event, AuthResult | Connected | ConnectFailed | Closed):
            told.append(_connection(event, match, server) if server else _dialled(event, match))
        if isinstance(event, Closed) and any(isinstance(e, ConnectFailed) for e in told):
            continue  # there was nothing to close
        if isinstance(event, Connected):
            event = _connection(event, match, server)  # noqa: PLW2901
        elif isinstance(event, ConnectFailed):
            ends = _endpoints(match, server)
            values |= {k: ends[k] for k in ("server_ip", "port")} | {"reason": _reason(event.text)}
        elif isinstance(event, Closed):
            values |= _closing(event.text or "", server)
        elif isinstance(event, AuthResult):
            values["client_ip"] = _endpoints(match, server)["client_ip"]
        elif isinstance(event, Reply) and _asked_for_data(told):
            told.append(DataEnd(place=event.place, format=event.format, time=match["time"]))
        if isinstance(event, AuthResult | Reply | Command | Closed | ConnectFailed | TlsStarted | TlsFailed):
            event = msgspec.structs.replace(event, **values)  # noqa: PLW2901
        told.append(event)
    return [e for told in by_session.values() for e in told]


def _endpoints(match: re.Match[str], server: bool) -> dict[str, Any]:
    local = _ENDPOINT.match(match.groupdict().get("local") or "")
    remote = _ENDPOINT.match(match["remote"])
    here, there = (local, remote) if server else (remote, local)
    return {
        "server_ip": here["ip"] if here else None,
        "port": int(here["port"]) if here and here["port"] else None,
        "client_ip": there["ip"] if there else None,
    }


def _connection(event: Event, match: re.Match[str], server: bool) -> Connected:
    return Connected(place=event.place, last_line=event.last_line, format=event.format, time=match["time"], **_endpoints(match, server))


def _dialled(event: Event, match: re.Match[str]) -> Dial:
    ends = _endpoints(match, server=False)
    return Dial(place=event.place, format=event.format, time=match["time"], server_ip=ends["server_ip"], port=ends["port"])


def _reason(text: str | None) -> str:
    found = _WINSOCK.search(text or "")
    return _REASONS.get(found["code"], "other") if found else "other"


def _closing(text: str, server: bool) -> dict[str, Any]:
    """Who closed: "Remote" or "Local", as seen by the host that logs."""
    by = None
    if "Remote" in text or "Local" in text:
        by = "client" if ("Remote" in text) == server else "server"
    how = "reset" if "Reset" in text else "timeout" if "Timeout" in text or "TimedOut" in text else "closed"
    return {"by": by, "how": how}


def _asked_for_data(told: Sequence[Event]) -> bool:
    """Whether the message was asked for and sent: its lines and its dot are not logged."""
    last = next((e for e in reversed(told) if isinstance(e, Reply | Command)), None)
    return isinstance(last, Reply) and last.code == _GOES_ON
