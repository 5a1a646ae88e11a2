"""Dovecot names the mailbox that it delivers to in front of the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; the user of a delivery is its recipient."""
    found, missed = events_of(segment, fmt)
    return [
        msgspec.structs.replace(e, rcpt_to=e.user, relay="dovecot") if isinstance(e, Attempt) and e.rcpt_to is None else e for e in found
    ], missed
