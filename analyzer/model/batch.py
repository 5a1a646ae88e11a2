"""What logs tell: the JSON of `mailwhy batch`, version 1."""

from __future__ import annotations

import msgspec

VERSION = 1


class SampleLine(msgspec.Struct, frozen=True):
    source: str
    line: int
    text: str


class Sample(msgspec.Struct, frozen=True):
    """A message that failed: its lines, or as many as are shown."""

    queue_id: str | None
    host: str
    sender: str | None
    lines: tuple[SampleLine, ...]


class Reply(msgspec.Struct, frozen=True):
    """A shape of failure within an incident."""

    what: str
    shape: str
    events: int


class Waiting(msgspec.Struct, frozen=True):
    """A message that waits: since its first failure in these logs."""

    host: str
    queue_id: str
    recipient: str
    sender: str | None
    since: str | None


class Traffic(msgspec.Struct, frozen=True):
    """What went to a destination, or what a host did.  *rate*: the share of delivery attempts that failed."""

    name: str
    delivered: int
    deferred: int
    bounced: int
    rejected: int
    rate: float | None


class Surge(msgspec.Struct, frozen=True):
    """An account that suddenly sends much more than it usually does: stolen, a loop, or a mailing."""

    account: str
    messages: int
    peak: int  # messages in its busiest hour
    hour: str | None
    usual: float  # messages in the middle one of its other hours, those without any included


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One cause, towards one destination, at one host.

    *lost*: recipients who will not get the mail; *waiting*: put off and not delivered so far; *delayed*: delivered later.
    """

    id: str
    fault: str
    title: str
    certainty: float
    word: str
    severity: str
    fixed_by: str
    summary: str
    host: str
    destination: str
    first: str | None
    last: str | None
    ongoing: bool
    events: int
    messages: int
    recipients: int
    senders: int
    clients: int
    lost: int
    waiting: int
    delayed: int
    delivered: int  # to this destination, by this host, in the same logs
    rate: float | None  # of the attempts there, the share that failed so; None for refusals
    oldest: Waiting | None
    harm: float
    trend: dict[str, int]
    replies: tuple[Reply, ...]
    samples: tuple[Sample, ...]
    steps: tuple[str, ...]
    rules: tuple[str, ...]
    state: str | None = None  # new, grown, shrunk, steady against the baseline


class Source(msgspec.Struct, frozen=True):
    """A log that was read."""

    name: str
    bytes: int
    packed: str | None
    year: int | None  # the year assumed for its first line, where its stamps have none
    last: str | None


class BatchReport(msgspec.Struct, frozen=True):
    """What logs tell."""

    version: int
    verdict: str  # healthy | incidents | unrecognised
    headline: str
    totals: dict[str, int]
    incidents: tuple[Incident, ...]
    noise: tuple[Incident, ...]
    gone: tuple[str, ...]  # incidents of the baseline that are no more
    hours: dict[str, int]  # failures by hour
    hosts: tuple[Traffic, ...]
    destinations: tuple[Traffic, ...]  # providers, and domains of no known provider; the busiest
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    surges: tuple[Surge, ...] = ()
    partial: bool = False
    refused: tuple[Incident, ...] = ()  # what this side's servers turned away as they were told to; the sender's business
    rules_version: str = ""
    mailwhy: str = ""
