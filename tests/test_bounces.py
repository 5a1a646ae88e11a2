"""Bounces: who could not be reached, and in whose words; and mail that is no bounce."""

from __future__ import annotations

import base64

import pytest

from analyzer.formats.load import load_formats
from analyzer.model.capture import Source
from analyzer.model.events import Attempt
from analyzer.parse import parse
from analyzer.read import read
from analyzer.segment import segment

REPORT = """\
From: MAILER-DAEMON@mx.example.com
To: alice@example.com
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

{text}

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; bob@example.net
Action: {action}
Status: {status}
{diagnostic}
--b--
"""
HUMAN = "From: Bob <bob@example.net>\nTo: alice@example.com\nSubject: {subject}\nMessage-ID: <1@example.net>\n{more}\n\n{text}\n"


def attempts(text: str) -> list[Attempt]:
    formats = load_formats()
    found = [e for s in segment(read(Source("test", text.encode())), formats) for e in parse(s, formats).events]
    return [e for e in found if isinstance(e, Attempt)]


def report(text: str = "It failed.", action: str = "failed", status: str = "5.1.1", diagnostic: str = "") -> list[Attempt]:
    return attempts(REPORT.format(text=text, action=action, status=status, diagnostic=diagnostic and f"Diagnostic-Code: {diagnostic}\n"))


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("failed", "bounced"),
        ("Failed (expired)", "bounced"),
        ("delayed", "deferred"),
        ("delivered", "sent"),
        ("relayed", "sent"),
        ("expanded", "sent"),
    ],
)
def test_action(action: str, status: str) -> None:
    assert [a.status for a in report(action=action)] == [status]


def test_a_folded_diagnosis_is_one() -> None:
    [found] = report(diagnostic="smtp; 550 5.7.1 Message\n    rejected as spam")
    assert (found.code, found.enhanced, found.text) == (550, "5.7.1", "Message rejected as spam")


def test_a_generic_status_does_not_decide() -> None:
    [found] = report("<bob@example.net>: host mx.example.net[198.51.100.25] said: 552 5.2.2 Quota exceeded", status="5.0.0")
    assert (found.code, found.enhanced, found.text) == (552, "5.2.2", "Quota exceeded")


def test_a_text_that_contradicts_the_status_is_kept_beside_it() -> None:
    [found] = report(diagnostic="smtp; mailbox is full, sorry", status="5.1.1")
    assert (found.enhanced, found.text) == ("5.1.1", "mailbox is full, sorry")


@pytest.mark.parametrize("kind", ["smtp", "SMTP", "X-Postfix", "X-Unix", "LMTP", "x-exim"])
def test_kinds_of_diagnosis(kind: str) -> None:
    [found] = report(diagnostic=f"{kind}; 550 5.1.1 User unknown here")
    assert (found.code, found.text) == (550, "User unknown here")


def test_an_encoded_report() -> None:
    head, _, rest = REPORT.format(
        text="It failed.", action="failed", status="5.2.2", diagnostic="Diagnostic-Code: smtp; 552 Mailbox is full\n"
    ).partition("message/delivery-status\n\n")
    body = base64.encodebytes(rest.removesuffix("--b--\n").encode()).decode()
    [found] = attempts(f"{head}message/delivery-status\nContent-Transfer-Encoding: base64\n\n{body}\n--b--\n")
    assert (found.rcpt_to, found.code, found.text) == ("bob@example.net", 552, "Mailbox is full")


@pytest.mark.parametrize("mark", ["", "> ", ">> ", "| "])
def test_quoted(mark: str) -> None:
    text = "This is the mail system at host mx.example.com.\n\n<bob@example.net>: host mx.example.net[198.51.100.25] said: 550 5.1.1\n    <bob@example.net>: User unknown (in reply to RCPT TO command)"
    [found] = attempts("\n".join(mark + line for line in text.splitlines()))
    assert (found.rcpt_to, found.code, found.stage) == ("bob@example.net", 550, "RCPT TO")
    assert "User unknown" in (found.text or "")


