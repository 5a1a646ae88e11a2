"""The command line: arguments, exit status, and which module does the work."""

from __future__ import annotations

import gc
import os
import sys

from analyzer.errors import MailwhyError

# What takes its time to import is imported below, where an impatient Ctrl-C ends in silence.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn

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
_OF_FILES = frozenset({"diagnose", "batch"})  # commands that take options and files
USAGE = 2
_WIDTH = 78  # of what is said of bad usage: to ask for the terminal's own takes its time
_GARBAGE = 50_000  # things made between two searches for garbage: a paste makes few that refer to each other


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run, and leave with the exit status: 0 healthy, 1 a fault, 2 bad usage or input, 3 inconclusive."""
    try:
        if sys.stdout is None:  # closed by whoever started us
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        status = run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads us has seen enough: `mailwhy ... | head`.
        _write_no_more()
        status = 0
    except MailwhyError as error:
        _complain(str(error))
        status = USAGE
    except MemoryError:
        _complain("not enough memory for this capture; `mailwhy batch` reads large logs")
        status = USAGE
    except OSError as error:  # a full disk, above all; what cannot be read is a MailwhyError
        _write_no_more()
        _complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        status = USAGE
    except KeyboardInterrupt:
        status = 130
    gc.freeze()  # the interpreter would look for garbage twice on its way out, which takes as long as it took to start
    sys.exit(status)


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complain(text: str) -> None:
    from analyzer.render.safe import visible

    if sys.stderr is not None:
        for line in text.splitlines():
            print(f"mailwhy: {visible(line)}", file=sys.stderr)


def run(argv: list[str]) -> int:
    """The exit status of the command that *argv* names."""
    gc.set_threshold(_GARBAGE)
    _import_msgspec()
    from importlib import import_module

    from analyzer.expressions import keep

    command = next((a for a in argv if not a.startswith("-")), None)
    if argv and argv[0] in {"-h", "--help", "--version"}:
        _parser().parse_args(argv)
        return 0
    if command in COMMANDS and argv.index(command) == 0:
        name, rest = command, argv[1:]
    else:
        name, rest = "diagnose", argv
    module = import_module(f"analyzer.cli.{name.replace('-', '_')}")
    status: int = module.run(_options(name, module, rest))
    keep()
    return status


def _import_msgspec() -> None:
    """Import it without typing_extensions, of which it needs nothing that `typing` lacks: a tenth of a start."""
    if "typing_extensions" in sys.modules:
        import msgspec

        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # as if there were none
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]


def _options(name: str, module: Any, rest: list[str]) -> Any:
    """The options in *rest*."""
    if name in _OF_FILES:
        from analyzer.cli.plain import Plain

        plain = Plain()
        module.arguments(plain)
        if (found := plain.parsed(rest)) is not None:
            return found
    import argparse
    from functools import partial

    wide = argparse.HelpFormatter if {"-h", "--help"} & set(rest) else partial(argparse.HelpFormatter, width=_WIDTH)
    parser = argparse.ArgumentParser(prog=f"mailwhy {name}", description=COMMANDS[name], allow_abbrev=False, formatter_class=wide)
    module.arguments(parser)
    return parser.parse_args(rest)


def _parser() -> argparse.ArgumentParser:
    import argparse

    from analyzer import __version__

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
