"""What people do to a capture before they paste it does not change the answer."""

from __future__ import annotations

import html
import re
import textwrap
from pathlib import Path

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source
from tests import draw

SAMPLES = Path(__file__).parents[2] / "samples"
EVERY = [p for p in sorted(SAMPLES.rglob("*")) if p.suffix in {".txt", ".log"} and p.with_name(p.stem + ".expected.yaml").exists()]
CAPTURES = draw.share(EVERY, 6, lambda p: str(p.relative_to(SAMPLES)))
HEALTHY = [p for p in EVERY if "verdict: healthy" in p.with_name(p.stem + ".expected.yaml").read_text(encoding="utf-8")]
LEAST_KEPT = 0.98


def quoted(text):
    return "".join(f"> {line}\n" for line in text.splitlines())


def quoted_twice(text):
    return quoted(quoted(text))


def fenced(text):
    return f"Hello,\n\n```\n{text}\n```\n"


def indented(text):
    return "".join(f"    {line}\n" for line in text.splitlines())


def numbered(text):
    if len(text.splitlines()) < 4:
        return text  # one number before one line proves nothing
    return "".join(f"{n:5}\t{line}\n" for n, line in enumerate(text.splitlines(), start=1))


def crlf(text):
    return text.replace("\n", "\r\n")


def spaced(text):
    return text.replace("\n", "\n\n")


def web_page(text):
    return f"<html><body><p>Log:</p>\n<pre>\n{html.escape(text, quote=False)}\n</pre></body></html>\n"


def with_prose(text):
    return f"Dear helpdesk, our mail does not arrive. Please look at this:\n\n{text}\n\nThank you.\n"


def utf16(text):
    return text.encode("utf-16")


def grepped(text):
    return "".join(f"mail.log:{n}:{line}\n" for n, line in enumerate(text.splitlines(), start=101))


def typeset(text):
    """What a word processor or a wiki makes of quotes, hyphens and dots."""
    return re.sub(r'"([^"\n]*)"', "\u201c\\1\u201d", text).replace("'", "\u2019").replace("...", "\u2026")


def from_a_web_terminal(text):
    """Lines padded to the width of the screen, with hard spaces in places."""
    return "".join(line.replace("  ", " \u00a0").ljust(80) + "\n" for line in text.splitlines())


def tabbed(text):
    """A tab for each run of spaces between words, as an editor may do."""
    return re.sub(r"(?<=\S) {2,}(?=\S)", "\t", text)


def wrapped(text):
    """Long lines broken by a mail program."""
    return "".join(
        "\n".join(textwrap.wrap(line, 78, break_long_words=False, break_on_hyphens=False)) + "\n" if len(line) > 78 else line + "\n"
        for line in text.splitlines()
    )


def newest_first(text):
    lines = text.splitlines()
    return "\n".join(reversed(lines)) + "\n" if all(LOG_LINE.match(line) for line in lines) else text


def local_parts_hidden(text):
    return re.sub(r"[\w.+-]+@(?=[\w-]+\.)", "xxx@", text)


def addresses_hidden(text):
    """All of them, also those of every house (127.0.0.1, 10.0.0.1), which hardly anybody hides."""
    if "in-addr.arpa" in text or " -x " in text:
        return text  # a question about an address: without it there is no question
    return re.sub(r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b", "x.x.x.x", text)


LOG_LINE = re.compile(r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} |[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]")
MORE = [grepped, typeset, from_a_web_terminal, tabbed, wrapped, newest_first, local_parts_hidden, addresses_hidden]
MUTATIONS = [*MORE, quoted, quoted_twice, fenced, indented, numbered, crlf, spaced, web_page, with_prose, utf16]


UNCHANGED = {}  # the answer to each capture as it is, asked once for all mutations


def answer(data, book, formats):
    if isinstance(data, str):
        data = data.encode()
    report = diagnose([Source("capture", data)], book, formats)
    return report.verdict, [d.fault for d in report.diagnoses[:1]]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda m: m.__name__)
def test_a_mutation_keeps_the_answer(mutate, book, formats):
    changed = []
    done = 0
    for path in CAPTURES:
        text = path.read_text(encoding="utf-8", errors="replace")
        if path not in UNCHANGED:
            UNCHANGED[path] = answer(text, book, formats)
        before = UNCHANGED[path]
        after = answer(mutate(text), book, formats)
        done += 1
        if before != after:
            changed.append((path.name, before, after))
    assert done > 100
    assert len(changed) <= (1 - LEAST_KEPT) * done, changed


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda m: m.__name__)
def test_a_mutation_makes_nothing_healthy_ill(mutate, book, formats):
    assert len(HEALTHY) > 100
    sick = []
    for path in HEALTHY:
        verdict, faults = answer(mutate(path.read_text(encoding="utf-8", errors="replace")), book, formats)
        if verdict == "faulty":
            sick.append((path.name, faults))
    assert sick == []


# ---- two at once -----------------------------------------------------------------------------------------------------
def head_cut(text):
    """Stamp, host and process id cut from each line of a log."""
    return re.sub(r"(?m)^[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} \S+ (?=[a-z/-]+\[[0-9]+\]: )", "", text)


PAIRS = [
    (wrapped, quoted),
    (head_cut, quoted),
    (head_cut, wrapped),
    (addresses_hidden, wrapped),
    (local_parts_hidden, web_page),
    (grepped, wrapped),
    (newest_first, addresses_hidden),
    (typeset, indented),
]
SOME = draw.some(CAPTURES, 15, lambda p: str(p.relative_to(SAMPLES)))
MOST_CHANGED = 1  # of each pair


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0].__name__}-{p[1].__name__}")
def test_two_mutations_keep_the_answer(pair, book, formats):
    changed, done = [], 0
    for path in SOME:
        text = path.read_text(encoding="utf-8", errors="replace")
        both = pair[1](pair[0](text))
        if both == text:
            continue
        if path not in UNCHANGED:
            UNCHANGED[path] = answer(text, book, formats)
        after = answer(both, book, formats)
        done += 1
        if UNCHANGED[path] != after:
            changed.append((path.name, UNCHANGED[path], after))
    assert done >= 3
    assert len(changed) <= MOST_CHANGED, changed
