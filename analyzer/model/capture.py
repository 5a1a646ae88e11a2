"""What was pasted: sources, their lines, and which lines belong together."""

from __future__ import annotations

import msgspec

from analyzer.model.events import Event


class Source(msgspec.Struct, frozen=True):
    """Something to read: its name as the user knows it, and its bytes."""

    name: str
    data: bytes


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What a log daemon, a journal or a container runtime wrote around a program's own words.

    *time* is the text of the stamp; *column* is where *message* starts in the line.
    """

    time: str | None = None
    host: str | None = None
    program: str | None = None
    pid: str | None = None
    message: str = ""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line as a program printed it, quoting and terminal codes removed.

    *number* is the user's own line number (the first one, where wrapped lines were joined; *last* is the last one);
    *raw* is what stands there.
    """

    number: int
    text: str
    raw: str
    last: int
    envelope: Envelope | None = None

    @property
    def body(self) -> str:
        """The program's own words: the message of a log line, else the whole text."""
        return self.envelope.message if self.envelope else self.text


class Capture(msgspec.Struct, frozen=True):
    """One source, read.  *notes* say what was done to it (encoding, quoting removed)."""

    source: int
    name: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    newest_first: bool = False  # a log viewer's order


class Segment(msgspec.Struct, frozen=True):
    """Successive lines (others may lie between) of one format; *format* is None for prose."""

    source: int
    format: str | None
    lines: tuple[Line, ...]
    score: float = 0.0


class Parsed(msgspec.Struct, frozen=True):
    """A segment, read: its events, the numbers of the lines that its format could not read, and of those that are a person's words."""

    segment: Segment
    events: tuple[Event, ...]
    unrecognised: tuple[int, ...] = ()
    prose: tuple[int, ...] = ()
    error: str | None = None  # the format itself failed on this segment
