"""The fixed texts without which an expression cannot match: a cheap test before a dear one."""

from __future__ import annotations

import re
import re._parser as sre  # type: ignore[import-not-found]  # the standard library's own parser
from typing import TYPE_CHECKING, Any

from analyzer.model.rule import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST = 3  # letters of a text that is worth looking for; bytes, since two signs of Chinese say more than two letters
_MOST = 60
_MOST_EXACT = 16  # texts, as which all that a part matches is written out
_FEW_CHARACTERS = 4  # of a class that is written out
_NOTHING = Texts()

# What a part of an expression asks for: all that it matches, written out, or else the texts that it cannot do without.
_Asked = tuple[frozenset[str] | None, Texts]
_EMPTY: _Asked = frozenset({""}), _NOTHING
_ANYTHING: _Asked = None, _NOTHING


def texts_of(expression: str) -> Texts:
    """The texts in lower case that stand in whatever *expression* matches."""
    try:
        return _needed(_sequence(sre.parse(expression, re.IGNORECASE)))
    except (re.error, ValueError, OverflowError):
        return _NOTHING


def literals_of(expression: str) -> tuple[str, ...]:
    """Texts in lower case of which one stands in whatever *expression* matches; empty where none can be told."""
    found = _best([texts for texts in all_literals_of(texts_of(expression)) if min(map(len, texts)) >= _LEAST])
    return found or ()


def all_literals_of(texts: Texts) -> tuple[tuple[str, ...], ...]:
    """Every set of texts of which one stands where *texts* do."""
    sets = {found for alternatives in texts.of if (found := _flat(alternatives)) and len(found) <= _MOST}
    return tuple(sorted(sets))


def _flat(alternatives: tuple[str | Texts, ...]) -> tuple[str, ...] | None:
    found: set[str] = set()
    for alternative in alternatives:
        best = (alternative,) if isinstance(alternative, str) else _best(all_literals_of(alternative))
        if not best:
            return None
        found.update(best)
    return tuple(sorted(found))


def _best(sets: list[tuple[str, ...]] | tuple[tuple[str, ...], ...]) -> tuple[str, ...] | None:
    """The set whose shortest text is longest."""
    return max(sets, key=lambda texts: (min(map(len, texts)), -len(texts)), default=None)


# ---- parts of an expression ------------------------------------------------------------------------------------------
def _sequence(items: Any) -> _Asked:
    """All that one part after the other asks for: texts that follow one another are written out as one."""
    run: frozenset[str] = frozenset({""})
    needed: list[tuple[str | Texts, ...]] = []
    whole = True
    for op, value in _spliced(items):
        exact, texts = _part(op, value)
        if exact is not None and len(run) * len(exact) <= _MOST_EXACT:
            run = frozenset(a + b for a in run for b in exact)
            continue
        whole = False
        needed += [*_needed((run, _NOTHING)).of, *texts.of]
        run = frozenset({""}) if exact is None else exact
    return (run, _NOTHING) if whole else (None, Texts((*needed, *_needed((run, _NOTHING)).of)))


def _spliced(items: Any) -> Iterator[tuple[str, Any]]:
    """*items*, groups replaced by what is in them: what stands before a group and its first letters are one text."""
    for op, value in items:
        if str(op) == "SUBPATTERN":
            yield from _spliced(value[3])
        else:
            yield str(op), value


def _part(op: str, value: Any) -> _Asked:
    if op == "LITERAL":
        return frozenset({chr(value).lower()}), _NOTHING
    if op == "AT":
        return _EMPTY
    if op == "IN":
        return _class(value)
    if op == "BRANCH":
        return _branches([_sequence(branch) for branch in value[1]])
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return _repeated(value[0], value[1], _sequence(value[2]))
    return _ANYTHING


def _class(members: Any) -> _Asked:
    """A class of few characters, written out."""
    found: set[str] = set()
    for op, value in members:
        first, last = value if str(op) == "RANGE" else (value, value) if str(op) == "LITERAL" else (0, _FEW_CHARACTERS)
        if last - first >= _FEW_CHARACTERS:
            return _ANYTHING
        found.update(chr(c).lower() for c in range(first, last + 1))
    return (frozenset(found), _NOTHING) if len(found) <= _FEW_CHARACTERS else _ANYTHING


def _repeated(least: int, most: int, inner: _Asked) -> _Asked:
    if (least, most) == (1, 1):
        return inner
    if (least, most) == (0, 1) and inner[0] is not None:
        return inner[0] | {""}, _NOTHING
    return (None, _needed(inner)) if least else _ANYTHING


def _branches(branches: list[_Asked]) -> _Asked:
    exact = [found for found, _ in branches if found is not None]
    if len(exact) == len(branches) and len(whole := frozenset().union(*exact)) <= _MOST_EXACT:
        return whole, _NOTHING
    alternatives: list[str | Texts] = []
    for branch in branches:
        texts = _needed(branch)
        if not texts.of:
            return _ANYTHING
        alternatives += texts.of[0] if len(texts.of) == 1 else (texts,)
    return None, Texts((tuple(alternatives),))


def _needed(asked: _Asked) -> Texts:
    exact, texts = asked
    if exact is None:
        return texts
    if min(len(text.encode()) for text in exact) < _LEAST:
        return _NOTHING
    return Texts((tuple(sorted(text for text in exact if not any(other in text for other in exact - {text}))),))
