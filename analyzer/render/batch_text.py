"""A batch report for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.render.safe import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def by_cause(found: Sequence[Incident]) -> list[tuple[Incident, int, int, int, int, int]]:
    """For each cause its foremost incident, and the sums over all: events, lost, waiting, delayed, places; the most harmful first."""
    sums: dict[str, list[Incident]] = {}
    for i in found:
        sums.setdefault(i.fault if i.certainty else i.id, []).append(i)
    ranked = sorted(sums.values(), key=lambda group: -sum(i.harm for i in group))
    return [
        (g[0], sum(i.events for i in g), sum(i.lost for i in g), sum(i.waiting for i in g), sum(i.delayed for i in g), len(g))
        for g in ranked
    ]


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
    out += _causes(report)
    for i, incident in enumerate(report.incidents[:_MOST], 1):
        out += ["", *_incident(i, incident)]
    if len(report.incidents) > _MOST:
        rest = report.incidents[_MOST:]
        out += ["", f"... and {len(rest):,} smaller incidents with {sum(r.events for r in rest):,} events (all are in --json)"]
    if report.gone:
        out += ["", "Gone since the baseline: " + visible(", ".join(report.gone[:20]))]
    out += _apart("Refused at the door, as configured (the senders' business):", report.refused)
    out += _apart("Apart from that, everyday noise:", report.noise)
    assumed = sorted({s.year for s in report.sources if s.year is not None})
    if assumed:
        out += ["", f"note: stamps without a year; taken for {', '.join(map(str, assumed))}"]
    out += [f"note: {visible(n)}" for n in report.notes]
    return "\n".join(out) + "\n"


def _causes(report: BatchReport) -> list[str]:
    causes = by_cause(report.incidents)
    if len(causes) == len(report.incidents):
        return []
    out = ["", f"{'by cause':<52} events      lost   waiting   delayed  places"]
    for first, events, lost, waiting, delayed, places in causes[:_FEW]:
        out.append(f"  {visible(first.title)[:47]:<47} {events:>9,} {lost:>9,} {waiting:>9,} {delayed:>9,} {places:>7,}")
    return out


def _apart(title: str, found: Sequence[Incident]) -> list[str]:
    """What is no incident, by what it is."""
    sums: dict[str, list[int]] = {}
    for n in found:
        mine = sums.setdefault(n.title, [0, 0])
        mine[0] += n.events
        mine[1] += n.clients
    lines = [
        f"  {events:>8,} x {visible(name)}" + (f", from {clients:,} address{'es' * (clients != 1)}" if clients else "")
        for name, (events, clients) in sorted(sums.items(), key=lambda x: -x[1][0])[:10]
    ]
    return ["", title, *lines] if lines else []


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
