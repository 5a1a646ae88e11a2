"""Where something stands."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, gc=False, order=True):
    """A line of a source, as its user counts it: both start at 0 for the source and at 1 for the line."""

    source: int
    line: int


class Mistake(msgspec.Struct, frozen=True, gc=False):
    """A mistake in a grammar or a rule: ``path:line:column: message; did you mean hint?``."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        tail = f"; did you mean `{self.hint}`?" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{tail}"
