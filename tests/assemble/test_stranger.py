"""Who at a server's door is a stranger."""

from __future__ import annotations

import pytest

from analyzer.assemble.stranger import Household, with_stranger
from analyzer.model.case import Problem

HOME = Household(domains=frozenset({"example.net"}), clients=frozenset({"192.0.2.50"}))
PROVIDERS = (("example-mail", ("provider.example",)),)
CLIENTS = (
    ({"client_name": "unknown", "client_ip": "192.0.2.7", "helo": "pc", "sender_domain": "example.org"}, "yes"),
    ({"client_name": "<unknown>", "client_ip": "192.0.2.7"}, "yes"),
    ({"client_name": "dsl-192-0-2-7.isp.example", "client_ip": "192.0.2.7", "helo": "[10.0.0.4]"}, "yes"),
    ({"client_name": "scan-7.shodan.example", "client_ip": "192.0.2.7"}, "yes"),
    ({"client_name": "unknown", "client_ip": "192.0.2.7", "helo": "mail.example.org", "sender_domain": "example.org"}, "perhaps"),
    ({"client_name": "mail.example.org", "client_ip": "192.0.2.7", "helo": "mail.example.org"}, "named"),
    ({"client_name": "unknown", "client_ip": "192.0.2.7", "helo": "pc", "sender_domain": "example.net"}, "claims"),
    ({"client_name": "unknown", "client_ip": "10.0.0.7"}, "no"),
    ({"client_name": "unknown", "client_ip": "192.0.2.50"}, "no"),
    ({"client_name": "out7.provider.example", "client_ip": "192.0.2.7"}, "no"),
    ({"client_name": "unknown", "client_ip": "192.0.2.7", "user": "bob@example.net"}, "no"),
    ({"client_ip": "192.0.2.7"}, "yes"),
    ({"client_ip": "x.x.x.x"}, None),
)


@pytest.mark.parametrize(("client", "answer"), CLIENTS)
def test_who_is_a_stranger(client: dict[str, str], answer: str | None) -> None:
    problem = Problem(kind="refusal", places=(), by="local", view="receiving", **client)
    assert with_stranger(problem, HOME, PROVIDERS).stranger == answer


def test_a_server_elsewhere_is_none() -> None:
    problem = Problem(kind="refusal", places=(), by="server", view="sending", client_ip="192.0.2.7")
    assert with_stranger(problem, HOME, PROVIDERS).stranger is None
