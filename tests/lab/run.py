"""Run the lab: `python tests/lab/run.py [NAME ...]`.

Without names every scenario runs, then the table of right and wrong diagnoses is written to tests/lab/RESULTS.md.
"""

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    __package__ = "tests.lab"

from tests.lab import certs, layers, score
from tests.lab.lab import Lab
from tests.lab.scenario import all_of, load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios, by the beginning of their names")
    parser.add_argument("--list", action="store_true", help="only say which scenarios there are")
    parser.add_argument("--build", action="store_true", help="only make the file systems that the scenarios need")
    parser.add_argument("--score", action="store_true", help="run no server, only diagnose the captures that are there")
    parser.add_argument("--jobs", type=int, default=4, help="scenarios at a time; they mostly wait")
    args = parser.parse_args()
    files = all_of(args.names)
    if args.list:
        print("\n".join(file.stem for file in files))
        return 0
    if args.build:
        build_all(files)
        return 0
    failed = [] if args.score else run_all(files, args.jobs)
    if args.score or not args.names:
        score.write()
    for name in failed:
        print(f"lab: FAILED {name}")
    return 1 if failed else 0


def build_all(files: list[Path]) -> None:
    """The layers that these scenarios need: the tools first, the rest side by side."""
    if os.geteuid() != 0:
        sys.exit("lab: needs root, for namespaces and apt-get")
    needed = {spec["layer"] for file in files for spec in load(file)["hosts"].values()}
    layers.base()
    certs.authority()
    layers.stack("tools")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(layers.stack, sorted(needed)))


def run_all(files: list[Path], jobs: int) -> list[str]:
    """The names of those that did not run to their end."""
    build_all(files)
    with ProcessPoolExecutor(max_workers=min(jobs, len(files) or 1)) as pool:
        return [file.stem for file, good in zip(files, pool.map(run, files), strict=True) if not good]


def run(file: Path) -> bool:
    """One scenario; true when it ran to its end."""
    begin = time.monotonic()
    try:
        data = load(file)
        with Lab(data) as lab:
            lab.play()
            complaints = lab.complaints()
    except Exception:
        print(f"lab: {file.stem}:\n{traceback.format_exc(limit=4)}", flush=True)
        return False
    print("\n".join([f"lab: {file.stem} ({time.monotonic() - begin:.0f} s)", *(f"lab: {file.stem}: {c}" for c in complaints)]), flush=True)
    return not complaints


if __name__ == "__main__":
    raise SystemExit(main())
