"""Files and standard input as sources; options that several commands share."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from analyzer.errors import UnreadableInput
from analyzer.model.capture import Source

if TYPE_CHECKING:
    import argparse

MOST_BYTES = 256 * 1024 * 1024


def knowledge(parser: argparse.ArgumentParser) -> None:
    """The options that add rules and grammars."""
    parser.add_argument("--rules", action="append", default=[], metavar="DIR", help="add the rules in DIR (repeatable)")
    parser.add_argument("--grammars", action="append", default=[], metavar="DIR", help="add the formats in DIR (repeatable)")


def sources(names: list[str]) -> list[Source]:
    """What to read.  Raises `UnreadableInput`."""
    if not names:
        if sys.stdin.isatty():
            print("mailwhy: paste the capture, then press Ctrl-D", file=sys.stderr)
        names = ["-"]
    return [_source(name) for name in names]


def _source(name: str) -> Source:
    if name == "-":
        return Source("stdin", sys.stdin.buffer.read(MOST_BYTES))
    try:
        if os.path.isdir(name):
            raise UnreadableInput(f"{name}: is a folder; name its files, or use `mailwhy batch {name}` for logs")
        if os.stat(name).st_size > MOST_BYTES:
            raise UnreadableInput(f"{name}: larger than {MOST_BYTES >> 20} MB; use `mailwhy batch {name}` for logs")
        with open(name, "rb") as file:
            return Source(name, file.read())
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror or error}") from None
