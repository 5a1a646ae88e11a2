"""What happened, step by step: the dialogue, or the attempts of the delivery, that the report is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.assemble.delivery import GOOD
from analyzer.model.report import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.case import Case, Delivery, Dialogue

_MOST = 40
_LONGEST = 90


def ladder_of(case: Case, live: Sequence[int]) -> tuple[Step, ...]:
    """The steps of the dialogue that holds the first problem, else of the delivery, else of the first dialogue."""
    names = {c.source: c.name for c in case.captures}
    wanted = set(live)
    for d in sorted(case.dialogues, key=lambda d: not wanted & set(d.problems)):
        return tuple(_dialogue(d, names)[:_MOST])
    for story in sorted(case.deliveries, key=lambda d: not wanted & set(d.problems)):
        if steps := _delivery(story, names):
            return tuple(steps[:_MOST])
    return ()


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\u2026"


def _dialogue(d: Dialogue, names: dict[int, str]) -> list[Step]:
    steps: list[Step] = []
    for place in d.where.get("connected", ())[:1]:
        said = "connects" if d.connected == "yes" else "cannot connect"
        steps.append(
            Step(
                "client",
                f"{said} to {d.server or d.server_ip or 'the server'}",
                place.line,
                names.get(place.source, ""),
                "ok" if d.connected == "yes" else "failed",
            )
        )
    for e in d.exchanges:
        asked = [p for p in e.places if p not in e.reply_places]
        if asked:
            words = "the message, and its final dot" if e.to == "END-OF-MESSAGE" else f"{'' if e.unknown else e.to} {e.argument or ''}"
            steps.append(Step("client", _cut(words.strip()), asked[0].line, names.get(asked[0].source, "")))
        if e.code is not None and e.reply_places:
            place = e.reply_places[0]
            words = " ".join(str(x) for x in (e.code, e.enhanced, e.text) if x)
            steps.append(Step("server", _cut(words), place.line, names.get(place.source, ""), "failed" if e.code >= 400 else "ok"))
    if d.closed is not None and not any(e.to == "QUIT" for e in d.exchanges):
        place = d.closed.places[0]
        words = "no answer in time" if d.closed.how == "timeout" else "closes the connection"
        steps.append(Step(d.closed.by or "server", words, place.line, names.get(place.source, ""), "failed"))
    return steps


def _delivery(d: Delivery, names: dict[int, str]) -> list[Step]:
    steps = []
    for field in ("client_ip", "mail_from"):
        for place in d.where.get(field, ())[:1]:
            words = (
                f"takes the message from {d.client_name or ''} {d.client_ip or ''}"
                if field == "client_ip"
                else f"queues the message from <{d.mail_from}>"
            )
            steps.append(Step("mta", _cut(words), place.line, names.get(place.source, ""), "ok"))
    for a in d.attempts:
        good = a.status in GOOD
        steps.append(
            Step(
                "client",
                _cut(f"to {a.rcpt_to or '?'} by way of {a.relay or a.said_by or '?'}"),
                a.place.line,
                names.get(a.place.source, ""),
                "none",
                a.time,
            )
        )
        words = " ".join(str(x) for x in (a.status, a.code, a.enhanced, a.text) if x)
        steps.append(Step("server", _cut(words), a.place.line, names.get(a.place.source, ""), "ok" if good else "failed", a.time))
    return steps
