"""Closed streams, full disks, odd terminals and homes: one line, the documented exit status, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer import cli

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "samples/telnet/relay-denied-postfix.txt")
MAILWHY = f"'{sys.executable}' -m analyzer"


def shell(command, **environment):
    return subprocess.run(["sh", "-c", command], capture_output=True, cwd=ROOT, timeout=300, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (f"{MAILWHY} {SAMPLE} >&-", 1),
        (f"{MAILWHY} {SAMPLE} 2>&- >/dev/null", 1),
        (f"{MAILWHY} {SAMPLE} <&- >/dev/null", 1),
        (f"{MAILWHY} <&-", 2),
        (f"{MAILWHY} {SAMPLE} >/dev/full", 2),
        (f"{MAILWHY} {SAMPLE} -o /dev/full", 2),
        (f"{MAILWHY} {SAMPLE} -o /nonexistent/report", 2),
        (f"{MAILWHY} {SAMPLE} -o /", 2),
        (f"{MAILWHY} /dev/zero", 2),
        (f"{MAILWHY} --rules /nonexistent {SAMPLE}", 2),
        (f"{MAILWHY} --grammars /nonexistent {SAMPLE}", 2),
        (f"{MAILWHY} serve --port 99999", 2),
        (f"yes 250 | head -300000 | {MAILWHY}", 2),
    ],
)
def test_streams_and_outputs(command, status):
    done = shell(command)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (1 if status == 2 else 0)


@pytest.mark.parametrize("columns", ["-5", "0", "1", "x", "1000000"])
def test_any_width_will_do(columns):
    done = shell(f"{MAILWHY} {SAMPLE}", COLUMNS=columns)
    assert done.returncode == 1, done.stderr
    assert max(len(line) for line in done.stdout.decode().splitlines()) <= 120


def test_a_locale_without_unicode():
    done = shell(f"{MAILWHY} {SAMPLE}", LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 1, done.stderr
    assert done.stdout.isascii()


def test_a_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = shell(f"cat {SAMPLE} > {tmp_path}/pipe & {MAILWHY} {tmp_path}/pipe")
    assert done.returncode == 1, done.stderr


def test_the_name_of_a_file_is_made_visible():
    done = subprocess.run([sys.executable, "-m", "analyzer", "\x1b[31mred\x07"], capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert b"\x07" not in done.stderr


def test_ctrl_c_ends_in_silence(monkeypatch, capsys):
    def interrupted(_argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    with pytest.raises(SystemExit) as left:
        cli.main([])
    assert left.value.code == 130
    assert capsys.readouterr() == ("", "")
