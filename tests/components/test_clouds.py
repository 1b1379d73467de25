"""What holds for machines of every cloud: their keys, their first contact, what goes with them and what is shown."""

from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest

from components.helper import packed
from components.site import KINDS
from mesh import sshkeys
from mesh.hostkey import fingerprint
from mesh.model import DigitalOcean, Kind, Site, SiteName
from tests.components.conftest import ADDRESSES, DROPLET, Recorder
from tests.components.elsewhere import Elsewhere
from tests.components.sites import AMS, HELPER, NYC, build, fra, joined, sgp, three_kinds, use1, usw2
from tests.mesh.meshes import HOST_KEY

COMMANDS = ("host", "config", "confirm")
CLOUDS = pytest.mark.parametrize(("name", "user"), [("use1", "admin"), ("fra", "root")], ids=["AWS", "DigitalOcean"])


@CLOUDS
def test_the_host_key_that_the_machine_is_given_is_the_one_that_is_pinned(
    recorder: Recorder, name: str, user: str
) -> None:
    outputs = build(three_kinds())
    private = recorder.inputs(f"{name}-host-key-1")["input"]
    told = recorder.inputs(f"{name}-gateway")["userData"]
    assert all(line.strip() in told for line in private.splitlines())
    for command in COMMANDS:
        connection = recorder.inputs(f"{name}-{command}")["connection"]
        assert connection["hostKey"] == outputs[f"{name}.host_key"] == sshkeys.public_key(private)
        assert connection["user"] == user
        assert connection["port"] == 22
        assert recorder.inputs(f"nyc-{command}")["connection"]["hostKey"] == HOST_KEY
    assert recorder.inputs("use1-host-key-1")["input"] != recorder.inputs("fra-host-key-1")["input"]


@CLOUDS
def test_what_a_machine_is_told_is_secret_and_kept_and_nothing_of_the_mesh(
    recorder: Recorder, name: str, user: str
) -> None:
    build(three_kinds())
    assert recorder.secret(f"{name}-gateway", "userData")
    assert recorder.secret(f"{name}-host-key-1", "input")
    assert not recorder.secret(f"{name}-host", "stdin")
    request = recorder.requests[f"{name}-gateway"]
    assert "userData" in request.additionalSecretOutputs
    assert "userData" in request.ignoreChanges
    assert list(recorder.requests[f"{name}-host-key-1"].ignoreChanges) == ["input"]
    told = recorder.inputs(f"{name}-gateway")["userData"]
    for kept in (recorder.inputs(f"{name}-key-1")["input"], recorder.inputs("preshared-1")["input"], "10.99.0"):
        assert kept not in told


def test_without_a_key_of_the_operator_s_one_is_made_and_kept_as_a_secret(recorder: Recorder) -> None:
    outputs = build(three_kinds())
    made = recorder.inputs("operators-1")["input"]
    assert recorder.secret("operators-1", "input")
    assert made not in outputs.values()
    for name in ("use1", "fra"):
        assert sshkeys.public_key(made) in recorder.inputs(f"{name}-gateway")["userData"]
        assert made not in recorder.inputs(f"{name}-gateway")["userData"]
        assert {recorder.inputs(f"{name}-{each}")["connection"]["privateKey"] for each in COMMANDS} == {made}
        assert recorder.secret(f"{name}-host", "connection")
    assert "privateKey" not in recorder.inputs("nyc-host")["connection"]


def test_the_operator_s_own_key_is_used_and_shown_nowhere(recorder: Recorder) -> None:
    own = sshkeys.generate()
    outputs = build(joined(NYC, use1(), fra(), operator_key=own))
    assert set(outputs) == {"use1.address", "use1.host_key", "fra.address", "fra.host_key", "fra.cloud_init"}
    assert "operators-1" not in recorder.starting("pulumi:index:Stash")
    for name in ("use1", "fra"):
        assert sshkeys.public_key(own) in recorder.inputs(f"{name}-gateway")["userData"]
        assert recorder.inputs(f"{name}-config")["connection"]["privateKey"] == own
        assert recorder.secret(f"{name}-config", "connection")


def test_a_mesh_of_colos_makes_no_key_for_ssh_and_shows_nothing(recorder: Recorder) -> None:
    assert build(joined(NYC, AMS)) == {}
    assert recorder.starting("pulumi:index:Stash") == ["ams-key-1", "nyc-key-1", "preshared-1"]
    assert recorder.hooks == {}


