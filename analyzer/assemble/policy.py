"""The policy records in TXT answers: which texts are SPF, DMARC or DKIM records, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.assemble.spf import is_spf, spf_record, with_includes
from analyzer.assemble.tags import dkim_record, dmarc_record, small_record
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model.lookup import Lookup, Record
    from analyzer.model.place import Place


def records_of(lookups: Sequence[Lookup]) -> tuple[Record, ...]:
    """The policy records in *lookups*, each once."""
    found: list[Record] = []
    seen: set[tuple[str, str | None, str]] = set()
    for lookup in lookups:
        for record in _of_lookup(lookup):
            key = (record.kind, record.of if record.selector is None else f"{record.selector} {record.of}", record.text)
            if key not in seen:
                seen.add(key)
                found.append(record)
    spf: dict[str | None, Record] = {r.of: r for r in found if r.kind == "SPF" and r.of is not None}
    return tuple(with_includes(r, spf, lookups) if r.kind == "SPF" else r for r in found)


def _of_lookup(lookup: Lookup) -> Iterable[Record]:
    if lookup.type not in {"TXT", "SPF", "ANY"} or not lookup.texts:
        return
    places = lookup.where.get("answered") or lookup.places
    spf = [t for t in lookup.texts if t.lower().startswith("v=spf1")]
    if lookup.of is None:
        yield from _bare(lookup, places)
        return
    if lookup.purpose == "dmarc":
        dmarc = [t for t in lookup.texts if re.match(r"(?i)\s*v\s*=\s*dmarc1|.*\bp=(?:none|reject|quarantine)", t[:200])]
        for text in dmarc:
            yield dmarc_record(lookup.dmarc_of, text, len(dmarc), _place(lookup, text, places))
    elif lookup.purpose == "dkim":
        for text in lookup.texts:
            yield dkim_record(lookup, text, _place(lookup, text, places))
    elif lookup.purpose in _SMALL:
        kind, version = _SMALL[lookup.purpose]
        mine = [t for t in lookup.texts if t.lower().lstrip().startswith(("v=", version.lower()))]
        for text in mine:
            yield small_record(kind, lookup.of, text, len(mine), _place(lookup, text, places))
    else:
        for text in spf:
            yield spf_record(lookup.of, text, len([t for t in spf if is_spf(t)]) or 1, _place(lookup, text, places))


_SMALL = {"mta-sts": ("MTA-STS", "STSv1"), "tls-rpt": ("TLS-RPT", "TLSRPTv1"), "bimi": ("BIMI", "BIMI1")}


def _bare(lookup: Lookup, places: tuple[Place, ...]) -> Iterable[Record]:
    """Records copied without their names."""
    for text in lookup.texts or ():
        low = text.lower()
        if low.startswith("v=spf1"):
            same = sum(is_spf(t) for t in lookup.texts or ())
            yield spf_record(None, text, max(same, 1), places)
        elif low.startswith("v=dmarc1"):
            yield dmarc_record(None, text, 1, places)
        elif low.startswith("v=dkim1"):
            yield dkim_record(lookup, text, places)
        for kind, version in _SMALL.values():
            if low.startswith(f"v={version.lower()}"):
                yield small_record(kind, None, text, 1, places)


def _place(lookup: Lookup, text: str, places: tuple[Place, ...]) -> tuple[Place, ...]:
    """The line of one of several records, where they stand on one line each."""
    if lookup.texts is not None and len(places) == len(lookup.texts):
        return (places[lookup.texts.index(text)],)
    return places
