"""What people's programs do to a capture must not change what it says: each mutation is read as the original is."""

from __future__ import annotations

import html
import re
import textwrap
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import pytest

from analyzer.formats.load import load_formats
from analyzer.model.capture import Source
from analyzer.model.events import Noise
from analyzer.parse import parse
from analyzer.read import read
from analyzer.segment import segment
from tests.conftest import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURES = (
    "telnet/recipient-unknown.txt",
    "telnet/message-accepted.txt",
    "telnet/connection-refused.txt",
    "telnet/greylisted.txt",
    "postfix/relay-denied.log",
    "lab/blocked-by-policy--remote/postfix.log",
    "lab/account-disabled--535/swaks.txt",
    "lab/auth-failed--dovecot/curl.txt",
    "lab/auth-failed--dovecot/msmtp.txt",
    "lab/healthy--tls-verified/s_client.txt",
)
Lines = list[str]


def joined(lines: Lines) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def each(change: Callable[[str], str]) -> Callable[[Lines], bytes]:
    return lambda lines: joined([change(line) for line in lines])


def nonblank(change: Callable[[str], str]) -> Callable[[Lines], bytes]:
    return lambda lines: joined([change(line) if line.strip() else line for line in lines])


def around(before: str, after: str) -> Callable[[Lines], bytes]:
    return lambda lines: joined([before, *lines, after])


MUTATIONS: dict[str, Callable[[Lines], bytes]] = {
    "as it is": joined,
    "quoted": each(lambda s: f"> {s}"),
    "quoted without blank": each(lambda s: f">{s}"),
    "quoted twice": each(lambda s: f"> > {s}"),
    "quoted twice without blank": each(lambda s: f">> {s}"),
    "fenced": around("```", "```"),
    "fenced with a language": around("```console", "```"),
    "hugo": around("{{< highlight text >}}", "{{< /highlight >}}"),
    "jira": around("{noformat}", "{noformat}"),
    "bbcode": around("[code]", "[/code]"),
    "indented": nonblank(lambda s: "    " + s),
    "indented by a tab": nonblank(lambda s: "\t" + s),
    "quoted and indented": each(lambda s: f">     {s}"),
    "backticks": nonblank(lambda s: f"`{s}`"),
    "pre": lambda lines: ("<pre><code>" + html.escape("\n".join(lines)) + "</code></pre>\n").encode(),
    "breaks": nonblank(lambda s: html.escape(s) + "<br />"),
    "divisions": nonblank(lambda s: f'<div class="line">{html.escape(s)}</div>'),
    "entities": each(html.escape),
    "cat -n": lambda lines: joined([f"{i:6}\t{s}" for i, s in enumerate(lines, 1)]),
    "numbered": lambda lines: joined([f"{i}: {s}" for i, s in enumerate(lines, 1)]),
    "grep": each(lambda s: f"/var/log/mail.log:{s}"),
    "grep -n": lambda lines: joined([f"mail.log:{i}:{s}" for i, s in enumerate(lines, 41)]),
    "grep -C": lambda lines: joined([f"/var/log/mail.log{':' if i % 3 else '-'}{s}" for i, s in enumerate(lines)]),
    "crlf": lambda lines: "\r\n".join(lines).encode() + b"\r\n",
    "cr cr lf": lambda lines: "\r\r\n".join(lines).encode() + b"\r\r\n",
    "cr": lambda lines: "\r".join(lines).encode(),
    "literal line ends": each(lambda s: s + "\\r\\n"),
    "utf-16": lambda lines: "\n".join(lines).encode("utf-16"),
    "utf-16 without a mark": lambda lines: "\n".join(lines).encode("utf-16-le"),
    "byte order mark": lambda lines: b"\xef\xbb\xbf" + joined(lines),
    "coloured": nonblank(lambda s: f"\x1b[0;32m{s}\x1b[0m\x1b[K"),
    "colours written out": nonblank(lambda s: f"ESC[0;32m{s}ESC[0m"),
    "colours in C's way": nonblank(lambda s: f"\\033[32m{s}\\033[0m"),
    "colours that lost their first byte": nonblank(lambda s: f"[32m{s}[0m"),
    "a backtick before and after": lambda lines: joined([f"`{lines[0]}", *lines[1:-1], f"{lines[-1]}`"] if len(lines) > 1 else lines),
    "typing errors taken back": nonblank(lambda s: f"{s[:3]}xy\x08\x08{s[3:]}"),
    "hard blanks": each(lambda s: s.replace(" ", "\u00a0")),
    "zero width": each(lambda s: "\u200b" + s),
    "trailing blanks": each(lambda s: s + "   "),
    "blank lines between": lambda lines: joined([x for s in lines for x in (s, "")]),
    "prose before and after": lambda lines: joined(
        ["Hello all,", "", "our mail does not arrive. This is what I see:", "", *lines, "", "Any ideas what is wrong here?"]
    ),
    "a sentence right before": lambda lines: joined(["Here is what I tried this morning from the mail server:", *lines]),
    "nul bytes at the end": lambda lines: joined(lines) + b"\0" * 40,
}


