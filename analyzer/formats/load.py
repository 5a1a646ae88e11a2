"""A grammar file, its header and its rules, as a `Format` that reads lines."""

from __future__ import annotations

import contextlib
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, AnyStr, Generic, NamedTuple

import msgspec

from analyzer import cache, resources
from analyzer.errors import InvalidKnowledge
from analyzer.expressions import Code, code_of, compiled, from_code, re
from analyzer.formats import FORMAT_FOLDERS
from analyzer.formats.groups import numbers_of, renumbered
from analyzer.formats.pairs import named_fields
from analyzer.model.events import INTEGERS, KINDS, Event
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from lark import Lark

    from analyzer.formats.fuse import Fused
    from analyzer.formats.groups import Kinds
    from analyzer.model.capture import Line


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ``//-`` comment of a grammar, as YAML."""

    title: str
    over: str = "text"  # text | log | envelope | prose: what its lines stand in; prose formats read only what no other wants
    programs: tuple[str, ...] = ()  # over log: shell patterns for the program's name
    software: str | None = None  # the MTA or tool that writes it: postfix, exim, swaks ...
    view: str | None = None  # client | server | local: who captured it
    session: bool = False  # lines between 354 and the final dot are message data
    kinds: dict[str, dict[str, str]] = {}  # alias -> {kind: ..., field: constant}
    weak: tuple[str, ...] = ()  # aliases whose lines other formats share
    wakes: str | None = None  # found in every line that is not weak (over log: that is bare): else the format is not looked at
    bare: tuple[str, ...] = ()  # over log: aliases that are also told without stamp and program
    distinct: bool = False  # over text: no prose looks like it, so that its noise alone is told as well
    alone: bool = False  # over prose: believed only where nothing else in the whole case is read
    pasted: bool = False  # over log: lines that somebody cut; logs read in bulk have none
    rank: int = 0  # higher wins where two formats claim a line equally
    hook: str | None = None  # module of analyzer/formats/hooks, where not the format's own name
    pairs: dict[str, tuple[str, ...]] = {}  # a key that lines name in themselves -> fields: the first that the event has is meant
    refs: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    about: str = ""  # prose for the documentation
    words: dict[str, tuple[str, ...]] = {}  # name -> expressions that the hook looks for: set phrases, labels, in all languages


class Expression(NamedTuple, Generic[AnyStr]):
    """A format's expression, compiled, and what its groups mean as they are numbered there."""

    pattern: re.Pattern[AnyStr]
    kinds: Kinds


class Compiled(msgspec.Struct, frozen=True):
    """What is made of one grammar's rules."""

    pattern: str
    kinds: dict[int, tuple[str, tuple[tuple[int, str], ...]]]
    numbers: dict[int, int]  # of the groups, in what is compiled
    code: Code | None = None

    def expression(self, pattern: AnyStr, code: Code | None) -> Expression[AnyStr] | None:
        """The pattern, as text or bytes, from its *code*, whose groups have these numbers; None where this Python takes it not."""
        found = None if code is None else from_code(pattern, code)
        return None if found is None else Expression(found, renumbered(self.kinds, self.numbers))


class Head(msgspec.Struct, frozen=True):
    """What is to be known of a format before any of its lines is read."""

    name: str
    header: Header
    key: str  # under which the cache has its `Compiled`
    programs: str = ""  # the header's shell patterns as one expression
    wakes: tuple[str, ...] | None = None  # texts of which one stands in every line of this format; None where some line has none
    bare_wakes: tuple[str, ...] = ()  # texts of which one stands in every line of the aliases that need no envelope
    begins: str = ""  # an expression that matches where any of its lines begins
    hooks: tuple[str, ...] = ()  # what its module does: claim, weight, events


