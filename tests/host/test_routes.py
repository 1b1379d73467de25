"""Routes with an MTU of their own, for links that carry less than the interface does."""

import re
from dataclasses import replace

import pytest

from tests.host.observe import Ping, state
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between, settle

NARROW = replace(AMS, mtu=1380)
WAYS = ["10.20.0.0/24", "10.99.0.2/32", "fd20::/64", "fd99::2/128"]

BOTH_FAMILIES = pytest.mark.parametrize("prefix", ["10.20.0.0/24", "fd20::/64"])


def _family(prefix: str) -> str:
    return "-6" if ":" in prefix else "-4"


def _routes(host: Host) -> dict[str, int | None]:
    """The MTU of each route of the tunnel."""
    found: dict[str, int | None] = {}
    for family, length in (("-4", 32), ("-6", 128)):
        for line in host.run("ip", family, "route", "show", "dev", "wg0").splitlines():
            if " proto " in line or line.startswith("fe80"):
                continue
            prefix = line.split()[0]
            prefix = prefix if "/" in prefix else f"{prefix}/{length}"
            assert prefix not in found, "one route for a prefix"
            mtu = re.search(r" mtu (\d+)", line)
            found[prefix] = int(mtu[1]) if mtu else None
    return found


def _changes(answer: str) -> list[str]:
    return answer.split(": ")[1].split(", ")


def test_a_links_mtu_comes_changes_and_goes_without_losing_a_packet(pair: dict[str, Host], keys: Keys) -> None:
    nyc = pair["nyc"]
    for name, host in pair.items():
        settle(host, keys.bundle(between(NYC, AMS), name))
    assert _routes(nyc) == dict.fromkeys(WAYS)
    narrower = replace(AMS, mtu=1300)
    with Ping(pair["ams"], "10.99.0.1") as flow:
        for there, mtu in ((NARROW, 1380), (narrower, 1300), (AMS, None)):
            bundle = keys.bundle(between(NYC, there), "nyc")
            answer, _ = settle(nyc, bundle)
            assert _changes(answer) == [f"route {prefix} changed" for prefix in sorted(WAYS)]
            assert _routes(nyc) == dict.fromkeys(WAYS, mtu)
            before = state(nyc)
            assert settle(nyc, bundle) == ("nothing changed", "confirmed already")
            assert state(nyc) == before
        assert flow.lost() == []


def test_wg_quick_and_a_live_apply_make_the_same_routes(nyc: Host, keys: Keys) -> None:
    bundle = keys.bundle(between(NYC, NARROW, SFO, access=(("ams.lan sfo.lan", "nyc.virbr0", ""),)), "nyc")
    settle(nyc, bundle)
    before = state(nyc)
    assert _routes(nyc) == {
        **dict.fromkeys(WAYS, 1380), "10.30.0.0/24": None, "10.99.0.3/32": None, "fd99::3/128": None
    }  # fmt: skip
    nyc.sh("ip route flush dev wg0; ip -6 route flush dev wg0; ip route add 10.30.0.0/24 dev wg0 mtu lock 1300")
    settle(nyc, bundle)
    assert nyc.run("ip", "-4", "route") == str(before["routes"][0])  # type: ignore[index]
    assert _routes(nyc)["10.30.0.0/24"] is None
    assert _routes(nyc)["fd20::/64"] == 1380


def test_the_interfaces_own_mtu_may_change_with_those_of_its_routes(nyc: Host, keys: Keys) -> None:
    """The kernel takes IPv6 routes along with the interface's MTU in some cases: they end as they shall be."""
    for here, there in ((1420, 1380), (1360, 1420), (1420, 1360), (1400, 1300), (1300, 1420), (1420, 1420)):
        settle(nyc, keys.bundle(between(replace(NYC, mtu=here), replace(AMS, mtu=there)), "nyc"))
        assert f" mtu {here} " in nyc.run("ip", "link", "show", "dev", "wg0")
        assert _routes(nyc) == dict.fromkeys(WAYS, there if there < here else None)


@BOTH_FAMILIES
@pytest.mark.parametrize("held", ["ip route add PREFIX dev br9", "ip address add PREFIX dev br9"], ids=["made", "own"])
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_a_route_of_another_interface_is_neither_taken_over_nor_preferred_in_silence(
    nyc: Host, keys: Keys, prefix: str, held: str, up: bool
) -> None:
    """A connected IPv6 network has a lower metric than a new route, which the kernel adds and does not use."""
    if up:
        settle(nyc, keys.bundle(between(NYC, SFO, access=()), "nyc"))
    family = _family(prefix)
    nyc.sh("ip link add br9 type bridge; ip link set br9 up;" + held.replace("PREFIX", prefix))
    before = nyc.run("ip", family, "route")
    done = nyc.helper("apply", stdin=keys.bundle(between(NYC, NARROW, SFO), "nyc").text)
    assert done.returncode == 71, done.stdout
    assert f"{prefix} has another route on this host: {prefix} dev br9 " in done.stderr
    assert ("; went back to " if up else "; took wg0 down") in done.stderr
    assert nyc.run("ip", family, "route") == before
    nyc.sh("ip link delete br9")
    settle(nyc, keys.bundle(between(NYC, NARROW, SFO), "nyc"))
    assert _routes(nyc)[prefix] == 1380


