"""What became of a message."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

TO_THE_FILTER = (
    "Nov 27 00:13:21 mx1 postfix/smtp[482]: 0775928B673: to=<bob@example.net>, relay={relay}:10024, delay=0.17, delays=0/0/0/0.17, "
    "dsn=2.7.0, status=sent (250 2.7.0 Ok, {said})\nNov 27 00:13:21 mx1 postfix/qmgr[482]: 0775928B673: removed\n"
)


@pytest.mark.parametrize("relay", ["127.0.0.1[127.0.0.1]", "amavis[10.2.0.7]", "x.x.x.x[x.x.x.x]"])
@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("discarded, id=00137-03 - spam", "content-rejected-spam"),
        ("discarded, id=00137-04 - BANNED: .exe,.exe-ms,setup.exe", "attachment-blocked"),
        ("discarded, id=00137-02 - INFECTED: Eicar-Test-Signature", "content-rejected-virus"),
    ],
)
def test_what_a_filter_throws_away_is_not_delivered(relay, said, fault, book, formats):
    report = diagnose([Source("x", TO_THE_FILTER.format(relay=relay, said=said).encode())], book, formats)
    assert report.verdict == "faulty"
    assert report.diagnoses[0].fault == fault


def test_what_a_filter_hands_on_is(book, formats):
    text = TO_THE_FILTER.format(
        relay="127.0.0.1[127.0.0.1]", said="id=00137-01, from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 2D5182BC017"
    )
    assert diagnose([Source("x", text.encode())], book, formats).verdict == "healthy"


def test_what_the_discard_transport_calls_sent_is_not_delivered(book, formats):
    text = (
        "Nov 27 10:00:01 mx postfix/discard[73]: 4F1A2B3C4D: to=<b@example.net>, relay=none, delay=0.03, delays=0.02/0/0/0, dsn=2.0.0, "
        "status=sent (example.net)\nNov 27 10:00:01 mx postfix/qmgr[70]: 4F1A2B3C4D: removed\n"
    )
    report = diagnose([Source("x", text.encode())], book, formats)
    assert [d.fault for d in report.diagnoses] == ["blocked-by-policy"]


def test_what_is_left_of_such_a_line_says_the_same(book, formats):
    text = "Nov 27 00:13:21 mx1 postfix/smtp[482]: 0775928B673: relay=127.0.0.1[127.0.0.1]:10024, status=sent (250 2.7.0 Ok, discarded, id=00137-03 - spam)\n"
    report = diagnose([Source("x", text.encode())], book, formats)
    assert [d.fault for d in report.diagnoses] == ["content-rejected-spam"]


RETURNED = (
    "Nov 27 10:00:01 mail postfix/qmgr[398]: 0091C288E22: from=<alice@example.org>, size=320, nrcpt=1 (queue active)\n"
    "Nov 27 10:00:01 mail postfix/bounce[425]: 0091C288E22: sender non-delivery notification: 59E67288791\n"
    "Nov 27 10:00:01 mail postfix/qmgr[398]: 59E67288791: from=<>, size=2308, nrcpt=1 (queue active)\n"
    "Nov 27 10:00:01 mail postfix/local[426]: 59E67288791: to=<alice@example.org>, relay=local, delay=0.02, delays=0/0.01/0/0.01, dsn=2.0.0, "
    "status=sent (delivered to mailbox)\n"
)


@pytest.mark.parametrize("first", [0, 2])
def test_a_bounce_that_arrives_is_no_success(first, book, formats):
    text = "".join(RETURNED.splitlines(keepends=True)[first:])
    assert diagnose([Source("x", text.encode())], book, formats).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("dsn=5.1.1", "recipient-unknown"),
        ("dsn=5.1.1, reply=550 5.1.1 no, stat=User unknown", "recipient-unknown"),
        ("dsn=5.1.1, reply=550 no, stat=User unknown", None),  # the code is Sendmail's own, for any 550
        ("dsn=5.1.1, reply=550, stat=User unknown", None),
        ("dsn=4.4.2, re", "connection-dropped"),
    ],
)
def test_what_is_left_of_a_line_of_sendmail(said, fault, book, formats):
    text = (
        "Nov 27 10:00:01 mailhub sendmail[154]: 6AR0bLAE000152: to=<bob@example.net>, ctladdr=<alice@example.info> (1001/1001), "
        f"delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=120338, relay=mx1.example.net. [198.51.100.25], {said}\n"
    )
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.verdict == ("faulty" if fault else "inconclusive")
    assert fault is None or report.diagnoses[0].fault == fault
