"""What a client says last, where nothing else of its session is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

LAST_WORDS = {
    "smtplib.SMTPServerDisconnected: Connection unexpectedly closed\n": {"connection-dropped"},
    "$ curl smtp://mail.example.net:587 -T mail.txt\ncurl: (56) Recv failure: Connection reset by peer\n": {"connection-reset"},
    "curl: (7) Failed to connect to mail.example.net port 587 after 21054 ms: Couldn't connect to server\n": {"connection-timed-out"},
    "curl: (28) Failed to connect to mail.example.net port 25 after 130012 ms: Connection timed out\n": {
        "connection-timed-out",
        "outbound-port-25-blocked",
    },
    "ConnectionRefusedError: [WinError 10061] No connection could be made because the target machine actively refused it\n": {
        "connection-refused"
    },
}


@pytest.mark.parametrize("text", LAST_WORDS)
def test_a_client_s_last_word_is_a_problem(text: str, book: RuleBook, formats: Formats) -> None:
    report = diagnose([Source("paste", text.encode())], book, formats)
    assert report.diagnoses[0].fault in LAST_WORDS[text]


def test_a_connection_that_fails_at_once_has_not_surely_timed_out(book: RuleBook, formats: Formats) -> None:
    text = b"curl: (7) Failed to connect to mail.example.net port 587 after 2 ms: Couldn't connect to server\n"
    assert diagnose([Source("paste", text)], book, formats).verdict == "inconclusive"


def test_a_command_that_could_not_hand_on_leaves_it_open(book: RuleBook, formats: Formats) -> None:
    report = diagnose([Source("paste", b"mail: cannot send message: process exited with a non-zero status\n")], book, formats)
    assert report.verdict == "inconclusive"
    assert not report.coverage.unrecognised


def test_a_quotation_may_stand_further_in(book: RuleBook, formats: Formats) -> None:
    said = ("220 mx.example.net ESMTP", "EHLO pc.example.org", "250 mx.example.net", "MAIL FROM:<a@example.org>", "550 5.7.1 Access denied")
    report = diagnose([Source("paste", "".join(f">  {line}\n" for line in said).encode())], book, formats)
    assert not report.coverage.unrecognised
    assert report.verdict == "faulty"
