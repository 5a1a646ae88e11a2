"""Where `grammars/` and `rules/` live: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from analyzer.errors import MissingData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable


def path_of(name: str) -> str | None:
    """The path of the shipped folder *name*, ``"grammars"`` or ``"rules"``; None where it is in no folder (a zip)."""
    package = os.path.dirname(os.path.abspath(__file__))
    installed = f"{package}/_data/{name}"  # an installed wheel
    if os.path.isdir(installed):
        return installed
    checkout = os.path.dirname(package)  # editable, or not installed at all
    if os.path.isfile(f"{checkout}/pyproject.toml") and os.path.isdir(f"{checkout}/{name}"):
        return f"{checkout}/{name}"
    return None


def folder(name: str) -> Traversable:
    """The shipped folder *name*.  Raises `MissingData`."""
    path = path_of(name)
    if path is not None:
        from pathlib import Path

        return Path(path)
    from importlib.resources import files

    packed = files("analyzer") / "_data" / name  # a zip
    if packed.is_dir():
        return packed
    raise MissingData(f"{name}/ is missing beside {os.path.dirname(__file__)}: reinstall mailwhy")


def walk(top: Traversable, suffix: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """``(relative path, text)`` of every file below *top* that ends in *suffix*, sorted."""
    for entry in sorted(top.iterdir(), key=lambda e: e.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from walk(entry, suffix, f"{prefix}{entry.name}/")
        elif entry.name.endswith(suffix):
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")


def reference(name: str) -> Any:
    """What `rules/reference/`*name* holds; None where the rules are missing."""
    import yaml

    try:
        text = next((t for path, t in walk(folder("rules"), name) if path.endswith(f"reference/{name}")), "")
    except MissingData:
        return None
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, in C where PyYAML was built with it
    return yaml.load(text, Loader=fast) if text else None  # noqa: S506


def stamp(*tops: str) -> str:
    """Names, sizes and times of all files below *tops*: changes whenever one of them does."""
    found: list[str] = []
    todo = list(tops)
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__")):
                    continue
                if entry.is_dir():
                    todo.append(entry.path)
                else:
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(sorted(found))


@lru_cache
def sources(package: str, *modules: str) -> tuple[str, ...]:
    """The texts of *modules* of one of our own packages, of all where none is named; none in a zip."""
    from pathlib import Path

    (path,) = own(package)
    try:
        return tuple([text for name, text in walk(Path(path), ".py") if not modules or name.removesuffix(".py") in modules])
    except OSError:
        return ()


def own(*packages: str) -> list[str]:
    """The paths of our own *packages*: what they make of files depends on them, too."""
    return [f"{os.path.dirname(os.path.abspath(__file__))}/{name}" for name in packages]
