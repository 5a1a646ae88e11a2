"""Logs as servers write them, of any size, the same for the same seed; nothing in them is real."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

_DOMAINS = [
    "gmail.com",
    "outlook.com",
    "yahoo.com",
    "example.net",
    "example.com",
    "icloud.com",
    "corp.example",
    "uni.example",
    "web.example",
]
_RELAYS = {
    "gmail.com": ("gmail-smtp-in.l.google.com", "142.250.27.26"),
    "yahoo.com": ("mta5.am0.yahoodns.net", "67.195.204.77"),
    "outlook.com": ("outlook-com.olc.protection.outlook.com", "104.47.18.161"),
    "icloud.com": ("mx01.mail.icloud.com", "17.57.154.33"),
}
_WORDS = "anna ben carla david eva frank greta hans ines jonas karl lena mia noah olga paul rosa sven tina uwe".split()
_FAILURES = [
    (
        "bounced",
        "5.1.1",
        "host {relay}[{ip}] said: 550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command)",
    ),
    ("bounced", "5.2.2", "host {relay}[{ip}] said: 552 5.2.2 <{rcpt}>: Mailbox full (in reply to RCPT TO command)"),
    (
        "bounced",
        "5.7.1",
        "host {relay}[{ip}] said: 554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.25 (in reply to RCPT TO command)",
    ),
    (
        "deferred",
        "4.7.1",
        "host {relay}[{ip}] said: 450 4.7.1 <{rcpt}>: Recipient address rejected: Greylisting in effect, please come back later (in reply to RCPT TO command)",
    ),
    ("deferred", "4.4.1", "connect to {relay}[{ip}]:25: Connection timed out"),
    (
        "deferred",
        "4.7.0",
        "host {relay}[{ip}] said: 421 4.7.0 [192.0.2.25 15] Our system has detected an unusual rate of unsolicited mail originating from your IP address. {token} - gsmtp (in reply to end of DATA command)",
    ),
    ("deferred", "4.4.3", "Host or domain name not found. Name service error for name={domain} type=MX: Host not found, try again"),
]


class _Story:
    """Numbers and names, seeded."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.n = 0

    def address(self) -> str:
        return f"{self.r.choice(_WORDS)}.{self.r.choice(_WORDS)}{self.r.randrange(400)}@{self.r.choice(_DOMAINS)}"

    def relay(self, domain: str) -> tuple[str, str]:
        return _RELAYS.get(domain, (f"mx{self.r.randrange(1, 4)}.{domain}", f"198.51.100.{self.r.randrange(1, 250)}"))

    def client(self) -> tuple[str, str]:
        n = self.r.randrange(1, 250)
        return f"mail{n}.sender{n % 40}.example", f"203.0.113.{n}"


