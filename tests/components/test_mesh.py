"""The resources of a mesh: how many, in which order, what they run and what of them is secret."""

from collections.abc import Awaitable
from ipaddress import ip_address, ip_network
from typing import Any

import pulumi

from components.mesh import WireguardMesh
from mesh.commands import Commands
from mesh.keys import generate_private_key
from mesh.model import Colo, Endpoint, Grant, Mesh, Network, Secret, Site, SiteName, Ssh
from mesh.plan import plan
from tests.components.conftest import Recorder

COMMAND = "command:remote:Command"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQx8n3hZ0f6VQf6oYr8tq3GJp3Qx1m0C4m8xk7S4QzB"
HELPER = "#!/bin/sh\nexit 0\n"


def site(number: int, name: str, **ssh: Any) -> Site:
    settings: dict[str, Any] = {"port": 22, "user": "root", "host_key": HOST_KEY} | ssh
    return Site(
        name=SiteName(name),
        addresses=(ip_address(f"10.99.0.{number}"),),
        endpoint=Endpoint(f"203.0.113.{number}", 51820),
        listen_port=51820,
        kind=Colo(Ssh(host=f"203.0.113.{number}", **settings)),
        networks=(Network(SiteName(name), "lan", (ip_network(f"10.{number}.0.0/24"),), "lan0"),),
    )


def mesh(*sites: Site) -> Mesh:
    return Mesh(
        tunnel=(ip_network("10.99.0.0/24"),),
        interface="wg0",
        persistent_keepalive=25,
        sites=sites,
        access=(Grant((sites[1].networks[0],), (sites[0].networks[0],)),),
    )


def build(of: Mesh) -> WireguardMesh:
    return WireguardMesh("mesh", mesh=of, plans=plan(of), helper=HELPER)


def test_a_site_is_a_key_a_component_and_three_commands(recorder: Recorder) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc"), site(2, "ams")))

    program()
    assert sorted(recorder.names(COMMAND)) == sorted(
        f"{name}-{command}" for name in ("nyc", "ams") for command in ("host", "config", "confirm")
    )
    assert sorted(recorder.names("pulumi:index:Stash")) == ["ams-key-1", "nyc-key-1", "preshared-1"]
    assert sorted(recorder.names("wireguard-mesh:index:Endpoint")) == ["ams", "nyc"]
    assert len(recorder.registered) == 2 * 5 + 2


def test_a_site_with_a_key_of_its_own_makes_none(recorder: Recorder) -> None:
    own = generate_private_key()
    nyc = site(1, "nyc")
    object.__setattr__(nyc, "private_key", Secret(own.reveal()))

    @pulumi.runtime.test
    def program() -> None:
        build(mesh(nyc, site(2, "ams")))

    program()
    assert sorted(recorder.names("pulumi:index:Stash")) == ["ams-key-1", "preshared-1"]
    assert own.reveal() in recorder.inputs("nyc-config")["stdin"]
    assert own.public_key() in recorder.inputs("ams-config")["stdin"]
    assert own.reveal() not in recorder.inputs("ams-config")["stdin"]


def test_config_and_confirm_speak_of_the_same_generation(recorder: Recorder) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc"), site(2, "ams")))

    program()
    for name in ("nyc", "ams"):
        header = recorder.inputs(f"{name}-config")["stdin"].split("\n", 1)[0]
        assert header.split()[-1] == recorder.inputs(f"{name}-confirm")["stdin"]
    assert recorder.inputs("nyc-confirm")["stdin"] != recorder.inputs("ams-confirm")["stdin"]


def test_commands_are_the_same_for_every_user_and_print_nothing(recorder: Recorder) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc", user="admin"), site(2, "ams")))

    program()
    expected = Commands("wg0", "nyc")
    assert recorder.inputs("nyc-host")["create"] == expected.install
    assert recorder.inputs("nyc-host")["delete"] == expected.remove
    assert recorder.inputs("nyc-config")["create"] == expected.apply
    assert recorder.inputs("nyc-confirm")["create"] == expected.confirm
    for command in ("host", "config", "confirm"):
        inputs = recorder.inputs(f"nyc-{command}")
        assert inputs["logging"] == "none"
        assert inputs["addPreviousOutputInEnv"] is False
        assert inputs["connection"]["user"] == "admin"
        assert "environment" not in inputs


def test_a_host_is_emptied_before_it_is_set_up_under_another_interface_and_all_of_it_follows(
    recorder: Recorder,
) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc"), site(2, "ams")))

    program()
    for name in ("nyc", "ams"):
        host, config, confirm = (recorder.requests[f"{name}-{command}"] for command in ("host", "config", "confirm"))
        assert host.deleteBeforeReplace
        assert list(host.replaceOnChanges) == ["triggers[*]"]
        assert recorder.inputs(f"{name}-host")["triggers"] == ["wg0"]
        for follower in (config, confirm):
            assert list(follower.replace_with) == [recorder.urn(f"{name}-host")]
            assert "triggers" not in recorder.inputs(follower.name)
        assert not list(host.replace_with)


def test_a_site_s_commands_wait_for_each_other_and_for_no_other_site(recorder: Recorder) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc"), site(2, "ams")))

    program()
    for name in ("nyc", "ams"):
        host, config, confirm = (recorder.requests[f"{name}-{command}"] for command in ("host", "config", "confirm"))
        assert recorder.urn(f"{name}-host") in config.dependencies
        assert recorder.urn(f"{name}-config") in confirm.dependencies
        assert not list(host.dependencies)
        commands = {urn for request in (config, confirm) for urn in request.dependencies if COMMAND in urn}
        assert commands <= {recorder.urn(f"{name}-{command}") for command in ("host", "config")}


def test_a_key_that_was_made_is_kept_whatever_a_later_run_offers(recorder: Recorder) -> None:
    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc"), site(2, "ams")))

    program()
    stashes = recorder.names("pulumi:index:Stash")
    assert stashes
    for name in stashes:
        assert list(recorder.requests[name].ignoreChanges) == ["input"]


def test_what_holds_a_key_is_secret_and_the_helper_is_not(recorder: Recorder) -> None:
    @pulumi.runtime.test
    def program() -> Awaitable[None]:
        endpoint = build(mesh(site(1, "nyc", private_key=Secret("SSH KEY")), site(2, "ams"))).endpoints[SiteName("nyc")]

        async def check() -> None:
            assert await endpoint.config.stdin.is_secret()
            assert await endpoint.confirm.stdin.is_secret()
            assert not await endpoint.host.stdin.is_secret()

        return check()

    program()
    assert recorder.inputs("nyc-config")["connection"]["privateKey"] == "SSH KEY"


def test_the_host_key_is_pinned_for_the_host_and_for_its_bastion(recorder: Recorder) -> None:
    bastion = Ssh(host="203.0.113.99", port=2222, user="jump", host_key=HOST_KEY)

    @pulumi.runtime.test
    def program() -> None:
        build(mesh(site(1, "nyc", proxy=bastion), site(2, "ams")))

    program()
    for command in ("host", "config", "confirm"):
        connection = recorder.inputs(f"nyc-{command}")["connection"]
        assert connection["hostKey"] == HOST_KEY
        assert connection["proxy"]["hostKey"] == HOST_KEY
        assert (connection["proxy"]["host"], connection["proxy"]["port"]) == ("203.0.113.99", 2222)
        assert "proxy" not in recorder.inputs(f"ams-{command}")["connection"]
