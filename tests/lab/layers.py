"""File systems for the hosts of the lab: a small Debian, and layers of packages on top of it.

Mail servers exclude each other as Debian packages, so each gets a layer of its own (overlayfs): an ordinary
`apt-get install` inside a chroot whose writes land in the layer. A host of the lab then sees
`own writes : server layer : tools : base`.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAB_DIR = Path(os.environ.get("LAB_DIR", Path.home() / ".cache" / "mailwhy-lab"))
SUITE = os.environ.get("LAB_SUITE", "bookworm")
MIRROR = os.environ.get("LAB_MIRROR", "http://deb.debian.org/debian")

TOOLS = """rsyslog procps iputils-ping nftables openssl ca-certificates inetutils-telnet netcat-openbsd busybox
swaks libnet-ssleay-perl libnet-dns-perl libauthen-sasl-perl libauthen-ntlm-perl bind9-dnsutils bind9-host ldnsutils
knot-dnsutils curl msmtp python3 python3-dnspython python3-aiosmtpd sasl2-bin libsasl2-modules""".split()

SERVERS = {
    "tools": TOOLS,
    "dns": ["bind9", "bind9-utils", "unbound", "nsd"],
    "postfix": """postfix postfix-pcre postfix-ldap postfix-mysql dovecot-core dovecot-lmtpd dovecot-imapd dovecot-sieve postgrey
        opendkim opendkim-tools opendmarc postfix-policyd-spf-python bsd-mailx dovecot-submissiond python3-milter""".split(),
    "clients": "php-cli libphp-phpmailer nodejs node-nodemailer s-nail libnet-ssleay-perl libio-socket-ssl-perl".split(),
    "companions": """amavisd-new clamav-daemon clamav-milter spamassassin spamc spamd spamass-milter rspamd postsrsd postfix-policyd-spf-perl
        nginx-light libnginx-mod-mail sendemail""".split(),
    "courier": ["courier-mta", "maildrop"],
    "exim": ["exim4-daemon-heavy", "bsd-mailx"],
    "sendmail": ["sendmail-bin", "sendmail-cf", "sensible-mda", "m4", "procmail", "bsd-mailx"],
    "opensmtpd": ["opensmtpd", "bsd-mailx"],
    "haraka": ["nodejs", "npm"],
    "dma": ["dma", "bsd-mailx"],
    "ssmtp": ["ssmtp"],
    "nullmailer": ["nullmailer"],
}
# A layer on top of another than the tools.
OVER = {"companions": "postfix"}
# What comes from npm instead, installed for all users of the layer. The last Haraka that runs on Debian 12's Node.
NPM = {"haraka": ["Haraka@3.1.1"]}

NO_START = "#!/bin/sh\nexit 101\n"


def sh(command: str, timeout: float = 600) -> str:
    """Run a shell command of the lab's own making and return what it printed."""
    done = subprocess.run(["sh", "-ec", command], check=False, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def building(name: str) -> Iterator[bool]:
    """Whether this process has to make it: one at a time does, the others wait for it."""
    LAB_DIR.mkdir(parents=True, exist_ok=True)
    ready = LAB_DIR / f"{name}.ready"
    with (LAB_DIR / f"{name}.lock").open("w") as lock:
        if not ready.exists():
            fcntl.flock(lock, fcntl.LOCK_EX)
        missing = not ready.exists()
        yield missing
        if missing:
            ready.touch()


def base() -> Path:
    """A minimal Debian, made once."""
    folder = LAB_DIR / "base"
    with building("base") as missing:
        if not missing:
            return folder
        sh("command -v debootstrap || apt-get -o DPkg::Lock::Timeout=300 install -y -qq debootstrap")
        sh(f"rm -rf {folder}; debootstrap --variant=minbase --include=ca-certificates,iproute2 {SUITE} {folder} {MIRROR}")
        (folder / "usr/sbin/policy-rc.d").write_text(NO_START)
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    return folder


def stack(layer: str) -> list[Path]:
    """The read-only folders under a host of this kind, uppermost first; built when missing."""
    below = [base()] if layer == "tools" else stack(OVER.get(layer, "tools"))
    folder = LAB_DIR / "layers" / layer
    with building(layer) as missing:
        if missing:
            print(f"lab: building layer {layer}", flush=True)
            build(folder, below, SERVERS[layer], NPM.get(layer, []))
    return [folder, *below]


def build(folder: Path, below: list[Path], packages: list[str], modules: list[str]) -> None:
    """Install packages with apt-get, and npm's modules; what they write is the layer."""
    work, root = (LAB_DIR / "build" / folder.name / part for part in ("work", "root"))
    sh(f"rm -rf {folder} {work}; mkdir -p {folder} {work} {root}")
    lower = ":".join(map(str, below))
    install = (
        "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && "
        f"apt-get install -y -qq --no-install-recommends {' '.join(packages)} && apt-get clean"
    )
    if modules:  # trusting whom the machine that builds the lab trusts
        npm = "npm install --global --omit=optional --no-fund --no-audit"
        install += f" && NODE_EXTRA_CA_CERTS=/run/ca.crt {npm} {' '.join(modules)} && rm /run/ca.crt"
    script = f"""
        mount --make-rprivate /
        mount -t overlay overlay -o lowerdir={lower},upperdir={folder},workdir={work} {root}
        mount -t proc proc {root}/proc
        mount --rbind /dev {root}/dev
        cp /etc/resolv.conf {root}/etc/resolv.conf
        grep -q "[[:blank:]]$(hostname)" {root}/etc/hosts 2>/dev/null || echo "127.0.1.1 $(hostname)" >> {root}/etc/hosts
        cp /etc/ssl/certs/ca-certificates.crt {root}/run/ca.crt
        chroot {root} sh -ec '{install}'
    """
    subprocess.run(["unshare", "--mount", "sh", "-ec", script], check=True, stdout=subprocess.DEVNULL, timeout=900)
