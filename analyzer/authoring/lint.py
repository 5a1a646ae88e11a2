"""What is wrong with rules beyond their schema: one small function for each check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.model import rule as m
from analyzer.model.place import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.model.rule import Rule, RuleBook


def lint(book: RuleBook) -> list[Mistake]:
    """Every mistake that `CHECKS` find."""
    return [mistake for check in CHECKS for mistake in check(book)]


def _at(rule: Rule, message: str) -> Mistake:
    return Mistake(rule.path, rule.line, 1, f"{rule.rule}: {message}")


def yes_and_no(book: RuleBook) -> Iterator[Mistake]:
    """A rule proves itself on one example that holds and one that does not."""
    for rule in book.rules:
        if rule.dialect is not None:
            if not rule.examples:
                yield _at(rule, "a pattern needs an example: the reply as the server sends it")
            continue
        for answer in ("yes", "no"):
            if not any(e.answer == answer for e in rule.examples):
                yield _at(rule, f"has no example `{answer}`")


def faults_reachable(book: RuleBook) -> Iterator[Mistake]:
    """A fault that no rule suggests can never be the answer."""
    said = {f for r in book.rules for f in r.suggests}
    for fault in book.faults.values():
        if fault.fault not in said:
            yield Mistake(f"rules/faults/{fault.area}.yaml", 1, 1, f"no rule suggests `{fault.fault}`")


def file_is_id(book: RuleBook) -> Iterator[Mistake]:
    """One rule a file, and the file's name is its id."""
    for rule in book.rules:
        if rule.dialect is None and rule.path.startswith("rules/") and not rule.path.endswith(f"/{rule.rule}.yaml"):
            yield _at(rule, f"belongs into {rule.rule}.yaml")


def no_refines_cycle(book: RuleBook) -> Iterator[Mistake]:
    """Rules that refine each other would both vanish."""
    above = {r.rule: r.refines for r in book.rules if r.refines}
    for rule in book.rules:
        seen, todo = set(), list(rule.refines)
        while todo:
            name = todo.pop()
            if name == rule.rule:
                yield _at(rule, "refines itself in a circle")
                break
            if name not in seen:
                seen.add(name)
                todo += above.get(name, ())


def says_something(book: RuleBook) -> Iterator[Mistake]:
    """A rule that neither speaks for or against a fault, nor establishes or excuses anything, may only be a remark."""
    for rule in book.rules:
        if rule.raises and not rule.suggests:
            yield _at(rule, "raises a problem without suggesting what may cause it")
        if rule.establishes and rule.suggests:
            yield _at(rule, "cannot establish that something works and suggest a fault at once")


def literal_enough(book: RuleBook) -> Iterator[Mistake]:
    """A literal shorter than three characters matches by chance."""
    for rule in book.rules:
        for word in rule.literals:
            if len(word) < 3:
                yield _at(rule, f"`{word}` is too short a literal")


_VARIABLE = re.compile(r"\{\{\s*([a-z_][a-z0-9_]*)")


def variables_bound(book: RuleBook) -> Iterator[Mistake]:
    """A variable used only once compares nothing and names nothing."""
    for rule in book.rules:
        used: list[str] = []
        _variables(rule.when, used)
        for join in (*rule.with_, *rule.unless):
            _variables(join.when, used)
        words = set(_VARIABLE.findall(rule.because + rule.title + (rule.raises or "")))
        for name in sorted(set(used)):
            if used.count(name) == 1 and name not in words:
                yield _at(rule, f"${name} is used only once")


def _variables(condition: m.AnyMatcher, found: list[str]) -> None:
    match condition:
        case m.Var(name=name):
            found.append(name)
        case m.Fields(fields=fields):
            for _, inner in fields:
                _variables(inner, found)
        case m.Not(inner=inner):
            _variables(inner, found)
        case m.OneOf(of=of) | m.Steps(steps=of):
            for inner in of:
                _variables(inner, found)
        case _:
            pass


CHECKS: tuple[Callable[[RuleBook], Iterator[Mistake]], ...] = (
    yes_and_no,
    faults_reachable,
    file_is_id,
    no_refines_cycle,
    says_something,
    literal_enough,
    variables_bound,
)
