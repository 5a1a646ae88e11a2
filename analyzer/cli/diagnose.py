"""mailwhy diagnose"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from analyzer.cli.sources import knowledge, sources
from analyzer.diagnose import case_of, diagnose
from analyzer.errors import MailwhyError, UnreadableInput
from analyzer.formats.load import load_formats
from analyzer.model.report import EXIT_STATUS
from analyzer.render import FORMATS, render
from analyzer.rulebook import load_rules

if TYPE_CHECKING:
    import argparse

    from analyzer.formats.load import Formats
    from analyzer.model.capture import Source
    from analyzer.model.report import Report
    from analyzer.model.rule import RuleBook


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="captures, or a folder of them; all are one case; - is standard input")
    parser.add_argument("-f", "--format", choices=FORMATS, default="text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to FILE")
    parser.add_argument("--point-of-view", choices=("sending", "receiving"), help="on whose side you are; else taken from the capture")
    parser.add_argument("--redact", action="store_true", help="replace addresses, names and ids by consistent pseudonyms")
    parser.add_argument("--redacted-capture", action="store_true", help="print the capture itself with pseudonyms, and no report")
    parser.add_argument("--explain", action="store_true", help="show which conditions led to the verdict")
    parser.add_argument("--explain-format", action="store_true", help="show for each line which format it was taken for, and the score")
    parser.add_argument("--pedantic", action="store_true", help="show every remark")
    knowledge(parser)


def run(options: argparse.Namespace) -> int:
    """Diagnose, print, and answer with the exit status."""
    book = load_rules(tuple(options.rules))
    formats = load_formats(tuple(options.grammars))
    found = sources(options.files)
    if options.explain_format:
        from analyzer.cli.explain_format import explain

        print(explain(found, formats))
        return 0
    if options.redact or options.redacted_capture:
        found = _redacted(found, book, formats)
    if options.redacted_capture:
        sys.stdout.buffer.write(b"".join(source.data for source in found))
        return 0
    report = diagnose(found, book, formats, options.point_of_view, events=options.format == "json")
    width = None
    colour = options.output is None and sys.stdout.isatty()
    text = render(
        report,
        options.format,
        sources=found,
        colour=colour,
        width=width,
        explain=options.explain,
        pedantic=options.pedantic,
    )
    if options.output:
        try:
            with open(options.output, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UnreadableInput(f"{options.output}: {error.strerror}") from None
        print(f"mailwhy: wrote {options.output}", file=sys.stderr)
    else:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        print(text, end="" if text.endswith("\n") else "\n")
        if report.verdict == "unrecognised" and options.format == "text":
            from analyzer.cli.near import advice

            print("\n".join(advice(found, formats)))
    return EXIT_STATUS[report.verdict]


def _redacted(found: list[Source], book: RuleBook, formats: Formats) -> list[Source]:
    """*found* with pseudonyms.  Raises `MailwhyError` where the answer would not be the same."""
    from analyzer.redact import redacted

    changed = redacted(found, case_of(found, book, formats), book)
    before, after = (_answer(diagnose(x, book, formats)) for x in (found, changed))
    if before != after:
        raise MailwhyError(f"redaction changes the answer from {before} to {after}: nothing was written; please report this")
    return changed


def _answer(report: Report) -> str:
    return " ".join([report.verdict, *(d.fault for d in report.diagnoses[:1])])
