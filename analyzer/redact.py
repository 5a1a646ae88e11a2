"""Captures with consistent pseudonyms: every relation that a diagnosis rests on is kept.

Addresses keep their class (public, private, loopback) and their /24 or /64; names keep who is below whom; ids keep their
shape.  Names of public providers and blocklists stay: they belong to nobody who could be recognised, and rules need them.
`mailwhy --redact` diagnoses the redacted capture again, and refuses to write it if the verdict has changed.
"""

from __future__ import annotations

import ipaddress
import re
from hashlib import blake2b
from typing import TYPE_CHECKING

from analyzer.model.capture import Source
from analyzer.read.decode import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model.case import Case
    from analyzer.model.rule import RuleBook

_LOCAL = r"[A-Za-z0-9._%+=&/'-]{1,64}"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_V4 = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
_TOKEN = re.compile(
    rf"(?P<mail>{_LOCAL}@(?:{_LABEL}\.){{0,8}}{_LABEL})"
    rf"|(?<![\w.-])(?P<reverse>{_V4})(?=\.(?:in-addr\.arpa|[A-Za-z]))"
    rf"|(?<![\w.-])(?P<v4>{_V4})(?![\w-]|\.[0-9])"
    r"|(?<![\w:.])(?P<v6>(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w:])"
    rf"|(?:(?<![\w./@-])|(?<=[2-5][0-9]{{2}}-))(?![2-5][0-9]{{2}}-)(?P<name>(?:{_LABEL}\.){{1,8}}[A-Za-z][A-Za-z0-9-]{{1,24}})\b(?!\()"
)
_CREDENTIALS = re.compile(r"(?i)((?:^|\s|>|:)AUTH\s+(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|NTLM|OAUTHBEARER)\s+)(\S+)")
_BASE64 = re.compile(r"^(\W{0,6}(?:C:|->|~>|>>>)?\s*)([A-Za-z0-9+/]{8,}={0,2})\s*$")
_NOT_NAMES = frozenset(
    [
        "cf",
        "conf",
        "log",
        "pid",
        "sock",
        "so",
        "py",
        "pl",
        "sh",
        "txt",
        "yaml",
        "yml",
        "json",
        "db",
        "lmdb",
        "cdb",
        "c",
        "h",
        "service",
        "local0",
        "gz",
        "bz2",
        "xz",
        "eml",
        "html",
        "pem",
        "key",
        "crt",
        "php",
        "cgi",
        "exe",
    ]
)
_KEPT_LABELS = frozenset(
    [
        "mx",
        "mx1",
        "mx2",
        "mx3",
        "mail",
        "mail1",
        "mail2",
        "smtp",
        "imap",
        "www",
        "ns",
        "ns1",
        "ns2",
        "_dmarc",
        "_domainkey",
        "_spf",
        "spf",
        "default",
        "in-addr",
        "ip6",
        "arpa",
        "localhost",
        "localdomain",
        "local",
        "lan",
        "internal",
        "home",
        "invalid",
        "test",
        "example",
        "com",
        "net",
        "org",
    ]
)
_KEPT_DOMAINS = ("in-addr.arpa", "ip6.arpa", "localhost.localdomain")
_SECOND_LEVEL = frozenset(["co", "com", "net", "org", "ac", "gov", "edu", "or", "ne", "go"])
_DIGEST = 16


