"""Rule sets of others, for the helper's tests: in iptables, where ours come first, and in nftables' own tables."""

from mesh.bundle import Bundle
from tests.host.observe import traces
from tests.host.scratch import Host

LACKING = 69

# As Docker, ufw and people leave them: chains, policies, rules before and after where ours go, all tables.
_FOREIGN = """
*filter
:INPUT ACCEPT
:FORWARD DROP
:DOCKER -
:ufw-user -
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "way in, -j WG" -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -j ufw-user
-A DOCKER -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
*nat
:DOCKER -
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
*mangle
-A PREROUTING -i eth9 -j MARK --set-xmark 0x1/0xffffffff
-A FORWARD -o ppp0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400
COMMIT
*raw
-A PREROUTING -i eth9 -p udp -m udp --dport 53 -j CT --notrack
-A PREROUTING ! -i eth9 -p udp -m udp --dport 54 -j CT --notrack
COMMIT
"""
FOREIGN = {
    "iptables-restore": _FOREIGN,
    "ip6tables-restore": _FOREIGN.replace("172.17.0.2/32", "fd17::2/128").replace("172.17.0.0/16", "fd17::/64"),
}

# In the structure of firewalld 1.3 (src/firewall/core/nftables.py, build_default_rules and the zones' and policies'
# chains), one zone alone: what a fresh installation has, with an interface of its own in no zone.
_FIREWALLD = """
table inet firewalld {{
	chain filter_IN_public_allow {{
		tcp dport 22 accept
		ip6 daddr fe80::/64 udp dport 546 accept
		{port}
	}}
	chain filter_IN_public {{
		jump filter_IN_public_allow
		meta l4proto {{ icmp, ipv6-icmp }} accept
		reject with icmpx admin-prohibited
	}}
	chain filter_IN_mesh {{ accept; }}
	chain filter_INPUT_ZONES {{
		{into}
		goto filter_IN_public
	}}
	chain filter_INPUT {{
		type filter hook input priority filter + 10; policy accept;
		ct state {{ established, related }} accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_INPUT_ZONES
		reject with icmpx admin-prohibited
	}}
	chain filter_FWD_public {{ reject with icmpx admin-prohibited; }}
	chain filter_FWD_mesh {{ accept; }}
	chain filter_FWD_policy_mesh-out {{ accept; }}
	chain filter_FORWARD_POLICIES_pre {{
		{out}
	}}
	chain filter_FORWARD_ZONES {{
		{through}
		goto filter_FWD_public
	}}
	chain filter_FORWARD {{
		type filter hook forward priority filter + 10; policy accept;
		ct state {{ established, related }} accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		ip6 daddr {{ ::/96, 2002::/24 }} reject with icmpv6 addr-unreachable
		jump filter_FORWARD_POLICIES_pre
		jump filter_FORWARD_ZONES
		reject with icmpx admin-prohibited
	}}
}}
"""
_ZONE = {
    "into": 'iifname "wg0" goto filter_IN_mesh',
    "through": 'iifname "wg0" goto filter_FWD_mesh',
    "out": 'oifname "wg0" jump filter_FWD_policy_mesh-out',
}
_PORT = {"port": "udp dport 51820 accept"}
_NOTHING = dict.fromkeys(("port", "into", "through", "out"), "")
FIREWALLD = _FIREWALLD.format(**_NOTHING)
FIREWALLD_WITH_THE_ZONE = _FIREWALLD.format(**{**_NOTHING, **_ZONE})
FIREWALLD_WITH_THE_PORT = _FIREWALLD.format(**{**_NOTHING, **_PORT})
FIREWALLD_WITH_BOTH = _FIREWALLD.format(**_ZONE, **_PORT)

# libvirt (src/network/network_nftables.c): a network with NAT on virbr0. Its chains name the interface by its index.
LIBVIRT = """
table ip libvirt_network {
	chain forward {
		type filter hook forward priority filter; policy accept;
		counter jump guest_cross
		counter jump guest_input
		counter jump guest_output
	}
	chain guest_output {
		ip saddr 192.168.122.0/24 iif "virbr0" counter accept
		iif "virbr0" counter reject
	}
	chain guest_input {
		oif "virbr0" ip daddr 192.168.122.0/24 ct state established,related counter accept
		oif "virbr0" counter reject
	}
	chain guest_cross { iif "virbr0" oif "virbr0" counter accept; }
	chain guest_nat {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 192.168.122.0/24 ip daddr 224.0.0.0/24 counter return
		ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 counter masquerade
	}
}
"""

# The same where guests are routed to without NAT: what is new may go to them as well.
LIBVIRT_ROUTED = LIBVIRT.replace("ct state established,related ", "")

