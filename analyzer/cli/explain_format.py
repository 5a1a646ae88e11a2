"""Which format each line was taken for, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.read import read
from analyzer.render.safe import visible
from analyzer.segment import segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Source


def explain(sources: Sequence[Source], formats: Formats) -> str:
    """One line for each line: number, format, how it was read, the text."""
    out = []
    for index, source in enumerate(sources):
        rows = []
        for s in segment(read(source, index), formats):
            for line in s.lines:
                alias = formats[s.format].alias_of(line.body) if s.format else None
                rows.append((line.number, s.format or "prose", alias or ("-" if line.text.strip() else ""), line.text))
        out.append(source.name)
        out += [f"{n:>6} {name:<18} {alias:<18} {visible(text)[:120]}" for n, name, alias, text in sorted(rows)]
    return "\n".join(out)
