"""Texts with the case's own values in place of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.diagnose import diagnose
from analyzer.infer.wording import fill
from analyzer.model.capture import Source

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("{{ server }} refused.", {"server": "mx.example.net"}, "mx.example.net refused."),
        ("{{ server }} refused.", {}, "The server refused."),
        ("`dig {{ domain }} MX`", {}, "`dig <domain> MX`"),
        ("Refused[[: {{ reply }}]].", {"reply": "550 no"}, "Refused: 550 no."),
        ("Refused[[: {{ reply }}]].", {}, "Refused."),
        ("From {{ server }} ({{ server_ip }}, {{ helo }}).", {"server": "a", "helo": "b"}, "From a (b)."),
        ("From {{ server }} ({{ server_ip }}, {{ helo }}).", {"server": "a"}, "From a."),
        ("{{ text }}", {"text": "{{ server }} [[ x ]]", "server": "no"}, "{{ server }} [[ x ]]"),
        ("`nc {{ server }} {{ port }}`", {}, "`nc <server> 25`"),
        ("`swaks --server a[[ --port {{ other_port }}]]`", {"port": 25}, "`swaks --server a`"),
        ("`swaks --server a[[ --port {{ other_port }}]]`", {"port": 587}, "`swaks --server a --port 587`"),
        ("`swaks --server a[[ --port {{ other_port }}]]`", {"port": 465}, "`swaks --server a --port 465 --tlsc`"),
        ("`swaks --server a[[ --port {{ other_port }}]]`", {"port": 51234}, "`swaks --server a`"),
        ("`openssl s_client[[ {{ starttls }}]]`", {}, "`openssl s_client -starttls smtp`"),
        ("`openssl s_client[[ {{ starttls }}]]`", {"port": 465}, "`openssl s_client`"),
        ("Mail for {{ mx.of }}", {"mx": {"of": "example.net"}}, "Mail for example.net"),
        ("`exim -bt {{ rcpt_to }}`", {"rcpt_to": "|/bin/true"}, "`exim -bt <rcpt-to>`"),
        ("`dig {{ helo }} A`", {"helo": "$(reboot).example.org"}, "`dig <helo> A`"),
        ("`dig {{ helo }} A`", {"helo": "-f/etc/passwd"}, "`dig <helo> A`"),
        (
            "`swaks --to {{ rcpt_to }}`, to {{ rcpt_to }}",
            {"rcpt_to": "o'neil@example.org"},
            "`swaks --to <rcpt-to>`, to o'neil@example.org",
        ),
    ],
)
def test_names_are_filled_in(template: str, values: dict[str, object], text: str) -> None:
    assert fill(template, values) == text


def test_a_letter_has_blanks_to_fill_in() -> None:
    assert fill("From {{ client_ip }} to `{{ server }}`", {}, letter=True) == "From [IP address of the sending server] to `<server>`"


def test_no_text_is_left_raw_and_none_takes_the_resolver_for_the_mail_server(book: RuleBook, formats: Formats) -> None:
    checked = 0
    for rule in book.rules:
        if rule.dialect is not None or not rule.suggests or rule.about not in {"lookup", "record", "dialogue", "certificate"}:
            continue
        example = next(e for e in rule.examples if e.answer == "yes" and e.input)
        for d in diagnose([Source("x", example.input.encode())], book, formats).diagnoses:
            text = " ".join([d.title, d.summary, d.verify, d.message or "", *d.steps])
            assert "{{" not in text, (rule.rule, text)
            assert "[[" not in text, (rule.rule, text)
            assert "usual resolver" not in text, (rule.rule, text)
            assert "192.0.2.53" not in text, (rule.rule, text)  # the resolver of the examples
            checked += 1
    assert checked > 50


def test_the_mx_and_its_host_are_told_apart(book: RuleBook, formats: Formats) -> None:
    text = "$ dig +short example.net MX @192.0.2.53\n10 mx.example.net.\n$ dig +short mx.example.net A\n$ dig +short example.org NS\nns.example.org.\n"
    (d,) = diagnose([Source("x", text.encode())], book, formats).diagnoses
    assert d.fault == "mx-host-unresolvable"
    assert d.summary.startswith("The MX record of example.net points to mx.example.net,")


def test_the_second_name_stands_in_for_the_first() -> None:
    template = "trace {{ client_ip | rcpt_to }}"
    both = {"client_ip": "192.0.2.7", "rcpt_to": "b@example.net"}
    assert fill(template, both, command=True) == "trace 192.0.2.7"
    assert fill(template, {"rcpt_to": "b@example.net"}, command=True) == "trace b@example.net"
    assert fill(template, {}, command=True) == "trace <client-ip>"
