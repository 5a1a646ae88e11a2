"""Compiled grammars and rules in the user's cache folder.

Content-keyed, written atomically, own files only, and optional: a missing or read-only folder costs time, never a result.
"""

from __future__ import annotations

import contextlib
import os
import sys
from hashlib import blake2b
from pathlib import Path

from analyzer import __version__


def key(*parts: str | bytes) -> str:
    """A name for what is compiled from *parts* by this version of mailwhy and Python."""
    digest = blake2b(digest_size=16)
    for part in (__version__, sys.version, *parts):
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _folder() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base) / "mailwhy"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError:
        return None
    # Somebody else's folder could feed us somebody else's rules.
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return path


def load(name: str, content_key: str) -> bytes | None:
    """What `save` kept under *name* for the same content, or None."""
    folder = _folder()
    if folder is None:
        return None
    try:
        return (folder / f"{name}-{content_key}").read_bytes()
    except OSError:
        return None


def save(name: str, content_key: str, data: bytes) -> None:
    """Keep *data*; older entries of the same *name* go."""
    folder = _folder()
    if folder is None:
        return
    import tempfile  # takes its time to import, and writing is rare

    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, folder / f"{name}-{content_key}")
        others = [p for p in folder.glob(f"{name}-*") if p.name != f"{name}-{content_key}"]
        for stale in sorted(others, key=lambda p: p.stat().st_mtime)[:-4]:
            stale.unlink()
