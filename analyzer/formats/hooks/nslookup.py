"""Lines of nslookup that are nothing by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.formats.load import Format
    from analyzer.model.capture import Line

_ONLY_INSIDE = frozenset({"owner_line", "address_more", "leave"})


def weight(line: Line, fmt: Format) -> float:
    """A name or an address alone on a line is nslookup's only among its other lines."""
    found = fmt.weight(line.body)
    return 0.02 if found and fmt.alias_of(line.body) in _ONLY_INSIDE else found
