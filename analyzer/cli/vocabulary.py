"""mailwhy vocabulary"""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING

import msgspec

from analyzer.model.case import THINGS
from analyzer.model.events import KINDS, Event

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def arguments(_parser: argparse.ArgumentParser) -> None:
    """The command has no options."""


def run(_options: argparse.Namespace) -> int:
    """Print the vocabulary as Markdown."""
    print("\n".join(vocabulary()))
    return 0


def vocabulary() -> Iterator[str]:
    """The kinds of events and of things, their fields and types, in Markdown."""
    yield "# Vocabulary\n\nA field that is not shown is absent, and absent means unknown.\n\n## Events"
    common = {f.name for f in msgspec.structs.fields(Event)}
    for kind, cls in KINDS.items():
        yield from _page(kind, cls, common)
    yield "\n## Things"
    for name, (_, thing) in THINGS.items():
        yield from _page(name, thing, set())


def _page(name: str, cls: type[msgspec.Struct], without: set[str]) -> Iterator[str]:
    yield f"\n### {name}\n\n{inspect.getdoc(cls)}\n"
    for field in msgspec.structs.fields(cls):
        if field.name not in without:
            yield f"- `{field.encode_name}`: {_type(field.type)}"


def _type(kind: object) -> str:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join(_type(a) for a in typing.get_args(kind) if a is not type(None))
    if typing.get_origin(kind) is tuple:
        return "list of " + _type(typing.get_args(kind)[0])
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(kind, getattr(kind, "__name__", str(kind)))  # type: ignore[call-overload,no-any-return]
