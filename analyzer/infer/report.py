"""Beliefs -> the report: verdict, diagnoses, evidence, what is next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analyzer import __version__
from analyzer.assemble.facts import facts_of
from analyzer.expressions import re
from analyzer.infer.certainty import LIKELY, NEAR, contested
from analyzer.infer.engine import Judged, Outcome, _voices, places_of, problem_values, told, values_of
from analyzer.infer.explain import first_captures, next_captures, open_rules
from analyzer.infer.ladder import ladder_of
from analyzer.infer.wording import fill, look_up, what
from analyzer.model import report as r
from analyzer.read.prose import FAILURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.infer.certainty import Belief, Voice
    from analyzer.model.case import Case, Problem
    from analyzer.model.events import Event
    from analyzer.model.place import Place
    from analyzer.model.rule import Fault, RuleBook

LEAST_SHOWN = NEAR
LEAST_FAULTY = 0.5
_MOST_EVIDENCE = 12
_MOST_STEPS = 7
_LONGEST_LINE = 400
_FATAL = frozenset({"fatal", "panic"})
_KIND_ORDER = {"cause": 0, "echo": 1, "consequence": 2}
_SIDE = {"sender": "sending", "user": "sending", "receiver": "receiving"}


def report_of(judged: Judged, book: RuleBook, view: str | None, *, events: bool) -> r.Report:
    """The whole report on a judged case."""
    case: Case = judged.case
    voices = _voices(case, judged.outcomes)
    lines = _Lines(case)
    live = [i for i, p in enumerate(case.problems) if p.resolved == "no" and i not in judged.harmless]
    diagnoses = _diagnoses(judged, live, book, lines, view)
    findings = _findings(judged, lines)
    verdict = _verdict(judged, live, diagnoses)
    return r.Report(
        version=r.VERSION,
        verdict=verdict,
        headline=_headline(verdict, diagnoses, judged, live, book),
        diagnoses=diagnoses,
        problems=tuple(_problem(i, judged) for i in range(len(case.problems)) if not _silent(judged, i)),
        next=_next(verdict, judged, book, voices),
        open=open_rules(judged, book),
        findings=findings,
        facts=_facts(judged, book),
        events=tuple(_event(e) for e in case.events) if events else (),
        ladder=ladder_of(case, _by_weight(diagnoses, live, judged)),
        coverage=_coverage(case),
        sources=tuple(c.name for c in case.captures),
        view=view or _view(case),
        adjusted=tuple(f"{a.rule}: {a.reason} (since {a.since})" for a in book.adjusted),
        rules_version=book.version,
        mailwhy=__version__,
    )


def _next(verdict: str, judged: Judged, book: RuleBook, voices: dict[int, list[Voice]]) -> tuple[r.NextCapture, ...]:
    if verdict == "healthy":
        return ()
    found = next_captures(judged, book, voices)
    return found or (() if verdict == "faulty" else first_captures(book, facts_of(judged.case, book.providers)))


class _Lines:
    """The user's own lines, by place."""

    def __init__(self, case: Case) -> None:
        self.names = {c.source: c.name for c in case.captures}
        self.text = {(c.source, line.number): line.raw for c in case.captures for line in c.lines}

    def evidence(self, place: Place, note: str | None = None, role: str = "primary", focus: str | None = None) -> r.Evidence:
        """The line at *place*; where it holds *focus*, that is marked."""
        text = self.text.get((place.source, place.line), "")
        at, length = words_in(text, focus or "")
        if len(text) > _LONGEST_LINE:
            cut = max(0, min(at, len(text) - _LONGEST_LINE)) if at + length > _LONGEST_LINE else 0
            text = ("\u2026" if cut else "") + text[cut : cut + _LONGEST_LINE] + ("\u2026" if cut + _LONGEST_LINE < len(text) else "")
            at, length = words_in(text, focus or "")
        return r.Evidence(self.names.get(place.source, "?"), place.line, text, note, role, at, length)


