"""An application's steps are those of the library that it sends its mail with."""

from __future__ import annotations

import pytest

from analyzer.diagnose import diagnose
from analyzer.model.capture import Source

REPLY = "530 5.7.0 Must issue a STARTTLS command first"
PYTHON = f"""\
Traceback (most recent call last):
  File "/srv/app/mail.py", line 14, in <module>
    server.sendmail("a@example.org", ["b@example.net"], text)
  File "/usr/lib/python3.11/smtplib.py", line 885, in sendmail
    raise SMTPSenderRefused(code, resp, from_addr)
smtplib.SMTPSenderRefused: (530, b'{REPLY[4:]}', 'a@example.org')
"""
NODE = f"""\
Error: Invalid login: {REPLY}
    at SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection/index.js:809:19) {{
  response: '{REPLY}',
  command: 'AUTH PLAIN'
}}
"""
PHP = f"SMTP ERROR: MAIL FROM command failed: {REPLY}\n"
MSMTP = f"msmtp: envelope from address a@example.org not accepted by the server\nmsmtp: server message: {REPLY}\n"
POSTFIX = (
    "Nov 23 10:00:01 mx postfix/smtp[71]: 4XyZ1ab2c3z9t: to=<b@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, "
    f"delays=0.1/0/1/0, dsn=5.7.0, status=bounced (host mx.example.net[192.0.2.25] said: {REPLY} (in reply to MAIL FROM command))\n"
)


@pytest.mark.parametrize(
    ("text", "first"), [(PYTHON, "In Python"), (NODE, "In Nodemailer"), (PHP, "In PHPMailer"), (MSMTP, "In msmtprc"), (POSTFIX, None)]
)
def test_the_first_step_is_the_library_s_own(text, first, book, formats):
    report = diagnose([Source("capture", text.encode())], book, formats)
    assert report.diagnoses[0].fault == "starttls-required"
    steps = report.diagnoses[0].steps
    if first:
        assert steps[0].startswith(first)
    assert sum(s.startswith(("In Python", "In Nodemailer", "In PHPMailer", "In msmtprc", "With curl")) for s in steps) == bool(first)
