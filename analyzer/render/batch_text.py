"""A batch report for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.render.safe import visible

if TYPE_CHECKING:
    from analyzer.model.batch import BatchReport, Incident, Traffic

_BARS = " ▁▂▃▄▅▆▇█"
_MOST = 20
_WIDTH = 48


def sparkline(hours: dict[str, int], width: int = _WIDTH) -> str:
    """Counts by hour as bars, at most *width* of them."""
    from datetime import datetime

    if not hours:
        return ""
    at = {int(datetime.fromisoformat(h).timestamp()) // 3600: n for h, n in hours.items()}
    first, last = min(at), max(at)
    step = max(1, -(-(last - first + 1) // width))
    sums = [0] * ((last - first) // step + 1)
    for hour, count in at.items():
        sums[(hour - first) // step] += count
    top = max(sums)
    return "".join(_BARS[-(-8 * n // top)] for n in sums)


def text_of(report: BatchReport) -> str:
    """The whole report."""
    out = [report.headline + (" (partial: interrupted)" if report.partial else ""), ""]
    t = report.totals
    out.append(
        f"{t['lines']:,} lines, {t['bytes'] / 1e6:,.1f} MB: received {t['received']:,}, delivered {t['delivered']:,} ({t['onward']:,} onward), "
        f"deferred {t['deferred']:,}, bounced {t['bounced']:,}, expired {t['expired']:,}, rejected {t['rejected']:,}"
    )
    if line := sparkline(report.hours):
        out.append(f"failures by hour  {line}")
    for s in report.surges[:5]:
        out.append(
            f"sudden volume: {visible(s.account)} sent {s.peak:,} messages in the hour from {s.hour} (usually {s.usual:.0f}): "
            "if its owner knows nothing of it, the password is stolen"
        )
    out += _traffic("by host", report.hosts) if len(report.hosts) > 1 else []
    out += _traffic("by destination", report.destinations)
    for i, incident in enumerate(report.incidents[:_MOST], 1):
        out += ["", *_incident(i, incident)]
    if len(report.incidents) > _MOST:
        rest = report.incidents[_MOST:]
        out += ["", f"... and {len(rest):,} smaller incidents with {sum(r.events for r in rest):,} events (all are in --json)"]
    if report.gone:
        out += ["", "Gone since the baseline: " + visible(", ".join(report.gone[:20]))]
    if report.noise:
        out += ["", "Apart from that, everyday noise:"]
        by_title: dict[str, list[int]] = {}
        for n in report.noise:
            sums = by_title.setdefault(n.title, [0, 0])
            sums[0] += n.events
            sums[1] += n.clients
        out += [
            f"  {events:>8,} x {visible(title)}" + (f", from {clients:,} addresses" if clients else "")
            for title, (events, clients) in sorted(by_title.items(), key=lambda x: -x[1][0])[:10]
        ]
    assumed = sorted({s.year for s in report.sources if s.year is not None})
    if assumed:
        out += ["", f"note: stamps without a year; taken for {', '.join(map(str, assumed))}"]
    out += [f"note: {visible(n)}" for n in report.notes]
    return "\n".join(out) + "\n"


def _traffic(title: str, rows: tuple[Traffic, ...]) -> list[str]:
    if not rows:
        return []
    out = [f"{title:<34} delivered  deferred   bounced  rejected  failed"]
    for r in rows[:_FEW]:
        rate = "" if r.rate is None else f"{100 * r.rate:.1f} %"
        out.append(f"  {visible(r.name or '-')[:31]:<31} {r.delivered:>10,} {r.deferred:>9,} {r.bounced:>9,} {r.rejected:>9,} {rate:>8}")
    return out


_FEW = 10


def _incident(number: int, i: Incident) -> list[str]:
    certainty = f"{i.word}, {i.certainty:.2f}" if i.certainty else i.word
    state = f"  [{i.state}]" if i.state else ""
    where = " -> ".join(visible(x) for x in (i.host, i.destination) if x)
    out = [f"{number}. {visible(i.title)} ({certainty}; {i.severity}){state}"]
    if where:
        out.append(f"   {where}")
    out.append(
        f"   {i.events:,} events, {i.messages:,} messages, {i.recipients:,} recipients, {i.senders:,} senders: "
        f"{i.lost:,} lost, {i.waiting:,} waiting, {i.delayed:,} delayed"
    )
    if i.rate is not None:
        out.append(f"   {100 * i.rate:.1f} % of the attempts there failed so; {i.delivered:,} were delivered")
    if i.oldest is not None:
        o = i.oldest
        out.append(f"   longest waiting: {visible(o.queue_id)} to {visible(o.recipient)}, since {o.since or '?'}")
    out.append(f"   {i.first or '?'} to {i.last or '?'}{', still going on' if i.ongoing else ''}  {sparkline(i.trend)}")
    out += [f"   {r.events:>7,} x {visible(r.what or r.shape)[:170]}" for r in i.replies[:3]]
    for sample in i.samples[:1]:
        out += [f"   | {visible(line.source)}:{line.line}: {visible(line.text)[:200]}" for line in sample.lines[-6:]]
    out += [f"   fix: {visible(s)}" for s in i.steps[:3]]
    return out
