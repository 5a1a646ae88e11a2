"""Groups of failures for other programs: JSON lines or Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.batch.incidents import iso
from analyzer.errors import MailwhyError, UnreadableInput

if TYPE_CHECKING:
    from analyzer.batch.gather import Gathered
    from analyzer.batch.tally import Tally

_NAMES = ("format", "kind", "host", "status", "stage", "code", "enhanced", "action", "how", "severity", "reason", "shape", "destination")


def rows_of(tally: Tally, gathered: Gathered) -> list[dict[str, Any]]:
    """One row for each failed delivery or refusal: where, what, which message and recipient."""
    rows = []
    for key in sorted(tally.groups, key=repr):
        group = tally.groups[key]
        common: dict[str, Any] = {n: _text(v) for n, v in zip(_NAMES[1:], key[1:], strict=True)}
        common |= {"first": iso(group.first), "last": iso(group.last)}
        for of in sorted(group.of):
            host, queue_id, recipient = of.split(b" ", 2)
            sender = gathered.senders.get(b"%b %b" % (host, queue_id))
            rows.append(
                common
                | {
                    "queue_id": _text(queue_id) or None,
                    "recipient": _text(recipient) or None,
                    "sender": _text(sender[2]) if sender else None,
                    "delivered_later": of in gathered.sent,
                }
            )
    return rows


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def write(name: str, tally: Tally, gathered: Gathered) -> None:
    """The rows into *name*, by its ending.  Raises `MailwhyError`."""
    rows = rows_of(tally, gathered)
    try:
        if name.endswith(".parquet"):
            try:
                import pyarrow as pa
                import pyarrow.parquet as pq
            except ImportError:
                raise MailwhyError("--events FILE.parquet needs pyarrow (pip install 'mailwhy[parquet]')") from None
            pq.write_table(pa.Table.from_pylist(rows), name)
        else:
            Path(name).write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror or error}") from None
