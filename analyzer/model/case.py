"""What people reason about: dialogues, deliveries, problems, and everything a case holds.

In every thing, None means *not shown* (unknown); *places* are the lines that show the thing, *where* the lines that show
one of its fields, *complete* whether its record is whole, so that what it does not hold did not happen.
"""

from __future__ import annotations

import msgspec

from analyzer.model.capture import Capture, Parsed
from analyzer.model.events import Attempt, Event
from analyzer.model.lookup import Lookup, Record
from analyzer.model.place import Place

Where = dict[str, tuple[Place, ...]]


class Helo(msgspec.Struct, frozen=True):
    """How the client introduced itself (RFC 5321 4.1.1.1)."""

    verb: str
    name: str | None


class Exchange(msgspec.Struct, frozen=True):
    """A command and its reply.  *to* is the command's verb, GREETING for the first reply, END-OF-MESSAGE for the dot."""

    to: str
    argument: str | None = None
    code: int | None = None
    enhanced: str | None = None
    text: str | None = None
    places: tuple[Place, ...] = ()
    reply_places: tuple[Place, ...] = ()
    unknown: str | None = None  # "yes": not a command of SMTP as typed


class Closing(msgspec.Struct, frozen=True):
    """How a dialogue ended: *by* server, client or None; *after* which command; *answered* whether that had a reply."""

    by: str | None = None
    after: str | None = None
    how: str | None = None
    answered: str | None = None
    places: tuple[Place, ...] = ()


MAILBOX_PORTS = frozenset({110, 143, 993, 995})  # POP3 and IMAP: mail is fetched there, not sent


