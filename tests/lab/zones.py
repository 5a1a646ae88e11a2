"""The private name space: a root, its top-level domains and the zones of the scenario, all on one BIND."""

from collections.abc import Mapping

TOP = ["org", "net", "com", "edu", "info", "biz", "test", "in-addr.arpa", "ip6.arpa"]
# Zones that unbound answers by itself unless told otherwise.
BLOCKED = ["test.", "2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."]
HEAD = """$TTL {ttl}
@ SOA {primary} {contact} ( 2026112301 7200 3600 1209600 {negative} )
"""
ROOT = HEAD.format(ttl=86400, primary="a.root-servers.net.", contact="nstld.verisign-grs.com.", negative=86400) + (
    "@ NS a.root-servers.net.\na.root-servers.net. A 198.41.0.4\n"
)


def zone_files(zones: Mapping[str, str], delegations: Mapping[str, str]) -> dict[str, str]:
    """The text of each zone file by zone name. `delegations` replaces the usual name servers of a zone in its parent."""
    files = {".": ROOT}
    for top in TOP:
        files[top] = HEAD.format(ttl=86400, primary="a.nic.test.", contact="hostmaster.nic.test.", negative=900) + (
            "@ NS a.root-servers.net.\n"
        )
    files["net"] += "a.root-servers.net. A 198.41.0.4\n"
    for zone, records in zones.items():
        own = HEAD.format(ttl=3600, primary="ns1.example.net.", contact="hostmaster.example.net.", negative=3600)
        own += "" if "@ NS " in records else "@ NS ns1.example.net.\n@ NS ns2.example.net.\n"
        files[zone] = own + records
    for zone in files:
        if zone != ".":
            files[parent_of(zone, files)] += delegations.get(zone, default_delegation(zone))
    return files


def parent_of(zone: str, files: Mapping[str, str]) -> str:
    """The closest enclosing zone."""
    name = zone
    while "." in name:
        name = name.split(".", 1)[1]
        if name in files:
            return name
    return "."


def default_delegation(zone: str) -> str:
    if zone in TOP:
        return f"{zone}. NS a.root-servers.net.\n"
    glue = "ns1.example.net. A 198.51.100.53\nns2.example.net. A 203.0.113.53\n" if zone == "example.net" else ""
    return f"{zone}. NS ns1.example.net.\n{zone}. NS ns2.example.net.\n{glue}"
