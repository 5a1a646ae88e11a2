"""Bounces: who could not be reached, and in whose words; and mail that is no bounce."""

from __future__ import annotations

import base64

import pytest

from analyzer.formats.hooks.bounce_text import split_reply
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


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("I am away. 550 5.1.1 is my number.", "sent"),
        ("I have left for vacation. My old number is no longer valid.", "sent"),
        ("Bob has left the company. Write to carol@example.net.", "bounced"),
        ("Ich bin nicht mehr erreichbar bis Montag.", "sent"),
        ("Bob est absent.", "sent"),
    ],
)
def test_an_answer_shows_that_the_message_came_there(text: str, status: str) -> None:
    (found,) = attempts(HUMAN.format(subject="Automatic reply: x", more="Auto-Submitted: auto-replied", text=text))
    assert found.status == status


def test_an_address_ends_with_a_word_and_a_code_alone_is_one() -> None:
    (found,) = attempts("Your message to bob@example.net couldn't be delivered.\n\nStatus code: 550 5.1.1\n")
    assert (found.rcpt_to, found.code, found.enhanced) == ("bob@example.net", 550, "5.1.1")


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


def told(text: str) -> list[tuple[str | None, int | None, str | None, str | None, str | None]]:
    return [(a.rcpt_to, a.code, a.enhanced, a.said_by or a.relay, a.said_by_ip or a.relay_ip) for a in attempts(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (  # the reply may name the client and its domain: the server stands before it
            "<bob@example.net>: host mx.example.net[192.0.2.25] said: 550 5.7.26 Mail from example.org [198.51.100.7] is not authenticated\n",
            ("bob@example.net", 550, "5.7.26", "mx.example.net", "192.0.2.25"),
        ),
        (
            "Your message cannot be delivered to the following recipients:\n\n  Recipient address: bob@example.net\n  Reason: Refused\n"
            "  Diagnostic code: smtp;550 5.1.1 No such user\n  Remote system: dns;mx.example.net (TCP|10.0.0.9|46447|192.0.2.25|25) (ESMTP)\n",
            ("bob@example.net", 550, "5.1.1", "mx.example.net", "192.0.2.25"),
        ),
        (
            "Delivery has failed to these recipients or groups:\n\nbob@example.net\nIt was rejected.\n\nbob@example.net\n"
            "mx.example.net #<mx.example.net #5.7.1 smtp;554 5.7.1 No> #SMTP#\n",
            ("bob@example.net", 554, "5.7.1", "mx.example.net", None),
        ),
        (
            "There was a temporary problem delivering your message to bob@example.net. Gmail will retry for 46 more hours.\n\n"
            "The response was:\n\nThe recipient server did not accept our requests to connect.\n[mx.example.net. 192.0.2.25: timed out]\n",
            ("bob@example.net", None, None, "mx.example.net", "192.0.2.25"),
        ),
        (  # Markdown that a web page made of addresses
            "<[bob@example.net](mailto:bob@example.net)>: host [mx.example.net](http://mx.example.net)[192.0.2.25] said: 550 5.1.1 No\n",
            ("bob@example.net", 550, "5.1.1", "mx.example.net", "192.0.2.25"),
        ),
        (  # Exim's lines without its first sentence
            "  bob@example.net\n    host mx.example.net [192.0.2.25]\n    SMTP error from remote mail server after end of data:\n    550 No\n",
            ("bob@example.net", 550, None, "mx.example.net", "192.0.2.25"),
        ),
        (
            "\u60a8\u7684\u90ae\u4ef6\u672a\u80fd\u9001\u8fbe\n\n\u6536\u4ef6\u4eba\uff1abob@example.net\n\u9000\u4fe1\u539f\u56e0\uff1a550 5.1.1 User not found\n",
            ("bob@example.net", 550, "5.1.1", None, None),
        ),
        (  # MailMarshal's text without a header
            "Could not be delivered because of\n\n554 5.4.4 [internal] Domain Lookup Failed\n\n"
            "The following recipients were affected: \n   bob@example.net\n",
            ("bob@example.net", 554, "5.4.4", None, None),
        ),
    ],
)
def test_who_said_what_of_whom(text: str, expected: tuple[str | None, int | None, str | None, str | None, str | None]) -> None:
    assert told(text) == [expected]


