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
MOST_FILES = 200  # of a folder
MOST_LINES = 250_000  # of one case: a minute, and a gigabyte


def knowledge(parser: argparse.ArgumentParser) -> None:
    """The options that add rules and grammars."""
    parser.add_argument("--rules", action="append", default=[], metavar="DIR", help="add the rules in DIR (repeatable)")
    parser.add_argument("--grammars", action="append", default=[], metavar="DIR", help="add the formats in DIR (repeatable)")


def sources(names: list[str]) -> list[Source]:
    """What to read.  Raises `UnreadableInput`."""
    if not names:
        if sys.stdin is not None and sys.stdin.isatty():
            print("mailwhy: paste the capture, then press Ctrl-D", file=sys.stderr)
        names = ["-"]
    return [_source(file) for name in names for file in _files(name)]


def _files(name: str) -> list[str]:
    """*name*, or the files of the folder that it is, in order: bounces that were saved one by one."""
    if name == "-" or not os.path.isdir(name):
        return [name]
    try:
        found = sorted(e.path for e in os.scandir(name) if e.is_file() and not e.name.startswith("."))
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror}") from None
    if not 0 < len(found) <= MOST_FILES:
        raise UnreadableInput(f"{name}: is a folder of {len(found)} files; name those of one case, or use `mailwhy batch {name}` for logs")
    return found


def _source(name: str) -> Source:
    try:
        if name == "-":
            name = "stdin"
            if sys.stdin is None:
                raise UnreadableInput("standard input is closed")
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with open(name, "rb") as file:  # a device or a pipe does not say how long it is
                data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MOST_BYTES:
        raise UnreadableInput(f"{name}: larger than {MOST_BYTES >> 20} MB; use `mailwhy batch` for logs")
    if data.count(b"\n") > MOST_LINES:
        raise UnreadableInput(f"{name}: more than {MOST_LINES:,} lines; use `mailwhy batch` for logs, or name the lines of one message")
    return Source(name, data)
