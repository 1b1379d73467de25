"""What the readers of the texts do not know, they refuse: an answer about it could be wrong."""

import pytest

from mesh.reachability import TextError
from tests.mesh.reachability.handwritten import GRANT, LIKE_AN_ANSWER, NYC, Texts

END = "-A WG0-IN -j DROP"
MSS = "-A WG0-MSS -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
PRE = ":WG0-PRE - [0:0]\n"
LOAD = "PreUp = /usr/local/sbin/wireguard-mesh load %i 0123456789abcdef\n"
ROUTE = "PostUp = ip -4 route replace 10.20.0.0/24 dev %i mtu 1412\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (END, "-A WG0-IN -m mark --mark 1 -j DROP", "unknown match 'mark'"),
        (END, "-A WG0-IN --length 22 -j DROP", "unknown option '--length'"),
        (END, "-A WG0-IN -p tcp --sport 1 --ctstate NEW -j DROP", "unknown combination of --sport 1, -p tcp"),
        (END, "-A WG0-IN --dport 22 -j DROP", "unknown protocol"),
        (END, "-A WG0-IN -j REJECT --reject-with tcp-reset", "unknown option '--reject-with'"),
        (END, "-A WG0-IN -j REJECT", "unknown target REJECT"),
        (END, "-A WG0-IN -j DROP -s 10.0.0.0/8", "unknown option '-s'"),
        (END, "-A WG0-IN -i wg+ -j DROP", "a pattern of interfaces"),
        (END, "-A WG0-IN -s fd00::/8 -j DROP", "of the other family"),
        (END, "-A WG0-IN", "no target"),
        (END, "-A WG0-IN -i", "unknown option '-i'"),
        (END, "-A FORWARD -j DROP", "not a rule at the end of a chain of this text"),
        (END, "-I WG0-IN -j DROP", "not a rule at the end of a chain of this text"),
        (END, "-A WG0-IN -p tcp -j DROP", "unknown combination of -p"),
        (END, "-A WG0-IN -s 10.0.0.0/8 -s 10.0.0.0/8 -j DROP", "repeated option -s"),
        (END, "-A WG0-IN ! -p tcp -m tcp --dport 22 -j DROP", "unknown negation of -p"),
        ("--icmp-type 8", "--icmp-type 13", "ICMP type 13 of IPv4 is not known here"),
        ("--icmp-type 8", "--icmp-type 256", "not a number up to 255: 256"),
        ("! --ctstate RELATED", "--ctstate INVALID", "unknown state in INVALID"),
        ("*nat", "*security", "unknown or repeated table"),
        ("*nat", "*raw", "unknown or repeated table"),
        ("COMMIT\n*nat", "*nat", "the one before is not committed"),
        (":WG0-PRE - [0:0]\n", ":FORWARD - [0:0]\n", "a chain that is not ours"),
        (":WG0-PRE - [0:0]\n", ":WG0-POST - [0:0]\n", "a chain that is not ours, or a repeated one"),
        (f"*mangle\n:WG0-MSS - [0:0]\n{MSS}\nCOMMIT\n", "", "no chain WG0-MSS in table mangle of IPv4"),
        (PRE, f"{PRE}:WG0-OLD - [0:0]\n", "nothing jumps to chain WG0-OLD in table nat of IPv4"),
        (PRE, f"{PRE}-A WG0-PRE -j NETMAP --to 10.0.0.0/8\n", "NETMAP of both addresses or of none"),
        (PRE, f"{PRE}-A WG0-PRE -d 10.1.0.0/16 -j NETMAP --to 10.0.0.0/8\n", "NETMAP to a prefix of another size"),
        (PRE, f"{PRE}-A WG0-PRE -d 10.1.0.0/16 -j NETMAP\n", "unknown options of target NETMAP"),
        (PRE, f"{PRE}-A WG0-PRE -d 10.1.0.0/16 -j ACCEPT --to 10.0.0.0/16\n", "unknown options of target ACCEPT"),
        (PRE, f"{PRE}-A WG0-PRE -d 10.1.0.0/16 -j DNAT --to 10.0.0.1\n", "unknown options of target DNAT"),
        (PRE, f"{PRE}-A WG0-PRE -m conntrack --ctstate NEW -j ACCEPT\n", "unknown match for NAT"),
        ("-A WG0-SRC -j DROP", "-A WG0-SRC -j WG0-FWD", "chain WG0-(FWD|SRC) leads back to itself"),
        ("-A WG0-RAW -s 10.20.0.0/24", "-A WG0-RAW --ctstate NEW", "before there is a flow or a route"),
        ("-A WG0-RAW -s 10.20.0.0/24", "-A WG0-RAW -o wg0 -s 10.20.0.0/24", "before there is a flow or a route"),
        ("-A WG0-RAW -s 10.20.0.0/24 -j DROP", "-A WG0-RAW -s 10.20.0.0/24 -j ACCEPT", "unknown target ACCEPT"),
        (MSS, MSS.replace("SYN,RST SYN", "SYN SYN"), "unknown combination of --tcp-flags SYN SYN"),
        (MSS, MSS.replace("--clamp-mss-to-pmtu", ""), "unknown options of target TCPMSS"),
        (MSS, "-A WG0-MSS -o wg0 -j TCPMSS --clamp-mss-to-pmtu", "not only packets that carry an MSS"),
        (LIKE_AN_ANSWER, LIKE_AN_ANSWER.replace("! --tcp-flags", "--tcp-flags"), "unknown combination of --dport"),
        (LIKE_AN_ANSWER, LIKE_AN_ANSWER.replace("ACK SYN", "ACK ACK"), "unknown combination of --dport"),
        (LIKE_AN_ANSWER, LIKE_AN_ANSWER.replace("--ctstate NEW ", "--ctstate NEW,ESTABLISHED "), "--ctstate NEW alone"),
        (LIKE_AN_ANSWER, LIKE_AN_ANSWER.replace("-m conntrack --ctstate NEW ", ""), "--ctstate NEW alone"),
        (LIKE_AN_ANSWER, "-A WG0-FWD -p tcp -m tcp --dport 22 -j DROP\n", "port of an answer is not known here"),
        (GRANT, f"--ctproto 47 {GRANT}", "unknown protocol 47"),
        (GRANT, f"--ctproto 1 {GRANT} --ctorigdstport 8", "unknown combination of --ctorigdstport 8, --ctproto 1"),
        (GRANT, f"--ctorigsrc 10.0.0.0/8 {GRANT}", "repeated option"),
        (LOAD, "", "the rules are loaded by PreUp, forwarding begins by PostUp and PostDown unloads: each once"),
        (LOAD, LOAD + LOAD, "each once"),
        (LOAD, LOAD.replace("0123456789abcdef", "fedcba9876543210"), "hooks for rules of different generations"),
        (LOAD, LOAD.replace("%i", "wg1"), "PreUp runs a command that is not known here"),
        (LOAD, LOAD.replace("PreUp", "PostUp"), "PostUp runs a command that is not known here"),
        (
            "PostDown = /usr/local/sbin/wireguard-mesh unload",
            "PostUp = iptables -F",
            "runs a command that is not known",
        ),
        (ROUTE, ROUTE.replace("-4", "-6"), "a route of another family or interface"),
        (ROUTE, ROUTE.replace("%i", "eth0"), "a route of another family or interface"),
        (ROUTE, ROUTE.replace("10.20", "10.21"), "route to 10.21.0.0/24, which is in no peer's AllowedIPs"),
        (ROUTE, ROUTE.replace("replace", "add"), "runs a command that is not known here"),
        (ROUTE, ROUTE.replace("PostUp", "PreUp"), "PreUp runs a command that is not known here"),
        (ROUTE, f"{ROUTE}PreUp =\n", "PreUp runs a command that is not known here"),
        ("PrivateKey = (private key)\n", "", r"no PrivateKey in \[Interface\]"),
        ("ListenPort = 51820\n", "", r"no ListenPort in \[Interface\]"),
        ("ListenPort = 51820\n", "ListenPort = 65536\n", "ListenPort is no number up to 65535: 65536"),
        ("MTU = 1420\n", "", r"no MTU in \[Interface\]"),
        ("MTU = 1420\n", "MTU = 0\n", "MTU is no number up to 65535: 0"),
        ("MTU = 1420\n", "Table = off\n", r"unknown key in \[Interface\]: Table"),
        ("[Interface]\n", "[Interfaces]\n", "unknown section"),
        ("PublicKey = (public key of ams)\n", "", "a peer without PublicKey"),
        ("PersistentKeepalive", "Keepalive", r"unknown key in \[Peer\]: Keepalive"),
        ("AllowedIPs = 10.99.0.2/32,", "AllowedIPs = nonsense,", "not an address or prefix: 'nonsense'"),
        ("AllowedIPs = 10.99.0.2/32, 10.20.0.0/24\n", "AllowedIPs\n", "not a line of a wg-quick file: 'AllowedIPs'"),
        (" 10.20.0.0/24\n", " 10.20.0.0/24, 192.168.122.0/24\n", "is a network of its own; wg-quick fails on it"),
    ],
)
def test_what_is_not_understood_is_refused_rather_than_ignored(old: str, new: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        Texts().edit(NYC, old, new).answers()


def test_a_peer_that_has_two_sections_is_refused() -> None:
    twice = "\n# ams\n[Peer]\nPublicKey = (public key of ams)\nAllowedIPs = 10.22.0.0/24\n\n# ams\n"
    with pytest.raises(TextError, match="nyc: two peer sections are ams's"):
        Texts().edit(NYC, "\n# ams\n", twice).answers()


@pytest.mark.parametrize("mtu", [1279, 1280])
def test_an_mtu_that_ipv6_does_not_work_with_is_refused(mtu: int) -> None:
    texts = Texts().edit(NYC, "MTU = 1420", f"MTU = {mtu}").edit(NYC, "10.99.0.1/32\n", "10.99.0.1/32, fd99::1/128\n")
    if mtu >= 1280:
        assert "ams.lan" in texts.answers()
    else:
        with pytest.raises(TextError, match="MTU 1279: IPv6 needs 1280"):
            texts.answers()
