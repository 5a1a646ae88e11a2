"""Facts that a reply itself tells, and facts that belong together."""

from __future__ import annotations

import pytest
from msgspec.structs import astuple

from analyzer.assemble.dialled import dialled_in
from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

REPLIES = {
    "554 IP=198.51.100.7 - A problem occurred. Ask your postmaster for help.": "198.51.100.7",
    "421 4.7.0 [TSS04] Messages from 198.51.100.7 temporarily deferred due to user complaints - 4.16.55.1": "198.51.100.7",
    "550 5.7.1 Service unavailable; client [198.51.100.7] blocked using dnsbl.example": "198.51.100.7",
    "554 mx.example.net 198.51.100.7 found on one or more DNSBLs": "198.51.100.7",
    "554 Blocked - see https://check.example/?ip=198.51.100.7": "198.51.100.7",
    "550-5.7.1 [198.51.100.7      12] Our system has detected that this message is likely unsolicited mail.": "198.51.100.7",
    "550 5.7.1 [2001:db8::7] does not have a PTR record": "2001:db8::7",
    "550 5.7.1 blocked using dnsbl.example: 127.0.0.2": None,
    "550 5.1.1 no mailbox here by that name, ask 192.0.2.25": None,
}


@pytest.mark.parametrize("reply", REPLIES)
def test_the_address_that_a_reply_names(reply, book, formats):
    text = (
        "Nov 23 10:00:01 mx postfix/smtp[71]: 4F1A2B3C4D: to=<bob@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, "
        f"dsn=5.0.0, status=bounced (host mx.example.net[192.0.2.25] said: {reply} (in reply to RCPT TO command))\n"
    )
    assert diagnose([Source("x", text.encode())], book, formats).facts.get("client_ip") == REPLIES[reply]


def test_a_servers_name_and_address_are_of_one_server(book, formats):
    text = """\
telnet mail.example.org 25
Connected to mail.example.org.
Escape character is '^]'.
220 mail.example.org ESMTP Postfix

Nov 23 10:00:01 mx postfix/smtp[71]: connect to mx.example.net[192.0.2.26]:25: Connection timed out
Nov 23 10:00:31 mx postfix/smtp[71]: connect to mx2.example.net[192.0.2.27]:25: Connection timed out
"""
    facts = diagnose([Source("x", text.encode())], book, formats).facts
    assert (facts["server"], facts.get("server_ip")) == ("mail.example.org", None)


ERRORS = {
    "dial tcp 192.0.2.25:587: connect: connection refused": (None, "192.0.2.25", 587),
    "Error: connect ECONNREFUSED 127.0.1.1:465": (None, "127.0.1.1", 465),
    "Couldn't connect to host, port: smtp.example.net, 465; timeout 10000": ("smtp.example.net", None, 465),
    '"\'require_tls\' is true (default) but \\"localhost:25\\" does not advertise the STARTTLS extension"': ("localhost", None, 25),
    'Connection could not be established with host "ssl://smtp.example.net:465": stream_socket_client()': ("smtp.example.net", None, 465),
    "getaddrinfo ENOTFOUND smtp.exanple.net": ("smtp.exanple.net", None, None),
    "dial tcp: lookup smtp.example.net on 127.0.0.11:53: no such host": ("smtp.example.net", None, None),
    "x509: certificate is valid for *.example.com, example.com, not mail.example.org": ("mail.example.org", None, None),
    'Failed to connect to mailserver at "localhost" port 25': ("localhost", None, 25),
    "SSL_connect returned=1 errno=0 peeraddr=[2001:db8::25]:587 state=error": (None, "2001:db8::25", 587),
    "2026-11-23 10:00:01.250 caller=notify.go:332 err=EOF": (None, None, None),
    "connection timed out": (None, None, None),
}


@pytest.mark.parametrize("text", ERRORS)
def test_the_server_that_an_error_names(text):
    assert astuple(dialled_in(text)) == ERRORS[text]


def test_settings_beside_an_error_tell_the_server(book, formats):
    text = '[smtp]\nenabled = true\nhost = smtp.example.net:465\n;user =\n\nmsg="Failed to send alert notification email" error=EOF\n'
    facts = diagnose([Source("x", text.encode())], book, formats).facts
    assert (facts.get("server"), facts.get("port")) == ("smtp.example.net", 465)


def test_a_database_is_no_mail_server(book, formats):
    text = "DB_HOST=db.example.net\nDB_PORT=3306\nhost: db.example.net\n\nExpected response code 250 but got an empty response\n"
    assert diagnose([Source("x", text.encode())], book, formats).facts.get("server") is None
