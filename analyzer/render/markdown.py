"""The report for a ticket: Markdown, at most 4 kB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.render.safe import visible

if TYPE_CHECKING:
    from analyzer.model.report import Diagnosis, Report

MOST_BYTES = 4096
_LONGEST = 200


def render(report: Report, **_options: Any) -> str:
    """*report* as Markdown: verdict, steps, message, next captures and the cited lines."""
    parts = [f"## {report.verdict.capitalize()}: {escape(report.headline)}", ""]
    if report.diagnoses:
        parts += _diagnosis(report.diagnoses[0])
    if report.next and not (report.diagnoses and report.diagnoses[0].certainty >= 0.95):
        parts += ["**Capture this next**", ""]
        for item in report.next[:2]:
            parts += [*_fenced([item.capture]), escape(item.where), ""]
    fine = [f for f in report.findings if f.kind == "established"]
    if report.verdict == "healthy":
        parts += [f"- {escape(f.because or f.title)}" for f in fine[:5]] + [""]
        noticed = [f for f in report.findings if f.kind == "harmless"]
        if noticed:
            parts += ["**Noticed, and no hindrance to mail**", "", *(f"- {escape(f.because or f.title)}" for f in noticed[:3]), ""]
    parts.append(f"_mailwhy {report.mailwhy}, rules {report.rules_version}; {report.coverage.lines} lines read_")
    return _bounded("\n".join(parts) + "\n")


def _diagnosis(d: Diagnosis) -> list[str]:
    lines = [f"{e.line} | {visible(e.text.strip())[:_LONGEST]}" for e in d.evidence[:5]]
    parts = [escape(d.account), "", *_fenced(lines)]
    parts += [f"{i}. {escape(step)}" for i, step in enumerate(d.steps, start=1)]
    if d.verify:
        parts += ["", f"Fixed when: {escape(d.verify)}"]
    if d.message:
        parts += ["", "**Send this to the other side**", "", *(f"> {escape(line)}" for line in d.message.splitlines())]
    return [*parts, ""]


def _fenced(lines: list[str]) -> list[str]:
    body = [visible(x) for line in lines for x in line.splitlines()]
    longest = max((len(run) for line in body for run in _runs(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *body, fence, ""] if body else []


def _runs(line: str) -> list[str]:
    import re

    return re.findall("`+", line)


def escape(text: str) -> str:
    """*text* as Markdown that says just that: code spans stay, everything else that would mark up is escaped."""
    out = []
    for index, part in enumerate(visible(" ".join(text.split())).split("`")):
        out.append(part if index % 2 else "".join("\\" + c if c in "\\*_[]<>#|!" else c for c in part))
    return "`".join(out)


def _bounded(text: str) -> str:
    data = text.encode()
    if len(data) <= MOST_BYTES:
        return text
    return data[: MOST_BYTES - 20].decode(errors="ignore").rsplit("\n", 1)[0] + "\n\n_(cut)_\n"