@pytest.mark.parametrize("behind", ["", " ", ": no such mailbox"])
def test_a_status_of_two_digits_is_read_whole(behind: str) -> None:
    told = split_reply(f"550 5.1.10{behind}")
    assert (told.code, told.enhanced) == ("550", "5.1.10")
    assert told.text in {None, "no such mailbox"}


def test_the_recipient_may_stand_in_the_header_alone() -> None:
    head = "From: Mail Delivery Subsystem <mailer-daemon@mx.example.com>\nTo: alice@example.com\nSubject: Delivery Status Notification (Failure)\n"
    (found,) = attempts(f"{head}X-Failed-Recipients: bob@example.net\n\nThe group you tried to contact (bob) may not exist.\n")
    assert found.rcpt_to == "bob@example.net"


def test_what_stands_before_the_parts_of_a_report_cut_at_its_start_belongs_to_it() -> None:
    told = "Your message to <bob@example.net> was automatically rejected:\nI do not take mail from this sender.\n"
    part = "--1/mx.example.net\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; bob@example.net\n"
    (found,) = attempts(f"{told}{part}Disposition: automatic-action/MDN-sent-automatically; deleted\n\n--1/mx.example.net--\n")
    assert (found.rcpt_to, found.status) == ("bob@example.net", "bounced")


def test_a_session_before_a_part_of_a_report_stays_a_session() -> None:
    session = "220 mx.example.net ESMTP\nEHLO pc.example.org\n250 mx.example.net\nQUIT\n221 Bye\n"
    part = "--1/mx.example.net\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; bob@example.net\n"
    formats = load_formats()
    text = f"{session}{part}Action: failed\nStatus: 5.1.1\n\n--1/mx.example.net--\n"
    found = [(s.format, s.lines[0].number) for s in segment(read(Source("test", text.encode())), formats)]
    assert ("bounce", 6) in found
    assert found[0][0] not in {"bounce", None}


def test_given_up_for_what_the_last_attempt_was_told() -> None:
    [found] = report(diagnostic="smtp; 550 4.4.7 Message expired: unable to deliver in 840 minutes.<451 4.7.1 Not now>")
    assert (found.code, found.enhanced, found.text) == (451, "4.7.1", "Not now")


def test_a_warning_is_no_failure() -> None:
    text = "Delivery is delayed to these recipients or groups:\n\nbob@example.net\n\nServer at mx.example.net (192.0.2.25) returned '450 4.7.1 Not now'\n"
    assert [a.status for a in attempts(text)] == ["deferred"]


def test_each_recipient_has_its_own_line() -> None:
    text = REPORT.format(text="It failed.", action="failed", status="5.1.1", diagnostic="Diagnostic-Code: smtp; 550 5.1.1 No\n").replace(
        "--b--", "Final-Recipient: rfc822; carol@example.net\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 Full\n--b--"
    )
    lines = text.splitlines()
    assert [lines[a.place.line - 1] for a in attempts(text)] == [
        "Diagnostic-Code: smtp; 550 5.1.1 No",
        "Diagnostic-Code: smtp; 552 5.2.2 Full",
    ]


def test_a_log_line_around_a_reply_is_no_bounce() -> None:
    log = "2026-11-23 20:32:33 1xVaiG-00005f-0T ** bob@example.net R=dnslookup T=remote_smtp: SMTP error from remote mail server after RCPT TO:<bob@example.net>: 550 No\n"
    assert [a.format for a in attempts(log)] == ["exim-main"]


