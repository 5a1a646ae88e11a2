"""Which lines are which format: every format scores every line, a Viterbi pass chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.formats.envelope import enveloped
from analyzer.marks import speakers
from analyzer.model.capture import Segment
from analyzer.read.prose import is_prose

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analyzer.formats.load import Format, Formats
    from analyzer.model.capture import Capture, Line

_SWITCH = 1.2  # what a change of format must be worth
_TO_LOG = 0.1  # the same to a log line, which says itself whose it is
_TO_PROSE = 0.9  # and what one between a format and prose: a line that only one format writes stands for itself
_MISS = -1.0  # a line that the format cannot read
_OWN_PROGRAM = 0.3  # a log line of the format's program with words that it does not know
_ASIDE = -0.3  # a person's words inside a session
_DATA = 0.6  # message data inside a session
_PROSE = 0.1
_MOST_DATA = 5_000  # lines of message data after a 354 without a final dot


def segment(capture: Capture, formats: Formats) -> list[Segment]:
    """*capture* cut into segments, in the order of their first lines; prose has the format None.  A segment's lines
    are in the order of time.
    """
    lines = prepared(capture, formats)
    taken, segments = claimed(capture, lines, formats)
    rest = [line for i, line in enumerate(lines) if i not in taken]
    runs = _runs(rest, *label(rest, formats), formats)
    if silent := _silent(runs, formats):
        runs = _runs(rest, *label(rest, formats, silent), formats)  # another format may have something to say there
        silent |= _silent(runs, formats)
    segments += [Segment(capture.source, None if name in silent else name, tuple(found), score) for name, found, score in runs]
    if capture.newest_first:
        segments = [msgspec.structs.replace(s, lines=s.lines[::-1]) for s in segments]
    return sorted(segments, key=lambda s: s.lines[0].number if s.lines else 0)


def prepared(capture: Capture, formats: Formats) -> list[Line]:
    """The lines of *capture*, what was written around them told apart."""
    lines = [enveloped(line, formats) for line in capture.lines]
    told = speakers(capture.lines, lines, lambda: [fmt for fmt in awake(lines, formats) if "claim" not in fmt.head.hooks])
    return lines if told is capture.lines else [enveloped(line, formats) for line in told]


def _runs(
    lines: Sequence[Line], labels: Sequence[str | None], scores: Sequence[float], formats: Formats
) -> list[tuple[str | None, list[Line], float]]:
    """Lines that belong together, with their format and score."""
    runs: list[tuple[str | None, list[Line], float]] = []
    logs: dict[str, int] = {}
    for line, name, score in zip(lines, labels, scores, strict=True):
        if name is not None and (formats[name].header.over == "log" or (line.envelope is not None and line.envelope.program)):
            # Log lines of one program belong together, however they are interleaved.
            if name not in logs:
                logs[name] = len(runs)
                runs.append((name, [], 0.0))
            at = logs[name]
        elif runs and runs[-1][0] == name and name not in logs:
            at = len(runs) - 1
        else:
            runs.append((name, [], 0.0))
            at = len(runs) - 1
        runs[at] = (name, [*runs[at][1], line] if not runs[at][1] else _push(runs[at][1], line), runs[at][2] + score)
    return runs


def _silent(runs: Sequence[tuple[str | None, list[Line], float]], formats: Formats) -> set[str]:
    """The text formats of which nothing but noise was found: a "Name: value" in prose looks like many a program's heading.

    A log line that names its program is that program's, whatever it says.
    """
    headers = {name: formats[name].header for name, _, _ in runs if name is not None}
    names = {name for name, header in headers.items() if header.over == "text" and not header.distinct}
    said = {
        name
        for name, lines, _ in runs
        if name in names and any((line.envelope and line.envelope.program) or formats[name].says(line.body) for line in lines)
    }
    return names - said


def _push(lines: list[Line], line: Line) -> list[Line]:
    lines.append(line)
    return lines


def claimed(capture: Capture, lines: list[Line], formats: Formats) -> tuple[set[int], list[Segment]]:
    """Line ranges that a format's own module takes whole (messages, JSON), before any scoring."""
    taken: set[int] = set()
    segments: list[Segment] = []
    text = "\n".join(line.text for line in lines)
    for name, fmt in formats.all.items():
        claim = fmt.hook("claim") if "claim" in fmt.head.hooks and (fmt.header.wakes is None or fmt.may_be_in(text)) else None
        if claim is None:
            continue
        for start, end in claim(lines, fmt):
            span = range(start, end)
            if taken.isdisjoint(span):
                taken.update(span)
                segments.append(Segment(capture.source, name, tuple(lines[start:end]), float(len(span))))
    return taken, segments


