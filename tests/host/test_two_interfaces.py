"""Two meshes on one host, each with an interface of its own: what both need stays until the last of them goes."""

from dataclasses import replace

import pytest

from tests.host.observe import traces
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, WAN, Keys, between, settle
from tests.mesh.meshes import mesh, network, site

SECOND = replace(
    mesh(
        replace(
            site("nyc", ["10.98.0.1"], network("virbr0", "192.168.122.0/24", masquerade=True), endpoint=WAN["nyc"]),
            listen_port=51999,
        ),
        site("sfo", ["10.98.0.3"], network("lan", "10.30.0.0/24", interface="br0"), endpoint=WAN["sfo"]),
        access=(("sfo.lan", "nyc.virbr0", ""),),
        tunnel=["10.98.0.0/24"],
    ),
    interface="wg1",
)
FORWARDING = "/proc/sys/net/ipv4/conf/virbr0/forwarding"


@pytest.mark.parametrize("first", ["wg0", "wg1"])
def test_a_network_of_two_meshes_forwards_until_both_are_removed(nyc: Host, keys: Keys, first: str) -> None:
    second = keys.bundle(SECOND, "nyc")
    assert nyc.read(FORWARDING) == "0\n"
    before = traces(nyc)
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    nyc.answer("apply", "wg1", stdin=second.text)
    nyc.answer("confirm", "wg1", stdin=second.generation)
    left = "wg1" if first == "wg0" else "wg0"
    nyc.answer("remove", first)
    assert nyc.read(FORWARDING) == "1\n"
    assert "drift: none" in nyc.answer("status", left)
    nyc.answer("remove", left)
    assert nyc.read(FORWARDING) == "0\n"
    assert traces(nyc).replace("/usr/local/sbin/wireguard-mesh\n", "") == before.replace(
        "/usr/local/sbin/wireguard-mesh\n", ""
    )
