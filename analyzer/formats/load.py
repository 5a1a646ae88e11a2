"""A grammar file, its header and its rules, as a `Format` that reads lines."""

from __future__ import annotations

import difflib
import fnmatch
import re
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import msgspec

from analyzer import cache
from analyzer.errors import InvalidKnowledge
from analyzer.formats import FORMAT_FOLDERS
from analyzer.formats.pairs import named_fields
from analyzer.model.events import INTEGERS, KINDS, Event
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from lark import Lark

    from analyzer.formats.fuse import Fused
    from analyzer.model.capture import Line


def quick_compile(name: str, pattern: str) -> re.Pattern[str]:
    """*pattern*, compiled; its compiled form comes from the cache, since Python takes 100 ms for a large one.

    What is kept is the code that `re` itself makes, checked by `re` when it is loaded, keyed by Python's exact version.
    """
    import _sre  # type: ignore[import-not-found]
    from array import array

    key = cache.key("expression", pattern)
    if (kept := cache.load(f"re-{name}", key)) is not None:
        try:
            flags, groups, code = msgspec.msgpack.decode(kept, type=tuple[int, int, bytes])
            return cast("re.Pattern[str]", _sre.compile(pattern, flags, array("I", code).tolist(), groups, {}, (None,) * (groups + 1)))
        except (msgspec.MsgspecError, ValueError, TypeError, RuntimeError, OverflowError):
            pass  # another build of Python, or a damaged file
    found = re.compile(pattern, re.ASCII)
    try:
        from re import _compiler, _parser

        packed = array("I", _compiler._code(_parser.parse(pattern, re.ASCII), re.ASCII)).tobytes()
    except (ImportError, AttributeError, OverflowError):
        return found
    cache.save(f"re-{name}", key, msgspec.msgpack.encode((found.flags, found.groups, packed)))
    return found


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
    wakes: str | None = None  # an expression found in every line that is not weak: without it the format is not looked at
    bare: tuple[str, ...] = ()  # over log: aliases that are also told without stamp and program
    distinct: bool = False  # over text: no prose looks like it, so that its noise alone is told as well
    rank: int = 0  # higher wins where two formats claim a line equally
    hook: str | None = None  # module of analyzer/formats/hooks, where not the format's own name
    pairs: dict[str, tuple[str, ...]] = {}  # a key that lines name in themselves -> fields: the first that the event has is meant
    refs: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    about: str = ""  # prose for the documentation
    words: dict[str, tuple[str, ...]] = {}  # name -> expressions that the hook looks for: set phrases, labels, in all languages


class Compiled(msgspec.Struct, frozen=True):
    """What the cache keeps of one grammar."""

    name: str
    header: Header
    pattern: str
    kinds: dict[int, tuple[str, tuple[tuple[int, str], ...]]]
    literals: dict[str, tuple[tuple[str, ...], ...]]


