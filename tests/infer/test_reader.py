"""On which side the reader stands, and whose steps are shown."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

SESSION = (
    "$ telnet {name} 587\nTrying {ip}...\nConnected to {name}.\nEscape character is '^]'.\n220 mail.example.org ESMTP Postfix\nEHLO pc\n"
    "250-mail.example.org\n250 STARTTLS\nSTARTTLS\n454 4.7.0 TLS not available due to local problem\nQUIT\n221 2.0.0 Bye\n"
)


@pytest.mark.parametrize(("name", "ip", "own"), [("localhost", "127.0.0.1", True), ("mail.example.org", "192.0.2.25", False)])
def test_who_tests_the_server_of_his_own_machine_runs_it(name, ip, own, book, formats):
    found = diagnose([Source("x", SESSION.format(name=name, ip=ip).encode())], book, formats).diagnoses[0]
    assert found.fault == "tls-unavailable"
    assert (found.message is None) is own
    assert any("postconf" in step for step in found.steps) is own


LOG = (
    "Nov 23 10:00:01 mail postfix/{agent}[394]: DD934F741F0: to=<bob@example.net>, relay={relay}, delay=0.25, delays=0.03/0.1/0.09/0.03, "
    "dsn=4.3.0, status=deferred (host {relay} said: 451 4.3.0 <bob@example.net>: Temporary lookup failure (in reply to RCPT TO command))\n"
)


@pytest.mark.parametrize(
    ("agent", "relay", "who"),
    [
        ("smtp", "mx1.example.net[198.51.100.25]:25", "receiver"),
        ("smtp", "filter.example.org[10.0.0.5]:25", "local"),
        ("lmtp", "mail.example.org[private/dovecot-lmtp]", "local"),
    ],
)
def test_what_another_server_says_of_itself_is_for_whoever_runs_that_one(agent, relay, who, book, formats):
    found = diagnose([Source("x", LOG.format(agent=agent, relay=relay).encode())], book, formats).diagnoses[0]
    assert (found.fault, found.fixed_by) == ("lookup-table-unavailable", who)
    assert ("itself that has the trouble" in found.steps[0]) is (who == "receiver")
