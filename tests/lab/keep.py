"""Keep a capture below samples/, with what it is known to show beside it."""

import re
from typing import Any

import yaml

from .host import Host
from .layers import NPM
from .scenario import SAMPLES

LOGS = {
    "mail": "/var/log/mail.log",
    "exim": "/var/log/exim4/mainlog",
    "exim-reject": "/var/log/exim4/rejectlog",
    "exim-panic": "/var/log/exim4/paniclog",
    "haraka": "/var/log/haraka.log",
}
PACKAGES = {
    "telnet": "inetutils-telnet",
    "busybox": "busybox",
    "nc": "netcat-openbsd",
    "swaks": "swaks",
    "openssl": "openssl",
    "curl": "curl",
    "msmtp": "msmtp",
    "dig": "bind9-dnsutils",
    "host": "bind9-host",
    "nslookup": "bind9-dnsutils",
    "delv": "bind9-dnsutils",
    "drill": "ldnsutils",
    "kdig": "knot-dnsutils",
    "named": "bind9",
    "python": "python3",
    "php": "libphp-phpmailer",
    "node": "node-nodemailer",
    "s-nail": "s-nail",
    "perl": "perl-modules-5.36",
}
SERVERS = {
    "postfix": "postfix",
    "exim": "exim4-daemon-heavy",
    "sendmail": "sendmail-bin",
    "opensmtpd": "opensmtpd",
    "dovecot": "dovecot-core",
    "bind": "bind9",
    "unbound": "unbound",
    "postgrey": "postgrey",
    "opendkim": "opendkim",
    "milter": "python3-milter",
}
NOTES = ("todo", "wrong", "not", "unread")  # what people noted beside a capture stays when it is made again

written: dict[str, str] = {}


def log_kind(spec: dict[str, Any]) -> str:
    return next((kind for kind in ("exim", "haraka") if kind in spec["runs"]), "mail")


def save(data: dict[str, Any], step: dict[str, Any], text: str, host: Host | None) -> bool:
    """Write the capture and its expectations; a second step that saves to the same place appends.  False: there is nothing."""
    name = step["save"] if "/" in step["save"] else f"lab/{data['name']}/{step['save']}"
    path = SAMPLES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = written.get(name, "")
    text = before + text
    if not text.strip():
        return False
    written[name] = text
    path.write_text(text)
    expected = expectation(data, step, text)
    previous = path.with_suffix(".expected.yaml")
    expected["origin"] = origin(data, step, host)
    noted = yaml.safe_load(previous.read_text()) if previous.exists() else {}
    if before and noted:
        expected["origin"] = noted["origin"] if step.get("prose") else merged(noted["origin"], expected["origin"])
    expected |= {key: noted[key] for key in NOTES if key in noted}
    previous.write_text(yaml.safe_dump(expected, sort_keys=False, allow_unicode=True, width=110))
    return True


def expectation(data: dict[str, Any], step: dict[str, Any], text: str) -> dict[str, Any]:
    """What a reader may know from this capture: the injected fault, unless the step says otherwise."""
    own = step.get("expect")
    if own == "healthy" or (own is None and data.get("healthy")):
        expected: dict[str, Any] = {"verdict": "healthy", "faults": []}
    elif own == "inconclusive":
        expected = {"verdict": "inconclusive", "faults": []}
    elif isinstance(own, dict):  # undecided, but these come into question
        expected = {"verdict": "inconclusive", "faults": own["inconclusive"]}
    elif own:
        faults = [own] if isinstance(own, str) else own
        expected = {"verdict": "faulty", "faults": faults}
    else:
        expected = {"verdict": data.get("verdict", "faulty"), "faults": data["faults"]}
    facts = {**data.get("facts", {}), **step.get("facts", {})}
    shown = {key: value for key, value in facts.items() if visible(value, text)}
    if shown:
        expected["facts"] = shown
    return expected


def visible(value: Any, text: str) -> bool:
    if value is None:
        return False
    values = value if isinstance(value, list) else [value]
    return all(re.search(rf"(?<![\w.-]){re.escape(str(item))}(?![\w-])", text) for item in values)


def origin(data: dict[str, Any], step: dict[str, Any], host: Host | None) -> str:
    parts = []
    command = str(step.get("run", step.get("telnet", "")))
    if "telnet" in step and " " not in step["telnet"]:
        command = "telnet"
    for word, package in PACKAGES.items():
        if re.search(rf"\b{word}\b", command) and host is not None:
            parts.append(versioned(host, package))
    if "python" in step:
        parts.append("Python smtplib")
    dns_only = re.match(r"(dig|host|nslookup|delv|drill|kdig)\b", command)
    for spec in [] if dns_only else data["hosts"].values():
        for word in spec["runs"]:
            if word in SERVERS and word != "bind":
                parts.append(installed(spec, SERVERS[word]))
            if word == "haraka":
                parts.append(NPM["haraka"][0].replace("@", " "))
            if word == "peer":
                parts.append("a scripted server (tests/lab/peer.py)")
        parts += [installed(spec, package) for package in spec.get("packages", [])]
    unique = list(dict.fromkeys(part for part in parts if part)) or ["BIND 9.18"]
    return f"{', '.join(unique)} on Debian 12, made by tests/lab/scenarios/{data['name']}.yaml."


def merged(old: str, new: str) -> str:
    first, second = (text.split(" on Debian 12")[0].split(", ") for text in (old, new))
    return ", ".join(dict.fromkeys(first + second)) + " on Debian 12" + new.split(" on Debian 12")[1]


versions: dict[str, str] = {}


def versioned(host: Host, package: str) -> str:
    key = f"{host.layer}/{package}"
    if key not in versions:
        versions[key] = host.run(f"dpkg-query -W -f '${{Version}}' {package} 2>/dev/null").strip()
    return f"{package} {versions[key]}" if versions[key] else ""


def installed(spec: dict[str, Any], package: str) -> str:
    from .layers import LAB_DIR

    key = f"{spec['layer']}//{package}"
    if key not in versions:
        text = (LAB_DIR / "layers" / spec["layer"] / "var/lib/dpkg/status").read_text()
        found = re.search(rf"(?m)^Package: {re.escape(package)}\n(?:.+\n)*?Version: (.+)\n", text)
        versions[key] = found[1] if found else ""
    return f"{package} {versions[key]}"
