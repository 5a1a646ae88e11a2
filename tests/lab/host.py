"""Hosts of the lab: each is a process tree in network, mount, PID and UTS namespaces of its own.

Killing the first process of a PID namespace makes the kernel kill all others in it, so nothing survives a run.
"""

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import layers

INIT = """
mount --make-rprivate /
mount -t overlay overlay -o lowerdir={lower},upperdir={upper},workdir={work} {root}
mount -t proc proc {root}/proc
mount -t tmpfs -o mode=755 tmpfs {root}/dev
for d in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read name major minor <<.
$d
.
    mknod -m 666 {root}/dev/$name c $major $minor
done
mkdir {root}/dev/pts {root}/dev/shm; chmod 1777 {root}/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts {root}/dev/pts
ln -s pts/ptmx {root}/dev/ptmx; ln -s /proc/self/fd {root}/dev/fd
mount -t tmpfs -o mode=755 tmpfs {root}/run
mkdir -p {root}/run/lock
hostname {name}
ip link set lo up
trap '' CHLD
exec chroot {root} sleep infinity
"""


def _child_of(pid: int) -> int:
    for _ in range(200):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if text:
            return int(text[0])
        time.sleep(0.02)
    raise RuntimeError("the host did not start")


class Switch:
    """A bridge in a network namespace of its own; every host hangs on it."""

    def __init__(self) -> None:
        script = "ip link add br0 type bridge; ip link set br0 up; ip link set lo up; exec sleep infinity"
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-ec", script])
        self.ports = 0
        for _ in range(100):
            if "br0" in self._in("ip -o link show br0 2>/dev/null || true"):
                return
            time.sleep(0.02)
        raise RuntimeError("no bridge")

    def _in(self, command: str) -> str:
        if Path(f"/proc/{self.process.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            return ""
        return layers.sh(f"nsenter -t {self.process.pid} -n sh -c {shlex.quote(command)}")

    def plug(self, pid: int) -> None:
        """Give the host with this first process an `eth0`."""
        self.ports += 1
        port = f"port{self.ports}"
        self._in(f"ip link add {port} type veth peer name eth0 netns {pid}; ip link set {port} master br0 up")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Host:
    """A machine of the lab."""

    def __init__(self, name: str, layer: str, addresses: list[str], switch: Switch) -> None:
        self.name, self.layer, self.addresses = name, layer, addresses
        self.in_vain: list[str] = []  # what was waited for here and never came
        self.folder = Path(tempfile.mkdtemp(prefix="host-", dir=self._runs()))
        self.root = self.folder / "root"
        upper, work = self.folder / "upper", self.folder / "work"
        for folder in (upper, work, self.root):
            folder.mkdir()
        lower = ":".join(map(str, layers.stack(layer)))
        script = INIT.format(lower=lower, upper=upper, work=work, root=self.root, name=name)
        namespaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork"]
        self.process = subprocess.Popen(["unshare", *namespaces, "sh", "-ec", script])
        self.pid = _child_of(self.process.pid)
        self._until_up()
        switch.plug(self.pid)
        self.run(self._network(addresses))

    @staticmethod
    def _runs() -> Path:
        folder = layers.LAB_DIR / "run"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _until_up(self) -> None:
        for _ in range(300):
            if Path(f"/proc/{self.pid}/cmdline").read_bytes().startswith(b"sleep"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start")

    @staticmethod
    def _network(addresses: list[str]) -> str:
        lines = ["sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv4.tcp_syn_retries=2 || true"]
        for address in addresses:
            if ":" in address:
                lines.append(f"ip addr add {address}/32 dev eth0 nodad")
            else:
                lines.append(f"ip addr add {address}/32 dev eth0")
        lines.append("ip link set eth0 up; ip route add default dev eth0")
        if any(":" in address for address in addresses):
            lines.append("ip -6 route add default dev eth0")
        return "\n".join(lines)

    def enter(self, command: str) -> list[str]:
        """The command line that runs `command` on this host."""
        flags = ["-m", "-u", "-i", "-n", "-p", "-r", "-w"]
        env = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb", "LANG=C.UTF-8", "USER=root"]
        return ["nsenter", "-t", str(self.pid), *flags, *env, "sh", "-c", f"cd /root; {command}"]

    def run(self, command: str, timeout: float = 90, stdin: str = "", check: bool = False) -> str:
        """Run a command here; what it prints on both channels."""
        try:
            done = subprocess.run(
                self.enter(command), check=False, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout
            )
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode("utf-8", "replace")
        text = done.stdout.decode("utf-8", "replace")
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {command}: {text[-2000:]}")
        return text

    def start(self, command: str) -> None:
        """Start something that stays."""
        subprocess.Popen(
            self.enter(f"exec setsid {command}"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file as this host sees it."""
        quoted = shlex.quote(path)
        self.run(f"mkdir -p $(dirname {quoted}); cat > {quoted}; chmod {mode:o} {quoted}", stdin=text, check=True)

    def read(self, path: str) -> str:
        """A file of this host, empty when it is not there."""
        return self.run(f"cat {shlex.quote(path)} 2>/dev/null")

    def type(self, command: str, lines: list[str], quiet: float = 0.4, limit: float = 60, patience: float = 12) -> str:
        """Run a command on a terminal and type lines into it, each once the other side has fallen silent."""
        pid, terminal = pty.fork()
        if pid == 0:
            argv = self.enter(command)
            os.execvp(argv[0], argv)
        screen, since, waiting, end, last = b"", b"", list(lines), time.monotonic() + limit, time.monotonic()
        in_data = False
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                screen, since, last = screen + data, since + data, time.monotonic()
                continue
            if waiting and self._ready(waiting[0], since, time.monotonic() - last, in_data, quiet):
                in_data = waiting[0] != "." and (in_data or b"\n354" in since)
                os.write(terminal, self._keys(waiting.pop(0)))
                since, last = b"", time.monotonic()
            elif not waiting and lines and time.monotonic() - last > patience:
                break
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
        return as_on_screen(screen)

    @staticmethod
    def _ready(line: str, since: bytes, silent: float, in_data: bool, quiet: float) -> bool:
        """Is it time to type this line? After a complete reply, after a stated pause, or while writing a message."""
        pause = re.match(r"\[wait (\d+)\]", line)
        if pause:
            return silent > float(pause[1])
        replied = re.search(rb"(?m)^(\d{3}( |\r|$)|telnet> )", since) is not None
        return silent > quiet and (replied or in_data)

    @staticmethod
    def _keys(line: str) -> bytes:
        line = re.sub(r"^\[wait \d+\]", "", line)
        if line == "[ctrl-]]":
            return b"\x1d"
        return line.encode() + b"\r"

    def stop(self) -> None:
        """Kill everything on this host."""
        self.process.kill()
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.folder)], check=False)


def as_on_screen(raw: bytes) -> str:
    """What a person would copy from the terminal."""
    text = re.sub(r"\r+\n", "\n", raw.decode("utf-8", "replace")).replace("\r", "\n")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
