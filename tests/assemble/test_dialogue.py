"""Where one connection ends and the next begins."""

from __future__ import annotations

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

TIMED_OUT = "$ telnet {name} 25\nTrying {ip}...\ntelnet: Unable to connect to remote host: Connection timed out\n"
REACHED = (
    "$ telnet mx1.example.net 587\nTrying 198.51.100.9...\nConnected to mx1.example.net.\nEscape character is '^]'.\n"
    "220 mx1.example.net ESMTP\nquit\n221 Bye\nConnection closed by foreign host.\n"
)


def test_a_server_that_is_reached_is_not_the_one_that_was_not(book, formats):
    text = TIMED_OUT.format(name="mx.example.com", ip="203.0.113.44") + TIMED_OUT.format(name="mx.example.org", ip="192.0.2.26") + REACHED
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.problems
    assert not any(p.resolved for p in report.problems)
    assert report.verdict == "faulty"
    assert {d.fault for d in report.diagnoses[:2]} == {"outbound-port-25-blocked", "connection-timed-out"}


def test_the_next_address_of_one_host_belongs_to_the_same_connection(book, formats):
    text = (
        "$ telnet mx.example.net 25\nTrying 2001:db8::25...\ntelnet: connect to address 2001:db8::25: Network is unreachable\n"
        "Trying 192.0.2.25...\nConnected to mx.example.net.\nEscape character is '^]'.\n220 mx.example.net ESMTP\nQUIT\n221 Bye\n"
    )
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.verdict == "healthy"


CURL = (
    "*   Trying 192.0.2.25:25...\n* Connected to mx.example.net (192.0.2.25) port 25\n< 220 mx.example.net ESMTP\n> EHLO pc\n< 250 mx.example.net\n"
    "> MAIL FROM:<a@example.org>\n< 250 2.1.0 Ok\n> RCPT TO:<b@example.net>\n< 250 2.1.5 Ok\n> DATA\n* response reading failed (errno: 0)\n> QUIT\n"
    "* response reading failed (errno: 0)\n* Closing connection\n"
)


def test_a_quit_said_into_a_closed_connection_hides_no_hang_up(book, formats):
    report = diagnose([Source("x", CURL.encode())], book, formats)
    assert report.verdict == "faulty"


TRACEBACK = (
    'Traceback (most recent call last):\n  File "/usr/lib/python3.11/smtplib.py", line 398, in getreply\n    line = self.file.readline(_MAXLINE + 1)\n'
    "TimeoutError: timed out\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
    '  File "send.py", line 3, in <module>\n    s.sendmail(a, b, c)\n  File "/usr/lib/python3.11/smtplib.py", line {line}, in {step}\n'
    "    (code, msg) = self.getreply()\n"
    "smtplib.SMTPServerDisconnected: Connection unexpectedly closed: timed out\n"
)


def test_a_traceback_tells_at_which_step_a_reply_was_waited_for(book, formats):
    found = {}
    for step in ("connect", "rcpt"):
        report = diagnose([Source("x", TRACEBACK.format(line=554, step=step).encode())], book, formats)
        found[step] = report.diagnoses[0].fault
    assert found == {"connect": "no-greeting", "rcpt": "dialogue-timed-out"}


NO_ANSWER_TO_EHLO = (
    "220 mx1.example.net ESMTP Postfix\nEHLO pc.example.org\nAUTH LOGIN\n334 VXNlcm5hbWU6\nYm9iQGV4YW1wbGUubmV0\n334 UGFzc3dvcmQ6\n"
    "c2VjcmV0\n535 5.7.8 Error: authentication failed: (reason unavailable)\nQUIT\n221 2.0.0 Bye\n"
)


def test_an_answer_that_is_left_out_moves_no_other_to_the_wrong_command(book, formats):
    report = diagnose([Source("x", NO_ANSWER_TO_EHLO.encode())], book, formats)
    assert report.diagnoses[0].fault == "auth-failed"


def test_one_reply_to_what_follows_ehlo_answers_that(book, formats):
    text = "220 mx1.example.net ESMTP\nEHLO pc.example.org\nSTARTTLS\n502 5.5.1 Error: command not implemented\nQUIT\n221 2.0.0 Bye\n"
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.diagnoses[0].fault == "tls-not-offered"


def test_replies_alone_a_refusal_explains_what_was_out_of_sequence_then(book, formats):
    text = "550 EHLO argument does not match calling host\n503 HELO or EHLO required\n503 sender not yet given\n"
    report = diagnose([Source("x", text.encode())], book, formats)
    assert [d.fault for d in report.diagnoses] == ["helo-mismatch"]


def test_a_server_that_has_greeted_is_not_silent_at_the_greeting(book, formats):
    text = (
        "=== Trying mx.partner.test:25...\n=== Connected to mx.partner.test.\n<-  220 mx.partner.test ESMTP ready\n<-  250-mx.partner.test\n"
        "<-  250 8BITMIME\n<** Timeout (5 secs) waiting for server response\n=== Connection closed with remote host.\n"
    )
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.verdict == "inconclusive"
    assert "no-greeting" not in {d.fault for d in report.diagnoses}


def test_a_reply_alone_may_take_a_message(book, formats):
    text = (
        r"2026-11-23T10:00:01.123Z,EX01\Default Frontend EX01,08D8F5A7B1C2D3E4,33,10.0.0.5:25,203.0.113.7:52341,>,"
        '"250 2.6.0 <1@example.org> [InternalId=4684, Hostname=EX01.example.net] 5410 bytes in 0.132 Queued mail for delivery",\n'
    )
    for said in (text, "250 2.0.0 Ok: queued as 4XyZ1ab2c3z9t\n"):
        assert diagnose([Source("x", said.encode())], book, formats).verdict == "healthy"


def test_a_server_that_logs_its_own_session_waits_for_no_greeting(book, formats):
    text = (
        "2026-11-23T10:00:01.123Z,EX01\\Client Proxy EX01,08D8F5A7B1C2D3E4,0,10.0.0.5:465,203.0.113.7:52341,+,,\n"
        "2026-11-23T10:00:01.123Z,EX01\\Client Proxy EX01,08D8F5A7B1C2D3E4,1,10.0.0.5:465,203.0.113.7:52341,*,SMTPSubmit,Set Session Permissions\n"
    )
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.verdict in {"inconclusive", "unrecognised"}
