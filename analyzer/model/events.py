"""The vocabulary: what a capture can show, in the field's own words.

A grammar's alias names one of these kinds, its terminals name their fields.  `mailwhy vocabulary` prints this page.
Every field is optional: what a format does not show is absent, and absent means unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from analyzer.model.place import Place


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Something a capture shows.  *place* cites the user's own line; the rest comes from the log's envelope."""

    place: Place
    last_line: int | None = None  # the last line of a folded event
    format: str = ""  # the grammar that read it
    time: str | None = None  # the stamp as captured
    host: str | None = None  # the host that logged it
    agent: str | None = None  # the program that logged it: "postfix/smtp", "exim", "sm-mta"
    pid: str | None = None


def of_line(event: Event) -> dict[str, Any]:
    """What an event that is made of *event* has from it: the lines that it cites, and what the log's envelope says."""
    return {name: getattr(event, name) for name in Event.__struct_fields__}


# ---- SMTP dialogue -------------------------------------------------------------------------------------------------
class Dial(Event, frozen=True, tag="dial"):
    """A client tries to connect."""

    server: str | None = None  # the name dialled
    server_ip: str | None = None
    port: int | None = None
    tls_first: str | None = None  # yes: the client speaks TLS from the first byte on; no: in the clear, at first
    typed: str | None = None  # yes: the command as somebody typed it
    ahead: str | None = None  # yes: what is sent comes out of a pipe, and so before the server has greeted


class Connected(Event, frozen=True, tag="connected"):
    """The client's connection was accepted."""

    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    client_ip: str | None = None  # the local end, where shown
    probe: str | None = None  # yes: the client only tries whether the port answers, as nc -z does


class ConnectFailed(Event, frozen=True, tag="connect_failed"):
    """No connection.  *reason*: refused, timed-out, unreachable, reset, name-not-found, name-temporary, other."""

    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    reason: str | None = None
    text: str | None = None
    queue_id: str | None = None


class Reply(Event, frozen=True, tag="reply"):
    """One line of a server's reply (RFC 5321 4.2); *more* is "-" on all lines but the last."""

    code: int | None = None
    more: str | None = None
    enhanced: str | None = None  # RFC 3463: "5.7.1"
    text: str | None = None
    tls: str | None = None  # said under TLS ("yes"), where the format marks it
    unexpected: str | None = None  # the client marked it as an error
    to: str | None = None  # the stage that it answers, where the line itself tells
    mail_from: str | None = None  # where the line itself tells whom the reply was about
    rcpt_to: str | None = None
    again: str | None = None  # yes: the client's error message repeats it; the reply itself may stand above


class Command(Event, frozen=True, tag="command"):
    """A line that the client sent as a command (RFC 5321 4.1)."""

    verb: str | None = None
    argument: str | None = None
    text: str | None = None  # the whole line, where it is not verb and argument
    tls: str | None = None


class Content(Event, frozen=True, tag="content"):
    """Message data between DATA and the final dot."""

    text: str | None = None


class DataEnd(Event, frozen=True, tag="data_end"):
    """The final dot."""


class Closed(Event, frozen=True, tag="closed"):
    """The connection ended.  *by*: server, client; *how*: closed, reset, timeout, probe, empty (an empty answer was read)."""

    by: str | None = None
    how: str | None = None
    text: str | None = None


class TimedOut(Event, frozen=True, tag="timed_out"):
    """The client gave up waiting for the server (*seconds* where shown)."""

    seconds: int | None = None
    connected: str | None = None  # yes: the connection stood, a reply was waited for
    text: str | None = None


class TlsStarted(Event, frozen=True, tag="tls_started"):
    """TLS is up (*trust*: Anonymous, Untrusted, Trusted, Verified as Postfix says it)."""

    version: str | None = None
    cipher: str | None = None
    trust: str | None = None
    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    client_name: str | None = None
    client_ip: str | None = None
    direction: str | None = None  # "to" a server, "from" a client
    queue_id: str | None = None
    session: str | None = None


class TlsFailed(Event, frozen=True, tag="tls_failed"):
    """The TLS handshake or the check of the certificate failed."""

    text: str | None = None
    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    client_name: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    queue_id: str | None = None
    session: str | None = None
    user: str | None = None
    code: int | None = None
    enhanced: str | None = None


