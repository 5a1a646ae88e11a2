"""Whatever is pasted, a report comes of it, and nothing in it can act on the reader's terminal or browser."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.diagnose import diagnose
from analyzer.formats.load import load_formats
from analyzer.model.capture import Source
from analyzer.render import FORMATS, render
from analyzer.rulebook import load_rules
from tests import draw

SAMPLES = Path(__file__).parents[2] / "samples"
SMALL = [p for p in sorted(SAMPLES.rglob("*")) if p.suffix in {".txt", ".log", ".eml"} and p.stat().st_size < 4_000]
CAPTURES = [p.read_bytes() for p in draw.share(SMALL, 9, lambda p: str(p.relative_to(SAMPLES)))]
MARK = "ha<script>alert(1)</script>ha"
HOSTILE = [
    b"\x1b[2J\x1b]0;title\x07",
    "\u202eevil\u2066\u200f".encode(),
    MARK.encode(),
    b'" onmouseover=alert(1) x="',
    b"{{ 7*7 }}{% for x in y %}",
    b"- !!python/object/apply:os.system [id]\n",
    b"javascript:alert(1)",
    b"[click](javascript:alert(1)) `<img src=x onerror=alert(1)>`",
    b"\x00\x08\x7f\x9b31m",
    b"a" * 20_000,
    b"<" * 3_000,
    b"(" * 3_000,
    b": " * 3_000,
    b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" * 200,
    b"=?utf-8?q?" * 500,
    b"\xff\xfe\x00",
    b"\r\r\n\x0b\x0c\x85",
]
_FAST = settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _Page(HTMLParser):
    """The scripts and handlers of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.bad: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.bad += [
            f"{tag} {name}" for name, value in attrs if name.startswith("on") or (value or "").strip().lower().startswith("javascript:")
        ]


def scripts_of(page):
    found = _Page()
    found.feed(page)
    assert not found.bad
    return found.scripts


def check(data):
    source = Source("a\u202e<b>\x1b.txt", data)
    report = diagnose([source], load_rules(), load_formats(), events=True)
    assert not report.coverage.errors
    for kind in FORMATS:
        text = render(report, kind, sources=[source], explain=True, pedantic=True, width=80)
        if kind == "json":
            assert json.loads(text)["verdict"] == report.verdict
        elif kind == "html":
            assert scripts_of(text) == own_scripts()
        else:
            assert not _UNSAFE.search(text.replace("\n", "").replace("\t", ""))


@cache
def own_scripts():
    return scripts_of(render(diagnose([Source("a", b"")], load_rules(), load_formats()), "html"))


@_FAST
@given(st.binary(max_size=3_000))
def test_any_bytes(data):
    check(data)


@_FAST
@given(st.sampled_from(CAPTURES), st.lists(st.tuples(st.floats(0, 1), st.sampled_from(HOSTILE)), min_size=1, max_size=3))
def test_hostile_pieces_in_captures(data, pieces):
    for where, piece in pieces:
        at = int(where * len(data))
        data = data[:at] + piece + data[at:]
    check(data)


@pytest.mark.parametrize("piece", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_replies_and_log_lines(piece):
    line = piece.replace(b"\n", b" ")
    check(
        b"$ telnet mx.example.net 25\n220 "
        + line
        + b"\nEHLO "
        + line
        + b"\n550 5.7.1 "
        + line
        + b"\nMAIL FROM:<"
        + line
        + b">\n554 "
        + line
        + b"\n"
    )
    head = b"Nov 20 10:00:00 mx postfix/smtp[7]: 4XyZ1: to=<"
    check(head + line + b">, relay=mx.example.net[192.0.2.1]:25, delay=1, dsn=5.7.1, status=bounced (host said: 550 " + line + b")\n")
    check(b"From: " + piece + b"\nTo: a@example.org\nSubject: " + piece + b"\n\nhost mx said: 550 " + piece + b"\n")