@cache
def lines_of(name: str) -> tuple[str, ...]:
    return tuple((SAMPLES / name).read_text(encoding="utf-8").splitlines())


def told(data: bytes) -> list[tuple[object, ...]]:
    """What the capture says: its events without their places."""
    formats = load_formats()
    found: list[tuple[object, ...]] = []
    for part in segment(read(Source("x", data)), formats):
        events = parse(part, formats).events
        for event in events:
            if isinstance(event, Noise) or event.format == "loose":
                continue
            values = msgspec.structs.asdict(event)
            place = values.pop("place")
            values.pop("last_line")
            found.append((place, type(event).__name__, *(" ".join(str(v or "").split()) for v in values.values())))
    return [values[1:] for values in sorted(found, key=lambda v: v[0])]


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_says_the_same(capture: str, mutation: str) -> None:
    lines = list(lines_of(capture))
    assert told(MUTATIONS[mutation](lines)) == told(joined(lines))


@pytest.mark.parametrize("width", [72, 76, 80, 100])
@pytest.mark.parametrize("capture", [c for c in CAPTURES if c.endswith(".log")])
def test_wrapped_log_lines_say_the_same(capture: str, width: int) -> None:
    lines = list(lines_of(capture))
    wrapped = [part for line in lines for part in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)]
    assert told(joined(wrapped)) == told(joined(lines))


def test_lines_keep_their_numbers() -> None:
    capture = read(Source("x", b"Hello\n\n```\n> 220 mx.example.net ESMTP\n> EHLO a\n```\n"))
    assert [(line.number, line.text) for line in capture.lines if line.text][1:] == [(4, "220 mx.example.net ESMTP"), (5, "EHLO a")]
    assert capture.lines[3].raw == "> 220 mx.example.net ESMTP"
    assert capture.notes


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\0" * 5000, bytes(range(256)) * 40, b"> " * 3000, b"<" * 20000, b"&lt;" * 9000, b"\x1b[" * 9000, b"(" * 70000]
)
def test_rubbish_is_read(data: bytes) -> None:
    told(data)


LOGS = ("postfix/relay-denied.log", "postfix/sent.log", "postfix/mail-loop.log", "lab/blocked-by-policy--remote/postfix.log")
PASTES: dict[str, Callable[[Lines], bytes]] = {
    "a comma after each line": each(lambda s: f"{s},"),
    "addresses as links": each(lambda s: re.sub(r"<([^<>@ ]+@[^<>@ ]+)>", r"[<\1>](mailto:\1)", s)),
    "all on one line": lambda lines: " ".join(lines).encode(),
    "the stamp of the first line cut": lambda lines: joined([" " + lines[0], *lines[1:]]),
}


@pytest.mark.parametrize("capture", LOGS)
@pytest.mark.parametrize("paste", PASTES)
def test_a_log_pasted_so_says_the_same(capture: str, paste: str) -> None:
    lines = [line for line in lines_of(capture) if line.strip()]
    assert told(PASTES[paste](lines)) == told(joined(lines))
