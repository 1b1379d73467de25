"""A real `up` on hosts that run WireGuard by hand: what is granted goes on, the rest ends, and the files are kept."""

from typing import Any

import pytest

from mesh.keys import PrivateKey, generate_private_key
from tests.lab.conftest import Start
from tests.lab.environment import Environment, pair
from tests.lab.talking import talkers
from tests.lab.test_up import SAVE, rules

pytestmark = pytest.mark.lab

KEPT = "/etc/wireguard/wg0.conf.adopted"
# The exposing site. So that hosts behind ams reach it, ams forwards in the same way.
RULES = """PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -A FORWARD -o %i -j ACCEPT
PostUp = echo 1 > /proc/sys/net/ipv4/ip_forward
PostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -D FORWARD -o %i -j ACCEPT
"""
NAT = """PostUp = iptables -t nat -A POSTROUTING -o virbr0 -j MASQUERADE
PostDown = iptables -t nat -D POSTROUTING -o virbr0 -j MASQUERADE
"""
INTERFACE = """[Interface]
Address = {address}/24
PrivateKey = {private}
ListenPort = 51820
"""
PEER = """
[Peer]
PublicKey = {public}
Endpoint = {endpoint}:51820
PersistentKeepalive = 25
AllowedIPs = {allowed}
"""
GRANT = {"from": "ams.lan", "to": "nyc.virbr0", "ports": ["tcp/7001", "udp/7001"]}
SITES = ("ams", "nyc")


def _by_hand(environment: Environment, private: dict[str, PrivateKey]) -> dict[str, str]:
    """Both hosts run their files, as ever; the files' texts."""
    public = {site: key.public_key() for site, key in private.items()}
    host = {site: environment.config["sites"][site]["colo"]["host"] for site in SITES}
    files = {
        "nyc": INTERFACE.format(address="10.99.0.1", private=private["nyc"].reveal())
        + (RULES + NAT)
        + PEER.format(public=public["ams"], endpoint=host["ams"], allowed="10.99.0.2/32, 10.20.0.0/24"),
        "ams": INTERFACE.format(address="10.99.0.2", private=private["ams"].reveal())
        + RULES
        + PEER.format(public=public["nyc"], endpoint=host["nyc"], allowed="10.99.0.0/24, 192.168.122.0/24"),
    }
    for site, text in files.items():
        there = "umask 077; mkdir -p /etc/wireguard; cat >/etc/wireguard/wg0.conf; wg-quick up wg0 2>&1"
        environment.world.host(site).run(["sh", "-euc", there], input=text)
    return files


def _adopting(**more: Any) -> dict[str, Any]:
    config = pair()
    for site in SITES:
        config["sites"][site]["colo"]["adopt"] = True
    return {**config, "access": [GRANT], **more}