_MOST_WORDS, _LEAST_WORDS = 60, 12  # words of a text; characters that are enough to know where it begins


def words_in(line: str, text: str) -> tuple[int, int]:
    """Where *text* stands in *line*, and how long it is there: a reply of several lines has its codes between its words.  0, 0: nowhere."""
    if not text:
        return 0, 0
    if (at := line.find(text)) >= 0:
        return at, len(text)
    words = text.split()[:_MOST_WORDS]
    for n in range(len(words) - 1, 0, -1):
        begin = " ".join(words[:n])
        if len(begin) < _LEAST_WORDS:
            break
        if (at := line.find(begin)) >= 0:
            ends = (" ".join(words[m:]) for m in range(n, len(words)))
            found = ((line.find(end, at + len(begin)), len(end)) for end in ends if len(end) >= _LEAST_WORDS)
            return at, next((stop + length - at for stop, length in found if stop >= 0), len(begin))
    return 0, 0


def _facts(judged: Judged, book: RuleBook) -> dict[str, Any]:
    """The facts about the mail in question: not about clients that everyday noise tells of, where there is mail beside it."""
    case: Case = judged.case
    facts = case.facts
    if judged.harmless and case.deliveries:
        serious = tuple(p for i, p in enumerate(case.problems) if i not in judged.harmless)
        facts = facts_of(msgspec.structs.replace(case, problems=serious), book.providers)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in msgspec.structs.asdict(facts).items() if v not in (None, ())}


def _silent(judged: Judged, index: int) -> bool:
    """A problem that nobody explained and that needs no explanation."""
    p: Problem = judged.case.problems[index]
    return p.minor and not judged.beliefs[index].shares


def _verdict(judged: Judged, live: Sequence[int], diagnoses: Sequence[r.Diagnosis]) -> str:
    if diagnoses and diagnoses[0].certainty >= LEAST_FAULTY:
        return "faulty"
    if diagnoses or any(not judged.case.problems[i].minor for i in live):
        return "inconclusive"
    if any(o.rule.establishes and not o.superseded for o in judged.outcomes):
        return "inconclusive" if _unread_trouble(judged.case) else "healthy"
    if not judged.case.events:
        return "unrecognised"
    return "inconclusive"


_REFUSES = re.compile(
    r"(?i)^<[*~]\*|(?:^|[\s(#])[45]\.[0-9]{1,2}\.[0-9]{1,3}\b|\b(?:no such|unknown|not found|blocked|disabled|unsuccessful|not (?:allowed|permitted))\b"
)


def _tells_of_failure(text: str) -> bool:
    """Whether a line that could not be read speaks of a failure, or has a code that only refusals have."""
    return bool(FAILURE.search(text) or _REFUSES.search(text))


def _unread_trouble(case: Case) -> list[Place]:
    """Lines that could not be read and speak of failure: with them nothing is called healthy.  A person may speak of it elsewhere."""
    from analyzer.model.place import Place

    found = []
    for parsed in case.parsed:
        begin = min((e.place.line for e in parsed.events), default=0)  # what is said ahead of a session is not said of a step in it
        missed = {*parsed.unrecognised, *(n for n in parsed.prose if parsed.segment.format is not None and n > begin)}
        found += [
            Place(parsed.segment.source, line.number)
            for line in parsed.segment.lines
            if (line.number in missed or (parsed.segment.format is None and line.envelope is not None)) and _tells_of_failure(line.text)
        ]
    return found


