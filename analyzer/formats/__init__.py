"""Runs what `grammars/` says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer import resources
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
        for folder in extra:
            path = Path(folder)
            if not path.is_dir():
                raise MissingData(f"{folder}: no such folder of grammars")
            _add(found, folder, path)
        for package in offered():
            _add(found, package, files(package))
        return found


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
    found: set[str] = set()
    for folder in map(Path, sys.path):
        try:
            infos = [p for p in folder.iterdir() if p.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for info in infos:  # importlib.metadata takes longer to import than this takes to read
            try:
                text = (info / "entry_points.txt").read_text(encoding="utf-8")
            except OSError:
                continue
            if GROUP in text:
                group = text.partition(f"[{GROUP}]")[2].partition("[")[0]
                found.update(line.partition("=")[2].strip() for line in group.splitlines() if "=" in line)
    return tuple(sorted(found))


FORMAT_FOLDERS = _Folders()
