"""What the output of DNS tools becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.assemble.blocklists import blocklist_answer, blocklist_question
from analyzer.assemble.commands import asked_by
from analyzer.assemble.lookup import lookups_of, purpose_of
from analyzer.assemble.names import reversed_address
from analyzer.assemble.policy import records_of
from analyzer.assemble.spf import spf_allows, terms_of
from analyzer.diagnose import diagnose
from analyzer.formats.load import load_formats
from analyzer.model.capture import Source
from analyzer.model.place import Place
from analyzer.parse import parse
from analyzer.read import read
from analyzer.segment import segment

if TYPE_CHECKING:
    from analyzer.model.lookup import Lookup

HEADER = """\
;; ->>HEADER<<- opcode: QUERY, status: {status}, id: 1
;; flags: {flags}; QUERY: 1, ANSWER: {answers}, AUTHORITY: 0, ADDITIONAL: 1
;; QUESTION SECTION:
;{name}. IN {kind}
"""


def looked_up(text: str) -> list[Lookup]:
    formats = load_formats()
    segments = segment(read(Source("test", text.encode())), formats)
    return [found for s in segments for found in lookups_of(parse(s, formats).events)]


def dig(name: str, kind: str, *answers: str, status: str = "NOERROR", flags: str = "qr rd ra") -> str:
    text = HEADER.format(status=status, flags=flags, answers=len(answers), name=name, kind=kind)
    if answers:
        text += ";; ANSWER SECTION:\n" + "".join(f"{name}. 3600 IN {kind} {a}\n" for a in answers)
    return text + ";; SERVER: 192.0.2.53#53(192.0.2.53) (UDP)\n;; MSG SIZE  rcvd: 80\n\n"


def one(text: str) -> Lookup:
    found = looked_up(text)
    assert len(found) == 1, found
    return found[0]


def test_mx_is_in_the_order_of_preference() -> None:
    lookup = one(dig("Example.ORG", "MX", "20 b.example.org.", "10 A.example.org."))
    assert (lookup.of, lookup.exchanges, lookup.preferences) == ("example.org", ("a.example.org", "b.example.org"), (10, 20))
    assert lookup.complete
    assert lookup.answered == "yes"
    assert lookup.where["exchanges"] == (Place(0, 6), Place(0, 7))


def test_several_queries_in_one_paste() -> None:
    found = looked_up(dig("example.org", "MX", "10 mail.example.org.") + dig("mail.example.org", "A", status="NXDOMAIN"))
    assert [(x.type, x.of, x.status, x.answered) for x in found] == [
        ("MX", "example.org", "NOERROR", "yes"),
        ("A", "mail.example.org", "NXDOMAIN", "no"),
    ]


def test_what_is_not_shown_is_unknown() -> None:
    failed = one(dig("example.org", "MX", status="SERVFAIL"))
    assert failed.answered is None
    assert failed.exchanges is None
    cut = one(HEADER.format(status="NOERROR", flags="qr", answers=2, name="example.org", kind="MX"))
    assert cut.answered is None
    assert not cut.complete


def test_additional_records_are_lookups_that_are_not_whole() -> None:
    text = dig("example.org", "MX", "10 mail.example.org.").replace(
        ";; SERVER", ";; ADDITIONAL SECTION:\nmail.example.org. 60 IN A 192.0.2.25\n\n;; SERVER", 1
    )
    mx, a = looked_up(text)
    assert mx.addresses == ("192.0.2.25",)
    assert (a.type, a.of, a.addresses, a.complete) == ("A", "mail.example.org", ("192.0.2.25",), False)


def test_aliases_are_followed() -> None:
    text = (
        dig("www.example.org", "A")
        .replace("ANSWER: 0", "ANSWER: 2")
        .replace(
            ";; SERVER", ";; ANSWER SECTION:\nwww.example.org. 60 IN CNAME web.example.net.\nweb.example.net. 60 IN A 192.0.2.80\n;; SERVER"
        )
    )
    lookup = one(text)
    assert (lookup.cname, lookup.target, lookup.addresses, lookup.complete) == ("web.example.net", "web.example.net", ("192.0.2.80",), True)


def test_an_alias_loop_ends() -> None:
    text = (
        dig("a.example.org", "A")
        .replace("ANSWER: 0", "ANSWER: 2")
        .replace(
            ";; SERVER",
            ";; ANSWER SECTION:\na.example.org. 60 IN CNAME b.example.org.\nb.example.org. 60 IN CNAME a.example.org.\n;; SERVER",
        )
    )
    assert one(text).cname == "b.example.org"


@pytest.mark.parametrize(
    ("text", "kind", "of", "value"),
    [
        ("$ dig +short example.org MX\n10 mail.example.org.\n", "MX", "example.org", ("mail.example.org",)),
        ("$ dig +short -x 192.0.2.25\nmail.example.org.\n", "PTR", "192.0.2.25", ("mail.example.org",)),
        ("root@mx:~# dig mx example.org +short\n10 mail.example.org.\n", "MX", "example.org", ("mail.example.org",)),
        ("$ host -t mx example.org\nexample.org mail is handled by 10 mail.example.org.\n", "MX", "example.org", ("mail.example.org",)),
        ("example.org\tmail exchanger = 10 mail.example.org.\n", "MX", "example.org", ("mail.example.org",)),
        ("example.org     MX preference = 10, mail exchanger = mail.example.org\n", "MX", "example.org", ("mail.example.org",)),
        ("25.2.0.192.in-addr.arpa domain name pointer mail.example.org.\n", "PTR", "192.0.2.25", ("mail.example.org",)),
    ],
)
def test_other_tools(text: str, kind: str, of: str, value: tuple[str, ...]) -> None:
    lookup = looked_up(text)[0]
    assert (lookup.type, lookup.of, lookup.names) == (kind, of, value)


def test_short_with_nothing_says_little() -> None:
    found = looked_up("$ dig +short nope.example.org\n$ dig +short example.org NS\nns1.example.net.\n")
    assert (found[0].status, found[0].answered, found[0].short, found[0].complete) == (None, "no", "yes", False)
    assert one("$ dig +short nope.example.org\n").answered is None  # the paste may end too early


def test_a_timeout_before_an_answer_is_only_a_warning() -> None:
    lookup = one(
        ";; communications error to 192.0.2.1#53: timed out\n; <<>> DiG 9.18.28 <<>> example.org MX\n"
        + dig("example.org", "MX", "10 mail.example.org.")
    )
    assert lookup.status == "NOERROR"
    assert lookup.warnings


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (";; connection timed out; no servers could be reached", "TIMEOUT"),
        (";; communications error to 127.0.0.1#53: timed out\n;; no servers could be reached", "TIMEOUT"),
        (";; communications error to 127.0.0.1#53: connection refused\n;; no servers could be reached", "NO-SERVERS"),
    ],
)
def test_no_answer(lines: str, status: str) -> None:
    lookup = one(f"; <<>> DiG 9.18.28 <<>> example.org MX\n;; global options: +cmd\n{lines}\n")
    assert (lookup.type, lookup.of, lookup.status, lookup.answered) == ("MX", "example.org", status, None)


def test_nssearch_is_a_lookup_a_server() -> None:
    text = "$ dig +nssearch example.org\n" + "".join(
        f"SOA ns1.example.net. h.example.net. {n} 1 2 3 4 from server 192.0.2.{n} in 1 ms.\n" for n in (1, 2)
    )
    assert [(x.serial, x.server, x.of) for x in looked_up(text)] == [(1, "192.0.2.1", "example.org"), (2, "192.0.2.2", "example.org")]


def test_trace_gives_the_last_answer() -> None:
    text = """; <<>> DiG 9.18.28 <<>> +trace example.org MX
