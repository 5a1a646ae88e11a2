"""mailwhy rules list|show|lint|test|coverage"""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

from analyzer.cli.sources import knowledge
from analyzer.errors import MailwhyError
from analyzer.rulebook import compile_rules, load_rules, rule_texts

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("what", choices=("list", "show", "lint", "test", "coverage"))
    parser.add_argument("rest", nargs="*", metavar="ID or DIR", help="a rule's id (show), folders of your own rules (lint, test)")
    knowledge(parser)


def run(options: argparse.Namespace) -> int:
    """Do what was asked of the rules."""
    return {"list": _list, "show": _show, "lint": _lint, "test": _test, "coverage": _coverage}[options.what](options)


def _list(options: argparse.Namespace) -> int:
    for rule in load_rules(tuple(options.rules)).rules:
        print(f"{rule.rule:<56} {rule.about:<12} {', '.join(f'{f} {s:g}' for f, s in rule.suggests.items())}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from pathlib import Path

    from analyzer import resources

    book = load_rules(tuple(options.rules))
    for name in options.rest:
        rule = book.rule(name)
        if rule is None:
            close = difflib.get_close_matches(name, [r.rule for r in book.rules], 1)
            raise MailwhyError(f"no rule `{name}`" + (f"; did you mean `{close[0]}`?" if close else ""))
        print(f"# {rule.path}:{rule.line}")
        if rule.dialect is None:
            top = resources.folder("rules")
            own = top.joinpath(rule.path.removeprefix("rules/"))
            print(own.read_text(encoding="utf-8") if own.is_file() else Path(rule.path).read_text(encoding="utf-8"))
        else:
            print(f"{rule.rule}: {rule.suggests}\nexample: {rule.examples[0].input if rule.examples else ''}")
    return 0


def _foreign(folders: list[str]) -> list[str]:
    """Folders of the user's own; a part of ours needs no second loading."""
    from pathlib import Path

    from analyzer import resources

    own = Path(str(resources.folder("rules"))).resolve()
    return [f for f in folders if own not in (Path(f).resolve(), *Path(f).resolve().parents)]


def _lint(options: argparse.Namespace) -> int:
    from analyzer.authoring.lint import lint

    book, mistakes = compile_rules(rule_texts((*options.rules, *_foreign(options.rest))))
    if not mistakes:
        mistakes = lint(book)
    for mistake in mistakes:
        print(mistake)
    print(f"{len(book.rules)} rules, {len(book.faults)} faults, {len(mistakes)} mistakes", file=sys.stderr)
    return 1 if mistakes else 0


def _test(options: argparse.Namespace) -> int:
    from analyzer.authoring.examples import run_examples

    book, mistakes = compile_rules(rule_texts((*options.rules, *_foreign(options.rest))))
    for mistake in mistakes:
        print(mistake)
    failures, done = run_examples(book, only=tuple(options.rest))
    for failure in failures:
        print(failure)
    print(f"{done} examples, {len(failures)} failed", file=sys.stderr)
    return 1 if failures or mistakes else 0


def _coverage(options: argparse.Namespace) -> int:
    from analyzer.authoring.coverage import coverage

    print(coverage(load_rules(tuple(options.rules)), options.rest))
    return 0
