"""``python -m tests.bench.texts LOG``: the texts by which `mailwhy batch` finds the failures in *LOG*, for `rg -F -f` to print the same lines.

None where rg cannot, as a failure's text stands in healthy lines too, that another text tells us to leave out.
"""

from __future__ import annotations

import sys

from analyzer.batch import sources
from analyzer.batch.needles import FAIL
from analyzer.batch.run import Options, tasks_of, years_of
from analyzer.batch.scan import Knowledge, scan
from analyzer.formats.load import load_formats
from analyzer.rulebook import load_rules

# We leave out status=sent; rg is given what stands in failures.
INSTEAD = {b"status=": (b"status=deferred", b"status=bounced")}


def texts_of(log: str) -> list[bytes]:
    """What is searched for, going by the first lines of *log*."""
    known = Knowledge(load_formats(), load_rules())
    items, _ = sources.find([log])
    tally = scan(tasks_of(items, years_of(items), Options(range=4_000_000))[0], known)
    net = known.net(frozenset(tally.formats), (), automaton=True)
    fails = {t for i in tally.formats for t in known.parts[i].needles.of(FAIL)}
    failing = fails.intersection(net.texts[: net.first]).union(net.texts[net.first : net.fails])
    texts = sorted({other for text in failing for other in INSTEAD.get(text, (text,))})
    healthy = [t for t in net.texts[: net.first] if t not in fails]
    return [] if any(t in h for h in healthy for t in texts) else texts


if __name__ == "__main__":
    sys.stdout.buffer.write(b"".join(text + b"\n" for text in texts_of(sys.argv[1])))
