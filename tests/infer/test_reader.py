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
