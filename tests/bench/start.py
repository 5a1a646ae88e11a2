"""``python -m tests.bench.start [--runs N] [FILE ...]``: what a start costs, beside the libraries' bare imports.

Pairs of runs, one of each, since a shared machine is never equally fast for long; medians of processor seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from tests.bench.__main__ import FOLDER, MAILWHY, measured

SAMPLES = Path(__file__).parents[2] / "samples"
USUAL = (
    "telnet/relay-denied-postfix.txt",
    "dig/mx-healthy.txt",
    "mixed/closed-after-mail-from-listed.txt",
    "postfix/backscatter.log",
    "bounce/rfc3464-delayed.eml",
)
IMPORTS = [sys.executable, "-c", "import lark, dns.name, yaml"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.start")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    print("| capture | wall ms | processor ms | the imports: wall, processor ms | ratio (processor, of pairs) |")
    print("| --- | --- | --- | --- | --- |")
    for file in options.files or [str(SAMPLES / name) for name in USUAL]:
        measured([MAILWHY, file])  # fills the caches
        pairs = [(measured([MAILWHY, file]), measured(IMPORTS)) for _ in range(options.runs)]
        wall, cpu, bare, bare_cpu = (
            statistics.median(getattr(pair[side], what) for pair in pairs) * 1000 for side in (0, 1) for what in ("wall", "cpu")
        )
        ratio = statistics.median(a.cpu / b.cpu for a, b in pairs)
        print(f"| {Path(file).name} | {wall:.0f} | {cpu:.0f} | {bare:.0f}, {bare_cpu:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
