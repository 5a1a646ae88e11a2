"""A capture that is cut, mixed with another one or short of fields never shows a fault that the whole one does not have."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from analyzer.diagnose import case_of, diagnose
from analyzer.model.capture import Source
from analyzer.model.report import SURE
from tests import draw
from tests.labelled import Labelled, labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from analyzer.model.report import Report

LEAST_KEPT = 0.98  # of the answers whose evidence is still there
MOST_SURE = 0.02  # of the damaged captures may show, surely, a fault that the whole one does not even weigh
MARGIN = 3  # lines around the evidence that a cut leaves
ONE_IN = 9
WANTED = {s: s.wanted for s in labelled()}  # read once
ALL = [s for s, wanted in WANTED.items() if not wanted.get("wrong") and not wanted.get("todo")]
SOME = draw.share(ALL, ONE_IN, lambda s: s.name)
HEALTHY = [s for s in ALL if WANTED[s]["verdict"] == "healthy"]
FAULTY = [s for s in ALL if WANTED[s]["verdict"] == "faulty"]
SINGLE = frozenset({"webhook", "reports"})  # one JSON or XML document each: half of one cannot be read


@cache
def text_of(sample: Labelled) -> str:
    return sample.capture.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n")


@pytest.fixture(scope="module")
def ask(book, formats) -> Callable[[str], Report]:
    """Diagnose a text; every line of it is accounted for."""

    def asked(text: str) -> Report:
        report = diagnose([Source("capture", text.encode("utf-8", "surrogateescape"))], book, formats)
        assert report.coverage.recognised + sum(map(len, report.coverage.by_source.values())) == report.coverage.lines
        assert not report.coverage.errors
        return report

    return asked


def first(report: Report) -> tuple[str, str | None]:
    return report.verdict, report.diagnoses[0].fault if report.diagnoses else None


def evidence(report: Report) -> set[int]:
    """The lines on which the first diagnosis rests."""
    return {e.line for e in report.diagnoses[0].evidence} if report.diagnoses else set()


def weighed(sample: Labelled) -> set[str]:
    """The faults that the whole capture speaks for, or at least brings up."""
    whole = sample.report
    return {d.fault for d in whole.diagnoses} | {c.fault for p in whole.problems for c in p.causes} | set(WANTED[sample]["faults"] or ())


@dataclass
class Tally:
    """What became of damaged captures."""

    done: int = 0
    kept: int = 0
    keepable: int = 0

    def __post_init__(self) -> None:
        self.lost: list[object] = []
        self.sure: list[object] = []
        self.ill: list[object] = []

    def add(self, sample: Labelled, after: Report, *, keepable: bool = False) -> None:
        self.done += 1
        if WANTED[sample]["verdict"] == "healthy" and after.verdict == "faulty":
            self.ill.append((sample.name, first(after)))
        elif after.diagnoses and after.diagnoses[0].certainty >= SURE and after.diagnoses[0].fault not in weighed(sample):
            self.sure.append((sample.name, first(sample.report), first(after)))
        if keepable:
            self.keepable += 1
            if first(after) != first(sample.report):
                self.lost.append((sample.name, first(sample.report), first(after)))

    def check(self) -> None:
        assert self.ill == []
        assert len(self.sure) <= MOST_SURE * self.done, self.sure
        assert len(self.lost) <= (1 - LEAST_KEPT) * self.keepable, self.lost


# ---- cut -------------------------------------------------------------------------------------------------------------
def at_the_end(lines: list[str], rng: Random) -> tuple[str, range]:
    """What is left, and the numbers of its lines."""
    k = rng.randrange(1, len(lines))
    return "".join(lines[:k]), range(1, k + 1)


def within_the_last_line(lines: list[str], rng: Random) -> tuple[str, range]:
    k = rng.randrange(len(lines))
    return "".join(lines[:k]) + lines[k][: rng.randrange(len(lines[k]))], range(1, k + 1)


def at_the_start(lines: list[str], rng: Random) -> tuple[str, range]:
    k = rng.randrange(1, len(lines))
    return "".join(lines[k:]), range(k + 1, len(lines) + 1)


def within_the_first_line(lines: list[str], rng: Random) -> tuple[str, range]:
    k = rng.randrange(len(lines))
    return lines[k][rng.randrange(len(lines[k])) :] + "".join(lines[k + 1 :]), range(k + 2, len(lines) + 1)


def at_both_ends(lines: list[str], rng: Random) -> tuple[str, range]:
    a, b = sorted(rng.sample(range(len(lines) + 1), 2))
    return "".join(lines[a:b]), range(a + 1, b + 1)


CUTS = [at_the_end, within_the_last_line, at_the_start, within_the_first_line, at_both_ends]


def sound(sample: Labelled) -> bool:
    """Whether a healthy capture tells of no failure at all.

    One that does is healthy by what follows or stands beside: a second try, another host, mail that went through amid strangers' noise.
    What a cut leaves of it may show the failure alone, and then that is the answer.
    """
    return not sample.report.problems and sample.name not in BY_THE_REST


# The same, but what fails is no problem of its own in the whole: a milter's remark on mail that is taken on a later line, a greeting
# without a name before mail that is taken, a first server that cannot be reached, a zone's line or an answer of which a part is left.
BY_THE_REST = frozenset(
    {
        "opendkim/not-internal",
        "opendkim/key-not-published",
        "opendmarc/fails-but-accepted",
        "telnet/banner-localhost",
        "lab/healthy--second-mx/opensmtpd",
        "lab/healthy--tls-falls-back/receiver",  # handshakes fail before the client comes without TLS
        "zone/namecheap",
        "doggo/doggo-mx",
        "bounce/challenge",  # without its header the answer of a program is what it quotes
        "bounce/absent-person-quotes-a-reply",
        "nslookup/txt",
    }
)


TRIES = 6  # to find a cut that leaves the evidence


def leaves_the_evidence(sample: Labelled, numbers: range, of: int) -> bool:
    """Whether the lines *numbers* of a capture of so many lines hold what the first diagnosis rests on, with a margin."""
    if sample.name.split("/")[0] in SINGLE or "base64" in text_of(sample):
        return False  # a document is whole or nothing, and so is what a bounce encodes
    inside = range(numbers.start + (MARGIN if numbers.start > 1 else 0), numbers.stop - (MARGIN if numbers.stop <= of else 0))
    return bool(sample.report.diagnoses) and all(n in inside for n in evidence(sample.report))


@pytest.mark.parametrize("cut", CUTS, ids=lambda c: c.__name__)
def test_a_cut_shows_no_other_fault(cut, ask):
    tally = Tally()
    for sample in dict.fromkeys([*SOME, *HEALTHY]):
        lines = text_of(sample).splitlines(keepends=True)
        if len(lines) < 2 or (WANTED[sample]["verdict"] == "healthy" and not sound(sample)):
            continue
        rng = random.Random(f"{cut.__name__} {sample.name}")
        cuts = [cut(lines, rng) for _ in range(TRIES)]
        spares = [(left, numbers) for left, numbers in cuts if leaves_the_evidence(sample, numbers, len(lines))]
        left, numbers = spares[0] if spares and tally.done % 2 else cuts[0]
        tally.add(sample, ask(left), keepable=leaves_the_evidence(sample, numbers, len(lines)))
    assert tally.done > 300
    tally.check()


# ---- fields left out -------------------------------------------------------------------------------------------------
HEAD = re.compile(
    r"(?m)^((?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}\S*) )([\w.-]+ )([\w./-]+)(\[[0-9]+\])?: "
)
IN_PASSING = re.compile(r"\b(?:delay|delays|xdelay|pri|size|nrcpts?|class|mailer|proto|daemon|conn_use|bodytype|msgid)=[^ ,\n]*, ")
ANY_PAIR = re.compile(r"\b[\w-]+=[^ ,\n]+, ")


def without(pattern: str, sample: str) -> str:
    return "".join(line for line in sample.splitlines(keepends=True) if not re.match(pattern, line))


def no_process_ids(text: str, rng: Random) -> str:
    return HEAD.sub(lambda m: f"{m[1]}{m[2]}{m[3]}: ", text)


def no_hosts(text: str, rng: Random) -> str:
    return HEAD.sub(lambda m: f"{m[1]}{m[3]}{m[4] or ''}: ", text)


def no_stamps_and_hosts(text: str, rng: Random) -> str:
    return HEAD.sub(lambda m: f"{m[3]}{m[4] or ''}: ", text)


def some_pairs_in_passing(text: str, rng: Random) -> str:
    """Not of Sendmail, whose lines are told from one another by them."""
    return IN_PASSING.sub(lambda m: "" if rng.random() < 0.5 else m[0], text) if HEAD.match(text) and ", stat=" not in text else text


def dig_without_its_frame(text: str, rng: Random) -> str:
    return without(r"; <<>>|;; (?:global|Query time|SERVER|WHEN|MSG SIZE|Got answer)|; EDNS|;; OPT", text) if "; <<>> DiG" in text else text


def dig_without_flags(text: str, rng: Random) -> str:
    """Not where the flags are the evidence: "cd" tells that nothing was validated."""
    return without(r";; flags", text) if "; <<>> DiG" in text and not re.search(r";; flags:[a-z ]* cd\b", text) else text


def is_session(text: str) -> bool:
    return bool(re.search(r"(?m)^\W*220[ -]", text) and re.search(r"(?i)EHLO|HELO", text) and not HEAD.search(text))


def session_without_connecting(text: str, rng: Random) -> str:
    return without(r"(?i)\W*(?:Trying|Connected|Escape character|=== )", text) if is_session(text) else text


def session_without_prompt(text: str, rng: Random) -> str:
    return without(r"\S*[$#] |.*@.*[$#] ", text) if is_session(text) else text


def session_without_extensions(text: str, rng: Random) -> str:
    return without(r"\W*250-", text) if is_session(text) else text


def is_message(text: str) -> bool:
    return bool(re.search(r"(?mi)^(?:content-type:|final-recipient|from: .*mailer-daemon)", text) and not HEAD.search(text))


def message_without_mime(text: str, rng: Random) -> str:
    return re.sub(r"(?mi)^(?:content-[a-z-]+|mime-version):.*\n(?:[ \t].*\n)*", "", text) if is_message(text) else text


def message_without_boundaries(text: str, rng: Random) -> str:
    nested = len(set(re.findall(r"(?i)boundary=\"?([^\"\s;]+)", text))) > 1  # nobody can tell what belongs to what
    return re.sub(r"(?m)^--\S+\n", "", text) if is_message(text) and not nested else text


def message_without_header(text: str, rng: Random) -> str:
    return text.partition("\n\n")[2] if is_message(text) and "\n--" in text else text


LACKS = [
    no_process_ids,
    no_hosts,
    no_stamps_and_hosts,
    some_pairs_in_passing,
    dig_without_its_frame,
    dig_without_flags,
    session_without_connecting,
    session_without_prompt,
    session_without_extensions,
    message_without_mime,
    message_without_boundaries,
    message_without_header,
]
WHOLE_LINES = {session_without_connecting, session_without_prompt, session_without_extensions, dig_without_its_frame, dig_without_flags}
MOST_OF_EACH = 60
MOST_OF_OTHERS = 20


def changed_by(change: Callable[[str, Random], str], most: int = MOST_OF_EACH) -> Iterator[tuple[Labelled, str]]:
    """Captures that *change* changes, and what it makes of them: all kinds, not too many."""
    found = []
    for sample in ALL:
        text = text_of(sample)
        after = change(text, random.Random(f"{change.__name__} {sample.name}"))
        if after != text and after.strip() and sample.name.split("/")[0] not in SINGLE and "base64" not in text:
            found.append((sample, after))
    yield from draw.some(found, most, lambda f: f[0].name, change.__name__)


@pytest.mark.parametrize("change", LACKS, ids=lambda c: c.__name__)
def test_fields_left_out_change_no_answer(change, ask):
    tally = Tally()
    for sample, after in changed_by(change):
        lines = text_of(sample).splitlines()
        gone = {n for n in evidence(sample.report) if lines[n - 1] not in after} if change in WHOLE_LINES else ()
        tally.add(sample, ask(after), keepable=not gone and sample.report.verdict != "inconclusive")
    assert tally.done > 25
    tally.check()


def any_pairs(text: str, rng: Random) -> str:
    return ANY_PAIR.sub(lambda m: "" if rng.random() < 0.3 else m[0], text) if HEAD.match(text) else text


def lines_left_out(text: str, rng: Random) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if rng.random() > 0.1)


def no_replies(text: str, rng: Random) -> str:
    """Sendmail before 8.16 logs its own words for a reply alone."""
    return re.sub(r"(?m)\breply=.*?, (?=stat=)", "", text)


@pytest.mark.parametrize("change", [any_pairs, lines_left_out, no_replies], ids=lambda c: c.__name__)
def test_what_is_left_out_makes_no_other_fault(change, ask):
    """The evidence itself may be gone: then another answer may be the right one, but not a fault of healthy mail."""
    tally = Tally()
    for sample, after in changed_by(change):
        # An answer of DNS that lost a record does not show that it did.
        if WANTED[sample]["verdict"] != "healthy" or (sound(sample) and not sample.report.coverage.formats.keys() & DNS):
            tally.add(sample, ask(after))
    assert tally.done > 40
    tally.check()


DNS = frozenset({"dig", "dig-yaml", "host", "nslookup", "doggo", "resolve-dnsname", "zone"})


# ---- what other versions and settings leave out ----------------------------------------------------------------------
REPLY = r"\b(?P<code>(?P<class>[245])[0-9]{2})[ -](?P<enhanced>(?P=class)\.[0-9]{1,3}\.[0-9]{1,3}) "
SAID = re.compile(REPLY + r"(?:(?!, stat=| \(in reply)[^\"'\n)\]};|])*")
EXIM = re.compile(r"(?m)^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]{8,} .*(?:==|\*\*|<=|=>) ")


def is_log_text(text: str) -> bool:
    return bool(HEAD.match(text) or EXIM.search(text))


def replies_without_words(text: str, rng: Random) -> str:
    """Some servers say no more than two codes, and some logs keep no more."""
    return SAID.sub(lambda m: f"{m['code']} {m['enhanced']}", text) if is_log_text(text) else text


def replies_without_enhanced_codes(text: str, rng: Random) -> str:
    return re.sub(REPLY, lambda m: f"{m['code']} ", text) if is_log_text(text) else text


def postfix_of_old(text: str, rng: Random) -> str:
    """Postfix before 2.3 writes neither `delays=` nor `dsn=`, and no port behind the relay."""
    return re.sub(r"(relay=[^ ,]*\]):[0-9]+,", r"\1,", re.sub(r" (?:delays|dsn)=[^ ,]*,", "", text)) if "postfix/" in text else text


def exim_of_few_words(text: str, rng: Random) -> str:
    """Exim without `tls_cipher`, `smtp_confirmation` and the like among its log selectors."""
    return re.sub(r" (?:X=\S+|CV=\S+|DN=\"[^\"]*\"|C=\"[^\"]*\"|K(?= ))", "", text) if EXIM.search(text) else text


def cut_behind_the_code(text: str, rng: Random) -> str:
    return re.sub(r"(?m)(\bto=.*\bdsn=[245]\.[0-9]+\.[0-9]+), .*", r"\1", text)


def cut_behind_the_recipient(text: str, rng: Random) -> str:
    """Exim's line of a failure, which says no more than whose it is."""
    return re.sub(r"(?m)^(\S+ \S+ (?:\[[0-9]+\] )?\S{16,23} \*\* [^ :]+).*", r"\1", text) if EXIM.search(text) else text


