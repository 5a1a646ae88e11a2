"""Runs what `grammars/` says."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from analyzer import __version__, cache, resources
from analyzer.errors import MissingData

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

GROUP = "mailwhy.formats"


class _Folders:
    """Where grammars come from: our own folder, folders named by the user, packages that offer some."""

    def texts(self, extra: tuple[str, ...] = ()) -> dict[str, str]:
        """Every grammar's text by name.  Raises `MissingData`; a later folder may not hide an earlier one's format."""
        found = {
            path.removesuffix(".lark").rpartition("/")[2]: text for path, text in resources.walk(resources.folder("grammars"), ".lark")
        }
        from pathlib import Path

        for folder in extra:
            if not os.path.isdir(folder):
                raise MissingData(f"{folder}: no such folder of grammars")
            _add(found, folder, Path(folder))
        for package in offered():
            _add(found, package, files(package))
        return found

    def stamp(self, extra: tuple[str, ...] = ()) -> str | None:
        """Changes whenever a grammar, or what we make of it, does; None where that cannot be told without reading them."""
        own = resources.path_of("grammars")
        if own is None or offered() or not all(map(os.path.isdir, extra)):
            return None
        return f"{__version__} {sys.version}\n{resources.stamp(own, *extra, *resources.own('formats', 'model'))}"


def _add(found: dict[str, str], source: str, folder: Traversable) -> None:
    for name, text in resources.walk(folder, ".lark"):
        short = name.removesuffix(".lark").rpartition("/")[2]
        if short in found:
            raise MissingData(f"{source}/{name}: there is a format `{short}` already")
        found[short] = text


def files(package: str) -> Traversable:
    """The folder of *package*.  Raises `MissingData`."""
    from importlib import resources as packages

    try:
        return packages.files(package)
    except (ImportError, TypeError) as error:
        raise MissingData(f"{package}, which offers formats, cannot be read: {error}") from None


def offered() -> tuple[str, ...]:
    """The packages that installed distributions name under the entry point group ``mailwhy.formats``."""
    folders = [(folder, os.stat(folder).st_mtime_ns) for folder in dict.fromkeys(sys.path) if os.path.isdir(folder)]
    stamp = repr(folders)  # installing changes a folder
    if (kept := cache.load_for("offered", stamp, tuple[str, ...])) is not None:
        return kept
    found: set[str] = set()
    for folder, _ in folders:
        try:
            infos = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for info in infos:  # importlib.metadata takes longer to import than this takes to read
            try:
                with open(f"{folder}/{info}/entry_points.txt", encoding="utf-8") as file:
                    text = file.read()
            except (OSError, UnicodeDecodeError):
                continue
            if GROUP in text:
                group = text.partition(f"[{GROUP}]")[2].partition("[")[0]
                found.update(line.partition("=")[2].strip() for line in group.splitlines() if "=" in line)
    cache.save_for("offered", stamp, tuple(sorted(found)))
    return tuple(sorted(found))


FORMAT_FOLDERS = _Folders()
