"""Which rules can hold of a thing at all, told without trying them: by fixed texts, and by plain values of its fields."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from analyzer.model import rule as m

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from analyzer.model.case import Problem

_GRAM = 3  # letters by which texts are looked up; those of dialects are no shorter
_MOST_SAID = 4096  # characters of a value that conditions see


def index_of(rules: Sequence[m.Rule]) -> m.Index:
    """The index of *rules*, which refers to them by number."""
    by_text: dict[str, list[int]] = {}
    by_value: dict[str, dict[str, list[int]]] = {}
    silent: list[int] = []
    plain: dict[str, list[m.Rule]] = {}
    for number, rule in enumerate(rules):
        if rule.dialect is None:
            plain.setdefault(rule.about, []).append(rule)
        elif rule.literals and all(len(text) >= _GRAM for text in rule.literals):
            for text in rule.literals:
                by_text.setdefault(text, []).append(number)
        elif plainly := next((g for g in _guards(rule) if g.how == "is" and not any(":" in v for v in g.values)), None):
            for value in plainly.values:
                by_value.setdefault(plainly.field, {}).setdefault(value, []).append(number)
        else:
            silent.append(number)
    numbers = {rule.rule: number for number, rule in enumerate(rules)}
    often = Counter(gram for text in by_text for gram in _grams(text))
    grams: dict[str, list[tuple[str, list[int]]]] = {}
    for text, found in by_text.items():
        rarest = min(sorted(_grams(text)), key=often.__getitem__)
        grams.setdefault(rarest, []).append((text, found))
    return m.Index(
        plain={
            name: tuple((numbers[r.rule], guards) for r, guards in of)
            for about, found in plain.items()
            for name, of in _by_kind(about, [(r, tuple(_guards(r))) for r in _in_order(found)]).items()
        },
        guards={n: guards for n, rule in enumerate(rules) if rule.dialect is not None and (guards := tuple(_guards(rule)))},
        grams={gram: tuple((text, tuple(found)) for text, found in texts) for gram, texts in grams.items()},
        values={field: {v: tuple(found) for v, found in of.items()} for field, of in by_value.items()},
        silent=tuple(silent),
    )


def _by_kind(about: str, rules: Sequence[tuple[m.Rule, tuple[m.Guard, ...]]]) -> dict[str, list[tuple[m.Rule, tuple[m.Guard, ...]]]]:
    """*rules* by what they are about and the kind of it that they ask for; under *about* alone those that ask for none."""
    asked = [next((g.values for g in guards if g.field == "kind" and g.how == "is"), None) for _, guards in rules]
    kinds = {kind for values in asked for kind in values or ()}
    found = {f"{about} {kind}": [r for r, values in zip(rules, asked, strict=True) if values is None or kind in values] for kind in kinds}
    return found | {about: [r for r, values in zip(rules, asked, strict=True) if values is None]}


def _grams(text: str) -> set[str]:
    return {text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)}


# ---- looking up ------------------------------------------------------------------------------------------------------
def plain_rules(
    index: m.Index,
    thing: Any,
    kind: str,
    findings: Collection[str] | None = None,
    beside: Collection[str] | None = None,
) -> Iterator[int]:
    """The numbers of the rules about *thing* that may hold, those that use findings after those they use.

    *findings* on the thing may grow meanwhile.  Where *beside* says of which kinds the case has things, nobody asks what is unknown.
    """
    may_hold = _Seen(thing, findings, beside, unknown=beside is None).may_hold
    rules = index.plain.get(f"{kind} {getattr(thing, 'kind', '').lower()}") or index.plain.get(kind, ())
    return (number for number, guards in rules if may_hold(guards))


def dialect_rules(index: m.Index, problem: Problem) -> list[int]:
    """The numbers of the dialects' rules that may hold of *problem*, in order; whether one is unknown, nobody asks."""
    said = (problem.text or "")[:_MOST_SAID].lower()
    seen = _Seen(problem, unknown=False)
    found = set(index.silent)
    for field, of in index.values.items():
        value = seen.value(field)
        if isinstance(value, str):
            found.update(of.get(value.rstrip("."), ()))
        elif value:  # whatever it is, nothing is told of it here
            found.update(*of.values())
    for gram in _grams(said) & index.grams.keys():
        for text, numbers in index.grams[gram]:
            if text in said:
                found.update(numbers)
    return [number for number in sorted(found) if seen.may_hold(index.guards.get(number, ()))]


