"""Logs as blocks of bytes: files, folders, rotations, compressed or not, journals, standard input, remote stores."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from stat import S_ISDIR
from typing import IO, TYPE_CHECKING, Any

import msgspec

from analyzer.errors import UnreadableInput
from analyzer.expressions import re

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PIECE = 16 * 1024  # of compressed bytes: as much as a damaged file can cost
_HEAD = 64 * 1024
_LAST = 4096  # bytes of a block, in which its last line's end is looked for
LONGEST_LINE = 1 << 20  # a longer one is cut there
_SUFFIXES = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".lzma": "xz", ".zst": "zst"}
_MAGIC = (
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBERS = re.compile(r"([0-9]+)")


class Item(msgspec.Struct, frozen=True):
    """One log.  *packed*: gz, bz2, xz, zst, utf-16 or None; *journal*: json, export or None; *size* in bytes as stored."""

    name: str
    path: str
    size: int
    mtime: float
    packed: str | None = None
    journal: str | None = None
    remote: bool = False

    @property
    def splits(self) -> bool:
        """Whether byte ranges of it can be read on their own."""
        return self.packed is None and self.journal is None


def find(paths: Sequence[str]) -> tuple[list[Item], list[str]]:
    """The logs that *paths* name, in a fixed order, and notes on what was left out.  Raises `UnreadableInput`."""
    names: dict[str, str] = {}
    for path in paths or ["-"]:
        if path == "-":
            names["stdin"] = _spool()
        elif "://" in path:
            names |= {url: url for url in _remote_names(path)}
        else:
            names |= {found: found for found in _local_names(path)}
    notes: list[str] = []
    items = []
    for name, path in names.items():
        item = _item(name, path)
        if item.packed == "zst" and not _has_zstandard():
            notes.append(f"{name}: not read: .zst needs the package zstandard (pip install 'mailwhy[batch]')")
        elif item.size:
            items.append(item)
    items.sort(key=lambda i: [int(p) if p.isdigit() else p for p in _NUMBERS.split(i.name)])
    return without_copies(items, notes), notes


def _local_names(path: str) -> Iterator[str]:
    try:
        is_folder = S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        yield from _matching(path)
        return
    yield from _inside(path) if is_folder else (path,)


def _inside(path: str) -> Iterator[str]:
    """The files below the folder *path*."""
    from pathlib import Path

    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (str(Path(folder) / f) for f in sorted(files) if not f.startswith("."))


def _matching(pattern: str) -> list[str]:
    """The files whose names match *pattern*.  Raises `UnreadableInput` where there are none."""
    import glob

    found = sorted(f for f in glob.glob(pattern, recursive=True) if os.path.isfile(f))
    if not found:
        raise UnreadableInput(f"{pattern}: no such file or folder")
    return found


def _remote_names(url: str) -> list[str]:
    fsspec = _fsspec(url)
    fs, path = fsspec.core.url_to_fs(url)
    if fs.isdir(path):
        return [fs.unstrip_protocol(p) for p in sorted(fs.find(path))]
    if any(c in path for c in "*?["):
        return [fs.unstrip_protocol(p) for p in sorted(fs.glob(path))]
    return [url]


def _fsspec(url: str) -> Any:
    try:
        import fsspec
    except ImportError:
        raise UnreadableInput(f"{url}: remote stores need fsspec (pip install 'mailwhy[cluster]')") from None
    return fsspec


def _spool() -> str:
    """Standard input as a file: it is read more than once."""
    import tempfile

    handle, path = tempfile.mkstemp(prefix="mailwhy-")
    with os.fdopen(handle, "wb") as file:
        while piece := sys.stdin.buffer.read(1 << 20):
            file.write(piece)
    _SPOOLED.append(path)
    return path


_SPOOLED: list[str] = []


def clean() -> None:
    """Remove what standard input was kept in."""
    while _SPOOLED:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_SPOOLED.pop())


def _item(name: str, path: str) -> Item:
    remote = "://" in path
    try:
        if remote:
            fs, inner = _fsspec(path).core.url_to_fs(path)
            size, mtime = int(fs.size(inner) or 0), 0.0
            with contextlib.suppress(NotImplementedError, AttributeError, OSError):
                mtime = fs.modified(inner).timestamp()
        else:
            status = os.stat(path)
            size, mtime = status.st_size, status.st_mtime
        with _open(path) as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UnreadableInput(f"{name}: {error.strerror or error}") from None
    packed = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if packed is None and head[:1] in {b"\x1f", b"\xfd", b"\x28"}:
        packed = _SUFFIXES.get(os.path.splitext(path)[1])
    item = Item(name, path, size, mtime, packed, None, remote)
    if packed and not (packed == "zst" and not _has_zstandard()):
        head = next(_unpacked(item, [], _HEAD), b"")
    return msgspec.structs.replace(item, journal=_journal(head))


def _journal(head: bytes) -> str | None:
    if head.lstrip()[:1] == b"{" and (b'"MESSAGE"' in head or b'"__REALTIME_TIMESTAMP"' in head):
        return "json"
    return "export" if head.startswith(b"__CURSOR=") or b"\n__REALTIME_TIMESTAMP=" in head[:4096] else None


def _open(path: str) -> IO[bytes]:
    if "://" in path:
        opened: IO[bytes] = _fsspec(path).open(path, "rb").open()
        return opened
    return open(path, "rb")


# ---- reading ---------------------------------------------------------------------------------------------------------
def blocks(item: Item, start: int, end: int | None, size: int, notes: list[str]) -> Iterator[tuple[int, bytes]]:
    """``(offset, block)``: whole lines of those that begin in [start, end), offsets in the unpacked log.

    What a damaged file still yields is yielded; *notes* says so.
    """
    if item.splits:
        yield from _plain(item, start, end, size, notes)
        return
    offset, rest = 0, b""
    pieces = _unpacked(item, notes, size) if item.packed else _raw(item, size)
    if item.journal:
        pieces = _batched(_journal_lines(item.journal, pieces), size)
    for piece in pieces:
        data = rest + piece
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > LONGEST_LINE:
            cut = len(data)
        if cut:
            yield offset, data[:cut]
            offset += cut
        rest = data[cut:]
    if rest:
        yield offset, rest


def _plain(item: Item, start: int, end: int | None, size: int, notes: list[str]) -> Iterator[tuple[int, bytes]]:
    end = item.size if end is None else min(end, item.size)
    with _open(item.path) as file:
        at = start
        if start:
            # The line that crosses *start* belongs to the range before.
            file.seek(start - 1)
            at += _skip_line(file) - 1
        elif file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            at = len(codecs.BOM_UTF8)
        while at < end:
            wanted = min(size, end - at)
            if not item.remote and wanted > _LAST and at + wanted < end:
                # Up to the end of its last line: what has to be cut is copied, which takes longer than reading.
                file.seek(at + wanted - _LAST)
                tail = file.read(_LAST)
                if b"\n" in tail:
                    wanted -= len(tail) - tail.rfind(b"\n") - 1
            file.seek(at)
            if not (data := file.read(wanted)):
                return
            beyond = 0
            if not data.endswith(b"\n"):
                cut = data.rfind(b"\n") + 1
                if cut and at + len(data) < end:
                    data = data[:cut]
                else:
                    data += file.readline(max(1, LONGEST_LINE - len(data) + cut))
                    if not data.endswith(b"\n") and (beyond := _skip_line(file)):
                        notes.append(f"{item.name}: a line has more than {LONGEST_LINE} bytes; the rest of it was left out")
            yield at, data
            at += len(data) + beyond


def _skip_line(file: IO[bytes]) -> int:
    """How many bytes there were up to the line's end."""
    count = 0
    while piece := file.readline(_HEAD):
        count += len(piece)
        if piece.endswith(b"\n"):
            break
    return count


