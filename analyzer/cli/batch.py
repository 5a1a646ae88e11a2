"""mailwhy batch"""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING, Any

from analyzer.cli.sources import knowledge as knowledge_options
from analyzer.errors import MailwhyError, UnreadableInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

EXIT_STATUS = {"healthy": 0, "incidents": 1, "unrecognised": 3}
_SEVERITIES = ("low", "medium", "high", "critical")


def reading(parser: argparse.ArgumentParser) -> None:
    """Options that `batch` and `trace` share."""
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument(
        "--block-size", default="768K", metavar="SIZE", help="bytes read at once, as 256K (the result does not depend on it)"
    )
    parser.add_argument("--timezone", metavar="NAME", help="of stamps that name none, as Europe/Berlin (default: this machine's)")
    parser.add_argument("--since", metavar="TIME", help="as 2026-11-23 or 2026-11-23T10:00")
    parser.add_argument("--until", metavar="TIME")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="logs: files, folders, patterns, URLs; - is standard input")
    reading(parser)
    parser.add_argument("--sender", metavar="ADDRESS", help="only failures of mail from this address or domain")
    parser.add_argument("--recipient", metavar="ADDRESS", help="only failures of mail to this address or domain")
    parser.add_argument("--host", metavar="NAME", help="only what this host logged")
    parser.add_argument("--engine", choices=("local", "dask"), default="local")
    parser.add_argument("--scheduler", metavar="URL", help="of a Dask cluster, as tcp://head:8786 (default: one on this machine)")
    parser.add_argument("--baseline", metavar="OLD.json", help="an older report: which incidents are new, grown, shrunk, gone")
    parser.add_argument("--fail-on", choices=_SEVERITIES, metavar="SEVERITY", help="exit 1 only for incidents at least this severe")
    parser.add_argument("--events", metavar="FILE", help="write every group of failures to FILE.jsonl or FILE.parquet")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON; - is standard output")
    parser.add_argument("--html", metavar="FILE", help="write the report as a web page")
    knowledge_options(parser)


def options_of(options: argparse.Namespace, **wanted: Any) -> Any:
    """How to read, from the command's options.  Raises `MailwhyError`."""
    from analyzer.batch.engines import jobs_here
    from analyzer.batch.run import Options
    from analyzer.batch.tally import Wanted

    zone = zone_of(options.timezone)
    return Options(
        jobs=max(1, options.jobs or jobs_here()),
        block=size_of(options.block_size),
        zone=zone,
        wanted=Wanted(since=seconds_of(options.since, zone), until=seconds_of(options.until, zone), **wanted),
    )


def run(options: argparse.Namespace) -> int:
    """Read, print, and answer with the exit status."""
    from analyzer.batch import interrupt, sources
    from analyzer.batch.engines import Dask, Local
    from analyzer.batch.run import batch, compared, worst
    from analyzer.render.batch_text import text_of
    from analyzer.rulebook import load_rules

    for name in (options.json, options.html):
        spare(name)
    interrupt.listen()
    gc.set_threshold(500_000, 50, 100)  # millions of small values without cycles: looking for some costs a fifth of the time
    lower = {n: (v.lower() if (v := getattr(options, n)) else None) for n in ("sender", "recipient", "host")}
    how = options_of(options, **lower)
    baseline = _baseline(options.baseline)
    key = (tuple(options.rules), tuple(options.grammars))
    try:
        items, notes = sources.find(options.paths)
        engine = Dask(options.scheduler, how.jobs, key) if options.engine == "dask" else Local(how.jobs, key)
        try:
            report = batch(
                items,
                notes,
                load_rules(key[0]),
                how,
                engine,
                progress=_progress if sys.stderr.isatty() else None,
                events=_events(options.events),
            )
        finally:
            engine.close()
    finally:
        sources.clean()
    if baseline is not None:
        report = compared(report, baseline)
    if options.json:
        from analyzer.render.batch_json import json_of

        write(options.json, json_of(report))
    if options.html:
        from analyzer.render.batch_html import html_of

        write(options.html, html_of(report))
    if options.json != "-" and options.html != "-":
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        print(text_of(report), end="")
    if report.partial:
        return 130
    if options.fail_on:
        return 1 if worst(report, options.fail_on) else 0
    return EXIT_STATUS[report.verdict]


def _baseline(name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    import json

    try:
        with open(name, "rb") as file:
            found = json.load(file)
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("incidents"), list):
        raise UnreadableInput(f"{name}: not a report of `mailwhy batch --json`")
    return found


def spare(name: str | None) -> None:
    """Raise `UnreadableInput` where the file *name* holds something else than an older report: perhaps the log."""
    if name is None or name == "-":
        return
    try:
        with open(name, "rb") as file:
            begin = file.read(64).lstrip()
    except OSError:
        return  # there is none, or `write` will say what is wrong
    if begin and not begin.startswith((b"{", b"<!")):
        raise UnreadableInput(f"{name}: holds something else than a report, and is not overwritten")


def write(name: str, text: str) -> None:
    """*text* into the file *name*; - is standard output.  Raises `UnreadableInput`."""
    if name == "-":
        sys.stdout.write(text)
        return
    try:
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror}") from None


def _events(name: str | None) -> Callable[[Any, Any], None] | None:
    if name is None:
        return None
    from analyzer.batch.export import write

    return lambda tally, gathered: write(name, tally, gathered)


def size_of(text: str) -> int:
    """Bytes, from 65536, 64K, 1M or 1G.  Raises `MailwhyError`."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    digits = text[:-1] if factor > 1 else text
    if not digits.isascii() or not digits.isdigit() or not int(digits):
        raise MailwhyError(f"--block-size {text}: a number of bytes, as 1M")
    return min(int(digits) * factor, 1 << 30)


def zone_of(name: str | None) -> Any:
    """The time zone *name*; None is this machine's.  Raises `MailwhyError`."""
    if name is None:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise MailwhyError(f"--timezone {name}: no such zone; as Europe/Berlin or UTC") from None


def seconds_of(text: str | None, zone: Any) -> int | None:
    """Seconds since 1970 of an ISO time in *zone*.  Raises `MailwhyError`."""
    if text is None:
        return None
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MailwhyError(f"{text}: a time as 2026-11-23 or 2026-11-23T10:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())


def _progress(what: str, size: int) -> Callable[[int, int], None]:
    """A bar on standard error."""
    began = time.monotonic()
    state = [0, 0, 0.0]

    def step(read: int, failures: int) -> None:
        state[0] += read
        state[1] += failures
        now = time.monotonic()
        if now - state[2] < 0.1 and state[0] < size:
            return
        state[2] = now
        rate = state[0] / max(now - began, 1e-6)
        share = min(1.0, state[0] / max(1, size))
        left = max(0.0, size - state[0]) / max(rate, 1)
        bar = "#" * int(20 * share)
        print(
            f"\r{what} [{bar:<20}] {state[0] / 1e6:,.0f} MB  {rate / 1e6:,.0f} MB/s  {left:,.0f} s left  {state[1]:,} failures\x1b[K",
            end="\n" if share >= 1 else "",
            file=sys.stderr,
            flush=True,
        )

    return step
