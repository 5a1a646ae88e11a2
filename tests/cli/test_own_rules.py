"""Rules of the user's own, and adjustments of ours."""

import pytest

from tests.cli.test_cli import mailwhy

SESSION = """\
220 mx.example.net ESMTP
EHLO client.example.org
250 mx.example.net
MAIL FROM:<a@example.org>
451 4.3.0 acme gate is shut
"""
OWN = """\
rule: acme/gate-is-shut
title: The gate of ACME is shut
about: problem
when: {kind: refusal, text: {has: acme gate is shut}}
refines: [reply]
suggests: {blocked-by-policy: 0.9}
because: "{{ server }} says that its gate is shut: call the porter."
examples:
  - yes: "220 mx.example.net ESMTP\\nEHLO a.example.org\\n250 mx.example.net\\nMAIL FROM:<a@example.org>\\n451 4.3.0 acme gate is shut\\n"
  - no: "220 mx.example.net ESMTP\\nEHLO a.example.org\\n250 mx.example.net\\nMAIL FROM:<a@example.org>\\n550 5.1.8 no\\n"
"""


def test_a_rule_of_ones_own_is_used(tmp_path):
    (tmp_path / "acme.yaml").write_text(OWN)
    assert b"call the porter" not in mailwhy(data=SESSION.encode()).stdout
    done = mailwhy("--rules", str(tmp_path), data=SESSION.encode())
    assert done.returncode == 1
    assert b"blocked-by-policy" in done.stdout
    assert b"The gate of ACME is shut" in done.stdout


def test_rules_of_ones_own_are_linted_and_tested(tmp_path):
    (tmp_path / "acme.yaml").write_text(OWN)
    for what in ("lint", "test"):
        assert mailwhy("rules", what, str(tmp_path)).returncode == 0
    (tmp_path / "acme.yaml").write_text(OWN.replace("451 4.3.0 acme gate is shut", "451 4.3.0 open"))
    done = mailwhy("rules", "test", str(tmp_path))
    assert done.returncode == 1
    assert b"acme.yaml:1:1: acme/gate-is-shut" in done.stdout + done.stderr


ADJUST_OFF = "adjust: closed-after-mail-from\noff: true\nreason: our gateway hangs up there by design\nsince: 2026-11-01\n"
ADJUST_SHARE = "adjust: closed-after-mail-from\nsuggests: {rate-limited: 0.9}\nreason: our gateway counts connections\nsince: 2026-11-01\n"
HANG_UP = SESSION.replace("451 4.3.0 acme gate is shut", "Connection closed by foreign host.")


@pytest.mark.parametrize(("text", "first"), [(ADJUST_OFF, None), (ADJUST_SHARE, "rate-limited")])
def test_an_adjustment_changes_the_answer_and_is_named(tmp_path, text, first):
    (tmp_path / "adjust.yaml").write_text(text)
    before = mailwhy(data=HANG_UP.encode()).stdout.decode()
    done = mailwhy("--rules", str(tmp_path), data=HANG_UP.encode()).stdout.decode()
    assert "listed-on-dnsbl  (" in before
    assert "listed-on-dnsbl  (" not in done
    if first:
        assert f"{first}  (" in done
    assert "adjusted: closed-after-mail-from: our gateway" in done
    assert "adjusted" not in before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("adjust: closed-after-mail-form\noff: true\nreason: r\nsince: 2026-11-01\n", b"did you mean `closed-after-mail-from`?"),
        ("adjust: closed-after-mail-from\noff: true\nsince: 2026-11-01\n", b"an adjustment needs reason"),
    ],
)
def test_a_wrong_adjustment_names_its_place(tmp_path, text, words):
    (tmp_path / "adjust.yaml").write_text(text)
    done = mailwhy("--rules", str(tmp_path), data=HANG_UP.encode())
    assert done.returncode == 2
    assert b"adjust.yaml:1" in done.stderr
    assert words in done.stderr