class Format:
    """One grammar, ready to read lines."""

    def __init__(self, head: Head, compiled: Compiled | None = None) -> None:
        self.name, self.header, self.head = head.name, head.header, head
        self._weak = frozenset(head.header.weak)
        self._takes: dict[str, bool] = {}
        self._words: dict[str, re.Pattern[str]] = {}
        if compiled is not None:
            self.compiled = compiled

    @cached_property
    def compiled(self) -> Compiled:
        """Its expression, and what its groups mean."""
        kept = _kept(self.name, self.head.key)
        return kept[1] if kept else compile_format(self.name, FORMAT_FOLDERS.texts())[1]

    @cached_property
    def _plans(self) -> dict[int, tuple[str, type[Event], dict[str, Any], tuple[tuple[int, str, bool], ...]]]:
        plans = {}
        for marker, (alias, fields) in self._expression.kinds.items():
            constants: dict[str, Any] = dict(self.header.kinds.get(alias, {}))
            kind = constants.pop("kind", alias)
            if kind not in KINDS:
                continue  # the envelope's own alias
            numbers = INTEGERS[kind]
            for name in numbers & constants.keys():
                constants[name] = int(constants[name])
            plans[marker] = (alias, KINDS[kind], constants, tuple((group, name, name in numbers) for group, name in fields))
        return plans

    @cached_property
    def _expression(self) -> Expression[str]:
        """The fused expression."""
        made = self.compiled
        return made.expression(made.pattern, made.code) or Expression(re.compile(made.pattern, re.ASCII), made.kinds)

    @property
    def regex(self) -> re.Pattern[str]:
        """The fused expression; match it against a whole line."""
        return self._expression.pattern

    def _alias(self, found: re.Match[str] | None) -> str | None:
        return self._expression.kinds[found.lastindex][0] if found and found.lastindex else None

    @cached_property
    def regex_bytes(self) -> re.Pattern[bytes]:
        """The same for bytes, as logs are read in bulk."""
        return re.compile(self.compiled.pattern.encode("utf-8"))

    def words(self, name: str) -> re.Pattern[str]:
        """One expression for the header's *words* of that name, in any case."""
        if name not in self._words:
            self._words[name] = compiled(f"(?i)(?:{'|'.join(self.header.words[name])})")
        return self._words[name]

    @cached_property
    def _wakes(self) -> re.Pattern[str] | None:
        return None if self.header.wakes is None else compiled(self.header.wakes, re.MULTILINE)

    def may_be_in(self, text: str) -> bool:
        """Whether some line of *text* may be this format's, told without its whole expression."""
        if self._wakes is not None:
            return self._wakes.search(text) is not None
        return self.head.wakes is None or any(w in text for w in self.head.wakes)

    def may_be_bare_in(self, text: str) -> bool:
        """Whether some line of *text*, which lost its stamp and program, may be this format's."""
        return bool(self.header.bare and text) and self._wakes is not None and self._wakes.search(text) is not None

    @cached_property
    def _begins(self) -> re.Pattern[str] | None:
        return compiled(self.head.begins, re.ASCII) if self.head.begins else None

    def may_read(self, lines: Iterable[Line]) -> bool:
        """Whether one of *lines* may be this format's, told by how it begins."""
        return self._begins is None or any(self._begins.match(shown(line.body)) for line in lines)

    def hook(self, name: str) -> Any:
        """The function *name* of the module that does what the grammar cannot say; None where there is none."""
        return getattr(_module(self.header, self.name), name) if name in self.head.hooks else None

    def takes(self, program: str | None) -> bool:
        """Whether lines of *program* may be this format's."""
        if program is None:
            return not self.header.programs
        if program not in self._takes:
            self._takes[program] = bool(self.head.programs and compiled(self.head.programs).match(program.lower()))
        return self._takes[program]

    def alias_of(self, text: str) -> str | None:
        """The alias that reads *text*, or None."""
        return self._alias(self._read_copied(text))

    def _read_copied(self, text: str) -> re.Match[str] | None:
        """What `_read` finds in *text*, or in it without the blank that copying left at the end."""
        found = self._read(text)
        return self._read(text.rstrip(" ")) if text.endswith(" ") and not (found and found.lastindex) else found

    def _read(self, text: str) -> re.Match[str] | None:
        """The expression's match on *text*, or where that says nothing on *text* with its hidden addresses filled in."""
        found = self.regex.match(text)
        filled = shown(text)
        if filled is text or ((alias := self._alias(found)) is not None and not self._is_noise(alias)):
            return found
        again = self.regex.match(filled)
        return again if again and again.lastindex else found

    def _is_noise(self, alias: str) -> bool:
        return self.header.kinds.get(alias, {}).get("kind", alias) == "noise"

    def says(self, text: str) -> bool:
        """Whether *text* is a line of this format that is more than noise, and no mere continuation of one."""
        alias = self.alias_of(text)
        return alias is not None and not self._is_noise(alias) and self.header.kinds.get(alias, {}).get("rtype") != "more"

    def is_bare(self, text: str) -> bool:
        """Whether *text* is a log line of this format that stands there without its stamp and program."""
        return bool(self.header.bare) and self.alias_of(text) in self.header.bare

    def weight(self, text: str) -> float:
        """How surely *text* is a line of this format: 0 where it is none."""
        alias = self.alias_of(text)
        if alias is None:
            return 0.0
        return 0.4 if alias in self._weak else 1.0

    def fields(self, text: str) -> tuple[str, dict[str, str]] | None:
        """The alias and the fields that the fused expression reads in *text*."""
        found = self._read(text)
        if not found or not found.lastindex:
            return None
        alias, groups = self._expression.kinds[found.lastindex]
        values: dict[str, str] = {}
        for group, name in groups:
            if name not in values and (value := text[slice(*found.span(group))] if found.start(group) >= 0 else None):
                values[name] = value
        return alias, values

    def event(self, line: Line, source: int) -> Event | None:
        """The event on *line*, or None where this format cannot read it."""
        text = line.body
        found = self._read_copied(text)
        if not found or not found.lastindex:
            return None
        _alias, cls, constants, groups = self._plans[found.lastindex]
        values: dict[str, Any] = dict(constants)
        for group, name, number in groups:
            start, end = found.span(group)
            value = text[start:end] if start >= 0 else ""
            if value and name not in values:
                values[name] = _integer(value) if number else "" if value == NULL_ADDRESS else value
        if self.header.pairs:
            named = named_fields(line.body, self.header.pairs, cls)
            if "text" in named and "text" in values:
                named["text"] = f"{values['text']}: {named['text']}"
            values |= named
        envelope = line.envelope
        if envelope is not None:
            values.setdefault("time", envelope.time)
            values.setdefault("host", envelope.host)
            values.setdefault("agent", envelope.program)
            values.setdefault("pid", envelope.pid)
        last = line.last if line.last != line.number else None
        return cls(place=Place(source, line.number), last_line=last, format=self.name, **values)


