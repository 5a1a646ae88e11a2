"""Which rules the samples exercise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.diagnose import case_of
from analyzer.formats.load import load_formats
from analyzer.infer.engine import judge
from analyzer.model.capture import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.rule import RuleBook


def coverage(book: RuleBook, paths: Sequence[str]) -> str:
    """Lines recognised, and rules that no capture exercised, over the files below *paths* (default: samples/)."""
    files = [
        f
        for p in (paths or ["samples"])
        for f in ([Path(p)] if Path(p).is_file() else sorted(Path(p).rglob("*")))
        if f.suffix in {".txt", ".log", ".eml"}
    ]
    fired: dict[str, int] = {}
    lines = missed = 0
    for file in files:
        case = case_of([Source(str(file), file.read_bytes())], book, load_formats())
        lines += sum(len(c.lines) for c in case.captures)
        missed += sum(len(p.unrecognised) for p in case.parsed if p.segment.format)
        for outcome in judge(case, book).outcomes:
            fired[outcome.rule.rule] = fired.get(outcome.rule.rule, 0) + 1
    silent = [r.rule for r in book.rules if r.rule not in fired]
    share = 100 * (lines - missed) / lines if lines else 0.0
    return "\n".join(
        [
            f"{len(files)} files, {lines} lines, {share:.2f} % of the lines recognised",
            f"{len(fired)} of {len(book.rules)} rules exercised; never:",
            *(f"  {name}" for name in silent),
        ]
    )