def the_line_of_the_bounce(text: str, rng: Random) -> str:
    """Without the attempts, where the log tells that a message was sent back."""
    return without(r".* status=", text) if "sender non-delivery notification" in text else text


def blanks_at_the_end(text: str, rng: Random) -> str:
    return re.sub(r"(?m)(?<=\S)$", " ", text) if is_log_text(text) else text


def session_without_the_answer_to_ehlo(text: str, rng: Random) -> str:
    return re.sub(r"(?m)^\W*250-.*\n(?:\W*250-.*\n)*\W*250 .*\n", "", text, count=1) if is_session(text) else text


OTHER_SETTINGS = [
    replies_without_words,
    replies_without_enhanced_codes,
    postfix_of_old,
    exim_of_few_words,
    cut_behind_the_code,
    cut_behind_the_recipient,
    the_line_of_the_bounce,
    blanks_at_the_end,
    session_without_the_answer_to_ehlo,
]


def test_what_other_settings_leave_out_hides_no_failure(ask):
    """What went wrong may no longer be told from what is left, but not that all is well; and no line is less readable for it."""
    tally = Tally()
    well, unread = [], []
    for change in OTHER_SETTINGS:
        done = tally.done
        for sample, after in changed_by(change, MOST_OF_OTHERS):
            if WANTED[sample]["verdict"] == "healthy" and (sample.report.problems or sample.report.coverage.formats.keys() & DNS):
                continue
            report = ask(after)
            tally.add(sample, report)
            if sample.report.verdict == "faulty" and report.verdict == "healthy":
                well.append((change.__name__, sample.name))
            if len(report.coverage.unrecognised) > len(sample.report.coverage.unrecognised):
                unread.append((change.__name__, sample.name, report.coverage.unrecognised))
        assert tally.done - done > 8
    tally.check()
    assert well == []
    assert len(unread) <= MOST_SURE * tally.done, unread