class CertificateShown(Event, frozen=True, tag="certificate"):
    """Something a capture shows of a certificate; several of these make one `Certificate`."""

    depth: int | None = None
    sent: str | None = None  # "yes": one of the chain that the server sent
    subject: str | None = None
    issuer: str | None = None
    name: str | None = None  # a DNS name it is for
    not_before: str | None = None
    not_after: str | None = None
    verify_code: int | None = None  # X509_V_ERR_*
    verify_text: str | None = None
    server: str | None = None


class Fact(Event, frozen=True, tag="fact"):
    """The capture states something about the session: a name dialled, an address, an option given to the client."""

    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    client_name: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    mail_from: str | None = None
    rcpt_to: str | None = None
    tls_first: str | None = None  # as a Dial's
    text: str | None = None


# ---- MTA logs ------------------------------------------------------------------------------------------------------
class ClientConnected(Event, frozen=True, tag="client_connected"):
    """A server logged a client's connection."""

    client_name: str | None = None
    client_ip: str | None = None
    port: int | None = None
    session: str | None = None  # a session id, where the MTA has one
    helo: str | None = None
    queue_id: str | None = None
    user: str | None = None


class ClientGone(Event, frozen=True, tag="client_gone"):
    """A server logged the end of a client's connection.  *how*: disconnect, lost, timeout, reset, improper."""

    client_name: str | None = None
    client_ip: str | None = None
    how: str | None = None
    stage: str | None = None  # after or during which command
    text: str | None = None
    session: str | None = None
    helo: str | None = None
    queue_id: str | None = None
    user: str | None = None


class Refused(Event, frozen=True, tag="refused"):
    """A server logged that it refused a client, a command or a message (its own reply)."""

    queue_id: str | None = None
    action: str | None = None  # reject, hold, discard, warn, redirect, filter (Postfix's words)
    stage: str | None = None  # CONNECT EHLO HELO MAIL RCPT DATA END-OF-MESSAGE AUTH STARTTLS ...
    client_name: str | None = None
    client_ip: str | None = None
    code: int | None = None
    enhanced: str | None = None
    text: str | None = None
    mail_from: str | None = None
    rcpt_to: str | None = None
    helo: str | None = None
    protocol: str | None = None
    user: str | None = None
    session: str | None = None
    message_id: str | None = None
    size: int | None = None


class MessageInfo(Event, frozen=True, tag="message_info"):
    """A log line about a message on its way in: client, sender, size, message id."""

    queue_id: str | None = None
    client_name: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    mail_from: str | None = None
    rcpt_to: str | None = None  # may list several, separated by blanks or commas
    size: int | None = None
    nrcpt: int | None = None
    message_id: str | None = None
    user: str | None = None  # the authenticated user
    protocol: str | None = None
    subject: str | None = None
    text: str | None = None
    session: str | None = None
    previous_id: str | None = None  # the id this message had before (re-queueing, resubmission)


GOOD = frozenset({"sent", "delivered", "deliverable", "relayed", "expanded"})  # the statuses of attempts that succeeded


class Attempt(Event, frozen=True, tag="attempt"):
    """One attempt to deliver to one recipient.  *status*: sent, deferred, bounced, expired, undeliverable, deliverable."""

    queue_id: str | None = None
    mail_from: str | None = None
    rcpt_to: str | None = None
    orig_to: str | None = None
    relay: str | None = None  # the next hop's name, or "none", "local", a command
    relay_ip: str | None = None
    relay_port: int | None = None
    delay: str | None = None  # seconds, or a clock as Sendmail writes it
    delays: str | None = None
    enhanced: str | None = None
    status: str | None = None
    code: int | None = None  # the next hop's reply
    stage: str | None = None  # the command that was answered: "MAIL FROM", "end of DATA", ...
    text: str | None = None  # the reason
    said_by: str | None = None  # the host that said it
    said_by_ip: str | None = None
    source_ip: str | None = None  # the address of this host that the connection came from
    next_id: str | None = None  # the id that the next hop gave
    router: str | None = None
    transport: str | None = None
    session: str | None = None
    helo: str | None = None
    message_id: str | None = None
    user: str | None = None


class Finished(Event, frozen=True, tag="finished"):
    """A message left the queue.  *how*: removed, expired, bounced, frozen, completed, killed."""

    queue_id: str | None = None
    mail_from: str | None = None
    how: str | None = None
    next_id: str | None = None  # the queue id of the bounce, where one was sent
    text: str | None = None


