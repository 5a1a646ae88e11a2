"""Reasons: a case and the rules make a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.infer.engine import judge

if TYPE_CHECKING:
    from analyzer.model.case import Case
    from analyzer.model.report import Report
    from analyzer.model.rule import RuleBook


def infer(case: Case, book: RuleBook, view: str | None = None, *, events: bool = False) -> Report:
    """What *case* means under *book*.  *view* overrides on whose side the reader is; *events* adds them to the report."""
    from analyzer.infer.report import report_of  # `batch` judges, and has a report of its own

    return report_of(judge(case, book), book, view, events=events)
