"""A batch report as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from analyzer.model.batch import BatchReport


def json_of(report: BatchReport) -> str:
    """The report, indented; the same report gives the same text."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"