def test_japanese_mail_is_read_in_its_own_encoding() -> None:
    body = "\u5b9b\u5148: bob@example.net\n\u7406\u7531: \u5b9b\u5148\u4e0d\u660e\n"
    head = b"From: MAILER-DAEMON@example.jp\nTo: alice@example.com\nSubject: x\nContent-Type: text/plain; charset=iso-2022-jp\n\n"
    formats = load_formats()
    source = Source("test", head + body.encode("iso2022_jp"))
    found = [e for s in segment(read(source), formats) for e in parse(s, formats).events if isinstance(e, Attempt)]
    assert [(a.rcpt_to, a.text) for a in found] == [("bob@example.net", "\u5b9b\u5148\u4e0d\u660e")]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("Returned mail: User unknown", "Returned mail: User unknown"),
        ("Undeliverable: mailbox full - please help", None),  # the subject of the message returned
        ("Mail System Error - Returned Mail", None),
    ],
)
def test_the_subject_tells_why_where_it_is_more_than_a_phrase(subject: str, said: str | None) -> None:
    found = attempts(
        f"From: Mail Delivery System <Mailer-Daemon@example.com>\nTo: alice@example.com\nSubject: {subject}\nDate: Mon, 23 Nov 2026 10:00:01 +0000\n"
    )
    assert [a.text for a in found] == [said]


def test_the_fields_that_mail_systems_add_to_a_report_are_no_reason() -> None:
    text = "Reporting-MTA: dns; mx.example.com\n\nFinal-Recipient: RFC822; bob@example.net\nX-Actual-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.2\n"
    assert [(a.enhanced, a.text) for a in attempts(text)] == [("5.1.2", None)]


def test_a_receipt_of_a_filter_is_no_success() -> None:
    text = "Final-Recipient: rfc822; bob@example.net\nDisposition: automatic-action/MDN-sent-automatically; {what}\n"
    assert [attempts(text.format(what=what))[0].status for what in ("deleted", "displayed")] == ["bounced", "sent"]


@pytest.mark.parametrize("how", ["processed/error", "error", "failed"])
def test_a_receipt_of_an_error_is_no_success(how: str) -> None:
    text = f"Final-Recipient: rfc822; bob@example.net\nDisposition: automatic-action/MDN-sent-automatically; {how}\n"
    assert [a.status for a in attempts(text)] == ["bounced"]


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Not read: Hello", "Your message was deleted on Monday."),
        ("Ungelesen: Hallo", "Ihre Nachricht wurde entfernt."),
        ("Hello", "Your message was deleted without being read."),
        ("Hallo", "Ihre Nachricht wurde ungelesen gelöscht."),
    ],
)
def test_a_message_deleted_unread_had_arrived(subject: str, text: str) -> None:
    whole = REPORT.replace("delivery-status", "disposition-notification").replace("Undelivered Mail Returned to Sender", subject)
    whole = whole.replace(
        "Action: {action}\nStatus: {status}\n{diagnostic}", "Disposition: automatic-action/MDN-sent-automatically; deleted\n"
    )
    assert [a.status for a in attempts(whole.replace("{text}", text))] == ["sent"]


def test_what_qmail_adds_behind_a_reply_is_no_part_of_it() -> None:
    text = (
        "Hi. This is the qmail-send program at mx.example.com.\n\n<bob@example.net>:\n192.0.2.5 does not like recipient.\n"
        "Remote host said: 553 5.3.0 No entry for this name\nGiving up on 192.0.2.5.\n"
    )
    assert [(a.code, a.text) for a in attempts(text)] == [(553, "No entry for this name")]


@pytest.mark.parametrize("subject", ["You cannot post to 'garden'", "Your posting to garden was rejected", "Not allowed to post: Hello"])
def test_a_list_that_refuses_a_posting_writes_a_report(subject: str) -> None:
    text = (
        f"From: lists@example.net\nTo: alice@example.com\nSubject: {subject}\nMessage-ID: <1@example.net>\n\n"
        "Your message to <garden@example.net> was refused: you are not a subscriber to the garden list.\n\n"
        "Questions go to garden-request@example.net.\n"
    )
    assert [(a.rcpt_to, a.status) for a in attempts(text)] == [("garden@example.net", "bounced")]
