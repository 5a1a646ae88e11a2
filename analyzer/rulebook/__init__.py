"""Loads what `rules/` says."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import msgspec

from analyzer import __version__, cache, resources
from analyzer.errors import InvalidKnowledge, MissingData
from analyzer.model.place import Mistake
from analyzer.model.rule import Adjustment, CaptureHint, Fault, Guard, Index, Rule, RuleBook

_K = TypeVar("_K")
_T = TypeVar("_T")
_GRAMS: Any = tuple[tuple[str, tuple[int, ...]], ...]
_GUARDS: Any = tuple[Guard, ...]
_PLAIN: Any = tuple[tuple[int, _GUARDS], ...]


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """What the cache keeps of a `RuleBook`: of all that it holds, a capture needs a small part, and a log without failures none."""

    rules: msgspec.Raw
    faults: msgspec.Raw
    captures: msgspec.Raw
    adjusted: msgspec.Raw
    plain: msgspec.Raw  # the index's own, as the following
    guards: msgspec.Raw
    grams: msgspec.Raw
    values: dict[str, dict[str, tuple[int, ...]]]
    silent: tuple[int, ...]
    providers: tuple[tuple[str, tuple[str, ...]], ...]
    version: str


class _List(Sequence[_T]):
    """Values, each unpacked when it is asked for."""

    def __init__(self, packed: msgspec.Raw, kind: Any) -> None:
        self._raw, self._kind = packed, kind
        self._known: dict[int, _T] = {}

    @cached_property
    def _packed(self) -> tuple[memoryview, ...]:
        return msgspec.msgpack.decode(self._raw, type=tuple[memoryview, ...])

    @cached_property
    def _decode(self) -> Callable[[memoryview], _T]:
        return msgspec.msgpack.Decoder(self._kind).decode

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(self[n] for n in range(len(self))[at])
        found = self._known.get(at)
        if found is None:
            found = self._known[at] = self._decode(self._packed[at])
        return found


class _Table(Mapping[_K, _T]):
    """A table, each value unpacked when it is asked for."""

    def __init__(self, packed: msgspec.Raw, key: type[_K], kind: Any) -> None:
        self._raw, self._key, self._kind = packed, key, kind
        self._known: dict[_K, _T] = {}

    @cached_property
    def _packed(self) -> dict[_K, bytes]:
        return msgspec.msgpack.decode(self._raw, type=dict[self._key, bytes])  # type: ignore[name-defined]

    @cached_property
    def _decode(self) -> Callable[[bytes], _T]:
        return msgspec.msgpack.Decoder(self._kind).decode

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[_K]:
        return iter(self._packed)

    def __contains__(self, name: object) -> bool:
        return name in self._packed

    def __getitem__(self, name: _K) -> _T:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._decode(self._packed[name])
        return found

    def keys(self) -> KeysView[_K]:
        return self._packed.keys()

    def get(self, name: _K, default: Any = None) -> Any:
        found = self._known.get(name)
        return found if found is not None else self[name] if name in self._packed else default


@lru_cache(maxsize=4)
def load_rules(extra: tuple[str, ...] = ()) -> RuleBook:
    """The shipped rules and those in the folders *extra*.  Raises `InvalidKnowledge` with every mistake, `MissingData`."""
    shipped = resources.path_of("rules")
    stamp = None
    if shipped is not None and all(map(os.path.isdir, extra)):
        stamp = f"{__version__} {sys.version}\n{resources.stamp(shipped, *extra, *resources.own('rulebook', 'model'))}"
        key = cache.load_for("rules", stamp, str)
        if key is not None and (book := _kept(key)) is not None:
            return book
    texts = rule_texts(extra)
    key = cache.key(*(part for text in texts for part in text), *resources.sources("rulebook"), *resources.sources("model"))
    book = _kept(key)
    if book is None:
        book, mistakes = compile_rules(texts)
        if mistakes:
            raise InvalidKnowledge("\n".join(map(str, mistakes)))
        cache.save("rulebook", key, msgspec.msgpack.encode(_pack(book)))
    if stamp is not None:
        cache.save_for("rules", stamp, key)
    return book


def _kept(key: str) -> RuleBook | None:
    packed = cache.load("rulebook", key)
    if packed is not None:
        with contextlib.suppress(msgspec.MsgspecError):  # a damaged cache costs time only
            return _unpacked(msgspec.msgpack.decode(packed, type=_Packed))
    return None


def _pack(book: RuleBook) -> _Packed:
    index = book.index
    return _Packed(
        rules=_packed(book.rules),
        faults=_packed(book.faults),
        captures=_packed(book.captures),
        adjusted=_packed(book.adjusted),
        plain=_packed(index.plain),
        guards=_packed(index.guards),
        grams=_packed(index.grams),
        values=index.values,
        silent=index.silent,
        providers=book.providers,
        version=book.version,
    )


def _packed(values: Sequence[Any] | Mapping[Any, Any]) -> msgspec.Raw:
    """For a `_List` or a `_Table`."""
    encode = msgspec.msgpack.encode
    if isinstance(values, Mapping):
        return msgspec.Raw(encode({name: encode(value) for name, value in values.items()}))
    return msgspec.Raw(encode([encode(value) for value in values]))


def _unpacked(packed: _Packed) -> RuleBook:
    return RuleBook(
        rules=_List[Rule](packed.rules, Rule),
        faults=_Table[str, Fault](packed.faults, str, Fault),
        index=Index(
            plain=_Table[str, Any](packed.plain, str, _PLAIN),
            guards=_Table[int, Any](packed.guards, int, _GUARDS),
            grams=_Table[str, Any](packed.grams, str, _GRAMS),
            values=packed.values,
            silent=packed.silent,
        ),
        captures=_List[CaptureHint](packed.captures, CaptureHint),
        providers=packed.providers,
        adjusted=_List[Adjustment](packed.adjusted, Adjustment),
        version=packed.version,
    )


def rule_texts(extra: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """``(path, text)`` of every rule file: ours as ``rules/...``, the user's as they are named."""
    from pathlib import Path

    found = [(f"rules/{path}", text) for path, text in resources.walk(resources.folder("rules"), ".yaml")]
    for folder in extra:
        if not Path(folder).is_dir():
            raise MissingData(f"{folder}: no such folder of rules")
        found += [(f"{folder}/{path}", text) for path, text in resources.walk(Path(folder), ".yaml")]
    return found


def compile_rules(texts: list[tuple[str, str]]) -> tuple[RuleBook, list[Mistake]]:
    """A `RuleBook` of *texts*, and every mistake in them."""
    from analyzer.rulebook.load import compile_rules as compile_

    return compile_(texts)
