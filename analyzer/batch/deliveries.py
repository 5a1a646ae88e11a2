"""Deliveries without reading their lines: what is cut out of a line tells all that it says, and of those alike one is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.batch.net import Hits

    Way = Callable[[bytes, Hits, list[int]], list[bytes]]  # of a block, what was found in it, and before what its lines begin

DASH = b"-"[0]


def line_from(block: bytes, at: int) -> bytes:
    """The line that begins at *at*."""
    end = block.find(b"\n", at)
    return block[at : len(block) if end < 0 else end]


def behind(block: bytes, hits: Hits, begins: list[int]) -> list[bytes]:
    """What stands between recipient and relay, of Postfix: ``... to=<greta@example.com>, relay=mx.example.com[192.0.2.1]:25, ..., status=sent``"""
    find = block.find
    # A relay of this machine has no address: relay=virtual, delay=...
    return [
        block[a : e + 2 if (e := find(b"[", a)) < s else find(b", delay", a)] if 0 <= (a := find(b"@", find(b"to=", b + 1))) < s else b""
        for (_, s, _), b in zip(hits, begins, strict=True)
    ]


def between(block: bytes, hits: Hits, begins: list[int]) -> list[bytes]:
    """The same of Sendmail: ``to=<greta@example.com>, delay=..., mailer=esmtp, pri=120000, relay=mx.example.com. [192.0.2.1], ..., stat=Sent``"""
    find = block.find
    return [
        block[a : find(b",", a)] + b"," + block[r : find(b"[", r) + 2]
        if 0 <= (a := find(b"@", find(b"to=", b + 1))) < (r := find(b" relay=", a)) < s
        else b""
        for (_, s, _), b in zip(hits, begins, strict=True)
    ]


def ahead(block: bytes, hits: Hits, begins: list[int]) -> list[bytes]:  # noqa: ARG001  (a `Way`)
    """The same of Exim: ``1aspm4-000001-G7 => greta@example.com R=dnslookup T=remote_smtp H=mx.example.com [192.0.2.1]``"""
    find = block.find
    # The arrow stands behind the message's id; anything else is a stranger's text.
    # The local part is left out, where there is one.
    return [
        block[at if (at := find(b"@", e, find(b" ", e))) > 0 else e : find(b" [", e)]
        if s > 5 and (block[s - 4] == DASH or block[s - 6] == DASH)
        else b""
        for _, s, e in hits
    ]


def beyond(block: bytes, hits: Hits, begins: list[int]) -> list[bytes]:  # noqa: ARG001  (a `Way`)
    """The same of OpenSMTPD: ``mta delivery evpid=... to=<greta@example.com> ... relay="192.0.2.1 (mx.example.com)" delay=0s``"""
    find = block.find
    ats = [find(b"@", find(b" to=<", h[2])) for h in hits]
    ends = [find(b" delay=", h[2]) for h in hits]
    stops = [find(b"\n", h[2]) for h in hits]
    return [block[a:z] if 0 <= a < z < n else b"" for a, z, n in zip(ats, ends, stops, strict=True)]


def framed(block: bytes, hits: Hits, begins: list[int]) -> list[bytes]:
    """Of others what stands before the text, without names, ids and numbers: ``lmtp(greta@example.com)<71><abc>: msgid=<1@mx>: saved mail to INBOX``

    That tells what the line is, not what it holds; so it serves where deliveries name no recipient and no relay.
    """
    find = block.find
    return [_HELD(b"<>", block[find(b": ", b + 1, s) : e]) for (_, s, e), b in zip(hits, begins, strict=True)]


_HELD = re.compile(rb"(?<=[<(])[^<>()\s]*[^<>()\s0-9][^<>()\s]*(?=[)>])|[0-9]+").sub


def hosts(block: bytes, begins: list[int]) -> bytes | list[bytes]:
    """The word behind the stamp of each line, or the one of all; a line with another stamp than most gets what is no host."""
    find = block.find
    first = block[:1]
    if first.isalpha():  # Nov 20 00:00:00 mx1 postfix/smtp[7]: ...
        one = block[begins[0] + 17 : find(b" ", begins[0] + 17)]
        length = 18 + len(one)
        if {block[b + 16 : b + length] for b in begins} == {b" %b " % one}:
            return one
        return [block[b + 17 : find(b" ", b + 17)] for b in begins]
    if block[10:11] == b"T":  # 2026-11-20T00:00:00+01:00 mx1 ...
        return [block[(at := find(b" ", b + 1) + 1) : find(b" ", at)] for b in begins]
    firsts = list(map(block.__getitem__, [b + 1 for b in begins]))
    return b"" if _NUMBERS.issuperset(firsts) else [b"" if first in _NUMBERS else b"?" for first in firsts]


_NUMBERS = frozenset(b"0123456789")


def shortened(way: Way, raw: bytes) -> bytes:
    """*raw*, which *way* cut out, without what differs among deliveries to one domain by one relay."""
    if way is framed:
        return raw
    raw = raw.partition(b"\n")[0]
    if (at := raw.find(b", ")) >= 0:
        relay = raw.find(b"relay=", at)
        return raw[:at] + b" " + (raw[relay:].partition(b",")[0] if relay >= 0 else b"")
    if (at := raw.find(b' relay="')) >= 0:
        return raw.partition(b">")[0] + b" " + raw[at:].partition(b"(")[2]
    cut = min((n for t in (b" F=", b" P=<", b" R=", b" T=", b" S=") if (n := raw.find(t)) >= 0), default=len(raw))
    relay = raw.find(b" H=", cut)
    return raw[:cut] + (raw[relay:] if relay >= 0 else b"")


def way_of(text: bytes) -> Way:
    """How lines with *text* are told apart."""
    if text.startswith(b"status="):
        return behind
    if text.startswith(b", stat="):
        return between
    return ahead if text in {b"=> ", b"-> ", b">> "} else beyond if text == b" mta delivery evpid=" else framed


def token(block: bytes, begin: int, end: int) -> bytes:
    """The word at which log lines carry the queue id: behind the program, or behind Exim's stamp."""
    if block[begin + 10 : begin + 11] == b" " and block[begin : begin + 1].isdigit():
        at = begin + 20
        for _ in range(3):
            stop = block.find(b" ", at, end + 64)
            word = block[at:stop] if stop > 0 else block[at:end]
            if not word.startswith((b"[", b"+")) or stop < 0:
                return word
            at = stop + 1
        return b""
    at = block.find(b": ", begin, end)
    if at < 0:
        return b""
    stop = block.find(b":", at + 2, end + 1)
    return block[at + 2 : stop] if stop > 0 else b""
