"""A site on DigitalOcean: what its firewalls let in, its addresses, and what replaces its droplet."""

from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest

from mesh import sshkeys
from mesh.model import NewVpc, Secret
from tests.components.conftest import DROPLET, Recorder
from tests.components.sites import AMS, NYC, build, fra, joined, roaming, sgp, three_kinds, use1, usw2

SSH = ("tcp", "22", ["192.0.2.0/24", "2001:db8::/48"])


def let_in(recorder: Recorder, firewall: str) -> list[tuple[str, str | None, list[str]]]:
    rules = recorder.inputs(firewall)["inboundRules"]
    return [(rule["protocol"], rule.get("portRange"), rule["sourceAddresses"]) for rule in rules]


def test_operators_peers_and_what_the_own_network_may_open_are_let_in_and_nothing_else(recorder: Recorder) -> None:
    build(joined(NYC, AMS, fra(), grants=[("fra.vpc", "nyc.virbr0", "tcp/443 udp/8000-8100 icmp")]))
    assert let_in(recorder, "fra-firewall") == [
        SSH,
        ("udp", "51820", ["203.0.113.20/32", "203.0.113.10/32"]),
        ("icmp", None, ["10.40.0.0/24"]),
        ("tcp", "443", ["10.40.0.0/24"]),
        ("udp", "8000-8100", ["10.40.0.0/24"]),
    ]
    assert "fra-firewall-peers" not in recorder.requests


def test_every_protocol_is_each_that_the_firewall_knows(recorder: Recorder) -> None:
    build(joined(NYC, fra(), grants=[("fra.vpc", "nyc.virbr0", "")]))
    own = ["10.40.0.0/24"]
    assert let_in(recorder, "fra-firewall")[2:] == [
        ("tcp", "1-65535", own),
        ("udp", "1-65535", own),
        ("icmp", None, own),
    ]


def test_machines_of_other_clouds_are_let_in_by_a_firewall_that_comes_after_them(recorder: Recorder) -> None:
    build(joined(NYC, use1(), usw2(), fra(reserved_address=True), sgp()))
    # A droplet sends from its own address, whatever its reserved one.
    assert let_in(recorder, "sgp-firewall-peers") == [
        ("udp", "51820", ["198.51.100.103", "198.51.100.101", "198.51.100.102"])
    ]
    assert let_in(recorder, "fra-firewall-peers") == [
        ("udp", "51820", ["198.51.100.105", "198.51.100.101", "198.51.100.102"])
    ]
    assert "outboundRules" not in recorder.inputs("fra-firewall-peers")
    assert "fra-firewall-peers" not in recorder.after("fra-gateway")


@pytest.mark.parametrize(("colo", "expected"), [(NYC, set()), (roaming(NYC), {("udp", "51820")})], ids=["fixed", "not"])
def test_anywhere_is_let_in_where_a_peer_has_no_fixed_address_and_nowhere_else(
    recorder: Recorder, colo: Any, expected: set[tuple[str, str]]
) -> None:
    build(joined(colo, AMS, use1(), fra()))
    rules = [*let_in(recorder, "fra-firewall"), *let_in(recorder, "fra-firewall-peers")]
    assert {rule[:2] for rule in rules if any(source.endswith("/0") for source in rule[2])} == expected


def test_the_droplet_is_never_without_its_firewall(recorder: Recorder) -> None:
    build(three_kinds())
    tag = "wireguard-mesh:test:fra"
    assert recorder.inputs("fra-tag")["name"] == tag
    assert recorder.inputs("fra-firewall")["tags"] == recorder.inputs("fra-firewall-peers")["tags"] == [tag]
    assert recorder.inputs("fra-gateway")["tags"] == [tag]
    assert "fra-firewall" in recorder.after("fra-gateway")


def test_what_goes_out_is_declared(recorder: Recorder) -> None:
    build(three_kinds())
    rules = recorder.inputs("fra-firewall")["outboundRules"]
    assert [(rule["protocol"], rule.get("portRange")) for rule in rules] == [
        ("tcp", "1-65535"),
        ("udp", "1-65535"),
        ("icmp", None),
    ]
    assert {tuple(rule["destinationAddresses"]) for rule in rules} == {("0.0.0.0/0", "::/0")}


def test_with_a_reserved_address_peers_and_ssh_use_it_and_only_then(recorder: Recorder) -> None:
    outputs = build(joined(NYC, use1(), fra(reserved_address=True)))
    assert outputs["fra.address"] == "198.51.100.104"
    assert recorder.inputs("fra-address-of-gateway") == {"dropletId": int(DROPLET), "ipAddress": "198.51.100.104"}
    assert recorder.inputs("fra-host")["connection"]["host"] == "198.51.100.104"
    assert "fra-address-of-gateway" in recorder.after("fra-host")
    assert "\nEndpoint = 198.51.100.104:51820\n" in recorder.inputs("nyc-config")["stdin"]
    # It sends from its own all the same.
    assert recorder.inputs("use1-in-udp-51820-from-fra")["cidrIpv4"] == "198.51.100.103/32"


def test_without_a_reserved_address_none_is_made(recorder: Recorder) -> None:
    build(three_kinds())
    assert recorder.starting("digitalocean:index/reservedIp") == []