# ---- mixed -----------------------------------------------------------------------------------------------------------
def is_log(sample: Labelled) -> bool:
    lines = [line for line in text_of(sample).splitlines() if line.strip()]
    return len(lines) < 80 and all(HEAD.match(line) for line in lines)


def merged(a: str, b: str, rng: Random) -> str:
    """The lines of both, each in its order, as two processes write one file."""
    one, two = a.splitlines(), b.splitlines()
    found = []
    while one or two:
        source = one if one and (not two or rng.random() < len(one) / (len(one) + len(two))) else two
        found.append(source.pop(0))
    return "\n".join(found) + "\n"


@pytest.fixture(scope="module")
def tells_of_mail(book, formats) -> Callable[[Labelled], bool]:
    """Whether a log shows mail that failed, and not only what a filter or a single program noted, or what strangers were refused: beside
    a failure the former is no more than a note, beside other mail the latter is noise.
    """

    def tells(sample: Labelled) -> bool:
        if sample.name.split("/")[0] not in {"lab", "postfix", "sendmail", "opensmtpd"} or "alone" in sample.name:
            return False
        problems = case_of([Source("capture", sample.capture.read_bytes())], book, formats).problems
        return not all(p.kind == "local-failure" or p.stranger not in {None, "no"} for p in problems)

    return tells


