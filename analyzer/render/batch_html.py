"""A batch report as one self-contained page; reads well with neither script nor style."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from analyzer.render.batch_text import by_cause, sparkline
from analyzer.render.html import head
from analyzer.render.safe import visible

if TYPE_CHECKING:
    from analyzer.model.batch import BatchReport, Incident, Traffic

STYLE = """
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; padding: 0; list-style: none; }
.tiles li { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .9rem; background: var(--sheet); }
.tiles b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } td.n svg { display: inline-block; vertical-align: middle; margin-left: .4rem; }
a { color: var(--link); }
.incident { border-top: 1px solid var(--line); margin-top: 1.6rem; }
.trend { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
.heat { font-size: .75rem; } .heat td { padding: 0; text-align: center; border: 1px solid var(--line); min-width: 1em; } .heat td span { font-size: .6rem; }
.heat th { font-weight: 400; }
.h1 { background: #e4572e22; } .h2 { background: #e4572e44; } .h3 { background: #e4572e77; } .h4 { background: #e4572eaa; } .h5 { background: #e4572ecc; } .h6 { background: #e4572e; }
"""


def html_of(report: BatchReport) -> str:
    """The page."""
    t = report.totals
    names = ("lines", "received", "delivered", "onward", "deferred", "bounced", "expired", "rejected", "lost", "waiting", "delayed")
    totals = "".join(f"<li><b>{t[n]:,}</b>{n}</li>" for n in names)
    state = {"incidents": "faulty"}.get(report.verdict, report.verdict)
    parts = [
        head(report.headline, STYLE),
        f"<section class='verdict {state}'><p class=status>{esc(report.verdict)}</p><h1>{esc(report.headline)}</h1></section>",
        "<p><strong>Partial: the run was interrupted.</strong></p>" if report.partial else "",
        f"<ul class=tiles>{totals}</ul>",
        _trend("Failures by hour", report.hours),
        _surges(report),
        _causes(report),
        _heat(report),
        _overview(report),
        _traffic("Destinations", report.destinations),
        _traffic("Hosts", report.hosts),
        *(_incident(i, found) for i, found in enumerate(report.incidents[:100], 1)),
        _apart(
            "Refused at the door, as configured", "The senders' business; look here when somebody's mail does not arrive.", report.refused
        ),
        _apart("Everyday noise, apart", "", report.noise),
        _coverage(report),
        f"<footer><p>mailwhy {esc(report.mailwhy)}, rules {esc(report.rules_version)}</p></footer>",
        "</main></body></html>\n",
    ]
    return "\n".join(p for p in parts if p)


def esc(text: object) -> str:
    return escape(visible(str(text)))


def _trend(title: str, hours: dict[str, int]) -> str:
    if not hours:
        return ""
    first, last = min(hours), max(hours)
    label = f"{title}: {sum(hours.values()):,} from {first} to {last}, at most {max(hours.values()):,} in an hour"
    return f'<p>{esc(title)} <span class=trend role=img aria-label="{esc(label)}">{sparkline(hours, 72)}</span></p>'


def _overview(report: BatchReport) -> str:
    if not report.incidents:
        return ""
    rows = "".join(
        f'<tr><td class=n>{n}</td><td><a href="#i{n}">{esc(i.title)}</a></td><td>{esc(i.host)}</td><td>{esc(i.destination)}</td>'
        f"<td class=n>{i.events:,}</td><td class=n>{i.lost:,}</td><td class=n>{i.waiting:,}</td><td>{esc(i.state or '')}</td></tr>"
        for n, i in enumerate(report.incidents[:100], 1)
    )
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("", "Cause", "Host", "Towards", "Events", "Lost", "Waiting", "State"))
    return f"<h2>Incidents</h2><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _surges(report: BatchReport) -> str:
    if not report.surges:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{esc(s.account)}</th><td class=n>{s.messages:,}</td><td class=n>{s.peak:,}</td><td>{esc(s.hour or '?')}</td>"
        f"<td class=n>{s.usual:.0f}</td></tr>"
        for s in report.surges
    )
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("Account", "Messages", "Most in an hour", "From", "Usually"))
    return (
        "<h2>Sudden volume</h2><p>If its owner knows nothing of it, the password is stolen: change it, look through the queue.</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _heat(report: BatchReport) -> str:
    """Hours across, incidents down: the darker, the more events; each cell says its number to those who cannot see it."""
    rows = [(n, i) for n, i in enumerate(report.incidents[:_ROWS], 1) if i.trend]
    if not rows:
        return ""
    at = {id(i): {int(datetime.fromisoformat(h).timestamp()) // 3600: c for h, c in i.trend.items()} for _, i in rows}
    first, last = min(min(h) for h in at.values()), max(max(h) for h in at.values())
    step = max(1, -(-(last - first + 1) // _COLUMNS))
    starts = range(first, last + 1, step)
    if len(starts) < 2:
        return ""  # one hour: a map of one column says nothing
    heads = "".join(f"<th scope=col title={stamp(s)}>{label(s, s == first or (s - first) % 24 < step)}</th>" for s in starts)
    body = ""
    for n, i in rows:
        sums = [sum(at[id(i)].get(h, 0) for h in range(s, s + step)) for s in starts]
        top = max(sums)
        cells = "".join(
            f'<td class="h{-(-_SHADES * c // top) if c else 0}" title="{stamp(s)}: {c:,}"><span>{c or ""}</span></td>'
            for s, c in zip(starts, sums, strict=True)
        )
        where = " → ".join(x for x in (i.host, i.destination) if x)
        body += f'<tr><th scope=row><a href="#i{n}">{n}. {esc(i.title[:60])}</a> {esc(where)}</th>{cells}</tr>'
    span = "hour" if step == 1 else f"{step} hours"
    return (
        f"<h2>When</h2><table class=heat><caption>Events by {span}, {stamp(first)} to {stamp(last)} (UTC); "
        f"each row has its own scale</caption><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


_ROWS, _COLUMNS, _SHADES = 40, 48, 6


def stamp(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H:00Z")


def label(hour: int, wanted: bool) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%d.%m. %Hh") if wanted else ""


def _traffic(title: str, rows: tuple[Traffic, ...]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><th scope=row>{esc(r.name or '-')}</th><td class=n>{r.delivered:,}</td><td class=n>{r.deferred:,}</td><td class=n>{r.bounced:,}</td>"
        f"<td class=n>{r.rejected:,}</td><td class=n>{'' if r.rate is None else f'{100 * r.rate:.1f} %'}</td></tr>"
        for r in rows[:30]
    )
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("", "Delivered", "Deferred", "Bounced", "Rejected", "Failed"))
    return f"<h2>{title}</h2><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _incident(number: int, i: Incident) -> str:
    certainty = f"{i.word}, {i.certainty:.2f}" if i.certainty else i.word
    replies = "".join(f"<li>{r.events:,} &times; {esc(r.what or r.shape)}</li>" for r in i.replies)
    steps = "".join(f"<li>{esc(s)}</li>" for s in i.steps)
    samples = "".join(
        "<pre>" + "\n".join(esc(f"{line.source}:{line.line}: {line.text}") for line in s.lines) + "</pre>" for s in i.samples[:2]
    )
    where = " &rarr; ".join(esc(x) for x in (i.host, i.destination) if x)
    return (
        f'<section class=incident id="i{number}"><h2>{number}. {esc(i.title)}</h2><p>{esc(certainty)}; severity {esc(i.severity)}; {where}'
        f"{'; still going on' if i.ongoing else ''}</p><p>{esc(i.summary)}</p>"
        f"<p>{i.events:,} events, {i.messages:,} messages, {i.recipients:,} recipients, {i.senders:,} senders; "
        f"{i.lost:,} lost, {i.waiting:,} waiting, {i.delayed:,} delayed; {esc(i.first or '?')} to {esc(i.last or '?')}</p>"
        f"{_share(i)}"
        f"{_trend('By hour', i.trend)}{f'<h3>What to do</h3><ol>{steps}</ol>' if steps else ''}"
        f"<h3>What was said</h3><ul>{replies}</ul><h3>Examples</h3>{samples}</section>"
    )


def _share(i: Incident) -> str:
    out = "" if i.rate is None else f"<p>{100 * i.rate:.1f} % of the attempts there failed so; {i.delivered:,} were delivered.</p>"
    if i.oldest is not None:
        o = i.oldest
        out += f"<p>Longest waiting: {esc(o.queue_id)} to {esc(o.recipient)}, since {esc(o.since or '?')}.</p>"
    return out


def _apart(title: str, note: str, found: tuple[Incident, ...]) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<tr><td>{esc(n.title)}</td><td>{esc(n.host)}</td><td class=n>{n.events:,}</td><td class=n>{n.clients:,}</td></tr>"
        for n in found[:50]
    )
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("What", "Host", "Events", "Addresses"))
    said = f"<p>{esc(note)}</p>" if note else ""
    return f"<section><h2>{esc(title)}</h2>{said}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></section>"


def _causes(report: BatchReport) -> str:
    causes = by_cause(report.incidents)
    if not causes:
        return ""
    most = max(events for _, events, *_ in causes)
    rows = "".join(
        f"<tr><td>{esc(first.title)}</td><td class=n>{events:,} <svg width=60 height=10 aria-hidden=true><rect width={round(60 * events / most)} height=10 rx=2 fill='#4776a8'/></svg></td>"
        f"<td class=n>{lost:,}</td><td class=n>{waiting:,}</td><td class=n>{delayed:,}</td><td class=n>{places:,}</td></tr>"
        for first, events, lost, waiting, delayed, places in causes[:20]
    )
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("Cause", "Events", "Lost", "Waiting", "Delayed", "Places"))
    return f"<h2>Causes</h2><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _coverage(report: BatchReport) -> str:
    rows = "".join(
        f"<tr><td>{esc(s.name)}</td><td class=n>{s.bytes:,}</td><td>{esc(s.packed or '')}</td>"
        f"<td>{esc(f'year assumed: {s.year}' if s.year else '')}</td></tr>"
        for s in report.sources
    )
    notes = "".join(f"<li>{esc(n)}</li>" for n in report.notes)
    gone = f"<p>Gone since the baseline: {esc(', '.join(report.gone))}</p>" if report.gone else ""
    return f"<section><h2>What was read</h2>{gone}<table>{rows}</table>{f'<ul>{notes}</ul>' if notes else ''}</section>"