# ---- diagnoses -------------------------------------------------------------------------------------------------------
def _diagnoses(judged: Judged, live: Sequence[int], book: RuleBook, lines: _Lines, view: str | None) -> tuple[r.Diagnosis, ...]:
    best: dict[str, tuple[float, int, int]] = {}
    for index in live:
        for fault, share in judged.beliefs[index].shares:
            old = best.get(fault, (0.0, index, 0))
            explains = old[2] + (1 if share >= LEAST_SHOWN else 0)
            best[fault] = (share, index, explains) if share > old[0] else (old[0], old[1], explains)
    urgent = {f for i in live if judged.case.problems[i].severity in _FATAL for f, s in judged.beliefs[i].shares if s >= LEAST_SHOWN}
    causes = any(s >= LEAST_FAULTY and book.faults[f].kind != "consequence" for f, (s, _, _) in best.items() if f in book.faults)

    def behind(index: int) -> int:
        """0: mail of this house's own; 1: a client at the door; 2: what needs no explanation."""
        return 2 if judged.case.problems[index].minor else int(index in judged.aside)

    sure = min((behind(i) for s, i, _ in best.values() if s >= LEAST_FAULTY), default=2)

    def rank(item: tuple[str, tuple[float, int, int]]) -> tuple[Any, ...]:
        fault, (share, index, explains) = item
        known = book.faults.get(fault)
        kind = known.kind if known else "cause"
        late = causes and kind == "consequence"
        aside = behind(index) if behind(index) > sure else 0
        stranger = aside == 1
        return (
            stranger,
            late,
            aside,
            fault not in urgent,
            -round(share, 1),
            _KIND_ORDER.get(kind, 0),
            -explains,
            -share,
            judged.case.problems[index].places[:1],
            fault,
        )

    found = []
    for fault, (share, index, _) in sorted(best.items(), key=rank):
        if share >= LEAST_SHOWN and fault in book.faults:
            found.append(_diagnosis(book.faults[fault], share, index, judged, book, lines, view))
    return tuple(found)


def _by_weight(diagnoses: Sequence[r.Diagnosis], live: Sequence[int], judged: Judged) -> list[int]:
    """The *live* problems, first those that the first diagnoses explain best."""
    order = {d.fault: i for i, d in enumerate(diagnoses)}

    def weight(index: int) -> tuple[int, float]:
        shares = judged.beliefs[index].shares
        return min(((order.get(f, len(order)), -s) for f, s in shares), default=(len(order), 0.0))

    return sorted(live, key=weight)


def _settled(fault: Fault, share: float, belief: Belief, book: RuleBook) -> bool:
    """Whether it is clear enough that whoever mends *fault* must act to write to them: no rival that somebody else mends is near."""
    leaders = contested(belief)
    return share >= LEAST_FAULTY and (
        leaders is None or all(f in book.faults and book.faults[f].fixed_by == fault.fixed_by for f in leaders)
    )


def _diagnosis(fault: Fault, share: float, index: int, judged: Judged, book: RuleBook, lines: _Lines, view: str | None) -> r.Diagnosis:
    p: Problem = judged.case.problems[index]
    if fault.later and (p.waited or 0) > fault.after * 3600:
        fault = fault.later
    voices = [o for o in judged.outcomes if index in o.problems and not o.superseded and fault.fault in o.rule.suggests]
    voices.sort(key=lambda o: -o.rule.suggests[fault.fault])
    values = problem_values(p)
    for o in voices:
        values = {**told(o, judged.case), **values}
    for o in reversed(voices):
        values |= {name: v for name, path in o.rule.names.items() if (v := look_up(path, values_of(o, judged.case)))}
    side = view or _side_of(p, fault)
    theirs = side == "sending" and _of_another_server(p, fault)
    title, summary = fill(fault.title, values), fill(fault.summary, values)
    return r.Diagnosis(
        fault=fault.fault,
        certainty=round(share, 2),
        word=r.word_of(share),
        title=title,
        severity=fault.severity,
        fixed_by="receiver" if theirs else fault.fixed_by,
        summary=summary,
        findings=tuple(o.rule.rule for o in voices),
        evidence=_evidence(p, voices, judged, lines),
        steps=_steps(fault, p, {side, "elsewhere" if theirs else ""}, values, voices, _library(p, lines)),
        verify=fill(fault.verify, values),
        message=_message(fault, side, values) if _settled(fault, share, judged.beliefs[index], book) else None,
        kind=fault.kind,
        refs=tuple(dict.fromkeys((*(ref for o in voices if o.rule.steps for ref in o.rule.refs), *fault.refs))),
        explains=what(p),
        count=p.count,
        since=p.time,
    )


