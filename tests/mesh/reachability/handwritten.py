"""Two sites' texts, written by hand from the man pages: ams.lan may open flows to nyc.virbr0, and nothing else may."""

from dataclasses import dataclass, replace
from ipaddress import ip_network

from mesh.model import SiteName
from mesh.reachability import Point, Reachability, SiteTexts, reachability

NYC, AMS = SiteName("nyc"), SiteName("ams")

GATEWAYS_PING = {"ams": {"nyc": "ping"}, "nyc": {"ams": "ping"}}
GRANTED = {"ams": {"nyc": "ping"}, "ams.lan": {"nyc.virbr0": "all"}, "nyc": {"ams": "ping"}}

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
LIKE_AN_ANSWER = (
    "-A WG0-FWD -p tcp -m conntrack --ctstate NEW -m tcp --sport 0:32767 --dport 32768:65535"
    " ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n"
)

_NYC_CONF = """
[Interface]
PrivateKey = (private key)
ListenPort = 51820
Address = 10.99.0.1/32
MTU = 1420
PreUp = /usr/local/sbin/wireguard-mesh load %i 0123456789abcdef
PostUp = /usr/local/sbin/wireguard-mesh forward %i 0123456789abcdef
PostUp = ip -4 route replace 10.99.0.2/32 dev %i mtu 1412
PostUp = ip -4 route replace 10.20.0.0/24 dev %i mtu 1412
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
ListenPort = 51821
Address = 10.99.0.2/32
MTU = 1412
PreUp = /usr/local/sbin/wireguard-mesh load %i fedcba9876543210
PostUp = /usr/local/sbin/wireguard-mesh forward %i fedcba9876543210
PostDown = /usr/local/sbin/wireguard-mesh unload %i

# nyc
[Peer]
PublicKey = (public key of nyc)
Endpoint = 203.0.113.10:51820
PersistentKeepalive = 25
AllowedIPs = 10.99.0.1/32, 192.168.122.0/24
"""

_NYC_RULES = f"""
*raw
:WG0-RAW - [0:0]
-A WG0-RAW -i lo -j RETURN
-A WG0-RAW -s 10.20.0.0/24 -j DROP
-A WG0-RAW -s 10.99.0.0/24 -j DROP
COMMIT
*mangle
:WG0-MSS - [0:0]
-A WG0-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -o wg0 -j ACCEPT
COMMIT
*filter
:WG0-DST - [0:0]
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-PORT - [0:0]
:WG0-SRC - [0:0]
-A WG0-DST -d 192.168.122.0/24 -o virbr0 -j RETURN
-A WG0-DST -j DROP
-A WG0-FWD -i wg0 -j WG0-DST
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
{LIKE_AN_ANSWER}{ACCEPT}-A WG0-FWD -j DROP
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.1/32 -p icmp -m icmp --icmp-type 0 -j ACCEPT
-A WG0-IN -j DROP
-A WG0-PORT -p udp -m udp --dport 51820 -j ACCEPT
-A WG0-SRC -s 192.168.122.0/24 -i virbr0 -j RETURN
-A WG0-SRC -j DROP
COMMIT
"""

_AMS_RULES = f"""
*raw
:WG0-RAW - [0:0]
-A WG0-RAW -i lo -j RETURN
-A WG0-RAW -s 10.99.0.0/24 -j DROP
-A WG0-RAW -s 192.168.122.0/24 -j DROP
COMMIT
*mangle
:WG0-MSS - [0:0]
-A WG0-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -o wg0 -j ACCEPT
COMMIT
*filter
:WG0-DST - [0:0]
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-PORT - [0:0]
:WG0-SRC - [0:0]
-A WG0-DST -d 10.20.0.0/24 -o eth1 -j RETURN
-A WG0-DST -j DROP
-A WG0-FWD -i wg0 -j WG0-DST
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
{LIKE_AN_ANSWER}{ACCEPT}-A WG0-FWD -j DROP
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.2/32 -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A WG0-IN -s 10.99.0.0/24 -d 10.99.0.2/32 -p icmp -m icmp --icmp-type 0 -j ACCEPT
-A WG0-IN -j DROP
-A WG0-PORT -p udp -m udp --dport 51821 -j ACCEPT
-A WG0-SRC -s 10.20.0.0/24 -i eth1 -j RETURN
-A WG0-SRC -j DROP
COMMIT
"""

