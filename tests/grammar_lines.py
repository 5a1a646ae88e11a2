"""Random lines of a grammar: clean ones, and damaged ones that it may or may not read."""

from __future__ import annotations

import random
import re
import re._parser as sre
from typing import TYPE_CHECKING, Any

from lark.grammar import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lark import Lark
    from lark.grammar import Rule

_ALPHABET = "abcxyzABCXYZ0123456789 .:;,=<>[]()@/-_*'\"%"
_MOST = 6  # repeats of an unbounded terminal
_BYTES = 128


class Lines:
    """Lines of *lark*'s language, repeatable for one *seed*."""

    def __init__(self, lark: Lark, seed: int) -> None:
        self.random = random.Random(seed)
        self.terminals = {t.name: t for t in lark.terminals}
        self.parsed = {name: sre.parse(t.pattern.to_regexp(), re.ASCII) for name, t in self.terminals.items()}
        self.rules: dict[str, list[Rule]] = {}
        for rule in lark.rules:
            self.rules.setdefault(rule.origin.name, []).append(rule)
        self.turn = 0

    def lines(self, count: int) -> Iterator[str]:
        """*count* lines, about half of them damaged; each alternative of start gets its turn."""
        for _ in range(count):
            self.turn += 1
            rules = self.rules["start"]
            text = self._rule(rules[self.turn % len(rules)])
            yield self._damaged(text) if self.random.random() < 0.5 else text

    def _rule(self, rule: Rule) -> str:
        return "".join(
            self._terminal(symbol.name) if isinstance(symbol, Terminal) else self._rule(self.random.choice(self.rules[symbol.name]))
            for symbol in rule.expansion
        )

    def _terminal(self, name: str) -> str:
        pattern = re.compile(self.terminals[name].pattern.to_regexp(), re.ASCII)
        text = ""
        for _ in range(8):  # look-arounds are ignored at first: try again where they do not hold
            text = self._items(self.parsed[name])
            if pattern.match(text):
                break
        return text

    def _damaged(self, text: str) -> str:
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randrange(len(text) + 1)
            match self.random.randrange(4):
                case 0:
                    text = text[:at] + self.random.choice(_ALPHABET) + text[at:]
                case 1:
                    text = text[:at] + text[at + self.random.randint(1, 4) :]
                case 2:
                    text = text[:at] + text[at:].swapcase()
                case _:
                    text = text[:at]
        return text

    # -- one terminal --------------------------------------------------------------------------------------------------
    def _items(self, items: Any) -> str:
        return "".join(self._item(str(op), value) for op, value in items)

    def _item(self, op: str, value: Any) -> str:
        match op:
            case "LITERAL":
                return chr(value)
            case "NOT_LITERAL":
                return self._other_than(chr(value))
            case "ANY":
                return self.random.choice(_ALPHABET)
            case "IN":
                return self._one_of(value)
            case "BRANCH":
                return self._items(self.random.choice(value[1]))
            case "SUBPATTERN":
                return self._items(value[3])
            case "ATOMIC_GROUP":
                return self._items(value)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, inner = value
                times = self.random.randint(least, min(int(most), least + _MOST))
                return "".join(self._items(inner) for _ in range(times))
            case _:
                return ""  # assertions and anchors take no room

    def _other_than(self, wrong: str) -> str:
        return next(c for c in self.random.sample(_ALPHABET, len(_ALPHABET)) if c != wrong)

    def _one_of(self, members: Any) -> str:
        pattern = re.compile(_class(members), re.ASCII)
        for _ in range(4):
            if pattern.match(c := self.random.choice(_ALPHABET)):
                return c
        fitting = [chr(n) for n in range(32, _BYTES - 1) if pattern.match(chr(n))] or [
            chr(n) for n in range(_BYTES) if pattern.match(chr(n))
        ]
        return self.random.choice(fitting)


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


def _class(members: Any) -> str:
    parts = []
    for op, value in members:
        match str(op):
            case "NEGATE":
                parts.append("^")
            case "LITERAL":
                parts.append(re.escape(chr(value)))
            case "RANGE":
                parts.append(f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}")
            case "CATEGORY":
                parts.append(_CATEGORIES[str(value)])
    return f"[{''.join(parts)}]"
