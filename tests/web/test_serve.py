"""The local page answers its own machine, and nobody else."""

from __future__ import annotations

import http.client
import json
import threading
from html.parser import HTMLParser
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


LISTED = "$ host 7.2.0.192.zen.spamhaus.org\n7.2.0.192.zen.spamhaus.org has address 127.0.0.2\n"
CLOSED = "220 mx.example.net ESMTP\r\nEHLO c.example.org\r\n250 mx.example.net Hello c.example.org [192.0.2.7]\r\nMAIL FROM:<a@example.org>\r\n\tConnection closed by foreign host.\r\n"


class _Form(HTMLParser):
    """The fields of the page's form, as a browser would send them."""

    def __init__(self, text):
        super().__init__()
        self.fields, self.open = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open = tag == "textarea"
        if self.open:
            self.fields.append("")

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.open = False
            self.fields[-1] = self.fields[-1].removeprefix("\n")

    def handle_data(self, data):
        if self.open:
            self.fields[-1] += data


def test_the_next_capture_joins_the_case(server):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    _, text, _ = ask(server, "POST", body=urlencode({"capture": CLOSED}), **form)
    so_far, more = _Form(text).fields
    assert (so_far.replace("\r\n", "\n"), more) == (CLOSED.replace("\r\n", "\n"), "")
    both = [("capture", so_far), ("capture", LISTED), ("format", "json")]
    _, text, _ = ask(server, "POST", body=urlencode(both), **form)
    report = json.loads(text)
    assert report["sources"] == ["paste 1", "paste 2"]
    assert report["diagnoses"][0]["fault"] == "listed-on-dnsbl"
    assert report["diagnoses"][0]["certainty"] >= 0.95


def test_a_program_gets_json(server):
    status, text, _ = ask(server, "POST", "/?format=json", body=SESSION.encode())
    assert status == 200
    assert json.loads(text)["version"] == 1


def test_other_sites_and_names_are_turned_away(server):
    assert ask(server, "POST", body=b"x", Origin="https://evil.example")[0] == 403
    assert ask(server, "GET", Host="evil.example:80")[0] == 403


def test_too_much_is_refused_before_it_is_read(server):
    assert ask(server, "POST", Content_Length=str(10**9))[0] == 413
