"""A pasted header as a `Message`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.model.events import Event, Header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.case import Message


def messages_of(events: Sequence[Event]) -> tuple[Message, ...]:
    """The messages whose header fields stand in *events*."""
    if not any(isinstance(e, Header) for e in events):
        return ()
    return ()
