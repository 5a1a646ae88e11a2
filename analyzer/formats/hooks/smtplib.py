"""A traceback of Python ends with what is known: that a reply was waited for, and at which step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.formats.lines import events_of
from analyzer.model.events import Closed, Command, Event, Noise, Reply, TimedOut

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; a wait for a reply takes the place of "timed out", and the step at which it was comes before it."""
    found, missed = events_of(segment, fmt)
    talked = any(isinstance(e, Reply) for e in found)
    told: list[Event] = []
    for at, e in enumerate(found):
        if isinstance(e, TimedOut) and e.connected is None and any(isinstance(x, TimedOut) and x.connected for x in found[at:]):
            continue
        if not talked and isinstance(e, Closed | TimedOut) and (step := _step(found[:at])) is not None:
            told.append(step)
        told.append(e)
    return told, missed


def _step(before: list[Event]) -> Event | None:
    """The command that the last frame inside smtplib was to send, as an event; None where it was the connection itself."""
    frame = next((e for e in reversed(before) if isinstance(e, Noise) and e.text), None)
    if frame is None or not frame.text or frame.text == "connect":
        return None
    return Command(place=frame.place, format=frame.format, verb=frame.text.upper())
