"""Texts of rules and faults with the case's own values in place of ``{{ names }}``.

There are no expressions: a captured text can never become part of a template.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = re.compile(r"\{\{\s*([a-z_][a-z0-9_.]{0,60})\s*(?:\|[^{}]{0,60})?\}\}|(`)")
_PERHAPS = re.compile(r"\[\[([^\[\]]{1,300})\]\]")
_WORDS = {
    "server": "the server",
    "server_ip": "its address",
    "client_ip": "the client's address",
    "client_name": "the client",
    "client": "the client",
    "helo": "the HELO name",
    "mail_from": "the sender",
    "rcpt_to": "the recipient",
    "domain": "the recipient's domain",
    "sender_domain": "the sender's domain",
    "reply": "(no words)",
    "text": "(no words)",
    "time": "the time shown in the log",
    "queue_id": "its queue id",
    "provider": "the provider",
    "port": "25",
    "ip": "the address",
    "zone": "the list",
    "code": "the reply code",
    "enhanced": "the enhanced status code",
    "banner": "its greeting",
}
_LONGEST = 300


def fill(template: str, values: Mapping[str, Any], *, command: bool = False) -> str:
    """*template* with *values*; a value that is not known reads as words, inside backticks and commands as ``<name>``.

    ``[[ words with {{ names }} ]]`` stand only where all their names are known.
    """
    template = _PERHAPS.sub(lambda m: m[1] if all(_look_up(p[1], values) for p in _PLACE.finditer(m[1]) if p[1]) else "", template)
    inside = command
    out: list[str] = []
    at = 0
    for found in _PLACE.finditer(template):
        out.append(template[at : found.start()])
        at = found.end()
        if found[2]:
            inside = command or not inside
            out.append("`")
            continue
        value = _look_up(found[1], values)
        if value is None:
            out.append(f"<{found[1].replace('_', '-')}>" if inside else _WORDS.get(found[1], found[1].replace("_", " ")))
        else:
            out.append(value)
    out.append(template[at:])
    text = "".join(out)
    return text[:1].upper() + text[1:] if template.lstrip().startswith("{{") and text[:4] in {"the ", "its "} else text


def _look_up(path: str, values: Mapping[str, Any]) -> str | None:
    value: Any = values
    for name in path.split("."):
        value = value.get(name) if hasattr(value, "get") else getattr(value, name, None)
        if value is None:
            return None
    if isinstance(value, tuple | list):
        value = ", ".join(str(v) for v in value[:6])
    if hasattr(value, "name") and hasattr(value, "verb"):
        value = value.name
    text = " ".join(str(value).split())
    return (text[:_LONGEST] + "\u2026" if len(text) > _LONGEST else text) or None
