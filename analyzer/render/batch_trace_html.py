"""The stories of messages as one self-contained page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.render.batch_html import esc
from analyzer.render.html import head

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 60  # seconds that are worth a word


def html_of(what: str, kind: str, told: Sequence[dict[str, Any]], count: int) -> str:
    """The page: one section for each message, with its lines, the gaps between them, its state and the verdict."""
    title = f"{what} ({kind}): {count:,} message{'s' * (count != 1)}"
    more = f"<p>The first {len(told):,} are shown.</p>" if count > len(told) else ""
    return f"{head(title)}<h1>{esc(title)}</h1>{more}" + "".join(_message(n, t) for n, t in enumerate(told, 1)) + "</main></body></html>\n"


def _message(number: int, t: dict[str, Any]) -> str:
    ids = " → ".join(f"{i['queue_id']}@{i['host']}" if i["host"] else i["queue_id"] for i in t["ids"]) or "no queue id"
    facts = (
        ("Message id", t["message_id"]),
        ("From", t["from"]),
        ("To", ", ".join(t["to"][:20])),
        ("Client", t["client"]),
        ("Attempts", t["attempts"]),
        ("State", t["state"]),
        ("Verdict", f"{t['verdict']}: {t['headline']}" if t["headline"] else t["verdict"]),
    )
    rows = "".join(f"<tr><th scope=row>{name}</th><td>{esc(value)}</td></tr>" for name, value in facts if value not in {None, ""})
    lines = []
    for line in t["lines"][:200]:
        if line["gap"] and line["gap"] >= _GAP:
            lines.append(f"  ... {line['gap']:,} s later")
        lines.append(esc(f"{line['source']}: {line['text'][:600]}"))
    rest = f"<p>... and {len(t['lines']) - 200:,} more lines</p>" if len(t["lines"]) > 200 else ""
    return f"<section><h2>{number}. {esc(ids)}</h2><table>{rows}</table><pre>{chr(10).join(lines)}</pre>{rest}</section>"
