"""A site's firewall plan as text for iptables-restore, each rule in the form in which iptables-save prints it."""

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


def chain(interface: str, role: str) -> str:
    """The name of our chain of that role: `WG0-FWD`, `WG0-IN`, `WG0-SRC`, `WG0-PRE` or `WG0-POST` for wg0.

    An interface's name has 15 characters at most, a chain's 28.
    """
    return f"{interface.upper()}-{role}"


def render(plan: FirewallPlan, family: Family) -> str:
    """The filter and nat chains of one family, for `iptables-restore --noflush`, which replaces them as a whole.

    A flow is one rule on its opener's tuple, and conntrack's state decides nothing else: replies and ICMP errors have
    that tuple as well, while a packet of a flow that was opened from the other side, or that is taken for one after the
    state was lost, never has. Every chain ends by dropping, so a family without any flow is closed.
    """
    forward, own, sources = (chain(plan.interface, role) for role in ("FWD", "IN", "SRC"))
    before, after = (chain(plan.interface, role) for role in ("PRE", "POST"))
    lines = [
        "*filter",
        f":{forward} - [0:0]",
        f":{own} - [0:0]",
        f":{sources} - [0:0]",
        # Invalid packets escape NAT, and would leave with addresses that nobody granted.
        f"-A {forward} -m conntrack --ctstate INVALID -j DROP",
        # An ICMP error may come from any router on the way, so its source proves nothing; its tuple is checked below.
        f"-A {forward} -o {plan.interface} -m conntrack ! --ctstate RELATED -j {sources}",
        *(_accept(forward, flow, family) for flow in plan.forward if flow.source.version == family),
        f"-A {forward} -j DROP",
        f"-A {own} -m conntrack --ctstate INVALID -j DROP",
        *_echo(own, plan, family),
        *(_accept(own, flow, family) for flow in plan.input if flow.source.version == family),
        f"-A {own} -j DROP",
        *(f"-A {sources} -s {cidr} -i {interface} -j RETURN" for interface, cidr in plan.lan if cidr.version == family),
        f"-A {sources} -j DROP",
        "COMMIT",
        "*nat",
        f":{after} - [0:0]",
        f":{before} - [0:0]",
        *(_masquerade(after, entry) for entry in plan.masquerade if entry.source.version == family),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def _accept(name: str, flow: Flow, family: Family) -> str:
    protocol, ports = _service(flow.service, family)
    return (
        f"-A {name} -m conntrack --ctstate NEW,RELATED,ESTABLISHED{protocol}"
        f" --ctorigsrc {_bare(flow.source)} --ctorigdst {_bare(flow.destination)}{ports}"
        f"{_comment(flow.reason)} -j ACCEPT"
    )


def _service(service: Service | None, family: Family) -> tuple[str, str]:
    if service is None:
        return "", ""
    protocol = f" --ctproto {_PROTOCOLS[service.protocol, family]}"
    if service.protocol == "icmp":
        return protocol, ""
    ports = f"{service.first}" if service.first == service.last else f"{service.first}:{service.last}"
    return protocol, f" --ctorigdstport {ports}"


def _echo(name: str, plan: FirewallPlan, family: Family) -> list[str]:
    """Echo between the tunnel's own addresses always passes, for diagnosis; here both the requests and the replies."""
    return [
        f"-A {name} -s {tunnel} -d {address} {kind} -j ACCEPT"
        for address in plan.addresses
        for tunnel in plan.tunnel
        if address.version == tunnel.version == family
        for kind in _ECHO[family]
    ]


def _masquerade(name: str, entry: Masquerade) -> str:
    # The nat table sees a flow's first packet only, and that has the opener's addresses: no other flow matches.
    return (
        f"-A {name} -s {entry.source} -d {entry.destination} -o {entry.interface}{_comment(entry.reason)} -j MASQUERADE"
    )


@lru_cache(maxsize=4096)
def _bare(prefix: IPNetwork) -> str:
    return str(prefix.network_address) if prefix.prefixlen == prefix.max_prefixlen else str(prefix)


def _comment(reason: str) -> str:
    return f' -m comment --comment "{reason[:_COMMENT]}"'