class _Seen:
    """The values of a thing, as guards compare them; *unknown*: whether a value that is not shown passes."""

    def __init__(
        self, thing: Any, findings: Collection[str] | None = None, beside: Collection[str] | None = None, *, unknown: bool = True
    ) -> None:
        self.thing, self.findings, self.beside, self.unknown = thing, findings, beside, unknown
        self.known: dict[str, str | bool] = {}

    def may_hold(self, guards: Iterable[m.Guard]) -> bool:
        """Whether no guard fails."""
        known = self.known
        for guard in guards:
            field, how, values = guard.field, guard.how, guard.values
            if how == "known":
                if (getattr(self.thing, field, None) not in (None, (), "")) != bool(values):
                    return False
                continue
            if how == "finding":
                if self.findings is not None and not any(name in self.findings for name in values):
                    return False
                continue
            if how == "any":
                if not any(map(self.may_hold, guard.of)):
                    return False
                continue
            if how == "beside":
                if self.beside is not None and field not in self.beside:
                    return False
                continue
            value = known.get(field)
            if value is None:
                value = self.value(field)
            if value is True:
                continue
            if value is False:
                return False
            if how == "shown":
                continue
            if how == "is":
                if value not in values and value.rstrip(".") not in values and ":" not in value:  # an address may be written otherwise
                    return False
            else:
                for text in values:
                    if text in value:
                        break
                else:
                    return False
        return True

    def value(self, field: str) -> str | bool:
        """The value as a text in lower case; True where it passes without a look, False where it fails."""
        found = self.known.get(field)
        if found is None:
            value = getattr(self.thing, field, None)
            if value is None:
                found = self.unknown
            elif isinstance(value, str | int) and not isinstance(value, bool):
                found = str(value)[:_MOST_SAID].lower()
            else:
                found = True
            self.known[field] = found
        return found


# ---- what a rule needs -----------------------------------------------------------------------------------------------
def _guards(rule: m.Rule) -> Iterator[m.Guard]:
    """Tests that fail only where the answer of *rule* is no."""
    yield from _guards_of(rule.when)
    for j in rule.with_:
        yield m.Guard(j.thing, "beside")


def _guards_of(when: m.Fields) -> Iterator[m.Guard]:
    from analyzer.rulebook.literals import all_literals_of  # a book from the cache is indexed

    for name, condition in when.fields:
        field = "from_" if name == "from" else name
        if not name:
            if isinstance(condition, m.OneOf):
                alternatives = [tuple(_guards_of(c)) for c in condition.of if isinstance(c, m.Fields)]
                if alternatives and all(alternatives):
                    yield m.Guard("", "any", of=tuple(alternatives))
            elif isinstance(condition, m.FindingOf):
                yield m.Guard("", "finding", (condition.rule,))
            elif isinstance(condition, m.SpeaksFor):
                yield m.Guard("", "finding", tuple(m.SPEAKS_FOR + fault for fault in condition.faults))
            continue
        parts = condition.of if isinstance(condition, m.OneOf) else (condition,)
        if isinstance(condition, m.Known):
            yield m.Guard(field, "known", ("yes",) if condition.known else ())
        elif parts and all(isinstance(p, m.Equals) and type(p.value) in {str, int, bool} for p in parts):
            yield m.Guard(field, "is", tuple(_text_of(p.value) for p in parts if isinstance(p, m.Equals)))
        elif parts and all(isinstance(p, m.Text) for p in parts):
            yield m.Guard(field, "has", tuple(p.value for p in parts if isinstance(p, m.Text)))
        elif isinstance(condition, m.Matches):
            for texts in all_literals_of(condition.texts):
                yield m.Guard(field, "has", texts)
        elif not isinstance(condition, m.Not | m.OneOf):
            yield m.Guard(field, "shown")


def _text_of(value: str | float | bool) -> str:
    """*value* as things have it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value).lower().rstrip(".")


def _in_order(rules: Sequence[m.Rule]) -> list[m.Rule]:
    """Rules after those whose findings they use."""
    names = {r.rule: r for r in rules}
    done: dict[str, None] = {}

    def visit(rule: m.Rule, above: frozenset[str]) -> None:
        if rule.rule in done or rule.rule in above:
            return
        for needed in needs(rule):
            if needed in names:
                visit(names[needed], above | {rule.rule})
        done[rule.rule] = None

    for rule in rules:
        visit(rule, frozenset())
    return [names[n] for n in done]


def needs(rule: m.Rule) -> list[str]:
    """The rules whose findings *rule* uses as conditions."""
    found = []
    for _, condition in rule.when.fields:
        inner = condition.inner if isinstance(condition, m.Not) else condition
        if isinstance(inner, m.FindingOf):
            found.append(inner.rule)
        found += [c.rule for _, c in getattr(inner, "fields", ()) if isinstance(c, m.FindingOf)]
    return found
