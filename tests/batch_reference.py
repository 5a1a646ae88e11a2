"""The batch report the slow way: each line by itself, through the same envelope and formats as everything else."""

from __future__ import annotations

from analyzer.batch import sources
from analyzer.batch.gather import Gathered
from analyzer.batch.incidents import judgements, representatives
from analyzer.batch.run import report_of, sought_of, years_of
from analyzer.batch.scan import Counter_
from analyzer.batch.stamps import Clock
from analyzer.batch.tally import Tally, Task, settle
from analyzer.formats.envelope import enveloped
from analyzer.model import events as ev
from analyzer.model.capture import Line
from analyzer.model.events import GOOD


def lines_of(item):
    data = b"".join(block for _, block in sources.blocks(item, 0, None, 1 << 30, []))
    at = 0
    for number, raw in enumerate(data.splitlines(keepends=True) if b"\r" not in data else data.split(b"\n"), 1):
        line = raw.rstrip(b"\r\n")
        yield number, at, line
        at += len(raw) if raw.endswith(b"\n") or b"\r" not in data else len(raw) + 1


def events_of(item, reader):
    """(number, offset, line, enveloped line, event, alias) of every line that a log format reads."""
    for number, offset, raw in lines_of(item):
        text = raw.decode("utf-8", "surrogateescape")
        line = enveloped(Line(number, text, text, number), reader.formats)
        for index in reader.formats_for(line):
            fmt = reader.logs[index]
            event = fmt.event(line, 0)
            if event is not None:
                yield number, offset, raw, line, event, fmt.alias_of(line.body)
                break


def reference(items, notes, known, book, options):
    years = years_of(items)
    tally = Tally()
    everything = []
    for source, item in enumerate(items):
        task = Task(source, item, 0, None, 1 << 30, years[source], options.zone, options.wanted, False, False)
        counter = Counter_(tally, task, known)
        clock = Clock(years[source], options.zone)
        last = None
        for _, offset, raw in lines_of(item):
            tally.lines += 1
            tally.bytes += len(raw) + 1
            if raw:
                stamp = known.reader.split(raw)[1]
                last = offset, clock.seconds(stamp)
        if last:
            tally.ends[source] = last
        for number, offset, raw, line, event, alias in events_of(item, known.reader):
            everything.append((source, number, offset, raw, event))
            match event:
                case ev.Attempt():
                    if event.status is None:
                        continue
                case ev.MessageInfo():
                    if (
                        event.user
                        and alias in {"received", "picked_up"}
                        and (time := clock.seconds(known.reader.split(raw)[1])) is not None
                    ):
                        hours = tally.users.setdefault(event.user.lower().encode(), {})
                        hours[time // 3600] = hours.get(time // 3600, 0) + 1
                    counter.received += alias in {"received", "picked_up"}
                    continue
                case ev.Finished() | ev.Refused() | ev.Trouble() | ev.TlsFailed() | ev.ClientGone() | ev.AuthResult() | ev.ConnectFailed():
                    pass
                case _:
                    continue
            counter.line(offset, raw)
        counter.close()
    gathered = Gathered()
    chosen = representatives(settle(tally))
    sought = sought_of(tally, chosen)
    for source, number, offset, raw, event in everything:
        if (source, offset) in sought.samples:
            gathered.numbers[source, offset] = number
        queue_id = getattr(event, "queue_id", None)
        key = f"{event.host or ''} {queue_id}".encode("utf-8", "surrogateescape")
        if queue_id and key in sought.ids:
            if isinstance(event, ev.MessageInfo) and (event.mail_from is not None or b"from=<>" in raw):
                gathered.senders.setdefault(key, (source, offset, (event.mail_from or "").encode()))
            if isinstance(event, ev.Attempt) and event.status in GOOD:
                gathered.sent.add(key + b" " + (event.rcpt_to or "").encode())
    for source, item in enumerate(items):
        clock = Clock(years[source], options.zone)
        for number, offset, raw in lines_of(item):
            for key in sought.whole:
                if key.rpartition(b" ")[2] in raw:
                    head, stamp, _ = known.reader.split(raw)
                    if head.host == key.rpartition(b" ")[0]:
                        time = clock.seconds(stamp)
                        order = (float("inf") if time is None else time, source, offset)
                        gathered.stories.setdefault(key, []).append((order, raw, number))
    for story in gathered.stories.values():
        story.sort()
    judged = judgements(chosen, gathered, known.reader, book, {told[0] for told in tally.sent})
    return report_of(items, years, [*notes, *tally.notes], tally, gathered, judged, book)