_ON_THIS_MACHINE = re.compile(r"(?i)127\.[0-9.]+$|::1$|localhost(?:\.localdomain)?\.?$")
_NAMED_IN_BANNER = re.compile(r"(?i)\b(postfix|exim|sendmail|opensmtpd|dovecot)\b")


def _side_of(p: Problem, fault: Fault) -> str:
    """On which side the reader stands.  Who tests the server of his own machine runs it."""
    if p.view == "sending" and fault.fixed_by == "receiver" and _ON_THIS_MACHINE.match(p.server_ip or p.server or ""):
        return "receiving"
    return p.view or _SIDE.get(fault.fixed_by, "sending")


_NEAR_BY = re.compile(
    r"(?i)[^.:]*$|.*/|(?:127|10|192\.168|172\.(?:1[6-9]|2[0-9]|3[01]))\.[0-9.]+$|::1$|f[cd][0-9a-f]{2}:|.*\.(?:local|lan|internal|localdomain|localhost)\.?$"
)
_OF_THE_SERVER = "server"  # the area of what can be wrong with a mail server itself


def _of_another_server(p: Problem, fault: Fault) -> bool:
    """Whether a server elsewhere says this of itself: then whoever runs that one mends it."""
    if fault.area != _OF_THE_SERVER or fault.fixed_by != "local" or p.kind != "refusal" or p.by != "server" or p.complaint:
        return False
    named = [x for x in (p.server, p.server_ip) if x]
    if (p.agent or "").endswith("/lmtp") or any(_NEAR_BY.match(x) for x in named):
        return False
    return bool(named) or p.format == "bounce"


def _software(p: Problem, side: str) -> str | None:
    """The reader's software: the server's own is told by its greeting, where no log of it is shown."""
    named = _NAMED_IN_BANNER.search(p.banner or "") if side == "receiving" else None
    return p.software or (named[1].lower() if named else None)


def _evidence(p: Problem, voices: Sequence[Outcome], judged: Judged, lines: _Lines) -> tuple[r.Evidence, ...]:
    own = list(p.places[-3:] if p.kind not in {"refusal"} else p.places[:3])
    notes: dict[Place, str] = {}
    for o in sorted(voices, key=lambda o: len(places_of(o))):
        for place in places_of(o):
            notes.setdefault(place, what(p, quote=False) if o.rule.dialect else _title(o, judged))
    primary = [lines.evidence(x, notes.get(x) or what(p), focus=p.text) for x in dict.fromkeys(own)]
    for place in p.where.get("complaint", ()):
        notes[place] = "What was complained of just before"
    related = [lines.evidence(x, n, "related", focus=p.complaint) for x, n in sorted(notes.items()) if x not in set(own)]
    return tuple((primary + related)[:_MOST_EVIDENCE])


def _title(o: Outcome, judged: Judged) -> str:
    return fill(o.rule.title, values_of(o, judged.case))


_NEAR = 40  # lines before and after
_LIBRARY = re.compile(
    r"\b(smtplib|nodemailer|PHPMailer|CodeIgniter|msmtp)\b|\b(?:javax?|jakarta|com\.sun)\.mail\b|\b(curl)(?:: \([0-9]| .{0,200}smtps?://)"
)


def _library(p: Problem, lines: _Lines) -> str | None:
    """What an application sends its mail with, by the names that stand around its error."""
    if p.view == "receiving" or p.software:
        return None
    for place in p.places[:1]:
        for number in range(max(1, place.line - _NEAR), place.line + _NEAR):
            if found := _LIBRARY.search(lines.text.get((place.source, number), "")[:_LONGEST_LINE]):
                return (found[1] or found[2] or "javamail").lower()
    return p.format


