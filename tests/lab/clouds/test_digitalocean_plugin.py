"""The stand-in of pulumi-digitalocean as an engine meets it: previews, secrets, differences, drift."""

import hashlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clouds.bench import RefusedError
from tests.lab.clouds.digitalocean_bench import Bench, benched
from tests.lab.clouds.digitalocean_rows import droplet, firewall, key, reserved, rule, tag, vpc
from tests.lab.plugins.bench import SIGNATURE, UNKNOWN, Properties, secret

USER_DATA = "#cloud-config\nssh_keys: the host key\n"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


def test_a_preview_of_something_new_knows_no_id_and_no_address(bench: Bench) -> None:
    made = droplet(bench, preview=True, vpcUuid=UNKNOWN, tags=[UNKNOWN])
    assert made.id == ""
    unknown = {"id", "ipv4Address", "ipv4AddressPrivate", "dropletUrn", "vpcUuid", "status"}
    assert {made.state[name] for name in unknown} == {UNKNOWN}
    assert (made.state["region"], made.state["tags"]) == ("fra1", [UNKNOWN])
    for other in (reserved_in_preview(bench), vpc(bench, preview=True), firewall(bench, preview=True)):
        assert (other.id, other.state["id"]) == ("", UNKNOWN)
    assert reserved_in_preview(bench).state["ipAddress"] == UNKNOWN
    assert bench.account.empty()


def reserved_in_preview(bench: Bench) -> Any:
    return bench.make("ReservedIp", region="fra1", preview=True)


def test_what_was_made_shows_its_addresses(bench: Bench) -> None:
    network = vpc(bench)
    made = droplet(bench, vpcUuid=network.id)
    assert made.state["id"] == made.id
    assert (made.state["ipv4Address"], made.state["ipv4AddressPrivate"]) == ("198.18.64.1", "10.40.0.2")
    assert made.state["vpcUuid"] == network.id
    address = reserved(bench)
    assert address.id == address.state["ipAddress"] == "198.18.64.2"


def test_user_data_lies_in_the_state_as_a_secret_hash(bench: Bench) -> None:
    made = droplet(bench, userData=secret(USER_DATA))
    digest = hashlib.sha1(USER_DATA.encode()).hexdigest()
    assert made.state["userData"] == secret(digest)
    assert made.inputs["userData"] == secret(USER_DATA)
    assert bench.diff(made) == ([], [])
    assert bench.diff(made, userData=secret("another")) == (["userData"], ["userData"])
    (machine,) = bench.account.networks()[0].machines
    assert machine.user_data == USER_DATA


def test_ignored_user_data_and_image_neither_replace_nor_get_lost(bench: Bench) -> None:
    made = droplet(bench, userData=secret(USER_DATA))
    changes: Properties = {"userData": secret("another"), "image": "debian-13-x64"}
    assert bench.diff(made, ignoring=("userData", "image"), **changes) == ([], [])
    later = bench.change(made, ignoring=("userData", "image"), name="renamed", **changes)
    assert later.state["userData"] == made.state["userData"]
    assert (later.state["image"], later.state["name"]) == ("debian-12-x64", "renamed")


def test_secrets_stay_wrapped_in_every_answer(bench: Bench) -> None:
    bench.configure(token=secret("dop_v1_secret"))
    made = droplet(bench, userData=secret(USER_DATA), name=secret("hidden"))
    for state in (made.state, bench.change(made, size="s-1vcpu-1gb").state, (bench.read(made) or made).state):
        assert state["name"] == secret("hidden")
        assert set(state["userData"]) == {SIGNATURE, "value"}
        assert "the host key" not in json.dumps(state)
    assert "dop_v1_secret" not in json.dumps([made.state, bench.books])
    with pytest.raises(RefusedError) as error:
        bench.make("Vpc", name="a", region="fra1", ipRange=secret("10.0.0.0/99"))
    assert "10.0.0.0/99" not in str(error.value)


