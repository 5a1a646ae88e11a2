"""The report for programs: JSON, version 1 (its schema is docs/generated/report.schema.json)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from analyzer.model.report import Report


def render(report: Report, **_options: Any) -> str:
    """*report* as JSON, two blanks a level."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the report."""
    from analyzer.model.report import Report as Root

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mailwhy report, version 1", **msgspec.json.schema(Root)}
