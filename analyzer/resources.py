"""Where `grammars/` and `rules/` live: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import MissingData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable


def folder(name: str) -> Traversable:
    """The shipped folder *name*, ``"grammars"`` or ``"rules"``.  Raises `MissingData`."""
    installed = Path(__file__).parent / "_data" / name  # an installed wheel
    if installed.is_dir():
        return installed
    checkout = Path(__file__).parent.parent  # editable, or not installed at all
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    from importlib.resources import files  # takes its time to import

    packed = files("analyzer") / "_data" / name  # a zip
    if packed.is_dir():
        return packed
    raise MissingData(f"{name}/ is missing beside {Path(__file__).parent}: reinstall mailwhy")


def walk(top: Traversable, suffix: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """``(relative path, text)`` of every file below *top* that ends in *suffix*, sorted."""
    for entry in sorted(top.iterdir(), key=lambda e: e.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from walk(entry, suffix, f"{prefix}{entry.name}/")
        elif entry.name.endswith(suffix):
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")


def stamp(top: Traversable) -> str | None:
    """Names, sizes and times of all files below *top*: changes whenever one of them does; None inside a zip."""
    if not isinstance(top, Path):
        return None
    found: list[str] = []
    todo = [str(top)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    todo.append(entry.path)
                else:
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(sorted(found))