def test_the_routes_that_other_droplets_need_are_shown_ready_for_cloud_init(recorder: Recorder) -> None:
    outputs = build(joined(NYC, AMS, use1(), fra(), sgp()))
    text = outputs["fra.cloud_init"]
    assert text.startswith("#cloud-config\n")
    for prefix in ("192.168.122.0/24", "10.10.0.0/16"):
        assert f"ip route replace {prefix} via 10.40.0.2\n" in text
    assert "10.20.0.0/24" not in text
    assert "sgp.cloud_init" not in outputs
    assert "use1.cloud_init" not in outputs


def test_what_comes_in_masqueraded_needs_no_route(recorder: Recorder) -> None:
    outputs = build(joined(AMS, fra(), grants=[("ams.lan", "fra.vpc", "tcp/22")]))
    assert "fra.cloud_init" not in outputs


def test_a_raised_generation_replaces_the_droplet_and_nothing_else_does_unasked(recorder: Recorder) -> None:
    build(joined(NYC, fra(generation=2)))
    request = recorder.requests["fra-gateway"]
    assert request.replacement_trigger.number_value == 2
    assert set(request.ignoreChanges) == {"image", "userData", "sshKeys"}
    # Two machines with one WireGuard key would take the peers from each other.
    assert request.deleteBeforeReplace
    assert recorder.inputs("fra-gateway")["resizeDisk"] is False


def test_the_account_s_key_is_nobody_s_and_no_password_is_made_up(recorder: Recorder) -> None:
    own = sshkeys.generate()
    build(joined(NYC, fra(), operator_key=own))
    registered = recorder.inputs("fra-login")["publicKey"]
    assert registered != sshkeys.public_key(own)
    assert recorder.inputs("fra-gateway")["sshKeys"] == ["fra-login-id"]
    assert list(recorder.requests["fra-login"].ignoreChanges) == ["publicKey"]
    assert registered not in recorder.inputs("fra-gateway")["userData"]
    assert "disable_root: false" in recorder.inputs("fra-gateway")["userData"]


@pytest.mark.parametrize(
    ("image", "slug"), [("debian-12", "debian-12-x64"), ("ubuntu-24.04", "ubuntu-24-04-x64")], ids=["Debian", "Ubuntu"]
)
def test_the_droplet_is_what_the_config_says(recorder: Recorder, image: str, slug: str) -> None:
    build(joined(NYC, fra(image=image, size="s-2vcpu-2gb", tags=("net", "edge")), sgp()))
    gateway = recorder.inputs("fra-gateway")
    assert (gateway["image"], gateway["size"], gateway["region"]) == (slug, "s-2vcpu-2gb", "fra1")
    assert gateway["tags"] == ["wireguard-mesh:test:fra", "net", "edge"]
    assert gateway["name"] == "test-fra"
    assert gateway["vpcUuid"] == "fra-vpc-id"
    assert recorder.inputs("fra-vpc")["ipRange"] == "10.40.0.0/24"
    assert recorder.inputs("sgp-gateway")["vpcUuid"] == "0a1b2c3d-0a1b-4c3d-8e5f-0a1b2c3d4e5f"
    assert "sgp-vpc" not in recorder.requests


def test_another_vpc_is_made_before_the_old_one_goes_and_has_a_name_of_its_own(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is taken as long as a VPC is there, and a refusal of the new one must not cost the old one's droplet."""
    found = set()
    for site in (fra(), fra(vpc=NewVpc(IPv4Network("10.40.1.0/24"))), fra(region="ams3")):
        build(joined(NYC, site))
        assert not recorder.requests["fra-vpc"].deleteBeforeReplace
        found.add(next(args for args in reversed(recorder.registered) if args.name == "fra-vpc").inputs["name"])
    assert found == {"test.fra.10.40.0.0-24.fra1", "test.fra.10.40.1.0-24.fra1", "test.fra.10.40.0.0-24.ams3"}


def test_a_stack_s_name_becomes_one_that_digitalocean_takes(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names have no underscore and tags no dot: the provider's docs of vpc and tag, and the API's of droplets."""
    monkeypatch.setattr(pulumi, "get_stack", lambda: "eu_1.prod")
    build(joined(NYC, use1(), fra()))
    for resource, name in (
        ("login", ""),
        ("firewall", ""),
        ("firewall-peers", ".peers"),
        ("vpc", ".10.40.0.0-24.fra1"),
    ):
        assert recorder.inputs(f"fra-{resource}")["name"] == f"eu-1.prod.fra{name}"
    # A hostname ends at the first dot.
    assert recorder.inputs("fra-gateway")["name"] == "eu-1-prod-fra"
    assert recorder.inputs("fra-tag")["name"] == "wireguard-mesh:eu_1:prod:fra"
    assert recorder.inputs("use1-gateway")["tags"]["Name"] == "eu_1.prod-use1"


def test_a_token_is_the_provider_s_own_secret_and_the_environment_s_if_none_is_given(recorder: Recorder) -> None:
    build(joined(NYC, fra(token=Secret("dop_v1_0123")), sgp()))
    assert recorder.inputs("fra-digitalocean")["token"] == "dop_v1_0123"
    assert recorder.secret("fra-digitalocean", "token")
    assert "token" not in recorder.inputs("sgp-digitalocean")