# An IPv4 address that somebody made unreadable, wholly or in part: "x.x.x.x", "203.0.113.xxx", "***.***.***.***".
_HIDDEN = re.compile(
    r"(?<![\w.*-])(?=[0-9.]{0,12}[xX*])(?:[0-9]{1,3}|[xX]{1,3}|\*{1,3})(?:\.(?:[0-9]{1,3}|[xX]{1,3}|\*{1,3})){3}(?![\w*]|\.\w)"
)
_ZEROS = str.maketrans("xX*", "000")


def shown(text: str) -> str:
    """*text* with zeros in hidden addresses, letter for letter: it is read as it was, and its fields are cut from *text* itself."""
    if "x." not in text and "X." not in text and "*." not in text and ".x" not in text and ".X" not in text and ".*" not in text:
        return text
    return _HIDDEN.sub(lambda found: found[0].translate(_ZEROS), text)


NULL_ADDRESS = "<>"  # the null sender is an empty address, which is not an unknown one


def _integer(value: str) -> int | None:
    return int(value) if value.isascii() and value.lstrip("-").isdigit() and len(value) < 19 else None


_VIEWS = {"client": "sending", "server": "receiving"}


class Formats:
    """All formats known, by name, in the order of their names.  *stamp* changes when they do; None where that cannot be told."""

    def __init__(self, everything: Iterable[Format], stamp: str | None = None) -> None:
        everything = list(everything)
        self.stamp = stamp
        self.envelopes = [f for f in everything if f.header.over == "envelope"]
        self.all = {f.name: f for f in everything if f.header.over != "envelope"}
        self.prose = sorted((f for f in everything if f.header.over == "prose"), key=lambda f: -f.header.rank)

    def __getitem__(self, name: str) -> Format:
        return self.all[name]

    @cached_property
    def software(self) -> dict[str, str | None]:
        """What writes each format."""
        return {name: f.header.software for name, f in self.all.items()}

    @cached_property
    def views(self) -> dict[str, str | None]:
        """On which side of a session each format stands."""
        return {name: _VIEWS.get(f.header.view or "") for name, f in self.all.items()}


