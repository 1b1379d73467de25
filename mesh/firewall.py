"""A site's firewall plan as text for iptables-restore, each rule in the form in which iptables-save prints it."""

from collections.abc import Iterable
from functools import lru_cache

from mesh.model import Family, IPNetwork, Service
from mesh.plan import FirewallPlan, Flow, Masquerade

# iptables-save prints the match's protocol as a number and its host addresses bare (iptables 1.8.9, libxt_conntrack).
_PROTOCOLS: dict[tuple[str, Family], int] = {
    ("tcp", 4): 6,
    ("tcp", 6): 6,
    ("udp", 4): 17,
    ("udp", 6): 17,
    ("icmp", 4): 1,
    ("icmp", 6): 58,
}
_ECHO: dict[Family, tuple[str, str]] = {
    4: ("-p icmp -m icmp --icmp-type 8", "-p icmp -m icmp --icmp-type 0"),
    6: ("-p ipv6-icmp -m icmp6 --icmpv6-type 128", "-p ipv6-icmp -m icmp6 --icmpv6-type 129"),
}
# What the comment match holds (xt_comment.h: 256 bytes with the closing zero).
_COMMENT = 255
_CLAMP = "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
# The first port that clients open flows from.
_CLIENTS = 32768
_LIKE_AN_ANSWER = (
    f"-p tcp -m conntrack --ctstate NEW -m tcp --sport 0:{_CLIENTS - 1} --dport {_CLIENTS}:65535"
    " ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"
)


def chain(interface: str, role: str) -> str:
    """The name of our chain of that role, such as `WG0-FWD` for wg0.

    An interface's name has 15 characters at most, a chain's 28: nothing is shortened.
    """
    return f"{interface.upper()}-{role}"


def render(plan: FirewallPlan, family: Family) -> str:
    """The chains of one family, for `iptables-restore --noflush`, which replaces them as a whole.

    A flow is one rule on its opener's tuple, and conntrack's state decides nothing else: replies and ICMP errors have
    that tuple as well, while a packet of a flow that was opened from the other side, or that is taken for one after the
    state was lost, never has. Every chain of the filter table ends by dropping, so a family without any flow is closed.
    """
    forward = [flow for flow in plan.forward if flow.source.version == family]
    own = [flow for flow in plan.input if flow.source.version == family]
    lan = [(interface, cidr) for interface, cidr in plan.lan if cidr.version == family]
    return "".join(
        (
            _table("raw", {"RAW": _raw(plan, family)}, plan.interface),
            _table("mangle", {"MSS": [_CLAMP] if any(map(_has_tcp, forward)) else []}, plan.interface),
            _table("nat", {"POST": _post(plan, family), "PRE": _pre(plan, family)}, plan.interface),
            _table(
                "filter",
                {
                    "DST": [*(f"-d {cidr} -o {interface} -j RETURN" for interface, cidr in lan), "-j DROP"],
                    "FWD": [*_sides(plan.interface), *_guard(forward), *_accepts(forward, family), "-j DROP"],
                    "IN": [*_guard(own), *_echo(plan, family), *_accepts(own, family), "-j DROP"],
                    "PORT": [f"-p udp -m udp --dport {plan.listen_port} -j ACCEPT"],
                    "SRC": [*(f"-s {cidr} -i {interface} -j RETURN" for interface, cidr in lan), "-j DROP"],
                },
                plan.interface,
            ),
        )
    )


def _table(name: str, chains: dict[str, list[str]], interface: str) -> str:
    heads = [f":{chain(interface, role)} - [0:0]" for role in chains]
    rules = [f"-A {chain(interface, role)} {rule}" for role, body in chains.items() for rule in body]
    return "\n".join([f"*{name}", *heads, *rules, "COMMIT", ""])


def _raw(plan: FirewallPlan, family: Family) -> list[str]:
    """What comes from a prefix of other sites by any way but the tunnel is forged: dropped before it has a flow."""
    forged = [f"-s {prefix} -j DROP" for prefix in plan.remote if prefix.version == family]
    # The gateway speaks to its own tunnel address by the loopback interface.
    return ["-i lo -j RETURN", *forged] if forged else []