def _steps(
    fault: Fault, p: Problem, reader: set[str], values: dict[str, Any], voices: Sequence[Outcome], library: str | None
) -> tuple[str, ...]:
    """What the refusing provider itself asks for, then the fault's steps for the *reader*'s side and software, those of a *library* first.

    Where the software is not known, the fault's steps are those that hold for any.
    """
    side = next(w for w in ("receiving", "sending") if w in reader)
    have = {*reader, _software(p, side) or library or ""}
    theirs = [s for o in voices for s in o.rule.steps if all(w in have for w in s.for_)]
    fits = [s for s in fault.steps if all(w in have for w in s.for_)]
    if not fits:
        fits = [s for s in fault.steps if not {"sending", "receiving"} - {side} & set(s.for_)]
    fits.sort(key=lambda s: library not in s.for_)
    return tuple(fill(s.do, values) for s in [*theirs, *fits][:_MOST_STEPS])


def _message(fault: Fault, side: str, values: dict[str, Any]) -> str | None:
    """The ready message, where somebody other than the reader must act."""
    if not fault.message or fault.fixed_by == "nobody":
        return None
    reader = {"sending": {"sender", "user"}, "receiving": {"receiver", "local"}}.get(side, set())
    return None if fault.fixed_by in reader or fault.fixed_by == "local" else fill(fault.message, values, letter=True)


# ---- the rest of the report ------------------------------------------------------------------------------------------
def _problem(index: int, judged: Judged) -> r.ProblemReport:
    p: Problem = judged.case.problems[index]
    belief = judged.beliefs[index]
    voices = [o for o in judged.outcomes if index in o.problems and not o.superseded]
    causes = tuple(
        r.Cause(
            fault,
            round(share, 3),
            tuple(o.rule.rule for o in voices if fault in o.rule.suggests),
            tuple(o.rule.rule for o in voices if fault in o.rule.against),
        )
        for fault, share in belief.shares
    )
    source = p.places[0].source if p.places else 0
    names = [c.name for c in judged.case.captures]
    return r.ProblemReport(
        what=what(p),
        lines=tuple(dict.fromkeys(x.line for x in p.places)),
        causes=causes,
        rest=round(belief.rest, 3),
        conflict=round(belief.conflict, 3),
        kind=p.kind,
        source=names[source] if source < len(names) else "",
        count=p.count,
        resolved=p.resolved == "yes",
        harmless=index in judged.harmless,
    )


def _findings(judged: Judged, lines: _Lines) -> tuple[r.Finding, ...]:
    found: dict[tuple[str, str], r.Finding] = {}
    for o in judged.outcomes:
        if o.superseded:
            continue
        kind = (
            "established"
            if o.rule.establishes
            else "harmless"
            if o.rule.harmless
            else "evidence"
            if o.problems and (o.rule.suggests or o.rule.against)
            else "remark"
        )
        values = values_of(o, judged.case)
        because = fill(o.rule.because, values)
        if not because and o.rule.dialect:
            because = what(judged.case.problems[o.problems[0]])
            if o.rule.harmless and o.rule.steps:
                because = f"{because}. {fill(o.rule.steps[0].do, values)}"
        key = (o.rule.rule, because)
        if key not in found:
            found[key] = r.Finding(
                o.rule.rule,
                fill(o.rule.title, values),
                tuple(lines.evidence(x) for x in places_of(o)[:_MOST_EVIDENCE]),
                because,
                kind,
                o.kind,
            )
    return tuple(found.values())[:200]


_WHO = {
    "sender": "The sending side must act.",
    "receiver": "Whoever runs the receiving server must act.",
    "dns": "Whoever runs the DNS zone must act.",
    "network": "The network or its provider must act.",
    "user": "The person or program that submits the mail must act.",
    "local": "Whoever runs this mail server must act.",
    "nobody": "Nobody needs to act.",
}


_THEIRS = frozenset({"dns", "receiver", "network"})


