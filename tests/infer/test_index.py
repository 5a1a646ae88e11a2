"""The index never hides a rule: whatever it passes over would have answered no (a dialect's pattern: not yes)."""

from __future__ import annotations

import re

import msgspec

from analyzer.infer.conditions import NO, YES, Context, match
from analyzer.model.case import THINGS
from analyzer.rulebook import _pack, _Packed, _unpacked
from analyzer.rulebook.index import dialect_rules, plain_rules
from analyzer.rulebook.literals import all_literals_of, literals_of
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
    assert {n for numbers in book.index.plain.values() for n in numbers} == {n for numbers in plain.values() for n in numbers}
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


def test_every_rule_is_found_by_its_own_example(book):
    """Rules that no sample shows: the index still finds a pattern by the words that it asks for."""
    from analyzer.authoring.examples import problem_of_reply

    for number, rule in enumerate(book.rules):
        for example in rule.examples if rule.dialect is not None else ():
            assert number in dialect_rules(book.index, problem_of_reply(example.input, rule)), (rule.rule, example.input)


def test_texts_without_which_an_expression_cannot_match():
    assert literals_of("(?:blocked|listed) (?:by|at) .{0,40}spamhaus") == ("spamhaus",)
    assert all_literals_of("(?:blocked|listed) by .{0,40}spamhaus") == ((" by ",), ("blocked", "listed"), ("spamhaus",))
    assert all_literals_of("(?:abc)?x+") == ()


def test_a_book_from_the_cache_is_the_book_that_was_compiled(book):
    kept = _unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(_pack(book)), type=_Packed))
    assert tuple(kept.rules) == tuple(book.rules)
    assert dict(kept.faults) == dict(book.faults)
    assert msgspec.structs.replace(kept.index, grams={}) == msgspec.structs.replace(book.index, grams={})
    assert dict(kept.index.grams) == dict(book.index.grams)
