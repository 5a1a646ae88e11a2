"""Compiled grammars and rules in the user's cache folder.

Written atomically, own files only, and optional: a missing or read-only folder costs time, never a result.  What is made
from files is kept beside their stamp (`resources.stamp`), so that a start reads none of them; what is made from texts is
kept under a key of their content, and an installation brings that along (`hatch_build.py`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from binascii import crc32
from functools import lru_cache
from typing import TypeVar

import msgspec

from analyzer import __version__

BROUGHT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_kept")
_MOST_KEPT = 8  # entries of one name: several installations and checkouts may share the folder
_T = TypeVar("_T")


def key(*parts: str | bytes) -> str:
    """A name for what is compiled from *parts* by this version of mailwhy and Python."""
    from hashlib import blake2b  # takes its time to import, and a start with everything kept needs none

    digest = blake2b(digest_size=16)
    for part in (__version__, sys.version, *parts):
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _folder() -> str | None:
    return _checked(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))


@lru_cache(maxsize=4)
def _checked(base: str) -> str | None:
    path = os.path.join(base, "mailwhy")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    # Somebody else's folder could feed us somebody else's rules.
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return path


def load(name: str, content_key: str) -> bytes | None:
    """What `save` kept under *name* for the same content, or None."""
    for folder in (_folder(), BROUGHT):
        with contextlib.suppress(OSError), open(f"{folder}/{name}.{content_key}", "rb", buffering=0) as file:
            return file.readall()
    return None


def save(name: str, content_key: str, data: bytes) -> None:
    """Keep *data*; older entries of the same *name* go."""
    folder = _folder()
    if folder is None:
        return
    import tempfile  # takes its time to import, and writing is rare

    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, f"{folder}/{name}.{content_key}")
        others = [e for e in os.scandir(folder) if e.name.rpartition(".")[0] == name and e.name != f"{name}.{content_key}"]
        for stale in sorted(others, key=lambda e: e.stat().st_mtime)[: -_MOST_KEPT + 1]:
            os.unlink(stale.path)


def load_for(name: str, stamp: str, kind: type[_T]) -> _T | None:
    """What `save_for` kept under *name* for the same *stamp*, as a *kind*; None also where it is damaged."""
    packed = load(name, _short(stamp))
    if packed is None:
        return None
    try:
        kept, value = msgspec.msgpack.decode(packed, type=tuple[str, kind])  # type: ignore[valid-type]
    except msgspec.MsgspecError:
        return None  # a damaged cache costs time only
    return value if kept == stamp else None


def save_for(name: str, stamp: str, value: object) -> None:
    """Keep *value* for *stamp*."""
    save(name, _short(stamp), msgspec.msgpack.encode((stamp, value)))


def _short(stamp: str) -> str:
    """A name for *stamp*: only a name, since the whole stamp is compared."""
    return f"{crc32(stamp.encode('utf-8', 'surrogatepass')):08x}"