def test_the_first_command_waits_for_a_machine_that_boots_and_no_other_does(recorder: Recorder) -> None:
    build(three_kinds())

    def patience(name: str) -> tuple[int, int]:
        connection = recorder.inputs(name)["connection"]
        return int(connection["dialErrorLimit"]), int(connection["perDialTimeout"])

    for name in ("use1", "fra"):
        limit, seconds = patience(f"{name}-host")
        pauses = [min(0.1 * 1.5**number, 5) for number in range(limit)]
        assert sum(pauses) > 150, "a machine that refuses for two minutes and a half is still waited for"
        assert (1 + limit) * seconds + sum(pauses) < 300, "a machine that never answers is waited for five minutes"
        assert patience(f"{name}-config") == patience(f"{name}-confirm") == patience("nyc-host")
    assert patience("nyc-host")[0] < patience("use1-host")[0]


@CLOUDS
def test_that_a_machine_boots_is_told_when_one_was_made_and_at_no_other_time(
    recorder: Recorder, name: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", told.append)
    build(three_kinds())
    assert told == []
    hooks = recorder.requests[f"{name}-gateway"].hooks
    assert list(hooks.after_create) == [f"{name}-waiting"]
    assert not [*hooks.before_create, *hooks.before_update, *hooks.after_update, *hooks.after_delete]
    waiting = recorder.hooks[f"{name}-waiting"]
    assert waiting.opts is None, "no option that would have it run in a preview"
    waiting(pulumi.ResourceHookArgs(recorder.urn(f"{name}-gateway"), "", "", ""))
    assert told == [f"{name}: its machine is made and boots; it is waited for, 5 minutes at most"]


def test_commands_are_gone_with_a_machine_that_is_made_and_with_no_other(recorder: Recorder) -> None:
    build(three_kinds())
    for name in ("use1", "fra"):
        assert {recorder.requests[f"{name}-{each}"].deletedWith for each in COMMANDS} == {
            recorder.urn(f"{name}-gateway")
        }
    for name in ("nyc", "ams"):
        assert {recorder.requests[f"{name}-{each}"].deletedWith for each in COMMANDS} == {""}


def test_another_machine_gets_the_helper_and_its_bundle_again(recorder: Recorder) -> None:
    build(three_kinds())
    machines = {"use1": "use1-gateway-id", "fra": DROPLET, "nyc": fingerprint(HOST_KEY)}
    sizes = {"use1": " t4g.nano", "fra": " s-1vcpu-512mb-10gb", "nyc": ""}
    for name, machine in machines.items():
        assert recorder.inputs(f"{name}-host")["stdin"] == f"for machine {machine}{sizes[name]}\n{packed(HELPER)}"
        assert f"\n@machine {machine}\n" in recorder.inputs(f"{name}-config")["stdin"]


@pytest.mark.parametrize(
    ("name", "site"), [("use1", use1(instance_type="t4g.small")), ("fra", fra(size="s-2vcpu-2gb"))], ids=str
)
def test_a_machine_that_boots_for_another_size_is_waited_for_before_it_is_configured(
    recorder: Recorder, name: str, site: Site
) -> None:
    """The first command's stdin changes with it, so that it runs first, and waits; the bundle says nothing of it."""
    build(three_kinds())
    before = {each: recorder.inputs(f"{name}-{each}")["stdin"] for each in COMMANDS}
    build(joined(NYC, AMS, *({"use1": use1(), "fra": fra()} | {name: site}).values()))
    stdin = recorder.requests[f"{name}-host"].object.fields["stdin"].string_value
    assert stdin != before["host"]
    assert "t4g.small" in stdin or "s-2vcpu-2gb" in stdin
    assert f"{name}-gateway" in recorder.after(f"{name}-host")
    assert f"{name}-host" in recorder.after(f"{name}-config")
    for size in ("t4g", "s-1vcpu", "s-2vcpu"):
        assert size not in before["config"] + before["confirm"]


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [("use1", "use1-address"), ("fra", "fra-gateway")],
    ids=["AWS", "DigitalOcean"],
)
def test_peers_send_to_the_address_that_the_cloud_gave_and_ssh_goes_there(
    recorder: Recorder, name: str, endpoint: str
) -> None:
    outputs = build(three_kinds())
    address = next(iter(ADDRESSES[endpoint].values()))
    assert outputs[f"{name}.address"] == address
    assert recorder.inputs(f"{name}-host")["connection"]["host"] == address
    for peer in {"nyc", "ams", "use1", "fra"} - {name}:
        assert f"\nEndpoint = {address}:51820\n" in recorder.inputs(f"{peer}-config")["stdin"]
    assert address not in recorder.inputs(f"{name}-config")["stdin"]
    assert {"nyc.address", "ams.address"}.isdisjoint(outputs)


