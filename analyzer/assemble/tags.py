"""DMARC and DKIM records, lists of tags (RFC 6376 3.2): what they say and where they are wrong (RFC 6376, 7489)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from analyzer.expressions import re
from analyzer.model.lookup import Record

if TYPE_CHECKING:
    from analyzer.model.lookup import Lookup
    from analyzer.model.place import Place

REDACTED = re.compile(r"\.\.\.|…|\*\*|<[^>]*>|\[[^\]]*\]|(?i:redacted|xxxx|snip)|(?i:[x#*]{1,3}(?:\.[x#*]{1,3}){3})")


def valid_of(text: str, error: str | None) -> str | None:
    """Whether a record is well formed; None where parts of it were blotted out."""
    if error is not None:
        return "no"
    return None if REDACTED.search(text) else "yes"


def tags_of(text: str) -> tuple[list[tuple[str, str]], str | None]:
    """The ``tag=value`` pairs of a record (RFC 6376 3.2), and the first mistake."""
    found: list[tuple[str, str]] = []
    error: str | None = None
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            error = error or f"`{part.strip()[:60]}` is no tag=value"
            continue
        if any(n == name for n, _ in found):
            error = error or f"{name}= stands twice"
        found.append((name, value.strip()))
    return found, error


_DMARC_VALUES = {
    "p": ("none", "quarantine", "reject"),
    "sp": ("none", "quarantine", "reject"),
    "np": ("none", "quarantine", "reject"),
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": ("y", "n", "u"),
}


def dmarc_record(of: str | None, text: str, count: int, places: tuple[Place, ...]) -> Record:
    found, error = tags_of(text)
    tags = {n.lower(): v for n, v in found}
    if not found or found[0] != ("v", "DMARC1"):
        error = "it does not begin with v=DMARC1 (exactly so, in capitals)"
    elif "p" not in tags:
        error = error or "it has no policy (p=)"
    elif error is None:
        error = _wrong_dmarc(tags)
    if REDACTED.search(text) and error and "begin" not in error and "policy" not in error:
        error = None
    strict = [n for n in ("adkim", "aspf") if tags.get(n, "").lower() == "s"]
    return Record(
        places=places,
        where={"text": places},
        complete=True,
        kind="DMARC",
        of=of,
        text=text,
        error=error,
        valid=valid_of(text, error),
        copies=count,
        policy=tags.get("p", "").lower() or None,
        subdomain_policy=tags.get("sp"),
        alignment=" ".join(strict) or None,
    )


def _wrong_dmarc(tags: dict[str, str]) -> str | None:
    for name, allowed in _DMARC_VALUES.items():
        if name in tags and tags[name].lower() not in allowed:
            return f"{name}={tags[name]} is none of {', '.join(allowed)}"
    if "pct" in tags and not (tags["pct"].isdigit() and int(tags["pct"]) <= 100):
        return f"pct={tags['pct']} is no percentage"
    for name in ("rua", "ruf"):
        for uri in tags.get(name, "").split(","):
            if uri.strip() and not re.match(r"(?i)[a-z][a-z0-9+.-]*:", uri.strip()):
                return f"{name}={uri.strip()} is no URI: mailto: is missing"
    return None


_ID = re.compile(r"[A-Za-z0-9]{1,32}")


def small_record(kind: str, of: str | None, text: str, count: int, places: tuple[Place, ...]) -> Record:
    """A record of MTA-STS (RFC 8461 3.1), TLS-RPT (RFC 8460 3) or BIMI."""
    found, error = tags_of(text)
    tags = {n.lower(): v for n, v in found}
    version = _VERSIONS[kind]
    if not found or found[0] != ("v", version):
        error = f"it does not begin with v={version} (exactly so)"
    elif kind == "MTA-STS" and not _ID.fullmatch(tags.get("id", "")):
        error = error or ("it has no id=" if "id" not in tags else f"id={tags['id']} is not 1 to 32 letters and digits")
    elif kind == "TLS-RPT" and not all(re.match(r"(?i)\s*(?:mailto|https):", u) for u in tags.get("rua", "").split(",")):
        error = error or "it names no address for reports (rua=mailto:... or https:...)"
    elif kind == "BIMI" and "l" not in tags:
        error = error or "it names no picture (l=)"
    return Record(
        places=places,
        where={"text": places},
        complete=True,
        kind=kind,
        of=of,
        text=text,
        error=error,
        valid=valid_of(text, error),
        copies=count,
    )


_VERSIONS = {"MTA-STS": "STSv1", "TLS-RPT": "TLSRPTv1", "BIMI": "BIMI1"}


def dkim_record(lookup: Lookup, text: str, places: tuple[Place, ...]) -> Record:
    found, error = tags_of(text)
    tags = dict(found)
    key = re.sub(r"\s+", "", tags.get("p", ""))
    revoked, bits = "no" if key else None, None
    if "v" in tags and (tags["v"] != "DKIM1" or found[0][0] != "v"):
        error = error or "v=DKIM1 is not its first tag, exactly so"
    if "p" not in tags:
        error = error or "it has no key (p=)"
    elif not key:
        revoked = "yes"
    elif error is None and not REDACTED.search(text):
        kind = tags.get("k", "rsa").lower()
        error, bits = _key_error(kind, key)
    return Record(
        places=places,
        where={"text": places},
        complete=True,
        kind="DKIM",
        of=lookup.dkim_of,
        selector=lookup.selector,
        text=text,
        error=error,
        valid=None if revoked == "yes" else valid_of(text, error),
        copies=len(lookup.texts or ()),
        revoked=revoked,
        testing="yes" if "y" in tags.get("t", "").split(":") else None,
        key_type=tags.get("k", "rsa").lower(),
        key_bits=bits,
    )


def _key_error(kind: str, key: str) -> tuple[str | None, int | None]:
    """Why a public key cannot be used, and its size."""
    try:
        data = base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
    except (binascii.Error, ValueError):
        return "the key is no Base64", None
    if kind == "ed25519":
        return (None, 256) if len(data) in {32, 44} else ("the key is not of Ed25519's length", None)
    if kind != "rsa":
        return f"k={kind} is not known", None
    return _rsa(data)


def _rsa(data: bytes) -> tuple[str | None, int | None]:
    """The size of an RSA public key in DER (RFC 8017 A.1.1 in RFC 5280's wrapping), or why it has none."""
    outer = _der(data, 0)
    if outer is None or outer[0] != 0x30:
        return "the key is no RSA public key", None
    if outer[2] > len(data):
        return f"the key is cut short: {len(data)} of {outer[2]} octets", None
    inner = _der(data, outer[1])
    if inner is not None and inner[0] == 0x30:  # SubjectPublicKeyInfo: algorithm, then the key as a bit string
        bits = _der(data, inner[2])
        sequence = _der(data, bits[1] + 1) if bits is not None and bits[0] == 0x03 else None
        inner = _der(data, sequence[1]) if sequence is not None else None
    if inner is None or inner[0] != 0x02 or inner[2] > len(data):
        return "the key is no RSA public key", None
    return None, int.from_bytes(data[inner[1] : inner[2]], "big").bit_length()


def _der(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The tag, the start and the end of the DER value at *at*."""
    if at + 2 > len(data):
        return None
    tag, length = data[at], data[at + 1]
    start = at + 2
    if length & 0x80:
        octets = length & 0x7F
        if octets > 4 or start + octets > len(data):
            return None
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    return tag, start, start + length
