"""The report as one self-contained HTML file: no request leaves it, nothing in it runs but the copy buttons."""

from __future__ import annotations

import base64
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from analyzer.model.moment import between
from analyzer.read import read
from analyzer.render.safe import visible_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.capture import Source
    from analyzer.model.report import Report, Step

_AROUND = 8  # lines shown around a cited one
_MOST_LINES = 400
_LONGEST_ROW = 2000
GLYPHS = {"faulty": "\u2717", "healthy": "\u2713", "inconclusive": "?", "unrecognised": "?"}
WHO = {
    "sender": "the sending side",
    "receiver": "whoever runs the receiving server",
    "dns": "whoever runs the DNS zone",
    "network": "the network or its provider",
    "user": "the person or program that submits the mail",
    "local": "whoever runs this mail server",
    "nobody": "nobody",
}


def render(report: Report, *, sources: Sequence[Source] = (), served: bool = False, **_options: Any) -> str:
    """*report* as HTML; *sources* are shown around the cited lines.  A page that is *served* takes the next capture, too."""
    return page(
        "report.html.jinja",
        report=report,
        captures=[_capture(s, report) for s in sources],
        digests=[(s.name, sha256(s.data).hexdigest()) for s in sources],
        ladder=ladder(report),
        so_far=[_untouched(s.data) for s in sources] if served else None,
    )


def _untouched(data: bytes) -> Any:
    """A capture for the form that sends it back, as it is but escaped; the first line end is the form's own."""
    from markupsafe import escape

    return escape("\n" + data.decode("utf-8", "replace"))


def page(template: str, **values: Any) -> str:
    """A template of `templates/` with its style, its script and a policy that allows these two and nothing else."""
    import jinja2

    folder = files("analyzer.render") / "templates"
    style = (folder / "style.css").read_text(encoding="utf-8")
    script = (folder / "copy.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        finalize=lambda v: visible_block(v) if type(v) is str else v,
    )
    environment.filters["code"] = _code
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    from markupsafe import Markup

    return environment.get_template(template).render(
        style=Markup(style), script=Markup(script), policy=policy, glyphs=GLYPHS, who=WHO, **values
    )


def head(title: str, style: str = "") -> str:
    """What a page without scripts begins with, up to its main part: the same style, more of one's own, and a policy for both."""
    from markupsafe import escape

    style = (files("analyzer.render") / "templates" / "style.css").read_text(encoding="utf-8") + style
    policy = f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(visible_block(title))}</title><style>{style}</style></head><body><main>"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()


def _code(text: str) -> Any:
    """Backticks as <code>; everything else escaped."""
    from markupsafe import Markup, escape

    parts = visible_block(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 and i < len(parts) - 1 else escape(part if not i % 2 else "`" + part)
        for i, part in enumerate(parts)
    )


def _capture(source: Source, report: Report) -> dict[str, Any]:
    """The lines of *source* around those that are cited, with the notes that belong to them."""
    capture = read(source)
    notes: dict[int, list[tuple[str, str]]] = {}
    marked: dict[int, str] = {}
    for d in report.diagnoses[:3]:
        for e in d.evidence:
            if e.length and e.source == source.name:
                marked.setdefault(e.line, e.text[e.column : e.column + e.length])
            if e.source == source.name and (e.note, e.role) not in notes.setdefault(e.line, []):
                notes[e.line].append((e.note or d.title, e.role))
    for f in report.findings:
        if f.kind in {"established", "remark", "harmless"}:
            for e in f.evidence[:2]:
                if e.source == source.name:
                    notes.setdefault(e.line, []).append((f.title, f.kind))
    before: set[str] = set()
    wanted = {n for cited in notes for n in range(cited - _AROUND, cited + _AROUND + 1)}
    everything = len(capture.lines) <= 60
    rows: list[dict[str, Any]] = []
    skipped = 0
    for line in capture.lines:
        if not everything and line.number not in wanted:
            skipped += 1
            continue
        if len(rows) >= _MOST_LINES:
            skipped += 1
            continue
        if skipped:
            rows.append({"skipped": skipped})
            skipped = 0
        mine = notes.get(line.number, [])[:4]
        said = [note for note, _ in mine if note not in before]  # once, where its lines begin
        before.update(said)
        text = line.raw.rstrip("\r\n")[:_LONGEST_ROW]
        rows.append({"number": line.number, "text": text, "parts": _parts(text, marked.get(line.number)), "notes": mine, "said": said})
    if skipped:
        rows.append({"skipped": skipped})
    return {"name": source.name, "rows": rows}


def _parts(text: str, words: str | None) -> tuple[str, str, str] | None:
    """*text* before, in and after the *words* that matter."""
    before, found, after = text.partition(words) if words else (text, "", "")
    return (before, found, after) if found else None


# ---- the ladder --------------------------------------------------------------------------------------------------------
_GAP = 5  # seconds
_ROW, _LEFT, _RIGHT, _WIDTH = 30, 90, 630, 720


def ladder(report: Report) -> dict[str, Any] | None:
    """Coordinates of a sequence diagram; the list beside it says the same."""
    if not report.ladder:
        return None
    rows = []
    waits = _waits(report.ladder)
    for index, step in enumerate(report.ladder):
        y = 58 + index * _ROW
        right = step.frm != "server"
        rows.append(
            {
                "y": y,
                "x1": _LEFT if right else _RIGHT,
                "x2": (_RIGHT - 8) if right else (_LEFT + 8),
                "head": _RIGHT if right else _LEFT,
                "right": right,
                "text": step.text[:78] + ("\u2026" if len(step.text) > 78 else ""),
                "wait": waits[index],
                "line": step.line,
                "colour": {"failed": "#c62828", "ok": "#2e7d32"}.get(step.mark, "#607080"),
                "glyph": {"failed": "\u2717 ", "ok": ""}.get(step.mark, ""),
                "own": step.frm == "mta",
            }
        )
    return {
        "rows": rows,
        "height": 58 + len(rows) * _ROW + 10,
        "width": _WIDTH,
        "left": _LEFT,
        "right": _RIGHT,
        "ends": ("this MTA", "next hop") if report.ladder[0].frm == "mta" or report.ladder[0].time else ("client", "server"),
    }


def _waits(steps: Sequence[Step]) -> list[str]:
    """How long nothing was heard before each step, where that was five seconds and more."""
    found = []
    before: str | None = None
    for step in steps:
        seconds = between(before, step.time) or 0
        found.append(_long(seconds) if seconds >= _GAP else "")
        before = step.time or before
    return found


def _long(seconds: float) -> str:
    """A duration in words: 5 s, 3 min, 2 h, 4 d."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
