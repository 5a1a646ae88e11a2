"""What happened, step by step: the dialogue, or the attempts of the delivery, that the report is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.model.events import GOOD
from analyzer.model.report import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.case import Case, Delivery, Dialogue, Problem

_MOST = 40
_LONGEST = 90


def ladder_of(case: Case, live: Sequence[int]) -> tuple[Step, ...]:
    """The steps that led to the first of the *live* problems; without one, those of the first dialogue or delivery."""
    names = {c.source: c.name for c in case.captures}
    for index in live:
        for d in case.dialogues:
            if index in d.problems:
                return tuple(_dialogue(d, names)[:_MOST])
        for story in case.deliveries:
            if index in story.problems and (steps := _delivery(story, names, case, live)):
                return tuple(steps[:_MOST])
        if steps := _refusal(case.problems[index], names):
            return tuple(steps)
    for d in case.dialogues:
        return tuple(_dialogue(d, names)[:_MOST])
    for story in case.deliveries:
        if steps := _delivery(story, names, case, ()):
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


def _refusal(p: Problem, names: dict[int, str]) -> list[Step]:
    """What one line of a server's log tells of a client that it refused."""
    if p.view != "receiving" or p.kind not in {"refusal", "hang-up", "timeout"} or not p.places:
        return []
    place = p.places[0]
    source = names.get(place.source, "")
    asked = {
        "connects": " ".join(x for x in (p.client_name, p.client_ip and f"[{p.client_ip}]") if x),
        "EHLO": p.helo,
        "MAIL FROM": None if p.mail_from is None else f"<{p.mail_from}>",
        "RCPT TO": p.rcpt_to and f"<{p.rcpt_to}>",
    }
    steps = [Step("client", _cut(f"{verb} {said}"), place.line, source) for verb, said in asked.items() if said]
    return [*steps, _outcome(p, source)] if steps else []


def _outcome(p: Problem, source: str) -> Step:
    """The failed step itself."""
    words = " ".join(str(x) for x in (p.code, p.enhanced, p.text) if x)
    if not words:
        words = "no answer in time" if p.kind == "timeout" else "closes the connection"
    frm = "client" if p.by == "client" else "server"
    return Step(frm, _cut(words), p.places[0].line, source, "failed", p.time)


def _delivery(d: Delivery, names: dict[int, str], case: Case, live: Sequence[int]) -> list[Step]:
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
        way = a.relay if a.relay not in {None, "none"} else a.said_by
        steps.append(
            Step(
                "client",
                _cut(f"to {a.rcpt_to or '?'}{f' by way of {way}' if way else ''}"),
                a.place.line,
                names.get(a.place.source, ""),
                "none",
                a.time,
            )
        )
        words = " ".join(str(x) for x in (a.status, a.code, a.enhanced, a.text) if x)
        frm = "server" if good or a.code or a.said_by else "mta"
        steps.append(Step(frm, _cut(words), a.place.line, names.get(a.place.source, ""), "ok" if good else "failed", a.time))
    if not d.attempts:  # refused before it was queued for good, by a milter or a check of its content
        for index in live:
            if index in d.problems and (p := case.problems[index]).places:
                steps.append(_outcome(p, names.get(p.places[0].source, "")))
    return steps