# Docker 29 with its nftables backend (daemon/libnetwork/drivers/bridge/internal/nftabler of moby).
DOCKER = """
table ip docker-bridges {
	map filter-forward-in-jumps {
		type ifname : verdict
		elements = { "docker0" : jump filter-forward-in__docker0, "br-1" : jump filter-forward-in__docker0 }
	}
	chain filter-forward-in__docker0 {
		ct state established,related counter accept
		iifname "docker0" counter accept comment "ICC"
		counter drop comment "UNPUBLISHED PORT DROP"
	}
	chain filter-FORWARD {
		type filter hook forward priority filter; policy accept;
		oifname vmap @filter-forward-in-jumps
	}
}
"""

# fail2ban (config/action.d/nftables.conf): addresses that it banned, for one service or for all.
FAIL2BAN = """
table inet f2b-table {
	set addr-set-sshd { type ipv4_addr; flags interval; elements = { 192.0.2.4, 192.0.2.9 } }
	set addr-set-recidive { type ipv4_addr; flags interval; elements = { 192.0.2.4 } }
	chain f2b-chain {
		type filter hook input priority filter - 1; policy accept;
		tcp dport { 22 } ip saddr @addr-set-sshd reject with icmp port-unreachable
		meta l4proto { tcp, udp } ip saddr @addr-set-recidive reject
	}
}
"""


# Podman's netavark (src/firewall/nft.rs): networks kept apart from one another.
NETAVARK = """
table inet netavark {
	chain INPUT {
		type filter hook input priority filter; policy accept;
		ip saddr 10.88.0.0/16 meta l4proto { tcp, udp } th dport 53 accept
	}
	chain FORWARD {
		type filter hook forward priority filter; policy accept;
		ct state invalid drop
		jump NETAVARK-ISOLATION-1
		ip daddr 10.88.0.0/16 ct state established,related accept
		ip saddr 10.88.0.0/16 accept
	}
	chain NETAVARK-ISOLATION-3 {
		oifname "podman0" drop
		jump NETAVARK-ISOLATION-2
	}
	chain NETAVARK-ISOLATION-2 { oifname "podman1" drop; }
	chain NETAVARK-ISOLATION-1 { iifname "podman0" oifname != "podman0" jump NETAVARK-ISOLATION-2; }
}
"""

# kube-proxy in its nftables mode (pkg/proxy/nftables/proxier.go): services without endpoints, and unknown ones.
KUBE_PROXY = """
table ip kube-proxy {
	set cluster-ips { type ipv4_addr; elements = { 10.96.0.1 } }
	map no-endpoint-services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.9 . tcp . 80 : goto reject-chain }
	}
	chain reject-chain { reject; }
	chain cluster-ips-check {
		ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
		ip daddr 10.96.0.0/12 drop comment "Drop traffic to unallocated ClusterIPs"
	}
	chain service-endpoints-check {
		ip daddr . meta l4proto . th dport vmap @no-endpoint-services
	}
	chain firewall-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
	chain filter-input {
		type filter hook input priority -110; policy accept;
		ct state new jump service-endpoints-check
	}
	chain filter-forward {
		type filter hook forward priority -110; policy accept;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
}
"""


def chain(
    hook: str,
    rules: str,
    policy: str = "accept",
    *,
    name: str = "theirs",
    table: str = "inet filter",
    links: str = '"eth9"',
    ports: str = "53",
    comment: str = "theirs",
) -> str:
    """A chain of a firewall that somebody wrote by hand, for the type `filter`."""
    return f"""
table {table} {{
	set ports {{ type inet_service; flags interval; elements = {{ {ports} }} }}
	set banned {{ type ipv4_addr; elements = {{ 192.0.2.4 }} }}
	set links {{ type ifname; elements = {{ {links} }} }}
	chain closed {{ counter log prefix "closed: " drop; }}
	chain opened {{ udp dport {{ 5353, {ports} }} accept; }}
	chain through {{ counter accept; }}
	chain {name} {{
		comment "{comment}"
		type filter hook {hook} priority filter; policy {policy};
		{rules}
	}}
}}
"""


def load(host: Host, ruleset: str) -> None:
    """Adds the rule set to what the host has."""
    host.needs("nft")
    host.run("nft", "-f", "-", stdin=ruleset)


def refused(host: Host, bundle: Bundle) -> str:
    """What the host says to the bundle, on one line; it is left as it was."""
    host.answer("rollback")  # leaves its lock
    before = _everything(host)
    done = host.helper("apply", stdin=bundle.text)
    assert (done.returncode, done.stdout) == (LACKING, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert _everything(host) == before
    return done.stderr


def _everything(host: Host) -> tuple[str, str]:
    return traces(host), host.run("nft", "-s", "list", "ruleset")
