"""Lark's compiled rules as one regular expression.

A line format is a regular language.  Lark's LALR parser with the contextual lexer reads a line by choosing, at each
state, the first terminal in the lexer's order that matches, and never goes back.  The same choice as a regular
expression: every terminal is an atomic group; at a branch the terminals stand in the lexer's order, and each is guarded
by a negative look-ahead for those that the lexer would have preferred.  Alternatives that share their first terminal are
factored into one branch.  What is not regular, a recursive rule, is refused.
"""

from __future__ import annotations

import re
import re._parser as sre  # the standard library's own parser: first characters of a terminal
from typing import TYPE_CHECKING

import msgspec
from lark.grammar import NonTerminal, Terminal

from analyzer.errors import InvalidKnowledge

if TYPE_CHECKING:
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef


class Fused(msgspec.Struct, frozen=True):
    """A compiled format: *kinds* maps a marker group to a kind and the groups of its fields.

    *literals*: for each kind, texts of which a line of that kind must hold at least one alternative's (all of a tuple);
    an empty tuple inside means that the alternative has no literal at all.
    """

    pattern: str
    kinds: dict[int, tuple[str, tuple[tuple[int, str], ...]]]
    literals: dict[str, tuple[tuple[str, ...], ...]]


class _Step(msgspec.Struct, frozen=True):
    """One terminal of a sequence, or the end of a kind (*terminal* is None)."""

    terminal: str | None
    field: str | None = None
    kind: str | None = None


_Sequence = tuple[_Step, ...]
_MOST_SEQUENCES = 40_000


def field_of(terminal: str) -> str:
    """The field that *terminal* names: ``TEXT__REST`` is another shape of ``text``."""
    return terminal.partition("__")[0].lower()


def fuse(lark: Lark, path: str) -> Fused:
    """One regular expression for the language of *lark*.  Raises `InvalidKnowledge` where it is not regular."""
    return _Fuser(lark, path).run()


