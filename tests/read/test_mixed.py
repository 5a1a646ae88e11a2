"""Several captures in one paste, with or without words between them, say what each says alone."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.read.test_mutations import joined, lines_of, told

PARTS = (
    "telnet/recipient-unknown.txt",
    "telnet/connection-refused.txt",
    "dig/mx.txt",
    "postfix/relay-denied.log",
    "lab/account-disabled--535/swaks.txt",
    "lab/auth-failed--dovecot/curl.txt",
    "lab/auth-failed--dovecot/smtplib.txt",
    "lab/healthy--tls-verified/s_client.txt",
)
BETWEEN = {
    "a blank line": [""],
    "a sentence": ["", "And this is what I see on the other machine:", ""],
    "two sentences": ["", "Then I asked our provider, who says that all is well on their side.", "So I tried this:"],
}


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("pair", list(permutations(PARTS, 2)), ids=" then ".join)
def test_two_captures_in_one_paste(pair: tuple[str, str], between: str) -> None:
    first, second = (list(lines_of(name)) for name in pair)
    both = told(joined([*first, *BETWEEN[between], *second]))
    apart = [*told(joined(first)), *told(joined(second))]
    assert sorted(map(repr, both)) == sorted(map(repr, apart))
