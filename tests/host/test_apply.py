"""`apply` and `confirm` on a host of its own: what they bring up, and that they change only what differs."""

from dataclasses import replace
from ipaddress import ip_address

from mesh.model import Network, SiteName
from tests.host.observe import Ping, forwarding, forwards_by_interface, peers, rules, state
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle
from tests.mesh.meshes import network


def test_the_first_apply_brings_the_interface_up_and_confirm_keeps_it(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    applied = nyc.answer("apply", stdin=bundle.text)
    assert applied == f"applied {bundle.generation[:12]}: wg0 brought up"
    assert not nyc.exists("/etc/wireguard/wg0.conf"), "nothing is confirmed yet"
    assert f"staged: {bundle.generation}\nlive: {bundle.generation}\n" in nyc.answer("status") + "\n"
    assert nyc.answer("confirm", stdin=bundle.generation) == f"confirmed {bundle.generation[:12]}"
    assert f"confirmed: {bundle.generation}\nstaged: none\n" in nyc.answer("status") + "\n"

    text = nyc.read("/etc/wireguard/wg0.conf")
    assert text == bundle.text.split("@conf\n")[1].removesuffix("@end\n")
    assert nyc.run("wg-quick", "strip", "wg0").count("[Peer]") == 1
    assert nyc.run("stat", "-c", "%a", "/etc/wireguard/wg0.conf", "/etc/wireguard/wg0.d") == "600\n700\n"
    assert nyc.run("wg", "show", "wg0", "private-key").strip() == keys.of("nyc").reveal()
    assert list(peers(nyc)) == [keys.of("ams").public_key()]
    assert "inet 10.99.0.1/32" in nyc.run("ip", "address", "show", "dev", "wg0")
    assert "dev wg0" in nyc.run("ip", "route", "get", "10.20.0.7")
    assert "dev wg0" in nyc.run("ip", "-6", "route", "get", "fd20::7")


def test_confirm_commits_by_renaming_the_staged_file(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    nyc.answer("apply", stdin=bundle.text)
    staged = nyc.run("stat", "-c", "%i", "/etc/wireguard/wg0.d/staged/wg0.conf")
    nyc.answer("confirm", stdin=bundle.generation)
    assert nyc.run("stat", "-c", "%i", "/etc/wireguard/wg0.conf") == staged
    assert not nyc.exists("/etc/wireguard/wg0.d/staged")


def test_the_same_bundle_again_changes_nothing_and_loses_nothing(pair: dict[str, Host], keys: Keys) -> None:
    mesh = between(NYC, AMS)
    for name, host in pair.items():
        settle(host, keys.bundle(mesh, name))
    with Ping(pair["ams"], "10.99.0.1") as flow:
        for name, host in pair.items():
            before = state(host)
            assert settle(host, keys.bundle(mesh, name)) == ("nothing changed", "confirmed already")
            assert state(host) == before
        assert flow.lost() == []


def test_the_same_bundle_again_before_it_is_confirmed_changes_nothing(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    nyc.answer("apply", stdin=bundle.text)
    before = state(nyc)
    nyc.answer("apply", stdin=bundle.text)
    assert state(nyc) == before


def test_addresses_routes_and_mtu_follow_by_difference(pair: dict[str, Host], keys: Keys) -> None:
    mesh = between(NYC, AMS)
    for name, host in pair.items():
        settle(host, keys.bundle(mesh, name))
    nyc = pair["nyc"]
    moved = replace(NYC, addresses=(ip_address("10.99.0.1"), ip_address("10.99.0.77")), mtu=1380)
    other_lan = replace(AMS, networks=(network("lan", "10.21.0.0/24", interface="br0")(SiteName("ams")),))
    changed = between(moved, other_lan)
    nyc.run("ip", "route", "add", "10.88.0.0/24", "dev", "wg0", "proto", "bird")
    with Ping(pair["ams"], "10.99.0.1") as flow:
        answer, _ = settle(nyc, keys.bundle(changed, "nyc"))
        assert flow.lost() == []
    assert answer.split(": ")[1].split(", ") == [
        "rules replaced",
        "forwarding changed",  # nothing of IPv6 is granted any more
        "link set",
        "address 10.99.0.77/32 added",
        "address fd99::1/128 removed",
        "1 peer changed",
        "route 10.21.0.0/24 added",
        "route 10.20.0.0/24 removed",
        "route fd20::/64 removed",
    ]
    addresses = nyc.run("ip", "-o", "address", "show", "dev", "wg0")
    assert "10.99.0.77/32" in addresses
    assert "fd99::1" not in addresses
    assert " mtu 1380 " in nyc.run("ip", "link", "show", "dev", "wg0")
    routes = nyc.run("ip", "route")
    assert "10.21.0.0/24 dev wg0" in routes
    assert "10.20.0.0/24" not in routes
    assert "10.88.0.0/24 dev wg0 proto bird" in routes, "a routing daemon's own route stays"


def test_what_someone_changed_by_hand_is_put_right(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    before = state(nyc)
    nyc.sh(
        "ip address add 10.99.0.9/32 dev wg0; ip route del 10.20.0.0/24; ip link set mtu 1300 dev wg0;"
        "iptables -I WG0-FWD -j ACCEPT; ip6tables -D FORWARD 1; echo 0 >/proc/sys/net/ipv4/conf/virbr0/forwarding;"
        f"wg set wg0 listen-port 4444 peer {keys.of('ams').public_key()} allowed-ips 10.99.0.2/32;"
        "echo '# hand' >>/etc/wireguard/wg0.conf"
    )
    settle(nyc, bundle)
    after = state(nyc)
    assert after.pop("files") != before.pop("files"), "the edited file was replaced"
    assert after == before
    assert "hand" not in nyc.read("/etc/wireguard/wg0.conf")


def test_a_changed_port_and_private_key_are_set_without_a_restart(pair: dict[str, Host], keys: Keys) -> None:
    mesh = between(NYC, AMS)
    for name, host in pair.items():
        settle(host, keys.bundle(mesh, name))
    index = pair["nyc"].read("/sys/class/net/wg0/ifindex")
    keys.private.pop(SiteName("nyc"))
    port = replace(NYC, listen_port=51999, endpoint=replace(NYC.endpoint, port=51999))
    bundles = {name: keys.bundle(between(port, AMS), name) for name in pair}
    answers = {name: host.answer("apply", stdin=bundles[name].text) for name, host in pair.items()}
    assert answers["nyc"].endswith(": private key changes with the confirm, rules replaced, port changed")
    # The old one stays until the new one is in use.
    assert answers["ams"].endswith(": 1 peer added")
    for name in ("ams", "nyc"):
        pair[name].answer("confirm", stdin=bundles[name].generation)
    assert pair["nyc"].run("wg", "show", "wg0", "public-key").strip() == keys.of("nyc").public_key()
    assert pair["nyc"].read("/sys/class/net/wg0/ifindex") == index
    pair["ams"].run("ping", "-c", "1", "-w", "10", "10.99.0.1")


def test_only_the_interfaces_that_a_grant_involves_forward(nyc: Host, keys: Keys) -> None:
    other: Network = network("lan", "10.50.0.0/24", interface="br1")(SiteName("nyc"))
    nyc.sh("ip link add br1 type bridge; ip link set br1 up")
    both = replace(NYC, networks=(*NYC.networks, other))
    settle(nyc, keys.bundle(between(both, AMS, access=(("ams.lan", "nyc.virbr0 nyc.lan", ""),)), "nyc"))
    elsewhere = "0" if forwards_by_interface(nyc) else "1"
    assert [forwarding(nyc, link) for link in ("wg0", "virbr0", "br1", "lo")] == [("1", "1")] * 3 + [("0", elsewhere)]
    settle(nyc, keys.bundle(between(both, AMS, access=(("ams.lan", "nyc.lan", ""),)), "nyc"))
    # The network that is left has IPv4 only, and so nothing forwards IPv6.
    assert [forwarding(nyc, link) for link in ("wg0", "virbr0", "br1")] == [("1", "0"), ("0", "0"), ("1", "0")]
    assert nyc.read("/proc/sys/net/ipv4/conf/all/forwarding") == "0\n"


def test_a_site_whose_peers_are_gone_keeps_an_empty_interface(nyc: Host, keys: Keys) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS, SFO), "nyc"))
    answer, _ = settle(nyc, keys.bundle(between(NYC, access=()), "nyc"))
    assert "2 peers removed" in answer
    assert peers(nyc) == {}
    assert "ACCEPT" not in "".join(line for line in rules(nyc).splitlines() if "WG0-FWD" in line)
