"""The report does not depend on how the input is cut, on the engine, or on the libraries installed."""

from __future__ import annotations

import gzip
import random
import re
from datetime import UTC

import msgspec
import pytest

from analyzer.batch import sources
from analyzer.batch.apart import Apart
from analyzer.batch.engines import Local, knowledge
from analyzer.batch.heads import Heads, linear, other_than
from analyzer.batch.reader import Reader
from analyzer.batch.run import Options, batch, tasks_of, years_of
from analyzer.batch.scan import scan
from analyzer.render.batch_json import json_of
from analyzer.rulebook import load_rules
from tests.batch_reference import reference
from tests.bench.generate import exim, mixed, opensmtpd, postfix, sendmail

KEY = ((), ())


def report(paths, engine=None, **how):
    items, notes = sources.find([str(p) for p in paths])
    options = Options(zone=UTC, **how)
    return json_of(batch(items, notes, load_rules(()), options, engine or Local(options.jobs, KEY)))


def with_iso_stamps(lines):
    """As rsyslog writes them now, some from another host, some delivered on this machine, with other programs' in between."""
    for n, line in enumerate(lines):
        stamp = f"2026-11-{line[4:6]}T{line[7:15]}.{n:06d}+01:00"
        rest = line[15:].replace(" mx1 ", " mx2 ") if n % 17 == 0 else line[15:]
        if n % 3 == 0 and "status=sent" in rest:
            rest = re.sub(r"relay=[^ ]+,", "relay=virtual,", rest)
        yield stamp + rest
        if n % 50 == 0:
            yield f"{stamp} mx1 dovecot: imap-login: Aborted login (auth failed, 1 attempts in 2 secs): user=<bob>, method=PLAIN, rip=192.0.2.1\n"
            yield f"{stamp} mx\n"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    r = random.Random(7)
    lines = list(postfix(150_000, 0.3, 3))
    strangers = [
        "\n",
        "not a log line at all\n",
        'Nov 20 00:00:03 mx1 postfix/smtp[1]: 3826A498BA3: to=<"status=sent "@example.net>, relay=none, '
        "delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (x status=sent )\n",
        "Nov 20 00:00:04 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from u\xff[192.0.2.1]: 550 5.1.1 <a@b.example>: no; from=<> to=<a@b.example> proto=SMTP helo=<x>\n",
        "mail | Nov 20 00:00:05 mx2 postfix/smtp[9]: AAAA11BBBB2: to=<a@b.example>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (connect to b.example[192.0.2.9]:25: Connection refused)\n",
        "2026-11-20T01:02:03.123456+01:00 mx3 postfix/smtp[9]: AAAA11BBBB3: to=<a@b.example>, relay=b.example[192.0.2.9]:25, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (host b.example[192.0.2.9] said: 550 5.1.1 No such user (in reply to RCPT TO command))\n",
    ]
    for line in strangers:
        lines.insert(r.randrange(len(lines)), line)
    half = len(lines) // 2
    (folder / "mail.log.1").write_text("".join(lines[:half]), encoding="latin-1")
    (folder / "mail.log").write_text("".join(lines[half:])[:-20], encoding="latin-1")
    with gzip.open(folder / "mail.log.2.gz", "wt") as file:
        file.writelines(postfix(30_000, 0.5, 4))
    (folder / "iso.log").write_text("".join(with_iso_stamps(postfix(60_000, 0.3, 8))))
    (folder / "mainlog").write_text("".join(exim(60_000, 0.3, 5)))
    (folder / "maillog").write_text("".join(sendmail(60_000, 0.3, 6)) + "".join(opensmtpd(60_000, 0.3, 7)))
    (folder / "messages").write_text("".join(mixed(150_000, 0.3, 9)))
    known = knowledge(*KEY).reader
    with (folder / "syslog").open("w") as file:  # a line of every kind of every format
        for fmt in known.logs:
            program = next((p.replace("*", "x") for p in fmt.header.programs if "[" not in p and "(" not in p and " " not in p), "")
            head = "" if fmt.header.over == "text" else f"Nov 20 03:00:00 mx4 {program}[77]: "
            file.writelines(f"{head}{s}\n" for s in fmt.header.samples if "\n" not in s)
    return folder


