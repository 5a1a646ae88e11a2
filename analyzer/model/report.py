"""What mailwhy answers: the JSON contract, version 1."""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 1
SURE = 0.7  # from here on a fault is told as a fact


class Evidence(msgspec.Struct, frozen=True):
    """A cited line.  *note* says what it shows, *role* is primary or related.

    *column* (from 0, in characters of *text*) and *length* mark the words that matter; a length of 0 means the whole line.
    """

    source: str
    line: int
    text: str
    note: str | None = None
    role: str = "primary"
    column: int = 0
    length: int = 0


class Finding(msgspec.Struct, frozen=True):
    """A fact that a rule found, with its lines."""

    rule: str
    title: str
    evidence: tuple[Evidence, ...]
    because: str = ""
    kind: str = "remark"  # remark | evidence | established | harmless
    about: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """A fault that the case speaks for.  *certainty* is the share of belief, 0 to 1."""

    fault: str
    certainty: float
    word: str  # certain, likely, probable, possible
    title: str
    severity: str
    fixed_by: str
    summary: str
    findings: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    steps: tuple[str, ...]
    verify: str = ""
    message: str | None = None
    kind: str = "cause"
    refs: tuple[str, ...] = ()
    explains: str = ""  # what failed: the problem that the fault is the cause of
    count: int = 1  # how often that was seen
    since: str | None = None  # when it was first seen, as captured

    @property
    def account(self) -> str:
        """The summary, as a supposition where it is one."""
        return self.summary if self.certainty >= SURE else f"If so: {self.summary}"


class Cause(msgspec.Struct, frozen=True, rename={"for_": "for"}):
    fault: str
    share: float
    for_: tuple[str, ...]
    against: tuple[str, ...]


class ProblemReport(msgspec.Struct, frozen=True):
    """What wanted explaining, with the shares of its rival causes; *rest* is "something else"."""

    what: str
    lines: tuple[int, ...]
    causes: tuple[Cause, ...]
    rest: float
    conflict: float
    kind: str = ""
    source: str = ""
    count: int = 1
    resolved: bool = False
    harmless: bool = False


class NextCapture(msgspec.Struct, frozen=True):
    """What to capture next: the command, where to run it, what its answers would mean."""

    capture: str
    where: str
    tells: str
    decides: tuple[str, ...]
    name: str = ""
    score: float = 0.0


class OpenRule(msgspec.Struct, frozen=True):
    """A rule that could not be answered, and what it lacks."""

    rule: str
    lacks: str
    capture: str | None = None


class Step(msgspec.Struct, frozen=True):
    """One step of the ladder: who spoke (*frm*: client, server, mta), what, on which line; *mark*: ok, failed, none."""

    frm: str
    text: str
    line: int
    source: str = ""
    mark: str = "none"
    time: str | None = None


class Coverage(msgspec.Struct, frozen=True):
    """How many lines were read; *unrecognised* by number, in the first source (all: *by_source*).

    *prose* lines are a person's words beside the capture; they are counted as recognised.
    """

    lines: int
    recognised: int
    unrecognised: tuple[int, ...]
    prose: int = 0
    formats: dict[str, int] = {}
    by_source: dict[str, tuple[int, ...]] = {}
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """One case, answered."""

    version: int
    verdict: str  # faulty | healthy | inconclusive | unrecognised
    headline: str
    diagnoses: tuple[Diagnosis, ...]
    problems: tuple[ProblemReport, ...]
    next: tuple[NextCapture, ...]
    open: tuple[OpenRule, ...]
    findings: tuple[Finding, ...]
    facts: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    coverage: Coverage
    sources: tuple[str, ...] = ()
    ladder: tuple[Step, ...] = ()
    view: str | None = None
    adjusted: tuple[str, ...] = ()
    rules_version: str = ""
    mailwhy: str = ""


EXIT_STATUS = {"healthy": 0, "faulty": 1, "inconclusive": 3, "unrecognised": 3}
WORDS = ((0.95, "certain"), (0.7, "likely"), (0.5, "probable"), (0.2, "possible"), (0.0, "unlikely"))


def word_of(certainty: float) -> str:
    """The fixed word for a certainty."""
    return next(word for least, word in WORDS if certainty >= least)
