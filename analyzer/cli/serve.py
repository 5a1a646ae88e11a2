"""mailwhy serve"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.cli.sources import knowledge
from analyzer.errors import MailwhyError
from analyzer.formats.load import load_formats
from analyzer.rulebook import load_rules
from analyzer.web.app import Server

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--port", type=int, default=8025, help="on 127.0.0.1 (default 8025; 0: any free port)")
    knowledge(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    try:
        server = Server(options.port, load_rules(tuple(options.rules)), load_formats(tuple(options.grammars)))
    except (OSError, OverflowError) as error:
        raise MailwhyError(f"port {options.port}: {getattr(error, 'strerror', None) or 'a port is 0 to 65535'}") from None
    print(f"http://127.0.0.1:{server.server_address[1]}/   (Ctrl-C ends it)", flush=True)
    with server:
        server.serve_forever()
    return 0
