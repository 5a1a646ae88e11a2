"""``python -m tests.bench [--size MB] [--repeat N]``: mailwhy beside the tools that people use, on generated logs."""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.generate import write

MAILWHY = str(Path(sys.executable).parent / "mailwhy")
FOLDER = Path(tempfile.gettempdir()) / "mailwhy-bench"
FAILING = {
    "postfix": "status=(deferred|bounced)|: reject: |warning: ",
    "exim": r" (\*\*|==) |rejected",
    "sendmail": "stat=(User|Deferred)|reject=",
    "opensmtpd": "result=.(Perm|Temp)Fail|failed-command",
    "mixed": "status=(deferred|bounced)|: reject: |warning: |failed|fail|Blocked ",
}
PACKAGES = {
    "pflogsumm": "pflogsumm",
    "eximstats": "exim4-base",
    "exigrep": "exim4-base",
    "rg": "ripgrep",
    "lnav": "lnav",
    "logwatch": "logwatch",
}
LOGWATCH = "/usr/share/logwatch/scripts/services/postfix"  # runs alone too
SLOW = 8.0  # seconds of a processor; what takes longer is measured once


class Run(NamedTuple):
    """What a command took: wall seconds, processor seconds (user and system, children included), peak MiB."""

    wall: float
    cpu: float
    memory: float


# As an installed program runs: with its modules' bytecode kept.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": str(FOLDER / "bytecode")}


def measured(command: list[str], cores: str | None = None) -> Run:
    """One run of *command*."""
    if cores is not None and shutil.which("taskset"):
        command = ["taskset", "-c", cores, *command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    errors = (FOLDER / "errors").open("w+")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=ENVIRONMENT)
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.005)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    errors.seek(0)
    if MAILWHY in command and (process.returncode not in {0, 1, 3} or "Traceback" in errors.read()):
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, max(peak, usage.ru_maxrss / 1024))


def tree_memory(pid: int) -> float:
    """MiB that *pid* and its children hold, shared pages counted once a process (so: too much rather than too little)."""
    total = 0.0
    for one in [pid, *children(pid)]:
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)
        except (OSError, IndexError):
            continue
    return total


def children(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *children(int(child))]
    except OSError:
        pass
    return found


def peers(kind: str, log: str) -> list[tuple[str, list[str]]]:
    """The other tools that are installed."""
    every = [("wc -l", ["wc", "-l", log]), ("rg -N candidates", ["rg", "-N", FAILING[kind], log])]
    texts = FOLDER / f"{Path(log).stem}.texts"
    texts.write_bytes(subprocess.run([sys.executable, "-m", "tests.bench.texts", log], check=True, capture_output=True).stdout)
    if texts.stat().st_size:
        every += [("rg -N, our own texts", ["rg", "-N", "-F", "-f", str(texts), log])]
    if kind in {"postfix", "mixed"}:
        every += [("pflogsumm", ["pflogsumm", log])]
        every += [("logwatch's postfix", ["perl", LOGWATCH, "--nodetail", log])] if Path(LOGWATCH).exists() else []
        every += [("lnav", ["lnav", "-n", "-c", ";SELECT log_time, log_body FROM syslog_log WHERE log_body LIKE '%status=bounced%'", log])]
    elif kind == "exim":
        every += [("eximstats", ["eximstats", log]), ("exigrep", ["exigrep", "rejected", log])]
    return [(name, command) for name, command in every if shutil.which(command[0])]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--sizes", default="150", metavar="MB", help="as 150,300,600")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are reported")
    parser.add_argument("--shares", default="5,50")
    parser.add_argument("--kinds", default="postfix,exim,sendmail,opensmtpd,mixed")
    options = parser.parse_args()
    set_up()
    for kind in options.kinds.split(","):
        for size in (int(s) for s in options.sizes.split(",")):
            for share in (int(s) for s in options.shares.split(",")):
                log = str(write(FOLDER / f"{kind}-{size}-{share}.log", kind, size * 1_000_000, share / 100))
                table(kind, log, share, options.repeat)


def set_up() -> None:
    """Install what a Debian machine has packages for, where we may; say what is missing where we may not."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if wanted and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 600}
        quiet["env"] = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
        try:
            if subprocess.run(install, check=False, **quiet).returncode:  # a fresh machine has no lists of packages
                subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
                subprocess.run(install, check=False, **quiet)
        except subprocess.TimeoutExpired:
            pass
    missing = [program for program in PACKAGES if not shutil.which(program)]
    if missing:
        print(f"not installed, so not measured: {', '.join(missing)}")


def table(kind: str, log: str, share: int, repeat: int) -> None:
    """One log's measurements, one tool after the other, in rounds: neighbours' work falls on all of them."""
    size = os.path.getsize(log) / 1e6
    measured([MAILWHY, "batch", "--jobs", "1", log])  # fills the caches
    what = needle(log)
    measured([MAILWHY, "trace", what, log])
    commands: list[tuple[str, list[str], str | None]] = [
        ("mailwhy batch", [MAILWHY, "batch", log], None),
        ("mailwhy batch, one core", [MAILWHY, "batch", "--jobs", "1", log], None),
        ("the same, every story", [sys.executable, "-m", "tests.bench.stories", log], None),
        ("mailwhy trace", [MAILWHY, "trace", what, log], None),
        ("mailwhy, an empty log", [MAILWHY, "batch", "--jobs", "1", str(empty())], None),
        ("rg -N one id", ["rg", "-N", what, log], None),
    ]
    commands += [(name, command, None) for name, command in peers(kind, log)]
    runs: dict[str, list[Run]] = {}
    for n in range(repeat):
        for name, command, cores in commands:
            if shutil.which(command[0]) and (n == 0 or runs[name][0].cpu < SLOW):
                runs.setdefault(name, []).append(measured(command, cores))
    rows = {name: Run(median(r.wall for r in of), median(r.cpu for r in of), max(r.memory for r in of)) for name, of in runs.items()}
    print(f"\n{kind}, {size:.0f} MB, {share} % of the messages fail; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| tool | wall s | processor s | MB/s | peak MiB | wall: batch takes | processor: one core takes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    two, one = rows["mailwhy batch"], rows["mailwhy batch, one core"]
    for name, run in rows.items():
        ratios = f"{run.wall / two.wall:.1f} x less | {run.cpu / one.cpu:.1f} x less"
        print(f"| {name} | {run.wall:.2f} | {run.cpu:.2f} | {size / run.wall:.0f} | {run.memory:.0f} | {ratios} |", flush=True)


def empty() -> Path:
    """A log with one line, for the start-up."""
    path = FOLDER / "empty.log"
    path.write_text("Nov 20 10:00:00 mx1 postfix/smtpd[1]: connect from a.example[192.0.2.1]\n")
    return path


def needle(log: str) -> str:
    """A queue id out of the middle of *log*."""
    with open(log) as file:
        file.seek(os.path.getsize(log) // 2)
        text = file.read(20_000)
    found = re.search(r"\]: ([0-9A-F]{8,}): client|[0-9] (\S{16,24}) <=|\]: (\S{14}): from|evpid=([0-9a-f]{16})", text)
    assert found
    return next(g for g in found.groups() if g)


if __name__ == "__main__":
    main()