def _pre(plan: FirewallPlan, family: Family) -> list[str]:
    return [f"-d {shown} -j NETMAP --to {real}" for shown, real in plan.netmap_in if real.version == family]


def _post(plan: FirewallPlan, family: Family) -> list[str]:
    return [
        *(
            f"-s {real} -o {plan.interface} -j NETMAP --to {shown}"
            for real, shown in plan.netmap_out
            if real.version == family
        ),
        # No NAT of the host's own, such as libvirt's MASQUERADE, for what enters the tunnel: nobody granted its result.
        f"-o {plan.interface} -j ACCEPT",
        *(_masquerade(entry) for entry in plan.masquerade if entry.source.version == family),
    ]


def _sides(interface: str) -> list[str]:
    """What leaves the tunnel goes to a network of ours by its interface; what enters comes from one, by its own."""
    upper = interface.upper()
    return [
        f"-i {interface} -j {upper}-DST",
        # An ICMP error may come from any router on the way, so its source proves nothing; its tuple is checked below.
        f"-o {interface} -m conntrack ! --ctstate RELATED -j {upper}-SRC",
    ]


def _guard(flows: Iterable[Flow]) -> list[str]:
    """Drops what looks like a server's answer to a flow that conntrack does not know, where a grant could let it pass.

    A TCP packet that opens nothing, and that conntrack knows no flow for, begins one in its own direction when the
    state was lost. From a server's port to a client's (Linux takes 32768 and up, ip-sysctl(7)) it would turn a flow
    around, which then lives and dies with the wrong direction's grant, also one that is revoked later. A client's
    packets pick up the flows that are granted.
    """
    return [_LIKE_AN_ANSWER] if any(map(_reaches_clients, flows)) else []


def _has_tcp(flow: Flow) -> bool:
    return flow.service is None or flow.service.protocol == "tcp"


def _reaches_clients(flow: Flow) -> bool:
    return flow.service is None or (flow.service.protocol == "tcp" and flow.service.last >= _CLIENTS)


def _accepts(flows: Iterable[Flow], family: Family) -> list[str]:
    return [_accept(flow, family) for flow in flows]


def _accept(flow: Flow, family: Family) -> str:
    protocol, ports = _service(flow.service, family)
    return (
        f"-m conntrack --ctstate NEW,RELATED,ESTABLISHED{protocol}"
        f" --ctorigsrc {_bare(flow.source)} --ctorigdst {_bare(flow.destination)}{ports}"
        f"{_comment(flow.reason)} -j ACCEPT"
    )


def _service(service: Service | None, family: Family) -> tuple[str, str]:
    if service is None:
        return "", ""
    protocol = f" --ctproto {_PROTOCOLS[service.protocol, family]}"
    if service.protocol == "icmp" or (service.first, service.last) == (0, 65535):
        return protocol, ""
    ports = f"{service.first}" if service.first == service.last else f"{service.first}:{service.last}"
    return protocol, f" --ctorigdstport {ports}"


def _echo(plan: FirewallPlan, family: Family) -> list[str]:
    """Echo between the tunnel's own addresses always passes, for diagnosis; here both the requests and the replies."""
    return [
        f"-s {tunnel} -d {address} {kind} -j ACCEPT"
        for address in plan.addresses
        for tunnel in plan.tunnel
        if address.version == tunnel.version == family
        for kind in _ECHO[family]
    ]


def _masquerade(entry: Masquerade) -> str:
    # The nat table sees a flow's first packet only, and that has the opener's addresses: no other flow matches.
    return f"-s {entry.source} -d {entry.destination} -o {entry.interface}{_comment(entry.reason)} -j MASQUERADE"


@lru_cache(maxsize=4096)
def _bare(prefix: IPNetwork) -> str:
    return str(prefix.network_address) if prefix.prefixlen == prefix.max_prefixlen else str(prefix)


def _comment(reason: str) -> str:
    return f' -m comment --comment "{reason[:_COMMENT]}"'
