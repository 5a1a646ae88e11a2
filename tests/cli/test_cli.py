"""The command line: exit status, errors in one line, pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"


def mailwhy(*arguments, data=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "analyzer", *arguments],
        input=data,
        capture_output=True,
        cwd=ROOT,
        timeout=300,  # on a busy machine; without a cache everything is compiled
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("sample", "status"),
    [("telnet/message-accepted.txt", 0), ("telnet/relay-denied-postfix.txt", 1)],
)
def test_the_exit_status_is_the_verdict(sample, status):
    assert mailwhy(str(SAMPLES / sample)).returncode == status


def test_nothing_recognised_is_3():
    assert mailwhy("-", data=b"good morning\n").returncode == 3
    assert mailwhy("-", data=b"").returncode == 3


@pytest.mark.parametrize("name", ["/nonexistent/file", str(SAMPLES / "lab")])
def test_unreadable_input_is_one_line_and_2(name):
    done = mailwhy(name)
    assert done.returncode == 2
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1
    assert name.encode() in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_file_that_may_not_be_read(tmp_path):
    secret = tmp_path / "mail.log"
    secret.write_text("x")
    secret.chmod(0)
    tmp_path.chmod(0o755)
    code = f"import os; os.setuid(65534); import sys; sys.argv=['mailwhy', {str(secret)!r}]; from analyzer.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False)
    if b"No module named" in done.stderr or b"can't open" in done.stderr:
        pytest.skip("the other user cannot read the checkout")
    assert done.returncode == 2
    assert b"Permission denied" in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 64,
        b"\x00" * 4096,
        ("220 mx.example.net ESMTP\r\nEHLO c.example.org\r\n250 mx\r\nQUIT\r\n221 bye\r\n").encode("utf-16"),
        b"\xff\xfb\x01\xff\xfd\x03220 mx.example.net ESMTP\r\n",
        b"250 " * 200_000,
    ],
    ids=["binary", "zeros", "utf-16", "telnet-options", "one-long-line"],
)
def test_odd_bytes_are_answered(data):
    done = mailwhy("-", "-f", "json", data=data)
    assert done.returncode in {0, 1, 3}, done.stderr
    json.loads(done.stdout)


def test_a_line_of_a_hundred_megabytes_is_cut_not_choked_on():
    done = mailwhy("-", "-f", "json", data=b"A" * 100_000_000)
    assert done.returncode == 3
    assert any("longer than" in n for n in json.loads(done.stdout)["coverage"]["notes"])


def test_utf16_is_read():
    text = (SAMPLES / "telnet" / "message-accepted.txt").read_text().encode("utf-16")
    assert mailwhy("-", data=text).returncode == 0


def test_a_reader_that_leaves_early_sees_no_traceback():
    done = subprocess.run(
        f"{sys.executable} -m analyzer {SAMPLES / 'telnet' / 'relay-denied-postfix.txt'} | head -1",
        shell=True,
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert b"Traceback" not in done.stderr


def test_hostile_text_does_not_reach_the_terminal():
    data = b"220 mx.example.net ESMTP \x1b]0;owned\x07\nEHLO c.example.org\n550 5.7.1 \x1b[31mno\x1b[0m \xe2\x80\xaegnorw\n"
    done = mailwhy("-", data=data)
    assert b"\x1b" not in done.stdout
    assert b"\x07" not in done.stdout
    assert "\u202e".encode() not in done.stdout


def test_a_missing_cache_costs_time_only():
    sample = str(SAMPLES / "telnet" / "message-accepted.txt")
    kept = mailwhy(sample)
    blocked = mailwhy(sample, XDG_CACHE_HOME="/dev/null")
    assert kept.stdout == blocked.stdout
    assert kept.returncode == blocked.returncode == 0


def test_a_bad_rule_names_its_place(tmp_path):
    (tmp_path / "x.yaml").write_text("rule: acme/x\ntitle: X\nabout: problem\nwhen: {knid: hang-up}\nexamples: []\n")
    done = mailwhy("--rules", str(tmp_path), str(SAMPLES / "telnet" / "message-accepted.txt"))
    assert done.returncode == 2
    assert b"x.yaml:4:8: a problem has no field `knid`; did you mean `kind`?" in done.stderr


@pytest.mark.parametrize(
    "command", [["faults", "list"], ["faults", "show", "relay-denied"], ["rules", "list"], ["vocabulary"], ["--help"], ["--version"]]
)
def test_reference_commands(command):
    done = mailwhy(*command)
    assert done.returncode == 0
    assert done.stdout


def test_why_not_names_the_line():
    done = mailwhy("why-not", "greeting-refused", str(SAMPLES / "telnet" / "message-accepted.txt"))
    assert done.returncode == 0
    assert b"greeting-refused" in done.stdout
    assert mailwhy("why-not", "greting-refused", data=b"").returncode == 2


def test_a_folder_of_bounces_is_one_case(tmp_path):
    for n, name in enumerate(["rfc3464-delayed.eml", "qmail-no-host.eml"]):
        (tmp_path / f"{n}.eml").write_bytes((SAMPLES / "bounce" / name).read_bytes())
    (tmp_path / ".hidden").write_text("220 mx.example.net ESMTP\n")
    done = mailwhy("-f", "json", str(tmp_path))
    report = json.loads(done.stdout)
    assert [Path(name).name for name in report["sources"]] == ["0.eml", "1.eml"]
    assert report["verdict"] == "faulty"


@pytest.mark.parametrize("count", [0, 201])
def test_a_folder_that_is_no_case_is_told(tmp_path, count):
    for n in range(count):
        (tmp_path / f"{n}.log").touch()
    done = mailwhy(str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert f"is a folder of {count} files".encode() in done.stderr