def test_what_is_refused_of_a_rule_with_a_secret_in_it_does_not_show_it(bench: Bench) -> None:
    told = rule("22") | {"protocol": secret("hidden")}
    assert bench.check("Firewall", {"name": "a", "inboundRules": [told]})[1] == {
        "inboundRules[0].protocol": "the secret value is not valid. Examine values at 'it.inboundRules[0].protocol'."
    }
    open_one = bench.check("Firewall", {"name": "a", "inboundRules": [told | {"protocol": "gre"}]})[1]
    assert "got gre" in open_one["inboundRules[0].protocol"]


def test_the_token_may_come_from_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.configure()
    with pytest.raises(RefusedError, match="401"):
        tag(bench)
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "t")
    tag(bench)


def test_a_failure_reads_as_the_provider_writes_it(bench: Bench) -> None:
    firewall(bench)
    with pytest.raises(RefusedError) as error:
        firewall(bench)
    text = "Error creating firewall: POST https://api.digitalocean.com/v2/firewalls: 409 duplicate name"
    assert str(error.value) == f"1 error occurred:\n\t* {text}\n\n"


def test_size_name_and_tags_of_a_droplet_change_in_place_and_its_addresses_stay(bench: Bench) -> None:
    made = droplet(bench, tags=["a", "b"])
    changes: Properties = {"size": "s-1vcpu-1gb", "name": "other", "tags": ["c", "b"]}
    assert bench.diff(made, **changes) == (["name", "size", "tags[0]", "tags[1]"], [])
    previewed = bench.change(made, preview=True, **changes)
    later = bench.change(made, **changes)
    for state in (previewed.state, later.state):
        assert {state[name] == made.state[name] for name in ("id", "ipv4Address", "ipv4AddressPrivate")} == {True}
        assert (state["size"], state["name"], state["tags"]) == ("s-1vcpu-1gb", "other", ["b", "c"])
    assert (later.state["memory"], later.state["disk"]) == (1024, 10)  # resizeDisk is off
    assert later.state["status"] == "active"
    assert bench.read(made) is not None
    (machine,) = bench.account.networks()[0].machines
    assert machine.hostname == "other"


def test_a_refused_size_leaves_the_droplet_running(bench: Bench) -> None:
    made = droplet(bench, size="s-1vcpu-1gb")
    with pytest.raises(RefusedError, match=r"Error resizing droplet \(\d+\): POST .*/actions: 422 Size can not"):
        bench.change(made, size="s-1vcpu-512mb-10gb")
    seen = bench.read(made)
    assert seen
    assert (seen.state["status"], seen.state["size"]) == ("active", "s-1vcpu-1gb")


def test_the_order_of_rules_and_addresses_is_no_difference(bench: Bench) -> None:
    rules = [rule("22", "192.0.2.0/24", "198.51.100.0/24"), rule("51820", protocol="udp"), rule(None, protocol="icmp")]
    made = firewall(bench, inboundRules=rules)
    turned = [*rules[2:], *rules[:2]]
    turned[1] = rule("22", "198.51.100.0/24", "192.0.2.0/24")
    assert bench.diff(made, inboundRules=turned) == ([], [])
    assert bench.diff(made, inboundRules=rules[1:])[0]
    assert bench.diff(made, inboundRules=[{**rules[0], "sourceTags": []}, *rules[1:]]) == ([], [])


def test_all_ports_are_written_all_and_come_back_so(bench: Bench) -> None:
    made = firewall(bench, inboundRules=[rule("all"), rule("all", protocol="udp")])
    assert bench.diff(made) == ([], [])
    assert [one["portRange"] for one in made.state["inboundRules"]] == ["all", "all"]


def test_a_source_that_is_not_known_yet_is_previewed_as_such(bench: Bench) -> None:
    made = firewall(bench, preview=True, inboundRules=[rule("51820", UNKNOWN, "192.0.2.7", protocol="udp")])
    assert made.state["inboundRules"][0]["sourceAddresses"] == ["192.0.2.7", UNKNOWN]


def test_a_firewall_changes_in_place(bench: Bench) -> None:
    made = firewall(bench, inboundRules=[rule("22")])
    later = bench.change(made, inboundRules=[rule("22"), rule("443")])
    assert (later.id, len(later.state["inboundRules"])) == (made.id, 2)


