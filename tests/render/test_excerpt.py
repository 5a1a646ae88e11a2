"""What a reader sees of the cited lines and of what happened."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from analyzer.model.report import Evidence, Step
from analyzer.render.html import _waits
from analyzer.render.text import rows

DEFERRED = (
    "Nov 20 10:01:02 mail postfix/smtp[2105]: 4F1B9C0031: to=<ap@example.net>, relay=none, delay=61, delays=0.05/0.02/61/0, dsn=4.4.1, "
    "status=deferred (connect to mx.example.net[198.51.100.21]:25: Connection timed out)"
)
REJECTED = (
    "Nov 20 10:01:02 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from mail.example.org[192.0.2.10]: 550 5.1.1 <b@example.net>: "
    "Recipient address rejected: User unknown in local recipient table; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<mail.example.org>"
)
WORDS = "Connection timed out"


@pytest.mark.parametrize("room", [40, 60, 100, 400])
def test_the_marks_stand_below_the_words_that_matter(room):
    found = rows(Evidence("x", 1, DEFERRED, "note", "primary", DEFERRED.index(WORDS), len(WORDS)), room)
    assert all(len(row) <= room for row, _ in found)
    marked = "".join(c for row, marks in found for c, m in zip(row, marks, strict=False) if m == "^")
    assert marked.replace(" ", "") == WORDS.replace(" ", "")


def test_hostile_characters_keep_the_marks_in_place():
    text = "550 \x1b[31m\u202eno such user here"
    at = text.index("such")
    ((row, marks),) = rows(Evidence("x", 1, text, "note", "primary", at, 4), 100)
    assert "\x1b" not in row
    assert row[marks.index("^") :][:4] == "such"
    assert marks.count("^") == 4


def test_a_line_that_matters_as_a_whole_is_marked_once():
    found = rows(Evidence("x", 1, DEFERRED, "note", "related"), 60)
    assert "".join(row for row, _ in found).replace(" ", "") == DEFERRED.replace(" ", "")
    assert [marks for _, marks in found if marks] == ["-"]


def _steps(text, book, formats):
    return diagnose([Source("mail.log", text.encode())], book, formats).ladder


def test_a_refusal_in_a_servers_log_has_its_dialogue(book, formats):
    steps = _steps(REJECTED, book, formats)
    assert [(s.frm, s.text.split()[0], s.mark) for s in steps] == [
        ("client", "connects", "none"),
        ("client", "EHLO", "none"),
        ("client", "MAIL", "none"),
        ("client", "RCPT", "none"),
        ("server", "550", "failed"),
    ]


def test_what_no_server_said_is_not_said_by_a_server(book, formats):
    last = _steps(DEFERRED, book, formats)[-1]
    assert (last.frm, last.mark) == ("mta", "failed")


def test_the_host_that_was_not_reached_is_named_in_the_steps(book, formats):
    (top, *_) = diagnose([Source("mail.log", DEFERRED.encode())], book, formats).diagnoses
    assert any("nc -vz -w 10 mx.example.net 25" in step for step in top.steps)
    assert "mx.example.net" in top.explains


def test_no_queue_id_is_made_of_its_absence(book, formats):
    report = diagnose([Source("mail.log", REJECTED.encode())], book, formats)
    assert "queue_id" not in report.facts
    assert not any("NOQUEUE" in n.capture for n in report.next)


def test_long_silences_are_told():
    times = ["2026-11-20T10:00:00+00:00", "2026-11-20T10:00:03+00:00", "2026-11-20T10:05:03+00:00", None, "2026-11-20T13:05:03+00:00"]
    assert _waits([Step("mta", "x", 1, time=t) for t in times]) == ["", "", "5 min", "", "3 h"]
    assert _waits([Step("mta", "x", 1, time=t) for t in ("Nov  2 10:00:00", "Nov  2 10:00:30")]) == ["", "30 s"]
