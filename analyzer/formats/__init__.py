"""Runs what `grammars/` says."""

from __future__ import annotations

from pathlib import Path

from analyzer import resources
from analyzer.errors import MissingData


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
            for name, text in resources.walk(path, ".lark"):
                short = name.removesuffix(".lark").rpartition("/")[2]
                if short in found:
                    raise MissingData(f"{folder}/{name}: there is a format `{short}` already")
                found[short] = text
        return found


FORMAT_FOLDERS = _Folders()
