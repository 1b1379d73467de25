"""What the account of the stand-in for DigitalOcean keeps: addresses, firewalls' reach, and what is left at the end."""

import json
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network
from typing import Any

import pytest

from lab.clouds.api import ApiError
from lab.clouds.digitalocean import DigitalOceanAccount
from lab.clouds.model import CloudMachine, Rule, Vpc
from lab.clouds.pool import Pool
from tests.lab.clouds.digitalocean_rows import KEY

UUID = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"
SITE = "wireguard-mesh:stack:fra"
ANYWHERE = {"addresses": ["0.0.0.0/0", "::/0"]}


@pytest.fixture
def account() -> DigitalOceanAccount:
    return DigitalOceanAccount({}, Pool(IPv4Network("198.18.64.0/28")))


def call(account: DigitalOceanAccount, request: str, **body: Any) -> Any:
    return account.call(request, {"token": "t", **body})


def droplet(account: DigitalOceanAccount, **body: Any) -> int:
    usual = {"name": "fra", "region": "fra1", "size": "s-1vcpu-512mb-10gb", "image": "debian-12-x64", "vpc_uuid": UUID}
    made: int = call(account, "POST /v2/droplets", **usual | body)["droplet"]["id"]
    return made


def firewall(account: DigitalOceanAccount, name: str = "one", **body: Any) -> str:
    inbound = [{"protocol": "tcp", "ports": "22", "sources": {"addresses": ["192.0.2.0/24"]}}]
    made: str = call(account, "POST /v2/firewalls", **{"name": name, "inbound_rules": inbound} | body)["firewall"]["id"]
    return made


def seeded(account: DigitalOceanAccount) -> Vpc:
    return next(vpc for vpc in account.networks() if vpc.id == UUID)


def machine(account: DigitalOceanAccount, identity: int) -> CloudMachine:
    return next(one for vpc in account.networks() for one in vpc.machines if one.id == str(identity))


