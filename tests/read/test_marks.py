"""Sessions whose marks no format knows: who speaks is told from what is said."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

SESSION = (
    ("S", "220 mx.example.org ESMTP Postfix"),
    ("C", "EHLO pc.example.net"),
    ("S", "250-mx.example.org"),
    ("S", "250 8BITMIME"),
    ("C", "MAIL FROM:<a@example.net>"),
    ("S", "250 2.1.0 Ok"),
    ("C", "RCPT TO:<b@example.org>"),
)
REFUSED = (
    *SESSION,
    ("S", "550 5.1.1 <b@example.org>: Recipient address rejected: User unknown in local recipient table"),
    ("C", "QUIT"),
    ("S", "221 Bye"),
)
TAKEN = (
    *SESSION,
    ("S", "250 2.1.5 Ok"),
    ("C", "DATA"),
    ("S", "354 go"),
    ("C", "Subject: x"),
    ("C", ""),
    ("C", "hello"),
    ("C", "."),
    ("S", "250 2.0.0 Ok: queued as 4XyZ1ab2c3z9t"),
    ("C", "QUIT"),
    ("S", "221 2.0.0 Bye"),
)
MARKS = [
    ("[S] ", "[C] "),
    ("R: ", "S: "),  # receiver and sender, as RFC 821 has it
    ("-> ", "<- "),
    ('-> "', '<- "'),
    (">>> ", "<<< "),
    ("RX: ", "TX: "),
    ("server> ", "client> "),
    ("<-- S: ", "--> C: "),
    ("2026-11-23 10:00:0{i},123 DEBUG smtp - IN  ", "2026-11-23 10:00:0{i},123 DEBUG smtp - OUT "),
    ("[2026-11-23T10:00:0{i}Z] INFO  <- ", "[2026-11-23T10:00:0{i}Z] INFO  -> "),
    ("Nov 23 10:00:0{i} host app[123]: server: ", "Nov 23 10:00:0{i} host app[123]: client: "),
    ("recv '", "send '"),
    ("", "me> "),
    ("< ", ""),
]


@pytest.mark.parametrize(("server", "client"), MARKS)
@pytest.mark.parametrize(("session", "verdict", "fault"), [(REFUSED, "faulty", "recipient-unknown"), (TAKEN, "healthy", None)])
def test_speakers(server, client, session, verdict, fault, book, formats):
    def line(index, who, text):
        mark = (server if who == "S" else client).replace("{i}", str(index % 10))
        quote = mark[-1:] if mark.endswith(("'", '"')) else ""
        return f"{mark}{text}{quote}"

    text = "\n".join(line(i, who, said) for i, (who, said) in enumerate(session))
    report = diagnose([Source("session", text.encode())], book, formats)
    assert (report.verdict, report.diagnoses[0].fault if report.diagnoses else None) == (verdict, fault)
    assert report.facts["helo"] == "pc.example.net"
    assert list(report.facts["rcpt_to"]) == ["b@example.org"]


def test_known_marks_are_left_alone(book, formats):
    text = "=== Connected to mx.example.org.\n" + "\n".join(("<-  " if who == "S" else " -> ") + said for who, said in REFUSED)
    report = diagnose([Source("session", text.encode())], book, formats)
    assert set(report.coverage.formats) == {"swaks"}


def test_a_session_without_marks_beside_one_with_them(book, formats):
    marked = "=== Connected to mx.example.org.\n" + "\n".join(("<-  " if who == "S" else " -> ") + said for who, said in TAKEN)
    typed = """\
$ telnet mx.example.com 25
Trying 192.0.2.80...
Connected to mx.example.com.
Escape character is '^]'.
220 mx.example.com ESMTP Exim 4.96
EHLO pc.example.net
250-mx.example.com Hello pc.example.net [198.51.100.9]
250 HELP
MAIL FROM:<a@example.net>
250 OK
RCPT TO:<c@example.edu>
550 relay not permitted
QUIT
221 mx.example.com closing connection
Connection closed by foreign host.
"""
    for text in (f"{marked}\n\n{typed}", f"{typed}\n{marked}\n"):
        report = diagnose([Source("both", text.encode())], book, formats)
        assert [d.fault for d in report.diagnoses] == ["relay-denied"]
        assert set(report.coverage.formats) == {"swaks", "telnet"}


def test_a_reply_that_names_a_command_carries_no_mark(book, formats):
    text = (
        "$ telnet mx.example.net 25\nConnected to mx.example.net.\nEscape character is '^]'.\n220 mx.example.net ESMTP Postfix\n"
        "501 Syntax: HELO hostname\n221 2.0.0 Bye\nConnection closed by foreign host.\n"
    )
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.diagnoses[0].fault == "command-syntax-error"
