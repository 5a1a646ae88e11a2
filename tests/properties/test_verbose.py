"""Two sessions with Postfix's server at once, in a verbose log from which the lines that sum up were cut: each is told by its process."""

from __future__ import annotations

import itertools
import random

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from analyzer.model.events import Refused
from analyzer.parse import parse
from analyzer.read import read
from analyzer.segment import segment

REPLIES = {
    "recipient-unknown": "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    "relay-denied": "554 5.7.1 <bob@example.net>: Relay access denied",
    "greylisted": "450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.net.html",
    "healthy": "250 2.1.5 Ok",
}
PEERS = {71: ("mail.example.org", "192.0.2.25", "alice@example.org"), 72: ("out.example.com", "198.51.100.7", "carol@example.com")}
Spoken = list[tuple[int, str]]


def session(pid: int, reply: str) -> Spoken:
    name, ip, sender = PEERS[pid]
    after = [] if reply[0] != "2" else ["< DATA", "> 354 End data with <CR><LF>.<CR><LF>", "< .", "> 250 2.0.0 Ok: queued as 4F1A2B3C4D5E"]
    spoken = ["> 220 mx1.example.net ESMTP Postfix", f"< EHLO {name}", "> 250-mx1.example.net", "> 250-PIPELINING", "> 250 8BITMIME"]
    spoken += [
        f"< MAIL FROM:<{sender}>",
        "> 250 2.1.0 Ok",
        "< RCPT TO:<bob@example.net>",
        f"> {reply}",
        *after,
        "< QUIT",
        "> 221 2.0.0 Bye",
    ]
    between = f"match_hostname: smtpd_client_event_limit_exceptions: {name} ~? 127.0.0.0/8"
    lines = [line for words in spoken for line in (f"{words[0]} {name}[{ip}]: {words[2:]}", between)]
    return [(pid, line) for line in (f"connect from {name}[{ip}]", *lines, f"disconnect from {name}[{ip}]")]


def at_once(one: Spoken, two: Spoken, rng: random.Random) -> str:
    one, two, lines = list(one), list(two), []
    while one or two:
        pid, words = (one if one and (not two or rng.random() < 0.5) else two).pop(0)
        lines.append(f"Nov 23 10:00:{len(lines) % 60:02} mx1 postfix/smtpd[{pid}]: {words}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(REPLIES, 2)))
def test_each_of_two_sessions_at_once_tells_its_own(first, second, book, formats):
    text = at_once(session(71, REPLIES[first]), session(72, REPLIES[second]), random.Random(f"{first} {second}"))
    source = Source("capture", text.encode())
    events = [e for part in segment(read(source), formats) for e in parse(part, formats).events if isinstance(e, Refused)]
    told = {(int(e.pid), e.client_name, e.client_ip, e.mail_from, e.rcpt_to, f"{e.code} {e.enhanced} {e.text}") for e in events}
    faults = {71: first, 72: second}
    assert told == {(pid, *PEERS[pid], "bob@example.net", REPLIES[fault]) for pid, fault in faults.items() if fault != "healthy"}
    report = diagnose([source], book, formats)
    assert {d.fault for d in report.diagnoses} == {first, second} - {"healthy"}
    lines = text.splitlines()
    for d in report.diagnoses:
        pid = next(pid for pid, fault in faults.items() if fault == d.fault)
        assert all(f"[{pid}]" in lines[e.line - 1] for e in d.evidence)


def test_the_line_that_sums_up_is_not_told_twice(formats):
    (name, ip, sender), reply = PEERS[71], REPLIES["relay-denied"]
    summed = f"NOQUEUE: reject: RCPT from {name}[{ip}]: {reply}; from=<{sender}> to=<bob@example.net> proto=ESMTP helo=<{name}>"
    lines = [line for _, line in session(71, reply)]
    at = next(i for i, line in enumerate(lines) if reply in line)
    text = "".join(f"Nov 23 10:00:01 mx1 postfix/smtpd[71]: {line}\n" for line in (*lines[:at], summed, *lines[at:]))
    events = [e for part in segment(read(Source("x", text.encode())), formats) for e in parse(part, formats).events]
    (refused,) = [e for e in events if isinstance(e, Refused)]
    assert "Relay access denied" in str(refused.text)
