"""What is read without argparse is what argparse would have read."""

import argparse
import contextlib
import io
from importlib import import_module
from itertools import product

import pytest

from analyzer.cli.plain import Plain

WORDS = {
    "batch": ("a.log", "-", "", "--json", "--jobs", "3", "--rules", "--fail-on", "high", "--json=x", "--js", "--", "-1"),
    "diagnose": ("a.txt", "-", "json", "-f", "-fjson", "-o", "--redact", "--rules", "--rules=x", "--", "-h"),
}


@pytest.mark.parametrize("command", WORDS)
def test_plain_options_are_read_as_argparse_reads_them(command):
    module = import_module(f"analyzer.cli.{command}")
    parser = argparse.ArgumentParser(prog=command, allow_abbrev=False)
    module.arguments(parser)
    plain = Plain()
    module.arguments(plain)
    read = 0
    for length in range(4):
        for words in product(WORDS[command], repeat=length):
            if (found := plain.parsed(words)) is None:
                continue
            read += 1
            with contextlib.redirect_stderr(io.StringIO()):
                assert vars(parser.parse_args(words)) == vars(found), words
    assert read > 100
