"""The labelled samples, each diagnosed once for all tests that look at the answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from analyzer.diagnose import case_of
from analyzer.formats.load import load_formats
from analyzer.infer import infer
from analyzer.model.capture import Source
from analyzer.rulebook import load_rules

if TYPE_CHECKING:
    from analyzer.model.case import Case
    from analyzer.model.report import Report

SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True)
class Labelled:
    """A capture and what is known about it."""

    expected: Path

    @property
    def name(self) -> str:
        return str(self.expected.relative_to(SAMPLES)).removesuffix(".expected.yaml")

    @property
    def wanted(self) -> dict[str, Any]:
        return yaml.safe_load(self.expected.read_text(encoding="utf-8"))

    @property
    def capture(self) -> Path:
        stem = self.expected.name.removesuffix(".expected.yaml")
        found = [
            p for p in self.expected.parent.glob(f"{stem}.*") if p.name != self.expected.name and p.name.count(".") == stem.count(".") + 1
        ]
        assert len(found) == 1, f"{self.expected}: {len(found)} captures"
        return found[0]

    @property
    def report(self) -> Report:
        return _report(self.capture)


def labelled() -> list[Labelled]:
    return [Labelled(p) for p in sorted(SAMPLES.rglob("*.expected.yaml"))]


@cache
def case_in(path: Path) -> Case:
    return case_of([Source(path.name, path.read_bytes())], load_rules(), load_formats())


@cache
def formats_in(path: Path) -> frozenset[str]:
    """The formats that read a line of that capture."""
    return frozenset(event.format for event in case_in(path).events)


@cache
def _report(path: Path) -> Report:
    return infer(case_in(path), load_rules())