def on_one_host(text: str) -> str:
    return HEAD.sub(lambda m: f"{m[1]}mx {m[3]}{m[4] or ''}: ", text)


def of_their_own_hosts(text: str) -> str:
    return text


def pairs(samples: list[Labelled], count: int, seed: str) -> list[tuple[Labelled, Labelled]]:
    return draw.pairs(samples, count, lambda s: s.name, seed)


def test_two_healthy_logs_are_healthy_together(ask):
    logs = [s for s in HEALTHY if is_log(s)]
    ill = []
    for a, b in pairs(logs, 40, "healthy"):
        for place in (of_their_own_hosts, on_one_host):
            after = ask(merged(place(text_of(a)), place(text_of(b)), random.Random(f"{a.name} {b.name}")))
            if after.verdict == "faulty":
                ill.append((a.name, b.name, place.__name__, first(after)))
    assert ill == []


def both_found(cases: list[tuple[Labelled, Labelled, str]], ask) -> None:
    lost = []
    for a, b, text in cases:
        if any(s.report.verdict != "faulty" for s in (a, b)):
            continue
        after = ask(text)
        wanted = {s.report.diagnoses[0].fault for s in (a, b)}
        found = {d.fault for d in after.diagnoses}
        if not wanted <= found:
            lost.append((a.name, b.name, wanted - found, found))
    assert len(cases) >= 40
    assert len(lost) <= (1 - LEAST_KEPT) * len(cases), lost


