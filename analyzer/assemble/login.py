"""Who got in: one `Login` for each user and address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.model.case import Login
from analyzer.model.events import AuthResult, MessageInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.events import Event

_MOST_CITED = 5


def logins_of(events: Sequence[Event]) -> tuple[Login, ...]:
    """The logins that succeeded; a message that a user handed in shows one, too."""
    found: dict[tuple[str | None, str | None], list[AuthResult | MessageInfo]] = {}
    for e in events:
        if (isinstance(e, AuthResult) and e.result == "ok") or (isinstance(e, MessageInfo) and e.user and e.client_ip):
            found.setdefault((e.user, e.client_ip), []).append(e)
    return tuple(
        Login(
            places=tuple(e.place for e in those[:_MOST_CITED]),
            user=user,
            client_ip=client_ip,
            client_name=those[0].client_name,
            mechanism=next((e.mechanism for e in those if isinstance(e, AuthResult)), None),
            format=those[0].format,
            times=len(those),
        )
        for (user, client_ip), those in found.items()
    )
