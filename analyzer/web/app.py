"""The local web page: paste, press the button, read the report.  Loopback only, nothing is kept.

`http.server` is enough for one person at one machine; a framework would be the heaviest dependency of all.
"""

from __future__ import annotations

from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from analyzer.render import render
from analyzer.render.html import page

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

MOST_BYTES = 16 * 1024 * 1024
_MOST_FIELDS = 50
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Server(ThreadingHTTPServer):
    """Serves one user on loopback; *port* 0 takes any free port."""

    daemon_threads = True

    def __init__(self, port: int, book: RuleBook, formats: Formats) -> None:
        self.book, self.formats = book, formats
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "mailwhy"
    sys_version = ""
    timeout = 30
    kinds: ClassVar[dict[str, str]] = {"html": "text/html", "json": "application/json", "markdown": "text/plain", "text": "text/plain"}

    def do_GET(self) -> None:
        if not self._ours():
            return
        if urlsplit(self.path).path != "/":
            self._send(HTTPStatus.NOT_FOUND, "text/plain", "there is nothing here; the page is at /\n")
            return
        self._send(HTTPStatus.OK, "text/html", page("paste.html.jinja", action=True))

    def do_POST(self) -> None:
        if not self._ours():
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BYTES:
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", f"at most {MOST_BYTES >> 20} MB; use `mailwhy batch` for logs\n")
            return
        texts, to, view = self._form(self.rfile.read(int(length)))
        names = ["pasted text"] if len(texts) == 1 else [f"paste {n}" for n in range(1, len(texts) + 1)]
        sources = [Source(name, text) for name, text in zip(names, texts, strict=True)]
        report = diagnose(sources, self.server.book, self.server.formats, view, events=to == "json")
        self._send(HTTPStatus.OK, self.kinds[to], render(report, to, sources=sources, served=True))

    def _form(self, body: bytes) -> tuple[list[bytes], str, str | None]:
        """The texts of one case, the output wanted and the point of view, from a form or from a plain body."""
        query = parse_qs(urlsplit(self.path).query)
        kind = Message()
        kind["content-type"] = self.headers.get("Content-Type", "")
        fields = (
            parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
            if (kind.get_content_type() == "application/x-www-form-urlencoded")
            else {}
        )
        texts = [text.encode() for text in fields.get("capture", [""])] if fields else [body]
        to = (fields.get("format") or query.get("format") or ["html"])[0]
        view = (fields.get("view") or query.get("view") or [""])[0]
        return texts, to if to in self.kinds else "html", view if view in {"sending", "receiving"} else None

    def _ours(self) -> bool:
        """Whether the request is meant for us: no other site may use the browser to reach this page."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        same = origin in {None, "null"} or urlsplit(origin or "").netloc == self.headers.get("Host")
        if host in _LOOPBACK and same:
            return True
        self._send(HTTPStatus.FORBIDDEN, "text/plain", "only this machine's own page may ask\n")
        return False

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Nothing that was pasted is logged anywhere."""
