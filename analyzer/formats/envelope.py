"""What a log daemon or a container wrote around a line, told apart by the grammars over `envelope`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.journal import opened
from analyzer.model.capture import Envelope

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.capture import Line

_MOST_WRAPPERS = 4
_INDENTED = re.compile(
    r" {1,8}(?=[0-9]{2}:[0-9]{2}:[0-9]{2} |[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]|[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9]{2}:)"
)  # the first line of a selection
_REPEATED = re.compile(r": *message repeated [0-9]{1,9} times: \[")  # what rsyslog writes around a line said again


def enveloped(line: Line, formats: Formats) -> Line:
    """*line* with what a log daemon or a container runtime wrote around it told apart."""
    whole = line.text.lstrip(" ") if _INDENTED.match(line.text) else line.text
    text, found = opened(whole) if whole.startswith("{") else (whole, None)
    for _ in range(_MOST_WRAPPERS):
        for wrapper in formats.envelopes:
            fields = wrapper.fields(text)
            if fields is not None:
                break
        else:
            break
        values = fields[1]
        message = values.get("message", "")
        if message.endswith("]") and _REPEATED.search(text):
            message = message[:-1].rstrip()
        text = message
        old = found or Envelope()
        program = values.get("program") or values.get("program_tag")
        found = Envelope(
            time=values.get("time") or old.time,
            host=values.get("host_of") or values.get("host") or old.host,
            program=program or old.program,
            pid=values.get("pid") if program else old.pid,
            message=text,
        )
    if found is None or (found.program is None and found.time is None and found.message == line.text):
        return line
    if found.program is None and found.time is not None and _is_a_whole_row(line.text, formats):
        return line
    if found.program is None:
        return msgspec.structs.replace(line, text=found.message)  # only a container's prefix
    if found.pid is None and _has_own_stamp(line.text, found.program, formats):
        return line
    return msgspec.structs.replace(line, envelope=found)


def _is_a_whole_row(text: str, formats: Formats) -> bool:
    """Whether *text* is whole as it stands: a row of software whose columns begin with the stamp."""
    return "\t" in text and any(f.header.over == "text" and f.header.distinct and f.weight(text) for f in formats.all.values())


def _has_own_stamp(text: str, program: str, formats: Formats) -> bool:
    """Whether *text* is whole as it stands: software that writes its own stamp, whose first words looked like a program's name."""
    of_programs = [f for f in formats.all.values() if f.header.programs]
    if any(f.takes(program) for f in of_programs):
        return False
    return any(f.header.over == "text" and f.weight(text) for f in of_programs)