@lru_cache(maxsize=4)
def load_formats(extra: tuple[str, ...] = ()) -> Formats:
    """The shipped formats and those in the folders *extra*.  Raises `InvalidKnowledge`, `MissingData`."""
    stamp = FORMAT_FOLDERS.stamp(extra)
    if stamp is not None and (heads := cache.load_for("formats", stamp, list[Head])) is not None:
        return Formats(map(Format, heads), stamp)
    texts = FORMAT_FOLDERS.texts(extra)
    made = [compile_format(name, texts) for name in names_in(texts)]
    made = [(msgspec.structs.replace(head, hooks=_hooks(head)), compiled) for head, compiled in made]
    if stamp is not None:
        cache.save_for("formats", stamp, [head for head, _ in made])
    return Formats((Format(head, compiled) for head, compiled in made), stamp)


def names_in(texts: dict[str, str]) -> list[str]:
    """The grammars among *texts* that are formats: those with a header."""
    return sorted(name for name, text in texts.items() if text.lstrip().startswith("//-"))


def compile_format(name: str, texts: dict[str, str]) -> tuple[Head, Compiled]:
    """Header and fused expression of grammar *name*.  Raises `InvalidKnowledge`."""
    key = cache.key(*_needed(name, texts), *resources.sources("formats", "fuse", "groups", "load"))
    if (kept := _kept(name, key)) is not None:
        return kept
    import fnmatch

    from analyzer.formats.fuse import fuse

    header = read_header(name, texts[name])
    fused = fuse(build_lark(name, texts), f"{name}.lark")
    check(name, header, fused)
    head = Head(
        name,
        header,
        key,
        programs="|".join(fnmatch.translate(p) for p in header.programs),
        wakes=_wakes(fused.literals.values()),
        begins=fused.begins,
        bare_wakes=tuple(sorted({texts[0] for alias in header.bare for texts in fused.literals.get(alias, ()) if texts})),
    )
    numbers = numbers_of(fused.kinds)
    compiled = Compiled(fused.pattern, fused.kinds, numbers, code_of(fused.pattern, re.ASCII, numbers))
    cache.save(f"grammar-{name}", key, msgspec.msgpack.encode((head, compiled)))
    return head, compiled


def _kept(name: str, key: str) -> tuple[Head, Compiled] | None:
    packed = cache.load(f"grammar-{name}", key)
    if packed is not None:
        with contextlib.suppress(msgspec.MsgspecError):  # a damaged cache costs time only
            return msgspec.msgpack.decode(packed, type=tuple[Head, Compiled])
    return None


def _needed(name: str, texts: dict[str, str]) -> list[str]:
    """The texts of grammar *name* and of all that it imports."""
    found: dict[str, str] = {}
    todo = [name]
    while todo:
        here = todo.pop()
        if here not in found and here in texts:
            found[here] = texts[here]
            todo += [_imported(n, texts) for n in re.findall(r"(?m)^%import (\w+)\.", texts[here])]
    return [part for pair in sorted(found.items()) for part in pair]