class Trouble(Event, frozen=True, tag="trouble"):
    """The MTA, or a companion, complains: a warning, an error, a panic.  *severity*: info, warning, error, fatal, panic."""

    severity: str | None = None
    text: str | None = None
    queue_id: str | None = None
    client_name: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    rcpt_to: str | None = None
    mail_from: str | None = None
    user: str | None = None
    session: str | None = None


class AuthResult(Event, frozen=True, tag="auth"):
    """A login on a server.  *result*: ok, failed, error."""

    result: str | None = None
    client_name: str | None = None
    client_ip: str | None = None
    mechanism: str | None = None
    user: str | None = None
    text: str | None = None
    session: str | None = None
    helo: str | None = None
    queue_id: str | None = None
    server_ip: str | None = None


# ---- DNS -----------------------------------------------------------------------------------------------------------
class DnsQuestion(Event, frozen=True, tag="dns_question"):
    """A question that was asked (*asked_by* says how: the command's options)."""

    owner: str | None = None
    rtype: str | None = None
    text: str | None = None  # the command line as typed
    server: str | None = None


class DnsHeader(Event, frozen=True, tag="dns_header"):
    """The header of an answer (RFC 1035 4.1.1)."""

    status: str | None = None  # NOERROR, NXDOMAIN, SERVFAIL, REFUSED ...
    flags: str | None = None
    answers: int | None = None  # the number of records in the answer section
    ede: int | None = None  # an extended DNS error (RFC 8914)
    dnssec: str | None = None  # validated, unsigned, bogus, not-validated
    text: str | None = None


class DnsSection(Event, frozen=True, tag="dns_section"):
    """The name of the section that follows."""

    section: str | None = None


class DnsRecord(Event, frozen=True, tag="dns_record"):
    """A resource record in presentation form (RFC 1035 5.1)."""

    owner: str | None = None
    ttl: int | None = None
    rclass: str | None = None
    rtype: str | None = None  # "short": only the data is printed; "more": the record before goes on
    rdata: str | None = None
    preference: int | None = None  # of an MX record, where it stands apart
    server: str | None = None  # who said it, where a line tells


class DnsServer(Event, frozen=True, tag="dns_server"):
    """Which server answered."""

    server: str | None = None
    server_ip: str | None = None
    port: int | None = None
    size: int | None = None  # the answer's octets, on a line that ends one step of a trace


class DnsFailed(Event, frozen=True, tag="dns_failed"):
    """No answer.  *reason*: timed-out, no-servers, refused, not-found, servfail, bogus, other."""

    reason: str | None = None
    owner: str | None = None
    rtype: str | None = None
    server: str | None = None
    text: str | None = None


# ---- messages ------------------------------------------------------------------------------------------------------
class Header(Event, frozen=True, tag="header"):
    """One header field of a message (RFC 5322 2.2), unfolded."""

    name: str | None = None
    value: str | None = None


class Reported(Event, frozen=True, tag="reported"):
    """What a report says of many messages: DMARC's of one source (RFC 7489 appendix C), or the TLS sessions that succeeded (RFC 8460)."""

    client_ip: str | None = None
    messages: int | None = None  # or sessions
    from_domain: str | None = None
    dmarc: str | None = None  # pass | fail: whether SPF or DKIM passed for the From domain
    dmarc_policy: str | None = None  # what was done: none, quarantine, reject
    spf: str | None = None  # whatever the domain
    spf_domain: str | None = None
    dkim: str | None = None
    dkim_domain: str | None = None
    selector: str | None = None
    forwarded: str | None = None  # yes: the receiver thinks so
    tls: str | None = None  # yes: the sessions were encrypted as the policy wants it


class Noise(Event, frozen=True, tag="noise"):
    """Known, and of no consequence."""

    text: str | None = None
    queue_id: str | None = None
    message_id: str | None = None
    session: str | None = None
    user: str | None = None


KINDS: dict[str, type[Event]] = {str(cls.__struct_config__.tag): cls for cls in Event.__subclasses__()}
INTEGERS: dict[str, frozenset[str]] = {  # the fields that are numbers, as the classes write it: to ask msgspec takes its time
    kind: frozenset(name for c in cls.__mro__ for name, said in getattr(c, "__annotations__", {}).items() if said == "int | None")
    for kind, cls in KINDS.items()
}
