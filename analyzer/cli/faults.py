"""mailwhy faults list|show"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from analyzer.cli.sources import knowledge
from analyzer.errors import MailwhyError
from analyzer.rulebook import load_rules

if TYPE_CHECKING:
    import argparse

    from analyzer.model.rule import Fault, RuleBook


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("what", choices=("list", "show"))
    parser.add_argument("fault", nargs="?")
    knowledge(parser)


def run(options: argparse.Namespace) -> int:
    """Print the faults, or one of them."""
    book = load_rules(tuple(options.rules))
    if options.what == "list":
        for fault in book.faults.values():
            print(f"{fault.fault:<34} {fault.fixed_by:<9} {fault.title}")
        return 0
    if options.fault not in book.faults:
        close = difflib.get_close_matches(options.fault or "", book.faults, 1)
        raise MailwhyError(f"no fault `{options.fault}`" + (f"; did you mean `{close[0]}`?" if close else ""))
    print(page(book.faults[options.fault], book))
    return 0


def page(fault: Fault, book: RuleBook) -> str:
    """All that is known of *fault*."""
    rules = [r for r in book.rules if fault.fault in r.suggests]
    steps = [f"  {i}. {s.do}" + (f"   [{', '.join(s.for_)}]" if s.for_ else "") for i, s in enumerate(fault.steps, start=1)]
    return "\n".join(
        [
            f"{fault.fault}: {fault.title}",
            f"{fault.kind}, severity {fault.severity}, fixed by {fault.fixed_by}",
            "",
            fault.summary,
            "",
            "Steps",
            *steps,
            "",
            f"Fixed when: {fault.verify}",
            *(["", "Message to the other party", fault.message] if fault.message else []),
            "",
            f"Suggested by {len(rules)} rules",
            *(f"  {r.suggests[fault.fault]:.2f} {r.rule}" for r in rules[:40]),
            *(["", "See " + "; ".join(fault.refs)] if fault.refs else []),
        ]
    )
