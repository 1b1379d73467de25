"""Hosts that run WireGuard by hand: the two files that a lab owner wrote, brought up by wg-quick."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mesh.bundle import Bundle
from mesh.model import Colo, Mesh, Secret, Site, SiteName
from tests.host.observe import rules
from tests.host.scratch import Host, connect
from tests.host.sites import AMS, NYC, Keys, between

CONF = "/etc/wireguard/wg0.conf"
KEPT = f"{CONF}.adopted"

# nyc's own: what it does for everybody else stands in PostUp.
EXPOSING = """[Interface]
Address = 10.99.0.1/24
PrivateKey = {nyc}
ListenPort = 51820
PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -A FORWARD -o %i -j ACCEPT; \
iptables -t nat -A POSTROUTING -o virbr0 -j MASQUERADE
PostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -D FORWARD -o %i -j ACCEPT; \
iptables -t nat -D POSTROUTING -o virbr0 -j MASQUERADE

[Peer]
# ams
PublicKey = {ams_public}
Endpoint = 203.0.113.2:51820
PersistentKeepalive = 25
AllowedIPs = 10.99.0.2/32
"""
# ams may reach nyc's LAN.
REACHING = """[Interface]
Address=10.99.0.2/24
PrivateKey={ams}
ListenPort=51820
DNS = 192.168.122.1, corp.example

[Peer]
PublicKey={nyc_public}
Endpoint=203.0.113.1:51820
PersistentKeepalive = 25
AllowedIPs=10.99.0.0/24, 192.168.122.0/24
"""
RESOLVCONF = """#!/bin/sh
echo "$*" >>/run/resolvconf.calls
[ "$1" != -a ] || cat >"/run/resolvconf.$2"
[ "$1" != -d ] || rm -f "/run/resolvconf.$2"
"""
GRANTED = (("ams", "nyc.virbr0", "tcp udp"),)


def adopting(*sites: Site, access: tuple[tuple[str, str, str], ...] = GRANTED) -> Mesh:
    """The mesh of these sites, all of which take over what is there."""
    return between(*(_adopting(site) for site in sites or (NYC, AMS)), access=access)


def _adopting(site: Site) -> Site:
    assert isinstance(site.kind, Colo)
    return replace(site, kind=replace(site.kind, adopt=True), private_key=Secret(None))


def by_hand(keys: Keys, text: str) -> str:
    """A file with its keys filled in."""
    nyc, ams = keys.of("nyc"), keys.of("ams")
    return text.format(nyc=nyc.reveal(), ams=ams.reveal(), nyc_public=nyc.public_key(), ams_public=ams.public_key())


def write(host: Host, text: str) -> None:
    """The file that wg-quick reads, as its owner left it."""
    host.run("sh", "-c", f"cat >{CONF}; chmod 600 {CONF}", stdin=text)


def bring_up(host: Host, text: str) -> str:
    """Writes the file and brings the interface up; the file's text."""
    host.run("sh", "-c", "cat >/usr/local/sbin/resolvconf; chmod 755 /usr/local/sbin/resolvconf", stdin=RESOLVCONF)
    write(host, text)
    host.run("wg-quick", "up", "wg0")
    return text


@contextmanager
def origin(hosts: dict[str, Host], keys: Keys, folder: Path) -> Iterator[Host]:
    """Both hosts run their files; gives a host behind nyc, at 192.168.122.7, that knows only its own network."""
    with Host(folder / "lan") as lan:
        connect(lan, hosts["nyc"], "eth0", "lan0")
        lan.sh("ip address add 192.168.122.7/24 dev eth0")
        hosts["nyc"].sh("ip link set lan0 master virbr0; echo 1 >/proc/sys/net/ipv4/ip_forward")
        bring_up(hosts["nyc"], by_hand(keys, EXPOSING))
        bring_up(hosts["ams"], by_hand(keys, REACHING))
        yield lan


def live(host: Host) -> dict[str, object]:
    """All that was set up by hand, as the host has it."""
    wg = {key: host.run("wg", "show", "wg0", key) for key in ("private-key", "listen-port", "fwmark", "endpoints",
          "allowed-ips", "persistent-keepalive", "preshared-keys")}  # fmt: skip
    return {
        **{key: sorted(" ".join(sorted(line.split())) for line in text.splitlines()) for key, text in wg.items()},
        "rules": (rules_with_some(host, 4), rules_with_some(host, 6)),
        "routes": sorted(host.sh("ip route show table all; ip -6 route show table all").splitlines()),
        "policy": host.sh("ip rule; ip -6 rule"),
        "link": host.run("ip", "-o", "address", "show", "dev", "wg0"),
        "mtu": host.sh("cat /sys/class/net/wg0/mtu"),
        "dns": host.sh("cat /run/resolvconf.wg0 2>/dev/null || echo none"),
        "forwarding": host.sh("cd /proc/sys/net; grep -r . ipv4/conf/*/forwarding ipv6/conf/*/*forwarding"),
        "file": host.sh(f"cat {CONF}; stat -c '%i %a %Y' {CONF}"),
    }


def rules_with_some(host: Host, family: int) -> list[str]:
    """The rule set, without built-in chains: reading or loading a table makes those, and they are nobody's rules."""
    return [line for line in rules(host, family).splitlines() if line.startswith("-") or "WG0" in line]


def bundles(keys: Keys, mesh: Mesh) -> dict[str, Bundle]:
    """Every site's bundle."""
    return {site.name: keys.bundle(mesh, SiteName(site.name)) for site in mesh.sites}