def awake(lines: Sequence[Line], formats: Formats) -> list[Format]:
    """The formats of which some line may be: those whose literals occur at all, and of whose lines one begins so."""
    text = "\n".join(line.text for line in lines)
    programs = {line.envelope.program for line in lines if line.envelope}
    full = [line for line in lines if line.text.strip()]
    loose = [line for line in full if line.envelope is None]
    of_nobody = "\n".join(line.text for line in loose)
    found = []
    for fmt in formats.all.values():
        if fmt.header.over == "prose":
            continue
        if fmt.header.over == "log":
            if any(fmt.takes(p) for p in programs if p) or any(w in text for w in fmt.head.bare_wakes) or fmt.may_be_bare_in(of_nobody):
                found.append(fmt)
        elif fmt.header.programs and any(fmt.takes(p) for p in programs if p):
            if fmt.may_be_in(text) and fmt.may_read(full):
                found.append(fmt)
        elif loose and fmt.may_be_in(of_nobody) and fmt.may_read(loose):
            found.append(fmt)
    return found


def may_be(fmt: Format, line: Line) -> bool:
    """Whether *line* stands in what *fmt* is written over."""
    if line.envelope is None:
        return fmt.header.over == "text" or fmt.is_bare(line.text)
    return bool(fmt.header.programs) and fmt.takes(line.envelope.program)


def score(fmt: Format, line: Line) -> float:
    """How well *line* fits *fmt*: 2 for a line that only it writes, less than 0 for one that it cannot read."""
    if not line.text.strip():
        return 0.0
    if not may_be(fmt, line):
        return _MISS
    if "claim" in fmt.head.hooks:
        weight = 0.0  # it takes whole ranges, and no line by itself
    else:
        weigh = fmt.hook("weight")
        weight = weigh(line, fmt) if weigh else fmt.weight(line.body)
    if weight:
        return 2.0 * weight + 0.01 * fmt.header.rank
    return _OWN_PROGRAM if line.envelope is not None and fmt.header.over == "log" and not fmt.header.pasted else _MISS


def label(lines: Sequence[Line], formats: Formats, without: Collection[str] = ()) -> tuple[list[str | None], list[float]]:
    """The best format of each line, None for prose, and its score there; not one of *without*."""
    candidates = [fmt for fmt in awake(lines, formats) if fmt.name not in without]
    names: list[str | None] = [None, *(f.name for f in candidates)]
    table: list[list[float]] = []
    for line in lines:
        blank = not line.text.strip()
        table.append([0.0 if blank else _PROSE, *(score(f, line) for f in candidates)])
    _raise_data(lines, candidates, table)
    _raise_asides(lines, candidates, table)
    best = [0.0] * len(names)
    back: list[list[int]] = []
    for line, emission in zip(lines, table, strict=True):
        top = max(range(len(names)), key=best.__getitem__)
        switch = _SWITCH if line.envelope is None else _TO_LOG
        ways = [(best[top] - (switch if top else _TO_PROSE), top), (best[0] - _TO_PROSE, 0)]
        origin = max(ways)
        came = [origin[1] if origin[0] > best[i] else i for i in range(len(names))]
        if best[top] - _TO_PROSE > best[0]:
            came[0] = top
        best = [
            max(best[0], best[top] - _TO_PROSE) + emission[0],
            *(max(best[i], origin[0]) + emission[i] for i in range(1, len(names))),
        ]
        back.append(came)
    labels: list[str | None] = []
    scores: list[float] = []
    if lines:
        at = max(range(len(names)), key=best.__getitem__)
        for i in range(len(lines) - 1, -1, -1):
            labels.append(names[at])
            scores.append(table[i][at])
            at = back[i][at]
    return labels[::-1], scores[::-1]


def _raise_asides(lines: Sequence[Line], candidates: list[Format], table: list[list[float]]) -> None:
    """What a person wrote between the lines of a session leaves it whole, and so does an answer to 334, whatever it is."""
    for column, fmt in enumerate(candidates, start=1):
        if not fmt.header.session:
            continue
        asked = False
        for i, line in enumerate(lines):
            if not line.text.strip():
                continue
            if table[i][column] == _MISS and line.envelope is None:
                table[i][column] = _DATA if asked else _ASIDE if is_prose(line.text) else _MISS
            asked = table[i][column] > 0 and line.text.startswith("334")


def _raise_data(lines: Sequence[Line], candidates: list[Format], table: list[list[float]]) -> None:
    """Message data is part of the session in which it stands."""
    for column, fmt in enumerate(candidates, start=1):
        if not fmt.header.session:
            continue
        inside = 0
        for i, line in enumerate(lines):
            if inside:
                inside += 1
                ends = line.text.rstrip() == "." or inside > _MOST_DATA or table[i][column] >= 1.9
                table[i][column] = max(table[i][column], _DATA)
                if ends:
                    inside = 0
            elif line.text.startswith("354") and table[i][column] > 0:
                inside = 1
