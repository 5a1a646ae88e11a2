"""mailwhy trace"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from analyzer.cli.batch import options_of, reading, spare, write
from analyzer.cli.sources import knowledge as knowledge_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from analyzer.batch.trace import Story

_MOST_SHOWN = 50
_GAP = 60  # seconds that are worth a word


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("what", metavar="WHAT", help="address, queue id, message id, host name or IP address")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="logs: files, folders, patterns, URLs; - is standard input")
    reading(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--html", metavar="FILE", help="write the stories as a web page; - is standard output")
    knowledge_options(parser)


def run(options: argparse.Namespace) -> int:
    """Search, print, and answer with the exit status."""
    from analyzer.batch import sources
    from analyzer.batch.engines import Local, knowledge
    from analyzer.batch.run import tasks_of, years_of
    from analyzer.batch.trace import Nearby, kind_of, trace, with_connection
    from analyzer.rulebook import load_rules

    spare(options.html)
    how = options_of(options)
    key = (tuple(options.rules), tuple(options.grammars))
    try:
        items, notes = sources.find(options.paths)
        tasks = tasks_of(items, years_of(items), how)
        small = sum(i.size for i in items) < 1 << 30  # processes take longer to start than the search
        known = knowledge(*key)
        stories = trace(options.what, tasks, Local(1 if small else how.jobs, key).grep)
    except BaseException:
        sources.clean()
        raise
    since, until = how.wanted.since, how.wanted.until
    stories = [s for s in stories if (since is None or s.lines[-1].time >= since) and (until is None or s.lines[0].time < until)]
    for note in notes:
        print(f"mailwhy: {note}", file=sys.stderr)
    book, formats = load_rules(key[0]), knowledge(*key).reader.formats
    nearby = Nearby(tasks)
    stories = [with_connection(s, nearby, known) if n < _MOST_SHOWN else s for n, s in enumerate(stories)]
    names = [i.name for i in items]
    told = [_told(s, names, book if n < _MOST_SHOWN else None, formats) for n, s in enumerate(stories)]
    sources.clean()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if options.html:
        from analyzer.render.batch_trace_html import html_of

        write(options.html, html_of(options.what, kind_of(options.what), told[:_MOST_SHOWN], len(told)))
    if options.html == "-":
        pass
    elif options.json:
        print(json.dumps({"version": 1, "what": options.what, "kind": kind_of(options.what), "messages": told}, indent=1))
    else:
        _print(options.what, kind_of(options.what), told)
    if not told:
        return 3
    return 1 if any(t["verdict"] == "faulty" for t in told) else 0


def _told(story: Story, names: Sequence[str], book: Any, formats: Any) -> dict[str, Any]:
    from analyzer.batch.incidents import iso
    from analyzer.batch.trace import state_of
    from analyzer.diagnose import diagnose
    from analyzer.model.capture import Source

    verdict, headline, fault, certainty = "unknown", "", None, 0.0
    if book is not None:
        report = diagnose([Source("log", b"\n".join(f.line for f in story.lines[:500]) + b"\n")], book, formats)
        verdict, headline = report.verdict, report.headline
        if report.diagnoses:
            fault, certainty = report.diagnoses[0].fault, report.diagnoses[0].certainty

    def first(field: str) -> str | None:
        return next((v for e in story.events if (v := getattr(e, field, None)) not in (None, "")), None)

    lines: list[dict[str, Any]] = []
    before: int | None = None
    for found, event in zip(story.lines, story.events, strict=True):
        time = None if found.time == float("inf") else int(found.time)
        gap = time - before if time is not None and before is not None else None
        before = time if time is not None else before
        lines.append(
            {
                "time": iso(time),
                "gap": gap,
                "host": event.host,
                "source": names[found.source],
                "offset": found.offset,
                "kind": str(type(event).__struct_config__.tag),
                "text": found.line.decode("utf-8", "replace"),
            }
        )
    recipients = dict.fromkeys(r for e in story.events if (r := getattr(e, "rcpt_to", None)))
    attempts = [e for e in story.events if type(e).__struct_config__.tag == "attempt"]
    return {
        "ids": [{"host": h, "queue_id": q} for h, q in story.ids],
        "message_id": first("message_id"),
        "from": first("mail_from"),
        "to": list(recipients),
        "client": first("client_name") or first("client_ip"),
        "attempts": len(attempts),
        "first": lines[0]["time"],
        "last": lines[-1]["time"],
        "state": state_of(story),
        "verdict": verdict,
        "headline": headline,
        "fault": fault,
        "certainty": certainty,
        "lines": lines,
    }


def _print(what: str, kind: str, told: list[dict[str, Any]]) -> None:
    from analyzer.render.safe import visible

    print(f"{visible(what)} ({kind}): {len(told):,} message{'s' * (len(told) != 1)}")
    for n, t in enumerate(told[:_MOST_SHOWN], 1):
        ids = " -> ".join(f"{i['queue_id']}@{i['host']}" if i["host"] else i["queue_id"] for i in t["ids"]) or "no queue id"
        print(f"\n{n}. {visible(ids)}  {visible(t['message_id'] or '')}".rstrip())
        print(_people(t, visible))
        for line in t["lines"][:60]:
            if line["gap"] and line["gap"] >= _GAP:
                print(f"   ... {_span(line['gap'])} later")
            print(f"   {visible(line['text'])[:300]}")
        if len(t["lines"]) > 60:
            print(f"   ... and {len(t['lines']) - 60} more lines")
        if t["headline"]:
            print(f"   => {visible(t['headline'])}")
    if len(told) > _MOST_SHOWN:
        print(f"\n... and {len(told) - _MOST_SHOWN:,} more (all are in --json; or narrow with --since, --until)")


def _people(t: dict[str, Any], visible: Any) -> str:
    to = ", ".join(f"<{r}>" for r in t["to"][:5]) or "?"
    more = f" and {len(t['to']) - 5} more" if len(t["to"]) > 5 else ""
    tries = f"{t['attempts']} attempt{'s' * (t['attempts'] != 1)}"
    return f"   from <{visible(t['from'] or '')}> to {visible(to)}{more}; {tries}; {visible(t['state'])}"


def _span(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