class Dialogue(msgspec.Struct, frozen=True, kw_only=True):
    """One SMTP connection, replayed (RFC 5321 3 and 4)."""

    places: tuple[Place, ...]
    where: Where = {}
    complete: bool = False
    format: str = ""
    software: str | None = None
    view: str | None = None  # sending | receiving
    server: str | None = None  # the name dialled
    server_ip: str | None = None
    port: int | None = None
    client_ip: str | None = None
    client_name: str | None = None
    connected: str | None = None  # yes | no
    probe: str | None = None  # yes: connected only to see whether the port answers (nc -z), and nothing was said
    banner: str | None = None
    banner_name: str | None = None
    greeting: int | None = None  # its reply code
    helo: Helo | None = None
    greeted_as: str | None = None  # what the server called the client in its reply to EHLO
    extensions: tuple[str, ...] | None = None
    tls: str | None = None  # yes | failed | None
    tls_first: str | None = None  # yes: the client was told to speak TLS from the first byte on; no: in the clear, at first
    ahead: str | None = None  # yes: the client did not wait for the greeting: what it sent came out of a pipe
    authenticated: str | None = None  # yes | failed
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    closed: Closing | None = None
    reached: str | None = None  # the last command answered with 2xx or 3xx
    rcpt_accepted: str | None = None  # yes: at least one recipient was taken
    accepted: str | None = None  # yes: a message was taken (2xx after the final dot)
    data_open: str | None = None  # yes: DATA was begun and its end is not shown
    other_words: str | None = None  # what the peer said instead of a greeting, where that is no SMTP
    rcpt_domain: str | None = None  # of the last recipient that was taken
    client_private: str | None = None  # yes: the client has a private or loopback address
    server_private: str | None = None  # yes: the server has one, so that the client is near it
    rcpt_foreign: str | None = None  # yes: the last recipient that was taken is a large provider's, and this is no server of theirs
    sender_foreign: str | None = None  # the same of the sender
    problems: tuple[int, ...] = ()


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message's story at one MTA."""

    places: tuple[Place, ...]
    where: Where = {}
    complete: bool = False
    queue_id: str | None = None
    host: str | None = None
    software: str | None = None
    client_name: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    mail_from: str | None = None
    message_id: str | None = None
    size: int | None = None
    user: str | None = None
    attempts: tuple[Attempt, ...] = ()
    passes: int = 1  # how often the same message left this host for the same recipient by the same next hop
    ended: str | None = None  # removed, expired, ...
    delivered: str | None = None  # yes: every recipient seen was delivered in the end; no: at least one was not
    notice: str = "no"  # yes: a mail system wrote it, about another message
    problems: tuple[int, ...] = ()


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A server's certificate as a TLS client printed it."""

    places: tuple[Place, ...]
    where: Where = {}
    complete: bool = False
    server: str | None = None  # the one asked
    port: int | None = None
    tls_first: str | None = None  # yes: TLS was spoken from the first byte on
    subject: str | None = None
    issuer: str | None = None
    alone: str | None = None  # "yes": the server sent its own certificate, issued by another one, and none beside
    names: tuple[str, ...] = ()
    not_before: str | None = None
    not_after: str | None = None
    verify_code: int | None = None
    verify_text: str | None = None
    problems: tuple[int, ...] = ()


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A user who got in, from one address: at a mail server, or at a mailbox (IMAP, POP3)."""

    places: tuple[Place, ...]
    where: Where = {}
    complete: bool = True
    user: str | None = None
    client_ip: str | None = None
    client_name: str | None = None
    mechanism: str | None = None
    format: str = ""
    times: int = 1
    problems: tuple[int, ...] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its header tells of it (path, authentication, spam filters), or as a DMARC report tells of many."""

    places: tuple[Place, ...]
    where: Where = {}
    complete: bool = False
    return_path: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    from_domain: str | None = None
    to: str | None = None
    subject: str | None = None
    message_id: str | None = None
    client_ip: str | None = None  # from which the receiver took it
    client_name: str | None = None
    helo: str | None = None
    server: str | None = None  # the receiver that took it from there
    spf: str | None = None  # pass, fail, softfail ... (RFC 8601 2.7), as the last receiver found
    spf_reason: str | None = None  # its own words
    spf_domain: str | None = None
    dkim: str | None = None  # the best of the signatures' results
    dkim_reason: str | None = None
    dkim_domain: str | None = None
    selector: str | None = None
    dmarc: str | None = None
    dmarc_policy: str | None = None  # none, quarantine, reject
    aligned: str | None = None  # whether the domain that passed is that of the From line: yes | no
    implicit: str | None = None  # pass | fail: Microsoft's own judgement of authenticity (compauth)
    forwarded: str | None = None  # yes: it went through a forwarder or a list after it had passed
    spam: str | None = None  # yes | no: a filter's judgement
    spam_by: str | None = None  # that filter
    spam_score: str | None = None
    spam_kind: str | None = None  # what the filter takes it for
    tests: tuple[str, ...] = ()  # the filter's tests that count against it
    hops: tuple[str, ...] = ()
    slowest_hop: int | None = None  # seconds
    slow_for: str | None = None  # the same in words
    slow_from: str | None = None  # where it waited
    slow_by: str | None = None  # who took it then
    slow_inside: str | None = None  # yes: both are of the same organisation
    auto_submitted: str | None = None
    messages: int | None = None  # how many a report tells of (or sessions)
    tls: str | None = None  # yes: a report's sessions were encrypted as the policy wants it
    problems: tuple[int, ...] = ()


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What wants explaining.

    *kind*: refusal (a 4xx or 5xx reply), hang-up, timeout, no-answer (the capture ends before the reply),
    connect-failure, delivery-failure (an MTA's own reason), tls-failure, auth-failure, local-failure (an MTA complains
    about itself), observed (a finding that is a problem by itself).
    """

    kind: str
    places: tuple[Place, ...]
    where: Where = {}
    complete: bool = False
    what: str = ""  # one sentence
    stage: str | None = None  # CONNECT GREETING EHLO HELO STARTTLS AUTH MAIL RCPT DATA END-OF-MESSAGE QUIT ...
    by: str | None = None  # who failed or spoke: server, client, local
    code: int | None = None
    enhanced: str | None = None
    text: str | None = None  # the reply without its codes, or the reason
    argument: str | None = None  # of the command that was refused
    temporary: str | None = None  # yes for 4xx, no for 5xx
    reason: str | None = (
        None  # of a connect failure: refused, timed-out, ...; of a delivery: name-temporary, other; of a login: failed, error
    )
    answered: str | None = None
    severity: str | None = None  # of a local failure: warning, error, fatal, panic
    action: str | None = None
    status: str | None = None  # of an attempt: deferred, bounced, ...
    agent: str | None = None
    software: str | None = None
    format: str = ""
    view: str | None = None  # sending | receiving: on whose side the capture was made
    client_name: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    greeted_as: str | None = None
    mail_from: str | None = None
    sender_domain: str | None = None
    rcpt_to: str | None = None
    domain: str | None = None  # the recipient's
    domain_own: str | None = None  # whether that is the server's own, going by the name of the server: yes | no
    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    banner: str | None = None
    provider: str | None = None
    router: str | None = None  # what chose the next hop, where a log names it: Exim's router, Sendmail's mailer
    queue_id: str | None = None
    user: str | None = None
    tls: str | None = None
    tls_first: str | None = None
    ahead: str | None = None
    authenticated: str | None = None
    time: str | None = None
    waited: float | None = None  # seconds: for how long the message had waited, or from the first to the last of these events
    complaint: str | None = None  # what the same process complained about just before
    complainer: str | None = None  # its software, where another one complained: a mailbox's server of what it was brought
    unresolved: str | None = None  # the name that a failed name look-up was about
    count: int = 1  # events of this shape
    clients: int = 0  # different clients, recipients, their domains, senders and users among them
    tries: int = 1  # events of this shape by the client that came most often
    recipients: int = 0
    domains: int = 0
    senders: int = 0
    users: int = 0
    hearsay: str = "no"  # yes: a sentence stands for it alone, with no code, command or server beside it
    resolved: str = "no"  # yes: the same succeeded later in the case
    minor: bool = False  # needs no explanation where no rule has one
    forwarded: str = "no"  # yes: the message was forwarded from an address here
    stranger: str | None = None  # of the client: yes, perhaps (a mail server without a reverse name), named, claims (to be of here), no


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a case shows about the mail in question, for the reader's eyes."""

    client_ip: str | None = None
    client_name: str | None = None
    helo: str | None = None
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()
    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    banner: str | None = None
    queue_id: str | None = None
    message_id: str | None = None
    provider: str | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything from all files given."""

    captures: tuple[Capture, ...] = ()
    parsed: tuple[Parsed, ...] = ()
    events: tuple[Event, ...] = ()
    dialogues: tuple[Dialogue, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    records: tuple[Record, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    messages: tuple[Message, ...] = ()
    logins: tuple[Login, ...] = ()
    problems: tuple[Problem, ...] = ()
    facts: Facts = Facts()


# The word in `about:` and in joins -> where a case keeps such things, and their class.
THINGS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "problem": ("problems", Problem),
    "dialogue": ("dialogues", Dialogue),
    "delivery": ("deliveries", Delivery),
    "lookup": ("lookups", Lookup),
    "record": ("records", Record),
    "certificate": ("certificates", Certificate),
    "message": ("messages", Message),
    "login": ("logins", Login),
}
# The fields that say which question was asked: a join on them is answered *no* only by the same question.
SUBJECTS: dict[str, tuple[str, ...]] = {
    "lookup": ("type", "of", "dnsbl_of", "spf_of", "dmarc_of", "dkim_of", "zone", "server", "checking_disabled"),
    "record": ("kind", "of", "selector"),
    "certificate": ("server",),
    "dialogue": ("server", "server_ip"),
    "delivery": ("queue_id",),
}