def _raw(item: Item, size: int) -> Iterator[bytes]:
    with _open(item.path) as file:
        while piece := file.read(size):
            yield piece


def _unpacked(item: Item, notes: list[str], size: int) -> Iterator[bytes]:
    make = _DECODERS[item.packed or ""]
    out: list[bytes] = []
    held = 0
    with _open(item.path) as file:
        decoder = make()
        fresh = True
        try:
            while piece := file.read(_PIECE):
                while piece:
                    found = decoder.decompress(piece)
                    fresh = False
                    out.append(found)
                    held += len(found)
                    piece = b""
                    if getattr(decoder, "eof", False):
                        piece = decoder.unused_data.lstrip(b"\0")
                        decoder, fresh = make(), True
                if held >= size:
                    yield b"".join(out)
                    out, held = [], 0
            if not fresh and not getattr(decoder, "eof", False) and item.packed not in {"zst", "utf-16"}:
                notes.append(f"{item.name}: cut off: the end of the compressed data is missing; what precedes it was used")
        except Exception as error:  # noqa: BLE001  (each library has its own; what precedes the damage counts)
            notes.append(f"{item.name}: damaged ({error}); what precedes the damage was used")
    if held:
        yield b"".join(out)


def _gz() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        import zlib

        return zlib.decompressobj(31)
    return isal_zlib.decompressobj(31)


