"""The worked example of the guide, used from a folder and from an installed package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "adding-a-format.md").read_text(encoding="utf-8")
(LOG,) = re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL)
(GRAMMAR,) = re.findall(r"```lark\n(.*?)```", GUIDE, re.DOTALL)


def mailwhy(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    found = os.pathsep.join(str(p) for p in (ROOT, path) if p)
    return subprocess.run(
        [sys.executable, "-m", "analyzer", *arguments],
        input=LOG,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": found},
    )


def test_without_the_format_it_is_not_understood():
    done = mailwhy()
    assert "acme" not in done.stdout
    assert "no known format" in done.stdout


def test_a_folder_of_grammars(tmp_path):
    (tmp_path / "acme.lark").write_text(GRAMMAR)
    done = mailwhy("--grammars", str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "recipient-unknown" in done.stdout
    assert "2 lines: 2 acme" in done.stdout


def test_an_installed_package(tmp_path):
    package, info = tmp_path / "acme_mail", tmp_path / "acme_mail-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "acme.lark").write_text(GRAMMAR)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-mail\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mailwhy.formats]\nacme = acme_mail\n")
    done = mailwhy(path=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "2 lines: 2 acme" in done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("acme_gone", "acme_gone, which offers formats, cannot be read"), ("", "there is a format `telnet` already")],
)
def test_a_bad_package_is_named(tmp_path, name, words):
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (tmp_path / "bad_formats").mkdir()
    (tmp_path / "bad_formats" / "__init__.py").write_text("")
    (tmp_path / "bad_formats" / "telnet.lark").write_text(GRAMMAR)
    (info / "entry_points.txt").write_text(f"[mailwhy.formats]\nx = {name or 'bad_formats'}\n")
    done = mailwhy(path=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_format_of_each_line_is_explained():
    done = mailwhy("--explain-format", str(ROOT / "samples" / "telnet" / "relay-denied-postfix.txt"))
    first = done.stdout.splitlines()[1].split()
    assert first[:4] == ["1", "telnet", first[2], "dial_typed"]
    assert float(first[2]) > 1.9
    assert re.search(r"telnet +0\.8\d reply +[a-z-]+ 0\.8\d", done.stdout)


def test_an_unknown_format_is_told_what_comes_near(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("2024-05-05 10:00:00 smtp-in#12 rcpt bob@firma.example from 192.0.2.4 rejected code=550\n")
    done = mailwhy(str(path))
    assert done.returncode == 3
    assert "What comes nearest" in done.stdout
    assert "--redacted-capture" in done.stdout
    shown = mailwhy("--redacted-capture", str(path)).stdout
    assert "firma.example" not in shown
    assert "192.0.2.4" not in shown
