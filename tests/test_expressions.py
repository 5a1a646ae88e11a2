"""Expressions that are compiled at first use: all compile, the code that is kept is `re`'s own, users' words are not kept."""

from __future__ import annotations

import importlib
import pkgutil
from re import _constants, _parser

import pytest

import analyzer
from analyzer import expressions
from analyzer.expressions import _Expression, code_of, compiled, from_code, re
from analyzer.formats.load import load_formats


def every_expression():
    for info in pkgutil.walk_packages(analyzer.__path__, "analyzer."):
        if info.name != "analyzer.__main__":
            for name, value in vars(importlib.import_module(info.name)).items():
                if isinstance(value, _Expression):
                    yield f"{info.name}.{name}", value


def test_every_expression_compiles():
    found = dict(every_expression())
    assert len(found) > 50
    for name, value in found.items():
        assert value.match(b"\x00" if isinstance(value.pattern, bytes) else "\x00") is None or True, name


def repeats_a_choice_possessively(items):
    """Whether a possessive repetition holds more than one character: Python before 3.11.5 matches that wrongly."""
    for op, value in items:
        parts = [x for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, _parser.SubPattern)]
        parts += [
            b for x in (value if isinstance(value, tuple) else ()) if isinstance(x, list) for b in x if isinstance(b, _parser.SubPattern)
        ]
        if op is _constants.POSSESSIVE_REPEAT and (len(value[2]) > 1 or value[2][0][0] in {_constants.BRANCH, _constants.SUBPATTERN}):
            return True
        if any(repeats_a_choice_possessively(part) for part in parts):
            return True
    return False


def test_what_old_pythons_match_wrongly_is_not_used():
    assert repeats_a_choice_possessively(_parser.parse("a(?>b|(?:[^;]++|;(?!x))++)"))
    assert not repeats_a_choice_possessively(_parser.parse("a(?>b|(?>(?:[^;]++|;(?!x))+))"))
    found = {name: value.pattern for name, value in every_expression()}
    found |= {fmt.name: fmt.compiled.pattern for fmt in load_formats().all.values()}
    assert len(found) > 130
    assert [name for name, pattern in found.items() if repeats_a_choice_possessively(_parser.parse(pattern))] == []


@pytest.mark.parametrize("pattern", [r"(?i)(?P<word>[a-z]+) ([0-9]{1,3})", "h\u00f4te|\u30db", r"a(?:b|c)++(?>d)\Z", ""])
def test_what_is_kept_is_what_re_makes(pattern):
    code = code_of(pattern)
    one, other = from_code(pattern, code), re.compile(pattern)
    assert (one.groups, one.groupindex, one.flags) == (other.groups, other.groupindex, other.flags)
    for text in ("Word 12", "h\u00f4te", "abcd", "", "\u30db"):
        assert [m and m.groupdict() for m in (one.match(text), other.match(text))] == [
            other.match(text) and other.match(text).groupdict()
        ] * 2


def test_damaged_code_is_not_used():
    assert from_code("a", expressions.Code(0, 0, {}, b"\xff" * 8)) is None


def test_an_expression_made_in_a_function_is_not_kept():
    secret = re.compile("alice@example\\.org")
    assert not isinstance(secret, _Expression)
    assert secret.match("alice@example.org")
    assert not any("alice" in asked for asked in expressions._KEPT.new)


def test_what_was_compiled_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(expressions, "_KEPT", expressions._Kept())
    assert compiled("kept [0-9]+").match("kept 1")
    expressions.keep()
    monkeypatch.setattr(expressions, "_KEPT", expressions._Kept())
    assert compiled("kept [0-9]+").match("kept 2")
    assert not expressions._KEPT.new