def _bz2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor()


def _zst() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


class _Utf16:
    """As a decompressor: to UTF-8."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")

    def decompress(self, piece: bytes) -> bytes:
        return self._decoder.decode(piece).encode()


def _has_zstandard() -> bool:
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True


_DECODERS: dict[str, Any] = {"gz": _gz, "bz2": _bz2, "xz": _xz, "zst": _zst, "utf-16": _Utf16}


# ---- journals --------------------------------------------------------------------------------------------------------
def _journal_lines(kind: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    entries = _json_entries(pieces) if kind == "json" else _export_entries(pieces)
    for entry in entries:
        message = entry.get("MESSAGE")
        if isinstance(message, list):  # journald writes bytes that are no UTF-8 as a list of numbers
            message = bytes(b for b in message if isinstance(b, int) and 0 <= b < 256).decode("utf-8", "replace")
        if not isinstance(message, str):
            continue
        yield (_as_syslog(entry, " ".join(message.split("\n"))) + "\n").encode("utf-8", "replace")


def _as_syslog(entry: dict[str, Any], message: str) -> str:
    from datetime import UTC, datetime

    try:
        micros = int(entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry.get("__REALTIME_TIMESTAMP") or 0)
        stamp = datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    except (ValueError, OverflowError, OSError):
        stamp = "1970-01-01T00:00:00+00:00"
    name = entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or "unknown"
    pid = entry.get("SYSLOG_PID") or entry.get("_PID")
    return f"{stamp} {entry.get('_HOSTNAME') or 'localhost'} {name}{f'[{pid}]' if pid else ''}: {message}"


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _json_entries(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    import json

    for line in _lines(pieces):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _export_entries(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The journal export format: NAME=value lines, or NAME, a 64-bit length and the bytes; a blank line ends an entry."""
    stream = io.BufferedReader(_Pieces(iter(pieces)))
    entry: dict[str, Any] = {}
    while line := stream.readline():
        line = line.rstrip(b"\n")
        if not line:
            if entry:
                yield entry
            entry = {}
        elif b"=" in line:
            name, _, value = line.partition(b"=")
            entry[name.decode("ascii", "replace")] = value.decode("utf-8", "replace")
        else:
            length = int.from_bytes(stream.read(8), "little")
            if length > LONGEST_LINE:
                return
            entry[line.decode("ascii", "replace")] = stream.read(length).decode("utf-8", "replace")
            stream.readline()
    if entry:
        yield entry


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def _batched(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    held: list[bytes] = []
    length = 0
    for line in lines:
        held.append(line)
        length += len(line)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)


# ---- copies ----------------------------------------------------------------------------------------------------------
def head(item: Item, length: int = _HEAD) -> bytes:
    """The first *length* bytes of the log, unpacked."""
    found = b""
    for _, block in blocks(item, 0, length if item.splits else None, length, []):
        found += block
        if len(found) >= length:
            break
    return found[:length]


def without_copies(items: list[Item], notes: list[str]) -> list[Item]:
    """*items* without those that are the beginning of another one (copytruncate, mail.log.1 beside mail.log.1.gz)."""
    heads: dict[bytes, list[Item]] = {}
    for item in items:
        heads.setdefault(head(item, 256), []).append(item)
    dropped: set[str] = set()
    for group in heads.values():
        for item in group if len(group) > 1 else ():
            for other in group:
                if other is item or other.name in dropped or item.name in dropped:
                    continue
                if begins(item, other) and (not begins(other, item) or (other.size, other.name) > (item.size, item.name)):
                    dropped.add(item.name)
                    notes.append(f"{item.name}: left out: a copy of what {other.name} begins with")
    return [i for i in items if i.name not in dropped]


def begins(item: Item, other: Item) -> bool:
    """Whether all of *item* is what *other* begins with."""
    mine, theirs = (blocks(i, 0, None, 1 << 20, []) for i in (item, other))
    left = right = b""
    while True:
        if not left:
            left = next(mine, (0, b""))[1]
            if not left:
                return True
        if not right:
            right = next(theirs, (0, b""))[1]
        length = min(len(left), len(right))
        if not length or left[:length] != right[:length]:
            return False
        left, right = left[length:], right[length:]
