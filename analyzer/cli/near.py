"""An unknown format is a good answer, too: which known formats come near, and how to hand in a sample."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.formats.envelope import enveloped
from analyzer.read import read
from analyzer.render.safe import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Source

_MOST_LINES, _MOST_SAMPLES, _MOST_NEAR = 5, 60, 3
_LEAST = 0.5  # likeness below which a format is not near at all
_LONGEST = 160
_DIGITS, _WORDS = re.compile(r"[0-9]+"), re.compile(r"[A-Za-z]{2,}")


def advice(sources: Sequence[Source], formats: Formats) -> Iterator[str]:
    """What to say of *sources* of which nothing was recognised."""
    found = near(sources, formats)
    if found:
        yield "What comes nearest, and the line that it would have wanted:"
        for name, number, sample in found:
            yield f"  {name}: for line {number} something like  {visible(sample)}"
    yield "If this is a mail capture, please hand in a sample with pseudonyms: mailwhy --redacted-capture FILE"
    yield "(read it before you send it; docs/adding-a-format.md shows how a format is added)."


def near(sources: Sequence[Source], formats: Formats) -> list[tuple[str, int, str]]:
    """The formats with a sample line most like one of the first lines: name, line number, that sample; best first."""
    lines = [enveloped(line, formats) for source in sources for line in read(source).lines if line.text.strip()][:_MOST_LINES]
    best: dict[str, tuple[float, int, str]] = {}
    for line in lines:
        shape = _shape(line.body)
        matcher = SequenceMatcher(b=shape, autojunk=False)
        for fmt in formats.all.values():
            for sample in fmt.header.samples[:_MOST_SAMPLES]:
                matcher.set_seq1(_shape(sample))
                least = max(_LEAST, best.get(fmt.name, (0.0,))[0])
                if matcher.real_quick_ratio() > least and matcher.quick_ratio() > least and (likeness := matcher.ratio()) > least:
                    best[fmt.name] = (likeness, line.number, sample)
    ranked = sorted(best.items(), key=lambda item: -item[1][0])[:_MOST_NEAR]
    return [(name, number, sample) for name, (_, number, sample) in ranked]


def _shape(text: str) -> str:
    """*text* without what differs from one message to the next."""
    return _DIGITS.sub("0", text[:_LONGEST]) if not text.isalpha() else _WORDS.sub("a", text[:_LONGEST])
