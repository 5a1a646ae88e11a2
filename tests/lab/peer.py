"""A scripted SMTP server. It runs on a host of the lab with nothing but Python's standard library.

Configuration (JSON): {"port": 25, "greeting": "220 ...", "replies": {"RCPT": "550 ..."}, "tls": "..."}.
A reply may be a list (one per line); the words `close`, `reset`, `silence` stand for hanging up, a TCP reset and saying
nothing; `"wait 3"` before a reply pauses. Keys are verbs, `body` (the reply to the final dot), `chunk` (while the
message flows), or `VERB text` for an argument that holds that text.
"""

import asyncio
import json
import pathlib
import re
import socket
import ssl
import struct
import sys

CONFIG = json.loads(pathlib.Path(sys.argv[1]).read_text())
READY = pathlib.Path("/run/peer.ready")
NAME = CONFIG.get("name", "mx.partner.test")
DEFAULTS = {
    "EHLO": [f"250-{NAME}", "250-PIPELINING", "250-SIZE 31457280", "250-8BITMIME", "250 ENHANCEDSTATUSCODES"],
    "HELO": [f"250 {NAME}"],
    "MAIL": ["250 2.1.0 Ok"],
    "RCPT": ["250 2.1.5 Ok"],
    "DATA": ["354 End data with <CR><LF>.<CR><LF>"],
    "body": ["250 2.0.0 Ok: queued as 7C1B22A0F4"],
    "RSET": ["250 2.0.0 Ok"],
    "NOOP": ["250 2.0.0 Ok"],
    "QUIT": ["221 2.0.0 Bye", "close"],
    "AUTH": ["535 5.7.8 Error: authentication failed"],
    "STARTTLS": ["220 2.0.0 Ready to start TLS", "starttls"],
}


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CONFIG.get("cert", "/etc/ssl/lab/cert.pem"), CONFIG.get("key", "/etc/ssl/lab/key.pem"))
    return made


def as_list(reply):
    return [reply] if isinstance(reply, str) else list(reply)


def reply_to(line: str):
    verb = re.split("[ :]", line, maxsplit=1)[0].upper()
    replies = CONFIG.get("replies", {})
    for key, reply in replies.items():
        head, _, part = key.partition(" ")
        if part and head == verb and part.lower() in line.lower():
            return as_list(reply)
    if verb in replies:
        return as_list(replies[verb])
    return DEFAULTS.get(verb, ["502 5.5.2 Error: command not recognized"])


def _acts(part: str) -> bool:
    return part in {"close", "reset", "silence", "starttls"} or part.startswith("wait ")


async def play(parts, reader, writer) -> str:
    """Send reply lines, those that follow each other in one packet; the returned word says how to go on."""
    held = b""
    for at, part in enumerate(parts):
        if part == "close":
            writer.close()
            return "end"
        if part == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return "end"
        if part == "silence":
            await asyncio.sleep(3600)
        if part.startswith("wait "):
            await asyncio.sleep(float(part[5:]))
            continue
        if part == "starttls":
            await writer.start_tls(context())
            continue
        held += part.encode() + b"\r\n"
        if at + 1 < len(parts) and not _acts(parts[at + 1]):
            continue
        writer.write(held)
        held = b""
        await writer.drain()
    return "go on"


async def serve(reader, writer) -> None:
    try:
        if await play(as_list(CONFIG.get("greeting", f"220 {NAME} ESMTP ready")), reader, writer) == "end":
            return
        await talk(reader, writer)
    except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
        pass


async def talk(reader, writer) -> None:
    in_data = False
    while raw := await reader.readline():
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if in_data:
            if "chunk" in CONFIG.get("replies", {}) and await play(as_list(CONFIG["replies"]["chunk"]), reader, writer) == "end":
                return
            if line != ".":
                continue
            in_data = False
            parts = as_list(CONFIG.get("replies", {}).get("body", DEFAULTS["body"]))
        else:
            parts = reply_to(line)
            in_data = line.upper().startswith("DATA") and parts[-1].startswith("354")
        if await play(parts, reader, writer) == "end":
            return


async def main() -> None:
    tls = context() if CONFIG.get("implicit_tls") else None
    for port in CONFIG.get("ports", [25]):
        await asyncio.start_server(serve, CONFIG.get("listen", "0.0.0.0"), port, ssl=tls)
    loop = asyncio.get_running_loop()
    loop.call_soon(READY.touch)
    await asyncio.sleep(3600)


asyncio.run(main())