def _imported(name: str, texts: dict[str, str]) -> str:
    """The grammar that `%import` names, in which Lark knows no hyphens: `exim_main` is exim-main.lark."""
    return name if name in texts else name.replace("_", "-")


def _wakes(literals: Iterable[tuple[tuple[str, ...], ...]]) -> tuple[str, ...] | None:
    """Texts of which one stands in every line; None where some line has none."""
    every = [texts for alternatives in literals for texts in alternatives]
    return tuple(sorted({texts[0] for texts in every})) if all(every) else None


def _module(header: Header, name: str) -> ModuleType | None:
    """The module of a format, found by name."""
    path = f"analyzer.formats.hooks.{header.hook or name.replace('-', '_')}"
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            return None
        raise


def _hooks(head: Head) -> tuple[str, ...]:
    module = _module(head.header, head.name)
    return tuple(name for name in ("claim", "weight", "events") if hasattr(module, name))


def read_header(name: str, text: str) -> Header:
    """The header of a grammar.  Raises `InvalidKnowledge` with the place of the mistake."""
    import yaml

    lines = text.splitlines()
    block = "\n".join(line[3:] if line.startswith("//-") else "" for line in lines)
    try:
        return msgspec.convert(yaml.safe_load(block), Header, strict=False)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{mark.line + 1}:{mark.column + 4}" if mark else "1:1"
        raise InvalidKnowledge(f"{name}.lark:{where}: {error.problem}") from None
    except msgspec.ValidationError as error:
        raise InvalidKnowledge(f"{name}.lark:1:1: {error}") from None


class _Finder:
    """Finds imported grammars among *texts*, by name."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def __call__(self, _base: object, path: str) -> tuple[str, str]:
        name = _imported(path.removesuffix(".lark"), self.texts)
        if name not in self.texts:
            raise OSError(path)
        return path, self.texts[name]


def build_lark(name: str, texts: dict[str, str]) -> Lark:
    """Lark's own parser for grammar *name*: the reference that the fused expression must equal."""
    from lark import Lark
    from lark.exceptions import LarkError

    try:
        return Lark(
            texts[name],
            parser="lalr",
            lexer="contextual",
            maybe_placeholders=False,
            import_paths=[_Finder(texts)],
            g_regex_flags=re.ASCII,
        )
    except LarkError as error:
        raise InvalidKnowledge(f"{name}.lark:1:1: {str(error).splitlines()[0]}") from None


def check(name: str, header: Header, fused: Fused) -> None:
    """Aliases and terminals against the vocabulary.  Raises `InvalidKnowledge` with suggestions."""
    if header.over == "envelope":
        return
    problems = _bad_words(name, header)
    for alias, fields in fused.kinds.values():
        constants = dict(header.kinds.get(alias, {}))
        kind = constants.pop("kind", alias)
        if kind not in KINDS:
            problems.append(f"{name}.lark:1:1: rule {alias}: no event kind `{kind}`{_near(kind, KINDS)}")
            continue
        known = {f.name for f in msgspec.structs.fields(KINDS[kind])}
        problems += [
            f"{name}.lark:1:1: `{alias}` ({kind}) has no field `{field}`{_near(field, known)}"
            for field in {f for _, f in fields} | constants.keys()
            if field not in known
        ]
    every = {f.name for cls in KINDS.values() for f in msgspec.structs.fields(cls)}
    problems += [
        f"{name}.lark:1:1: pairs: no event has a field `{field}`{_near(field, every)}"
        for fields in header.pairs.values()
        for field in fields
        if field not in every
    ]
    if problems:
        raise InvalidKnowledge("\n".join(sorted(set(problems))))


def _bad_words(name: str, header: Header) -> list[str]:
    found = []
    for group, expressions in header.words.items():
        for expression in expressions:
            try:
                re.compile(expression)
            except re.error as error:
                found.append(f"{name}.lark:1:1: words `{group}`: {expression!r}: {error}")
    return found


def _near(word: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean `{close[0]}`?" if close else ""
