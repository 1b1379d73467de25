"""Addresses and names that are kept for documentation: told wherever packets would be sent to or let in from them."""

from mesh.config import documentation_addresses, parse
from tests.mesh.config.configs import HOST_KEY, changed, clouds

BASTION = {"host": "192.0.2.1", "host_key": HOST_KEY}


def test_examples_are_named_wherever_a_packet_would_be_sent_to_them() -> None:
    changes = {
        "sites.nyc.endpoint": "[2001:db8::1]:51820",
        "sites.fra.colo.host": "fra.example.net",
        "sites.fra.colo.proxy": BASTION,
        "sites.ams.colo.host": "8.8.8.8",
    }
    assert [str(note) for note in documentation_addresses(parse(changed(dict(changes))))] == [
        "sites.fra.colo.host: fra.example.net is an example, kept for documentation; give the host's own address",
        "sites.fra.colo.proxy.host: 192.0.2.1 is an example, kept for documentation; give the host's own address",
        "sites.nyc.endpoint: 2001:db8::1 is an example, kept for documentation; give the host's own address",
        "sites.nyc.colo.host: 203.0.113.10 is an example, kept for documentation; give the host's own address",
    ]


def test_examples_are_named_in_what_machines_in_clouds_let_in_where_there_are_some() -> None:
    letting_in: dict[str, object] = {
        "operators": ["198.51.100.0/28", "9.9.9.0/24", "2001:db8:5::/48", "0.0.0.0/0"],
        "sites.nyc.colo.sends_from": ["9.9.9.10", "203.0.113.9"],
    }
    example = "is an example, kept for documentation; give the prefixes that SSH really comes from"
    assert [str(note) for note in documentation_addresses(parse(clouds(letting_in)))] == [
        f"operators: 198.51.100.0/28 {example}",
        f"operators: 2001:db8:5::/48 {example}",
        "sites.nyc.colo.sends_from: 203.0.113.9 is an example, kept for documentation; give the host's own address",
    ]
    assert documentation_addresses(parse(clouds({}))) == ()
    hosts = {f"sites.{name}.colo.host": f"{name}.mesh.net" for name in ("nyc", "ams", "fra")}
    assert documentation_addresses(parse(changed({**letting_in, **hosts}))) == ()


def test_a_host_of_ones_own_is_no_example() -> None:
    hosts = {f"sites.{site}.colo.host": f"{site}.mesh.net" for site in ("nyc", "ams", "fra")}
    assert documentation_addresses(parse(changed(dict(hosts)))) == ()