def postfix(size: int, share: float, seed: int = 1, start: datetime = datetime(2026, 11, 20, tzinfo=UTC)) -> Iterator[str]:
    """About *size* bytes of a Postfix log; *share* of the messages fail at least once."""
    s = _Story(seed)
    r = s.r
    now, made = start, 0
    step = timedelta(milliseconds=120)
    waiting: list[tuple[int, str, str, str]] = []

    def line(program: str, text: str) -> str:
        nonlocal made
        out = f"{now:%b} {now.day:2d} {now:%H:%M:%S} mx1 postfix/{program}[{2000 + r.randrange(40)}]: {text}\n"
        made += len(out)
        return out

    while made < size:
        now += step * r.randrange(1, 4)
        s.n += 1
        queue_id = f"{r.getrandbits(36):09X}{s.n % 256:02X}"
        name, ip = s.client()
        sender, rcpt = s.address(), s.address()
        domain = rcpt.rpartition("@")[2]
        relay, relay_ip = s.relay(domain)
        if r.random() < share * 0.3:
            yield line(
                "smtpd",
                f"NOQUEUE: reject: RCPT from unknown[{ip}]: 554 5.7.1 Service unavailable; Client host [{ip}] blocked using zen.spamhaus.org; "
                f"https://www.spamhaus.org/query/ip/{ip}; from=<{sender}> to=<{rcpt}> proto=ESMTP helo=<{name}>",
            )
        if r.random() < share * 0.1:
            yield line("smtpd", f"warning: unknown[{ip}]: SASL LOGIN authentication failed: UGFzc3dvcmQ6")
        yield line("smtpd", f"connect from {name}[{ip}]")
        yield line("smtpd", f"{queue_id}: client={name}[{ip}]")
        yield line("cleanup", f"{queue_id}: message-id=<{r.getrandbits(60)}.{s.n}@{name}>")
        yield line("qmgr", f"{queue_id}: from=<{sender}>, size={r.randrange(800, 90000)}, nrcpt=1 (queue active)")
        yield line("smtpd", f"disconnect from {name}[{ip}] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7")
        head = f"{queue_id}: to=<{rcpt}>, relay={relay}[{relay_ip}]:25, delay={r.randrange(1, 90) / 10}, delays=0.1/0/{r.randrange(9)}/0.5"
        if r.random() < share:
            status, enhanced, text = r.choice(_FAILURES)
            reason = text.format(
                relay=relay, ip=relay_ip, rcpt=rcpt, domain=domain, token=f"a1-20020a{r.getrandbits(40):x}si{r.getrandbits(30)}"
            )
            none = "said:" not in text
            shown = head if not none else f"{queue_id}: to=<{rcpt}>, relay=none, delay=30, delays=0.1/0/30/0"
            yield line("smtp", f"{shown}, dsn={enhanced}, status={status} ({reason})")
            if status == "bounced":
                yield line("bounce", f"{queue_id}: sender non-delivery notification: {r.getrandbits(36):09X}AB")
                yield line("qmgr", f"{queue_id}: removed")
            elif r.random() < 0.7:
                waiting.append((made + r.randrange(100_000, 4_000_000), queue_id, sender, head))
        else:
            yield line("smtp", f"{head}, dsn=2.0.0, status=sent (250 2.0.0 OK: queued as {r.getrandbits(36):09X})")
            yield line("qmgr", f"{queue_id}: removed")
        while waiting and waiting[0][0] < made:
            _, queue_id, sender, head = waiting.pop(0)
            yield line("qmgr", f"{queue_id}: from=<{sender}>, size=1000, nrcpt=1 (queue active)")
            yield line("smtp", f"{head}, dsn=2.0.0, status=sent (250 2.0.0 OK: queued as {r.getrandbits(36):09X})")
            yield line("qmgr", f"{queue_id}: removed")


_B62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def exim(size: int, share: float, seed: int = 1, start: datetime = datetime(2026, 11, 20, tzinfo=UTC)) -> Iterator[str]:
    """About *size* bytes of an Exim main log; *share* of the messages fail at least once."""
    s = _Story(seed)
    r = s.r
    now, made = start, 0

    def line(text: str) -> str:
        nonlocal made
        out = f"{now:%Y-%m-%d %H:%M:%S} {text}\n"
        made += len(out)
        return out

    while made < size:
        now += timedelta(milliseconds=r.randrange(200, 900))
        s.n += 1
        mid = (
            "1"
            + "".join(r.choice(_B62) for _ in range(5))
            + "-"
            + f"{s.n % 1_000_000:06d}"
            + "-"
            + "".join(r.choice(_B62) for _ in range(2))
        )
        name, ip = s.client()
        sender, rcpt = s.address(), s.address()
        domain = rcpt.rpartition("@")[2]
        relay, relay_ip = s.relay(domain)
        if r.random() < share * 0.3:
            yield line(f"H=({name}) [{ip}] F=<{sender}> rejected RCPT <{rcpt}>: relay not permitted")
        yield line(
            f"{mid} <= {sender} H={name} [{ip}] P=esmtps X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no S={r.randrange(800, 90000)} id={s.n}@{name}"
        )
        if r.random() < share:
            if r.random() < 0.5:
                yield line(
                    f"{mid} ** {rcpt} R=dnslookup T=remote_smtp H={relay} [{relay_ip}]: SMTP error from remote mail server after RCPT TO:<{rcpt}>: "
                    f"550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table"
                )
            else:
                yield line(
                    f"{mid} == {rcpt} R=dnslookup T=remote_smtp defer (-44) H={relay} [{relay_ip}]: SMTP error from remote mail server after RCPT TO:<{rcpt}>: "
                    f"451 4.7.1 Greylisted, please try again in {r.randrange(300)} seconds"
                )
                continue
        else:
            yield line(
                f'{mid} => {rcpt} R=dnslookup T=remote_smtp H={relay} [{relay_ip}] X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=yes C="250 2.0.0 OK: queued as {r.getrandbits(36):09X}"'
            )
        yield line(f"{mid} Completed")


