"""Each sample: its verdict, its faults, its facts, every line accounted for."""

from __future__ import annotations

import pytest

from tests.labelled import Labelled, labelled

CONFIDENT = 0.7
LEAST_READ = 0.995  # of the lines of each sample; what no reader could make out, its expected file names (`unread`)
MOST_WORDS = 0.002  # of the lines of all samples may be taken for a person's words: a line not understood is none
ALL = labelled()


@pytest.mark.parametrize("sample", ALL, ids=lambda s: s.name)
def test_sample(sample: Labelled) -> None:
    wanted, report = sample.wanted, sample.report
    told = [(d.fault, d.certainty) for d in report.diagnoses]
    accounted = report.coverage.recognised + sum(len(n) for n in report.coverage.by_source.values())
    assert accounted == report.coverage.lines
    assert not report.coverage.errors
    unread = set(report.coverage.unrecognised) - set(wanted.get("unread", ()))
    assert len(unread) <= (1 - LEAST_READ) * report.coverage.lines, sorted(unread)
    assert set(wanted.get("unread", ())) <= set(report.coverage.unrecognised), "a line said to be unreadable is read"
    if wanted.get("wrong"):
        # A debt: what is said here is wrong, and known to be. Mending it fails this line, which then goes.
        assert told[0][0] == wanted["wrong"], told
        return
    if wanted.get("todo"):
        # A known miss: it may be unsure, never surely wrong.
        assert not told or told[0][1] < CONFIDENT or told[0][0] in wanted["faults"], told
        return
    assert report.verdict == wanted["verdict"], (told, report.headline)
    if wanted["verdict"] == "healthy" or not wanted["faults"]:
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


def test_hardly_a_line_is_taken_for_somebody_s_words() -> None:
    lines = sum(sample.report.coverage.lines for sample in ALL)
    assert sum(sample.report.coverage.prose for sample in ALL) <= MOST_WORDS * lines


def test_there_are_samples_enough() -> None:
    assert len(ALL) >= 40
    assert sum(sample.wanted["verdict"] == "healthy" for sample in ALL) >= 10
