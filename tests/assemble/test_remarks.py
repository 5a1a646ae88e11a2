"""What a log notes in passing counts only where it shows nothing else."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

SCREEN = "Nov 23 10:00:01 mx postfix/postscreen[71]: "
FOUND = (
    (SCREEN + "PREGREET 14 after 0.27 from [203.0.113.77]:37556: EHLO pc\\r\\n", "talks-too-soon"),
    (SCREEN + "COMMAND PIPELINING from [203.0.113.77]:37556 after HELO: MAIL FROM:<a@example.org>\\r\\n", "talks-too-soon"),
    (SCREEN + "DNSBL rank 9 for [203.0.113.77]:37556", "listed-on-dnsbl"),
    (SCREEN + "BARE NEWLINE from [203.0.113.77]:37556 after DATA", "bare-newline"),
    (
        "2026-11-23 10:00:01 SMTP protocol synchronization error (input sent without waiting for greeting): "
        'rejected connection from H=[203.0.113.77] input="GET / HTTP/1.1\\r\\n"',
        "talks-too-soon",
    ),
)
DELIVERED = (
    "Nov 23 10:00:10 mx postfix/lmtp[74]: 4F1A2B3C4D: to=<bob@example.net>, relay=mx[private/dovecot-lmtp], delay=0.1, delays=0/0/0/0.1, "
    "dsn=2.0.0, status=sent (250 2.0.0 <bob@example.net> abc Saved)"
)
RECEIVED = "2026-11-23 10:00:02 1xVaYe-00005s-2l <= alice@example.org H=mail.example.org [192.0.2.25] P=esmtp S=574 id=1@example.org"


@pytest.mark.parametrize(("line", "fault"), FOUND)
def test_what_a_server_finds_of_a_client_is_told_where_nothing_else_is_shown(book, formats, line, fault):
    report = diagnose([Source("x", f"{line}\n".encode())], book, formats, events=True)
    assert report.diagnoses[0].fault == fault
    assert report.facts["client_ip"] == "203.0.113.77"


@pytest.mark.parametrize("line", [line for line, _ in FOUND])
@pytest.mark.parametrize("other", [DELIVERED, RECEIVED])
def test_what_a_server_finds_of_a_client_is_nothing_beside_mail(book, formats, line, other):
    report = diagnose([Source("x", f"{line}\n{other}\n".encode())], book, formats)
    assert report.verdict == "healthy"


def test_a_client_that_hangs_up_hides_not_what_was_found_of_it(book, formats):
    text = FOUND[0][0] + "\n" + SCREEN + "HANGUP after 0.55 from [203.0.113.77]:37556 in tests before SMTP handshake\n"
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.diagnoses[0].fault == "talks-too-soon"
