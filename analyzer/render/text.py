"""The report for a terminal: the verdict, source excerpts with carets, what to do."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

from analyzer.render.safe import visible

if TYPE_CHECKING:
    from analyzer.model.report import Diagnosis, Evidence, Report

_NARROWEST = 20
_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2"}
_VERDICT = {"faulty": ("\u2717", "red"), "healthy": ("\u2713", "green"), "inconclusive": ("?", "yellow"), "unrecognised": ("?", "yellow")}


def render(
    report: Report, *, colour: bool = False, width: int | None = None, explain: bool = False, pedantic: bool = False, **_options: Any
) -> str:
    """*report* as text."""
    page = _Page(colour and not os.environ.get("NO_COLOR"), width or max(_NARROWEST, min(_columns(), 110)))
    _verdict(report, page)
    for index, diagnosis in enumerate(report.diagnoses[:3]):
        _diagnosis(diagnosis, page, first=index == 0)
    _next(report, page)
    _why(report, page, explain=explain)
    _fine(report, page, pedantic=pedantic or explain)
    _coverage(report, page)
    return "\n".join(page.lines) + "\n"


def _columns() -> int:
    """The terminal's width, as `shutil` tells it, which takes its time to import."""
    try:
        return int(os.environ["COLUMNS"]) or 100
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or 100
    except (OSError, ValueError):
        return 100