def test_a_machine_s_own_address_is_no_reason_to_configure_it_again(recorder: Recorder) -> None:
    build(three_kinds())
    assert "use1-address" not in recorder.requests["use1-config"].propertyDependencies["stdin"].urns
    stdin = recorder.requests["use1-config"].propertyDependencies["stdin"].urns
    assert recorder.urn("use1-address") not in stdin
    assert recorder.urn("fra-gateway") in stdin


def test_nothing_is_dialled_before_the_own_firewall_lets_it_in_and_no_other_s_is_waited_for(
    recorder: Recorder,
) -> None:
    build(joined(NYC, AMS, use1(), usw2(), fra(reserved_address=True), sgp()))
    for name in ("use1", "usw2", "fra", "sgp"):
        openings = {
            each
            for each in recorder.requests
            if each.startswith((f"{name}-in-", f"{name}-firewall", f"{name}-out-", f"{name}-address-of"))
        }
        assert len(openings) > 1
        assert openings <= recorder.after(f"{name}-host")
    own = {name for name in recorder.after("use1-host") if not name.startswith(("use1-", "operators-1"))}
    assert own == set()
    assert recorder.after("nyc-host") == set()


def test_a_route_comes_after_the_site_that_it_leads_to_and_so_goes_before_it(recorder: Recorder) -> None:
    build(joined(NYC, AMS, use1(), usw2(), fra()))
    routes = {name: recorder.after(name) for name in recorder.starting("aws:ec2/route:Route") if "-route-" in name}
    led = {"192.168.122.0-24": "nyc", "10.20.0.0-24": "ams", "fd20__-64": "ams", "10.40.0.0-24": "fra"}
    assert len(routes) == 3 + 4
    for name, waits in routes.items():
        site = next(site for prefix, site in led.items() if f"-route-{prefix}" in name)
        assert {each for each in waits if each.endswith("-host")} == {f"{site}-host"}


@pytest.mark.parametrize("site", [use1(), usw2(), fra(), fra(reserved_address=True), sgp()], ids=str)
def test_all_of_a_machine_belongs_to_its_site_and_is_made_by_its_own_provider(recorder: Recorder, site: Site) -> None:
    build(joined(NYC, use1(), site) if site.name != "use1" else joined(NYC, use1(), fra()))
    kind = "AwsSite" if site.name.startswith("us") else "DigitalOceanSite"
    prefix = "aws" if kind == "AwsSite" else "digitalocean"
    made = [name for name in recorder.starting(f"{prefix}:") if name.startswith(f"{site}-")]
    assert len(made) > 4
    for name in made:
        assert recorder.parent(name) == f"wireguard-mesh:index:{kind} {site}"
        assert recorder.requests[name].provider.split("::")[-2] == f"{site}-{prefix}"


def test_another_cloud_is_one_module_and_one_line_and_each_of_its_addresses_is_let_in(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("dict[type[Kind], str]", KINDS), DigitalOcean, f"{Elsewhere.__module__}.Elsewhere")
    outputs = build(joined(NYC, use1(), fra()))
    assert set(outputs) == {"use1.address", "use1.host_key"}
    assert recorder.starting("digitalocean:") == []
    assert recorder.inputs("fra-host")["connection"]["host"] == "198.51.100.201"
    assert "\nEndpoint = 198.51.100.201:51820\n" in recorder.inputs("use1-config")["stdin"]
    rules = {name: recorder.inputs(name)["cidrIpv4"] for name in recorder.requests if "-from-fra" in name}
    assert rules == {
        "use1-in-udp-51820-from-fra": "198.51.100.201/32",
        "use1-in-udp-51820-from-fra.2": "198.51.100.202/32",
    }


def test_a_second_address_s_rule_has_no_name_that_another_site_s_could_have(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("dict[type[Kind], str]", KINDS), DigitalOcean, f"{Elsewhere.__module__}.Elsewhere")
    build(joined(NYC, use1(), fra(), replace(sgp(), name=SiteName("fra-2"), networks=())))
    rules = [urn for urn in recorder.every_urn if "-from-fra" in urn]
    assert len(rules) == len(set(rules)) == 4


def test_every_name_is_there_once(recorder: Recorder) -> None:
    build(joined(NYC, AMS, use1(), usw2(), fra(reserved_address=True), sgp()))
    leaves: list[Any] = [args.name for args in recorder.registered if ":index:" not in args.typ or "Stash" in args.typ]
    assert len(leaves) == len(set(leaves))