class Format:
    """One grammar, ready to read lines."""

    def __init__(self, compiled: Compiled) -> None:
        self.name = compiled.name
        self.header = compiled.header
        self.compiled = compiled
        self._weak = frozenset(compiled.header.weak)
        self._words: dict[str, re.Pattern[str]] = {}
        self._plans: dict[int, tuple[str, type[Event], dict[str, Any], tuple[tuple[int, str, bool], ...]]] = {}
        for marker, (alias, fields) in compiled.kinds.items():
            constants: dict[str, Any] = dict(compiled.header.kinds.get(alias, {}))
            kind = constants.pop("kind", alias)
            if kind not in KINDS:
                continue  # the envelope's own alias
            numbers = INTEGERS[kind]
            for name in numbers & constants.keys():
                constants[name] = int(constants[name])
            self._plans[marker] = (
                alias,
                KINDS[kind],
                constants,
                tuple((group, name, name in numbers) for group, name in fields),
            )

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The fused expression; match it against a whole line."""
        return quick_compile(self.name, self.compiled.pattern)

    @cached_property
    def regex_bytes(self) -> re.Pattern[bytes]:
        """The same for bytes, as logs are read in bulk."""
        return re.compile(self.compiled.pattern.encode("utf-8"))

    def words(self, name: str) -> re.Pattern[str]:
        """One expression for the header's *words* of that name, in any case."""
        if name not in self._words:
            self._words[name] = re.compile(f"(?i)(?:{'|'.join(self.header.words[name])})")
        return self._words[name]

    @cached_property
    def wakes(self) -> tuple[str, ...] | None:
        """Texts of which one stands in every line of this format; None where some line has none."""
        found: set[str] = set()
        for alternatives in self.compiled.literals.values():
            for literals in alternatives:
                if not literals:
                    return None
                found.add(literals[0])
        return tuple(sorted(found))

    def may_be_in(self, text: str) -> bool:
        """Whether some line of *text* may be this format's, told without its whole expression."""
        if self.header.wakes is not None:
            return re.search(self.header.wakes, text, re.MULTILINE) is not None
        return self.wakes is None or any(w in text for w in self.wakes)

    @cached_property
    def bare_wakes(self) -> tuple[str, ...]:
        """Texts of which one stands in every line of the aliases that need no envelope."""
        found = {texts[0] for alias in self.header.bare for texts in self.compiled.literals.get(alias, ()) if texts}
        return tuple(sorted(found))

    @cached_property
    def hook(self) -> ModuleType | None:
        """The module that does what the grammar cannot say, found by name."""
        name = self.header.hook or self.name.replace("-", "_")
        try:
            return import_module(f"analyzer.formats.hooks.{name}")
        except ModuleNotFoundError as error:
            if error.name == f"analyzer.formats.hooks.{name}":
                return None
            raise

    def takes(self, program: str | None) -> bool:
        """Whether lines of *program* may be this format's."""
        if program is None:
            return not self.header.programs
        return any(fnmatch.fnmatchcase(program.lower(), p) for p in self.header.programs)

    def alias_of(self, text: str) -> str | None:
        """The alias that reads *text*, or None."""
        found = self.regex.match(text)
        return self.compiled.kinds[found.lastindex][0] if found and found.lastindex else None

    def says(self, text: str) -> bool:
        """Whether *text* is a line of this format that is more than noise, and no mere continuation of one."""
        alias = self.alias_of(text)
        kind = self.header.kinds.get(alias or "", {})
        return alias is not None and kind.get("kind", alias) != "noise" and kind.get("rtype") != "more"

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
        found = self.regex.match(text)
        if not found or not found.lastindex:
            return None
        alias, groups = self.compiled.kinds[found.lastindex]
        values: dict[str, str] = {}
        for group, name in groups:
            if name not in values and (value := found.group(group)):
                values[name] = value
        return alias, values

    def event(self, line: Line, source: int) -> Event | None:
        """The event on *line*, or None where this format cannot read it."""
        found = self.regex.match(line.body)
        if not found or not found.lastindex:
            return None
        _alias, cls, constants, groups = self._plans[found.lastindex]
        values: dict[str, Any] = dict(constants)
        for group, name, number in groups:
            value = found.group(group)
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


NULL_ADDRESS = "<>"  # the null sender is an empty address, which is not an unknown one


def _integer(value: str) -> int | None:
    return int(value) if value.isascii() and value.lstrip("-").isdigit() and len(value) < 19 else None


class Formats:
    """All formats known, by name, in the order of their names."""

    def __init__(self, compiled: Iterable[Compiled]) -> None:
        everything = [Format(c) for c in compiled]
        self.envelopes = [f for f in everything if f.header.over == "envelope"]
        self.all = {f.name: f for f in everything if f.header.over != "envelope"}
        self.prose = sorted((f for f in everything if f.header.over == "prose"), key=lambda f: -f.header.rank)

    def __getitem__(self, name: str) -> Format:
        return self.all[name]


@lru_cache(maxsize=4)
def load_formats(extra: tuple[str, ...] = ()) -> Formats:
    """The shipped formats and those in the folders *extra*.  Raises `InvalidKnowledge`, `MissingData`."""
    texts = FORMAT_FOLDERS.texts(extra)
    content = cache.key(*(part for pair in sorted(texts.items()) for part in pair), "graph")
    decoder = msgspec.msgpack.Decoder(list[Compiled])
    if (packed := cache.load("formats", content)) is not None:
        try:
            return Formats(decoder.decode(packed))
        except msgspec.MsgspecError:
            pass  # a damaged cache costs time only
    compiled = [compile_format(name, texts) for name in sorted(texts) if texts[name].lstrip().startswith("//-")]
    cache.save("formats", content, msgspec.msgpack.encode(compiled))
    return Formats(compiled)


def compile_format(name: str, texts: dict[str, str]) -> Compiled:
    """Header and fused expression of grammar *name*.  Raises `InvalidKnowledge`."""
    from analyzer.formats.fuse import fuse

    header = read_header(name, texts[name])
    lark = build_lark(name, texts)
    fused: Fused = fuse(lark, f"{name}.lark")
    check(name, header, fused)
    return Compiled(name, header, fused.pattern, fused.kinds, fused.literals)


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
        name = path.removesuffix(".lark")
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
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean `{close[0]}`?" if close else ""
