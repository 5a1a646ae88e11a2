"""Each sample: its verdict, its faults, its facts, every line accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

SAMPLES = Path(__file__).parent.parent / "samples"
CONFIDENT = 0.7


def expectations() -> list[Path]:
    return sorted(SAMPLES.rglob("*.expected.yaml"))


def capture_of(expected: Path) -> Path:
    stem = expected.name.removesuffix(".expected.yaml")
    found = [p for p in expected.parent.glob(f"{stem}.*") if p.name != expected.name and p.name.count(".") == stem.count(".") + 1]
    assert len(found) == 1, f"{expected}: {len(found)} captures"
    return found[0]


@pytest.mark.parametrize("expected", expectations(), ids=lambda p: str(p.relative_to(SAMPLES)).removesuffix(".expected.yaml"))
def test_sample(expected: Path, book: RuleBook, formats: Formats) -> None:
    wanted: dict[str, Any] = yaml.safe_load(expected.read_text(encoding="utf-8"))
    path = capture_of(expected)
    report = diagnose([Source(path.name, path.read_bytes())], book, formats)
    told = [(d.fault, d.certainty) for d in report.diagnoses]
    accounted = report.coverage.recognised + sum(len(n) for n in report.coverage.by_source.values())
    assert accounted == report.coverage.lines
    assert not report.coverage.errors
    if wanted.get("wrong"):
        # A debt: what is said here is wrong, and known to be. Mending it fails this line, which then goes.
        assert told[0][0] == wanted["wrong"], told
        return
    if wanted.get("todo"):
        # A known miss: it may be unsure, never surely wrong.
        assert not told or told[0][1] < CONFIDENT or told[0][0] in wanted["faults"], told
        return
    assert report.verdict == wanted["verdict"], (told, report.headline)
    if wanted["verdict"] == "healthy":
        assert not told
    else:
        # Where a capture speaks for several faults, each of them is a right answer.
        assert told, report.headline
        assert told[0][0] in wanted["faults"], told
    for fault in wanted.get("not", ()):
        assert fault not in [f for f, _ in told], told
    for name, value in (wanted.get("facts") or {}).items():
        # A capture need not show every fact of its scenario; what it is said to show must be right.
        shown = report.facts.get(name)
        assert shown is None or shown == value or (isinstance(value, list) and set(value) & set(shown)), (name, shown)


def test_there_are_samples_enough() -> None:
    healthy = [p for p in expectations() if "verdict: healthy" in p.read_text(encoding="utf-8")]
    assert len(expectations()) >= 40
    assert len(healthy) >= 10
