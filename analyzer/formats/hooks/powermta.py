"""PowerMTA's accounting rows: sites choose the columns, so each cell is known by its shape and its place among its like."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event, MessageInfo

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_ADDRESS = re.compile(r"[^@\s,;]{1,128}@[^@\s,;]{1,255}\Z")
_STATUS = re.compile(r"(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3})(?: \([^()]*\))?\Z")
_MTA = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,255}) \((?P<ip>[0-9A-Fa-f.:]{2,45})\)\Z")
_DIAGNOSTIC = re.compile(
    r"(?:smtp|x-[a-z0-9-]{1,20});\s*(?:(?P<code>[245][0-9]{2})(?:[ -]|$))?(?:#?(?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3}) )?(?P<text>.*)\Z"
)


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events with what their cells say."""
    found, missed = events_of(segment, fmt)
    rows = {line.number: line.body for line in segment.lines}
    return [_told(e, rows[e.place.line]) if isinstance(e, Attempt | MessageInfo) else e for e in found], missed


def _told(event: Attempt | MessageInfo, row: str) -> Event:
    cells = next(csv.reader([row]), [])
    addresses = [cell for cell in cells if _ADDRESS.match(cell)]
    sender = "" if len(addresses) == 1 else addresses[0] if addresses else None  # a bounce's own sender is empty
    values: dict[str, object] = {"mail_from": sender, "rcpt_to": addresses[min(1, len(addresses) - 1)] if addresses else None}
    if isinstance(event, MessageInfo):
        return msgspec.structs.replace(event, **values)
    for cell in cells:
        if match := _DIAGNOSTIC.match(cell):
            values |= {"code": int(match["code"]) if match["code"] else None, "text": match["text"].strip() or None}
            values["enhanced"] = match["enhanced"] or values.get("enhanced")
        elif (match := _STATUS.match(cell)) and "enhanced" not in values:
            values["enhanced"] = match["enhanced"]
        elif (match := _MTA.match(cell)) and "relay" not in values:
            values |= {"relay": match["name"], "relay_ip": match["ip"]}
    return msgspec.structs.replace(event, **values)
