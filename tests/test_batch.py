"""Batch and trace: sources, years, filters, baseline, stories."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from analyzer.batch import sources
from analyzer.batch.engines import Local
from analyzer.batch.run import Options, batch, compared, tasks_of, years_of
from analyzer.batch.stamps import Clock, Years, infer_years
from analyzer.batch.tally import Wanted
from analyzer.batch.trace import kind_of, state_of, trace
from analyzer.render.batch_json import json_of
from analyzer.render.batch_text import text_of
from analyzer.rulebook import load_rules

KEY = ((), ())
MESSAGE = """\
{day} 10:00:01 mx1 postfix/smtpd[71]: 4ABCDEF0123: client=a.example[192.0.2.1]
{day} 10:00:01 mx1 postfix/qmgr[72]: 4ABCDEF0123: from=<anna@a.example>, size=100, nrcpt=1 (queue active)
{day} 10:00:02 mx1 postfix/smtp[73]: 4ABCDEF0123: to=<bob@b.example>, relay=mx.b.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.b.example[192.0.2.9] said: 550 5.1.1 <bob@b.example>: User unknown (in reply to RCPT TO command))
{day} 10:00:02 mx1 postfix/qmgr[72]: 4ABCDEF0123: removed
"""
HEALTHY = """\
Nov 20 10:00:01 mx1 postfix/smtpd[71]: 4ABCDEF0124: client=a.example[192.0.2.1]
Nov 20 10:00:02 mx1 postfix/smtp[73]: 4ABCDEF0124: to=<bob@b.example>, relay=mx.b.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 OK: queued as 9ABCDEF0123)
Nov 20 10:00:02 mx1 postfix/qmgr[72]: 4ABCDEF0124: removed
"""


def run(paths, **wanted):
    items, notes = sources.find([str(p) for p in paths])
    return batch(items, notes, load_rules(()), Options(zone=UTC, wanted=Wanted(**wanted)), Local(1, KEY))


def message(day="Nov 20"):
    return MESSAGE.format(day=day)


def test_a_strangers_broken_handshake_beside_delivered_mail_is_noise(tmp_path):
    broken = "Nov 20 09:00:00 mx1 postfix/smtpd[71]: SSL_accept error from {}: -1\n"
    (tmp_path / "m").write_text(broken.format("unknown[203.0.113.7]") + broken.format("mail.partner.example[192.0.2.77]"))
    alone = run([tmp_path])
    assert (len(alone.incidents), len(alone.noise)) == (1, 0)
    with (tmp_path / "m").open("a") as file:
        file.write(HEALTHY)
    beside = run([tmp_path])
    assert [i.samples[0].lines[0].text for i in beside.incidents] == [broken.format("mail.partner.example[192.0.2.77]").strip()]
    assert [i.events for i in beside.noise] == [1]


@pytest.mark.parametrize(("name", "pack"), [("m.gz", gzip.compress), ("m.bz2", bz2.compress), ("m.xz", lzma.compress)])
def test_packed_logs_are_read(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(message().encode()))
    assert run([tmp_path]).totals["bounced"] == 1


def test_zstandard_is_read(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "m.zst").write_bytes(zstandard.compress(message().encode()))
    assert run([tmp_path]).totals["bounced"] == 1


def test_a_damaged_gz_is_used_up_to_the_damage(tmp_path):
    data = bytearray(gzip.compress((message() * 3000).encode(), 1))
    (tmp_path / "m.gz").write_bytes(bytes(data[: len(data) // 2]))
    report = run([tmp_path])
    assert report.totals["bounced"] > 100
    assert any("cut off" in n or "damaged" in n for n in report.notes)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_log_that_windows_wrote_is_read(tmp_path, coding):
    bom = b"\xfe\xff" if coding == "utf-16-be" else b""
    (tmp_path / "m").write_bytes(bom + message().replace("\n", "\r\n").encode(coding))
    found = run([tmp_path])
    assert (found.totals["lines"], found.totals["received"], found.totals["bounced"]) == (4, 1, 1)
    assert found.incidents[0].senders == 1
    assert found.notes == ()


def test_of_an_endless_line_the_beginning_is_read(tmp_path):
    endless = b"Nov 20 10:00:00 mx1 postfix/smtp[1]: " + b"x" * (3 * sources.LONGEST_LINE) + b"\n"
    (tmp_path / "m").write_bytes(message().encode() + endless + HEALTHY.encode())
    items, _ = sources.find([str(tmp_path)])
    for step in (200, 100_000, sources.LONGEST_LINE, 1 << 30):
        notes = []
        found = [part for at in range(0, items[0].size, step) for part in sources.blocks(items[0], at, at + step, 4096, notes)]
        lines = b"".join(block if block.endswith(b"\n") else block + b"\n" for _, block in found).splitlines()
        assert [line[:37] for line in lines] == [line[:37] for line in (message().encode() + endless + HEALTHY.encode()).splitlines()]
        assert max(map(len, lines)) <= sources.LONGEST_LINE + 4096
        assert len(notes) == 1
    report = run([tmp_path])
    assert (report.totals["lines"], report.totals["bounced"], report.totals["delivered"]) == (8, 1, 1)


def test_a_copy_of_a_log_is_left_out(tmp_path):
    (tmp_path / "mail.log").write_text(message() + HEALTHY)
    (tmp_path / "mail.log.1").write_text(message())
    report = run([tmp_path])
    assert report.totals["bounced"] == 1
    assert any("copy" in n for n in report.notes)


def test_journals_are_read(tmp_path):
    lines = [line.split("]: ", 1)[1] for line in message().splitlines()]
    entries = [
        {"__REALTIME_TIMESTAMP": "1795168801000000", "_HOSTNAME": "mx1", "SYSLOG_IDENTIFIER": p, "_PID": "7", "MESSAGE": m}
        for p, m in zip(("postfix/smtpd", "postfix/qmgr", "postfix/smtp", "postfix/qmgr"), lines)
    ]
    (tmp_path / "a.json").write_text("".join(json.dumps(e) + "\n" for e in entries))
    (tmp_path / "b.export").write_text("\n".join("__CURSOR=x\n" + "".join(f"{k}={v}\n" for k, v in e.items()) for e in entries) + "\n")
    for name in ("a.json", "b.export"):
        assert run([tmp_path / name]).totals["bounced"] == 1, name


def test_years_turn_at_new_year(tmp_path):
    changed = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    (tmp_path / "mail.log").write_text(message("Dec 31") + message("Jan  1").replace("4ABCDEF0123", "5ABCDEF0123"))
    (tmp_path / "mail.log.1").write_text(message("Dec 20").replace("4ABCDEF0123", "6ABCDEF0123"))
    for name in ("mail.log", "mail.log.1"):
        os.utime(tmp_path / name, (changed, changed))
    incident = run([tmp_path]).incidents[0]
    assert (incident.first, incident.last) == ("2025-12-20T10:00:02Z", "2026-01-01T10:00:02Z")


def test_zones_in_stamps_are_kept():
    clock = Clock(Years(), UTC)
    assert clock.seconds(b"2026-11-23T10:00:00+01:00") == clock.seconds(b"2026-11-23T09:00:00.123456Z")
    assert clock.seconds(b"2026-11-23 09:00:00") == clock.seconds(b"2026-11-23T09:00:00Z")


def test_a_log_ends_no_later_than_its_last_change():
    changed = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert infer_years([(11 * 32 + 1, 11 * 32 + 20, changed)])[0].first_year == 2025


def test_filters(tmp_path):
    (tmp_path / "m").write_text(
        message() + message().replace("4ABCDEF0123", "5ABCDEF0123").replace("bob@", "eve@").replace("anna@a", "otto@c")
    )
    assert run([tmp_path]).totals["bounced"] == 2
    assert run([tmp_path], recipient="bob@b.example").totals["bounced"] == 1
    assert run([tmp_path], sender="c.example").totals["bounced"] == 1
    assert run([tmp_path], host="mx9").totals["bounced"] == 0


def test_a_baseline_tells_new_from_gone(tmp_path):
    (tmp_path / "old").write_text(message())
    (tmp_path / "new").write_text(message().replace("b.example", "d.example"))
    old, new = run([tmp_path / "old"]), run([tmp_path / "new"])
    report = compared(new, json.loads(json_of(old)))
    assert [i.state for i in report.incidents] == ["new"]
    assert report.gone == (old.incidents[0].id,)


def test_the_incident_says_why_and_who(tmp_path):
    (tmp_path / "m").write_text(message())
    incident = run([tmp_path]).incidents[0]
    assert (incident.fault, incident.lost, incident.senders, incident.destination) == ("recipient-unknown", 1, 1, "b.example")
    assert incident.samples[0].sender == "anna@a.example"
    assert [line.line for line in incident.samples[0].lines] == [1, 2, 3, 4]
    assert "mailbox" in text_of(run([tmp_path])).lower()


def test_healthy_mail_is_healthy(tmp_path):
    (tmp_path / "m").write_text(HEALTHY)
    assert run([tmp_path]).verdict == "healthy"


def command(*arguments, **kwargs):
    return subprocess.run([sys.executable, "-m", "analyzer", *arguments], capture_output=True, text=True, check=False, **kwargs)


def test_exit_status_and_json_on_standard_output(tmp_path):
    (tmp_path / "bad").write_text(message())
    (tmp_path / "good").write_text(HEALTHY)
    (tmp_path / "other").write_text("nothing of interest\n")
    found = command("batch", "--json", "-", str(tmp_path / "bad"))
    assert found.returncode == 1, found.stderr
    assert json.loads(found.stdout)["incidents"][0]["fault"] == "recipient-unknown"
    assert command("batch", str(tmp_path / "good")).returncode == 0
    assert command("batch", str(tmp_path / "other")).returncode == 3
    assert command("batch", str(tmp_path / "missing")).returncode == 2
    assert command("batch", input=message()).returncode == 1
    assert command("batch", "--fail-on", "critical", str(tmp_path / "bad")).returncode == 0


def test_a_log_that_was_meant_to_be_read_is_not_overwritten(tmp_path):
    (tmp_path / "log").write_text(message())
    found = command("batch", "--json", str(tmp_path / "log"), input="")
    assert found.returncode == 2
    assert "not overwritten" in found.stderr
    assert (tmp_path / "log").read_text() == message()


# ---- trace -----------------------------------------------------------------------------------------------------------
TWO_HOPS = """\
Nov 20 10:00:01 mx1 postfix/smtpd[71]: 4ABCDEF0124: client=a.example[192.0.2.1]
Nov 20 10:00:01 mx1 postfix/cleanup[71]: 4ABCDEF0124: message-id=<m1@a.example>
Nov 20 10:00:02 mx1 postfix/smtp[73]: 4ABCDEF0124: to=<bob@b.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 9ABCDEF0123)
Nov 20 10:00:02 mx1 postfix/cleanup[71]: 9ABCDEF0123: message-id=<m1@a.example>
Nov 20 10:30:02 mx1 postfix/smtp[73]: 9ABCDEF0123: to=<bob@b.example>, relay=mx.b.example[192.0.2.9]:25, delay=1800, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 OK)
Nov 20 11:00:00 mx1 postfix/smtp[73]: 8ABCDEF0123: to=<eve@c.example>, relay=mx.c.example[192.0.2.8]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 OK)
"""


@pytest.mark.parametrize("what", ["bob@b.example", "4ABCDEF0124", "9ABCDEF0123", "<m1@a.example>", "mx.b.example", "192.0.2.9"])
def test_a_trace_follows_a_message_through_the_filter(tmp_path, what):
    (tmp_path / "m.1").write_text("".join(TWO_HOPS.splitlines(keepends=True)[:3]))
    (tmp_path / "m").write_text("".join(TWO_HOPS.splitlines(keepends=True)[3:]))
    items, _ = sources.find([str(tmp_path)])
    engine = Local(1, KEY)
    stories = trace(what, tasks_of(items, years_of(items), Options(zone=UTC)), engine.grep)
    assert len(stories) == 1
    assert [q for _, q in stories[0].ids] == ["4ABCDEF0124", "9ABCDEF0123"]
    assert len(stories[0].lines) == 5
    assert state_of(stories[0]) == "delivered"


@pytest.mark.parametrize("size", [1, 150, 700, 5_000, 1 << 20])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_a_trace_is_the_same_however_the_log_is_cut(tmp_path, size, jobs, packed):
    lines = TWO_HOPS.splitlines()
    other = "Nov 20 10:20:00 mx1 postfix/qmgr[9]: {:011X}: from=<x@y.example>, size=1, nrcpt=1 (queue active)"
    text = "".join(f"{line}\n" for n in (4, 0, 2, 3, 1, 5) for line in (lines[n], *(other.format(n * 100 + k) for k in range(30))))
    if packed:
        (tmp_path / "m.gz").write_bytes(gzip.compress(text.encode()))
    else:
        (tmp_path / "m").write_text(text)
    items, _ = sources.find([str(tmp_path)])
    tasks = tasks_of(items, years_of(items), Options(zone=UTC, range=size, block=512))
    stories = trace("bob@b.example", tasks, Local(jobs, KEY).grep)
    assert [[f.line.decode() for f in s.lines] for s in stories] == [sorted(lines[:5], key=lambda line: (line[:15], text.index(line)))]


def test_a_trace_of_more_ids_than_are_learnt_in_one_reading(tmp_path):
    told = "Nov 20 10:00:0{} mx1 postfix/smtp[73]: {:011X}: to=<a{}@b.example>, relay=mx.b.example[192.0.2.9]:25, status={}\n"
    for name, seconds, status in (("m.1", 1, "deferred (x)"), ("m", 2, "sent (250 OK)")):
        (tmp_path / name).write_text("".join(told.format(seconds, 0x4ABCDEF0000 + n, n, status) for n in range(300)))
    (tmp_path / "m").write_text((tmp_path / "m").read_text().replace("mx.b.example", "mx.c.example"))
    items, _ = sources.find([str(tmp_path)])
    found = [
        trace("mx.c.example", tasks_of(items, years_of(items), Options(zone=UTC, range=r)), Local(1, KEY).grep) for r in (999, 1 << 20)
    ]
    assert [len(s.lines) for s in found[0]] == [2] * 300
    assert found[0] == found[1]


def test_what_is_searched_is_recognised():
    assert [kind_of(w) for w in ("a@b.example", "4ABCDEF0124", "1abcDE-000123-AB", "192.0.2.1", "mx.example")] == [
        "address or message id",
        "queue id",
        "queue id",
        "IP address",
        "host",
    ]


def test_trace_prints_the_story_and_its_verdict(tmp_path):
    (tmp_path / "m").write_text(message())
    found = command("trace", "bob@b.example", str(tmp_path / "m"))
    assert found.returncode == 1, found.stderr
    assert re.search(r"bounced", found.stdout)
    assert (
        json.loads(command("trace", "--json", "bob@b.example", str(tmp_path / "m")).stdout)["messages"][0]["fault"] == "recipient-unknown"
    )
    assert command("trace", "nobody@x.example", str(tmp_path / "m")).returncode == 3


def test_the_page_shows_strangers_text_as_text(tmp_path):
    from analyzer.render.batch_html import html_of

    (tmp_path / "m").write_text(message().replace("User unknown", "User <script>alert(1)</script> unknown"))
    page = html_of(run([tmp_path]))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Content-Security-Policy" in page


def test_events_are_exported(tmp_path):
    from analyzer.batch.export import write

    (tmp_path / "m").write_text(message())
    items, notes = sources.find([str(tmp_path / "m")])
    batch(
        items,
        notes,
        load_rules(()),
        Options(zone=UTC),
        Local(1, KEY),
        events=lambda tally, gathered: write(str(tmp_path / "e.jsonl"), tally, gathered),
    )
    rows = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [(r["recipient"], r["sender"], r["status"]) for r in rows] == [("bob@b.example", "anna@a.example", "bounced")]


EXIM = """\
2026-11-20 10:00:01 1aspm4-000001-G7 <= anna@a.example H=mail.a.example [192.0.2.1] P=esmtps S=1076 id=1@a.example
2026-11-20 10:00:02 1aspm4-000001-G7 => bob@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.9] C="250 OK"
2026-11-20 10:00:02 1aspm4-000001-G7 Completed
2026-11-20 10:00:03 1aspm4-000002-G7 <= root@a.example U=root P=local S=300
2026-11-20 10:00:04 1aspm4-000002-G7 ** eve@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.9]: SMTP error from remote mail server after RCPT TO:<eve@b.example>: 550 5.1.1 User unknown
2026-11-20 10:00:04 1aspm4-000002-G7 Completed
"""


def test_exims_own_log_is_read(tmp_path):
    (tmp_path / "mainlog").write_text(EXIM)
    totals = run([tmp_path]).totals
    assert (totals["received"], totals["delivered"], totals["bounced"]) == (2, 1, 1)


def test_formats_that_appear_late_in_a_log_are_read(tmp_path):
    other = "Nov 20 10:00:03 mx1 sm-mta[9]: 6ANG2PhG000149: to=<x@c.example>, delay=00:00:01, mailer=esmtp, relay=mx.c.example. [192.0.2.7], dsn=5.1.1, stat=User unknown\n"
    (tmp_path / "m").write_text(message() * 3 + other + EXIM)
    assert run([tmp_path]).totals["bounced"] == 5


def test_filters_hold_for_deliveries_too(tmp_path):
    (tmp_path / "m").write_text(HEALTHY + HEALTHY.replace("bob@", "eve@").replace("Nov 20", "Nov 21").replace("4ABCDEF0124", "5ABCDEF0124"))
    assert run([tmp_path]).totals["delivered"] == 2
    assert run([tmp_path], recipient="eve@b.example").totals["delivered"] == 1


CONNECTION = """\
Nov 20 09:59:50 mx1 postfix/smtpd[71]: connect from other.example[192.0.2.7]
Nov 20 09:59:51 mx1 postfix/smtpd[71]: disconnect from other.example[192.0.2.7] ehlo=1 quit=1 commands=2
Nov 20 10:00:00 mx1 postfix/smtpd[71]: connect from a.example[192.0.2.1]
Nov 20 10:00:00 mx1 postfix/smtpd[72]: connect from stranger.example[192.0.2.8]
"""


def test_a_trace_shows_the_connection_by_which_the_message_came(tmp_path):
    after = "Nov 20 10:00:03 mx1 postfix/smtpd[71]: disconnect from a.example[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
    (tmp_path / "m").write_text(CONNECTION + message() + after)
    found = json.loads(command("trace", "--json", "4ABCDEF0123", str(tmp_path / "m")).stdout)["messages"]
    texts = [line["text"] for line in found[0]["lines"]]
    assert len(texts) == 6
    assert "connect from a.example" in texts[0]
    assert "disconnect from a.example" in texts[-1]


def test_a_trace_shows_the_connection_from_compressed_logs_too(tmp_path):
    after = "Nov 20 10:00:03 mx1 postfix/smtpd[71]: disconnect from a.example[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
    other = "Nov 20 09:00:00 mx1 postfix/smtpd[71]: connect from other.example[192.0.2.7]\n" * 9000
    second = message().replace("4ABCDEF0123", "5ABCDEF0123")
    (tmp_path / "m.gz").write_bytes(gzip.compress((CONNECTION + message() + after + other + CONNECTION + second + after).encode()))
    found = json.loads(command("trace", "--json", "bob@b.example", str(tmp_path / "m.gz")).stdout)["messages"]
    assert [len(m["lines"]) for m in found] == [6, 6]
    assert all("disconnect from a.example" in m["lines"][-1]["text"] for m in found)


def test_a_queue_id_used_again_is_another_story(tmp_path):
    first = HEALTHY.replace("4ABCDEF0124", "4ABCDEF0123").replace("10:00", "09:00")
    (tmp_path / "m").write_text(first + message())
    (incident,) = run([tmp_path]).incidents
    assert [line.line for line in incident.samples[0].lines] == [4, 5, 6, 7]


def test_a_trace_as_a_page(tmp_path):
    (tmp_path / "m").write_text(message().replace("User unknown", "User <b>unknown</b>"))
    page = command("trace", "--html", "-", "4ABCDEF0123", str(tmp_path / "m")).stdout
    assert page.startswith("<!doctype html>")
    assert "4ABCDEF0123@mx1" in page
    assert "&lt;b&gt;unknown" in page
    assert "<b>" not in page


def test_the_share_of_failures_and_the_longest_waiting_message(tmp_path):
    waiting = message().replace("status=bounced", "status=deferred").replace("dsn=5.1.1", "dsn=4.2.2").replace("550 5.1.1", "452 4.2.2")
    waiting = waiting.replace("User unknown", "Mailbox full").rsplit("\n", 2)[0] + "\n"
    later = waiting.replace("4ABCDEF0123", "5ABCDEF0123").replace("10:00:0", "10:30:0")
    again = waiting.replace("10:00:0", "11:00:0")
    (tmp_path / "m").write_text(HEALTHY + HEALTHY.replace("4ABCDEF0124", "7ABCDEF0124") + waiting + later + again)
    report = run([tmp_path])
    (incident,) = report.incidents
    assert (incident.events, incident.delivered, incident.rate, incident.waiting) == (3, 2, 0.6, 2)
    assert (incident.oldest.queue_id, incident.oldest.since[11:16]) == ("4ABCDEF0123", "10:00")
    (place,) = report.destinations
    assert (place.name, place.delivered, place.deferred, place.rate) == ("b.example", 2, 3, 0.6)
    text = text_of(report)
    assert "60.0 % of the attempts" in text
    assert "longest waiting: 4ABCDEF0123" in text


def test_expired_mail_is_lost(tmp_path):
    waiting = message().replace("status=bounced", "status=deferred").replace("dsn=5.1.1", "dsn=4.2.2").replace("550 5.1.1", "452 4.2.2")
    (tmp_path / "m").write_text(
        waiting + "Nov 25 10:00:02 mx1 postfix/qmgr[72]: 4ABCDEF0123: from=<anna@a.example>, status=expired, returned to sender\n"
    )
    report = run([tmp_path])
    assert (report.totals["expired"], report.incidents[0].lost, report.incidents[0].waiting) == (1, 1, 0)


def test_the_heat_map_has_a_cell_for_every_hour(tmp_path):
    from analyzer.render.batch_html import html_of

    (tmp_path / "m").write_text(message() + message().replace("10:00:0", "12:00:0").replace("4ABCDEF0123", "5ABCDEF0123"))
    page = html_of(run([tmp_path]))
    assert page.count('<td class="h') == 3
    assert 'title="2026-11-20T11:00Z: 0"' in page or ":00Z: 0" in page


def test_the_same_lines_in_two_logs_count_once(tmp_path):
    many = "".join(message().replace("4ABCDEF0123", f"4ABCDEF{n:04d}") for n in range(10))
    (tmp_path / "mail.log").write_text(many)
    (tmp_path / "syslog").write_text(
        "Nov 20 09:00:00 mx1 kernel: hello\n"
        + many.replace("Nov 20 10:00:02 mx1 postfix/qmgr", "Nov 20 10:00:02 mx1 cron[1]: x\nNov 20 10:00:02 mx1 postfix/qmgr")
    )
    (tmp_path / "other.log").write_text(many.replace("mx1", "mx2"))
    report = run([tmp_path])
    assert report.totals["bounced"] == 20
    assert any("mail.log: left out: its failures stand in" in n for n in report.notes)


def test_an_account_that_suddenly_sends_much_stands_out(tmp_path):
    line = "Nov 20 {h:02d}:{m:02d}:01 mx1 postfix/smtpd[71]: 4ABCDE{n:05d}: client=a.example[192.0.2.1], sasl_method=PLAIN, sasl_username={who}\n"
    lines = [line.format(h=h, m=m, n=h * 60 + m, who="busy@a.example") for h in range(10) for m in range(60)]
    lines += [line.format(h=7, m=m % 60, n=5000 + m, who="Anna@a.example") for m in range(80)]
    lines += [line.format(h=2, m=1, n=6000, who="anna@a.example")]
    (tmp_path / "m").write_text("".join(sorted(lines)))
    report = run([tmp_path])
    assert [(s.account, s.messages, s.peak, s.hour[11:13]) for s in report.surges] == [("anna@a.example", 81, 80, "07")]
    assert report.totals["received"] == 681
    assert "sudden volume: anna@a.example sent 80 messages" in text_of(report)