;; global options: +cmd
. 86400 IN NS a.root-servers.net.
;; Received 59 bytes from 192.0.2.53#53(192.0.2.53) in 0 ms

example.org. 3600 IN NS ns1.example.net.
;; Received 59 bytes from 198.41.0.4#53(a.root-servers.net) in 0 ms

example.org. 3600 IN MX 10 mail.example.org.
;; Received 59 bytes from 198.51.100.53#53(ns1.example.net) in 0 ms
"""
    lookup = looked_up(text)[0]
    assert (lookup.type, lookup.exchanges, lookup.server) == ("MX", ("mail.example.org",), "ns1.example.net")
    assert looked_up(text.replace("example.org. 3600 IN MX 10 mail.example.org.\n", ""))[0].referral == "empty"


def test_extended_errors() -> None:
    text = dig("example.org", "MX", status="SERVFAIL").replace(
        ";; QUESTION", ";; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: 1232\n; EDE: 9 (DNSKEY Missing): (no keys)\n;; QUESTION"
    )
    assert one(text).ede == (9,)


# -- names -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("25.2.0.192.in-addr.arpa.", "192.0.2.25"),
        ("2.0.192.in-addr.arpa", None),
        ("x.2.0.192.in-addr.arpa", None),
        ("5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::25"),
        ("mail.example.org", None),
    ],
)
def test_reverse_names(name: str, address: str | None) -> None:
    assert reversed_address(name) == address


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("25.2.0.192.zen.spamhaus.org", ("192.0.2.25", "zen.spamhaus.org")),
        ("25.2.0.192.bl.example.com", ("192.0.2.25", "bl.example.com")),
        ("25.2.0.192.in-addr.arpa", None),
        ("25.2.0.192.org", None),
        ("example.org.dbl.spamhaus.org", ("example.org", "dbl.spamhaus.org")),
        ("25.2.0.192.origin.asn.cymru.com", None),
        ("mail.example.org", None),
        ("300.2.0.192.bl.example.com", None),
    ],
)
def test_blocklist_questions(name: str, found: tuple[str, str] | None) -> None:
    assert blocklist_question(name) == found


@pytest.mark.parametrize(
    ("zone", "address", "listing"),
    [
        ("zen.spamhaus.org", "127.0.0.2", "listed"),
        ("zen.spamhaus.org", "127.0.0.11", "policy"),
        ("zen.spamhaus.org", "127.255.255.254", "refused"),
        ("bl.example.com", "127.0.0.9", "listed"),
        ("list.dnswl.org", "127.0.5.2", "allowed"),
        ("multi.uribl.com", "127.0.0.1", "refused"),
        ("bl.example.com", "192.0.2.1", None),
        ("wl.example.com", "127.0.0.2", None),
        ("dnsbl.sorbs.net", "127.0.0.6", "refused"),
    ],
)
def test_blocklist_answers(zone: str, address: str, listing: str | None) -> None:
    assert blocklist_answer(zone, "A", "NOERROR", "yes", (address,), None).get("listing") == listing


def test_what_a_question_is_for() -> None:
    assert purpose_of("_dmarc.example.org", "TXT")["dmarc_of"] == "example.org"
    assert purpose_of("s1._domainkey.example.org", "TXT")["selector"] == "s1"
    assert purpose_of("example.org", "TXT")["spf_of"] == "example.org"
    assert purpose_of("192.0.2.25", "PTR")["purpose"] == "reverse"


@pytest.mark.parametrize(
    ("command", "queries", "server"),
    [
        ("dig example.org MX", (("example.org", "MX"),), None),
        ("dig @192.0.2.1 mx example.org +short", (("example.org", "MX"),), "192.0.2.1"),
        ("dig -x 192.0.2.25", (("192.0.2.25", "PTR"),), None),
        ("dig a.example MX b.example", (("a.example", "MX"), ("b.example", "A")), None),
        ("dig -t txt example.org | grep spf", (("example.org", "TXT"),), None),
        ("dig -p 5353 -q example.org -t aaaa", (("example.org", "AAAA"),), None),
        ("host -t mx example.org ns1.example.net", (("example.org", "MX"),), "ns1.example.net"),
        ("host 192.0.2.25", (("192.0.2.25", "PTR"),), None),
        ("nslookup -q=mx example.org 192.0.2.1", (("example.org", "MX"),), "192.0.2.1"),
    ],
)
def test_commands(command: str, queries: tuple[tuple[str, str], ...], server: str | None) -> None:
    asked = asked_by(command, command.split(maxsplit=1)[0])
    assert (asked.queries, asked.server) == (queries, server)


# -- policy records ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("v=spf1 mx a:mail.example.org/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:_spf.example.net -all", False),
        ("v=spf1 exists:%{i}._spf.example.org redirect=_spf.example.net", False),
        ("V=SPF1 A ~ALL", False),
        ("v=spf1", False),
        ("v=spf1 ip4:192.0.2.0/24 unknown=modifier -all", False),
        ("v=spf1 a/24//64 mx//64 ?all", False),
        ("v=spf1 ip4:x.x.x.x... -all", False),
        ("v=spf1 ipv4:192.0.2.1 -all", True),
        ("v=spf1 ip4:192.0.2.300 -all", True),
        ("v=spf1 ip4:2001:db8::1 -all", True),
        ("v=spf1 include: -all", True),
        ("v=spf1 include=_spf.example.net -all", True),
        ("v=spf1 192.0.2.1 -all", True),
        ("v=spf1include:_spf.example.net -all", True),
        ("v=spf1 -all:x", True),
        ("v=spf1 a:mail.example.org/99 -all", True),
        ("v=spf1 redirect=a.example redirect=b.example", True),
    ],
)
def test_spf_syntax(text: str, wrong: bool) -> None:
    assert (terms_of(text)[1] is not None) == wrong


SPF = dig("example.org", "TXT", '"v=spf1 mx include:_spf.example.net -all"')
MX = dig("example.org", "MX", "10 mail.example.org.") + dig("mail.example.org", "A", "192.0.2.25")
INCLUDED = dig("_spf.example.net", "TXT", '"v=spf1 ip4:198.51.100.0/24 -all"')


@pytest.mark.parametrize(
    ("case", "ip", "allowed"),
    [
        (SPF + MX + INCLUDED, "192.0.2.25", "yes"),
        (SPF + MX + INCLUDED, "198.51.100.7", "yes"),
        (SPF + MX + INCLUDED, "203.0.113.1", "no"),
        (SPF, "192.0.2.25", None),
        (SPF + MX, "192.0.2.25", "yes"),
        (SPF + MX, "203.0.113.1", None),
        (SPF + INCLUDED, "198.51.100.7", "yes"),
        (SPF, "no address", None),
    ],
)
def test_spf_allows(case: str, ip: str, allowed: str | None) -> None:
    lookups = looked_up(case)
    record = next(r for r in records_of(lookups) if r.kind == "SPF" and r.of == "example.org")
    assert spf_allows(record, ip, lookups) == allowed


def test_spf_counts_lookups_through_includes() -> None:
    record = next(r for r in records_of(looked_up(SPF + INCLUDED)) if r.of == "example.org")
    assert (record.lookups, record.unseen, record.networks) == (2, (), ("198.51.100.0/24",))
    assert next(r for r in records_of(looked_up(SPF))).unseen == ("_spf.example.net",)


def test_includes_that_go_round_end() -> None:
    case = dig("a.example", "TXT", '"v=spf1 include:b.example -all"') + dig("b.example", "TXT", '"v=spf1 include:a.example -all"')
    lookups = looked_up(case)
    records = records_of(lookups)
    assert records[0].lookups == 2
    assert spf_allows(records[0], "192.0.2.1", lookups) is None


@pytest.mark.parametrize(
    ("name", "text", "valid"),
    [
        ("_dmarc.example.org", "v=DMARC1; p=none", "yes"),
        ("_dmarc.example.org", "v=DMARC1; p=reject; rua=mailto:a@example.org; pct=50", "yes"),
        ("_dmarc.example.org", "v=dmarc1; p=none", "no"),
        ("_dmarc.example.org", "v=DMARC1; policy=none", "no"),
        ("_dmarc.example.org", "v=DMARC1; p=none; rua=a@example.org", "no"),
        ("_dmarc.example.org", "v=DMARC1; p=none; rua=mailto:***@***", None),
        ("s._domainkey.example.org", "v=DKIM1; p=MIIB...QAB", None),
        ("s._domainkey.example.org", "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOC", "no"),
        ("s._domainkey.example.org", "k=rsa", "no"),
        ("s._domainkey.example.org", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "yes"),
    ],
)
def test_tag_lists(name: str, text: str, valid: str | None) -> None:
    (record,) = records_of(looked_up(dig(name, "TXT", f'"{text}"')))
    assert record.valid == valid, record.error


def test_nothing_is_concluded_from_a_text_that_the_copy_cut() -> None:
    lookup = one(dig("example.org", "TXT", '"v=spf1 -all'))
    assert lookup.answered == "yes"
    assert lookup.texts is None
    assert lookup.error


def test_an_address_made_unreadable_is_an_answer_without_a_value() -> None:
    found = looked_up(
        "$ host mail.example.org\nmail.example.org has address x.x.x.x\n$ host x.x.x.x\nx.x.x.x.in-addr.arpa domain name pointer a.example.org.\n"
    )
    assert {f.of for f in found} == {"mail.example.org"}
    assert [(f.answered, f.addresses) for f in found if f.type == "A"] == [("yes", None)]


@pytest.mark.parametrize("rdata", ["", "10", "x y z", "99999999999999999999 mail.", '"' * 300, "\\300\\999", "10 " + "a." * 2000])
@pytest.mark.parametrize("kind", ["MX", "A", "TXT", "SOA", "PTR", "NS"])
def test_hostile_data_costs_nothing(kind: str, rdata: str) -> None:
    looked_up(dig("example.org", kind, rdata))


def test_two_short_look_ups_in_one_line(book, formats):
    text = "$ dig +short mx example.com ; dig +short mail.example.com\n10 mail.example.com.\n192.168.0.10\n"
    report = diagnose([Source("x", text.encode())], book, formats)
    assert report.diagnoses[0].fault == "mx-private-address"


TRACE = [
    "$ dig +trace partner.test MX",
    "",
    "; <<>> DiG 9.18.49 <<>> +trace partner.test MX",
    ";; global options: +cmd",
    ".\t\t\t86399\tIN\tNS\ta.root-servers.net.",
    ";; Received 103 bytes from 192.0.2.53#53(192.0.2.53) in 4 ms",
    "",
    "partner.test.\t\t86400\tIN\tNS\tns.isp.test.",
    ";; Received 94 bytes from 198.41.0.4#53(a.root-servers.net) in 0 ms",
    "",
    ";; Received 69 bytes from 203.0.113.54#53(ns.isp.test) in 4 ms",
]


@pytest.mark.parametrize("lines", range(5, 10))
def test_a_trace_cut_on_its_way_answers_nothing(lines, book, formats):
    report = diagnose([Source("x", "\n".join(TRACE[:lines]).encode())], book, formats)
    assert report.verdict == "inconclusive"


@pytest.mark.parametrize("first", range(4, 10))
def test_a_trace_cut_at_its_start_is_no_good_answer(first, book, formats):
    report = diagnose([Source("x", "\n".join(TRACE[first:]).encode())], book, formats)
    assert report.verdict != "healthy"


def test_a_trace_that_ends_in_nothing_rests_on_its_last_server(book, formats):
    report = diagnose([Source("x", "\n".join(TRACE).encode())], book, formats)
    assert report.diagnoses[0].fault == "lame-delegation"
    assert [e.line for e in report.diagnoses[0].evidence] == [len(TRACE)]


def test_short_answers_of_several_names_are_told_apart_by_what_they_are(book, formats):
    texts = (
        '$ dig +short TXT _mta-sts.example.org _smtp._tls.example.org\n"v=STSv1; id=20261101000000Z;"\n"v=TLSRPTv1; rua=mailto:t@example.org"\n',
        '10 mx.example.org.\n"v=spf1 mx -all"\n10 mx.example.net.\n"v=spf1 mx -all"\n',
    )
    assert [diagnose([Source("x", text.encode())], book, formats).verdict for text in texts] == ["healthy", "healthy"]
