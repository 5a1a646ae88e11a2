"""Results of checks, written as RFC 8601 writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.expressions import re
from analyzer.formats.lines import events_of
from analyzer.model.events import Event, Header

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Segment

_RESULT = re.compile(r"'?([A-Za-z]{3,10})'?")
_DOMAIN = re.compile(r"(?i)(?:with domain |d=)([A-Za-z0-9.-]{3,253}\.[A-Za-z]{2,24})")
_AS_THEY_ARE = frozenset({"Authentication-Results", "From", "To", "Subject"})
_METHODS = frozenset({"spf", "dkim", "dmarc", "iprev"})


def events(segment: Segment, fmt: Format) -> tuple[list[Event], list[int]]:
    """Each result of *segment* as an Authentication-Results field, and the lines that cannot be read."""
    read, missed = events_of(segment, fmt)
    return [_field(e) if isinstance(e, Header) and e.name not in _AS_THEY_ARE else e for e in read], missed


def _field(header: Header) -> Header:
    method, value = (header.name or "").strip('"').lower(), header.value or ""
    result = _RESULT.match(value)
    if method not in _METHODS or result is None:
        return msgspec.structs.replace(header, name=f"X-Check-{method}")
    words = re.sub(r"[()]", " ", value[result.end() :].replace("Learn more", "")).strip()
    domain = _DOMAIN.search(value)
    said = f"checks; {method}={result[1].lower()}" + (f" ({words})" if words else "")
    if domain:
        said += f" {'header.from' if method == 'dmarc' else 'header.d' if method == 'dkim' else 'smtp.mailfrom'}={domain[1]}"
    return msgspec.structs.replace(header, name="Authentication-Results", value=said)
