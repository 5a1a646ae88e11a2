"""The command line: arguments, exit status, and which module does the work."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from analyzer import __version__
from analyzer.errors import MailwhyError
from analyzer.expressions import keep

if TYPE_CHECKING:
    from collections.abc import Sequence

# command -> one line for --help; the module analyzer.cli.<command> has `arguments(parser)` and `run(options) -> int`.
COMMANDS = {
    "diagnose": "diagnose captures: one case from all files, or from standard input (the default command)",
    "trace": "the whole story of a message: address, queue id, message id, host or IP",
    "batch": "logs to incidents",
    "why-not": "why a fault is not the answer: which condition said no, or what is unknown",
    "serve": "the local web page",
    "rules": "list, show, lint, test and measure the rules",
    "faults": "list and show the faults",
    "vocabulary": "the kinds of events and things, with their fields",
}
USAGE = 2


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run, and leave with the exit status: 0 healthy, 1 a fault, 2 bad usage or input, 3 inconclusive."""
    try:
        status = run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads us has seen enough: `mailwhy ... | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except MailwhyError as error:
        for line in str(error).splitlines():
            print(f"mailwhy: {line}", file=sys.stderr)
        status = USAGE
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def run(argv: list[str]) -> int:
    """The exit status of the command that *argv* names."""
    command = next((a for a in argv if not a.startswith("-")), None)
    if argv and argv[0] in {"-h", "--help", "--version"}:
        _parser().parse_args(argv)
        return 0
    if command in COMMANDS and argv.index(command) == 0:
        name, rest = command, argv[1:]
    else:
        name, rest = "diagnose", argv
    module = import_module(f"analyzer.cli.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"mailwhy {name}", description=COMMANDS[name], allow_abbrev=False)
    module.arguments(parser)
    status: int = module.run(parser.parse_args(rest))
    keep()
    return status


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="mailwhy",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="mailwhy [diagnose] [FILE ...|-]\n       mailwhy COMMAND [-h] ...",
        description="Why did my mail not arrive? Offline: it never opens a network connection.",
        epilog=f"commands:\n{commands}\n\nexit status: 0 healthy, 1 a fault was diagnosed, 2 bad usage or unreadable input,\n"
        "             3 inconclusive or nothing recognised",
    )
    parser.add_argument("--version", action="version", version=f"mailwhy {__version__}")
    return parser
