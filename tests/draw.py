"""Samples drawn by their names' hashes, so that a new sample adds itself and moves no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def _place(*words: str) -> int:
    return crc32("\0".join(words).encode())


def share(things: Iterable[T], one_in: int, name: Callable[[T], str]) -> list[T]:
    """One in so many of *things*, by their names."""
    return [x for x in things if _place(name(x)) % one_in == 0]


def some(things: Iterable[T], count: int, name: Callable[[T], str], seed: str = "") -> list[T]:
    """*count* of *things*, or all where there are not so many, in an order of the *seed*'s own."""
    return sorted(things, key=lambda x: _place(seed, name(x)))[:count]


def pairs(things: list[T], count: int, name: Callable[[T], str], seed: str) -> list[tuple[T, T]]:
    """*count* pairs of different things: to each of *some* the one that its name meets first."""
    return [
        (a, min((b for b in things if b is not a), key=lambda b: _place(seed, name(a), name(b)))) for a in some(things, count, name, seed)
    ]
