"""Lines that were broken are joined where a format reads the whole, and lines of their own are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.formats.load import shown
from analyzer.model.capture import Source
from analyzer.read import read
from analyzer.rejoin import rejoined

if TYPE_CHECKING:
    from analyzer.formats.load import Formats

REPLY = """220 mx.example.net ESMTP
EHLO pc.example.org
250 mx.example.net
MAIL FROM:<alice@example.org>
250 2.1.0 Ok
RCPT TO:<bob@example.net>
550 5.7.1 <bob@example.net>: Recipient address rejected: Message rejected due
to: SPF fail - not authorized
QUIT
221 2.0.0 Bye
"""
KERIO = """[23/Nov/2026 10:00:02] Sent: Queue-ID: 438dd9ea-00000000, Recipient:
<bob@example.net>, Result: delayed, Status: 4.7.1 450 4.7.1 <bob@example.net>:
Recipient address rejected: Greylisted, Remote-Host: 192.0.2.25
"""
HEADER = """Authentication-Results: mx.example.net;
       spf=pass (example.net: domain of bounces+123@em.sendservice.example
designates 198.51.100.9 as permitted sender)
From: "Shop" <shop@example.org>
To: bob@example.net
"""
JSON = """{"level":"error","msg":"delivery failed","reason":"550 5.7.1 Service
unavailable; client blocked","rcpt":"bob@example.net"}
"""
BESIDE = """250-mx.example.net greets you in a line that is as long as a line can be here.
RCPT TO:<bob@example.net>
250 2.1.0 Ok and this is another one of them, longer than what stands before it
Why does it say so?
DEBUG: getProvider() returning javax.mail.Provider[TRANSPORT,smtp,com.sun.mail.x]
DEBUG SMTP: useEhlo true, useAuth false
"""


def joined(text: str, formats: Formats) -> list[tuple[int, int]]:
    lines = rejoined(read(Source("capture", text.encode())), formats).lines
    return [(line.number, line.last) for line in lines if line.last != line.number]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(REPLY, [(7, 8)]), (KERIO, [(1, 3)]), (HEADER, [(2, 3)]), (JSON, [(1, 2)]), (BESIDE, [])],
    ids=["reply", "log", "header", "JSON", "lines of their own"],
)
def test_what_was_broken_is_joined(text: str, wanted: list[tuple[int, int]], formats: Formats) -> None:
    assert joined(text, formats) == wanted


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("from x.x.x.x:25", "from 0.0.0.0:25"),
        ("[203.0.113.xxx]", "[203.0.113.000]"),
        ("***.***.***.***", "000.000.000.000"),
        ("box.x.example.org", "box.x.example.org"),
        ("a 2 x 4 and x.x", "a 2 x 4 and x.x"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_hidden_address_is_seen(text: str, filled: str) -> None:
    assert shown(text) == filled
    assert len(shown(text)) == len(text)