def _who(diagnoses: Sequence[r.Diagnosis]) -> str:
    """Who must act, as far as that is decided: a near rival of the same problem may be somebody else's, and what the reader can check comes first."""
    top = diagnoses[0]
    rival = next((d for d in diagnoses[1:] if d.explains == top.explains), None)
    if rival is None or top.certainty >= LIKELY or rival.fixed_by == top.fixed_by:
        return _WHO[top.fixed_by]
    first = "check that first" if top.fixed_by in _THEIRS and rival.fixed_by not in _THEIRS else "find out which, before anybody acts"
    return f"It may also be: {rival.title} ({rival.certainty:.2f}); {first}."


def _headline(verdict: str, diagnoses: Sequence[r.Diagnosis], judged: Judged, live: Sequence[int], book: RuleBook) -> str:
    if verdict == "faulty":
        top = diagnoses[0]
        lead = {"certain": "", "likely": "Most likely: "}.get(top.word, "Probably: ")
        return f"{lead}{top.title} ({top.word}, {top.certainty:.2f}). {_who(diagnoses)}"
    if verdict == "healthy":
        best = next(o for o in judged.outcomes if o.rule.establishes and not o.superseded)
        if _own_complaint(judged, book):
            return f"{_title(best, judged)}. What this server complains of beside that stopped no mail."
        return f"Nothing is wrong here: {_title(best, judged)[:1].lower()}{_title(best, judged)[1:]}."
    if verdict == "unrecognised":
        return "Nothing in this text is in a format that mailwhy knows."
    if diagnoses:
        return f"Not certain. Possible: {', '.join(f'{d.title} ({d.certainty:.2f})' for d in diagnoses[:3])}."
    open_ = [what(judged.case.problems[i]) for i in live if not judged.case.problems[i].minor]
    if open_:
        return f"{open_[0]}. The cause cannot be told from what is shown."
    if unread := _unread_trouble(judged.case):
        lines = ", ".join(str(p.line) for p in unread[:4])
        return f"What could be read works, but line {lines} speaks of a failure and could not be read."
    return "What is shown neither works nor fails."


def _own_complaint(judged: Judged, book: RuleBook) -> bool:
    """Whether something harmless is this server's own to put right one day."""
    found = (f for o in judged.outcomes if o.rule.harmless and o.rule.dialect and not o.superseded for f in o.rule.suggests)
    return any(f in book.faults and book.faults[f].fixed_by == "local" for f in found)


def _event(e: Event) -> dict[str, Any]:
    values = {n: v for n in e.__struct_fields__ if n != "place" and (v := getattr(e, n)) not in (None, "")}
    return {"kind": str(type(e).__struct_config__.tag), "line": e.place.line, "source": e.place.source, **values}


def _coverage(case: Case) -> r.Coverage:
    missed: dict[int, set[int]] = {}
    formats: dict[str, int] = {}
    prose = 0
    errors = []
    for parsed in case.parsed:
        if parsed.error:
            errors.append(parsed.error)
        prose += len(parsed.prose)
        if parsed.segment.format is not None:
            formats[parsed.segment.format] = formats.get(parsed.segment.format, 0) + len(parsed.segment.lines)
        missed.setdefault(parsed.segment.source, set()).update(parsed.unrecognised)
    lines = sum(c.lines[-1].last if c.lines else 0 for c in case.captures)
    names = {c.source: c.name for c in case.captures}
    by_source = {names[s]: tuple(sorted(n)) for s, n in missed.items() if n and s in names}
    total = sum(len(n) for n in missed.values())
    return r.Coverage(
        lines=lines,
        recognised=lines - total,
        unrecognised=tuple(sorted(missed.get(0, ()))),
        prose=prose,
        formats=formats,
        by_source=by_source,
        errors=tuple(errors),
        notes=tuple(n for c in case.captures for n in c.notes),
    )


def _view(case: Case) -> str | None:
    for p in case.problems:
        if p.view and p.resolved == "no":
            return p.view
    return case.dialogues[0].view if case.dialogues else None