# A family in which nothing is granted, and no site has an address.
_CLOSED = """
*raw
:WG0-RAW - [0:0]
COMMIT
*mangle
:WG0-MSS - [0:0]
COMMIT
*nat
:WG0-POST - [0:0]
:WG0-PRE - [0:0]
-A WG0-POST -o wg0 -j ACCEPT
COMMIT
*filter
:WG0-DST - [0:0]
:WG0-FWD - [0:0]
:WG0-IN - [0:0]
:WG0-PORT - [0:0]
:WG0-SRC - [0:0]
-A WG0-DST -j DROP
-A WG0-FWD -i wg0 -j WG0-DST
-A WG0-FWD -o wg0 -m conntrack ! --ctstate RELATED -j WG0-SRC
-A WG0-FWD -j DROP
-A WG0-IN -j DROP
-A WG0-PORT -p udp -m udp --dport 51820 -j ACCEPT
-A WG0-SRC -j DROP
COMMIT
"""

_NYC = SiteTexts(_NYC_CONF, _NYC_RULES, _CLOSED)
_AMS = SiteTexts(_AMS_CONF, _AMS_RULES, _CLOSED.replace("51820", "51821"))


@dataclass(frozen=True)
class Texts:
    """The texts of both sites, the points, and edits of each."""

    nyc: SiteTexts = _NYC
    ams: SiteTexts = _AMS
    points: tuple[Point, ...] = POINTS

    def edit(self, site: SiteName, old: str, new: str = "") -> "Texts":
        """With `old` replaced at one site, in the one text (of the file and the rules for IPv4) that has it."""
        texts = self.nyc if site == NYC else self.ams
        assert (old in texts.conf) != (old in texts.rules_v4), old
        changed = replace(texts, conf=texts.conf.replace(old, new), rules_v4=texts.rules_v4.replace(old, new))
        return self.change(site, changed)

    def change(self, site: SiteName, texts: SiteTexts) -> "Texts":
        """With other texts at one site."""
        return replace(self, nyc=texts) if site == NYC else replace(self, ams=texts)

    def both(self, old: str, new: str = "") -> "Texts":
        """With `old` replaced at both sites."""
        return self.edit(NYC, old, new).edit(AMS, old, new)

    def sites(self) -> dict[SiteName, SiteTexts]:
        """What `reachability` takes."""
        return {NYC: self.nyc, AMS: self.ams}

    def answers(self) -> dict[str, dict[str, str]]:
        """Who reaches whom, and all remarks."""
        return reachability(self.sites(), self.points)

    def added(self) -> dict[str, dict[str, str]]:
        """What there is besides the answers of the unchanged texts, or in place of them; "" for what is lost."""
        return difference(GRANTED, self.answers())

    def asked(self) -> Reachability:
        """For `passes` and `explain`."""
        return Reachability(self.sites(), self.points)


def difference(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Every answer of `after` that `before` has not, and "" for each that only `before` has."""
    found: dict[str, dict[str, str]] = {}
    for source in sorted({*before, *after}):
        for destination in sorted({*before.get(source, {}), *after.get(source, {})}):
            now = after.get(source, {}).get(destination, "")
            if before.get(source, {}).get(destination, "") != now:
                found.setdefault(source, {})[destination] = now
    return found


def one_prefix_at_both_sites() -> Texts:
    """The same grant where both networks are 192.168.122.0/24: known as 10.201.0.0/24 (ams) and 10.202.0.0/24 (nyc)."""
    real, ams, nyc = "192.168.122.0/24", "10.201.0.0/24", "10.202.0.0/24"
    own = f"--ctorigsrc {real} --ctorigdst {nyc}"
    points = {
        "nyc.virbr0": replace(POINTS[1], advertised=(ip_network(nyc),)),
        "ams.lan": replace(POINTS[3], prefixes=(ip_network(real),), advertised=(ip_network(ams),)),
    }
    texts = Texts(points=tuple(points.get(point.name, point) for point in POINTS))
    at_nyc = texts.nyc.rules_v4.replace(GRANT, f"--ctorigsrc {ams} --ctorigdst {nyc}")
    at_nyc = at_nyc.replace("-s 10.20.0.0/24", f"-s {ams}")
    at_nyc = at_nyc.replace(":WG0-PRE - [0:0]\n", f":WG0-PRE - [0:0]\n-A WG0-PRE -d {nyc} -j NETMAP --to {real}\n")
    at_ams = texts.ams.rules_v4.replace(GRANT, own)
    at_ams = at_ams.replace(f"-s {real} -j DROP", f"-s {nyc} -j DROP").replace("10.20.0.0/24", real)
    at_ams = at_ams.replace("-A WG0-POST", f"-A WG0-POST -s {real} -o wg0 -j NETMAP --to {ams}\n-A WG0-POST")
    return replace(
        texts,
        nyc=replace(texts.nyc, conf=texts.nyc.conf.replace("10.20.0.0/24", ams), rules_v4=at_nyc),
        ams=replace(texts.ams, conf=texts.ams.conf.replace(real, nyc), rules_v4=at_ams),
    )
