"""Fields that a line names in itself, in any order: ``key=value``, ``key = value`` and ``"key": value``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.expressions import re
from analyzer.model.events import INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.model.events import Event

_LONGEST = 20_000
_DIGITS = 19
_PAIR = re.compile(
    r'"(?P<key>[A-Za-z_][A-Za-z0-9_.-]{0,60})"[ ]?:[ ]?(?:"(?P<string>(?:[^"\\]|\\.)*)"|\[(?P<list>[^\[\]]*)\]|(?P<plain>[^\s,"{}\[\]]+))'
    r"|(?<![^\s,{(])(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,60})(?:(?P<wide> = )|=)"
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<several>[^\[\]]*)\]|(?(wide)(?P<free>(?:(?!, [A-Za-z]{1,40} = )[^\n])*)|(?P<bare>[^\s]*)))'
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")
_ESCAPED = {"n": " ", "r": " ", "t": " "}
_ADDRESSES = frozenset({"mail_from", "rcpt_to", "message_id"})
_NAMES = frozenset({"relay", "server", "helo", "client_name"})
_HOSTS = frozenset({"client_ip", "server_ip", "relay_ip"})
_WITH_PORT = re.compile(r"(?:(?P<ip>[0-9.]{7,15})|\[(?P<ip6>[0-9A-Fa-f:.]{2,45})\]):[0-9]{1,5}\Z")
_NOTHING = frozenset({"", "-", "null", "None", "nil"})


def named_fields(text: str, meant: Mapping[str, tuple[str, ...]], cls: type[Event]) -> dict[str, Any]:
    """What the pairs in *text* say about the fields of *cls*; of a key that is there twice, the last counts.

    Texts of several keys are joined: a general one ("Network error") and one that says more.
    """
    known = frozenset(cls.__struct_fields__)
    numbers = INTEGERS[str(cls.__struct_config__.tag)]
    found: dict[str, Any] = {}
    for key, written in _pairs(text[:_LONGEST]):
        field = next((f for f in meant.get(key, ()) if f in known), None)
        if field is None:
            continue
        value = _value(field, written)
        if value is None or (field in numbers and not (value.isascii() and value.isdigit() and len(value) < _DIGITS)):
            continue
        if field == "text" and field in found:
            found[field] = found[field] if value in found[field] else value if found[field] in value else f"{found[field]}; {value}"
        else:
            found[field] = int(value) if field in numbers else value
    return found


def _value(field: str, written: str) -> str | None:
    """*written* as the vocabulary has it: addresses without brackets, hosts without ports; None where nothing is told."""
    if field in _ADDRESSES:
        return "" if written in {"<>", ""} else written.replace("<", "").replace(">", "")
    if field in _HOSTS and (with_port := _WITH_PORT.match(written)):
        return with_port["ip"] or with_port["ip6"]
    if written in _NOTHING:
        return None
    return written.rstrip(".") if field in _NAMES else written


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in _PAIR.finditer(text):
        key = pair["key"] or pair["name"]
        if (several := pair["list"] if pair["key"] else pair["several"]) is not None:
            yield key, " ".join(x.strip(' "') for x in several.split(",") if x.strip(' "'))
        elif (quoted := pair["string"] if pair["key"] else pair["quoted"]) is not None:
            yield key, _ESCAPE.sub(_plain, quoted) if "\\" in quoted else quoted
        else:
            yield key, (pair["plain"] or pair["free"] or (pair["bare"] or "").rstrip(",;")).strip()


def _plain(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPED.get(escape[2], escape[2])