class _Page:
    def __init__(self, colour: bool, width: int) -> None:
        self.colour, self.width, self.lines = colour, width, list[str]()

    def paint(self, text: str, *styles: str) -> str:
        if not self.colour:
            return text
        return f"\x1b[{';'.join(_CODES[s] for s in styles)}m{text}\x1b[0m"

    def add(self, text: str = "") -> None:
        self.lines.append(text)

    def head(self, text: str) -> None:
        self.add()
        self.add(self.paint(text, "bold"))

    def prose(self, text: str, indent: str = "  ", first: str | None = None) -> None:
        self.lines += textwrap.wrap(
            visible(text),
            self.width,
            initial_indent=indent if first is None else first,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [indent.rstrip()]


def _verdict(report: Report, page: _Page) -> None:
    glyph, colour = _VERDICT[report.verdict]
    if len(report.sources) > 1:
        page.add(f"One case from {len(report.sources)} captures: {visible(', '.join(report.sources))}")
    lines = textwrap.wrap(f"{glyph} {report.verdict.upper()}: {visible(report.headline)}", page.width, subsequent_indent="  ")
    for line in lines:
        page.add(page.paint(line, "bold", colour))


def _diagnosis(d: Diagnosis, page: _Page, *, first: bool) -> None:
    page.head(
        f"{d.title}  [{d.fault}, {d.word} {d.certainty:.2f}, fixed by: {d.fixed_by}]"
        if not first
        else f"{d.fault}  ({d.word}, {d.certainty:.2f}; severity {d.severity}; fixed by: {d.fixed_by})"
    )
    page.prose(d.account)
    if first and d.explains:
        page.prose(seen(d))
    excerpt(d.evidence if first else d.evidence[:3], page)
    if d.steps:
        page.head("Do this" if first else "  If so")
        for number, step in enumerate(d.steps if first else d.steps[:3], start=1):
            page.prose(step, "     ", f"  {number}. ")
    if first and d.verify:
        page.prose(d.verify, "     ", "  \u2713  Fixed when: ")
    if first and d.message:
        page.head("Send this to the other side")
        for line in d.message.splitlines() or [""]:
            page.prose(line, "  | ")


def excerpt(evidence: tuple[Evidence, ...], page: _Page) -> None:
    """The user's own lines, numbered, with carets and notes."""
    if not evidence:
        return
    page.add()
    margin = max(len(str(e.line)) for e in evidence)
    source = ""
    for e in sorted(evidence, key=lambda e: (e.source, e.line)):
        if e.source != source:
            source = e.source
            page.add(f"  {' ' * margin}{page.paint('-->', 'blue')} {visible(source)}")
        gutter = page.paint(" " * margin + " |", "blue")
        head = page.paint(f"{e.line:>{margin}} |", "blue")
        colour = "red" if e.role == "primary" else "blue"
        shown = rows(e, page.width - margin - 6)
        for row, marks in shown:
            page.add(f"  {head} {row}")
            head = gutter
            if e.note and marks:
                page.add(f"  {gutter} {page.paint(marks, colour)}")
        if e.note:
            page.prose(e.note, f"  {' ' * margin} | ")


_MOST_ROWS = 4


def rows(e: Evidence, room: int) -> list[tuple[str, str]]:
    """The line of *e* in rows of at most *room* characters, each with the marks that belong below it.

    A line that matters as a whole and takes several rows gets one mark, below its last.
    """
    raw = e.text.rstrip()
    before, words = (visible(raw[: e.column]), visible(raw[e.column : e.column + e.length])) if e.length else ("", visible(raw).strip())
    text = visible(raw)
    start = len(before) if e.length else len(text) - len(text.lstrip())
    end = start + max(1, len(words))
    mark = "^" if e.role == "primary" else "-"
    found = []
    for at, row in _broken(text, room):
        first, last = max(start, at), min(end, at + len(row))
        found.append((row.rstrip(), " " * (first - at) + mark * (last - first) if last > first else ""))
    if not e.length and len(found) > 1:
        found = [(row, "") for row, _ in found[:-1]] + [(found[-1][0], mark)]
    if len(found) > _MOST_ROWS:
        marked = [i for i, (_, marks) in enumerate(found) if marks]
        keep = {0, *marked[: _MOST_ROWS - 1]}
        found = [pair for i, pair in enumerate(found) if i in keep]
        found[-1] = (found[-1][0][: room - 1] + "\u2026", found[-1][1])
    return found


def _broken(text: str, room: int) -> list[tuple[int, str]]:
    """*text* in rows, broken at blanks where there are any, each with the column at which it begins."""
    found, at = [], 0
    while len(text) - at > room:
        cut = text.rfind(" ", at + room // 2, at + room)
        cut = at + room if cut < 0 else cut + 1
        found.append((at, text[at:cut]))
        at = cut
    return [*found, (at, text[at:])]


def seen(d: Diagnosis) -> str:
    """What failed, how often and since when."""
    when = "since" if d.count > 1 else "at"
    more = " ".join([*([f"{d.count} times"] if d.count > 1 else []), *([f"{when} {d.since}"] if d.since else [])])
    return f"What failed: {d.explains}{f' ({more})' if more else ''}."


def _next(report: Report, page: _Page) -> None:
    if not report.next or report.verdict == "healthy":
        return
    if report.diagnoses and report.diagnoses[0].certainty >= 0.95:
        return
    page.head("Capture this next")
    for item in report.next[:3]:
        for line in item.capture.splitlines():
            page.add(f"  {visible(line)}" if line[:1].isupper() else f"  $ {visible(line)}")  # words, or a command
        page.prose(f"{item.where}. {item.tells}", "    ")


def _why(report: Report, page: _Page, *, explain: bool) -> None:
    shown = [p for p in report.problems if (p.causes or explain) and not p.resolved and not p.harmless]
    if not shown or not (explain or report.verdict == "inconclusive" or len(shown) > 1 or len(shown[0].causes) > 1):
        return
    page.head("Why")
    for p in shown[: 20 if explain else 5]:
        times = f" ({p.count} times)" if p.count > 1 else ""
        page.prose(f"line {', '.join(map(str, p.lines[:4]))}: {p.what}{times}", "    ", "  ")
        for c in p.causes[: 8 if explain else 4]:
            said = f"  for: {', '.join(c.for_)}" + (f"  against: {', '.join(c.against)}" if c.against else "") if explain else ""
            page.add(f"    {c.share:.2f} {c.fault}{said}")
        if p.rest >= 0.05:
            page.add(f"    {p.rest:.2f} something else")
        if p.conflict > 0.5:
            page.add("    the evidence disagrees")


def _fine(report: Report, page: _Page, *, pedantic: bool) -> None:
    fine = [f for f in report.findings if f.kind == "established"]
    harmless = [f for f in report.findings if f.kind == "harmless"]
    remarks = [f for f in report.findings if f.kind == "remark"]
    if fine and (report.verdict in {"healthy", "inconclusive"} or pedantic):
        page.head("Checked and fine")
        for f in fine if pedantic else fine[:6]:
            page.prose(f"{f.because or f.title} {_lines(f)}", "    ", "  \u2713 ")
    if harmless and (report.verdict in {"healthy", "inconclusive"} or pedantic):
        page.head("Noticed, and no hindrance to mail")
        for f in harmless if pedantic else harmless[:6]:
            page.prose(f"{f.because or f.title} {_lines(f)}", "    ", "  - ")
    if remarks:
        page.head("Remarks")
        for f in remarks if pedantic else remarks[:6]:
            page.prose(f"{f.because or f.title} {_lines(f)}", "    ", "  - ")
    if pedantic and report.open:
        page.head("Could not be seen")
        for o in report.open:
            page.add(visible(f"  ? {o.rule}: {o.lacks}"))


def _lines(f: Any) -> str:
    numbers = [str(e.line) for e in f.evidence[:4]]
    return f"(line {', '.join(numbers)})" if numbers else ""


def _coverage(report: Report, page: _Page) -> None:
    c = report.coverage
    page.add()
    formats = ", ".join(f"{n} {name}" for name, n in c.formats.items()) or "no known format"
    formats += f", {c.prose} of a person's words" if c.prose else ""
    missed = (
        f"; not recognised: line {', '.join(map(str, c.unrecognised[:8]))}{' ...' if len(c.unrecognised) > 8 else ''}"
        if c.unrecognised
        else ""
    )
    page.prose(
        page.paint(f"{c.lines} lines: {formats}{missed}", "dim") if not c.unrecognised else f"{c.lines} lines: {formats}{missed}", "  "
    )
    for note in (*c.notes, *c.errors, *(f"adjusted: {a}" for a in report.adjusted)):
        page.prose(f"note: {note}", "  ")