def test_what_was_changed_elsewhere_is_seen_and_put_right(bench: Bench) -> None:
    made = firewall(bench, inboundRules=[rule("22")])
    (record,) = bench.books["firewalls"].values()
    record["inbound_rules"][0]["ports"] = "1-65535"
    seen = bench.read(made)
    assert seen
    assert bench.diff(seen)[0] == ["inboundRules[0].portRange"]


@pytest.mark.parametrize("kind", ["vpcs", "tags", "keys", "firewalls", "droplets", "reserved_ips"])
def test_what_is_gone_reads_as_gone(bench: Bench, kind: str) -> None:
    makers: dict[str, Any] = {"vpcs": vpc, "tags": tag, "keys": key, "firewalls": firewall, "droplets": droplet}
    made = makers.get(kind, reserved)(bench)
    assert bench.read(made)
    bench.books[kind].clear()
    assert bench.read(made) is None


def test_what_the_cloud_fills_in_is_no_difference(bench: Bench) -> None:
    network = bench.make("Vpc", name="a", region="fra1")
    assert network.state["ipRange"].startswith("10.124.")
    assert bench.diff(network) == ([], [])
    assert bench.diff(droplet(bench)) == ([], [])
    assert bench.diff(vpc(bench), without=("ipRange",)) == ([], [])


def test_a_property_that_replaces_does_so_when_it_is_left_out_or_not_known(bench: Bench) -> None:
    made = droplet(bench, userData=USER_DATA)
    assert bench.diff(made, without=("userData",)) == (["userData"], ["userData"])
    assert bench.diff(made, userData=UNKNOWN) == (["userData"], ["userData"])
    assert bench.diff(made, vpcUuid=UNKNOWN) == (["vpcUuid"], ["vpcUuid"])


def test_numbers_may_be_written_as_strings(bench: Bench) -> None:
    machine, address = droplet(bench), reserved(bench)
    made = bench.make("ReservedIpAssignment", ipAddress=address.id, dropletId=machine.id)
    assert made.inputs["dropletId"] == int(machine.id)
    assert bench.diff(made, dropletId=int(machine.id)) == ([], [])


def test_a_firewall_without_rules_is_refused_in_a_preview_already(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="At least one rule must be specified"):
        firewall(bench, preview=True, inboundRules=[])


@pytest.mark.parametrize(
    ("kind", "inputs", "place", "reason"),
    [
        ("Vpc", {"region": "fra1"}, "name", 'The argument "name" is required'),
        ("Vpc", {"name": "", "region": "fra1"}, "name", "name must not be empty"),
        ("Vpc", {"name": "a", "region": ["fra1"]}, "region", "expected string type"),
        ("Droplet", {"image": "a", "name": "a", "region": "a"}, "size", 'The argument "size" is required'),
        ("Droplet", {"ipv6": True}, "ipv6", "the lab's account has no ipv6"),
        ("Droplet", {"tags": ["a b"]}, "tags[0]", "tags may contain"),
        ("Droplet", {"sshKeys": [""]}, "sshKeys[0]", "must not be empty"),
        ("Firewall", {"inboundRules": [{"portRange": "22"}]}, "inboundRules[0].protocol", '"protocol" is required'),
        ("Firewall", {"inboundRules": [rule("22", "")]}, "inboundRules[0].sourceAddresses[0]", "must not be empty"),
        ("ReservedIpAssignment", {"dropletId": 0}, "dropletId", "droplet_id must not be zero, got 0"),
        ("ReservedIpAssignment", {"ipAddress": "::1"}, "ipAddress", "to contain a valid IPv4 address, got: ::1"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_their_place(
    bench: Bench, kind: str, inputs: dict[str, Any], place: str, reason: str
) -> None:
    faults = bench.check(kind, inputs)[1]
    assert reason in faults[place]
    assert faults[place].endswith(f"Examine values at 'it.{place}'.")


def test_every_input_of_the_stand_in_is_one_of_the_sdk(bench: Bench) -> None:
    sdk = importlib.import_module("pulumi_digitalocean")
    for token, resource in bench.plugin.resources.items():
        arguments = getattr(sdk, f"{token.partition(':')[2]}Args")
        names = {name for name, value in vars(arguments).items() if isinstance(value, property)}
        for one in resource.inputs:
            assert "".join(f"_{c.lower()}" if c.isupper() else c for c in one.name) in names
