"""Every grammar: its samples are read, each of its kinds occurs, and the fused expression is exactly Lark's own parse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from lark import Token, Tree
from lark.exceptions import LarkError

from analyzer.batch.compiled import expression_of
from analyzer.formats import FORMAT_FOLDERS
from analyzer.formats.envelope import enveloped
from analyzer.formats.fuse import field_of
from analyzer.formats.load import Format, build_lark, load_formats, names_in, shown
from analyzer.model.capture import Source
from analyzer.read import read
from tests.conftest import SAMPLES
from tests.grammar_lines import Lines
from tests.labelled import formats_in, labelled

if TYPE_CHECKING:
    from lark import Lark

    from analyzer.formats.groups import Kinds

TEXTS = FORMAT_FOLDERS.texts()
NAMES = names_in(TEXTS)
GENERATED = 100_000  # lines, over all formats
_DIGITS = re.compile(r"[0-9]+")

Reading = tuple[str, dict[str, str]] | None


@cache
def formats() -> dict[str, Format]:
    loaded = load_formats()
    return loaded.all | {f.name: f for f in loaded.envelopes}


@cache
def lark_of(name: str) -> Lark:
    return build_lark(name, TEXTS)


@cache
def sample_lines() -> list[tuple[str, str | None, str]]:
    """``(line, program, what the program wrote)`` of every sample file, one for each shape."""
    found: dict[tuple[str | None, str], tuple[str, str | None, str]] = {}
    for path in sorted(SAMPLES.rglob("*")):
        if not path.is_file() or path.name.endswith(".expected.yaml"):
            continue
        for line in read(Source(path.name, path.read_bytes())).lines:
            inner = enveloped(line, load_formats())
            program = inner.envelope.program if inner.envelope else None
            found.setdefault((program, _DIGITS.sub("0", inner.body)), (line.text, program, inner.body))
    return list(found.values())


@cache
def bodies(fmt: Format) -> list[str]:
    """The sample lines that may be *fmt*'s."""
    match fmt.header.over:
        case "envelope":
            return [line for line, _, _ in sample_lines()]
        case "log":
            return [body for _, program, body in sample_lines() if program and fmt.takes(program)]
        case _:
            return [body for _, program, body in sample_lines() if program is None or fmt.takes(program)]


def by_lark(lark: Lark, text: str) -> Reading:
    """What Lark's own parser reads in *text*."""
    try:
        tree = lark.parse(text)
    except LarkError:
        return None
    values: dict[str, str] = {}
    _collect(tree, values)
    kind = _kind(tree)
    assert kind is not None
    return kind, values


def _collect(tree: Tree[Token], values: dict[str, str]) -> None:
    for child in tree.children:
        if isinstance(child, Token):
            values.setdefault(field_of(child.type), str(child))
        else:
            _collect(child, values)


def _kind(tree: Tree[Token]) -> str | None:
    if tree.data != "start" and not tree.data.startswith("_"):
        return str(tree.data)
    return next((kind for child in tree.children if isinstance(child, Tree) and (kind := _kind(child))), None)


def differences(name: str, lines: list[str]) -> list[tuple[str, Reading, Reading]]:
    fmt, lark = formats()[name], lark_of(name)
    return [(text, fused, own) for text in lines if shown(text) is text and (fused := fmt.fields(text)) != (own := by_lark(lark, text))]


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_the_header_are_read(name: str) -> None:
    fmt = formats()[name]
    assert not [s for s in fmt.header.samples if fmt.alias_of(s) is None]


