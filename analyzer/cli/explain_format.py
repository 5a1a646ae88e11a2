"""Which format each line was taken for, how surely, and which came next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.read import read
from analyzer.rejoin import rejoined
from analyzer.render.safe import visible
from analyzer.segment import awake, prepared, score, segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Source


def explain(sources: Sequence[Source], formats: Formats) -> str:
    """One line for each line: number, format and its score, how it was read, the format that came next, the text.

    The score is 2 for a line that only its format writes, 0.8 for one that others write as well, and less than 0 for one that
    it cannot read; it is not known for lines that a format takes whole (messages), and prose has none.
    """
    out = []
    for index, source in enumerate(sources):
        capture = rejoined(read(source, index), formats)
        candidates = awake(prepared(capture, formats), formats)
        rows = []
        for s in segment(capture, formats):
            for line in s.lines:
                scores = sorted(((score(f, line), f.name) for f in candidates if line.text.strip()), reverse=True)
                mine = next((f"{n:.2f}" for n, name in scores if name == s.format and n > 0), "-")
                other = next((f"{name} {n:.2f}" for n, name in scores if name != s.format and n > 0), "")
                alias = formats[s.format].alias_of(line.body) if s.format else None
                rows.append((line.number, s.format or "prose", mine, alias or ("-" if line.text.strip() else ""), other, line.text))
        out.append(source.name)
        out += [
            f"{n:>6} {name:<16} {own:>5} {alias:<16} {other:<22} {visible(text)[:120]}" for n, name, own, alias, other, text in sorted(rows)
        ]
    return "\n".join(out)
