"""Run one scenario: bring up its hosts, do its steps, keep its captures."""

import re
import shlex
import time
from typing import Any, Self

from . import certs, keep
from .host import Host, Switch
from .servers import RUNS

MESSAGE = """From: {name} <{sender}>
To: {to}
Subject: {subject}
Date: {date}
Message-ID: <{id}@{domain}>

{body}
"""


class Lab:
    """The hosts of one scenario, and what is done with them."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.hosts: dict[str, Host] = {}
        self.marks: dict[tuple[str, str], int] = {}
        self.in_vain: list[str] = []  # what was waited for and never came
        self.switch = Switch()

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self.down()

    def up(self) -> None:
        for key, spec in self.data["hosts"].items():
            host = Host(spec["name"], spec["layer"], spec["addresses"], self.switch)
            self.hosts[key] = host
            host.write("/etc/resolv.conf", spec.get("resolv", "nameserver 192.0.2.53\n"))
            if not spec.get("hostname_in_hosts", True):
                host.write("/etc/hosts", "127.0.0.1 localhost\n")
            else:
                host.write("/etc/hosts", f"127.0.0.1 localhost\n{spec['addresses'][0]} {host.name} {host.name.split('.')[0]}\n")
            if spec.get("tls"):
                certs.install(host, spec["tls"])
            if spec.get("trust"):
                certs.trust(host)
            host.run("useradd -m bob; useradd -m alice; useradd -m carol 2>/dev/null")
            for path, text in spec.get("files", {}).items():
                host.write(path, text)
            if "anchor" in spec:
                where, path = spec["anchor"]
                spec["anchor_text"] = self.hosts[where].read(path)
            for word in spec["runs"]:
                RUNS[word](host, spec, self.data)
            for command in spec.get("after", []):
                host.run(command)
        for key in self.hosts:
            self.mark(key)

    def complaints(self) -> list[str]:
        """What makes the captures doubtful: servers that did not come up, lines that did not come, nothing to keep."""
        return [c for host in self.hosts.values() for c in host.in_vain] + self.in_vain

    def down(self) -> None:
        for host in self.hosts.values():
            host.stop()
        self.switch.stop()

    def mark(self, key: str) -> None:
        """What is in the logs up to now is not part of the capture."""
        for path in keep.LOGS.values():
            self.marks[key, path] = len(self.hosts[key].read(path).encode())

    def play(self) -> None:
        for step in self.data["steps"]:
            for word in ("send", "run", "telnet", "log", "mail", "prose", "say", "wait", "mark", "start", "python"):
                if word in step:
                    getattr(self, "do_" + word)(step)
                    break
            else:
                raise ValueError(f"nothing to do: {step}")

    def keep(self, step: dict[str, Any], text: str, *used: str) -> None:
        if step.get("save"):
            kept = keep.save(self.data, step, text, self.hosts[step.get("at", "pc")] if step.get("at", "pc") in self.hosts else None)
            if not kept:
                self.in_vain.append(f"nothing captured for {step['save']}")

    def do_wait(self, step: dict[str, Any]) -> None:
        time.sleep(float(step["wait"]))

    def do_mark(self, step: dict[str, Any]) -> None:
        self.mark(step["mark"])

    def do_start(self, step: dict[str, Any]) -> None:
        """Start a server of `runs:` only now, in the middle of the steps."""
        key = step.get("at", "mail")
        RUNS[step["start"]](self.hosts[key], self.data["hosts"][key], self.data)

    def do_prose(self, step: dict[str, Any]) -> None:
        """A line of somebody's own words, in a mixed paste."""
        self.keep(step, step["prose"].rstrip("\n") + "\n")

    def do_run(self, step: dict[str, Any]) -> None:
        """A command, or several, as on a terminal: with or without the prompt."""
        commands = [step["run"]] if isinstance(step["run"], str) else step["run"]
        host, text = self.hosts[step.get("at", "pc")], ""
        for command in commands:
            on_terminal = command.startswith(("openssl", "curl")) or "exim4 -" in command
            output = host.type(command, [], limit=30) if on_terminal else host.run(command, timeout=step.get("limit", 60))
            shown = step.get("shown", command)
            text += f"{step['prompt']}{shown}\n{output}" if step.get("prompt") else output
        self.keep(step, text)

    def do_python(self, step: dict[str, Any]) -> None:
        """A Python program on the host."""
        host = self.hosts[step.get("at", "pc")]
        host.write("/tmp/program.py", step["python"])
        self.keep(step, host.run("python3 /tmp/program.py", timeout=step.get("limit", 60)))

    def do_telnet(self, step: dict[str, Any]) -> None:
        """A session typed by hand on a terminal."""
        command = step["telnet"] if " " in step["telnet"] else f"telnet {step['telnet']} 25"
        screen = self.hosts[step.get("at", "pc")].type(
            command, step.get("say", []), limit=step.get("limit", 40), patience=step.get("patience", 8)
        )
        self.keep(step, f"{step.get('prompt', '$ ')}{command}\n{screen}" if step.get("prompt", "$ ") else screen)

    def do_send(self, step: dict[str, Any]) -> None:
        """Submit a message on a mail server's own command line, and wait for its fate."""
        for number in range(step.get("times", 1)):
            self._submit(step, number)
        if step.get("until"):
            self.await_log(step.get("at", "mail"), step["until"], step.get("limit", 30))

    def _submit(self, step: dict[str, Any], number: int) -> None:
        host = self.hosts[step.get("at", "mail")]
        sender, to = step.get("from", "alice@example.org"), step["send"]
        text = step.get("message") or MESSAGE.format(
            name=sender.split("@")[0].capitalize(),
            sender=sender,
            to=to if isinstance(to, str) else ", ".join(to),
            subject=step.get("subject", "Minutes of the meeting"),
            date=time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()),
            id=f"{time.time():.3f}.{number}",
            domain=sender.partition("@")[2],
            body=step.get("body", "Please find the minutes below.\n"),
        )
        text += ("0123456789abcdef" * 4 + "\n") * (step.get("size", 0) // 65)
        recipients = to if isinstance(to, str) else " ".join(to)
        host.run(f"{step.get('with', '/usr/sbin/sendmail -i')} -f {shlex.quote(sender)} {recipients}", stdin=text)

    def await_log(self, key: str, pattern: str, seconds: float = 30) -> None:
        """Wait until the log of a host says something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(pattern, self.log_of(key)):
                time.sleep(0.5)
                return
            time.sleep(0.3)
        self.in_vain.append(f"{key} never logged {pattern!r}")

    def log_of(self, key: str, which: str = "") -> str:
        path = keep.LOGS.get(which or keep.log_kind(self.data["hosts"][key]), which)
        text = self.hosts[key].read(path).encode()
        return text[self.marks.get((key, path), 0) :].decode("utf-8", "replace")

    def do_log(self, step: dict[str, Any]) -> None:
        """The log of a host since the steps began."""
        if step.get("until"):
            self.await_log(step["log"], step["until"], step.get("limit", 30))
        text = self.log_of(step["log"], step.get("which", ""))
        if step.get("grep"):
            text = "".join(line for line in text.splitlines(True) if re.search(step["grep"], line))
        if step.get("drop"):
            text = "".join(line for line in text.splitlines(True) if not re.search(step["drop"], line))
        self.keep({**step, "at": step["log"]}, text)

    def do_mail(self, step: dict[str, Any]) -> None:
        """The newest message in a mailbox: a bounce, say."""
        host = self.hosts[step.get("at", "mail")]
        text = before = ""
        end = time.monotonic() + step.get("limit", 30)
        while time.monotonic() < end:
            before, text = text, host.run(f"cat /var/mail/{step['mail']} /var/spool/mail/{step['mail']} 2>/dev/null | cat")
            if text.endswith("\n") and text == before:  # whole, not half written
                break
            time.sleep(0.5)
        last = re.split(r"(?m)^(?=From \S+ +\w{3} \w{3} [ \d]\d )", text)[-1]
        if not step.get("from_line"):
            last = re.sub(r"\AFrom .*\n", "", last)
        self.keep(step, last)
