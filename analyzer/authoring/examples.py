"""Rules carry their tests: runs the examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.diagnose import case_of
from analyzer.formats.load import load_formats
from analyzer.infer.conditions import YES
from analyzer.infer.engine import Judged, judge, places_of
from analyzer.model.capture import Source
from analyzer.model.case import Case, Problem
from analyzer.model.place import Mistake, Place
from analyzer.model.rule import Known

if TYPE_CHECKING:
    from analyzer.model.rule import Example, Rule, RuleBook

_CODES = re.compile(r"(?:(?<=\s)|\A)[2-5][0-9]{2}[ -](?:[245]\.[0-9]{1,3}\.[0-9]{1,3}(?:[ :]|\Z))?\s*")
_FIRST = re.compile(r"\s*([2-5][0-9]{2})(?:[ -]|\Z)")
_ENHANCED = re.compile(r"(?:\A|\s|-)([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")


def run_examples(book: RuleBook, only: tuple[str, ...] = ()) -> tuple[list[Mistake], int]:
    """The examples that do not hold, and how many were run; *only* rules whose file lies in one of these folders."""
    failures: list[Mistake] = []
    done = 0
    for rule in book.rules:
        if only and not any(rule.path.startswith(folder.rstrip("/") + "/") for folder in only):
            continue
        for example in rule.examples:
            done += 1
            wrong = _reply(rule, example, book) if rule.dialect else _example(rule, example, book)
            if wrong and not example.todo:
                failures.append(Mistake(rule.path, rule.line, 1, f"{rule.rule}: {wrong}"))
    return failures, done


def problem_of_reply(text: str, rule: Rule | None = None) -> Problem:
    """A refusal in the words of *text*, as a server sends it; the conditions of *rule* that name one value are met."""
    lines = text.replace("\\n", "\n").splitlines() or [""]
    code = _FIRST.match(lines[0])
    enhanced = _ENHANCED.search(text[:60])
    words = " ".join(_CODES.sub("", line, count=1).strip() for line in lines)
    fields: dict[str, object] = {
        "kind": "refusal",
        "code": int(code[1]) if code else None,
        "enhanced": enhanced[1] if enhanced else None,
        "text": words,
    }
    for name, condition in rule.when.fields if rule else ():
        value = getattr(condition, "value", None)
        if value is None and getattr(condition, "of", None):
            value = getattr(condition.of[0], "value", None)  # type: ignore[union-attr]
        if isinstance(condition, Known) and condition.known:
            value = "shown"
        if (name not in {"", "text"} and value is not None and fields.get(name) is None) or (name == "kind" and value is not None):
            fields[name] = value
    first = (code[1] if code else (enhanced[1] if enhanced else ""))[:1]
    fields["temporary"] = {"4": "yes", "5": "no"}.get(first)
    return Problem(places=(Place(0, 1),), complete=True, **fields)  # type: ignore[arg-type]


def _reply(rule: Rule, example: Example, book: RuleBook) -> str | None:
    """A pattern's example must be taken by that pattern, not by an earlier one of its file."""
    from analyzer.infer.engine import try_rule
    from analyzer.rulebook.index import dialect_rules

    problem = problem_of_reply(example.input, rule)
    case = Case(problems=(problem,))
    for other in (book.rules[number] for number in dialect_rules(book.index, problem)):
        if other.dialect == rule.dialect and try_rule(other, problem, "problem", 0, case, {}).answer == YES:
            return None if other.rule == rule.rule else f"its example is taken by {other.rule}: {example.input[:80]!r}"
    return f"its example does not match: {example.input[:80]!r}"


def _example(rule: Rule, example: Example, book: RuleBook) -> str | None:
    judged = judged_of(example.input, book)
    if judged is None:
        return f"no such sample: {example.input}"
    fired = [o for o in judged.outcomes if o.rule.rule == rule.rule]
    open_ = any(o.rule.rule == rule.rule for o in judged.open)
    answer = "yes" if fired else "unknown" if open_ else "no"
    if answer == "no" and example.answer == "unknown" and not any(o.rule.rule == rule.rule for o in judged.outcomes):
        # Nothing of that kind is shown at all: as unknown as can be.
        from analyzer.model.case import THINGS

        if not getattr(judged.case, THINGS[rule.about][0]):
            answer = "unknown"
    if answer != example.answer:
        return f"example {example.answer}, but the rule says {answer}: {example.input.strip()[:100]!r}"
    if example.lines:
        cited = {p.line for o in fired for p in places_of(o)}
        missing = sorted(set(example.lines) - cited)
        if missing:
            return f"cites {sorted(cited)}, not line {missing[0]}: {example.input.strip()[:80]!r}"
    return None


def judged_of(text: str, book: RuleBook) -> Judged | None:
    """*text*, or the sample that it names, with what the rules make of it."""
    data = text.encode()
    if "\n" not in text.strip() and re.fullmatch(r"[\w./-]+\.(?:txt|log|eml)", text.strip()):
        path = Path(__file__).parents[2] / "samples" / text.strip()
        if not path.is_file():
            return None
        data = path.read_bytes()
    return judge(case_of([Source("example", data)], book, load_formats()), book)
