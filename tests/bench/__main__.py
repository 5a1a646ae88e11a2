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

from tests.bench.generate import write

MAILWHY = str(Path(sys.executable).parent / "mailwhy")
FAILING = {"postfix": "status=(deferred|bounced)|: reject: |warning: ", "exim": r" (\*\*|==) |rejected"}


def measured(command: list[str], cores: str | None = None) -> tuple[float, float]:
    """Wall seconds and peak MiB of *command*, its children included."""
    if cores is not None and shutil.which("taskset"):
        command = ["taskset", "-c", cores, *command]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(status)
    if MAILWHY in command and process.returncode not in {0, 1}:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return time.perf_counter() - began, max(peak, usage.ru_maxrss / 1024)


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


def best(command: list[str], repeat: int, cores: str | None = None) -> tuple[float, float]:
    runs = [measured(command, cores) for _ in range(repeat)]
    return min(t for t, _ in runs), max(m for _, m in runs)


def peers(kind: str, log: str) -> list[tuple[str, list[str]]]:
    """The other tools that are installed."""
    every = [("wc -l", ["wc", "-l", log]), ("rg -N candidates", ["rg", "-N", FAILING[kind], log])]
    if kind == "postfix":
        every += [("pflogsumm", ["pflogsumm", log])]
        every += (
            [
                (
                    "logwatch postfix",
                    ["logwatch", "--service", "postfix", "--logfile", "mail", "--archives", "no", "--range", "all", "--output", "stdout"],
                )
            ]
            if os.environ.get("BENCH_LOGWATCH")
            else []
        )
        every += [("lnav", ["lnav", "-n", "-c", ";SELECT log_time, log_body FROM syslog_log WHERE log_body LIKE '%status=bounced%'", log])]
    else:
        every += [("eximstats", ["eximstats", log]), ("exigrep", ["exigrep", "rejected", log])]
    return [(name, command) for name, command in every if shutil.which(command[0])]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--size", type=int, default=150, metavar="MB")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--shares", default="1,5,50")
    parser.add_argument("--kinds", default="postfix,exim")
    options = parser.parse_args()
    folder = Path(tempfile.gettempdir()) / "mailwhy-bench"
    for kind in options.kinds.split(","):
        size = options.size if kind == "postfix" else options.size // 5
        for share in (int(s) for s in options.shares.split(",")):
            log = str(write(folder / f"{kind}-{size}-{share}.log", kind, size * 1_000_000, share / 100))
            table(kind, log, share, options.repeat)


def table(kind: str, log: str, share: int, repeat: int) -> None:
    """One log's measurements."""
    size = os.path.getsize(log) / 1e6
    measured([MAILWHY, "batch", "--jobs", "1", log])  # fills the caches
    own = [
        ("mailwhy batch", best([MAILWHY, "batch", log], repeat)),
        ("mailwhy batch, one core", best([MAILWHY, "batch", "--jobs", "1", log], repeat, "0")),
        ("mailwhy trace", best([MAILWHY, "trace", needle(log), log], repeat)),
    ]
    rows = own + [(name, best(command, 1 if name not in {"wc -l", "rg -N candidates"} else repeat)) for name, command in peers(kind, log)]
    rows.append(("rg -N one id", best(["rg", "-N", needle(log), log], repeat)) if shutil.which("rg") else rows[0])
    times = {name: t for name, (t, _) in rows}
    print(f"\n{kind}, {size:.0f} MB, {share} % of the messages fail\n")
    print("| tool | s | MB/s | peak MiB | mailwhy batch is | on one core |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (seconds, memory) in rows:
        two, one = seconds / times["mailwhy batch"], seconds / times["mailwhy batch, one core"]
        print(f"| {name} | {seconds:.2f} | {size / seconds:.0f} | {memory:.0f} | {two:.1f} x | {one:.1f} x |", flush=True)


def needle(log: str) -> str:
    """A queue id out of the middle of *log*."""
    with open(log) as file:
        file.seek(os.path.getsize(log) // 2)
        text = file.read(20_000)
    found = re.search(r"\]: ([0-9A-F]{8,}): client|[0-9] (\S{16,24}) <=", text)
    assert found
    return found[1] or found[2]


if __name__ == "__main__":
    main()
