"""Texts of rules and faults with the case's own values in place of ``{{ names }}``, and what wants explaining as a sentence.

There are no expressions: a captured text can never become part of a template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analyzer.model.case import Problem

_PLACE = re.compile(r"\{\{\s*([a-z_][a-z0-9_.]{0,60})\s*(?:\|\s*([a-z_][a-z0-9_.]{0,60})\s*)?\}\}|(`)")
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
    "port": "the port that was dialled",
    "selector": "the selector",
    "ip": "the address",
    "zone": "the list",
    "code": "the reply code",
    "enhanced": "the enhanced status code",
    "banner": "its greeting",
}
_BLANKS = {  # in a letter, what the reader has to fill in
    "server": "[name of the mail server]",
    "server_ip": "[IP address of the mail server]",
    "client_ip": "[IP address of the sending server]",
    "client_name": "[name of the sending server]",
    "mail_from": "[sender's address]",
    "rcpt_to": "[recipient's address]",
    "domain": "[the domain]",
    "sender_domain": "[the sender's domain]",
    "port": "[port]",
    "time": "[date, time and time zone]",
    "queue_id": "[queue id]",
}
_LONGEST = 300
_HIGHEST = 32_767  # ports above are those of clients
# What options of swaks and openssl the server's port asks for.
_OF_PORT: dict[str, Callable[[Any, bool], str | None]] = {
    "other_port": lambda port, tls_first: (
        None if not isinstance(port, int) or port == 25 or port > _HIGHEST else f"{port} --tlsc" if tls_first else str(port)
    ),
    "starttls": lambda _, tls_first: None if tls_first else "-starttls smtp",
}
# What a shell reads as one plain word, in quotation marks or without. Anybody may name himself `$(reboot)`.
_PLAIN = re.compile(r"[\w.%+=@:/,^\[\]][\w.%+=@:/,^\[\]-]*$")
_PORT = re.compile(r"\b(?:TCP )?port $", re.IGNORECASE)
_TLS_FIRST = 465  # where TLS comes first, unless a session on another port did so
_ASIDE = re.compile(r" \(((?:\{\{[^{}]{1,60}\}\}(?:, )?){1,4})\)")  # " ({{ server_ip }}, {{ helo }})"


def fill(template: str, values: Mapping[str, Any], *, command: bool = False, letter: bool = False) -> str:
    """*template* with *values*; a value that is not known reads as words, inside backticks and commands as ``<name>``,
    in a *letter* as a blank to fill in.  So does, inside backticks and commands, what a shell would take for more than a word.

    ``[[ words with {{ names }} ]]`` stand only where all their names are known, `` ({{ a }}, {{ b }})`` with those that are.
    ``{{ a | b }}`` is b where a is not known and b is.
    """
    template = _PERHAPS.sub(lambda m: m[1] if all(look_up(p[1], values) for p in _PLACE.finditer(m[1]) if p[1]) else "", template)
    template = _ASIDE.sub(lambda m: _aside(m[1], values), template)
    inside = command
    out: list[str] = []
    at = 0
    for found in _PLACE.finditer(template):
        out.append(template[at : found.start()])
        at = found.end()
        if found[3]:
            inside = command or not inside
            out.append("`")
            continue
        value = look_up(found[1], values) or (look_up(found[2], values) if found[2] else None)
        if value is None and inside and found[1] == "server":
            value = look_up("server_ip", values)
        if value is not None and inside and found[1] not in _OF_PORT and not _PLAIN.match(value):
            value = None
        if value is None:
            words = _WORDS.get(found[1], found[1].replace("_", " "))
            known = "25" if found[1] == "port" else f"<{found[1].replace('_', '-')}>"
            if found[1] == "port" and not inside and not letter and (named := _PORT.search(out[-1])):
                out[-1] = out[-1][: named.start()]
            out.append(known if inside else _BLANKS.get(found[1], words) if letter else words)
        else:
            out.append(value)
    out.append(template[at:])
    text = "".join(out)
    return text[:1].upper() + text[1:] if template.lstrip().startswith("{{") and text[:4] in {"the ", "its "} else text


def _aside(names: str, values: Mapping[str, Any]) -> str:
    """What is known of *names* in brackets, or nothing."""
    known = [p[0] for p in _PLACE.finditer(names) if look_up(p[1], values)]
    return f" ({', '.join(known)})" if known else ""


def look_up(path: str, values: Mapping[str, Any]) -> str | None:
    """The value at the dotted *path* in words, or None where it is not known."""
    if path in _OF_PORT:
        port = values.get("port")
        return _OF_PORT[path](port, port == _TLS_FIRST or values.get("tls_first") == "yes")
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


_STAGE_WORDS = {
    "GREETING": "the greeting",
    "CONNECT": "the connection",
    "END-OF-MESSAGE": "the final dot",
    "MESSAGE-DATA": "the message",
    "RCPT": "RCPT TO",
    "MAIL": "MAIL FROM",
    "?": "an unknown command",
}


# What a server does with mail that it takes and does not deliver: the client is told that all is well.
_DONE = {"discard": "threw the message away at", "hold": "put the message on hold at"}


def what(p: Problem, *, quote: bool = True) -> str:
    """One sentence that says what wants explaining, with or without the words that were said."""
    if p.what:
        return p.what
    stage = _STAGE_WORDS.get(p.stage or "", p.stage or "the transaction")
    who = "This server" if p.by == "local" and p.view == "receiving" else p.server or "The server"
    # An MTA's own status is not what the other side said: Postfix puts off (4.0.0) what a greeting of 554 turned away.
    enhanced = p.enhanced if p.code is None or str(p.enhanced)[:1] == str(p.code)[:1] else None
    reply = " ".join(str(x) for x in (p.code, enhanced) if x)
    text = " ".join((p.text or "").split())[:160]
    said = f" with {reply}" if reply else ""
    quoted = f": \u201c{text}\u201d" if text and quote else ""
    match p.kind:
        case "refusal":
            how = _DONE.get(p.action or "") or ("put off" if p.temporary == "yes" else "refused")
            whole = "the connection in its greeting" if p.stage == "GREETING" else stage
            return f"{who} {how} {whole}{said}{quoted}"
        case "hang-up":
            return f"The {p.by or 'peer'} closed the connection at {stage} without a reply"
        case "timeout":
            return f"No answer came in time at {stage}"
        case "no-answer":
            return f"The capture ends before the answer to {stage}"
        case "connect-failure":
            return f"No connection to {p.server or p.server_ip or 'the server'}{quoted}"
        case "delivery-failure":
            return f"Delivery to {p.rcpt_to or 'the recipient'} {'was put off' if p.temporary == 'yes' else 'failed'}{quoted}"
        case "tls-failure":
            return f"TLS failed{quoted}"
        case "auth-failure":
            return f"A login failed{quoted}"
        case _:
            return f"The mail {'program' if p.view == 'sending' and p.agent is None else 'system'} complains{quoted}"