def sendmail(size: int, share: float, seed: int = 1, start: datetime = datetime(2026, 11, 20, tzinfo=UTC)) -> Iterator[str]:
    """About *size* bytes of a Sendmail log; *share* of the messages fail at least once."""
    s = _Story(seed)
    r = s.r
    now, made = start, 0

    def line(text: str) -> str:
        nonlocal made
        out = f"{now:%b} {now.day:2d} {now:%H:%M:%S} mx1 sm-mta[{2000 + r.randrange(900)}]: {text}\n"
        made += len(out)
        return out

    while made < size:
        now += timedelta(milliseconds=r.randrange(200, 900))
        s.n += 1
        mid = f"6AK{r.choice(_B62)}{r.choice(_B62)}{r.choice(_B62)}{r.choice(_B62)}{r.choice(_B62)}{s.n % 1_000_000:06d}"
        name, ip = s.client()
        sender, rcpt = s.address(), s.address()
        relay, relay_ip = s.relay(rcpt.rpartition("@")[2])
        if r.random() < share * 0.3:
            yield line(f"{mid}: ruleset=check_rcpt, arg1=<{rcpt}>, relay={name} [{ip}], reject=550 5.7.1 <{rcpt}>... Relaying denied")
        yield line(
            f"{mid}: from=<{sender}>, size={r.randrange(800, 90000)}, class=0, nrcpts=1, msgid=<{s.n}@{name}>, proto=ESMTPS, daemon=MTA-v4, relay={name} [{ip}]"
        )
        head = f"{mid}: to=<{rcpt}>, delay=00:00:0{r.randrange(9)}, xdelay=00:00:0{r.randrange(9)}, mailer=esmtp, pri={r.randrange(120000, 190000)}, relay={relay}. [{relay_ip}]"
        if r.random() >= share:
            yield line(f"{head}, dsn=2.0.0, stat=Sent (OK id={r.getrandbits(36):09X})")
        elif r.random() < 0.5:
            yield line(f"{head}, dsn=5.1.1, stat=User unknown")
        else:
            yield line(f"{head}, dsn=4.0.0, stat=Deferred: Connection timed out with {relay}.")


def opensmtpd(size: int, share: float, seed: int = 1, start: datetime = datetime(2026, 11, 20, tzinfo=UTC)) -> Iterator[str]:
    """About *size* bytes of an OpenSMTPD log; *share* of the messages fail at least once."""
    s = _Story(seed)
    r = s.r
    now, made = start, 0

    def line(text: str) -> str:
        nonlocal made
        out = f"{now:%b} {now.day:2d} {now:%H:%M:%S} mx1 smtpd[812]: {text}\n"
        made += len(out)
        return out

    while made < size:
        now += timedelta(milliseconds=r.randrange(200, 900))
        s.n += 1
        session, message = f"{r.getrandbits(64):016x}", f"{r.getrandbits(32):08x}"
        evpid = f"{message}{r.getrandbits(32):08x}"
        name, ip = s.client()
        sender, rcpt = s.address(), s.address()
        relay, relay_ip = s.relay(rcpt.rpartition("@")[2])
        yield line(f"{session} smtp connected address={ip} host={name}")
        if r.random() < share * 0.3:
            yield line(f'{session} smtp failed-command command="RCPT TO:<{rcpt}>" result="550 Invalid recipient: <{rcpt}>"')
        yield line(f"{session} smtp message msgid={message} size={r.randrange(800, 90000)} nrcpt=1 proto=ESMTP")
        yield line(f"{session} smtp envelope evpid={evpid} from=<{sender}> to=<{rcpt}>")
        yield line(f"{session} smtp disconnected reason=quit")
        out = f'{r.getrandbits(64):016x} mta delivery evpid={evpid} from=<{sender}> to=<{rcpt}> rcpt=<-> source="192.0.2.25" relay="{relay_ip} ({relay})" delay={r.randrange(9)}s'
        if r.random() >= share:
            yield line(f'{out} result="Ok" stat="250 2.0.0 OK {r.getrandbits(36):09X}"')
        elif r.random() < 0.5:
            yield line(f'{out} result="PermFail" stat="550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"')
        else:
            yield line(f'{out} result="TempFail" stat="451 4.7.1 Greylisted, please try again later"')


def mixed(size: int, share: float, seed: int = 1, start: datetime = datetime(2026, 11, 20, tzinfo=UTC)) -> Iterator[str]:
    """About *size* bytes of what rsyslog writes on a host with all that stands around Postfix: filters, mailboxes, the system."""
    r = random.Random(seed)
    made = 0
    for line in postfix(size, share, seed, start):
        if made >= size:
            return
        stamp = f"2026-11-{line[4:6].replace(' ', '0')}T{line[7:15]}.{r.randrange(10**6):06d}+01:00 mx1 "
        shown = [stamp + line[20:], *(f"{stamp}{text}\n" for text in _companions(r, line, share))]
        made += sum(map(len, shown))
        yield from shown


