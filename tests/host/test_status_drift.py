"""`status`: a hand edit of each kind is said in a sentence that names it, and `rollback` mends what is live."""

import pytest

from tests.host.observe import rules
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, Keys, between, settle

CONF, FOLDER, SYSCTL = "/etc/wireguard/wg0.conf", "/etc/wireguard/wg0.d", "/etc/sysctl.d/60-wireguard-mesh-wg0.conf"
OTHER = "6yT2Ipfd7Zuj0NV3hzNDDSThBVLHN3iW7Sbxkv2cH2Q="
AMS_KEY = "$(wg show wg0 peers)"

# By what it is: what somebody does on the host, and all that differs then.
LIVE = {
    "a flushed chain of the kernel's": (
        "iptables -F FORWARD",
        ["jump from filter FORWARD to WG0-FWD missing (IPv4)"],
    ),
    "a rule above our jumps": (
        "iptables -I FORWARD -j ACCEPT",
        ["jump from filter FORWARD to WG0-FWD not in its place (IPv4)"],
    ),
    "one jump of two": (
        "iptables -t mangle -D FORWARD -o wg0 -j WG0-MSS",
        ["jump from mangle FORWARD to WG0-MSS missing (IPv4)"],
    ),
    "a jump of IPv6": ("ip6tables -t raw -F PREROUTING", ["jump from raw PREROUTING to WG0-RAW missing (IPv6)"]),
    "a rule in a chain of ours": ("iptables -I WG0-IN -j ACCEPT", ["chain WG0-IN differs (IPv4)"]),
    "a chain of ours": (
        "ip6tables -t raw -F PREROUTING; ip6tables -t raw -F WG0-RAW; ip6tables -t raw -X WG0-RAW",
        ["chain WG0-RAW missing (IPv6)"],
    ),
    "forwarding": (
        "echo 0 >/proc/sys/net/ipv4/conf/virbr0/forwarding",
        ["net/ipv4/conf/virbr0/forwarding is 0, not 1"],
    ),
    "the file that keeps forwarding": (f"rm {SYSCTL}", [f"{SYSCTL} missing"]),
    "an edit of the file that keeps forwarding": (f"echo a = 1 >>{SYSCTL}", [f"{SYSCTL} differs"]),
    "the interface": ("ip link delete dev wg0", ["interface wg0 missing"]),
    "the interface by wg-quick": ("wg-quick down wg0", ["interface wg0 missing"]),
    "the MTU": ("ip link set wg0 mtu 1300", ["MTU is 1300, not 1420"]),
    "the link": (
        "ip link set wg0 down",
        [
            "link is down",
            "address fd99::1/128 missing",
            *(f"route {prefix} missing" for prefix in ("10.20.0.0/24", "10.99.0.2/32", "fd20::/64", "fd99::2/128")),
        ],
    ),
    "an address too many": ("ip addr add 10.9.8.7/32 dev wg0", ["address 10.9.8.7/32 is not ours"]),
    "an address too few": ("ip addr del fd99::1/128 dev wg0", ["address fd99::1/128 missing"]),
    "the private key": ("wg genkey >/run/key; wg set wg0 private-key /run/key", ["private key differs"]),
    "the port": ("wg set wg0 listen-port 1234", ["port is 1234, not 51820"]),
    "a peer too few": (f"wg set wg0 peer {AMS_KEY} remove", ["peer ams missing"]),
    "a peer too many": (f"wg set wg0 peer {OTHER}", [f"peer {OTHER} is not ours"]),
    "a preshared key": (
        f"wg genpsk >/run/psk; wg set wg0 peer {AMS_KEY} preshared-key /run/psk",
        ["peer ams differs: preshared key"],
    ),
    "allowed IPs": (f"wg set wg0 peer {AMS_KEY} allowed-ips 10.20.0.0/16", ["peer ams differs: allowed IPs"]),
    "a keepalive": (f"wg set wg0 peer {AMS_KEY} persistent-keepalive 0", ["peer ams differs: keepalive"]),
    "an endpoint": (f"wg set wg0 peer {AMS_KEY} endpoint 203.0.113.9:1", ["peer ams differs: endpoint"]),
    "a route too few": ("ip route del 10.20.0.0/24", ["route 10.20.0.0/24 missing"]),
    "a route too many": ("ip route add 10.66.0.0/16 dev wg0", ["route 10.66.0.0/16 is not ours"]),
    "a route of another metric": (
        "ip -6 route add fd20::/64 dev wg0 metric 7",
        ["route fd20::/64 of metric 7 is not ours"],
    ),
    "a route's MTU": ("ip route change 10.20.0.0/24 dev wg0 mtu 1280", ["route 10.20.0.0/24 differs"]),
}  # fmt: skip

# What the next boot would read; it comes back with the bundle.
FILES = {
    "the configuration": (f"echo '# mine' >>{CONF}", [f"{CONF} was edited"]),
    "the configuration gone": (f"rm {CONF}", [f"{CONF} missing"]),
    "rules": (
        f"for f in {FOLDER}/rules/*/rules.v6; do sed -i 's/DROP$/ACCEPT/' $f; done",
        [f"{FOLDER}/rules/ID was edited"],
    ),
    "rules gone": (f"rm {FOLDER}/rules/*/rules.v4", [f"{FOLDER}/rules/ID/rules.v4 missing"]),
}


def drift(host: Host) -> list[str]:
    """What the host says that differs."""
    done = host.helper("status")
    assert (done.returncode, done.stderr) == (0, "")
    return [line.removeprefix("drift: ") for line in done.stdout.splitlines() if line.startswith("drift: ")]


@pytest.mark.parametrize("kind", LIVE)
def test_a_hand_edit_of_what_is_live_is_said_and_rollback_mends_it(nyc: Host, keys: Keys, kind: str) -> None:
    edit, differs = LIVE[kind]
    settle(nyc, keys.bundle(between(NYC, AMS), "nyc"))
    assert drift(nyc) == ["none"]
    nyc.sh(edit)
    edited = rules(nyc, 4), rules(nyc, 6)
    assert drift(nyc) == differs
    assert (rules(nyc, 4), rules(nyc, 6)) == edited, "it was only looked at"
    nyc.answer("rollback")
    assert drift(nyc) == ["none"]


@pytest.mark.parametrize("kind", FILES)
def test_a_hand_edit_of_a_file_is_said_and_the_bundle_mends_it(nyc: Host, keys: Keys, kind: str) -> None:
    edit, differs = FILES[kind]
    bundle = keys.bundle(between(NYC, AMS), "nyc")
    settle(nyc, bundle)
    rules_id = nyc.sh(f"ls {FOLDER}/rules").strip()
    assert drift(nyc) == ["none"]
    nyc.sh(edit)
    assert drift(nyc) == [line.replace("ID", rules_id) for line in differs]
    settle(nyc, bundle)
    assert drift(nyc) == ["none"]
