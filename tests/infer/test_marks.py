"""Where the words of a problem are marked in the user's own lines."""

from __future__ import annotations

import pytest

from analyzer.infer.report import words_in


@pytest.mark.parametrize(
    ("line", "text", "marked"),
    [
        ("said: 550 5.1.1 No such user here", "No such user here", "No such user here"),
        (
            "talk to me: 554-web.example (mx1) Service not available 554-IP address is listed. 554 See https://web.example/ip)",
            "web.example (mx1) Service not available IP address is listed. See https://web.example/ip",
            "web.example (mx1) Service not available 554-IP address is listed. 554 See https://web.example/ip",
        ),
        ("x: Service not available for you, as said", "Service not available to anybody else", "Service not available"),
        ("nothing of this stands here", "Service not available", ""),
        ("a b c", "a x y", ""),
        ("", "words", ""),
        ("words", "", ""),
    ],
)
def test_words_are_found_with_codes_between_them(line, text, marked):
    at, length = words_in(line, text)
    assert line[at : at + length] == marked
