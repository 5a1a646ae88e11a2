"""The local page answers its own machine, and nobody else."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlencode

import pytest

from analyzer.web.app import Server

SESSION = "220 mx.example.net ESMTP\nEHLO c.example.org\n250 mx.example.net\nMAIL FROM:<a@example.org>\n<script>alert(1)</script>\nConnection closed by foreign host.\n"


@pytest.fixture
def server(book, formats):
    with Server(0, book, formats) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found.server_address[1]
        found.shutdown()


def ask(port, method, path="/", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer


def test_the_page_takes_a_paste_and_escapes_it(server):
    status, text, _ = ask(server, "GET")
    assert status == 200
    assert "<textarea" in text
    form = urlencode({"capture": SESSION, "format": "html"})
    status, text, _ = ask(server, "POST", body=form, Content_Type="application/x-www-form-urlencoded")
    assert status == 200
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert(1)" not in text


def test_a_program_gets_json(server):
    status, text, _ = ask(server, "POST", "/?format=json", body=SESSION.encode())
    assert status == 200
    assert json.loads(text)["version"] == 1


def test_other_sites_and_names_are_turned_away(server):
    assert ask(server, "POST", body=b"x", Origin="https://evil.example")[0] == 403
    assert ask(server, "GET", Host="evil.example:80")[0] == 403


def test_too_much_is_refused_before_it_is_read(server):
    assert ask(server, "POST", Content_Length=str(10**9))[0] == 413
