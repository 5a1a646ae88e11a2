"""What people write behind lines, and what they leave out at their heads, changes nothing of what the lines say."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

SESSION = """\
telnet mail.example.org 25{0}
Trying 203.0.113.5...
Connected to mail.example.org.
220 mail.example.org ESMTP Postfix{1}
HELO pc.example.net{2}
250 mail.example.org
MAIL FROM:<me@example.org>{3}
250 2.1.0 Ok
RCPT TO:<you@example.com>
554 5.7.1 <you@example.com>: Relay access denied{4}
QUIT
221 2.0.0 Bye
"""
REMARKS = {
    "arrows": ["     <-- from home", "   <-- ok", "  <--- my laptop", "   <-- my address", "     <-------"],
    "comments": ["    # from home", "     # <-smtp_client_restrictions", "  #", "   # my address", "      # <-- ???"],
    "one arrow": ["", "", "", "", "  <== what?"],
    "slashes": ["    // from home", "", "", "", "   // why"],
}


@pytest.mark.parametrize("kind", REMARKS)
def test_remarks_behind_lines(kind, book, formats):
    plain, noted = (diagnose([Source("x", SESSION.format(*r).encode())], book, formats) for r in ([""] * 5, REMARKS[kind]))
    assert [(d.fault, d.certainty) for d in noted.diagnoses] == [(d.fault, d.certainty) for d in plain.diagnoses]
    assert noted.facts == plain.facts
    assert noted.coverage.unrecognised == ()


def test_what_is_quoted_is_no_remark(book, formats):
    text = '$ dig +short TXT example.org\n"note=a  # b" "v=x"\n"v=spf1 mx -all"\n'
    report = diagnose([Source("x", text.encode())], book, formats)
    assert (report.verdict, report.coverage.unrecognised) == ("healthy", ())


DELIVERIES = {
    "to=<bob@example.net>, relay=none, delay=0.6, delays=0.1/0/0.5/0, dsn=4.7.5, status=deferred (no TLSA records found)": "tls-policy-failed",
    "relay=mx.example.net[192.0.2.25]:25, delay=6, delays=0/0/6/0, dsn=4.7.0, status=deferred (SASL authentication failed: server "
    "mx.example.net[192.0.2.25] offered no compatible authentication mechanisms for this type of connection security)": "auth-mechanism-mismatch",
    "status=bounced (host mx.example.net[192.0.2.25] said: 550 5.1.1 User unknown (in reply to RCPT TO command))": "recipient-unknown",
    "host mx.example.net[192.0.2.25] said: 552 mailbox full (in reply to end of DATA command)": "mailbox-full",
    "(host mx.example.net[192.0.2.25] refused to talk to me: 554 Client host [198.51.100.7] blocked using dnsbl.example)": "listed-on-dnsbl",
}


@pytest.mark.parametrize("line", DELIVERIES)
def test_the_head_of_a_delivery_line_left_out(line, book, formats):
    report = diagnose([Source("x", f"I get this:\n\n{line}\n\nWhat now?\n".encode())], book, formats)
    assert report.diagnoses[0].fault == DELIVERIES[line]
    if "mx.example.net[" in line:
        assert (report.facts["server"], report.facts["server_ip"]) == ("mx.example.net", "192.0.2.25")


def test_a_delivery_line_that_goes_on_is_left_alone(book, formats):
    text = """\
Nov 23 10:00:01 mx postfix/smtp[71]: 4F1A2B3C4D: to=<bob@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=5.1.1,
status=bounced (host mx.example.net[192.0.2.25] said: 550 5.1.1 User unknown (in reply to RCPT TO command))
"""
    report = diagnose([Source("x", text.encode())], book, formats)
    assert (report.diagnoses[0].fault, report.facts["queue_id"]) == ("recipient-unknown", "4F1A2B3C4D")


def test_a_question_beside_a_capture_is_no_failure(book, formats):
    text = """\
Is "Untrusted TLS connection" a problem?

Nov 23 10:00:00 mx postfix/smtp[50]: Untrusted TLS connection established to mx.example.net[192.0.2.25]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
Nov 23 10:00:01 mx postfix/smtp[50]: 77AC2F: to=<b@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/0.3/0.6, dsn=2.0.0, status=sent (250 2.0.0 OK)
"""
    assert diagnose([Source("x", text.encode())], book, formats).verdict == "healthy"