def _companions(r: random.Random, line: str, share: float) -> Iterator[str]:
    """What other programs say of the message of Postfix's *line*; *share* of them complain."""
    _, _, words = line.partition("]: ")
    queue_id, _, text = words.partition(": ")
    bad = r.random() < share
    pid = 800 + r.randrange(40)
    user = f"{r.choice(_WORDS)}{r.randrange(400)}@example.org"
    session = "".join(r.choice(_B62) for _ in range(16))
    ip = f"203.0.113.{r.randrange(1, 250)}"
    if text.startswith("client="):
        client, sender, rcpt = text[7:].strip(), f"{r.choice(_WORDS)}@{r.choice(_DOMAINS)}", user
        reason = "greylist, reason=new" if bad else "pass, reason=triplet found"
        yield f"postgrey[{pid}]: action={reason}, client_name={client.partition('[')[0]}, client_address={ip}, sender={sender}, recipient={rcpt}"
        yield f"policyd-spf[{pid}]: prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip={ip}; helo=mail.example.org; envelope-from={sender}; receiver=<UNKNOWN>"
    elif text.startswith("message-id="):
        yield f"opendkim[{pid}]: {queue_id}: mail.example.org [{ip}] not internal"
        yield f"opendkim[{pid}]: {queue_id}: not authenticated"
        yield (
            f"opendkim[{pid}]: {queue_id}: s=s2026 d=example.org SSL error:04091068:rsa routines:INT_RSA_VERIFY:bad signature"
            if bad
            else f"opendkim[{pid}]: {queue_id}: s=s2026 d=example.org a=rsa-sha256 SSL "
        )
        yield f"opendkim[{pid}]: {queue_id}: DKIM verification successful"
        yield f"opendmarc[{pid}]: {queue_id}: example.org {'fail' if bad else 'pass'}"
        yield f"spamd[{pid}]: spamd: connection from localhost [127.0.0.1]:{40000 + r.randrange(9999)} to port 783, fd 5"
        yield f"spamd[{pid}]: spamd: processing message {text[11:].strip()} for debian-spamd:112"
        yield f"spamd[{pid}]: spamd: clean message (-{r.randrange(40) / 10}/5.0) for debian-spamd:112 in 0.{r.randrange(9)} seconds, {r.randrange(800, 90000)} bytes."
        yield f"clamd[{pid}]: /var/lib/amavis/tmp/amavis-{session}/parts/p001: OK"
        done = "Blocked SPAM {RejectedInbound}" if bad else "Passed CLEAN {RelayedInbound}"
        yield (
            f"amavis[{pid}]: ({pid:05d}-{r.randrange(20):02d}) {done}, [{ip}]:{40000 + r.randrange(9999)} [{ip}] <a@example.org> -> <{user}>, "
            f"Queue-ID: {queue_id}, Message-ID: {text[11:].strip()}, mail_id: {session[:12]}, Hits: -1.9, size: {r.randrange(800, 90000)}, queued_as: {queue_id}, {r.randrange(100, 900)} ms"
        )
    elif ", status=sent" in text:
        stored = "save failed to INBOX: Quota exceeded (mailbox for user is full)" if bad else "saved mail to INBOX"
        yield f"dovecot: lmtp({user})<{pid}><{session}>: msgid=<{session}@example.org>: {stored}"
        yield (
            f"dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{user}>, method=PLAIN, rip={ip}, lip=192.0.2.25, TLS, session=<{session}>"
            if bad
            else f"dovecot: imap-login: Login: user=<{user}>, method=PLAIN, rip={ip}, lip=192.0.2.25, mpid={pid}, TLS, session=<{session}>"
        )
        yield f"dovecot: imap({user})<{pid}><{session}>: Disconnected: Logged out in={r.randrange(900)} out={r.randrange(90000)} deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0"
        if bad:
            yield f"saslauthd[{pid}]: do_auth         : auth failure: [user={user}] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]"
    elif text == "removed\n" and r.random() < 0.1:
        yield f"CRON[{pid}]: (root) CMD (test -x /usr/bin/something && /usr/bin/something)"
        yield f"sshd[{pid}]: Connection closed by authenticating user root {ip} port {40000 + r.randrange(9999)} [preauth]"


MAKERS = {"postfix": postfix, "exim": exim, "sendmail": sendmail, "opensmtpd": opensmtpd, "mixed": mixed}


def write(path: Path, kind: str, size: int, share: float, seed: int = 1) -> Path:
    """The log at *path*, made unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.writelines(MAKERS[kind](size, share, seed))
    return path