def test_a_droplet_has_a_public_address_an_anchor_and_one_in_its_vpc(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    assert seeded(account) == Vpc(UUID, "digitalocean", (ip_network("10.60.0.0/24"),))
    identity = droplet(account, tags=[SITE], user_data="#cloud-config\n")
    made = machine(account, identity)
    assert (made.site, made.hostname, made.users, made.user_data) == ("fra", "fra", ("root",), "#cloud-config\n")
    public, private = made.links
    assert public.addresses == (ip_interface("198.18.64.1"), ip_interface("10.19.0.5/16"))
    assert (public.interface, public.internet, public.nat, public.sends_as) == ("eth0", True, (), None)
    assert private.addresses == (ip_interface("10.60.0.2/24"),)
    assert (private.interface, private.internet, private.nat) == ("eth1", False, ())
    assert (public.checked, private.checked) == (True, False)  # it may be a gateway in its VPC
    assert {link.table for link in made.links} == {None}


def test_user_data_is_shown_to_nobody(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    identity = droplet(account, user_data="the host key")
    assert "the host key" not in json.dumps(call(account, f"GET /v2/droplets/{identity}"))
    assert "the host key" not in repr(account.networks())


def test_a_droplet_is_handed_the_keys_it_was_made_with_and_keeps_them(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    key = call(account, "POST /v2/account/keys", name="login", public_key=KEY)["ssh_key"]
    with_key, without = droplet(account, ssh_keys=[key["fingerprint"]]), droplet(account)
    call(account, f"DELETE /v2/account/keys/{key['id']}")
    assert (machine(account, with_key).keys, machine(account, without).keys) == ((KEY,), ())


def test_only_the_projects_own_tag_makes_a_droplet_a_sites(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    assert machine(account, droplet(account, tags=["fra", "mesh:stack:fra"])).site is None
    assert machine(account, droplet(account, tags=["a", "wireguard-mesh:a:b:fra"])).site == "fra"


def test_a_replaced_droplet_has_other_addresses_whichever_comes_first(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    old = droplet(account)
    new = droplet(account)
    was, now = (machine(account, identity).links for identity in (old, new))
    assert not {*was[0].addresses, *was[1].addresses} & {*now[0].addresses, *now[1].addresses}
    call(account, f"DELETE /v2/droplets/{old}")
    third = machine(account, droplet(account)).links
    assert third[0].addresses[0] not in (was[0].addresses[0], now[0].addresses[0])


def test_addresses_that_are_held_and_the_labs_host_are_not_given_out(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/28", "fra1", reserved=["10.60.0.3"])
    given = [str(machine(account, droplet(account)).links[1].addresses[0].ip) for _ in range(11)]
    assert given == [f"10.60.0.{number}" for number in (2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14)]
    with pytest.raises(ApiError, match="no address is left"):
        droplet(account)


def test_a_reserved_address_leads_to_the_anchor_and_moves(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    reserved = call(account, "POST /v2/reserved_ips", region="fra1")["reserved_ip"]["ip"]
    old, new = droplet(account), droplet(account)
    for identity in (old, new):
        call(account, f"POST /v2/reserved_ips/{reserved}/actions", type="assign", droplet_id=identity)
    link = machine(account, new).links[0]
    assert link.nat == ((ip_address(reserved), link.addresses[1].ip),)
    assert link.sends_as is None  # a droplet sends from its own address
    assert machine(account, old).links[0].nat == ()
    call(account, f"DELETE /v2/droplets/{new}")
    assert call(account, f"GET /v2/reserved_ips/{reserved}")["reserved_ip"]["droplet_id"] is None


def test_without_a_firewall_all_passes_and_with_one_only_what_it_says(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    bare, covered = droplet(account), droplet(account, tags=[SITE])
    firewall(account, tags=[SITE])
    assert [(link.ingress, link.egress) for link in machine(account, bare).links] == [(None, None)] * 2
    ssh = (Rule("tcp", 22, 22, ip_network("192.0.2.0/24")),)
    assert [(link.ingress, link.egress) for link in machine(account, covered).links] == [(ssh, ())] * 2


def test_what_any_of_a_droplets_firewalls_lets_pass_passes(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    identity = droplet(account, tags=[SITE])
    firewall(account, tags=[SITE])
    rules = [
        {"protocol": "icmp", "sources": ANYWHERE},
        {"protocol": "udp", "ports": "51820-51821", "sources": {"addresses": ["198.51.100.7"]}},
    ]
    outbound = [{"protocol": "tcp", "ports": "all", "destinations": ANYWHERE}]
    later = firewall(account, "two", droplet_ids=[identity], inbound_rules=rules, outbound_rules=outbound)
    link = machine(account, identity).links[0]
    v4, v6 = ip_network("0.0.0.0/0"), ip_network("::/0")
    assert link.ingress == (
        Rule("tcp", 22, 22, ip_network("192.0.2.0/24")),
        Rule("icmp", 0, 0, v4),
        Rule("icmpv6", 0, 0, v6),
        Rule("udp", 51820, 51821, ip_network("198.51.100.7/32")),
    )
    assert link.egress == (Rule("tcp", 1, 65535, v4), Rule("tcp", 1, 65535, v6))
    call(account, f"DELETE /v2/firewalls/{later}")
    assert len(machine(account, identity).links[0].ingress or ()) == 1


def test_a_rule_for_a_tag_or_a_droplet_means_its_own_addresses(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    tagged, named, other = droplet(account, tags=["a"]), droplet(account), droplet(account)
    inbound = [{"protocol": "tcp", "ports": "22", "sources": {"tags": ["a"], "droplet_ids": [named]}}]
    firewall(account, droplet_ids=[other], inbound_rules=inbound)
    links = machine(account, other).links
    sources = {str(rule.prefix) for rule in links[1].ingress or ()}
    machines = (machine(account, tagged), machine(account, named))
    assert sources == {f"{link.addresses[0].ip}/32" for one in machines for link in one.links}


def test_a_removed_tag_takes_its_firewall_off(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    identity = droplet(account, tags=[SITE])
    firewall(account, tags=[SITE])
    call(account, f"DELETE /v2/tags/{SITE}")
    assert machine(account, identity).links[0].ingress is None


def test_the_account_is_empty_when_all_that_was_made_is_gone(account: DigitalOceanAccount) -> None:
    account.seed(UUID, "10.60.0.0/24", "fra1")
    assert account.empty()
    made = call(account, "POST /v2/vpcs", name="stack-fra", region="fra1", ip_range="10.40.0.0/24")["vpc"]["id"]
    identity = droplet(account, vpc_uuid=made, tags=["b"])
    reserved = call(account, "POST /v2/reserved_ips", region="fra1")["reserved_ip"]["ip"]
    one = firewall(account)
    assert account.contents() == {
        "vpcs": ["stack-fra"],
        "tags": ["b"],  # made by the way, and nobody's to remove
        "firewalls": ["one"],
        "droplets": ["fra"],
        "reserved_ips": [reserved],
    }
    for path in (f"droplets/{identity}", f"vpcs/{made}", "tags/b", f"reserved_ips/{reserved}", f"firewalls/{one}"):
        assert not account.empty()
        call(account, f"DELETE /v2/{path}")
    assert account.empty()


def test_the_books_are_json_and_another_process_goes_on_with_them() -> None:
    books: dict[str, Any] = {}
    pool = Pool(IPv4Network("198.18.64.0/28"))
    first = DigitalOceanAccount(books, pool)
    first.seed(UUID, "10.60.0.0/24", "fra1")
    identity = droplet(first)
    later = DigitalOceanAccount(json.loads(json.dumps(books)), pool)
    assert later.networks() == first.networks()
    assert machine(later, identity).links[0].addresses[0] == ip_interface("198.18.64.1")


def test_a_vpc_that_became_its_regions_default_shows_as_every_other(account: DigitalOceanAccount) -> None:
    account.forget_default("fra1")
    made = call(account, "POST /v2/vpcs", name="stack-fra", region="fra1", ip_range="10.40.0.0/24")["vpc"]
    assert made["default"]
    assert [vpc.id for vpc in account.networks()] == [made["id"]]


def test_a_default_vpc_is_there_in_every_region_and_shows_with_its_first_droplet(account: DigitalOceanAccount) -> None:
    assert account.networks() == ()
    droplet(account, vpc_uuid=None)
    assert [len(vpc.machines) for vpc in account.networks()] == [1]


@pytest.mark.parametrize("request_line", ["GET /v2/vpcs/none", "DELETE /v2/droplets/1", "PATCH /v2/vpcs", "GET /v2/x"])
def test_what_is_not_there_is_not_found(account: DigitalOceanAccount, request_line: str) -> None:
    with pytest.raises(ApiError) as error:
        call(account, request_line)
    assert (error.value.code, error.value.message) == ("404", "The resource you requested could not be found.")


def test_the_account_refuses_a_bad_tag_itself(account: DigitalOceanAccount) -> None:
    with pytest.raises(ApiError, match='400: Error validating resource tag: "a b" contains invalid characters'):
        call(account, "POST /v2/tags", name="a b")
    call(account, "POST /v2/tags", name="a_b")


def test_a_running_droplet_is_not_resized(account: DigitalOceanAccount) -> None:
    identity = droplet(account, vpc_uuid=None)
    actions = f"POST /v2/droplets/{identity}/actions"
    with pytest.raises(ApiError, match="must be powered off"):
        call(account, actions, type="resize", size="s-1vcpu-1gb", disk=False)
    call(account, actions, type="power_off")
    call(account, actions, type="resize", size="s-1vcpu-1gb", disk=False)