@pytest.mark.parametrize("place", [of_their_own_hosts, on_one_host], ids=lambda p: p.__name__)
def test_both_problems_of_two_logs_are_found(place, ask, tells_of_mail):
    logs = [s for s in FAULTY if is_log(s) and tells_of_mail(s)]
    same = [s for s in logs if "postfix" in s.name]
    both_found(
        [
            (a, b, merged(place(text_of(a)), place(text_of(b)), random.Random(f"{a.name} {b.name}")))
            for a, b in (*pairs(logs, 30, "logs"), *pairs(same, 30, "postfix"))
        ],
        ask,
    )


BETWEEN = ["", "\n", "\nThen I tried it once more, and this is what I got:\n\n"]


def joined(a: Labelled, b: Labelled, between: str) -> str:
    return text_of(a).rstrip("\n") + "\n" + between + text_of(b)


def test_both_problems_of_two_sessions_are_found(ask):
    # Of one program: where sessions of two follow each other, their marks may be taken for those of one that nobody knows.
    typed = [s for s in FAULTY if s.capture.stem.startswith("telnet") or s.name.startswith("telnet/")]
    typed = [s for s in typed if is_session(text_of(s))]
    both_found([(a, b, joined(a, b, between)) for between in BETWEEN for a, b in pairs(typed, 20, between)], ask)


def test_a_session_and_a_look_up_are_found_together(ask):
    sessions = [s for s in FAULTY if s.name.startswith("telnet/")]
    # What a blocklist says of the session's own client would explain the session, and be no second problem.
    asked = [s for s in FAULTY if s.name.startswith("dig/") and "; <<>> DiG" in text_of(s) and not re.search("dnsbl|pbl", s.name)]
    chosen = [(a, b) for a in sessions for b in draw.some(asked, 4, lambda s: s.name, a.name)]
    chosen = draw.some(chosen, 60, lambda p: f"{p[0].name} {p[1].name}")
    both_found([(a, b, joined(*((a, b) if i % 2 else (b, a)), "\n")) for i, (a, b) in enumerate(chosen)], ask)


def test_both_of_two_bounces_are_found(ask):
    bounces = [s for s in FAULTY if s.capture.suffix == ".eml" and len(text_of(s)) < 8_000]
    both_found(
        [(a, b, f"From MAILER-DAEMON Mon Nov 23 10:00:01 2026\n{joined(a, b, MBOX)}") for a, b in pairs(bounces, 40, "bounces")], ask
    )


MBOX = "\nFrom MAILER-DAEMON Mon Nov 23 10:05:01 2026\n"
