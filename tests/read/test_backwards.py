"""Which logs have their newest line first."""

import pytest

from analyzer.read.backwards import newest_first


@pytest.mark.parametrize(
    ("lines", "back"),
    [
        (["Nov 23 10:00:02 mx a", "Nov 23 10:00:01 mx b"], True),
        (["Nov 23 10:00:01 mx a", "Nov 23 10:00:02 mx b"], False),
        (["Nov 23 10:00:01 mx a", "Nov 23 10:00:01 mx b"], False),
        (["2026-11-23T10:00:02.5+01:00 mx a", "", "2026-11-23T10:00:02.1+01:00 mx b"], True),
        (["Dec 31 23:59:59 mx a", "Jan  1 00:00:01 mx b"], False),
        (["Nov 23 10:00:02 mx a", "Nov 23 10:00:01 mx b", "Nov 23 10:00:03 mx c"], False),
        (["Nov 23 10:00:02 mx a", "220 hello", "Nov 23 10:00:01 mx b"], False),
        ([], False),
    ],
)
def test_newest_first(lines, back):
    assert newest_first(lines) is back
