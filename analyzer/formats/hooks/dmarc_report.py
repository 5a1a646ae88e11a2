"""DMARC aggregate reports: XML on one line or on many, whole or in pieces; each `record` is one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.model.events import Event, Noise, Reported
from analyzer.model.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.formats.load import Format
    from analyzer.model.capture import Line, Segment

_BEGINS = re.compile(r"<(?:feedback|report_metadata|policy_published|record|row|policy_evaluated)\b[^<>]{0,200}>")
_ITS_OWN = re.compile(r"<(?:source_ip|policy_evaluated|policy_published|header_from)>")
_TAG = re.compile(r"<(/?)([A-Za-z_][A-Za-z0-9_:]{0,60})(?:\s[^<>]{0,300})?(/?)>([^<]{0,500})")
_NEAR = 60  # lines within which a report shows itself
_FORWARDED = frozenset({"forwarded", "mailing_list", "trusted_forwarder"})


def claim(lines: Sequence[Line], _fmt: Format) -> list[tuple[int, int]]:
    """The ranges of *lines* that are reports, or pieces of one."""
    ranges: list[tuple[int, int]] = []
    index = 0
    while index < len(lines):
        if not _BEGINS.search(lines[index].text) or not any(_ITS_OWN.search(line.text) for line in lines[index : index + _NEAR]):
            index += 1
            continue
        start = index - 1 if index and lines[index - 1].text.lstrip().startswith("<?xml") else index
        while index < len(lines) and ("<" in lines[index].text or not lines[index].text.strip()):
            index += 1
        while not lines[index - 1].text.strip():
            index -= 1
        ranges.append((start, index))
    return ranges


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """An event for each record, at the line of its source."""
    found: list[Event] = [Noise(place=Place(segment.source, line.number), format=fmt.name) for line in segment.lines if line.text.strip()]
    return [*found, *_records(segment, fmt.name)], []


def _elements(segment: Segment) -> Iterator[tuple[str, str, str, int]]:
    """Each beginning or end of an element: its path, "open" or "close", its text, its line."""
    from html import unescape  # takes its time to import

    path: list[str] = []
    for line in segment.lines:
        for found in _TAG.finditer(line.text):
            name = found[2].rpartition(":")[2].lower()
            if found[1]:
                while path and path.pop() != name:
                    pass
                yield "/".join([*path, name]), "close", "", line.number
            elif not found[3]:
                path.append(name)
                yield "/".join(path), "open", unescape(found[4].strip()), line.number


def _records(segment: Segment, name: str) -> Iterator[Reported]:
    values: dict[str, str] = {}
    signatures: list[dict[str, str]] = []
    begun: int | None = None
    domain: str | None = None
    last = segment.lines[-1].number
    for path, what, text, number in _elements(segment):
        inside = path.split("/")
        leaf, parent = inside[-1], inside[-2] if len(inside) > 1 else ""
        if what == "open" and leaf in {"record", "row"} and begun is None:
            begun = number
        elif what == "open" and (parent, leaf) == ("policy_published", "domain"):
            domain = text.lower()
        elif what == "open" and parent == "auth_results" and leaf == "dkim":
            signatures.append({})
        elif what == "open" and parent == "dkim" and "auth_results" in inside:
            signatures[-1].setdefault(leaf, text)
        elif what == "open" and text:
            values.setdefault(f"{parent}/{leaf}", text)
            begun = number if leaf == "source_ip" else begun
        elif what == "close" and leaf == "record" and begun is not None:
            yield _reported(values, signatures, domain, name, Place(segment.source, begun), number)
            values, signatures, begun = {}, [], None
    if any(key.startswith("policy_evaluated/") for key in values):  # a piece, or a report cut short
        first = begun or segment.lines[0].number
        yield _reported(values, signatures, domain, name, Place(segment.source, first), last)


def _reported(
    values: dict[str, str], signatures: Sequence[dict[str, str]], domain: str | None, name: str, place: Place, last: int
) -> Reported:
    """What one record says.  *policy_evaluated* tells whether a pass was for the From domain, *auth_results* what passed at all."""
    evaluated = [values.get(f"policy_evaluated/{method}", "").lower() for method in ("dkim", "spf")]
    best = next((s for s in signatures if s.get("result", "").lower() == "pass"), signatures[0] if signatures else {})
    count = values.get("row/count", "")
    return Reported(
        place=place,
        last_line=last,
        format=name,
        client_ip=values.get("row/source_ip"),
        messages=int(count) if count.isdecimal() and len(count) < 12 else None,
        from_domain=values.get("identifiers/header_from", "").lower() or domain,
        dmarc="pass" if "pass" in evaluated else "fail" if "fail" in evaluated else None,
        dmarc_policy=values.get("policy_evaluated/disposition", "").lower() or None,
        spf=values.get("spf/result", "").lower() or None,
        spf_domain=values.get("spf/domain", "").lower() or None,
        dkim=best.get("result", "").lower() or ("none" if "auth_results" in " ".join(values) or values.get("spf/result") else None),
        dkim_domain=best.get("domain", "").lower() or None,
        selector=best.get("selector") or None,
        forwarded="yes" if values.get("reason/type", "").lower() in _FORWARDED else None,
    )
