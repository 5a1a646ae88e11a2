"""Options that are written plainly, as most are: argparse takes its time to import, and is asked for the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Plain:
    """Stands for an `argparse.ArgumentParser` of a command that takes files."""

    def __init__(self) -> None:
        self.defaults: dict[str, Any] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._files = ""

    def add_argument(self, *names: str, **how: Any) -> None:
        """As argparse has it, of what the commands use."""
        name = names[-1].lstrip("-").replace("-", "_")
        self.defaults[name] = how.get("default", False if how.get("action") == "store_true" else None)
        if names[0].startswith("-"):
            self._known |= dict.fromkeys(names, how | {"dest": name})
        else:
            self._files = name

    def parsed(self, arguments: Sequence[str]) -> SimpleNamespace | None:
        """What argparse would make of *arguments*; None where it has to be asked."""
        values: dict[str, Any] = dict(self.defaults)
        files: list[str] = []
        rest = iter(arguments)
        ended = False
        for argument in rest:
            if argument == "-" or not argument.startswith("-"):
                if ended or not argument:
                    return None
                files.append(argument)
                continue
            ended = bool(files)
            how = self._known.get(argument)
            if how is None:
                return None
            if how.get("action") == "store_true":
                values[how["dest"]] = True
                continue
            value = _value(next(rest, "-?"), how)
            if value is None:
                return None
            values[how["dest"]] = [*values[how["dest"]], value] if how.get("action") == "append" else value
        return SimpleNamespace(**values | {self._files: files})


def _value(text: str, how: dict[str, Any]) -> Any:
    """*text* as the option's type has it, or None."""
    if not text or (text.startswith("-") and text != "-") or text not in how.get("choices", (text,)):
        return None
    kind: Callable[[str], Any] = how.get("type", str)
    try:
        return kind(text)
    except ValueError:
        return None
