"""Each capture that is asked for decides something: it turns a rule from open to yes, and one to no."""

from pathlib import Path

import pytest
import yaml

from analyzer.diagnose import case_of, diagnose
from analyzer.infer.conditions import NO, UNKNOWN, YES
from analyzer.infer.engine import judge, try_rule
from analyzer.model.capture import Source
from analyzer.model.case import THINGS

CASES = yaml.safe_load((Path(__file__).parent / "captures.yaml").read_text(encoding="utf-8"))
# Nothing reads a server's settings yet: people do, who are asked for them.
READ_BY_PEOPLE = {"settings"}
# These bring problems of their own; what they decide is never open beforehand.
ONLY_YES = {"connections", "queue", "log-where-it-waited", "mailbox"}


def answers(texts, book, formats):
    """The best answer of each rule, and the rules that spoke, reply patterns among them."""
    sources = [Source(f"capture {i}", t.encode()) for i, t in enumerate(texts)]
    judged = judge(case_of(sources, book, formats), book)
    found = {}
    for rule in book.rules:
        if rule.dialect is None:
            things = getattr(judged.case, THINGS[rule.about][0])
            found[rule.rule] = max(
                (try_rule(rule, t, rule.about, i, judged.case, {}).answer for i, t in enumerate(things)), default=UNKNOWN
            )
    return found, {o.rule.rule for o in judged.outcomes}


def test_every_capture_has_its_case(book):
    assert set(CASES) | READ_BY_PEOPLE == {c.capture for c in book.captures}


@pytest.mark.parametrize("name", CASES)
def test_the_capture_decides(name, book, formats):
    case = CASES[name]
    before, spoke = answers([case["case"]], book, formats)
    yes, no = set(), set()
    for output in case["shows"]:
        after, speak = answers([case["case"], output], book, formats)
        yes |= (speak - spoke) | {r for r, a in after.items() if a == YES and before[r] != YES}
        no |= {r for r, a in after.items() if a == NO and before[r] == UNKNOWN}
    assert yes
    assert no or name in ONLY_YES


REFUSED_SENDER = b"""=== Trying mx1.example.net:25...
=== Connected to mx1.example.net.
<-  220 mx1.example.net ESMTP Postfix
 -> EHLO pc.example.org
<-  250 mx1.example.net
 -> MAIL FROM:<ghost@example.net>
<-  250 2.1.0 Ok
 -> RCPT TO:<bob@example.net>
<** 550 5.1.0 <ghost@example.net>: Sender address rejected: User unknown in local recipient table
 -> QUIT
<-  221 2.0.0 Bye
=== Connection closed with remote host.
"""


def test_what_one_finding_asks_for_is_asked_for_by_nothing_else(book, formats):
    report = diagnose([Source("session", REFUSED_SENDER)], book, formats)
    assert report.next
    assert {c.name for c in report.next}.isdisjoint(name for rule in book.rules for name in rule.asks)


PUT_OFF = (
    "Nov 23 10:00:01 mx postfix/smtp[71]: 4XyZ1ab2c3z91: to=<b@{0}>, relay=none, delay=0.5, delays=0.1/0/0.2/0.2, dsn=4.4.3, "
    "status=deferred (Host or domain name not found. Name service error for name={0} type=MX: Host not found, try again)\n"
)


def test_where_two_causes_lead_what_tells_them_apart_is_asked_for_and_nobody_else_is_written_to(book, formats):
    report = diagnose([Source("log", PUT_OFF.format("example.net").encode())], book, formats)
    zone, own = report.diagnoses
    assert (zone.fault, own.fault) == ("dns-server-failure", "resolver-misconfigured")
    assert zone.message is None
    assert "DNS zone must act" not in report.headline
    assert "check that first" in report.headline
    assert [c.name for c in report.next] == ["mx", "resolver"]


def test_what_is_decided_is_written_to_whoever_must_act(book, formats):
    sent = (
        "Nov 23 10:00:03 mx postfix/smtp[72]: 4XyZ1ab2c3z93: to=<b@example.com>, relay=mx.example.com[192.0.2.25]:25, delay=3, "
        "delays=0.1/0/1/2, dsn=2.0.0, status=sent (250 ok)\n"
    )
    report = diagnose([Source("log", (PUT_OFF.format("example.net") + sent).encode())], book, formats)
    assert report.diagnoses[0].fault == "dns-server-failure"
    assert report.diagnoses[0].message
    assert "DNS zone must act" in report.headline


@pytest.mark.parametrize(
    "text",
    [
        "nc: connect to mx.example.net port 25 (tcp) failed: Connection timed out\n",
        "telnet mx.example.net 25\nConnected to mx.example.net.\nEscape character is '^]'.\nConnection closed by foreign host.\n",
    ],
)
def test_a_name_dialled_in_vain_is_looked_up_first(text, book, formats):
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.next[0].capture == "dig mx.example.net A"
