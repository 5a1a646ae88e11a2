"""Prose: a reply that it quotes is found, a mere number is none."""

from __future__ import annotations

import pytest

from analyzer.formats.load import load_formats

QUOTING = (
    "The server answered: 550 5.1.1 <b@example.net>: Recipient address rejected: User unknown",
    "host mx.example.net[192.0.2.25] said: 550 5.1.1 <b@example.net>: Recipient address rejected: User unknown (in reply to RCPT TO command)",
    "<b@example.net>: host mx.example.net[192.0.2.25] said: 451 4.7.1 Greylisted, try again later (in reply to RCPT TO command)",
    "SMTP error from remote server for RCPT TO command, host: mx.example.net (192.0.2.25) reason: 554 relaying denied",
    "SMTP error from remote mail server after RCPT TO:<b@example.net>: 550 5.7.1 blocked",
    "#< #5.7.1 smtp;550 5.7.1 Unable to relay> #SMTP#",
    "Remote Server returned '554 5.7.1 <b@example.net>: Relay access denied'",
    "we always get 421 4.7.0 Try again later, closing connection",
    "b@example.net: SMTP error 550 No such user here",
    'The error was: "550 5.1.1 The email account that you tried to reach does not exist"',
    "The response from the remote server was: 550 5.7.26 Unauthenticated email from example.org is not accepted",
    'I get a "550 relay not permitted" error',
    "550 5.7.1 Service unavailable; client host [192.0.2.7] blocked using Spamhaus",
    "smtp; 550-5.7.26 This mail has been blocked because the sender is unauthenticated.",
    "Diagnostic-Code: smtp;550 5.1.1 User unknown",
    "it bounces with 554 Message rejected under suspicion of SPAM",
    "error 451 Temporary local problem - please try later",
    "Error: 535 Incorrect authentication data",
    "The recipient's mail server said 550 Requested action not taken: mailbox unavailable",
    "Google tried to deliver your message, but it was rejected. The error that the other server returned was: 550 550 5.1.1 unknown",
    "452-4.2.2 The email account that you tried to reach is over quota.",
)

MERE_NUMBERS = (
    "we have 500 users on this server",
    "The message size is 550 KB",
    "It costs 450 dollars per month",
    "see RFC 5321 section 4.2.1",
    "listening on port 587 and 465",
    "call me at 555 1234",
    "version 5.5.2 of the software was released",
    "in 2026 we had 450 rejected applications",
    "error: 404 not found",
    "There are 421 lines in the file",
    "our router said 500 errors were blocked in total",
    "HTTP 500 Internal Server Error",
    "error: 503 Service Unavailable",
    "I tried 5 times; status 200 ok",
    "Chapter 5.1.1 explains 450 things",
    "500 rejected messages per day is normal for us",
    "We got 550 euros",
    "I said 450 people",
    "about 450 accounts, 500 mailboxes and 551 aliases",
    "after 500 messages we stop",
    "status: 550 messages waiting",
    "nginx returned 502 Bad Gateway",
    "postfix 3.5.4 4.5.1 upgraded",
)


@pytest.mark.parametrize("text", QUOTING)
def test_a_quoted_reply_is_found(text: str) -> None:
    read = load_formats()["loose"].fields(text)
    assert read is not None
    assert read[1]["code"] in text


@pytest.mark.parametrize("text", MERE_NUMBERS)
def test_a_number_is_no_reply(text: str) -> None:
    assert load_formats()["loose"].fields(text) is None


ALONE = (
    ("Relay access denied", "Relay access denied"),
    ("<b@example.net>: Relay access denied", "Relay access denied"),
    ("User unknown in virtual mailbox table", "User unknown in virtual mailbox table"),
    ('When I write to b@example.net I get "Relay access denied". What can I do?', "Relay access denied"),
    ("> Sender verify failed", "Sender verify failed"),
)

OF_PEOPLE = (
    "Make sure that your server does not relay for strangers: relaying must be refused",
    "Do you know why an unknown user can log in?",
    "My mailbox is full of spam",
    "The list of unknown users is long",
)


@pytest.mark.parametrize(("line", "words"), ALONE)
def test_a_set_phrase_alone_is_read(line: str, words: str) -> None:
    read = load_formats()["reason"].fields(line)
    assert read is not None
    assert next(v for k, v in read[1].items() if k.startswith("text")).startswith(words)


@pytest.mark.parametrize("line", OF_PEOPLE)
def test_what_people_say_in_their_own_words_is_none(line: str) -> None:
    assert load_formats()["reason"].fields(line) is None
