"""Loads what `rules/` says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """What the cache keeps of a `RuleBook`: of all that it holds, a capture needs a small part."""

    rules: tuple[bytes, ...]
    faults: dict[str, bytes]
    index: Index
    grams: dict[str, bytes]  # the index's own
    guards: dict[int, bytes]  # the index's own
    captures: tuple[CaptureHint, ...]
    providers: tuple[tuple[str, tuple[str, ...]], ...]
    adjusted: tuple[Adjustment, ...]
    version: str


class _Rules(Sequence[Rule]):
    """Rules, each unpacked when it is asked for."""

    def __init__(self, packed: tuple[bytes, ...]) -> None:
        self._packed = packed
        self._known: dict[int, Rule] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(self[n] for n in range(len(self))[at])
        found = self._known.get(at)
        if found is None:
            found = self._known[at] = msgspec.msgpack.decode(self._packed[at], type=Rule)
        return found


class _Table(Mapping[_K, _T]):
    """A table, each value unpacked when it is asked for."""

    def __init__(self, packed: dict[_K, bytes], kind: Any) -> None:
        self._packed, self._kind = packed, kind
        self._known: dict[_K, _T] = {}

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

    def get(self, name: _K, default: Any = None) -> Any:
        return self[name] if name in self._packed else default


@lru_cache(maxsize=4)
def load_rules(extra: tuple[str, ...] = ()) -> RuleBook:
    """The shipped rules and those in the folders *extra*.  Raises `InvalidKnowledge` with every mistake, `MissingData`."""
    shipped = resources.path_of("rules")
    stamp = None
    if shipped is not None and all(map(os.path.isdir, extra)):
        stamp = f"{__version__} {sys.version}\n{resources.stamp(shipped, *extra, *resources.own('rulebook', 'model'))}"
        if (packed := cache.load_for("rules", stamp, _Packed)) is not None:
            return _unpacked(packed)
    book, mistakes = compile_rules(rule_texts(extra))
    if mistakes:
        raise InvalidKnowledge("\n".join(map(str, mistakes)))
    if stamp is not None:
        cache.save_for("rules", stamp, _pack(book))
    return book


def _pack(book: RuleBook) -> _Packed:
    encode = msgspec.msgpack.encode
    return _Packed(
        rules=tuple(encode(rule) for rule in book.rules),
        faults={name: encode(fault) for name, fault in book.faults.items()},
        index=msgspec.structs.replace(book.index, grams={}, guards={}),
        grams={gram: encode(texts) for gram, texts in book.index.grams.items()},
        guards={number: encode(guards) for number, guards in book.index.guards.items()},
        captures=book.captures,
        providers=book.providers,
        adjusted=book.adjusted,
        version=book.version,
    )


def _unpacked(packed: _Packed) -> RuleBook:
    return RuleBook(
        rules=_Rules(packed.rules),
        faults=_Table[str, Fault](packed.faults, Fault),
        index=msgspec.structs.replace(
            packed.index,
            grams=_Table[str, Any](packed.grams, _GRAMS),
            guards=_Table[int, Any](packed.guards, _GUARDS),
        ),
        captures=packed.captures,
        providers=packed.providers,
        adjusted=packed.adjusted,
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
