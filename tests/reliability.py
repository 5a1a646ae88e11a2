"""How far a certainty can be believed: of the answers given with it, how many are right.  Writes docs/reliability.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.labelled import labelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
EDGES = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01)


@dataclass(frozen=True)
class Answer:
    """The first diagnosis of a sample."""

    sample: str
    certainty: float
    right: bool


@dataclass(frozen=True)
class Band:
    """The answers whose certainty lies from *low* up to *high*."""

    low: float
    high: float
    answers: tuple[Answer, ...]

    @property
    def mean(self) -> float:
        return sum(a.certainty for a in self.answers) / len(self.answers)

    @property
    def share_right(self) -> float:
        return sum(a.right for a in self.answers) / len(self.answers)


def answers() -> Iterator[Answer]:
    """The first diagnosis of each labelled sample that got one."""
    for sample in labelled():
        told = sample.report.diagnoses
        if told:
            yield Answer(sample.name, told[0].certainty, told[0].fault in (sample.wanted.get("faults") or ()))


def bands(given: Iterable[Answer]) -> list[Band]:
    found = list(given)
    made = [Band(low, high, tuple(a for a in found if low <= a.certainty < high)) for low, high in zip(EDGES, EDGES[1:], strict=False)]
    return [b for b in made if b.answers]


def page(made: Iterable[Band]) -> Iterator[str]:
    yield "# How far a certainty can be believed"
    yield ""
    yield "Of the first diagnoses that were given with a certainty, how many were right: over all labelled captures below `samples/`,"
    yield "written by `python -m tests.reliability`. The rules were mended with the help of these captures, so a capture that nobody"
    yield "has seen yet will fare somewhat worse. A right share above the certainty means that the tool is too modest, one below it too bold."
    yield ""
    yield "| certainty | answers | mean certainty | right |"
    yield "| --- | --- | --- | --- |"
    for band in made:
        yield f"| {band.low:.2f} to {min(band.high, 1.0):.2f} | {len(band.answers)} | {band.mean:.2f} | {band.share_right:.2f} |"


if __name__ == "__main__":
    PAGE.write_text("\n".join(page(bands(answers()))) + "\n", encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