@BOTH_FAMILIES
def test_a_route_by_several_ways_is_judged_by_its_metric_and_named_by_its_prefix(
    nyc: Host, keys: Keys, prefix: str
) -> None:
    ways = "via fe80::8 dev br8 nexthop via fe80::9 dev br9" if ":" in prefix else "dev br8 nexthop dev br9"
    several = f"ip {_family(prefix)} route add {prefix} metric {{}} nexthop {ways}"
    nyc.sh("for br in br8 br9; do ip link add $br type bridge; ip link set $br up; done;" + several.format(2048))
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    settle(nyc, keys.bundle(between(NYC, SFO, access=()), "nyc"))
    nyc.sh(several.format(1 if ":" in prefix else 0))
    done = nyc.helper("apply", stdin=keys.bundle(between(NYC, AMS), "nyc").text)
    assert done.returncode == 71, done.stdout
    assert f"{prefix} has another route on this host: {prefix} " in done.stderr


@BOTH_FAMILIES
def test_a_change_of_a_route_never_takes_over_one_of_another_interface(nyc: Host, keys: Keys, prefix: str) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    both = f"ip {_family(prefix)} route"
    nyc.sh(f"ip link add br9 type bridge; ip link set br9 up; {both} del {prefix} dev wg0;"
           f"{both} add {prefix} dev br9; {both} append {prefix} dev wg0")  # fmt: skip
    before = state(nyc)["routes"]
    done = nyc.helper("apply", stdin=keys.bundle(between(NYC, NARROW), "nyc").text)
    assert done.returncode == 71, done.stdout
    assert f"{prefix} has another route on this host: {prefix} dev br9 " in done.stderr
    assert "; went back to " in done.stderr
    assert state(nyc)["routes"] == before


@BOTH_FAMILIES
def test_a_route_of_another_interface_that_comes_after_ours_stays_and_is_no_obstacle(
    nyc: Host, keys: Keys, prefix: str
) -> None:
    settle(nyc, keys.bundle(between(NYC, SFO, access=()), "nyc"))
    later = f"{prefix} dev br9 metric 2000"
    nyc.sh(f"ip link add br9 type bridge; ip link set br9 up; ip {_family(prefix)} route add {later}")
    for there, mtu in ((AMS, None), (NARROW, 1380)):
        settle(nyc, keys.bundle(between(NYC, there, SFO), "nyc"))
        assert _routes(nyc)[prefix] == mtu
    found = nyc.run("ip", _family(prefix), "route", "show", "exact", prefix)
    assert [line.split()[2] for line in found.splitlines()] == ["wg0", "br9"]


@BOTH_FAMILIES
def test_a_route_that_somebody_gave_another_metric_makes_way_for_ours(nyc: Host, keys: Keys, prefix: str) -> None:
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    ip = f"ip {_family(prefix)} route"
    removed = f"route {prefix} of metric 50 removed"
    # In the place of ours, with an MTU to change, and beside ours.
    nyc.sh(f"{ip} del {prefix} dev wg0; {ip} add {prefix} dev wg0 metric 50")
    answer, _ = settle(nyc, keys.bundle(between(NYC, NARROW), "nyc"))
    others = [f"route {each} changed" for each in sorted(WAYS) if each != prefix]
    assert sorted(_changes(answer)) == sorted([f"route {prefix} added", *others, removed])
    assert _routes(nyc) == dict.fromkeys(WAYS, 1380)
    nyc.sh(f"{ip} add {prefix} dev wg0 metric 50")
    answer, _ = settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    assert _changes(answer) == [*(f"route {each} changed" for each in sorted(WAYS)), removed]
    # Both go with the peer; a routing daemon's stays.
    nyc.sh(f"{ip} add {prefix} dev wg0 metric 50; {ip} add {prefix} dev wg0 metric 40 proto bird")
    answer, _ = settle(nyc, keys.bundle(between(NYC, SFO, access=()), "nyc"))
    assert f"route {prefix} removed" in _changes(answer)
    assert removed in _changes(answer)
    (left,) = nyc.run(*ip.split(), "show", "exact", prefix).splitlines()
    assert " proto bird " in left


@pytest.mark.parametrize("family", [4, 6])
def test_packets_are_as_large_as_the_link_carries(pair: dict[str, Host], keys: Keys, family: int) -> None:
    for name, host in pair.items():
        settle(host, keys.bundle(between(NYC, NARROW), name))
    target = "10.99.0.2" if family == 4 else "fd99::2"
    headers = 28 if family == 4 else 48
    for size, passes in ((1380, True), (1381, False)):
        done = pair["nyc"].try_("ping", "-c1", "-w5", "-Mdo", f"-s{size - headers}", target)
        assert (done.returncode == 0) is passes, done.stdout + done.stderr
        assert bool(re.search("mtu[=:] ?1380", done.stdout + done.stderr)) is not passes
