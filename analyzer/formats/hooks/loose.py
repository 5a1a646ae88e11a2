"""Quoted replies are looked for in prose only: no line belongs to this format of its own accord."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Line


def weight(_line: Line, _fmt: Format) -> float:
    """Nothing: see `analyzer.parse`."""
    return 0.0
