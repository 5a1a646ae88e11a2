"""Why a fault is not the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.infer.conditions import NO, YES
from analyzer.infer.engine import judge, try_rule
from analyzer.infer.explain import failing
from analyzer.model.case import THINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.model.case import Case
    from analyzer.model.rule import RuleBook

_MOST_THINGS = 20


def why_not(fault: str, case: Case, book: RuleBook) -> Iterator[str]:
    """A line for each rule that could suggest *fault*: the first condition that said no with its line, or what is unknown."""
    judged = judge(case, book)
    share = max((s for b in judged.beliefs for f, s in b.shares if f == fault), default=0.0)
    yield f"{fault}: share of belief {share:.2f}"
    for rule in book.rules:
        if fault not in rule.suggests or (rule.dialect is not None and rule.literals):
            continue
        things = getattr(judged.case, THINGS[rule.about][0])[:_MOST_THINGS]
        if not things:
            yield f"  unknown  {rule.rule}: the capture shows no {rule.about}"
            continue
        outcomes = [try_rule(rule, thing, rule.about, i, judged.case, {}) for i, thing in enumerate(things)]
        best = max(outcomes, key=lambda o: o.answer)
        if best.answer == YES:
            yield f"  yes      {rule.rule}: {rule.title}"
            continue
        reason = failing(best.result)[:1]
        words = reason[0].label if reason else "its condition"
        lines = ", ".join(str(p.line) for p in reason[0].places[:3]) if reason else ""
        where = f" (line {lines})" if lines else ""
        yield f"  {'no      ' if best.answer == NO else 'unknown '} {rule.rule}: {words}{where}"
    said = sorted(r.rule for r in book.rules if r.dialect is not None and fault in r.suggests)
    if said:
        yield f"  no reply in the words of any of {len(said)} known patterns for it ({', '.join(said[:4])} ...)"
