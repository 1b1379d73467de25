"""Peers that answered before a change and that it does not name have to answer after it, or the host goes back."""

from dataclasses import replace
from ipaddress import ip_network

from mesh.model import Mesh
from tests.host.observe import peers
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle

# Rules that drop what WireGuard gets.
CUTTING = ("--dport 51820 -j ACCEPT", "--dport 51820 -j DROP")
LOST = "what answered before this change does not any more: "


def joined(hosts: dict[str, Host], keys: Keys, mesh: Mesh) -> None:
    """Every site configured, and every tunnel in use."""
    for name, host in hosts.items():
        settle(host, keys.bundle(mesh, name))
    hosts["nyc"].sh("for a in 10.99.0.2 10.99.0.3; do ping -c 1 -W 10 $a; done")


def test_a_change_that_cuts_a_peer_off_goes_back_and_names_it(trio: dict[str, Host], keys: Keys) -> None:
    whole = between(NYC, AMS, SFO)
    joined(trio, keys, whole)
    nyc = trio["nyc"]
    confirmed = keys.bundle(whole, "nyc")
    cutting = keys.edited(whole, "nyc", *CUTTING)
    nyc.answer("apply", stdin=cutting.text)
    done = nyc.helper("confirm", stdin=cutting.generation)
    assert (done.returncode, done.stdout) == (71, "")
    assert f"{LOST}ams, sfo; went back to {confirmed.generation[:12]}" in done.stderr
    assert f"live: {confirmed.generation}" in nyc.answer("status")
    nyc.sh("ping -c 1 -W 10 10.99.0.2")


def test_a_tunnel_is_asked_too_where_a_single_host_behind_it_comes_first_and_is_silent(
    trio: dict[str, Host], keys: Keys
) -> None:
    single = replace(AMS, networks=(replace(AMS.networks[0], cidrs=(ip_network("10.20.0.5/32"),)),))
    whole = between(NYC, single, SFO)
    joined(trio, keys, whole)
    nyc = trio["nyc"]
    assert peers(nyc)[keys.of("ams").public_key()][2].startswith("10.20.0.5/32,10.99.0.2/32")
    cutting = keys.edited(whole, "nyc", *CUTTING)
    nyc.answer("apply", stdin=cutting.text)
    done = nyc.helper("confirm", stdin=cutting.generation)
    assert done.returncode == 71
    assert f"{LOST}ams, sfo; " in done.stderr


def test_who_was_dead_before_or_is_named_by_the_change_holds_nobody_up(trio: dict[str, Host], keys: Keys) -> None:
    whole = between(NYC, AMS, SFO)
    joined(trio, keys, whole)
    nyc = trio["nyc"]
    trio["sfo"].sh("ip link set eth0 down")
    more = keys.bundle(between(NYC, AMS, SFO, access=(("ams.lan", "nyc.virbr0", "tcp/443"),)), "nyc")
    assert settle(nyc, more)[1] == f"confirmed {more.generation[:12]}"
    # ams goes away with this change, and is alive until then.
    less = keys.bundle(between(NYC, SFO, access=()), "nyc")
    assert settle(nyc, less)[1] == f"confirmed {less.generation[:12]}"
    assert len(peers(nyc)) == 1


def test_on_a_host_without_ping_nothing_is_asked(trio: dict[str, Host], keys: Keys) -> None:
    whole = between(NYC, AMS, SFO)
    joined(trio, keys, whole)
    nyc = trio["nyc"]
    nyc.sh('mount --bind /dev/null "$(command -v ping)"')
    cutting = keys.edited(whole, "nyc", *CUTTING)
    nyc.answer("apply", stdin=cutting.text)
    assert nyc.answer("confirm", stdin=cutting.generation) == f"confirmed {cutting.generation[:12]}"
