"""Stamps to seconds since 1970: years that syslog leaves out, and time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

MONTHS = {m: i for i, m in enumerate((b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1)}
_SLACK = 2  # days that a line may stand out of order
_HALF_YEAR = 183
_MOST_KEPT = 20_000
_PLAIN = (len(b"Nov 23 10:00:01"), len(b"2026-11-23 10:00:01"))


class Years(msgspec.Struct, frozen=True):
    """The year of a log's first line, and that line's and the last line's day (month * 32 + day)."""

    first_year: int = 1970
    first_day: int = 0
    last_day: int = 10_000
    assumed: bool = False


class Clock:
    """Seconds since 1970 of the stamps of one log."""

    def __init__(self, years: Years, zone: tzinfo | None) -> None:
        self.years = years
        self.zone = zone
        self._hours: dict[bytes, int | None] = {}
        self._minutes: dict[bytes, int] = {}  # of stamps without fractions and zones

    def seconds(self, stamp: bytes) -> int | None:
        """The time of *stamp*, or None where it is none.  Fractions are dropped."""
        if (minute := self._minutes.get(stamp[:-3])) is not None and len(stamp) in _PLAIN and (rest := stamp[-2:]).isdigit():
            return minute + int(rest)
        found = self._slowly(stamp)
        if found is not None and len(stamp) in _PLAIN and stamp[-3:-2] == b":" and stamp[-2:].isdigit():
            if len(self._minutes) > _MOST_KEPT:
                self._minutes.clear()
            self._minutes[stamp[:-3]] = found - int(stamp[-2:])
        return found

    def all_seconds(self, stamps: Sequence[bytes]) -> list[int | None]:
        """The times of *stamps*."""
        minutes, seconds = self._minutes, self.seconds
        return [
            minute + int(rest)
            if (minute := minutes.get(stamp[:-3])) is not None and len(stamp) in _PLAIN and (rest := stamp[-2:]).isdigit()
            else seconds(stamp)
            for stamp in stamps
        ]

    def _slowly(self, stamp: bytes) -> int | None:
        try:
            if stamp[:1].isdigit():
                zone = stamp[19:].lstrip(b".,0123456789")
                key, rest = stamp[:13] + zone, stamp[14:19]
            else:
                stamp = stamp.partition(b".")[0]  # Nov 23 10:00:01.123
                key, rest = stamp[:-6], stamp[-5:]
            base = self._hours[key] if key in self._hours else self._hour(key)
            return None if base is None else base + int(rest[:2]) * 60 + int(rest[3:])
        except ValueError:
            return None

    def _hour(self, key: bytes) -> int | None:
        if len(self._hours) > _MOST_KEPT:
            self._hours.clear()
        try:
            found = self._hours[key] = int(self._moment(key).timestamp())
        except (ValueError, KeyError, IndexError, OverflowError):
            found = self._hours[key] = None  # type: ignore[assignment]
        return found

    def _moment(self, key: bytes) -> datetime:
        if key[:1].isdigit():
            year, month, day, hour = int(key[:4]), int(key[5:7]), int(key[8:10]), int(key[11:13])
            zone = _offset(key[13:].strip()) or self.zone
            return datetime(year, month, day, hour, tzinfo=zone)
        month, day, hour = MONTHS[key[:3]], int(key[3:6]), int(key[6:].strip())
        return datetime(year_of(month, day, self.years), month, day, hour, tzinfo=self.zone)


def _offset(text: bytes) -> tzinfo | None:
    if not text:
        return None
    if text in {b"Z", b"z"}:
        return UTC
    sign = -1 if text[:1] == b"-" else 1
    digits = text[1:].replace(b":", b"")
    from datetime import timezone

    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4] or 0)))


def year_of(month: int, day: int, years: Years) -> int:
    """The year of a day in a log whose first line is of *years*: it turns where the months fall far back."""
    days = (month - 1) * 30.5 + day
    first = (years.first_day // 32 - 1) * 30.5 + years.first_day % 32
    last = (years.last_day // 32 - 1) * 30.5 + years.last_day % 32
    if days < first - _SLACK and (days < first - _HALF_YEAR or last < first):
        return years.first_year + 1
    if days > first + _HALF_YEAR and last >= first and days > last + _SLACK:
        return years.first_year - 1  # a straggler of the old year in a log that begins with the new one
    return years.first_year


def day_of(stamp: bytes) -> int | None:
    """Month * 32 + day of a stamp without year, or None."""
    month = MONTHS.get(stamp[:3])
    try:
        return None if month is None else month * 32 + int(stamp[3:6])
    except ValueError:
        return None


def infer_years(logs: Sequence[tuple[int | None, int | None, float]]) -> list[Years]:
    """The years of logs given as (first day, last day, time of last change); no log ends after its last change."""
    found = []
    for first, last, changed in logs:
        if first is None:
            found.append(Years())
            continue
        moment = datetime.fromtimestamp(changed, UTC) + timedelta(days=_SLACK) if changed else datetime.now(UTC)
        newest = last if last is not None else first
        year = moment.year if newest <= moment.month * 32 + moment.day else moment.year - 1
        if last is not None and last < first:
            year -= 1
        found.append(Years(year, first, last if last is not None else first, True))
    return found
