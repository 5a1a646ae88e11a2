"""What a TLS client printed of a server's certificate, as one `Certificate` for each capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.model.case import Certificate
from analyzer.model.events import CertificateShown, Dial, Event, Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.place import Place


def certificates_of(events: Sequence[Event]) -> tuple[Certificate, ...]:
    """The server's own certificate (depth 0 or not said) of each source that shows one."""
    sources = sorted({e.place.source for e in events if isinstance(e, CertificateShown)})
    return tuple(_certificate([e for e in events if e.place.source == s]) for s in sources)


def _certificate(events: Sequence[Event]) -> Certificate:
    shown = [e for e in events if isinstance(e, CertificateShown)]
    leaf = [e for e in shown if not e.depth]
    values: dict[str, object] = {}
    where: dict[str, tuple[Place, ...]] = {}
    for field in ("subject", "issuer", "not_before", "not_after"):
        for e in leaf:
            if getattr(e, field) is not None:
                values[field], where[field] = getattr(e, field), (e.place,)
                break
    # A failed check outranks a later "ok" for another certificate of the chain.
    checks = [e for e in shown if e.verify_code is not None or e.verify_text]
    bad = next((e for e in checks if e.verify_code), None) or (checks[-1] if checks else None)
    if bad is not None:
        values |= {"verify_code": bad.verify_code, "verify_text": bad.verify_text}
        where["verify_code"] = where["verify_text"] = (bad.place,)
    names = tuple(dict.fromkeys(e.name for e in leaf if e.name))
    asked = next((e for e in events if isinstance(e, Fact | Dial) and e.server), None)
    sent = [e for e in shown if e.sent]
    if sent and "issuer" in values:
        values["alone"] = "yes" if len(sent) == 1 and sent[0].subject != values["issuer"] else "no"
        where["alone"] = (sent[0].place, *where["issuer"])
    return Certificate(
        places=tuple(e.place for e in shown),
        where=where,
        complete=bool(checks),
        server=next((e.server for e in shown if e.server), asked.server if asked else None),
        port=asked.port if asked else None,
        tls_first=asked.tls_first if isinstance(asked, Dial) else None,
        names=names,
        **values,  # type: ignore[arg-type]
    )