@pytest.fixture(scope="module")
def plain(logs):
    return report([logs], block=1 << 20)


@pytest.mark.parametrize("block", [1, 97, 1000, 4096, 65_537])
def test_the_report_is_the_same_for_any_block(logs, plain, block):
    assert report([logs], block=block) == plain


@pytest.mark.parametrize("step", [1009, 20_000, 77_777])
def test_the_report_is_the_same_for_any_range(logs, plain, step):
    assert report([logs], block=4096, range=step) == plain


def test_the_report_is_the_same_in_processes(logs, plain):
    assert report([logs], jobs=3, range=30_000, block=8192) == plain


def test_the_report_is_the_same_without_the_automaton(logs, plain):
    assert report([logs], automaton=False) == plain


def test_the_report_is_the_same_whatever_the_order_of_paths(logs, plain):
    assert report(sorted(logs.iterdir(), reverse=True)) == plain


def test_the_report_equals_the_line_by_line_reference(logs, plain):
    import json

    items, notes = sources.find([str(logs)])
    slow = json.loads(json_of(reference(items, notes, knowledge(*KEY), load_rules(()), Options(zone=UTC))))
    fast = json.loads(plain)
    for found in (slow, fast):
        found["totals"].pop("bytes")
        found.pop("notes")
    assert fast["totals"] == slow["totals"]
    assert fast["incidents"] == slow["incidents"]
    assert fast == slow


def test_a_dask_cluster_gives_the_same(logs, plain):
    pytest.importorskip("distributed")
    from analyzer.batch.engines import Dask

    engine = Dask(None, 2, KEY)
    try:
        assert report([logs], engine, jobs=2, range=40_000) == plain
    finally:
        engine.close()


def groups_of(path, *, lanes):
    items, _ = sources.find([str(path)])
    (task,) = tasks_of(items, years_of(items), Options(zone=UTC, block=8_192))
    return scan(msgspec.structs.replace(task, use_lanes=lanes), knowledge(*KEY)).groups


