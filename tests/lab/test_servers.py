"""One scenario for each server, from nothing: where root, namespaces and a Debian mirror are at hand, and somebody asks for it.

LAB=1 pytest tests/lab/test_servers.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

ROOT = Path(__file__).parents[2]
SCENARIOS = [
    "connection-timed-out--firewall",
    "data-transfer-timed-out--mtu-mtas",
    "dnssec-bogus--unbound",
    "mailbox-full--dovecot-lmtp",
    "milter-unavailable--dies-in-mid-message",
    "recipient-unknown--exim",
    "recipient-unknown--mtas",
    "sender-domain-unresolvable--sendmail",
]
MINUTES_TO_BUILD, MINUTES_TO_RUN = 5, 5


def lab(arguments: list[str], minutes: float, samples: Path) -> subprocess.CompletedProcess[str]:
    names = [f"{name}$" for name in SCENARIOS]
    command = [sys.executable, "-m", "tests.lab", *arguments, *names]
    environment = {**os.environ, "LAB_SAMPLES": str(samples)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=60 * minutes)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captures of a fresh run."""
    if not os.environ.get("LAB"):
        pytest.skip("the lab runs only where LAB=1 asks for it: it installs servers into folders of its own, for minutes")
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("no root, or no namespaces")
    samples = tmp_path_factory.mktemp("samples")
    try:
        built = lab(["--build"], MINUTES_TO_BUILD, samples)
    except subprocess.TimeoutExpired:
        pytest.skip("the servers could not be installed in time")
    if built.returncode:
        pytest.skip(f"the servers could not be installed: {built.stderr[-300:]}")
    ran = lab(["--jobs", "3"], MINUTES_TO_RUN, samples)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return samples


def test_fresh_captures_are_told_right(captures, book, formats):
    wrong = []
    expectations = sorted(captures.rglob("*.expected.yaml"))
    assert len(expectations) >= 2 * len(SCENARIOS)
    for expected in expectations:
        wanted = yaml.safe_load(expected.read_text())
        kept = ROOT / "samples" / expected.relative_to(captures)
        if kept.exists() and yaml.safe_load(kept.read_text()).get("todo"):
            continue
        stem = expected.name.removesuffix(".expected.yaml")
        capture = next(file for file in expected.parent.glob(f"{stem}.*") if file != expected)
        report = diagnose([Source(capture.name, capture.read_bytes())], book, formats)
        told = [d.fault for d in report.diagnoses]
        if report.verdict != wanted["verdict"] or (wanted["faults"] and told[:1] and told[0] not in wanted["faults"]):
            wrong.append((str(expected.relative_to(captures)), wanted["faults"], report.verdict, told, capture.read_text()[-2000:]))
    assert not wrong
