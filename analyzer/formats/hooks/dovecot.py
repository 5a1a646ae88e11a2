"""Dovecot names the mailbox that it delivers to in front of the words, or in the name of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Attempt, Event

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_OWNER = re.compile(r"[a-z0-9-]{2,30}\(([^()\s]{0,99}[^()\s0-9][^()\s]{0,99})\)")  # "lmtp(bob@example.net)<812><abcDEF>"


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """The grammar's events; the user of a delivery is its recipient."""
    found, missed = events_of(segment, fmt)
    return [
        msgspec.structs.replace(e, rcpt_to=_user_of(e), relay="dovecot") if isinstance(e, Attempt) and e.rcpt_to is None else e
        for e in found
    ], missed


def _user_of(e: Attempt) -> str | None:
    named = _OWNER.match(e.agent or "")
    return e.user or (named[1] if named else None)
