"""Certificates of the lab: one private authority, and the ways in which a certificate can be wrong."""

from pathlib import Path

from .host import Host
from .layers import LAB_DIR, sh

FOLDER = LAB_DIR / "certs"


def authority() -> None:
    """Make the authority and its intermediate once."""
    if (FOLDER / "ready").exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    sh(f"""cd {FOLDER}
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj '/O=Example Trust/CN=Example Root CA' 2>/dev/null
        openssl req -newkey rsa:2048 -nodes -keyout sub.key -out sub.csr -subj '/O=Example Trust/CN=Example Issuing CA 1' 2>/dev/null
        printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n' > sub.ext
        openssl x509 -req -in sub.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1825 -extfile sub.ext -out sub.pem 2>/dev/null
        touch ready""")


def install(host: Host, kind: str) -> None:
    """Give a host a certificate: good, expired, future, self-signed, wrong-name or incomplete."""
    authority()
    name = "www.hosting.test" if kind == "wrong-name" else host.name
    stem = FOLDER / f"{host.name}-{kind}"
    if not Path(f"{stem}.pem").exists():
        sh(_recipe(str(stem), name, kind))
    host.write("/etc/ssl/lab/cert.pem", _read(f"{stem}.pem"))
    host.write("/etc/ssl/lab/key.pem", _read(f"{stem}.key"), 0o644)


def trust(host: Host) -> None:
    """Let a host trust the lab's authority."""
    authority()
    host.write("/usr/local/share/ca-certificates/lab.crt", _read(f"{FOLDER}/ca.pem"))
    host.run("cat /usr/local/share/ca-certificates/lab.crt >> /etc/ssl/certs/ca-certificates.crt; c_rehash /etc/ssl/certs >/dev/null 2>&1")
    host.run(
        "cd /etc/ssl/certs; ln -sf /usr/local/share/ca-certificates/lab.crt $(openssl x509 -hash -noout -in /usr/local/share/ca-certificates/lab.crt).0"
    )


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _recipe(stem: str, name: str, kind: str) -> str:
    request = f"openssl req -newkey rsa:2048 -nodes -keyout {stem}.key -out {stem}.csr -subj /CN={name} 2>/dev/null"
    ext = f"printf 'subjectAltName=DNS:{name}\\n' > {stem}.ext"
    if kind == "self-signed":
        return f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {stem}.key -out {stem}.pem -days 365 -subj /CN={name} 2>/dev/null"
    if kind in ("expired", "future"):
        start, end = ("20250801000000Z", "20251101000000Z") if kind == "expired" else ("20270601000000Z", "20280601000000Z")
        folder = f"{stem}.ca"
        return f"""{request}; {ext}
            rm -rf {folder}; mkdir -p {folder}; touch {folder}/index; echo 1001 > {folder}/serial
            printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase={folder}/index\\nserial={folder}/serial\\nnew_certs_dir={folder}\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > {folder}/cnf
            openssl ca -batch -config {folder}/cnf -in {stem}.csr -out {stem}.leaf -cert {FOLDER}/sub.pem -keyfile {FOLDER}/sub.key -startdate {start} -enddate {end} -extfile {stem}.ext -notext 2>/dev/null
            cat {stem}.leaf {FOLDER}/sub.pem > {stem}.pem"""
    sign = f"openssl x509 -req -in {stem}.csr -CA {FOLDER}/sub.pem -CAkey {FOLDER}/sub.key -CAcreateserial -days 365 -extfile {stem}.ext -out {stem}.leaf 2>/dev/null"
    chain = f"cp {stem}.leaf {stem}.pem" if kind == "incomplete" else f"cat {stem}.leaf {FOLDER}/sub.pem > {stem}.pem"
    return f"{request}; {ext}; {sign}; {chain}"
