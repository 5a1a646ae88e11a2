"""What a DNS command asks: the arguments of dig and its relatives, host, nslookup, Resolve-DnsName and getent."""

from __future__ import annotations

import ipaddress

import dns.rdatatype
import msgspec

from analyzer.expressions import re

TYPES = frozenset(t.name for t in dns.rdatatype.RdataType)
_TOOLS = frozenset({"dig", "drill", "kdig", "delv", "doggo", "dog", "q", "getent", "host", "nslookup", "nslookup.exe", "resolve-dnsname"})
_CLASSES = frozenset({"IN", "CH", "HS", "ANY"})
_SET = re.compile(r"(?i)set\s+(?:q|ty|type|query|querytype)=(\S+)")
_SERVER = re.compile(r"(?i)server\s+(\S+)")
_TYPE_OPTION = re.compile(r"(?i)-(?:q|ty|type|query|querytype)=(\S+)")


class Asked(msgspec.Struct, frozen=True):
    """The questions of one command (name and type, None where none was given), the server asked, the options."""

    tool: str | None = None
    queries: tuple[tuple[str, str | None], ...] = ()
    server: str | None = None
    options: frozenset[str] = frozenset()
    set_type: str | None = None  # nslookup: from now on
    set_server: str | None = None
    type: str | None = None

    @property
    def short(self) -> bool:
        """Whether only data is printed."""
        return "short" in self.options

    @property
    def quiet(self) -> bool:
        """Whether nothing is printed where there is no answer."""
        return "noall" in self.options

    def rest(self) -> Asked:
        """The same command without its first question."""
        return msgspec.structs.replace(self, queries=self.queries[1:])


def asked_by(text: str, program: str, default_type: str | None = None) -> Asked:
    """What the command *text* asks.  *text* may lack the tool's name (dig's own first line)."""
    if found := _SET.match(text):
        return Asked(set_type=found[1].upper())
    if found := _SERVER.fullmatch(text.strip()):
        return Asked(set_server=found[1])
    words = _words(text)
    tool = None
    while words and words[0] in {"sudo", "time"}:
        words.pop(0)
    if words and words[0].lower() in _TOOLS:
        tool = words.pop(0).lower().removesuffix(".exe")
    if tool == "host" or (tool is None and program == "host"):
        return _host(words, tool)
    if tool == "nslookup" or (tool is None and program == "nslookup"):
        return _nslookup(words, tool, default_type)
    if tool == "resolve-dnsname":
        return _resolve_dnsname(words, tool)
    if tool == "getent":
        return _getent(words, tool)
    asked = _dig(words, tool)
    if tool == "dig" and asked.short and (more := _NEXT_DIG.search(text)):
        also = asked_by(text[more.end() :], program)  # the answers follow each other, with nothing between
        if also.short and also.server == asked.server:
            return msgspec.structs.replace(asked, queries=(*asked.queries, *also.queries))
    return asked


_NEXT_DIG = re.compile(r"(?:;|&&)\s*(?=dig\s)")


def _words(text: str) -> list[str]:
    """The words up to a pipe, a redirection, a comment or the next command."""
    words: list[str] = []
    for word in text.split():
        if word in {"|", "||", "&&", ";", "#", ">", "2>&1", "&"} or word.startswith(("|", ">", "2>", "#", "//")):
            break
        ends = word.endswith(";")
        words.append(word.strip("\"';`"))
        if ends:
            break
    return [w for w in words if w]


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _dig(words: list[str], tool: str | None) -> Asked:
    queries: list[tuple[str, str | None]] = []
    options: set[str] = set()
    server: str | None = None
    kind: str | None = None
    at = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        upper = word.upper()
        at += 1
        if word.startswith("@"):
            server = word[1:] or None
        elif word.startswith("+"):
            options.add(word[1:].partition("=")[0].lower())
        elif word in {"-x", "--reverse"}:
            queries.append((following, "PTR"))
            at += 1
        elif word in {"-t", "--type"} or (word.startswith("-t") and upper[2:] in TYPES):
            kind = following.upper() if word in {"-t", "--type"} else upper[2:]
            at += word in {"-t", "--type"}
            queries = _typed(queries, kind)
        elif word == "-q":
            queries.append((following, kind))
            at += 1
        elif word == "-T" and tool == "drill":
            options.add("trace")
        elif word in {"-p", "-b", "-c", "-k", "-y", "-f", "-a"} and not (tool == "drill" and word in {"-a"}):
            at += 1
        elif word.startswith("-"):
            continue
        elif upper in TYPES and (queries or "." not in word):
            if queries and queries[-1][1] is None:
                queries = _typed(queries, upper)
            else:
                kind = upper
        elif upper in _CLASSES:
            continue
        else:
            queries.append((word, kind))
            kind = None
    # a type before the name
    if kind and queries and queries[-1][1] is None:
        queries = _typed(queries, kind)
    if queries and queries[0][1] == "PTR" and len(queries) > 1 and tool == "drill":
        queries = queries[:1]
    return Asked(tool=tool, queries=tuple((n, k or "A") for n, k in queries), server=server, options=frozenset(options))


