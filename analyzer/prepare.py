"""``XDG_CACHE_HOME=EMPTY python -m analyzer.prepare``: compiles what a first start would have to, for an installation to bring along.

It goes into `cache.BROUGHT`; entries are named by what they are made from, so that what does not fit is never taken.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from analyzer import cache, expressions
from analyzer.batch.compiled import expression_of
from analyzer.batch.needles import parts_of
from analyzer.batch.reader import Reader
from analyzer.diagnose import case_of
from analyzer.formats import FORMAT_FOLDERS
from analyzer.formats.load import compile_format, load_formats, names_in
from analyzer.model.capture import Source
from analyzer.rulebook import load_rules

_CAPTURE = b"220 mx.example.net ESMTP Postfix\r\nNov 20 10:00:00 mx1 postfix/smtpd[1]: connect from a.example[192.0.2.1]\r\n"


def make() -> None:
    """Compile grammars and rules into the user's cache."""
    texts = FORMAT_FOLDERS.texts()
    with ProcessPoolExecutor() as processes:
        every: list[Future[Any]] = [processes.submit(load_rules)]
        every += [processes.submit(compile_format, name, texts) for name in names_in(texts)]
        for one in every:
            one.result()
    formats = load_formats()
    reader = Reader(formats)
    parts_of(reader)
    for fmt in reader.logs:
        expression_of(fmt)
    case_of([Source("capture", _CAPTURE)], load_rules(), formats)
    expressions.keep()


def main() -> None:
    """Into a cache of its own, and what others can use into the package."""
    shutil.rmtree(cache.BROUGHT, ignore_errors=True)
    make()
    Path(cache.BROUGHT).mkdir()
    for entry in Path(os.environ["XDG_CACHE_HOME"], "mailwhy").iterdir():
        if len(entry.suffix) > len(cache.key()) or entry.stem == "expressions":  # the others' names are those of stamps
            shutil.copy(entry, cache.BROUGHT)


if __name__ == "__main__":
    main()
