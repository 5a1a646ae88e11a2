"""What the renderers promise: safe, self-contained, bounded, to schema."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from analyzer.authoring.docs import FOLDER, pages
from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from analyzer.render import render
from analyzer.render.markdown import MOST_BYTES
from tests import draw

SAMPLES = Path(__file__).parents[2] / "samples"
LABELLED = [p for p in sorted(SAMPLES.rglob("*.txt")) + sorted(SAMPLES.rglob("*.log")) if p.with_name(p.stem + ".expected.yaml").exists()]
SOME = draw.share(LABELLED, 9, lambda p: str(p.relative_to(SAMPLES)))
HOSTILE = """220 mx.example.net ESMTP <img src=x onerror=alert(1)>
EHLO {{ 7*7 }}{% for x in y %}
250 mx.example.net
MAIL FROM:<"><script>alert(1)</script>@example.org>
550 5.7.1 </pre></table><svg onload=alert(1)> ``` \u202e [x](javascript:alert(1)) {{ config }}
"""


@pytest.fixture(scope="module")
def hostile(book, formats):
    sources = [Source("<b>bad</b>.txt", HOSTILE.encode())]
    return sources, diagnose(sources, book, formats, events=True)


def test_html_escapes_everything(hostile):
    sources, report = hostile
    text = render(report, "html", sources=sources)
    for bad in ("<img", "<script>alert", "<svg onload", "<b>bad", "\u202e"):
        assert bad not in text
    assert "{{ 7*7 }}" in text
    assert "49" not in re.findall(r"EHLO (\S+)", text)


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.wrong = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in {"src", "srcset", "action", "style"} or name.startswith("on") or (name == "href" and not value.startswith("#")):
                self.wrong.append((tag, name, value))


@pytest.mark.parametrize("path", SOME, ids=lambda p: p.stem)
def test_html_asks_for_nothing_and_stays_small(path, book, formats):
    sources = [Source(path.name, path.read_bytes())]
    text = render(diagnose(sources, book, formats), "html", sources=sources)
    links = _Links()
    links.feed(text)
    assert links.wrong == []
    assert len(text.encode()) < 300_000
    assert text.count("<h1") == 1
    assert "default-src 'none'" in unescape(text)


def test_markdown_is_bounded_and_keeps_fences(hostile):
    _, report = hostile
    text = render(report, "markdown")
    assert len(text.encode()) <= MOST_BYTES
    assert "<script>" not in re.sub(r"(?s)(`{3,}).*?\1", "", text)


@pytest.mark.parametrize("path", SOME, ids=lambda p: p.stem)
def test_json_keeps_its_schema(path, book, formats):
    report = diagnose([Source(path.name, path.read_bytes())], book, formats, events=True)
    found = json.loads(render(report, "json"))
    jsonschema.validate(found, json.loads((FOLDER / "report.schema.json").read_text()))
    assert {"version", "verdict", "diagnoses", "problems", "next", "open", "findings", "facts", "events", "coverage"} <= found.keys()


def test_generated_pages_are_current():
    for name, text in pages():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name} is old: run python -m analyzer.authoring.docs"


def test_a_table_of_contents_needs_no_script(hostile):
    sources, report = hostile
    text = re.sub(r"(?s)<script>.*?</script>|<style>.*?</style>", "", render(report, "html", sources=sources))
    assert "EHLO" in text
    assert report.headline[:20].replace("'", "&#39;") in text
