"""Log lines inside JSON: `journalctl -o json`, Docker's json-file driver, and shippers that name the same things alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from analyzer.model.capture import Envelope

_MOST_TEXT = 200_000
_MESSAGE = ("MESSAGE", "log", "message", "msg")
_ERROR = ("err", "error", "exception", "cause", "errorVerbose")  # what loggers of applications put beside the message
_PROGRAM = ("SYSLOG_IDENTIFIER", "program", "programname", "ident", "app-name", "appname", "_COMM")
_HOST = ("_HOSTNAME", "host", "hostname")
_PID = ("SYSLOG_PID", "_PID", "pid", "procid")
_TIME = ("time", "timestamp", "@timestamp", "timereported")


def opened(text: str) -> tuple[str, Envelope | None]:
    """The log line inside *text*, and what stood around it; *text* itself where there is none."""
    if len(text) > _MOST_TEXT or not text.rstrip().endswith("}"):
        return text, None
    try:
        entry = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text, None
    message = _message(entry) if isinstance(entry, dict) else None
    if message is None:
        return text, None
    if (error := _error(entry)) is not None and error not in message:
        message = f"{message}: {error}"
    envelope = Envelope(
        time=_time(entry),
        host=_first(entry, _HOST),
        program=_first(entry, _PROGRAM),
        pid=_first(entry, _PID),
        message=message,
    )
    return message, envelope


def _message(entry: dict[str, Any]) -> str | None:
    for name in _MESSAGE:
        value = entry.get(name)
        if isinstance(value, str):
            return value.rstrip("\r\n")
        if isinstance(value, list) and all(isinstance(n, int) and 0 <= n < 256 for n in value):  # bytes that are no UTF-8
            return bytes(value).decode("utf-8", "replace")
    return None


def _error(entry: dict[str, Any]) -> str | None:
    """The error that an application's logger put into a field of its own, on one line."""
    for name in _ERROR:
        value = entry.get(name)
        if isinstance(value, dict):
            value = value.get("message") or value.get("msg") or value.get("stack")
        if isinstance(value, str) and value:
            return " ".join(value.split("\n    at ", 1)[0].split())
    return None


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = entry.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
            return str(value)
    return None


def _time(entry: dict[str, Any]) -> str | None:
    micros = entry.get("__REALTIME_TIMESTAMP") or entry.get("_SOURCE_REALTIME_TIMESTAMP")
    if isinstance(micros, str) and micros.isascii() and micros.isdigit() and len(micros) < 18:
        return datetime.fromtimestamp(int(micros) / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return _first(entry, _TIME)
