"""Bytes to a `Capture`."""

from __future__ import annotations

from analyzer.model.capture import Capture, Line, Source
from analyzer.read.backwards import newest_first
from analyzer.read.decode import decode, split_lines
from analyzer.read.terminal import plain
from analyzer.read.unquote import unquote

LONGEST_LINE = 64 * 1024  # characters of one line that are looked at


def read(source: Source, number: int = 0) -> Capture:
    """*source* as lines with the user's own numbers: terminal codes applied, quoting removed, wrapped lines joined."""
    text, encoding = decode(source.data)
    raw = split_lines(text)
    notes = [] if encoding == "utf-8" else [f"read as {encoding}"]
    if any(len(line) > LONGEST_LINE for line in raw):
        notes.append(f"lines longer than {LONGEST_LINE} characters were cut")
        raw = [line[:LONGEST_LINE] for line in raw]
    lines = [Line(i, plain(line), line, i) for i, line in enumerate(raw, start=1)]
    lines, more = unquote(lines)
    back = newest_first(line.text for line in lines)
    if back:
        more.append("the newest line comes first: read from the end")
    return Capture(number, source.name, tuple(lines), (*notes, *more), back)
