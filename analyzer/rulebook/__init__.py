"""Loads what `rules/` says."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from analyzer import cache, resources
from analyzer.errors import InvalidKnowledge, MissingData
from analyzer.model.place import Mistake
from analyzer.model.rule import RuleBook


@lru_cache(maxsize=4)
def load_rules(extra: tuple[str, ...] = ()) -> RuleBook:
    """The shipped rules and those in the folders *extra*.  Raises `InvalidKnowledge` with every mistake, `MissingData`."""
    shipped = resources.folder("rules")
    stamp = resources.stamp(shipped)
    texts = rule_texts(extra) if stamp is None or extra else None
    key = cache.key(*([stamp] if texts is None else [part for pair in texts for part in pair]))
    if (packed := cache.load("rules", key)) is not None:
        try:
            return msgspec.msgpack.decode(packed, type=RuleBook)
        except msgspec.MsgspecError:
            pass  # a damaged cache costs time only
    book, mistakes = compile_rules(rule_texts(extra) if texts is None else texts)
    if mistakes:
        raise InvalidKnowledge("\n".join(map(str, mistakes)))
    cache.save("rules", key, msgspec.msgpack.encode(book))
    return book


def rule_texts(extra: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """``(path, text)`` of every rule file: ours as ``rules/...``, the user's as they are named."""
    found = [(f"rules/{path}", text) for path, text in resources.walk(resources.folder("rules"), ".yaml")]
    for folder in extra:
        if not Path(folder).is_dir():
            raise MissingData(f"{folder}: no such folder of rules")
        found += [(f"{folder}/{path}", text) for path, text in resources.walk(Path(folder), ".yaml")]
    return found


def compile_rules(texts: list[tuple[str, str]]) -> tuple[RuleBook, list[Mistake]]:
    """A `RuleBook` of *texts*, and every mistake in them."""
    from analyzer.rulebook.load import compile_rules as compile_

    return compile_(texts)