class Pseudonyms:
    """What stands for what: the same word always gets the same pseudonym."""

    def __init__(self, kept: Sequence[str]) -> None:
        self.kept = tuple(kept)
        self.names: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.people: dict[str, str] = {}
        self.networks: dict[str, int] = {}
        self.ids: dict[str, str] = {}

    def address(self, text: str) -> str:
        """An address of the same class and, for two of one /24 (/64), again of one."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        if address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("127."):
            return text
        if address.version == 6:
            network = ipaddress.ip_network(f"{address}/64", strict=False)
            number = self._network(str(network))
            return f"2001:db8:{number:x}::{int(address) & 0xFFFF:x}"
        head, _, host = text.rpartition(".")
        number = self._network(head)
        if text.startswith("10."):
            return f"10.0.{number % 256}.{host}"
        if text.startswith("192.168."):
            return f"192.168.{number % 256}.{host}"
        if re.match(r"172\.(1[6-9]|2[0-9]|3[01])\.", text):
            return f"172.16.{number % 256}.{host}"
        return f"198.{18 + number // 256 % 2}.{number % 256}.{host}"

    def _network(self, key: str) -> int:
        return self.networks.setdefault(key, len(self.networks) + 1)

    def domain(self, text: str) -> str:
        """A name that stands below the same names as *text* did."""
        lower = text.lower()
        dot = "." if lower.endswith(".") else ""
        lower = lower.rstrip(".")
        if any(lower == k or lower.endswith("." + k) for k in (*self.kept, *_KEPT_DOMAINS)):
            return text
        labels = lower.split(".")
        at = 3 if len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2 else 2
        base = ".".join(labels[-at:])
        if base not in self.names:
            self.names[base] = f"domain{len(self.names) + 1}.example"
        above = [self._label(x) for x in labels[:-at]]
        return ".".join([*above, self.names[base]]) + dot

    def _label(self, label: str) -> str:
        if label in _KEPT_LABELS:
            return label
        return self.labels.setdefault(label, f"host{len(self.labels) + 1}")

    def mail(self, text: str) -> str:
        """A mail address: the same person at the same place."""
        local, _, domain = text.rpartition("@")
        if local.lower() in {"postmaster", "mailer-daemon", "abuse", "root"}:
            return f"{local}@{self.domain(domain)}"
        person = self.people.setdefault(local.lower(), f"user{len(self.people) + 1}")
        return f"{person}@{self.domain(domain) if '.' in domain else domain}"

    def queue_id(self, text: str) -> str:
        """An id of the same shape: digits for digits, letters for letters of the same case."""
        if text not in self.ids:
            digest = blake2b(f"{len(self.ids)} {text}".encode(), digest_size=64).digest()
            self.ids[text] = "".join(_like(c, digest[i % 64]) for i, c in enumerate(text))
        return self.ids[text]


def _like(char: str, number: int) -> str:
    if char.isdigit():
        return str(number % 10)
    if char in "ABCDEF":
        return "ABCDEF"[number % 6]
    if char.isascii() and char.isalpha():
        letters = "BCDFGHJKLMNPQRSTVWXYZ"
        return letters[number % 21] if char.isupper() else letters[number % 21].lower()
    return char


def redacted(sources: Sequence[Source], case: Case, book: RuleBook) -> list[Source]:
    """*sources*, which made *case*, with pseudonyms.  Whoever calls this diagnoses the result again, and compares."""
    kept = [suffix for _, names in book.providers for suffix in names]
    kept += [lookup.zone for lookup in case.lookups if lookup.zone]
    words = Pseudonyms(kept)
    ids = sorted({d.queue_id for d in case.deliveries if d.queue_id and len(d.queue_id) > 5}, key=lambda x: (-len(x), x))
    id_pattern = re.compile("|".join(rf"(?<!\w){re.escape(i)}(?!\w)" for i in ids[:5000])) if ids else None
    hosts = {e.host for e in case.events if e.host and "." not in e.host and e.host.lower() not in _KEPT_LABELS}
    host_pattern = re.compile("|".join(rf"(?<=[0-9] ){re.escape(h)}(?= )" for h in sorted(hosts)[:200])) if hosts else None
    found = []
    for index, source in enumerate(sources):
        text, _ = decode(source.data)
        lines = [_line(line, words) for line in text.split("\n")]
        text = "\n".join(lines)
        if id_pattern:
            text = id_pattern.sub(lambda m: words.queue_id(m[0]), text)
        if host_pattern:
            text = host_pattern.sub(lambda m: words.labels.setdefault(m[0], f"host{len(words.labels) + 1}"), text)
        found.append(Source(f"capture{index + 1}" if len(sources) > 1 else "capture", text.encode("utf-8", "replace")))
    return found


def _line(line: str, words: Pseudonyms) -> str:
    line = _CREDENTIALS.sub(r"\1(removed)", line)
    line = _BASE64.sub(r"\1(removed)", line) if not _plausible_text(line) else line
    return _TOKEN.sub(lambda m: _token(m, words), line)


def _plausible_text(line: str) -> bool:
    """Whether a single word is more likely a word than a credential in base64."""
    word = line.strip()
    return word.isalpha() and (word.islower() or word.isupper() or word.istitle())


def _token(m: re.Match[str], words: Pseudonyms) -> str:
    if m["mail"]:
        return words.mail(m["mail"])
    if m["reverse"]:
        forward = ".".join(reversed(m["reverse"].split(".")))
        return ".".join(reversed(words.address(forward).split(".")))
    if m["v4"]:
        return words.address(m["v4"])
    if m["v6"]:
        return words.address(m["v6"])
    name = m["name"]
    last = name.rpartition(".")[2].lower()
    if last in _NOT_NAMES or last.isdigit() or len(last) < 2:
        return name
    return words.domain(name)
