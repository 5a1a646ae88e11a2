"""Lark's compiled rules as one regular expression.

A line format is a regular language.  Lark's LALR parser with the contextual lexer reads a line by choosing, at each
state, the first terminal in the lexer's order that matches, and never goes back.  The same choice as a regular
expression: every terminal is an atomic group; at a branch each terminal is barred, by a negative look-ahead, before those
that come after it in the lexer's order.  The alternatives become a graph in which shared beginnings and shared endings
stand once, so optional parts cost nothing.  What is not regular, a recursive rule, is refused.
"""

from __future__ import annotations

import re
import re._parser as sre  # type: ignore[import-not-found]  # the standard library's own parser: first characters of a terminal
from typing import TYPE_CHECKING, Any

import msgspec
from lark.grammar import NonTerminal, Terminal
from lark.parsers.lalr_analysis import Shift

from analyzer.errors import InvalidKnowledge

if TYPE_CHECKING:
    from collections.abc import Collection

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
    begins: str = ""  # an expression for the first terminals of a line: matches wherever *pattern* does


class _Node:
    """A place between terminals.

    *edges*: where they lead; *kind*: what may end here; *accepted*: all that the lexer would take here; *skip*: a later
    place that can be reached without reading anything (its edges are left out here).
    """

    def __init__(self, kind: str | None, edges: _Edges, accepted: frozenset[str] = frozenset()) -> None:
        self.kind = kind
        self.edges = edges
        self.accepted = accepted
        self.all_edges = {(name, id(child)) for name, (_field, child) in edges.items()}
        self.skip: _Node | None = None

    @property
    def after(self) -> list[_Node]:
        """Where it leads."""
        found = [child for _field, child in self.edges.values()]
        return [*found, self.skip] if self.skip else found


