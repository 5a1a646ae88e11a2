"""How each server of the lab is configured and started. One function per word that may stand under `runs:`."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from . import layers, zones
from .host import Host

Spec = Mapping[str, Any]

SYSLOG = """
module(load="imuxsock")
{template}
*.*;auth,authpriv.none;mail.none -/var/log/syslog
mail.* -/var/log/mail.log
$IncludeConfig /etc/rsyslog.d/*.conf
"""
TRADITIONAL = "$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat"

NAMED = """
options {{
    directory "/var/cache/bind"; listen-on {{ any; }}; listen-on-v6 {{ any; }};
    recursion no; allow-transfer {{ none; }}; dnssec-validation no; {options}
}};
{zones}
{extra}
"""
RESOLVER = """
options {{
    directory "/var/cache/bind"; listen-on {{ any; }}; listen-on-v6 {{ any; }}; recursion yes; allow-query {{ any; }};
    dnssec-validation {validation}; empty-zones-enable no; {options}
}};
zone "." {{ type hint; file "/etc/bind/lab.hints"; }};
{extra}
"""
HINTS = ". 3600000 NS a.root-servers.net.\na.root-servers.net. 3600000 A 198.41.0.4\n"


def syslog(host: Host, spec: Spec, world: Spec) -> None:
    template = "" if spec.get("log_format", "rfc3339") == "rfc3339" else TRADITIONAL
    host.write("/etc/rsyslog.conf", SYSLOG.format(template=template))
    host.start("rsyslogd -n -iNONE")
    _until(host, "test -S /dev/log")


def bind(host: Host, spec: Spec, world: Spec) -> None:
    clauses = []
    for zone, text in zones.zone_files({**world["zones"], **spec.get("own_zones", {})}, world.get("delegations", {})).items():
        path = f"/etc/bind/lab/{zone if zone != '.' else 'root'}"
        host.write(path, f"$ORIGIN {zone.rstrip('.')}.\n{text}")
        if zone not in world.get("unserved", []) and zone in spec.get("only", [zone]):
            clauses.append(f'zone "{zone}" {{ type master; file "{path}"; }};')
    host.write(
        "/etc/bind/named.conf",
        NAMED.format(zones="\n".join(clauses), options=spec.get("options", ""), extra=spec.get("named", "")),
    )
    _shell(host, spec, "shell")
    host.start("named -g -u bind")
    _until(host, "dig +time=1 +tries=1 @127.0.0.1 version.bind CH TXT | grep -q status:")


def resolver(host: Host, spec: Spec, world: Spec) -> None:
    host.write("/etc/bind/lab.hints", HINTS)
    conf = RESOLVER.format(
        options=spec.get("options", ""),
        validation=spec.get("validation", "no"),
        extra=spec.get("named", "") + _anchors(spec),
    )
    host.write("/etc/bind/named.conf", conf)
    host.start("named -g -u bind")
    _until(host, "dig +time=1 +tries=1 @127.0.0.1 version.bind CH TXT | grep -q status:")


def unbound(host: Host, spec: Spec, world: Spec) -> None:
    host.write("/etc/unbound/lab.hints", HINTS)
    host.write(
        "/etc/unbound/lab.conf",
        "server:\n interface: 0.0.0.0\n access-control: 0.0.0.0/0 allow\n root-hints: /etc/unbound/lab.hints\n"
        " chroot: ''\n username: ''\n do-ip6: no\n use-syslog: no\n ede: yes\n val-log-level: 2\n"  # codespell:ignore ede
        " unblock-lan-zones: yes\n"
        + "".join(f' local-zone: "{zone}" nodefault\n' for zone in zones.BLOCKED)
        + f" {spec.get('unbound', 'module-config: iterator')}\n",
    )
    if "anchor" in spec:
        host.write("/etc/unbound/lab.key", spec["anchor_text"])
        host.run("echo ' trust-anchor-file: /etc/unbound/lab.key' >> /etc/unbound/lab.conf")
    host.start("unbound -d -c /etc/unbound/lab.conf")
    _until(host, "dig +time=1 +tries=1 @127.0.0.1 version.bind CH TXT | grep -q status:")


def postfix(host: Host, spec: Spec, world: Spec) -> None:
    domain = spec["domain"]
    settings = {
        "myhostname": host.name,
        "mydomain": domain,
        "myorigin": domain,
        "mydestination": f"{host.name}, {domain}, localhost",
        "inet_interfaces": "all",
        "inet_protocols": "all" if any(":" in a for a in host.addresses) else "ipv4",
        "mynetworks": "127.0.0.0/8",
        "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
        "smtp_tls_security_level": "may",
        "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
        "alias_maps": "hash:/etc/aliases",
        "alias_database": "hash:/etc/aliases",
        "smtp_connect_timeout": "5s",
        "smtp_helo_timeout": "5s",
        "smtp_mail_timeout": "5s",
        "smtp_rcpt_timeout": "5s",
        "smtp_data_init_timeout": "5s",
        "smtp_data_xfer_timeout": "5s",
        "smtp_data_done_timeout": "5s",
        "biff": "no",
        "compatibility_level": "3.6",
        "recipient_delimiter": "+",
    }
    if spec.get("tls"):
        settings |= {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": "/etc/ssl/lab/cert.pem"}
        settings |= {"smtpd_tls_key_file": "/etc/ssl/lab/key.pem"}
    settings |= spec.get("postfix", {})
    host.run("postconf -e " + " ".join(_quote(f"{k}={v}") for k, v in settings.items()), check=True)
    for line in spec.get("master", []):
        host.run(f"postconf {line}", check=True)
    if not spec.get("tls"):
        host.run("make-ssl-cert generate-default-snakeoil --force-overwrite")
    host.run("newaliases 2>/dev/null; for m in /etc/postfix/maps/*; do [ -f $m ] && postmap $m; done")
    _shell(host, spec, "shell")
    host.run("/usr/lib/postfix/configure-instance.sh -; postfix start")
    _until(host, "postfix status")


def exim(host: Host, spec: Spec, world: Spec) -> None:
    settings = {
        "dc_eximconfig_configtype": "internet",
        "dc_other_hostnames": f"{spec['domain']}:{host.name}",
        "dc_local_interfaces": "127.0.0.1 ; " + " ; ".join(host.addresses),
        "dc_use_split_config": "false",
        "dc_localdelivery": "mail_spool",
        "dc_hide_mailname": "false",
    } | spec.get("debconf", {})
    host.write("/etc/exim4/update-exim4.conf.conf", "".join(f"{k}='{v}'\n" for k, v in settings.items()))
    host.write("/etc/mailname", spec["domain"] + "\n")
    macros = "".join(f"{k} = {v}\n" for k, v in spec.get("macros", {}).items())
    if spec.get("tls"):
        macros += "MAIN_TLS_ENABLE = yes\nMAIN_TLS_CERTIFICATE = /etc/ssl/lab/cert.pem\n"
        macros += "MAIN_TLS_PRIVATEKEY = /etc/ssl/lab/key.pem\n"
    host.write("/etc/exim4/exim4.conf.localmacros", f"MAIN_HARDCODE_PRIMARY_HOSTNAME = {host.name}\n{macros}")
    first = "  driver = smtp\n.ifdef REMOTE_SMTP_HOSTS_AVOID_TLS\n"
    impatient = first.replace(
        "smtp\n",
        "smtp\n  hosts_try_fastopen =\n  connect_timeout = 5s\n  command_timeout = 8s\n  final_timeout = 8s\n  data_timeout = 8s\n",
        1,
    )
    _edit(host, "/etc/exim4/exim4.conf.template", {first: impatient, **spec.get("edit", {})})
    _shell(host, spec, "shell")
    print(host.run("update-exim4.conf"), end="")
    host.run("install -d -o Debian-exim -g adm /var/log/exim4 /run/exim4")
    host.start("exim4 -bdf -q5m")
    _until(host, "test -s /var/log/exim4/mainlog")


def sendmail(host: Host, spec: Spec, world: Spec) -> None:
    host.write("/etc/mailname", spec["domain"] + "\n")
    host.write("/etc/mail/local-host-names", f"localhost\n{host.name}\n{spec['domain']}\n")
    host.write("/etc/hosts", f"127.0.0.1 localhost\n{host.addresses[0]} {host.name} {host.name.split('.')[0]}\n")
    mc = [
        "divert(0)dnl",
        "VERSIONID(`lab')",
        "OSTYPE(`debian')dnl",
        "DOMAIN(`debian-mta')dnl",
        "undefine(`confHOST_STATUS_DIRECTORY')dnl",
        "FEATURE(`no_default_msa')dnl",
        "DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=smtp')dnl",
        "FEATURE(`use_cw_file')dnl",
        "FEATURE(`access_db')dnl",
        "define(`confTO_CONNECT', `5s')dnl",
        "define(`confTO_INITIAL', `5s')dnl",
        "define(`confQUEUE_LA', `1000')dnl",  # a busy machine is no fault of the scenario's
        "define(`confREFUSE_LA', `1000')dnl",
        *spec.get("mc", []),
        "MAILER(`local')dnl",
        "MAILER(`smtp')dnl",
    ]
    host.write("/etc/mail/sendmail.mc", "\n".join(mc) + "\n")
    host.write("/etc/mail/access", spec.get("access", "") + "Connect:127.0.0.1 RELAY\n")
    host.write("/etc/mail/aliases", "MAILER-DAEMON: postmaster\npostmaster: root\n" + spec.get("aliases", ""))
    host.run("mkdir -p /run/sendmail/mta; chown smmta:smmsp /run/sendmail/mta")
    _shell(host, spec, "shell")
    host.run("m4 /usr/share/sendmail/cf/m4/cf.m4 /etc/mail/sendmail.mc > /etc/mail/sendmail.cf", check=True)
    host.run("cd /etc/mail; makemap hash access < access; newaliases 2>/dev/null")
    host.start("/usr/sbin/sendmail -bD -q10m")
    _until(host, "grep -q 'starting daemon' /var/log/mail.log")


def opensmtpd(host: Host, spec: Spec, world: Spec) -> None:
    host.write("/etc/mailname", spec["domain"] + "\n")
    default = (
        "table aliases file:/etc/aliases\nlisten on 0.0.0.0\n"
        'action "local" mbox alias <aliases>\naction "relay" relay\n'
        f'match from any for domain "{spec["domain"]}" action "local"\nmatch from local for local action "local"\n'
        'match from local for any action "relay"\n'
    )
    host.write("/etc/smtpd.conf", spec.get("smtpd", default))
    _shell(host, spec, "shell")
    host.start("smtpd -F")
    _until(host, "grep -q smtpd /var/log/mail.log")


def haraka(host: Host, spec: Spec, world: Spec) -> None:
    """Haraka, with the plugins of its own example configuration and what the scenario writes below config/."""
    host.run("/usr/local/bin/haraka -i /etc/haraka; rm -f /etc/haraka/config/internalcmd_key", check=True)
    plugins = "\n".join(spec.get("plugins", ["rcpt_to.in_host_list", "queue/discard"]))
    files = {"me": host.name, "host_list": spec["domain"], "plugins": plugins, "smtp.ini": "listen=0.0.0.0:25\nnodes=0\n"}
    for name, text in {**files, **spec.get("haraka", {})}.items():
        host.write(f"/etc/haraka/config/{name}", text + "\n")
    _shell(host, spec, "shell")
    host.start("sh -c 'exec /usr/local/bin/haraka -c /etc/haraka >> /var/log/haraka.log 2>&1'")
    _until(host, "ss -ltn | grep -q ':25 '")


def milter(host: Host, spec: Spec, world: Spec) -> None:
    """A milter that does what it is told at a stage: see milter.py."""
    host.write("/opt/telling_milter.py", layers.Path(__file__).with_name("milter.py").read_text())
    host.write("/opt/milter.json", json.dumps(spec.get("milter", {})))
    host.start("python3 /opt/telling_milter.py /opt/milter.json")
    _until(host, "ss -ltn | grep -q ':8891 '")


def dovecot(host: Host, spec: Spec, world: Spec) -> None:
    host.write("/etc/dovecot/local.conf", "protocols = imap lmtp\n" + spec.get("dovecot", ""))  # no submission unless it is asked for
    host.start("dovecot -F")
    _until(host, "test -S /run/dovecot/master")


def postgrey(host: Host, spec: Spec, world: Spec) -> None:
    delay = spec.get("postgrey_delay", 300)
    host.start(f"postgrey --inet=10023 --delay={delay} --pidfile=/run/postgrey.pid")
    _until(host, "ss -ltn | grep -q ':10023 '")


def opendkim(host: Host, spec: Spec, world: Spec) -> None:
    host.write("/etc/opendkim.conf", spec["opendkim"])
    host.start("opendkim -f -x /etc/opendkim.conf")
    _until(host, "ss -ltn | grep -q ':8891 '")


def peer(host: Host, spec: Spec, world: Spec) -> None:
    """A scripted server: see peer.py."""
    host.write("/opt/peer.py", (layers.Path(__file__).with_name("peer.py")).read_text())
    host.write("/opt/peer.json", json.dumps(spec.get("peer", {})))
    host.start("python3 /opt/peer.py /opt/peer.json")
    _until(host, "test -e /run/peer.ready")


RUNS: dict[str, Callable[[Host, Spec, Spec], None]] = {
    "syslog": syslog,
    "bind": bind,
    "resolver": resolver,
    "unbound": unbound,
    "postfix": postfix,
    "exim": exim,
    "sendmail": sendmail,
    "opensmtpd": opensmtpd,
    "dovecot": dovecot,
    "haraka": haraka,
    "milter": milter,
    "postgrey": postgrey,
    "opendkim": opendkim,
    "peer": peer,
}


def _anchors(spec: Spec) -> str:
    """A DNSKEY record as BIND's configuration wants it."""
    if "anchor" not in spec:
        return ""
    owner, _, _, flags, protocol, algorithm, *key = _dnskey(spec)
    return f'trust-anchors {{ {owner} static-key {flags} {protocol} {algorithm} "{"".join(key)}"; }};\n'


def _dnskey(spec: Spec) -> list[str]:
    words = next(line for line in spec["anchor_text"].splitlines() if not line.startswith(";")).split()
    return [words[0], "IN", "DNSKEY", *words[words.index("DNSKEY") + 1 :]]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _shell(host: Host, spec: Spec, key: str) -> None:
    for command in spec.get(key, []):
        host.run(command)


def _edit(host: Host, path: str, edits: Mapping[str, str]) -> None:
    """Replace text in a file; the old text has to be there."""
    if not edits:
        return
    text = host.read(path)
    for old, new in edits.items():
        if old not in text:
            raise RuntimeError(f"{path} does not contain {old!r}")
        text = text.replace(old, new, 1)
    host.write(path, text)


def _until(host: Host, command: str, seconds: float = 30) -> None:
    """Wait until a command succeeds on the host; when it never does, the scenario goes on and says so at its end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if host.run(f"{command} >/dev/null 2>&1 && echo yes").strip().endswith("yes"):
            return
        time.sleep(0.2)
    host.in_vain.append(f"{host.name} is not up: {command}")
