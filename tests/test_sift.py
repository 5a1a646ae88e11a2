"""What is compiled does what Python does, on good lines, damaged lines and noise."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from array import array
from datetime import UTC
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from analyzer.batch import sift, sources
from analyzer.batch.engines import knowledge
from analyzer.batch.heads import linear, other_than
from analyzer.batch.net import _OF_EXIM, Finder
from analyzer.batch.run import Options, tasks_of, years_of
from analyzer.batch.scan import Knowledge, scan
from analyzer.batch.stamps import Clock, Years
from analyzer.rulebook import load_rules
from tests.bench.generate import exim, mixed, opensmtpd, postfix, sendmail

KEY = ((), ())
needs_library = pytest.mark.skipif(not sift.compiled(), reason="sift.c was not compiled: no C compiler here")


def test_where_there_is_a_compiler_the_library_is_compiled():
    if not any(shutil.which(c) for c in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler here")
    assert sift.compiled()


def noise(r, words, size):
    """Bytes in which *words* and parts of them are frequent."""
    out = bytearray()
    while len(out) < size:
        word = r.choice(words)
        out += r.choice([word, word[: r.randrange(len(word))], word[:-1] + b"?", b"\n", bytes([r.randrange(256)]), b"abc"])
    return bytes(out)


class Texts:
    """As much of a `Search` as `anchored` asks for."""

    def __init__(self, texts, gaps=(), ids=1):
        self.texts, self.gaps, self.anchors, self.ids, self.marks = texts, list(gaps), len(gaps), len(texts) - ids, [None] * len(texts)


@needs_library
@pytest.mark.parametrize("seed", range(40))
def test_texts_are_found_where_python_finds_them(seed):
    r = random.Random(seed)
    texts = {bytes(r.choices(b"ab: =\xff", k=r.randrange(3, 9))) for _ in range(r.randrange(1, 90))}
    texts = tuple(sorted({t for t in texts if not any(o != t and o in t and not t.startswith(o) for o in texts)}))
    block = noise(r, texts, 5_000)[: r.randrange(5_000)]
    found = sift.anchored(Texts(texts), frozenset(), frozenset({b"x"}), 1)
    found.find(block)
    rows = found.rows()
    assert [r[3] for r in rows] == [block.rfind(b"\n", 0, s) + 1 for _, s, _, _ in rows]
    last = len(texts) - 1
    others, ids = (Finder(texts, which, automaton=False).find(block) for which in (range(last), [last]))
    assert [r[:3] for r in rows if r[0] < last] == others
    assert [r[:3] for r in rows if r[0] == last] == ids
    assert found.rows(ids=True) == [r for r in rows if r[0] == len(texts) - 1]
    assert array("I", found.lines()).tolist() == list(dict.fromkeys(r[3] for r in rows if r[0] < len(texts) - 1))


@needs_library
@pytest.mark.parametrize("seed", range(40))
def test_few_texts_are_found_where_python_finds_them(seed):
    r = random.Random(seed)
    texts = [bytes(r.choices(b"ab: =\xff", k=r.randrange(2, 40))) for _ in range(r.randrange(1, sift.MOST_FEW + 1))]
    block = noise(r, texts, 3_000)[: r.randrange(3_000)]
    expected = [(n, m.start(), m.start() + len(t)) for n, t in enumerate(texts) for m in re.finditer(b"(?=%b)" % re.escape(t), block)]
    assert list(sift.Few(texts, r.choice([b"", block])).find(block)) == sorted(expected, key=lambda f: f[1])


@needs_library
@pytest.mark.parametrize("least", [3, 6, 7, 9, 11, 16, 23])
@pytest.mark.parametrize("seed", range(8))
def test_many_ids_are_found_where_python_finds_them(seed, least):
    r = random.Random(seed)
    ids = tuple(sorted({bytes(r.choices(b"ab1-", k=least + r.choice([0, 0, 1, 5]))) for _ in range(r.randrange(100, 400))}))
    texts = (b": x", b"=yz", *ids)
    block = noise(r, texts, 8_000)[: r.randrange(8_000)]
    found = sift.anchored(Texts(texts, ids=len(ids)), frozenset(), frozenset({b"x"}), 1)
    found.find(block)
    rows = found.rows()
    assert [r[:3] for r in rows if r[0] < 2] == Finder(texts, [0, 1], automaton=False).find(block)
    assert [r[:3] for r in rows if r[0] >= 2] == Finder(texts, range(2, len(texts)), automaton=False).find(block)
    assert sorted(found.rows(ids=True)) == sorted(r for r in rows if r[0] >= 2)
    assert all(r[3] == block.rfind(b"\n", 0, r[1]) + 1 for r in rows)


@needs_library
def test_anchors_count_where_a_queue_id_stands_before_them():
    texts = (b": from=<", b": to=<", b"3F2A")
    block = b"x ABCDE1: from=<a> ABCDE2: to=<b> 3F2A: to=<c>\n: to=<d>"
    names = frozenset({b"ABCDE1", b"123F2A"})
    found = sift.anchored(Texts(texts, (0, 0)), names, frozenset(n[-4:] for n in names), 4)
    found.find(block)
    assert [(texts[n], s) for n, s, *_ in found.rows()] == [(b": from=<", 8), (b"3F2A", 34), (b": to=<", 38)]


@needs_library
@pytest.mark.parametrize("seed", range(40))
def test_other_heads_are_found_where_the_expression_finds_them(seed):
    r = random.Random(seed)
    heads = [b" mx%d %b%c" % (r.randrange(3), r.choice([b"a/b", b"a/bc", b"d"]), r.choice(b"[:")) for _ in range(5)]
    lines = [b"%cab%b 1: x" % (r.choice(b"AN"), r.choice(heads)) for _ in range(60)]
    lines[r.randrange(1, 60)] = r.choice([b"Nab mx1 a/x[", b"2ab" + heads[0], b"N", b"", b"Nab", b"Nab mx1 ", b"Nab\xff"])
    block = b"\n".join(lines) + b"\n"
    search = linear(rb"\n(?:[^A-Z\n]|[^\n]{3}%b)" % other_than(heads)).search
    wanted = search(block)
    assert sift.Heads(heads, 3, b"AZ").search(block, 0) == (wanted.start() + 1 if wanted else -1)


@needs_library
def test_lines_are_strange_that_do_not_begin_as_exims_do():
    known = sift.behind_lengths([b"<= ", b"Completed"])
    usual = b"2026-11-20 00:00:00 1abcde-000001-G7 <= a@b.example\n2026-11-20 00:00:00 1abcde-000000001ab-00AB Completed\n"
    block = usual + b"\n20\n2026-11-20 00:00:00 1abcde-000001-G7 => x\n" + usual + b"no end"
    at = len(usual)
    assert sift.strange_lines(block, known, 2) == ([at + 4], [at, at + 1, len(block) - 6])
    many = b"x\n" * 5_000
    assert sift.strange_lines(many, known, 2) == ([], list(range(0, 10_000, 2)))


@needs_library
@pytest.mark.parametrize("seed", range(20))
def test_lines_are_surely_exims_that_the_expression_says_so_of(seed):
    r = random.Random(seed)
    good = [
        b"2026-11-20 00:00:00 1abcde-000001-G7 ** x",
        b"2026-11-20 00:00:00 1abcde-000000001ab-00AB == x",
        b"2026-11-20 00:00:00 [123] 1abcde-000001-G7 rejected",
        b"2026-11-20 00:00:00 H=a [192.0.2.1] rejected",
        b"2026-11-20 00:00:00 [1234567890] H=",
    ]
    lines = []
    for _ in range(500):
        line = bytearray(r.choice(good))
        for _ in range(r.randrange(3)):
            at = r.randrange(len(line))
            line[at : at + r.randrange(2)] = r.choice([b"", b"-", b" ", b"0", b"a", b"[", b"\xff"])
        lines.append(bytes(line[: r.choice([len(line), r.randrange(len(line) + 1)])]))
    block = b"\n".join(lines) + b"\n"
    own, others = sift.strange_lines(block, b"", 0)
    begins = {m.start(): m[0] for m in re.finditer(rb"(?m)^.*$", block[:-1])}
    # What the expression takes for Exim's, of stamps without fractions and zones; it does not ask where in the stamp digits are.
    exims = {b for b, line in begins.items() if _OF_EXIM.match(line) and re.match(rb"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d (?![+-])", line)}
    assert set(own) == exims
    assert sorted([*own, *others]) == sorted(begins)


DELIVERIES = ("status=sent", "=> ", "stat=Sent", 'result="Ok"', "saved mail")


def damaged(lines, r):
    """With lines between them that are damaged: not deliveries, as of those that are alike only one is read."""
    for _ in range(len(lines) // 3):
        i = r.randrange(len(lines))
        if any(t in lines[i] for t in DELIVERIES):
            continue
        at = r.randrange(len(lines[i]))
        words = [
            "",
            "@",
            "[",
            " [",
            "to=",
            ", delay",
            " relay=",
            " delay=",
            " to=<",
            "-> ",
            "-",
            "\n",
            "\r\n",
            ": client=",
            "status=sent ",
            "\x00",
        ]
        lines.insert(i, lines[i][:at] + r.choice([*words, ", sasl_username=eve", " A=login:eve"]) + lines[i][at + r.randrange(3) :])
    return lines


@needs_library
@pytest.mark.parametrize("maker", [postfix, exim, sendmail, opensmtpd, mixed])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_range_tells_the_same_with_and_without_it(tmp_path, monkeypatch, maker, seed):
    r = random.Random(seed)
    (tmp_path / "log").write_text("".join(damaged(list(maker(150_000, 0.4, seed)), r)), newline="")
    items, _ = sources.find([str(tmp_path / "log")])
    (task,) = tasks_of(items, years_of(items), Options(block=20_000))
    formats, book = knowledge(*KEY).reader.formats, load_rules(())
    fast = scan(task, Knowledge(formats, book))
    monkeypatch.setattr(sift, "_C", None)
    slow = scan(task, Knowledge(formats, book))
    assert fast.groups.keys() == slow.groups.keys()
    assert fast == slow
    assert fast.sent
    assert fast.counts["received"] > 50


NAMES = [b"gmail-smtp-in.l.google.com", b"gmail.com", b"outlook.com", b"mx1.example.net", b"host.example"]
CODES = [b"250", b"421", b"450", b"452", b"535", b"550", b"552", b"554"]
KINDS = {c: kind for kind in (b"0123456789", b"abcdef", b"ghijklmnopqrstuvwxyz", b"ABCDEF", b"GHIJKLMNOPQRSTUVWXYZ") for c in kind}


def others(line, r):
    """*line* with other tokens in the places of some, as servers write them."""
    out, at = b"", 0
    for token in sift.tokens_of(line) or ():
        word = line[token.start : token.end]
        if r.random() < 0.75 or len(word) == 1:
            continue
        new = bytes(r.choice(KINDS.get(c, bytes([c]))) for c in word)
        if b"." in word and not word.replace(b".", b"").isdigit() and r.random() < 0.3:
            new = r.choice(NAMES)
        elif word in CODES:
            new = r.choice(CODES)
        out += line[at : token.start] + new
        at = token.end
    return out + line[at:]


@needs_library
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lines_that_are_alike_tell_what_each_tells_that_is_read(tmp_path, seed):
    """Lines of every kind of every format, with other tokens in them."""
    known, lines, varied = knowledge(*KEY).reader, [], []
    for fmt in known.logs:
        program = next((p.replace("*", "x") for p in fmt.header.programs if "[" not in p and "(" not in p and " " not in p), "")
        for sample in fmt.header.samples:
            head = "" if fmt.header.over == "text" else f"Nov 20 03:00:00 mx4 {program}[77]: "
            r = random.Random(f"{seed} {sample}")  # a new sample changes nothing for the others
            if "\n" not in sample and r.random() < 0.5:
                line = f"{head}{sample}".encode()
                lines += [line] * 3
                varied += [others(line, r) for _ in range(8)]
    (tmp_path / "log").write_bytes(b"\n".join(lines + varied) + b"\n")
    items, _ = sources.find([str(tmp_path / "log")])
    (task,) = tasks_of(items, years_of(items), Options(block=8_192))
    formats, book = known.formats, load_rules(())
    fast = scan(task, Knowledge(formats, book))
    slow = scan(msgspec.structs.replace(task, use_lanes=False), Knowledge(formats, book))
    assert len(slow.groups) > 500
    assert fast.groups.keys() == slow.groups.keys()
    assert fast.groups == slow.groups


@needs_library
def test_a_token_too_short_for_its_field_is_left_to_be_read():
    """The new numbers of what lines are alike in are those of rows, in their order."""
    lines = [b"Nov 20 03:00:00 mx4 smtpd: id=%b to=<a@b.example>\n" % i for i in (b"12345678ab", b"1234abcd", b"87654321ab", b"99999999ab")]
    block, begins = b"".join(lines), [sum(map(len, lines[:n])) for n in range(4)]
    lanes, packed = sift.Lanes(), array("I", begins).tobytes()
    _, left = lanes.take(block, packed)
    form = left[0][2] - 1
    count = len(sift.tokens_of(lines[0]))
    at = next(n for n, t in enumerate(sift.tokens_of(lines[0])) if lines[0][t.start : t.end] == b"12345678ab")
    inside = array("h", [at - 1, 11, sift.INSIDE + at, 9, *(sift.NO_FIELD * 4)]).tobytes()
    lanes.learn(form, bytes(n == at for n in range(count)), inside)
    fresh, left = lanes.take(block, packed)
    assert [row.alike for row in fresh] == [0, 1, 2]
    assert [row.fields[0] for row in fresh] == [b"12345678a", b"87654321a", b"99999999a"]
    assert fresh == lanes.rows()
    assert left == [(begins[1], begins[1] + len(lines[1]) - 1, 0)]
    assert lanes.take(block, packed) == ([], left)


@needs_library
def test_check_sums_are_zlibs():
    r = random.Random(1)
    for size in (0, 1, 7, 8, 9, 100, 1001):
        data = r.randbytes(size)
        assert sift._C.crc_of(data, size) == crc32(data)


@needs_library
@pytest.mark.parametrize(
    "stamp", [b"Nov 20 03:00:00", b"Nov 20 03:00:00.25", b"2026-11-20T03:00:00.123456+01:00", b"2026-11-20 03:00:00,5", b"junk"]
)
def test_a_time_is_the_same_without_fractions(stamp):
    seen = []
    lanes, line = sift.Lanes(), stamp + b" mx4 smtpd: a"
    _, ((_, _, form),) = lanes.take(line, bytes(4))
    tokens = sift.tokens_of(line)
    last = max((n for n, t in enumerate(tokens) if t.end <= len(stamp)), default=-1)
    behind = len(stamp) - (tokens[last].end if last >= 0 else 0)
    lanes.learn(form - 1, bytes(len(tokens)), array("h", [-1, 0, last, behind, *(sift.NO_FIELD * 4)]).tobytes())
    fresh, _ = lanes.take(line, bytes(4))
    lanes.tells(lanes.sum(b"mx4"))
    assert lanes.add(0, None, lambda s: seen.append(s) or 5, 0) == len(fresh) == 1
    clock = Clock(Years(2026, 11 * 32 + 20, 11 * 32 + 20), UTC)
    assert [clock.seconds(s) for s in seen] == [clock.seconds(stamp)]


@needs_library
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 4_079, 4_080, 4_081, 9_000])
def test_ends_of_lines_are_counted(count):
    block = b"a\n\n"[: count % 4] + b"\n" * count + b"x" * (count % 19)
    assert sift.count_lines(block) == block.count(b"\n")


@needs_library
def test_a_library_of_another_source_is_not_taken(tmp_path, monkeypatch):
    (tmp_path / "sift.c").write_text("another")
    monkeypatch.setattr(sift, "SOURCE", str(tmp_path / "sift.c"))
    assert sift._load() is None


def test_without_a_compiler_nothing_is_left_of_an_older_library(tmp_path):
    """What the build's hook does, where `cc` fails."""
    root = Path(__file__).parents[1]
    (tmp_path / "analyzer" / "batch").mkdir(parents=True)
    for name in ("hatch_build.py", "analyzer/batch/sift.c"):
        shutil.copy(root / name, tmp_path / name)
    library = tmp_path / "analyzer" / "batch" / "sift.native"
    library.write_text("old")
    code = (
        "import sys, types\n"
        "module = types.ModuleType('interface')\n"
        "module.BuildHookInterface = object\n"
        "sys.modules |= dict.fromkeys(['hatchling', 'hatchling.builders', 'hatchling.builders.hooks', 'hatchling.builders.hooks.plugin'], module)\n"
        "sys.modules['hatchling.builders.hooks.plugin.interface'] = module\n"
        "import hatch_build, pathlib\n"
        "sys.exit(hatch_build.compiled(pathlib.Path('.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env={"CC": "false", "PATH": "/bin:/usr/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "Python alone" in done.stderr
    assert not library.exists()
