"""``python -m tests.bench.stories LOG``: `mailwhy batch --jobs 1` with the story of every message that failed, not of examples alone."""

from __future__ import annotations

import sys

import msgspec

from analyzer.batch import run
from analyzer.cli import main

if __name__ == "__main__":
    of_examples = run.sought_of

    def of_all(*arguments):
        sought = of_examples(*arguments)
        return msgspec.structs.replace(sought, whole=sought.ids)

    run.sought_of = of_all
    sys.argv = ["mailwhy", "batch", "--jobs", "1", *sys.argv[1:]]
    sys.exit(main())
