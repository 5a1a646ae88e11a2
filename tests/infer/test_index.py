"""The index never hides a rule: whatever it passes over would have answered no (a dialect's pattern: not yes)."""

from __future__ import annotations

import re

import msgspec

from analyzer.infer.conditions import NO, YES, Context, compiled, match
from analyzer.infer.engine import _best_pattern, _speaks_so, judge, try_rule
from analyzer.model.case import THINGS, Case
from analyzer.model.rule import Matches
from analyzer.rulebook import _pack, _Packed, _unpacked
from analyzer.rulebook.index import dialect_rules, plain_rules
from analyzer.rulebook.literals import all_literals_of, literals_of, texts_of
from tests.labelled import case_in, labelled

# What no rule looks at, or what every capture has its own of.
_OWN = {"places", "where", "time", "queue_id", "what", "format", "problems", "argument", "agent"}
_EVERY = 8  # of so many patterns one is tried on each problem, another one on the next


def distinct_things():
    """The things of all samples, one for each shape."""
    found = {}
    for sample in labelled():
        case = case_in(sample.capture)
        for kind, (attribute, _) in THINGS.items():
            for thing in getattr(case, attribute):
                shape = re.sub("[0-9]+", "0", repr([(n, getattr(thing, n)) for n in thing.__struct_fields__ if n not in _OWN]))
                found.setdefault((kind, shape, getattr(thing, "code", None), getattr(thing, "enhanced", None)), (case, kind, thing))
    return found.values()


def test_what_the_index_passes_over_answers_no(book):
    plain = {kind: [n for n, r in enumerate(book.rules) if r.dialect is None and r.about == kind] for kind in THINGS}
    dialects = [n for n, r in enumerate(book.rules) if r.dialect is not None]
    assert {n for pairs in book.index.plain.values() for n, _ in pairs} == {n for numbers in plain.values() for n in numbers}
    wrong = []
    for turn, (case, kind, thing) in enumerate(distinct_things()):
        for number in set(plain[kind]) - set(plain_rules(book.index, thing, kind)):
            if match(book.rules[number].when, thing, kind, Context(case, {})).answer != NO:
                wrong.append((book.rules[number].rule, thing))
        if kind == "problem":
            for number in set(dialects[turn % _EVERY :: _EVERY]) - set(dialect_rules(book.index, thing)):
                if match(book.rules[number].when, thing, kind, Context(case, {})).answer == YES:
                    wrong.append((book.rules[number].rule, thing))
    assert not wrong[:3]


def test_who_does_not_ask_what_is_unknown_hears_the_same_answers(book):
    for sample in labelled():
        case = case_in(sample.capture)
        asked, unasked = judge(case, book), judge(case, book, unknown=False)
        assert unasked.beliefs == asked.beliefs, sample.capture
        assert unasked.case.problems == asked.case.problems
        assert (unasked.harmless, unasked.aside) == (asked.harmless, asked.aside)
        for one, other in zip(unasked.outcomes, asked.outcomes, strict=True):
            assert (one.rule.rule, one.index, one.problems, one.superseded) == (
                other.rule.rule,
                other.index,
                other.problems,
                other.superseded,
            )


def test_every_rule_is_found_by_its_own_example(book):
    """Rules that no sample shows: the index still finds a pattern by the words that it asks for."""
    from analyzer.authoring.examples import problem_of_reply

    for number, rule in enumerate(book.rules):
        for example in rule.examples if rule.dialect is not None else ():
            assert number in dialect_rules(book.index, problem_of_reply(example.input, rule)), (rule.rule, example.input)


def test_the_pattern_that_says_most_is_found_without_trying_all(book):
    """The same as of all patterns that hold, of each dialect the first one."""
    from analyzer.authoring.examples import problem_of_reply

    case = Case()
    dialects = [rule for rule in book.rules if rule.dialect is not None and rule.examples]
    for rule in dialects[::_EVERY]:
        problem = msgspec.structs.replace(problem_of_reply(rule.examples[0].input, rule), software=None)
        hits = {}
        for number in dialect_rules(book.index, problem):
            tried = book.rules[number]
            if tried.dialect not in hits and _speaks_so(problem, tried) and try_rule(tried, problem, "problem", 0, case, {}).answer == YES:
                hits[tried.dialect] = tried
        best = _best_pattern(book, problem, 0, case, {})
        said = min(hits.values(), key=lambda r: (r.tier, -max(r.suggests.values(), default=0.0), r.rule), default=None)
        assert best is None if said is None else best.rule.rule == said.rule, rule.rule


def test_texts_without_which_an_expression_cannot_match():
    assert literals_of("(?:blocked|listed) (?:by|at) .{0,40}spamhaus") == ("blocked at ", "blocked by ", "listed at ", "listed by ")
    assert all_literals_of(texts_of("(?:blocked|listed) by .{0,40}spamhaus")) == (("blocked by ", "listed by "), ("spamhaus",))
    assert all_literals_of(texts_of("(?:abc)?x+")) == ()
    assert literals_of(r"#(?:839|806)\b|gr[ae]y[- ]?list") == (
        "#806",
        "#839",
        "gray list",
        "gray-list",
        "graylist",
        "grey list",
        "grey-list",
        "greylist",
    )


def test_each_way_that_an_expression_may_match_has_its_own_texts():
    texts = texts_of("(?:sender|from).{0,20}(?:reject|den(?:y|ied))|mailbox .{1,20}full")
    assert texts.stand_in("denied: the sender")
    assert texts.stand_in("mailbox is full")
    assert not texts.stand_in("the sender is full")
    assert not texts.stand_in("mailbox denied")


def test_what_an_expression_matches_holds_its_texts(book):
    """Every rule's expressions on the words of patterns' examples: some on each."""
    said = [example.input for rule in book.rules if rule.dialect is not None for example in rule.examples]
    matches = {c.pattern: c.texts for rule in book.rules for _, c in rule.when.fields if isinstance(c, Matches)}
    wrong = [
        (pattern, text)
        for turn, (pattern, texts) in enumerate(matches.items())
        for text in said[turn % _EVERY :: _EVERY]
        if not texts.stand_in(text.lower()) and compiled(pattern).search(text)
    ]
    assert not wrong[:3]


def test_a_book_from_the_cache_is_the_book_that_was_compiled(book):
    kept = _unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(_pack(book)), type=_Packed))
    assert tuple(kept.rules) == tuple(book.rules)
    assert dict(kept.faults) == dict(book.faults)
    assert msgspec.structs.replace(kept.index, grams={}, guards={}) == msgspec.structs.replace(book.index, grams={}, guards={})
    assert dict(kept.index.guards) == dict(book.index.guards)
    assert dict(kept.index.grams) == dict(book.index.grams)