def test_an_up_takes_over_both_hosts_and_what_is_granted_loses_nothing(start: Start) -> None:
    private = {site: generate_private_key() for site in SITES}
    secrets = {f"wireguard-mesh:sites.{site}.private_key": key.reveal() for site, key in private.items()}
    environment = start(_adopting(), secrets=secrets)
    files = _by_hand(environment, private)
    before = {site: environment.on(site, "cat /sys/class/net/wg0/ifindex") for site in SITES}
    environment.on("nyc", "iptables -A FORWARD -i eth9 -j DROP")
    with talkers(environment.world, "ams.lan", "nyc.virbr0") as talk:
        granted = [talk.open("ams.lan", "nyc.virbr0", service) for service in ("tcp/7001", "udp/7001")]
        others = [talk.open("ams.lan", "nyc.virbr0", service) for service in ("tcp/7002", "udp/7002")]
        assert talk.up([*granted, *others]) == []

        preview = environment.deployment.run("preview")
        assert preview.failure is None, preview.failure
        for site in SITES:
            assert f"{site}.adoption" in preview.stdout
            assert environment.on(site, "ls -A /etc/wireguard").split() == ["wg0.conf"]
        up = environment.up()
        assert up.warnings == ()
        assert talk.dead(others) == []
        # ams gives its peer other allowed IPs, by a step that takes the old ones away first; of the two who speak, each
        # is fast enough to meet it once.
        assert talk.losses(granted, most=1) == []
    assert environment.probe().as_granted
    said = up.outputs["nyc.adoption"]
    assert "/etc/wireguard/wg0.conf.adopted" in said
    assert said.endswith("go on or begin\n  ams.lan -> nyc.virbr0 (tcp/7001, udp/7001)\n")

    for site in SITES:
        assert environment.on(site, f"cat {KEPT}") == files[site]
        assert environment.on(site, "cat /sys/class/net/wg0/ifindex") == before[site], "never restarted"
        assert environment.on(site, "wg show wg0 private-key").strip() == private[site].reveal()
        status = environment.on(site, "wireguard-mesh status wg0")
        assert f"adopted: {KEPT}\n" in status
        assert "rules.v4: " in status
        assert " differ" not in status
    foreign = [line for line in rules(environment.on("nyc", SAVE)) if line.startswith("-A") and "WG0-" not in line]
    assert foreign == ["-A FORWARD -i eth9 -j DROP"]

    assert environment.up().nothing_changed
    for site in SITES:
        del environment.config["sites"][site]["colo"]["adopt"]
    environment.write()
    conf = environment.on("nyc", "cat /etc/wireguard/wg0.conf; wg show wg0 latest-handshakes")
    without = environment.up()
    assert "nyc.adoption" not in without.outputs
    assert environment.on("nyc", "cat /etc/wireguard/wg0.conf; wg show wg0 latest-handshakes") == conf

    assert environment.deployment.run("destroy").failure is None
    for site in SITES:
        assert environment.on(site, "ls -A /etc/wireguard").split() == ["wg0.conf.adopted"]
        assert environment.on(site, f"cat {KEPT}") == files[site]
        assert environment.on(site, "ip -o link | grep wg0 || true") == ""
    left = [line for line in rules(environment.on("nyc", SAVE)) if line.startswith("-A")]
    assert left == ["-A FORWARD -i eth9 -j DROP"]


def test_without_the_word_an_up_refuses_both_hosts_and_their_flows_go_on(start: Start) -> None:
    config = _adopting()
    del config["sites"]["nyc"]["colo"]["adopt"], config["sites"]["ams"]["colo"]["adopt"]
    environment = start(config)
    files = _by_hand(environment, {site: generate_private_key() for site in SITES})
    with talkers(environment.world, "ams.lan", "nyc.virbr0") as talk:
        flows = [talk.open("ams.lan", "nyc.virbr0", service) for service in ("tcp/7001", "tcp/7002")]
        assert talk.up(flows) == []
        refused = environment.deployment.run("up")
        assert refused.failure is not None
        assert "have it taken over ('adopt: true')" in refused.failure + refused.stderr + str(refused.errors)
        assert talk.losses(flows) == []
    for site in SITES:
        assert environment.on(site, "cat /etc/wireguard/wg0.conf") == files[site]
        assert environment.on(site, "ls -A /etc/wireguard").split() == ["wg0.conf"]


def test_a_host_that_cannot_be_taken_over_goes_on_by_hand_and_the_next_up_takes_it(start: Start) -> None:
    private = {site: generate_private_key() for site in SITES}
    secrets = {f"wireguard-mesh:sites.{site}.private_key": key.reveal() for site, key in private.items()}
    environment = start(_adopting(), secrets=secrets)
    files = _by_hand(environment, private)
    # An address that the system refuses, in the middle of the apply: nyc goes back, ams is taken over.
    broken = '#!/bin/sh\ncase "$*" in "addr add 10.99.0.1/32"*) exit 2 ;; esac\nexec /usr/sbin/ip "$@"\n'
    environment.world.host("nyc").run(["sh", "-euc", "cat >/usr/local/sbin/ip; chmod 755 /usr/local/sbin/ip"],
                                      input=broken)  # fmt: skip
    with talkers(environment.world, "ams.lan", "nyc.virbr0") as talk:
        granted = [talk.open("ams.lan", "nyc.virbr0", "tcp/7001")]
        assert talk.up(granted) == []
        failed = environment.deployment.run("up")
        assert failed.failure is not None
        assert "brought wg0 back to what was set up by hand" in failed.failure + failed.stderr + str(failed.errors)
        assert environment.on("nyc", "cat /etc/wireguard/wg0.conf") == files["nyc"]
        assert "WG0-" not in environment.on("nyc", SAVE)
        environment.on("nyc", "rm /usr/local/sbin/ip")
        environment.up()
        assert talk.stuck(granted) == []
    assert environment.on("nyc", f"cat {KEPT}") == files["nyc"]
