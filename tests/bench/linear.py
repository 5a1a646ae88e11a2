"""``python -m tests.bench.linear``: does twice as much input take twice the time?  Hostile lines and many lines, by kind.

Prints a table; a ratio well above 2 for a doubling is a fault.  No test: the machine's own moods would fail it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from analyzer.diagnose import diagnose
from analyzer.formats.load import load_formats
from analyzer.model.capture import Source
from analyzer.rulebook import load_rules

_HEAD = "Nov 20 10:00:00 mx postfix/smtp[7]: "
KINDS: dict[str, tuple[int, Callable[[int], str]]] = {
    "replies": (2_000, lambda n: "".join(f"250 ok {i}\n" for i in range(n))),
    "commands and replies": (500, lambda n: "220 mx\n" + "".join(f"RCPT TO:<u{i}@example.org>\n550 5.1.1 <u{i}@example.org> unknown\n" for i in range(n))),
    "deliveries": (500, lambda n: "".join(f"{_HEAD}{i:05X}: to=<u{i}@d{i}.example>, relay=none, delay=1, dsn=4.4.1, status=deferred (connect to d{i}.example[192.0.2.1]:25: Connection timed out)\n" for i in range(n))),
    "look-ups": (200, lambda n: "".join(f"$ dig +short MX d{i}.example\n10 mx.d{i}.example.\n" for i in range(n))),
    "messages": (100, lambda n: "".join(f"From: a@b{i}.example\nTo: c@example.org\nSubject: Undelivered {i}\n\nhost mx said: 550 no\n\n" for i in range(n))),
    "prose": (1_000, lambda n: "".join(f"Dear helpdesk, mail {i} does not arrive.\n" for i in range(n))),
    "one long line": (20_000, lambda n: "220 " + "a (" * n),
    "many brackets": (20_000, lambda n: "From: " + "<" * n + "\nTo: x\n\n"),
    "nested parts": (200, lambda n: "From: a@b\nTo: c@d\nMIME-Version: 1.0\n" + "".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(n))),
    "many spaces": (5_000, lambda n: "550 " + " \t" * n + "x\n"),
}  # fmt: skip


def seconds(text: str) -> float:
    start = time.process_time()
    diagnose([Source("x", text.encode())], load_rules(), load_formats())
    return time.process_time() - start


def main() -> None:
    seconds("220 mx\n")
    print("| input | size | s | twice as much | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for name, (size, make) in KINDS.items():
        seconds(make(10))
        one, two = seconds(make(size)), seconds(make(2 * size))
        print(f"| {name} | {size} | {one:.2f} | {two:.2f} | {two / one:.1f} |", flush=True)


if __name__ == "__main__":
    main()
