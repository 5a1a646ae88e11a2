"""The whole program on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.assemble import assemble
from analyzer.infer import infer
from analyzer.parse import parse
from analyzer.read import read
from analyzer.rejoin import rejoined
from analyzer.segment import segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Source
    from analyzer.model.case import Case
    from analyzer.model.report import Report
    from analyzer.model.rule import RuleBook


def diagnose(sources: Iterable[Source], book: RuleBook, formats: Formats, view: str | None = None, *, events: bool = False) -> Report:
    """One case from everything pasted or named, as a report.  Never raises on bad *input*."""
    return infer(case_of(sources, book, formats), book, view, events=events)


def case_of(sources: Iterable[Source], book: RuleBook, formats: Formats) -> Case:
    """Everything pasted or named, as a case."""
    captures = [rejoined(read(source, i), formats) for i, source in enumerate(sources)]  # bytes   -> Capture
    segments = [s for c in captures for s in segment(c, formats)]  # Capture -> Segment
    parsed = [parse(s, formats) for s in segments]  # Segment -> Parsed
    return assemble(captures, parsed, formats, book.providers)  # Events  -> Case
