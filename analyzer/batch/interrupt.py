"""Ctrl-C where nothing is half done: a sum that was left in the middle would tell a lie, or break what adds to it."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_depth = 0  # of the `whole` pieces of work under way
_kept = False  # an interrupt came meanwhile


def listen() -> None:
    """Interrupts as `KeyboardInterrupt`, but not within `whole`; also where a shell started us with them ignored."""
    global _kept  # noqa: PLW0603
    _kept = False
    signal.signal(signal.SIGINT, _come)


@contextmanager
def whole() -> Iterator[None]:
    """A short piece of work that is done to its end; an interrupt that came meanwhile is raised behind it."""
    global _depth, _kept  # noqa: PLW0603
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
    if _kept and not _depth:
        _kept = False
        raise KeyboardInterrupt


def _come(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (as `signal.signal` wants it)
    global _kept  # noqa: PLW0603
    if not _depth:
        raise KeyboardInterrupt
    _kept = True