@pytest.mark.parametrize("maker", [postfix, exim, sendmail, opensmtpd])
def test_the_express_lanes_tell_what_the_grammars_tell(tmp_path, maker):
    r = random.Random(1)
    lines = list(maker(200_000, 0.6, 9))
    # One server for two domains: where the failures belong is told by the recipient.
    lines += [line.replace("uni.example>", "corp.example>") for line in lines if "uni.example>" in line][:50]
    for _ in range(len(lines) // 4):  # damaged and crafted lines
        i = r.randrange(len(lines))
        at = r.randrange(len(lines[i]))
        what = r.choice(
            [
                *["", "<", ">", "; from=<a@b.example> to=", "[", "]", ", status=sent (", " said: 550 5.1.1 ", "\x00", " ", "=> "],
                *["1" * 12, ", stat=Sent (", ' result="Ok" ', " Completed", " reason=quit", "user@c.example"],
            ]
        )
        lines.insert(i, lines[i][:at] + what + lines[i][at + r.randrange(3) :])
    (tmp_path / "m").write_text("".join(lines))
    assert groups_of(tmp_path / "m", lanes=True) == groups_of(tmp_path / "m", lanes=False)


@pytest.mark.parametrize(
    ("maker", "formats"), [(postfix, {"postfix"}), (exim, {"exim-main"}), (sendmail, {"sendmail"}), (opensmtpd, {"opensmtpd"})]
)
def test_a_servers_log_is_searched_for_the_texts_of_its_own_format_alone(tmp_path, maker, formats):
    (tmp_path / "log").write_text("".join(maker(200_000, 0.3, 3)))
    items, _ = sources.find([str(tmp_path / "log")])
    (task,) = tasks_of(items, years_of(items), Options(zone=UTC, block=65_536))
    known = knowledge(*KEY)
    tally = scan(task, known)
    assert {known.reader.logs[i].name for i in tally.formats} == formats


def test_a_line_whose_head_is_unknown_is_found_wherever_it_differs():
    known = [b" mx1 postfix/smtp[", b" mx1 postfix/smtpd[", b" mx1 dovecot:"]
    search = linear(rb"\n[^\n]{3}" + (other_than(known) or b"")).search
    good = b"\nabc mx1 postfix/smtpd[1]: x\nabc mx1 dovecot: x\nabc mx1 postfix/smtp[2]: x"
    assert search(good + b"\n") is None
    for bad in (
        b"\nabc mx1 postfix/smt",
        b"\nabc",
        b"\nabc mx2 dovecot: x",
        b"\nabc mx1 postfix/smtpx[",
        b"\nabc mx1 dovecot[",
        b"\nabc\xff",
    ):
        assert search(good + bad + b"\n" + good[1:]).start() == len(good), bad


@pytest.mark.parametrize("last", [b"Nov 20 00:00:09 mx1 spamd[7]: spamd: x\n", b'{"a": 1}\n', b"2026-11-20T00:00:00Z INFO x\n"])
def test_heads_are_known_only_where_all_lines_have_them(last):
    heads = Heads(knowledge(*KEY).reader)
    block = "".join(postfix(5_000, 0.3, 2)).encode()
    (formats,) = [(i,) for i, f in enumerate(heads.reader.logs) if f.name == "postfix"]
    assert heads.known(block, formats)
    assert heads.host == b"mx1"
    assert not heads.known(block + last, formats)
    assert heads.host is None


@pytest.mark.parametrize("length", [200, 239, 240, 250, 300])
def test_a_long_name_of_a_host_ends_nothing(tmp_path, length):
    lines = [line.replace(" mx1 ", f" {'h' * length} ") for line in postfix(5_000, 0.3, 2)]
    (tmp_path / "log").write_text("".join(lines))
    assert report([tmp_path / "log"]) == report([tmp_path / "log"], automaton=False)


def test_lines_of_several_programs_are_taken_apart_with_their_places():
    reader = knowledge(*KEY).reader
    block = "".join(line if n % 40 < 39 else "not a log line\n\n" + line for n, line in enumerate(mixed(60_000, 0.3, 2))).encode()
    parts = list(Apart(reader).parts(1_000, block) or ())
    assert len(parts) > 8
    seen = set()
    for part in parts:
        at = 0
        for line in part.block.split(b"\n")[:-1]:
            place = part.place(at)
            assert block[place - 1_000 :].startswith(line + b"\n")
            assert reader.split(line)[0].formats == part.formats
            assert part.host in {None, b"mx1"}
            at += len(line) + 1
            seen.add(place)
    read = [line for line in block.split(b"\n") if line and reader.split(line)[0].formats]
    assert len(seen) == len(read)


@pytest.mark.parametrize(("maker", "most"), [(postfix, 0.02), (exim, 0.02), (sendmail, 0.02), (opensmtpd, 0.05), (mixed, 0.07)])
def test_few_lines_are_read_whole(tmp_path, monkeypatch, maker, most):
    (tmp_path / "log").write_text("".join(maker(1_000_000, 0.02, 3)))
    items, _ = sources.find([str(tmp_path / "log")])
    tasks = tasks_of(items, years_of(items), Options(zone=UTC))
    known, asked = knowledge(*KEY), []
    monkeypatch.setattr(Reader, "of", lambda self, *line, of=Reader.of: asked.append(1) or of(self, *line))
    tally = scan(tasks[0], known)
    assert len(asked) < most * tally.lines
