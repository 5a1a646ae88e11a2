"""The knowledge travels: sdist to wheel to a fresh environment, and from a checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def knowledge(folder):
    return {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.suffix in {".lark", ".yaml"}}


def test_the_wheel_holds_what_the_checkout_holds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {n.removeprefix("analyzer/_data/") for n in archive.namelist() if n.startswith("analyzer/_data/")}
    assert names == knowledge("grammars") | knowledge("rules")


def test_the_installed_wheel_diagnoses(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    sample = ROOT / "samples" / "telnet" / "message-accepted.txt"
    done = subprocess.run([tmp_path / "venv" / "bin" / "mailwhy", str(sample)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "HEALTHY" in done.stdout
    where = subprocess.run(
        [python, "-c", "from analyzer.resources import folder; print(folder('rules'))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in where.stdout
