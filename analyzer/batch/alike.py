"""Failures that look alike: one of them is read whole, and tried out, and the others are known by what may differ.

A line's form (sift.c) is the line without its tokens: ids, numbers, names, addresses.  What a token tells is learnt by experiment: where
another one in its place, of the same kind of characters, changes nothing that failures are grouped by, it does not matter.  Lines of one
form, with the same tokens that matter, are failures of one group; what differs, their ids and addresses, is cut out of them.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.batch import sift
from analyzer.batch.reader import SLOT, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.batch.reader import Read, Reader
    from analyzer.batch.sift import Token

# What of a line goes into its group by looking it up or cutting it short: it matters, whatever an experiment says.
_MATTER = frozenset(
    SLOT[n] for n in ("relay", "said_by", "server", "status", "code", "enhanced", "stage", "action", "how", "severity", "reason")
)
_TEXT, _RCPT, _ID, _SENDER, _CLIENT = SLOT["text"], SLOT["rcpt_to"], SLOT["queue_id"], SLOT["mail_from"], SLOT["client_ip"]
_NO_FIELD = (-2, 0, 0, 0)
_OTHER = bytes.maketrans(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"3456789012" + b"defghijklmnopqrstuvwxyzabc" + b"DEFGHIJKLMNOPQRSTUVWXYZABC",
)
Span = tuple[int, int]


class Lane(NamedTuple):
    """What is learnt of a form; see `sift.Lanes.learn`."""

    matters: bytes
    fields: bytes


class _Tried(NamedTuple):
    key: Any
    read: Read
    spans: dict[int, Span]  # by `reader.FIELDS`, in the line


def lane_of(line: bytes, reader: Reader, key_of: Callable[[Read], Any]) -> Lane | None:
    """What *line* teaches of its form; *key_of*: the group of a failure.

    None where it is no failure, or where a field ends within a token.
    """
    tokens, tried = sift.tokens_of(line), _tried(line, reader, key_of)
    if tokens is None or tried is None or not (at := line.find(tried.read.stamp, 0, _MOST_AHEAD)) >= 0:
        return None
    wanted = [(at, at + len(tried.read.stamp)), *(tried.spans.get(n) for n in (_ID, _RCPT, _SENDER, _CLIENT))]
    fields = [_NO_FIELD if span is None else _field(span, tokens) for span in wanted]
    if None in fields:
        return None
    must = [tried.spans[n] for n in _MATTER if n in tried.spans]
    if (rcpt := tried.spans.get(_RCPT)) is not None:
        must.append((max(rcpt[0], line.rfind(b"@", *rcpt)), rcpt[1]))
    matters = bytes(
        token.same < 0
        and (any(a < token.end and token.start < z for a, z in must) or not _same_for_others(line, tokens, n, tried, reader, key_of))
        for n, token in enumerate(tokens)
    )
    return Lane(matters, array("h", [n for field in fields if field is not None for n in field]).tobytes())


_MOST_AHEAD = 80  # bytes before a stamp


def _tried(line: bytes, reader: Reader, key_of: Callable[[Read], Any]) -> _Tried | None:
    head, stamp, body = reader.split(line)
    read = reader.of(head, stamp, body)
    if read is None or not failed(read) or not line.endswith(body):
        return None
    found, shift = reader.matcher(read.plan.format)(body), len(line) - len(body)
    spans: dict[int, Span] = {}
    for group, slot in zip(read.plan.groups, read.plan.slots, strict=True):
        if slot not in spans and found[group] and read.plan.constants[slot] is None:
            spans[slot] = found.start(group) + shift, found.end(group) + shift
    return _Tried(key_of(read), read, spans)


def _field(span: Span, tokens: Sequence[Token]) -> tuple[int, int, int, int] | None:
    """Where a field begins and ends: behind which token, and how far behind it."""
    found: list[int] = []
    for at in span:
        if any(t.start < at < t.end for t in tokens):
            return None
        before = max((n for n, t in enumerate(tokens) if t.end <= at), default=-1)
        found += [before, at - (tokens[before].end if before >= 0 else 0)]
    return found[0], found[1], found[2], found[3]


def _same_for_others(
    line: bytes, tokens: Sequence[Token], which: int, tried: _Tried, reader: Reader, key_of: Callable[[Read], Any]
) -> bool:
    """Whether another token in the place of *which*, and wherever else it stands, leaves the failure in its group."""
    old = line[tokens[which].start : tokens[which].end]
    others = [old.translate(_OTHER)]
    text = tried.spans.get(_TEXT)  # where the length of a token counts too, as long ones are cut out of the shape
    if text is not None and any(text[0] <= t.start < text[1] and which in {n, t.same} for n, t in enumerate(tokens)):
        others += [old[:1] + others[0]] if len(old) + 1 != sift.LONG_TOKEN else []
    for other in others:
        parts, spans, at, longer = [], dict(tried.spans), 0, len(other) - len(old)
        for n, token in enumerate(tokens):
            if which in {n, token.same}:
                parts += [line[at : token.start], other]
                at = token.end
                place = token.end
                if longer:
                    spans = {
                        s: (a + longer * (tried.spans[s][0] >= place), z + longer * (tried.spans[s][1] >= place))
                        for s, (a, z) in spans.items()
                    }
        changed = b"".join([*parts, line[at:]])
        again = _tried(changed, reader, key_of)
        if again is None or again.key != tried.key or again.spans != spans:
            return False
    return True