_Edges = dict[str, tuple[str | None, _Node]]
_Fields = tuple[tuple[int, str], ...]
_MOST_NODES = 50_000
_LONGEST_BEGIN = 12_000
_SHORTEST = 3  # of a literal worth looking for


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
        order = sorted(lark.terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name))
        self.rank = {t.name: i for i, t in enumerate(order)}
        self.first = {name: _first_chars(text) for name, text in self.regexp.items()}
        self.rules: dict[str, list[Rule]] = {}
        for rule in lark.rules:
            self.rules.setdefault(rule.origin.name, []).append(rule)
        table = lark.parser.parser._parse_table  # noqa: SLF001 - Lark is pinned
        self.states: dict[int, dict[str, tuple[object, Any]]] = table.states
        self.start: int = table.start_states["start"]
        self.end: int = table.end_states["start"]
        self.fields = self._fields(lark.rules)
        self.words = _words(lark.terminals)
        self.meetings: dict[int, _Node | None] = {}
        self.place: dict[str, int] = {}
        self.groups = 0
        self.kinds: dict[int, tuple[str, tuple[tuple[int, str], ...]]] = {}
        if lark.ignore_tokens:
            raise self._error("%ignore is not possible in a line format")
        for name, text in self.regexp.items():
            if re.compile(text).groups:
                raise self._error(f"{name} has a capturing group: write (?:...)")

    def _error(self, message: str) -> InvalidKnowledge:
        return InvalidKnowledge(f"{self.path}:1:1: {message}")

    def _fields(self, rules: list[Rule]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for symbol in (s for rule in rules for s in rule.expansion if isinstance(s, Terminal)):
            field = None if symbol.filter_out else field_of(symbol.name)
            if found.setdefault(symbol.name, field) != field:
                raise self._error(f"{symbol.name} is a field here and none there: give it a name of its own")
        return found

    def run(self) -> Fused:
        self._check_regular("start", (), set())
        walked: dict[tuple[int, ...], _Node] = {}
        root = self._shared(self._walk((self.start,), walked), {}, {})
        self._skips(root)
        self.meetings = self._meetings(root)
        pattern, _ = self._emit(root, None, ())
        return Fused(
            pattern=pattern,
            kinds=self.kinds,
            literals=self._all_literals(),
            begins=next(text for depth in (4, 3, 2, 1, 0) if len(text := self._begin(root, depth)) <= _LONGEST_BEGIN),
        )

    # -- the parser's own walk -----------------------------------------------------------------------------------------
    def _check_regular(self, name: str, above: tuple[str, ...], done: set[str]) -> None:
        """No rule may hold itself; on the way, terminals get the order in which the grammar names them."""
        if name in above:
            raise self._error(f"rule {name} is recursive: a line format must be regular")
        if name in done:
            return
        done.add(name)
        for rule in sorted(self.rules[name], key=lambda r: r.order):
            for symbol in rule.expansion:
                if isinstance(symbol, NonTerminal):
                    self._check_regular(symbol.name, (*above, name), done)
                else:
                    self.place.setdefault(symbol.name, len(self.place))

    def _walk(self, stack: tuple[int, ...], known: dict[tuple[int, ...], _Node]) -> _Node:
        """The node for Lark's parser in the states *stack*, with all that follow it.

        An LALR state may accept more terminals than can lead to a line.  The lexer prefers such a one all the same, and
        the line is lost: so it must be in the fused expression.
        """
        if stack in known:
            return known[stack]
        if len(known) > _MOST_NODES:
            raise self._error("too many alternatives: factor them")
        # In an order of ours: Lark's differs from one process to the next, and so would the form of the expression.
        accepted = sorted((name for name in self.states[stack[-1]] if name in self.terminals), key=self.rank.__getitem__)
        edges: _Edges = {}
        for name in accepted:
            after = self._shift(stack, name)
            if after is not None:
                edges[name] = (self.fields[name], self._walk(after, known))
        self._check_words(set(accepted), edges)
        node = _Node(self._kind(stack), edges, frozenset(accepted))
        known[stack] = node
        return node

    def _shift(self, stack: tuple[int, ...], name: str) -> tuple[int, ...] | None:
        """The states after terminal *name*, or None where the parser gives up."""
        while True:
            action = self.states[stack[-1]].get(name)
            if action is None:
                return None
            if action[0] is Shift:
                return (*stack, action[1])
            stack = self._reduced(stack, action[1])

    def _reduced(self, stack: tuple[int, ...], rule: Rule) -> tuple[int, ...]:
        stack = stack[: len(stack) - len(rule.expansion)]
        return (*stack, self.states[stack[-1]][rule.origin.name][1])

    def _kind(self, stack: tuple[int, ...]) -> str | None:
        """The kind of a line that ends here: the outermost alias, or rule's name, below start."""
        kind: str | None = None
        while stack[-1] != self.end:
            action = self.states[stack[-1]].get("$END")
            if action is None:
                return None
            rule = action[1]
            stack = self._reduced(stack, rule)
            name = rule.alias or (rule.origin.name if rule.origin.name != "start" else None)
            if name and not name.startswith("_"):
                kind = str(name)
        if kind is None:
            raise self._error("every alternative of start needs an alias: -> kind")
        return kind

    # -- literals ------------------------------------------------------------------------------------------------------
    def _all_literals(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        found: dict[str, set[tuple[str, ...]]] = {}
        for kind, rule in self._alternatives("start", None):
            texts = {t for t in self._literals(rule) if len(t.strip()) >= _SHORTEST}
            found.setdefault(kind, set()).add(tuple(sorted(texts, key=lambda t: (-len(t), t)))[:4])
        return {kind: tuple(sorted(texts)) for kind, texts in found.items()}

    def _alternatives(self, name: str, kind: str | None) -> list[tuple[str, Rule]]:
        """Every way to write a line, as far down as one rule is the whole line, with its kind."""
        found: list[tuple[str, Rule]] = []
        for rule in self.rules[name]:
            own = rule.alias or (name if name != "start" and not name.startswith("_") else None)
            mine = kind or (str(own) if own and not own.startswith("_") else None)
            only = rule.expansion[0] if len(rule.expansion) == 1 else None
            if isinstance(only, NonTerminal):
                found += self._alternatives(only.name, mine)
            else:
                found.append((mine or "", rule))
        return found

    def _literals(self, rule: Rule) -> set[str]:
        """The fixed texts that every text of *rule* holds, neighbours joined."""
        found, current = set(), ""
        for symbol in rule.expansion:
            if isinstance(symbol, Terminal) and _is_plain(self.terminals[symbol.name]):
                current += self.terminals[symbol.name].pattern.value
                continue
            found.add(current)
            current = ""
            if isinstance(symbol, NonTerminal):
                found |= set.intersection(*(self._literals(inner) for inner in self.rules[symbol.name]))
        return found | {current}

    # -- the graph -----------------------------------------------------------------------------------------------------
    def _check_words(self, accepted: set[str], edges: _Edges) -> None:
        """Lark reads a fixed text that an expression of the same priority matches whole only where it stands alone."""
        for text, expression in self.words:
            if text in accepted and expression in accepted and (text in edges or expression in edges):
                value = self.terminals[text].pattern.value
                raise self._error(f"{value!r} and {expression} have the same priority in one place: write {expression}.-1")

    def _shared(self, node: _Node, known: dict[object, _Node], done: dict[int, _Node]) -> _Node:
        """*node* with equal endings made one (what the automaton's minimal form is)."""
        if id(node) not in done:
            edges = {name: (field, self._shared(child, known, done)) for name, (field, child) in node.edges.items()}
            key = (node.kind, node.accepted, tuple(sorted((n, f or "", id(c)) for n, (f, c) in edges.items())))
            done[id(node)] = known.setdefault(key, _Node(node.kind, edges, node.accepted))
        return done[id(node)]

    def _ordered(self, root: _Node) -> list[_Node]:
        """All nodes from *root* on, those that come later in a line first."""
        order: dict[int, _Node] = {}
        seen: set[int] = set()

        def visit(node: _Node) -> None:
            if id(node) not in seen:
                seen.add(id(node))
                for child in node.after:
                    visit(child)
                order[id(node)] = node

        visit(root)
        return list(order.values())

    def _skips(self, root: _Node) -> None:
        """Optional parts: a node that offers all that a later one offers gets a way to skip there."""
        nodes = self._ordered(root)
        ends = {n.kind: n for n in nodes if n.kind is not None and not n.edges}
        for kind in dict.fromkeys(n.kind for n in nodes if n.kind is not None and n.kind not in ends):
            ends[kind] = _Node(kind, {})
        nodes = [*ends.values(), *(n for n in nodes if n not in ends.values())]  # a line may end where another of its kind goes on
        reach: dict[int, set[int]] = {}
        for at, node in enumerate(nodes):
            reach[id(node)] = {id(node)}.union(*(reach[id(c)] for c in node.after))
            found = [m for m in nodes[:at] if self._may_skip(node, m, reach)]
            if found:
                node.skip = max(found, key=lambda m: len(m.all_edges))
                mine = node.all_edges - node.skip.all_edges
                node.edges = {n: (f, c) for n, (f, c) in node.edges.items() if (n, id(c)) in mine}
                reach[id(node)] |= reach[id(node.skip)]

    def _may_skip(self, node: _Node, later: _Node, reach: dict[int, set[int]]) -> bool:
        if node.kind != later.kind or not later.all_edges < node.all_edges:
            return False
        own = {n: c for n, (_f, c) in node.edges.items() if (n, id(c)) not in later.all_edges}
        if later.all_edges and not all(id(later) in reach[id(c)] for c in own.values()):
            return False
        names = {n for n, _ in later.all_edges}
        if any(self._wins(x, n) for x in later.accepted - node.accepted for n in names):
            return False
        return self._skip_guard(node.accepted - later.accepted, names) is not None

    def _wins(self, a: str, b: str) -> bool:
        """Whether the lexer may prefer *a* where both match."""
        return self.rank[a] < self.rank[b] and not self._apart(a, b)

    def _skip_guard(self, own: frozenset[str], names: set[str]) -> str | None:
        """What must not follow where the optional part that begins with *own* is skipped; None where that depends."""
        barred = []
        for x in sorted(own):
            if any(self._wins(x, n) for n in names):
                if any(self._wins(n, x) for n in names):
                    return None
                barred.append(x)
        return "".join(f"(?!{self.regexp[x]})" for x in barred)

    def _meetings(self, root: _Node) -> dict[int, _Node | None]:
        """For each node the first one that every way from it to an end passes (its post-dominator); None is the end."""
        ways: dict[int, list[_Node]] = {}
        for node in self._ordered(root):
            lists = [[child, *ways[id(child)]] for child in node.after]
            shared = set.intersection(*({id(n) for n in found} for found in lists)) if lists else set()
            ways[id(node)] = [n for n in lists[0] if id(n) in shared] if lists else []
        return {key: found[0] if found else None for key, found in ways.items()}

    # -- the graph as an expression ------------------------------------------------------------------------------------
    def _emit(self, node: _Node | None, stop: _Node | None, fields: _Fields) -> tuple[str, _Fields]:
        """The expression from *node* up to *stop*, and the groups that may be set there."""
        parts: list[str] = []
        while node is not None and node is not stop:
            if not node.edges:
                self.groups += 1
                self.kinds[self.groups] = (str(node.kind), fields)
                parts.append(r"\Z()")
                break
            meeting = self.meetings[id(node)]
            text, fields = self._branch(node, meeting, fields)
            parts.append(text)
            node = meeting
        return "".join(parts), fields

    def _begin(self, node: _Node, depth: int) -> str:
        """The first *depth* terminals from *node* on, whatever else the lexer would prefer to them."""
        if not node.edges:
            return r"\Z"
        if depth == 0:
            return ""
        parts = [
            f"(?>{self.regexp[name]}){self._begin(node.edges[name][1], depth - 1)}"
            for name in sorted(node.edges, key=lambda name: self.place[name])
        ]
        if node.skip is not None:
            parts.append(self._begin(node.skip, depth))
        return _either(list(dict.fromkeys(parts)))

    def _branch(self, node: _Node, meeting: _Node | None, fields: _Fields) -> tuple[str, _Fields]:
        """The alternatives at *node*, each up to *meeting*."""
        after = dict.fromkeys(fields)
        levels: list[tuple[str, list[str]]] = []
        for guard, names in self._levels(node):
            levels.append((guard, []))
            for name in names:  # groups are numbered as they stand
                field, child = node.edges[name]
                head, mine = self._terminal(name, field, fields)
                tail, mine = self._emit(child, meeting, mine)
                levels[-1][1].append(head + tail)
                after |= dict.fromkeys(mine)
        parts: list[str] = []
        for guard, own in reversed(levels):
            parts = [*own, *parts]
            if guard:
                parts = [guard + _either(parts)]
        if node.skip is not None:
            guard = self._skip_guard(node.accepted - node.skip.accepted, {n for n, _ in node.skip.all_edges}) or ""
            tail, mine = self._emit(node.skip, meeting, fields)
            parts.append(guard + tail)
            after |= dict.fromkeys(mine)
        return _either(parts), tuple(after)

    def _levels(self, node: _Node) -> list[tuple[str, list[str]]]:
        """The terminals at *node* with what the lexer would take instead of each barred before it: each level stands,
        in a group, at the end of the one above.

        In the lexer's order, what is barred before one terminal may be barred before all that follow: so each is barred
        once.  Within a level the grammar's order holds.
        """
        levels: list[tuple[str, list[str]]] = [("", [])]
        barred: list[str] = []
        ranked = sorted(node.accepted, key=lambda name: self.rank[name])
        for at, name in enumerate(ranked):
            if name in node.edges:
                if any(self._wins(x, name) for x in barred):
                    levels.append(("".join(f"(?!{self.regexp[x]})" for x in barred), []))
                    barred = []
                levels[-1][1].append(name)
            if any(self._wins(name, later) for later in ranked[at + 1 :] if later in node.edges):
                barred.append(name)
        return [(guard, sorted(names, key=lambda name: self.place[name])) for guard, names in levels]

    def _terminal(self, name: str, field: str | None, fields: _Fields) -> tuple[str, _Fields]:
        body = self.regexp[name]
        if field is None:
            return (body if _is_plain(self.terminals[name]) else f"(?>{body})"), fields
        self.groups += 1
        return f"((?>{body}))", (*fields, (self.groups, field))

    def _apart(self, a: str, b: str) -> bool:
        """Whether no text can start with both terminals."""
        x, y = self.terminals[a].pattern, self.terminals[b].pattern
        if x.type == y.type == "str" and not x.flags and not y.flags:
            return not (x.value.startswith(y.value) or y.value.startswith(x.value))
        one, other = self.first[a], self.first[b]
        return one is not None and other is not None and not one & other


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _words(terminals: Collection[TerminalDef]) -> list[tuple[str, str]]:
    """Fixed texts with the expressions of the same priority that match them whole."""
    fixed = [t for t in terminals if t.pattern.type == "str"]
    found = []
    for expression in (t for t in terminals if t.pattern.type == "re"):
        compiled = re.compile(expression.pattern.to_regexp(), re.ASCII)
        for text in fixed:
            match = compiled.match(text.pattern.value)
            if match and match[0] == text.pattern.value and text.priority == expression.priority:
                found.append((text.name, expression.name))
    return found


def _is_plain(terminal: TerminalDef) -> bool:
    return bool(terminal.pattern.type == "str" and not terminal.pattern.flags)


_BEYOND = "\x80"  # stands for everything that is not ASCII
_ALL = frozenset(map(chr, range(129)))


def _first_chars(regexp: str) -> frozenset[str] | None:
    """The characters with which a match of *regexp* can begin; None where that is not known."""
    try:
        return _first_of(list(sre.parse(regexp, re.ASCII)))
    except (re.error, ValueError):
        return None


def _first_of(items: list[tuple[object, Any]]) -> frozenset[str] | None:
    """The characters with which *items* can begin; None where they may be empty, or where that is not known."""
    found: frozenset[str] = frozenset()
    for op, value in items:
        name = str(op)
        if name in {"AT", "ASSERT", "ASSERT_NOT"}:
            continue
        one = _first_of_one(name, value)
        if one is None:
            return None
        found |= one
        if not (name in {"MAX_REPEAT", "POSSESSIVE_REPEAT", "MIN_REPEAT"} and value[0] == 0):
            return found
    return None


def _first_of_one(name: str, value: Any) -> frozenset[str] | None:
    match name:
        case "LITERAL":
            return frozenset(_ascii(value))
        case "NOT_LITERAL":
            return _ALL - frozenset(chr(value))
        case "ANY":
            return _ALL
        case "IN":
            return _class_of(value)
        case "SUBPATTERN":
            return None if value[1] & re.IGNORECASE else _first_of(list(value[3]))
        case "ATOMIC_GROUP":
            return _first_of(list(value))
        case "MAX_REPEAT" | "POSSESSIVE_REPEAT" | "MIN_REPEAT":
            return _first_of(list(value[2]))
        case "BRANCH":
            branches = [_first_of(list(branch)) for branch in value[1]]
            return None if None in branches else frozenset().union(*(b for b in branches if b is not None))
        case _:
            return None


def _ascii(code: int) -> str:
    return chr(code) if code < 128 else _BEYOND


_CATEGORIES = {
    "DIGIT": frozenset("0123456789"),
    "SPACE": frozenset(" \t\n\r\f\v"),
    "WORD": frozenset(c for c in _ALL if c == "_" or (c.isascii() and c.isalnum())),
}


def _class_of(members: Any) -> frozenset[str] | None:
    found: set[str] = set()
    negated = False
    for kind, what in members:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found.add(_ascii(what))
            case "RANGE":
                found.update(_ascii(code) for code in range(what[0], min(what[1], 128) + 1))
            case "CATEGORY":
                word = str(what).removeprefix("CATEGORY_")
                chars = _CATEGORIES.get(word.removeprefix("NOT_"))
                if chars is None:
                    return None
                found |= _ALL - chars if word.startswith("NOT_") else chars
            case _:
                return None
    if negated:
        return _ALL - (found - {_BEYOND})
    return frozenset(found)
