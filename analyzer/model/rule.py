"""Knowledge, loaded: rules, faults, captures, reference data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Matcher(msgspec.Struct, frozen=True, tag_field="op"):
    """A test of one value."""


class Equals(Matcher, frozen=True, tag="equals"):
    value: str | int | float | bool


class OneOf(Matcher, frozen=True, tag="one_of"):
    of: tuple[AnyMatcher, ...]


class Not(Matcher, frozen=True, tag="not"):
    inner: AnyMatcher


class Text(Matcher, frozen=True, tag="text"):
    """*how*: has, starts, ends; *value* in lower case."""

    how: str
    value: str


class Texts(msgspec.Struct, frozen=True, array_like=True):
    """Texts in lower case: of each of *of* one stands there, or all that one of them asks for in its turn."""

    of: tuple[tuple[str | Texts, ...], ...] = ()

    def stand_in(self, text: str) -> bool:
        """Whether they do in *text*, which is in lower case."""
        for alternatives in self.of:
            for wanted in alternatives:
                if wanted in text if isinstance(wanted, str) else wanted.stand_in(text):
                    break
            else:
                return False
        return True


class Matches(Matcher, frozen=True, tag="matches"):
    """An RE2 expression, in any case; *texts* stand in all that it matches."""

    pattern: str
    texts: Texts = Texts()


class Under(Matcher, frozen=True, tag="under"):
    """A domain name at or below one of *domains*."""

    domains: tuple[str, ...]


class In(Matcher, frozen=True, tag="in"):
    """An address inside one of *networks*."""

    networks: tuple[str, ...]


class Range(Matcher, frozen=True, tag="range"):
    least: float | None = None
    most: float | None = None
    over: float | None = None


class Known(Matcher, frozen=True, tag="known"):
    known: bool


class Var(Matcher, frozen=True, tag="var"):
    name: str


class Fields(Matcher, frozen=True, tag="fields"):
    """Conditions on the fields of a thing or of a group of fields: all must hold."""

    fields: tuple[tuple[str, AnyMatcher], ...]


class Steps(Matcher, frozen=True, tag="steps"):
    """Conditions on successive elements of the thing's story."""

    steps: tuple[AnyMatcher, ...]


class Count(Matcher, frozen=True, tag="count"):
    """Over *over* things alike in *by* (of the same kind as the thing), counted by *distinct*, within *within* seconds."""

    over: int
    by: tuple[str, ...] = ()
    within: float | None = None
    distinct: str | None = None
    where: AnyMatcher | None = None


class FindingOf(Matcher, frozen=True, tag="finding"):
    """Another rule's finding on the same thing."""

    rule: str


SPEAKS_FOR = "speaks for "  # among the findings on a problem: the fault that its reply speaks for before all others


class SpeaksFor(Matcher, frozen=True, tag="speaks_for"):
    """A dialect's reading of the same problem speaks for one of *faults* before all others."""

    faults: tuple[str, ...]


AnyMatcher = Equals | OneOf | Not | Text | Matches | Under | In | Range | Known | Var | Fields | Steps | Count | FindingOf | SpeaksFor


class Join(msgspec.Struct, frozen=True):
    """Another thing of the same case, under a name."""

    name: str
    thing: str
    when: Fields


class Example(msgspec.Struct, frozen=True):
    """*answer*: yes, no, unknown; *input*: a file below samples/, or the text itself."""

    answer: str
    input: str
    lines: tuple[int, ...] = ()
    why: str = ""
    todo: bool = False


class Step(msgspec.Struct, frozen=True):
    do: str
    for_: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """A condition on one thing that gives a finding."""

    rule: str
    title: str
    about: str
    when: Fields
    path: str = ""
    line: int = 0
    with_: tuple[Join, ...] = ()
    unless: tuple[Join, ...] = ()
    unless_when: Fields | None = None
    refines: tuple[str, ...] = ()
    suggests: dict[str, float] = {}
    against: dict[str, float] = {}
    raises: str | None = None
    names: dict[str, str] = {}  # what the names in the fault's texts stand for: {"domain": "mx.of"}
    establishes: str | None = None
    harmless: bool = False
    aside: bool = False  # the problem comes after those of the house's own mail
    because: str = ""
    asks: tuple[str, ...] = ()  # captures that would tell more of just this
    refs: tuple[str, ...] = ()
    status: str | None = None
    formerly: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    tier: int = -1  # dialects: 0 provider, 1 software, 2 common, 3 code; -1: no dialect
    order: int = 0  # dialects: place in the file
    dialect: str | None = None
    literals: tuple[str, ...] = ()  # dialects: one of these stands in the text (lower case)
    wordless: bool = False  # dialects: the words say nothing of their own, the codes decide
    steps: tuple[Step, ...] = ()  # dialects: what this provider itself asks to be done


class Fault(msgspec.Struct, frozen=True):
    """What can be wrong."""

    fault: str
    title: str
    kind: str
    severity: str
    fixed_by: str
    summary: str
    steps: tuple[Step, ...]
    verify: str = ""
    message: str | None = None
    refs: tuple[str, ...] = ()
    area: str = ""
    after: float = 0.0  # hours after which it is told as `later`
    later: Fault | None = None


class CaptureHint(msgspec.Struct, frozen=True):
    """A command that yields a kind of evidence."""

    capture: str
    yields: dict[str, dict[str, Any]]
    ask: str
    where: str
    tells: str
    refs: tuple[str, ...] = ()


class Adjustment(msgspec.Struct, frozen=True):
    """The user's change to one of our rules."""

    rule: str
    reason: str
    since: str
    off: bool = False
    path: str = ""


class Guard(msgspec.Struct, frozen=True, array_like=True):
    """A test that fails only where a rule's answer is no; where nobody asks whether it is unknown, only where it is not yes.

    *how*: the value of *field* is one of *values* (in lower case), has one of them in it, is known, is shown; the thing has one
    of the findings *values* (`finding`); the case has a thing of the kind *field* (`beside`); one of the sets *of* holds (`any`).
    """

    field: str
    how: str
    values: tuple[str, ...] = ()
    of: tuple[tuple[Guard, ...], ...] = ()


class Index(msgspec.Struct, frozen=True, array_like=True):
    """Which rules, by number, can hold of a thing: see `analyzer.rulebook.index`."""

    plain: Mapping[str, tuple[tuple[int, tuple[Guard, ...]], ...]]  # by thing and its kind, those that use findings after those they use
    guards: Mapping[int, tuple[Guard, ...]]  # of dialects
    grams: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]]  # dialects: three letters -> fixed texts that hold them, and their rules
    values: dict[str, dict[str, tuple[int, ...]]]  # dialects without such a text: field -> value in lower case -> rules
    silent: tuple[int, ...]  # dialects: the others


class RuleBook(msgspec.Struct, frozen=True):
    """All knowledge in force."""

    rules: Sequence[Rule]
    faults: Mapping[str, Fault]
    index: Index
    captures: Sequence[CaptureHint] = ()
    providers: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (provider, host name suffixes)
    adjusted: Sequence[Adjustment] = ()
    version: str = ""

    def rule(self, name: str) -> Rule | None:
        """The rule of that id, its former ids included."""
        return next((r for r in self.rules if r.rule == name or name in r.formerly), None)
