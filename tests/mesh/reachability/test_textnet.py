"""What the readers of the texts do not know, they refuse: an answer about it could be wrong."""

import pytest

from mesh.reachability.textnet import TextError
from tests.mesh.reachability.handwritten import NYC, Texts


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-A WG0-IN -j DROP", "-A WG0-IN -m mark --mark 1 -j DROP", "unknown match 'mark'"),
        ("-A WG0-IN -j DROP", "-A WG0-IN --dport 22 -j DROP", "unknown option '--dport'"),
        ("-A WG0-IN -j DROP", "-A WG0-IN -j REJECT --reject-with tcp-reset", "unknown option '--reject-with'"),
        ("-A WG0-IN -j DROP", "-A WG0-IN -j REJECT", "unknown target REJECT"),
        ("-A WG0-IN -j DROP", "-A WG0-IN -i wg+ -j DROP", "a pattern of interfaces"),
        ("-A WG0-IN -j DROP", "-A WG0-IN -s fd00::/8 -j DROP", "of the other family"),
        ("-A WG0-IN -j DROP", "-A WG0-IN", "no target"),
        ("-A WG0-IN -j DROP", "-A FORWARD -j DROP", "not a rule at the end of a chain of this text"),
        ("-A WG0-IN -j DROP", "-A WG0-IN -p tcp -j DROP", "unknown combination of -p"),
        ("--icmp-type 8", "--icmp-type 13", "ICMP type 13 of IPv4 is not known here"),
        ("--ctstate INVALID", "--ctstate SNAT", "unknown state in SNAT"),
        ("*nat", "*mangle", "unknown or repeated table"),
        (":WG0-PRE", ":FORWARD", "a chain that is not ours"),
        (":WG0-PRE - [0:0]\n", ":WG0-PRE - [0:0]\n-A WG0-PRE -j NETMAP --to 10.0.0.0/8\n", "unknown option '--to'"),
        (":WG0-POST - [0:0]\n", "", "no chain WG0-POST in table nat of IPv4"),
        ("PreUp = /usr/local/sbin/wireguard-mesh load %i 0123456789abcdef\n", "", "no PreUp loads the rules"),
        (
            "PostDown = /usr/local/sbin/wireguard-mesh unload",
            "PostUp = iptables -F",
            "runs a command that is not known",
        ),
        ("MTU = 1420", "Table = off", r"unknown key in \[Interface\]: Table"),
        ("AllowedIPs = 10.99.0.2/32,", "AllowedIPs = nonsense,", "not an address or prefix: 'nonsense'"),
        ("10.20.0.0/24\n", "192.168.122.0/24\n", "is a network of its own; wg-quick fails on it"),
    ],
)
def test_what_is_not_understood_is_refused_rather_than_ignored(old: str, new: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        Texts().edit(NYC, old, new).answers()
