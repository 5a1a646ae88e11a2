"""Rules: every example of every rule, the lint, and that lint and loader say where a mistake is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.authoring.examples import run_examples
from analyzer.authoring.lint import lint
from analyzer.rulebook import compile_rules, rule_texts

if TYPE_CHECKING:
    from analyzer.model.rule import RuleBook


def test_every_example_holds(book: RuleBook) -> None:
    failures, done = run_examples(book)
    assert not failures, "\n".join(map(str, failures[:40]))
    assert done > 240


def test_there_are_rules_enough(book: RuleBook) -> None:
    assert len(book.rules) >= 120


def test_lint_finds_nothing(book: RuleBook) -> None:
    assert [str(m) for m in lint(book)] == []


LASTING = """- fault: slow
  title: Slow
  kind: cause
  severity: low
  fixed_by: nobody
  summary: It is slow.
  lasting: {{{}}}
  steps: [Wait.]
"""
GOOD = """\
rule: acme-x
title: X
about: problem
when: {kind: hang-up}
suggests: {greylisted: 0.5}
examples:
  - {yes: a}
  - {no: b}
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("kind:", "knid:"), "x.yaml:4:8: a problem has no field `knid`; did you mean `kind`?"),
        (GOOD.replace("suggests", "sugests"), "x.yaml:5:1: unknown key `sugests`; did you mean `suggests`?"),
        (GOOD.replace("greylisted", "graylisted"), "x.yaml:5:12: no fault `graylisted`; did you mean `greylisted`?"),
        (GOOD.replace("0.5", "1.5"), "x.yaml:5:12: a share is a number above 0 and at most 0.97, not `1.5`"),
        (GOOD.replace("0.5", "lots"), "x.yaml:5:12: a share is a number above 0 and at most 0.97, not `lots`"),
        (GOOD.replace("hang-up}", "{matches: '(?=a)b'}}"), "not an RE2 expression"),
        (GOOD.replace("about: problem", "about: dialog"), "x.yaml:3:1: no thing `dialog`; did you mean `dialogue`?"),
        (GOOD + "names: {sever: of}\n", "no text of a fault uses the name 'sever'; did you mean `server`?"),
        (GOOD + "names: {server: '{{ of }}'}\n", "a name stands for a value of the finding"),
        ("rule: [", "x.yaml:"),
        (LASTING.format("hours: 6, fixed_by: reciever"), "x.yaml:7:23: `reciever` is none of"),
        (LASTING.format("hours: 6, severty: low"), "unknown key `severty`; did you mean `severity`?"),
        (LASTING.format("hours: long"), "`hours` wants a number"),
        (GOOD + "refines: closed-wihtout-a-reason\n", "refines `closed-wihtout-a-reason`, which is no rule"),
    ],
)
def test_a_mistake_names_its_place(text: str, says: str) -> None:
    _, mistakes = compile_rules([*rule_texts(), ("x.yaml", text)])
    assert any(says in str(m) for m in mistakes), [str(m) for m in mistakes]


def test_a_good_rule_has_no_mistake() -> None:
    _, mistakes = compile_rules([*rule_texts(), ("x.yaml", GOOD)])
    assert mistakes == []
