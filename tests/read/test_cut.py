"""Delivery lines of which somebody cut fields are read, and sentences that speak of a status are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.batch.reader import Reader
from analyzer.model.capture import Source
from analyzer.model.events import Attempt
from analyzer.parse import parse
from analyzer.read import read
from analyzer.segment import segment

if TYPE_CHECKING:
    from analyzer.formats.load import Formats

REASON = "(host mx.example.net[192.0.2.9] said: 550 5.1.1 <b@example.net>: Recipient address rejected: User unknown (in reply to RCPT TO command))"
STAMPED = "Nov 23 10:00:01 mx1 postfix/smtp[99]: "
CUT = (
    f"1A2B3C4D5E: relay=mx.example.net[192.0.2.9]:25, delay=1, delays=0/0/1/0, dsn=5.1.1, status=bounced {REASON}",
    f"1A2B3C4D5E: to=<b@example.net>, delay=1, delays=0/0/1/0, dsn=5.1.1, status=bounced {REASON}",
    f"1A2B3C4D5E: to=<b@example.net>, mx.example.net[192.0.2.9:25], delay=1, dsn=5.1.1, status=bounced {REASON}",
    f"to=<b@example.net>, ..., status=bounced {REASON}",
    f"... relay=mx.example.net[192.0.2.9]:25, [...] status=bounced {REASON}",
    f"<removed>: to=<b@example.net>, relay=mx.example.net[192.0.2.9]:25, status=bounced {REASON}",
    f"dsn=5.1.1, status=bounced {REASON}",
    f"status=bounced {REASON}",
    f"smtp[99]: 1A2B3C4D5E: relay=mx.example.net[192.0.2.9]:25, status=bounced {REASON}",
    "42B9x1ab012345: relay=mx.example.net. [192.0.2.9], dsn=5.1.1, stat=User unknown",
    "42B9x1ab012345: to=<b@example.net>, delay=00:00:02, ... stat=User unknown",
    "dsn=5.1.1, stat=User unknown",
)
SENTENCES = (
    "Is status=sent (250 ok) a sign that it arrived?",
    "status=sent (250 ok) means that the next server took it, doesn't it?",
    "Our monitoring counts status=deferred (any reason) as an error.",
    "What does dsn=2.0.0, stat=Sent mean for me?",
    "status=bounced",
    "stat=Sent",
    "retries=3, timeout=10, status=deferred",
)


def attempts(text: str, formats: Formats) -> list[Attempt]:
    events = [e for part in segment(read(Source("x", text.encode())), formats) for e in parse(part, formats).events]
    return [e for e in events if isinstance(e, Attempt)]


@pytest.mark.parametrize("line", CUT)
def test_a_line_without_some_fields_tells_the_attempt(line: str, formats: Formats) -> None:
    for text in (line, *([STAMPED + line] if "status=" in line and not line.startswith("smtp[") else [])):
        (attempt,) = attempts(text, formats)
        assert attempt.status == "bounced"
        assert "unknown" in str(attempt.text)
        assert attempt.rcpt_to == ("b@example.net" if "to=<" in line else None)
        assert attempt.relay_ip == ("192.0.2.9" if "relay=" in line else None)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_about_a_status_tells_none(sentence: str, formats: Formats) -> None:
    assert attempts(sentence, formats) == []
    assert attempts(f"Hello,\n\n{sentence}\n\nRegards\n", formats) == []


def test_logs_read_in_bulk_have_no_such_lines(formats: Formats) -> None:
    assert not [f.name for f in Reader(formats).logs if f.header.pasted]
