"""mailwhy why-not FAULT FILE..."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from analyzer.cli.sources import knowledge, sources
from analyzer.diagnose import case_of
from analyzer.errors import MailwhyError
from analyzer.formats.load import load_formats
from analyzer.infer.why import why_not
from analyzer.render.safe import visible
from analyzer.rulebook import load_rules

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("fault", metavar="FAULT")
    parser.add_argument("files", nargs="*", metavar="FILE")
    knowledge(parser)


def run(options: argparse.Namespace) -> int:
    """Print, for each rule that could suggest the fault, what kept it from doing so."""
    book = load_rules(tuple(options.rules))
    if options.fault not in book.faults:
        close = difflib.get_close_matches(options.fault, book.faults, 1)
        raise MailwhyError(f"no fault `{options.fault}`" + (f"; did you mean `{close[0]}`?" if close else ""))
    case = case_of(sources(options.files), book, load_formats(tuple(options.grammars)))
    for line in why_not(options.fault, case, book):
        print(visible(line))
    return 0