@pytest.mark.parametrize("name", NAMES)
def test_fused_is_lark_on_samples(name: str) -> None:
    fmt = formats()[name]
    assert differences(name, [*fmt.header.samples, *bodies(fmt)])[:3] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fused_is_lark_on_generated_lines(name: str) -> None:
    lines = list(Lines(lark_of(name), seed=len(name)).lines(GENERATED // len(NAMES)))
    assert any(formats()[name].fields(text) for text in lines)
    assert differences(name, lines)[:3] == []


@pytest.mark.parametrize("name", NAMES)
def test_low_numbers_of_groups_mean_the_same(name: str) -> None:
    fmt = formats()[name]
    low = expression_of(fmt)
    assert low.pattern.groups < max(20, fmt.regex_bytes.groups)

    def told(found: re.Match[bytes] | None, kinds: Kinds) -> object:
        if found is None or not found.lastindex:
            return None
        alias, fields = kinds[found.lastindex]
        return alias, [(field, found.span(group)) for group, field in fields]

    lines = [*fmt.header.samples, *bodies(fmt), *Lines(lark_of(name), seed=5).lines(300)]
    lines += [text[: len(text) * 3 // 4] + other[len(other) // 2 :] for text, other in pairwise(lines)]
    for text in lines:
        line = text.encode()
        assert told(low.pattern.match(line), low.kinds) == told(fmt.regex_bytes.match(line), fmt.compiled.kinds), text


def test_a_grammar_is_fused_to_the_same_form_in_every_process() -> None:
    code = (
        "from analyzer.formats import FORMAT_FOLDERS; from analyzer.formats.fuse import fuse; from analyzer.formats.load import build_lark; "
        "print(fuse(build_lark('postfix-postscreen', FORMAT_FOLDERS.texts()), 'x').pattern)"
    )
    forms = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in "012"
    }
    assert len(forms) == 1


def test_kept_code_of_another_form_of_an_expression_is_not_taken(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fmt = formats()["postfix-postscreen"]
    kinds = dict(fmt.compiled.kinds)
    kinds.pop(max(kinds))
    other = msgspec.structs.replace(fmt.compiled, kinds=kinds, numbers={g: n + 1 for g, n in fmt.compiled.numbers.items()})
    expression_of(Format(fmt.head, other))
    low, line = expression_of(fmt), b"CONNECT from [192.0.2.77]:37556 to [198.51.100.25]:25"
    found, plain = low.pattern.match(line), fmt.regex_bytes.match(line)
    assert found is not None
    assert plain is not None
    assert low.kinds[found.lastindex or 0][0] == fmt.compiled.kinds[plain.lastindex or 0][0] == "connected_client"


@pytest.mark.parametrize("name", NAMES)
def test_how_a_format_begins_is_how_its_lines_begin(name: str) -> None:
    fmt = formats()[name]
    begins = re.compile(fmt.head.begins, re.ASCII)
    lines = [*fmt.header.samples, *bodies(fmt), *Lines(lark_of(name), seed=3).lines(300)]
    # A blank that copying left at the end is no part of a line.
    lines = [text.rstrip(" ") if fmt.fields(text) is None else text for text in lines]
    assert [text for text in lines if fmt.alias_of(text) and not begins.match(shown(text))][:5] == []


@pytest.mark.parametrize("name", [n for n in NAMES if formats()[n].header.wakes])
def test_what_wakes_a_format_is_in_its_lines(name: str) -> None:
    fmt = formats()[name]
    lines = [*fmt.header.samples, *bodies(fmt), *Lines(lark_of(name), seed=7).lines(2_000)]
    strong = [text for text in lines if fmt.says(text) and fmt.alias_of(text) not in fmt.header.weak]
    if fmt.header.over == "log":
        strong = [text for text in strong if fmt.is_bare(text)]
    assert strong
    assert [text for text in strong if not fmt.may_be_in(text)][:5] == []


# Kinds that no sample shows yet; this list may only shrink.
OWED = {
    "dig": frozenset("ede_raw no_ns nssearch referral server_unknown short_soa typed_bare unsigned validated".split()),
    "host": frozenset("absent indented name_server nameserver other typed_bare unknown_server".split()),
    "nslookup": frozenset("aaaa_address alias_of no_records rdata_record timed_out unknown_server".split()),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_occurs(name: str) -> None:
    fmt = formats()[name]
    read_ = {fmt.alias_of(text) for text in [*fmt.header.samples, *bodies(fmt)]}
    missing = {alias for alias, _ in fmt.compiled.kinds.values()} - read_
    owed = OWED.get(name, frozenset())
    assert not missing - owed, f"no header sample and no sample file shows {', '.join(sorted(missing - owed))}"
    assert not owed - missing, f"no longer owed: {', '.join(sorted(owed - missing))}"


LEAST_SAMPLES = 5
# Not formats of somebody's software: what wraps the lines of others, what reads what no other format wants, and what somebody cut.
WITHOUT_SAMPLES = {n for n in NAMES if formats()[n].header.over in {"envelope", "prose"} or formats()[n].header.pasted}


@cache
def samples_of() -> dict[str, list[str]]:
    """The labelled samples that tell where they come from, by the formats that read a line of theirs."""
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    for sample in labelled():
        for name in formats_in(sample.capture) if sample.wanted.get("origin") else ():
            if name in found:
                found[name].append(sample.name)
    return found


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITHOUT_SAMPLES])
def test_a_format_has_samples_enough(name: str) -> None:
    assert len(samples_of()[name]) >= LEAST_SAMPLES, samples_of()[name]


def test_a_line_costs_no_more_than_with_lark() -> None:
    """A guard against expressions that grow out of hand."""
    name = "postfix"
    lines = bodies(formats()[name])[:400]
    lark, fmt = lark_of(name), formats()[name]
    fmt.regex
    start = time.process_time()
    for text in lines:
        fmt.fields(text)
    middle = time.process_time()
    for text in lines:
        by_lark(lark, text)
    end = time.process_time()
    assert middle - start < end - middle


@pytest.mark.parametrize("name", NAMES)
def test_hostile_lines_cost_linear_time(name: str) -> None:
    """Strangers write into logs: no repetition may make an expression slow."""
    fmt = formats()[name]
    fmt.regex.match("")
    pieces = {
        "a",
        " ",
        "[",
        "<",
        "(",
        ",",
        ";",
        ": ",
        " from a",
        " after A",
        "a[1]: ",
        ", sasl_user",
        "; from",
        " (in reply to",
        "queued as ",
        "= ",
    }
    starts = ["", *fmt.header.samples[:40]]
    slow = []
    for piece in sorted(pieces):
        for start in starts:
            text = start[: len(start) // 2] + piece * (6_000 // len(piece))
            begin = time.process_time()
            fmt.fields(text)
            if time.process_time() - begin > 1.0:  # quadratic ones take far longer
                slow.append((start, piece))
    assert not slow
