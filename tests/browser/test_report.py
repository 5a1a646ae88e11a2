"""The HTML report in a real browser: phone and desktop, light and dark, printed, without scripts, and with hostile content."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from analyzer.render.html import render
from analyzer.web.app import Server
from tests.labelled import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

SHOWN = [
    "mixed/closed-after-mail-from-listed.txt",
    "postfix/greylisted-then-sent.log",
    "telnet/relay-denied-postfix.txt",
    "dig/dnsbl-listed.txt",
    "application/python-login-refused.txt",
]
HOSTILE = (
    "220 mx.example.net </td><script>document.title='owned'</script>\r\nEHLO x<img src=http://192.0.2.1/a onerror=alert(1)>\r\n"
    "250 \x1b[31mred\x1b[0m \u202eevil\u202c\r\nMAIL FROM:<a@example.org>\r\n550 5.7.1 " + "y" * 3000 + "\r\n"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def written(folder: Path, name: str, data: bytes, book: Any, formats: Any) -> str:
    source = Source(name, data)
    path = folder / "report.html"
    path.write_text(render(diagnose([source], book, formats), sources=[source]), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("name", SHOWN)
def test_the_report_fits_and_is_accessible(name, browser, book, formats, tmp_path):
    url = written(tmp_path, name, (SAMPLES / name).read_bytes(), book, formats)
    for width, scheme in ((360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(url)
        assert asked == [url]  # self-contained
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in {"serious", "critical"}] == []
        if width == 360:
            assert page.locator("h1").bounding_box()["y"] < 400  # the verdict stands in the first screen
        context.close()


def test_a_telephone_shows_the_list_and_a_desk_the_diagram(browser, book, formats, tmp_path):
    name = SHOWN[2]
    url = written(tmp_path, name, (SAMPLES / name).read_bytes(), book, formats)
    for width, shown, hidden in ((360, "details.ladder ol", "div.ladder svg"), (1280, "div.ladder svg", "details.ladder ol")):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(url)
        assert page.locator(shown).is_visible()
        assert not page.locator(hidden).is_visible()
        page.close()


def test_it_prints_with_everything_opened(browser, book, formats, tmp_path):
    name = SHOWN[0]
    page = browser.new_page()
    page.goto(written(tmp_path, name, (SAMPLES / name).read_bytes(), book, formats))
    page.emulate_media(media="print")
    hidden = page.evaluate("[...document.querySelectorAll('details > :not(summary)')].filter(e => !e.getClientRects().length).length")
    assert hidden == 0
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_hostile_content_stays_text(browser, book, formats, tmp_path):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    asked: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    url = written(tmp_path, "<b>x</b>.txt", HOSTILE.encode(), book, formats)
    page.goto(url)
    assert (asked, dialogs) == ([url], [])
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert "\u202e" not in page.inner_text("body")
    assert "\x1b" not in page.inner_text("body")
    context.close()


def test_it_reads_without_scripts(browser, book, formats, tmp_path):
    name = SHOWN[2]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written(tmp_path, name, (SAMPLES / name).read_bytes(), book, formats))
    assert page.locator("h1").inner_text()
    assert page.locator("ol.steps li").count() > 0
    context.close()


def test_the_local_page_works_by_keyboard_alone(browser, book, formats):
    with Server(0, book, formats) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        assert [v["id"] for v in axe.Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("Tab")
        page.keyboard.insert_text((SAMPLES / SHOWN[2]).read_text(encoding="utf-8"))
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector(".verdict")
        assert "faulty" in page.inner_text(".verdict").lower()
        page.close()
        server.shutdown()


def test_the_next_capture_sharpens_the_verdict(browser, book, formats):
    session = (
        "220 mx.example.net ESMTP\nEHLO c.example.org\n250 mx.example.net Hello c.example.org [192.0.2.7]\n"
        "MAIL FROM:<a@example.org>\nConnection closed by foreign host.\n"
    )
    with Server(0, book, formats) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        page.fill("#capture", session)
        page.click("button[type=submit]")
        assert "zen.spamhaus.org" in page.inner_text("#next-1")
        assert [v["id"] for v in axe.Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}] == []
        page.fill("#more", "$ host 7.2.0.192.zen.spamhaus.org\n7.2.0.192.zen.spamhaus.org has address 127.0.0.2\n")
        page.click("form button[type=submit]")
        page.wait_for_selector("h3:has-text('paste 2')")
        assert "certain" in page.inner_text(".chips")
        page.close()
        server.shutdown()