def _typed(queries: list[tuple[str, str | None]], kind: str) -> list[tuple[str, str | None]]:
    """*queries*, the last one with the type *kind* if it had none."""
    if queries and queries[-1][1] is None:
        return [*queries[:-1], (queries[-1][0], kind)]
    return queries


def _host(words: list[str], tool: str | None) -> Asked:
    kind: str | None = None
    names: list[str] = []
    options: set[str] = set()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in {"-t", "-c", "-m", "-N", "-p", "-R", "-W"}:
            if word == "-t" and at < len(words):
                kind = words[at].upper()
            at += 1
        elif word.startswith("-t") and len(word) > 2:
            kind = word[2:].upper()
        elif word.startswith("-"):
            options.update(word[1:])
            kind = "ANY" if "a" in word else "SOA" if "C" in word else kind
        else:
            names.append(word)
    if not names:
        return Asked(tool=tool)
    server = names[1] if len(names) > 1 else None
    kinds: tuple[str | None, ...] = (kind,) if kind else ("PTR",) if _is_address(names[0]) else ("A", "AAAA", "MX")
    return Asked(
        tool=tool,
        queries=tuple((names[0], k) for k in kinds),
        server=server,
        options=frozenset(options | ({"several"} if len(kinds) > 1 else set())),
    )


def _nslookup(words: list[str], tool: str | None, default_type: str | None) -> Asked:
    kind = default_type
    names: list[str] = []
    for word in words:
        if found := _TYPE_OPTION.match(word):
            kind = found[1].upper()
        elif not word.startswith("-") or word == "-":
            names.append(word)
    if not names or names[0] == "-":
        return Asked(tool=tool, set_type=kind if kind != default_type else None, set_server=names[1] if len(names) > 1 else None)
    if _is_address(names[0]) and kind in {None, "A", "PTR"}:
        kind = "PTR"
    kinds: tuple[str | None, ...] = ("A", "AAAA") if kind in {None, "A+AAAA"} else (kind,)
    return Asked(tool=tool, queries=tuple((names[0], k) for k in kinds), server=names[1] if len(names) > 1 else None)


def _resolve_dnsname(words: list[str], tool: str) -> Asked:
    kind: str | None = None
    name = server = ""
    at = 0
    while at < len(words):
        option, following = words[at].lower(), words[at + 1] if at + 1 < len(words) else ""
        at += 2 if option in {"-type", "-name", "-server"} or option.startswith(("-t", "-ser", "-na")) else 1
        if option.startswith("-t"):
            kind = following.upper()
        elif option.startswith("-ser"):
            server = following
        elif option.startswith("-na"):
            name = following
        elif option.startswith("-"):
            continue
        elif not name:
            name = words[at - 1]
        elif option.upper() in TYPES:
            kind = option.upper()
    if not name:
        return Asked(tool=tool)
    if _is_address(name) and kind in {None, "PTR"}:
        kind = "PTR"
    kinds = ("A", "AAAA") if kind in {None, "A_AAAA"} else (kind,)
    return Asked(tool=tool, queries=tuple((name, k) for k in kinds), server=server or None)


def _getent(words: list[str], tool: str) -> Asked:
    if len(words) < 2:
        return Asked(tool=tool)
    name = words[1]
    return Asked(tool=tool, queries=((name, "PTR"),) if _is_address(name) else ((name, "A"), (name, "AAAA")))
