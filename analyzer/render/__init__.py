"""Report -> text.  Nothing here decides anything."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.capture import Source
    from analyzer.model.report import Report

FORMATS = ("text", "html", "markdown", "json")


def render(
    report: Report,
    to: str,
    *,
    sources: Sequence[Source] = (),
    colour: bool = False,
    width: int | None = None,
    explain: bool = False,
    pedantic: bool = False,
    served: bool = False,
) -> str:
    """*report* as *to*, one of `FORMATS`.  *sources* are the user's own bytes, for annotated captures; *served* pages take more."""
    module = import_module(f"analyzer.render.{to}")
    text: str = module.render(report, sources=sources, colour=colour, width=width, explain=explain, pedantic=pedantic, served=served)
    return text
