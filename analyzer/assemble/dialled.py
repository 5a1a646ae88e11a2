"""Which server a program's error speaks of: every library names it in its own way."""

from __future__ import annotations

import msgspec

from analyzer.assemble.names import address_of
from analyzer.expressions import re


class Dialled(msgspec.Struct, frozen=True):
    """A server as it was dialled; what was not said is None."""

    server: str | None = None
    server_ip: str | None = None
    port: int | None = None


_HOST = r"(?P<host>(?:[0-9]{1,3}\.){3}[0-9]{1,3}|\[?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{2,40}\]|(?i:localhost)|(?:[A-Za-z0-9_-]{1,63}\.){1,8}[A-Za-z][A-Za-z0-9-]{1,62})"
_SCHEME = r"(?:(?:ssl|tls|tcp|smtps?|submission):/{0,2})?"
_SHAPES = (
    # "dial tcp 192.0.2.25:587", "connect ECONNREFUSED 192.0.2.25:465", "host "ssl://smtp.example.net:465"", "peeraddr=192.0.2.25:587"
    re.compile(rf"(?<![\w.@/-]){_SCHEME}{_HOST}:(?P<port>[0-9]{{2,5}})(?![\w.-]|:[0-9])"),
    # "host, port: smtp.example.net, 465", "SMTP host: smtp.example.net, port: 465", "mailserver at "localhost" port 25"
    re.compile(
        rf"(?i:host|server|to|at)(?:, port)?:?[ \t]{{1,2}}[\"'(]?{_SCHEME}{_HOST}[\"')]?(?:[ \t]\([^()\n]{{2,60}}\))?,? (?i:(?:on )?port:? )?(?P<port>[0-9]{{2,5}})(?![\w.])"
    ),
    # "getaddrinfo ENOTFOUND smtp.example.net", "lookup smtp.example.net: no such host", "UnknownHostException: smtp.example.net"
    re.compile(
        rf"(?:ENOTFOUND|EAI_AGAIN|ENODATA|UnknownHostException:|\blookup|[Cc]ould(?: not|n't) resolve host(?:name)?:?) [\"']?{_HOST}(?![\w-])"
    ),
    # "certificate is valid for example.net, not smtp.example.net"
    re.compile(rf"certificate is (?:not )?valid for [^\n]{{1,600}}, not {_HOST}(?![\w-])"),
    # "host "smtp.example.net" [", "with host smtp.example.net ["
    re.compile(rf"(?i:\bhost|\bserver) [\"']?{_HOST}[\"']? \["),
)
_SOURCE = re.compile(r"(?i)\.(?:go|py|js|mjs|cjs|ts|rb|php|java|cs|rs|c|cc|cpp|pm|pl|kt|scala|ex|exs|conf|cfg|yaml|yml|ini)$")
_RESOLVER_PORT = 53
_LAST_PORT = 65535
_MOST_SAID = 4000  # characters


def dialled_in(text: str | None) -> Dialled:
    """The server that the error *text* names, as far as it does."""
    said = (text or "")[:_MOST_SAID]
    for shape in _SHAPES:
        for found in shape.finditer(said):
            named = _dialled(found["host"], found.groupdict().get("port"))
            if named is not None:
                return named
    return Dialled()


def _dialled(host: str, port: str | None) -> Dialled | None:
    number = int(port) if port else None
    if _SOURCE.search(host) or number == _RESOLVER_PORT or (number or 0) > _LAST_PORT:
        return None
    bare = host.strip("[]")
    return Dialled(None, bare, number) if address_of(bare) is not None else Dialled(bare, None, number)
