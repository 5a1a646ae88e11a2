"""A person's words are told apart from evidence that was not understood, and leave a session whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from analyzer.read.prose import is_prose

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.report import Report
    from analyzer.model.rule import RuleBook

WORDS = (
    "Hi all,",
    "I can't send to one domain. Here is what I see:",
    "and then it hangs here for 5 min:",
    "(nothing happens for about a minute, then)",
    "// now I log in",
    "# I typed this",
    "<-- this is the error",
    "Any ideas? Thanks in advance",
    "Posted by alice on 3 November",
    "When I try it from outside I get connection refused",
    "- I have checked the firewall",
    "... (certificate stuff removed) ...",
)
EVIDENCE = (
    "Connection refused",
    "Error: cannot connect to host",
    "220 mx.example.org ESMTP",
    "*** Remote host closed connection unexpectedly.",
    "client=unknown reason=blocked",
    ";; connection timed out; no servers could be reached",
    "Nov 23 10:00:00 mx filterd[12]: started",
    "[ERROR] Mailer failed",
    "verify error:num=20:unable to get local issuer certificate",
    "Host not found",
    "    at Socket.connect (net.js:12:3)",
    "Traceback (most recent call last):",
    "Password: secret",
)
SESSION = """Hi, this is what I get:

$ telnet mx1.example.net 25
Trying 192.0.2.25...
Connected to mx1.example.net.
Escape character is '^]'.
220 mx1.example.net ESMTP Postfix
EHLO mail.example.org
250 mx1.example.net
MAIL FROM:<alice@example.org>
250 2.1.0 Ok

So far so good. After this I type the recipient
and then it hangs here for 5 min:

RCPT TO:<bob@example.com>
554 5.7.1 <bob@example.com>: Relay access denied   <-- this is the error
quit
221 2.0.0 Bye
"""
NOT_FOR_REAL = """# exim -bh 192.0.2.99

**** SMTP testing session as if from host 192.0.2.99
**** This is not for real!

>>> host in hosts_connection_nolog? no (option unset)
220 mail.example.org ESMTP Exim 4.94.2
helo there.example.net
>>> there.example.net in helo_lookup_domains? no (end of list)
250 mail.example.org Hello there.example.net [192.0.2.99]
mail from:<alice@example.net>
>>> using ACL "acl_check_mail"
250 OK
rcpt to:<bob@example.com>
>>> using ACL "acl_check_rcpt"
>>> deny: condition test succeeded in ACL "acl_check_rcpt"
550 relay not permitted
"""
LOGIN = """openssl s_client -starttls smtp -connect smtp.example.com:587 -crlf
CONNECTED(00000003)
250 SMTPUTF8
EHLO client.example.org
250 AUTH PLAIN LOGIN
// now I log in
AUTH LOGIN
334 VXNlcm5hbWU6
(base64 user)
334 UGFzc3dvcmQ6
(base64 pass)
535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6
what am I doing wrong here?
"""


@pytest.fixture(scope="module")
def report_of(book: RuleBook, formats: Formats):
    def report(text: str) -> Report:
        return diagnose([Source("x", text.encode())], book, formats)

    return report


@pytest.mark.parametrize("text", WORDS)
def test_these_are_a_persons_words(text: str) -> None:
    assert is_prose(text)


@pytest.mark.parametrize("text", EVIDENCE)
def test_these_are_not(text: str) -> None:
    assert not is_prose(text)


def test_remarks_leave_a_session_whole(report_of) -> None:
    report = report_of(SESSION)
    assert [d.fault for d in report.diagnoses[:1]] == ["relay-denied"]
    assert list(report.facts["rcpt_to"]) == ["bob@example.com"]
    assert report.facts["server"] == "mx1.example.net"
    assert "this is the error" not in report.problems[0].what
    assert report.coverage.prose == 3
    assert not report.coverage.unrecognised


def test_a_session_that_is_not_for_real_is_one_session(report_of) -> None:
    report = report_of(NOT_FOR_REAL)
    assert [d.fault for d in report.diagnoses[:1]] == ["relay-denied"]
    assert report.problems[0].what.startswith("mail.example.org refused RCPT TO")
    assert not report.coverage.unrecognised


def test_an_answer_that_was_made_unreadable_is_an_answer(report_of) -> None:
    report = report_of(LOGIN)
    assert report.problems[0].what.startswith("smtp.example.com refused AUTH")
    assert [d.fault for d in report.diagnoses] == ["auth-failed"]


@pytest.mark.parametrize("dash", ["\u2013", "\u2014", "\u2212", "\u2011"])
def test_typographic_marks_in_a_record_are_plain_ones(report_of, dash: str) -> None:
    report = report_of(f"$ dig +short TXT example.org\n\u201cv=spf1 mx ip4:192.0.2.1 {dash}all\u201d\n")
    assert report.verdict == "healthy"


def test_a_step_that_was_done_over_is_no_fault(report_of) -> None:
    report = report_of(
        "Ncat: Connected to 192.0.2.1:25.\n220 mx.example.org ESMTP\nRCPT TO: bob@example.org\n503 5.5.1 Error: need MAIL command\n"
        "MAIL FROM:<a@example.org>\n250 2.1.0 Ok\nRCPT TO:<bob@example.org>\n250 2.1.5 Ok\nDATA\n354 End data\nhello\n.\n250 2.0.0 Ok: queued as 7E3B7\n"
    )
    assert report.verdict == "healthy"


def test_unread_lines_that_speak_of_failure_keep_a_case_from_being_healthy(report_of) -> None:
    session = "220 mx.example.org ESMTP\nEHLO a.example.org\n250 mx.example.org\nMAIL FROM:<a@example.org>\n250 Ok\nRCPT TO:<b@example.org>\n250 Ok\n"
    assert report_of(f"{session}QUIT\n221 Bye\n").verdict == "healthy"
    assert report_of(f"mta[17]: worker 3 {{state=dead}} failed\n\n\n\n{session}QUIT\n221 Bye\n").verdict == "inconclusive"


def test_a_block_within_a_list_is_indented_as_its_fence_is(report_of) -> None:
    report = report_of(
        "1. first provider, affected\n   ```\n   $ host -t A example.org 192.0.2.53\n   Using domain server:\n   Name: 192.0.2.53\n"
        "   Address: 192.0.2.53#53\n   Aliases: \n\n   Host example.org not found: 2(SERVFAIL)\n   ```\n"
    )
    assert [d.fault for d in report.diagnoses[:1]] == ["dns-server-failure"]


SENTENCES = (
    "We use SMTPSVC1 on a 2019 server, and the OutboundConnectionResponse is 550",
    "The log of the gateway says Info: MID 6 was bounced, but I cannot find ICID 5 in it.",
    "Info: my message with the MID 12 never arrived",
    "Someone told me to look for the DCID 8, what is that?",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_about_a_log_is_none(text: str, book: RuleBook, formats: Formats) -> None:
    report = diagnose([Source("capture", text.encode())], book, formats)
    assert not report.diagnoses
    assert not {"cisco-esa", "iis-smtp"} & set(report.coverage.formats)