class _Fuser:
    def __init__(self, lark: Lark, path: str) -> None:
        self.path = path
        self.terminals: dict[str, TerminalDef] = {t.name: t for t in lark.terminals}
        self.regexp = {name: t.pattern.to_regexp() for name, t in self.terminals.items()}
        order = sorted(
            lark.terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name)
        )
        self.rank = {t.name: i for i, t in enumerate(order)}
        self.first = {name: _first_chars(text) for name, text in self.regexp.items()}
        self.rules: dict[str, list[Rule]] = {}
        for rule in lark.rules:
            self.rules.setdefault(rule.origin.name, []).append(rule)
        self.groups = 0
        self.kinds: dict[int, tuple[str, tuple[tuple[int, str], ...]]] = {}
        if lark.ignore_tokens:
            raise self._error("%ignore is not possible in a line format")
        for name, text in self.regexp.items():
            if re.compile(text).groups:
                raise self._error(f"{name} has a capturing group: write (?:...)")

    def _error(self, message: str) -> InvalidKnowledge:
        return InvalidKnowledge(f"{self.path}:1:1: {message}")

    def run(self) -> Fused:
        sequences = [s for rule in self.rules["start"] for s in self._sequences(rule, ("start",), None)]
        literals: dict[str, list[tuple[str, ...]]] = {}
        for sequence in sequences:
            kind = sequence[-1].kind
            if kind is None:
                raise self._error("every alternative of start needs an alias: -> kind")
            literals.setdefault(kind, []).append(self._literals(sequence))
        pattern = self._branch(sequences, ())
        return Fused(
            pattern=pattern,
            kinds=self.kinds,
            literals={kind: tuple(sorted(set(found))) for kind, found in literals.items()},
        )

    # -- sequences: every alternative written out as terminals --------------------------------------------------------
    def _sequences(self, rule: Rule, above: tuple[str, ...], kind: str | None) -> list[_Sequence]:
        name = rule.alias or (rule.origin.name if rule.origin.name != "start" else None)
        own = str(name) if kind is None and name and not name.startswith("_") else None
        parts: list[_Sequence] = [()]
        for symbol in rule.expansion:
            if isinstance(symbol, Terminal):
                field = None if symbol.filter_out else field_of(symbol.name)
                parts = [(*p, _Step(symbol.name, field)) for p in parts]
                continue
            assert isinstance(symbol, NonTerminal)
            if symbol.name in above:
                raise self._error(f"rule {symbol.name} is recursive: a line format must be regular")
            inner = [
                s
                for r in self.rules[symbol.name]
                for s in self._sequences(r, (*above, symbol.name), own or kind)
            ]
            parts = [p + s for p in parts for s in inner]
            if len(parts) > _MOST_SEQUENCES:
                raise self._error(f"rule {rule.origin.name} has too many alternatives written out: factor it")
        return [(*p, _Step(None, None, own)) for p in parts] if own else parts

    def _literals(self, sequence: _Sequence) -> tuple[str, ...]:
        """The fixed texts that a line of *sequence* must hold, neighbours joined."""
        runs, current = [], ""
        for step in sequence:
            if step.terminal is None:
                continue
            pattern = self.terminals[step.terminal].pattern
            if pattern.type == "str" and not pattern.flags:
                current += pattern.value
            else:
                runs.append(current)
                current = ""
        runs.append(current)
        return tuple(sorted({r for r in runs if len(r.strip()) >= 3}, key=lambda r: (-len(r), r)))[:4]

    # -- branches ------------------------------------------------------------------------------------------------------
    def _branch(self, sequences: list[_Sequence], fields: tuple[tuple[int, str], ...]) -> str:
        """The expression for what *sequences* still have to read."""
        ends = [s[0].kind for s in sequences if s[0].terminal is None and len(s) == 1]
        heads: dict[str, list[_Sequence]] = {}
        for sequence in sequences:
            if sequence[0].terminal is not None:
                heads.setdefault(sequence[0].terminal, []).append(sequence)
        order = sorted(heads, key=lambda name: self.rank[name])
        parts = [
            self._guard(name, order[:index]) + self._terminal(name, heads[name], fields)
            for index, name in enumerate(order)
        ]
        if ends:
            if len(set(ends)) > 1:
                raise self._error(f"one sequence of terminals is two kinds: {', '.join(map(str, sorted(set(map(str, ends)))))}")
            self.groups += 1
            self.kinds[self.groups] = (str(ends[0]), fields)
            parts.append(r"\Z()")
        return parts[0] if len(parts) == 1 else "(?:" + "|".join(parts) + ")"

    def _terminal(self, name: str, sequences: list[_Sequence], fields: tuple[tuple[int, str], ...]) -> str:
        field = sequences[0][0].field
        body = self.regexp[name]
        if field is None:
            text = body if _is_plain(self.terminals[name]) else f"(?>{body})"
        else:
            self.groups += 1
            fields = (*fields, (self.groups, field))
            text = f"((?>{body}))"
        return text + self._branch([s[1:] for s in sequences], fields)

    def _guard(self, name: str, better: list[str]) -> str:
        rivals = [b for b in better if not self._apart(b, name)]
        return "".join(f"(?!{self.regexp[b]})" for b in rivals)

    def _apart(self, a: str, b: str) -> bool:
        """Whether no text can start with both terminals."""
        x, y = self.terminals[a].pattern, self.terminals[b].pattern
        if x.type == y.type == "str" and not x.flags and not y.flags:
            return not (x.value.startswith(y.value) or y.value.startswith(x.value))
        one, other = self.first[a], self.first[b]
        return one is not None and other is not None and not one & other


def _is_plain(terminal: TerminalDef) -> bool:
    return bool(terminal.pattern.type == "str" and not terminal.pattern.flags)


def _first_chars(regexp: str) -> frozenset[str] | None:
    """The ASCII characters with which a match of *regexp* can begin; None where that is not known."""
    try:
        return _first_of(list(sre.parse(regexp, re.ASCII)))
    except (re.error, ValueError):
        return None


def _first_of(items: list[tuple[object, object]]) -> frozenset[str] | None:
    for op, value in items:
        name = str(op)
        if name == "LITERAL":
            return frozenset(chr(value)) if isinstance(value, int) else None
        if name == "IN":
            chars: set[str] = set()
            for kind, what in value:  # type: ignore[attr-defined]
                if str(kind) == "LITERAL":
                    chars.add(chr(what))
                elif str(kind) == "RANGE" and what[1] < 128:
                    chars.update(map(chr, range(what[0], what[1] + 1)))
                elif str(kind) == "CATEGORY" and str(what) == "CATEGORY_DIGIT":
                    chars.update("0123456789")
                else:
                    return None
            return frozenset(chars)
        if name == "SUBPATTERN":
            if value[1] & re.I:  # type: ignore[index]
                return None
            return _first_of(list(value[3]))  # type: ignore[index]
        if name == "ATOMIC_GROUP":
            return _first_of(list(value))  # type: ignore[call-overload]
        if name in {"MAX_REPEAT", "POSSESSIVE_REPEAT", "MIN_REPEAT"}:
            least, _most, inner = value  # type: ignore[misc]
            if least >= 1:
                return _first_of(list(inner))
            return None
        if name == "BRANCH":
            found: set[str] = set()
            for branch in value[1]:  # type: ignore[index]
                first = _first_of(list(branch))
                if first is None:
                    return None
                found |= first
            return frozenset(found)
        return None
    return None
