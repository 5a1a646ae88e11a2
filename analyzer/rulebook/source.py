"""YAML with the place of every value."""

from __future__ import annotations

from typing import Any

import yaml

from analyzer.model.place import Mistake

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Path = tuple[str | int, ...]


class Document:
    """One YAML document: its value, and where each part of it stands."""

    def __init__(self, path: str, value: Any, marks: dict[Path, tuple[int, int]]) -> None:
        self.path, self.value, self.marks = path, value, marks

    def mistake(self, at: Path, message: str, hint: str | None = None) -> Mistake:
        """*message* with the place of the part *at*, or of the nearest part above it."""
        while at and at not in self.marks:
            at = at[:-1]
        line, column = self.marks.get(at, (1, 1))
        return Mistake(self.path, line, column, message, hint)


def documents(path: str, text: str) -> tuple[list[Document], list[Mistake]]:
    """The documents of *text*, and what YAML itself finds wrong."""
    found: list[Document] = []
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            if node is None:
                continue
            marks: dict[Path, tuple[int, int]] = {}
            loader = _Loader("")
            value = _value(node, (), marks, loader)
            found.append(Document(path, value, marks))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return found, [Mistake(path, line, column, str(error.problem))]
    except yaml.YAMLError as error:
        return found, [Mistake(path, 1, 1, str(error).splitlines()[0])]
    return found, []


def _value(node: Any, at: Path, marks: dict[Path, tuple[int, int]], loader: Any) -> Any:
    marks[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        result = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node)
            if isinstance(key, bool):  # YAML 1.1 takes the words off, on, yes and no for truth values: here they are names
                key = key_node.value
            result[key] = _value(value_node, (*at, key), marks, loader)
            marks[(*at, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*at, i), marks, loader) for i, child in enumerate(node.value)]
    return loader.construct_object(node)