def test_a_transcript_tells_recipients_apart() -> None:
    found = attempts(
        "From: MAILER-DAEMON@mx.example.com\nTo: a@example.com\nSubject: Returned mail\n\n"
        "   ----- The following addresses had permanent fatal errors -----\n<bob@example.net>\n<carol@example.net>\n\n"
        "   ----- Transcript of session follows -----\n... while talking to mx.example.net.:\n"
        ">>> RCPT To:<bob@example.net>\n<<< 550-5.1.1 No such\n<<< 550 5.1.1 user\n>>> RCPT To:<carol@example.net>\n<<< 552 5.2.2 Mailbox full\n"
    )
    assert [(a.rcpt_to, a.code, a.enhanced, a.text, a.said_by) for a in found] == [
        ("bob@example.net", 550, "5.1.1", "No such user", "mx.example.net"),
        ("carol@example.net", 552, "5.2.2", "Mailbox full", "mx.example.net"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        HUMAN.format(subject="Out of office", more="Auto-Submitted: auto-replied", text="I am away. 550 5.1.1 is my number."),
        HUMAN.format(subject="Re: Undelivered Mail Returned to Sender", more="", text="bob@example.net:\n550 5.1.1 means that I left."),
        HUMAN.format(
            subject="Numbers",
            more='Content-Type: multipart/alternative; boundary="c"',
            text="--c\nContent-Type: text/plain\n\n550 5.1.1 User unknown?\n--c--",
        ),
    ],
)
def test_people_are_no_mail_systems(text: str) -> None:
    assert attempts(text) == []


def test_a_log_pasted_after_a_bounce_stays_a_log() -> None:
    log = "Mar  3 10:12:14 mx postfix/smtp[71]: 4XyZ1ab2c3z9t: to=<carol@example.org>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (connect to mx.example.org[198.51.100.9]:25: Connection refused)"
    found = attempts(
        f"This is the mail system at host mx.example.com.\n\n<bob@example.net>: host mx.example.net[198.51.100.25] said: 550 5.1.1 User unknown\n\n{log}\n"
    )
    assert [(a.rcpt_to, a.status) for a in found] == [("bob@example.net", "bounced"), ("carol@example.org", "deferred")]


@pytest.mark.parametrize("cut", range(0, 640, 40))
def test_a_message_cut_short_is_read_all_the_same(cut: int) -> None:
    text = REPORT.format(text="<bob@example.net>: it failed", action="failed", status="5.1.1", diagnostic="Diagnostic-Code: smtp; 550 No\n")
    attempts(text[:cut])
    attempts(text[cut:])


@pytest.mark.parametrize(
    ("subject", "text", "said"),
    [
        (
            "Undeliverable: x",
            "Could not be delivered because of\n\n550 5.1.1 No such person\n\nThe recipients affected:\n    bob@example.net\n",
            "No such person",
        ),
        ("Mail could not be delivered", "Sent <<< RCPT TO:<bob@example.net>\nReceived >>> 550 5.1.1 No such person\n", "No such person"),
        (
            "NDN: x",
            "------- Failure Reasons --------\n\nNo such person\nbob@example.net\n\n------- Returned Message --------\n\nSubject: x\n",
            "No such person",
        ),
        ("Unzustellbar: x", "bob@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE :No such person\n", "No such person"),
        ("\u914d\u4fe1\u4e0d\u80fd: x", "<bob@example.net>: 550 5.1.1 No such person\n", "No such person"),
    ],
)
def test_layouts(subject: str, text: str, said: str) -> None:
    (found,) = attempts(
        f"From: system@mx.example.org\nTo: alice@example.com\nSubject: {subject}\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\n{text}"
    )
    assert (found.rcpt_to, found.status) == ("bob@example.net", "bounced")
    assert said in (found.text or "")


def test_a_receipt_says_that_the_message_came_to_the_mailbox() -> None:
    text = REPORT.replace("delivery-status", "disposition-notification").replace("Undelivered Mail Returned to Sender", "Read: Hello")
    text = text.replace("Reporting-MTA: dns; mx.example.com\n\n", "Reporting-UA: mx.example.com; Mail\n").replace(
        "Action: {action}\nStatus: {status}\n{diagnostic}", "Disposition: manual-action/MDN-sent-manually; displayed\n"
    )
    (found,) = attempts(text.replace("{text}", "Your message was displayed. There is no guarantee that it was understood."))
    assert (found.status, found.rcpt_to) == ("sent", "bob@example.net")
