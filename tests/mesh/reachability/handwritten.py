"""Two sites' texts, written by hand from the man pages: ams.lan may open flows to nyc.virbr0, and nothing else may."""

from dataclasses import dataclass, replace
from ipaddress import ip_network

from mesh.model import SiteName
from mesh.reachability import Point, SiteTexts, reachability

NYC, AMS = SiteName("nyc"), SiteName("ams")

GATEWAYS_PING = {"ams": {"nyc": "ping"}, "nyc": {"ams": "ping"}}

POINTS = (
    Point("nyc", NYC, (ip_network("10.99.0.1/32"),)),
    Point("nyc.virbr0", NYC, (ip_network("192.168.122.0/24"),), "virbr0"),
    Point("ams", AMS, (ip_network("10.99.0.2/32"),)),
    Point("ams.lan", AMS, (ip_network("10.20.0.0/24"),), "eth1"),
    Point("ams.guests", AMS, (ip_network("10.21.0.0/24"),), "eth2"),
)

# The rule of the grant, as it stands at both sites.
GRANT = "--ctorigsrc 10.20.0.0/24 --ctorigdst 192.168.122.0/24"
ACCEPT = f"-A WG0-FWD -m conntrack --ctstate NEW,RELATED,ESTABLISHED {GRANT} -j ACCEPT\n"

_NYC_CONF = """
[Interface]
PrivateKey = (private key)
ListenPort = 51820
Address = 10.99.0.1/32
MTU = 1420
PreUp = /usr/local/sbin/wireguard-mesh load %i 0123456789abcdef
PostUp = /usr/local/sbin/wireguard-mesh forward %i 0123456789abcdef
PostDown = /usr/local/sbin/wireguard-mesh unload %i

# ams
[Peer]
PublicKey = (public key of ams)
Endpoint = 198.51.100.20:51820
PersistentKeepalive = 25
AllowedIPs = 10.99.0.2/32, 10.20.0.0/24
"""

_AMS_CONF = """
[Interface]
PrivateKey = (private key)
ListenPort = 51820
Address = 10.99.0.2/32
PreUp = /usr/local/sbin/wireguard-mesh load %i 0123456789abcdef

# nyc
[Peer]
PublicKey = (public key of nyc)
Endpoint = 203.0.113.10:51820
AllowedIPs = 10.99.0.1/32, 192.168.122.0/24
"""

_NYC_RULES = f"""
*filter
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-SRC - [0:0]
-A WG0-FWD -m conntrack --ctstate INVALID -j DROP
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
{ACCEPT}-A WG0-FWD -j DROP
-A WG0-IN -m conntrack --ctstate INVALID -j DROP
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 0 -j ACCEPT
-A WG0-IN -j DROP
-A WG0-SRC -s 192.168.122.0/24 -i virbr0 -j RETURN
-A WG0-SRC -j DROP
COMMIT
*nat
:WG0-PRE - [0:0]
:WG0-POST - [0:0]
COMMIT
"""

_AMS_RULES = _NYC_RULES.replace("-d 10.99.0.1/32", "-d 10.99.0.2/32").replace(
    "-s 192.168.122.0/24 -i virbr0", "-s 10.20.0.0/24 -i eth1"
)

_CLOSED = """
*filter
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
-A WG0-FWD -j DROP
-A WG0-IN -j DROP
COMMIT
*nat
:WG0-PRE - [0:0]
:WG0-POST - [0:0]
COMMIT
"""

_NYC = SiteTexts(_NYC_CONF, _NYC_RULES, _CLOSED)
_AMS = SiteTexts(_AMS_CONF, _AMS_RULES, _CLOSED)


@dataclass(frozen=True)
class Texts:
    """The texts of both sites, the points, and edits of each."""

    nyc: SiteTexts = _NYC
    ams: SiteTexts = _AMS
    points: tuple[Point, ...] = POINTS

    def edit(self, site: SiteName, old: str, new: str = "") -> "Texts":
        """With `old` replaced at one site, in the one text that has it."""
        texts = self.nyc if site == NYC else self.ams
        assert (old in texts.conf) != (old in texts.rules_v4), old
        changed = replace(texts, conf=texts.conf.replace(old, new), rules_v4=texts.rules_v4.replace(old, new))
        return replace(self, nyc=changed) if site == NYC else replace(self, ams=changed)

    def both(self, old: str, new: str = "") -> "Texts":
        """With `old` replaced at both sites."""
        return self.edit(NYC, old, new).edit(AMS, old, new)

    def sites(self) -> dict[SiteName, SiteTexts]:
        """What `reachability` takes."""
        return {NYC: self.nyc, AMS: self.ams}

    def answers(self) -> dict[str, dict[str, str]]:
        """Who reaches whom."""
        return reachability(self.sites(), self.points)
