"""Changes of the texts that change nothing: told by what the lines say, not by what the code under test thinks."""

import re
from collections.abc import Iterator
from ipaddress import ip_network

from mesh.model import Mesh, Service
from tests.mesh.reachability import oracle
from tests.mesh.reachability.mutations import Mutation

LIKE_AN_ANSWER = "--tcp-flags FIN,SYN,RST,ACK SYN"
# Where one side is known by its endpoint, the other need not be; a side that is known need not be kept alive; a
# resolver is no part of the network.
_UNNEEDED = re.compile(r"(Endpoint|PersistentKeepalive|DNS) = ")
COMMENT = r' -m comment --comment "[^"]*"'
_GRANT = re.compile(
    r"-A (?P<chain>\S+) -m conntrack --ctstate \S+(?: --ctproto (?P<protocol>\d+))?"
    r" (?P<pair>--ctorigsrc \S+ --ctorigdst \S+)(?: --ctorigdstport (?P<first>\d+)(?::(?P<last>\d+))?)? -j ACCEPT"
)
_ONLY_DROPS = re.compile(r" -j (DROP|\S+-DST|\S+-SRC)$")


def needs_no_line(world: Mesh, mutation: Mutation) -> bool:
    """Whether nothing hangs on the line that was lost."""
    line = mutation.line
    if LIKE_AN_ANSWER in line:
        return not list(_granting(mutation, 32768, 65535))
    return bool(_UNNEEDED.match(line)) or _needs_no_echo(world, mutation)


def _needs_no_echo(world: Mesh, mutation: Mutation) -> bool:
    """An echo rule has no use where grants let ICMP pass from each gateway (or, of its replies, to each) as well."""
    kind = re.search(r"--icmp(?:v6)?-type (\d+)", mutation.line)
    if kind is None:
        return False
    here = world.site(mutation.site)
    requests = kind[1] in {"8", "128"}
    others = [each for each in world.sites if each is not here]
    return all(
        oracle.may(oracle.granted(world, *((other, here) if requests else (here, other))), "icmp", ping=False)
        for other in others
    )


def swaps_nothing(mutation: Mutation) -> bool:
    """Whether the two rules do the same to every packet in either order."""
    first, second = mutation.old
    targets = [rule.split(" -j ")[1].split()[0] for rule in mutation.old]
    if targets[0] == targets[1] or all(_ONLY_DROPS.search(rule) for rule in mutation.old):
        return True  # one verdict, whichever matches; networks that are mapped never overlap
    outgoing = [re.search(r" -o (\S+)", rule) for rule in mutation.old]
    if all(outgoing) and outgoing[0] and outgoing[1] and outgoing[0][1] != outgoing[1][1]:
        return True  # no packet matches both
    if LIKE_AN_ANSWER in first and second.endswith("-j ACCEPT"):
        return second not in _granting(mutation, 32768, 65535)
    return False


def widens_nothing(mutation: Mutation) -> bool:
    """Whether the other half of the wider prefix was in the text already, in the same place or in a broader one."""
    line, wider = mutation.old[0], mutation.new[0]
    old, new = next(pair for pair in zip(_words(line), _words(wider), strict=True) if pair[0] != pair[1])
    half = next(each for each in ip_network(new).subnets() if each != ip_network(old))
    if line.startswith("AllowedIPs"):
        return str(half) in _words(line)
    # iptables-save prints a prefix of one address bare where conntrack compares it.
    names = {str(half), str(half.network_address) if half.prefixlen == half.max_prefixlen else str(half)}
    others = {re.sub(COMMENT, "", line).replace(f" {old} ", f" {name} ") for name in names}
    rules = [re.sub(COMMENT, "", each) for each in mutation.before]
    return any(other in rules or any(_grants_more(rule, other) for rule in rules) for other in others)


def _grants_more(rule: str, than: str) -> bool:
    """Whether a rule accepts all that another one does, for the same two prefixes in the same chain."""
    here, there = _GRANT.fullmatch(rule), _GRANT.fullmatch(than)
    if here is None or there is None or here.group("chain", "pair") != there.group("chain", "pair"):
        return False
    return here["protocol"] is None or (here["protocol"] == there["protocol"] and _ports(here).contains(_ports(there)))


def moves_nothing(mutation: Mutation) -> bool:
    """Whether no grant has the port that a bound between the ports of servers and of clients moved over."""
    line, moved = mutation.old[0], mutation.new[0]
    if LIKE_AN_ANSWER not in line:
        return False
    bounds = [re.search(r"--sport (\d+):(\d+) --dport (\d+):(\d+)", each) for each in (line, moved)]
    (first, last, low, high), (new_first, new_last, new_low, new_high) = (
        map(int, found.groups()) for found in bounds if found
    )
    if (first, last) != (new_first, new_last):
        return not list(_granting(mutation, 32768, 65535))
    # A lower bound that goes up leaves out what it was, one that goes down takes in what it is.
    port = min(low, new_low) if low != new_low else max(high, new_high)
    return not list(_granting(mutation, port, port))


def has_no_such_link(world: Mesh, mutation: Mutation) -> bool:
    """Whether the MTU is that of an interface all of whose links have a lower one, before and after."""
    if not mutation.line.startswith("MTU = "):
        return False
    most = max(site.mtu for site in world.sites if site.name != mutation.site)
    return most < min(int(line.split(" = ")[1]) for line in (mutation.old[0], mutation.new[0]))


def _granting(mutation: Mutation, first: int, last: int) -> Iterator[str]:
    """The rules of the changed line's chain by which a packet can begin a TCP flow to one of the ports.

    In INPUT, no packet begins a flow that the gateway itself opens.
    """
    chain = mutation.line.split()[1]
    conf = mutation.texts[mutation.site].conf
    own = tuple(f"--ctorigsrc {address} " for address in re.findall(r"^Address = (\S+)/", conf, re.MULTILINE))
    for line in mutation.before:
        grant = _GRANT.fullmatch(re.sub(COMMENT, "", line))
        if grant is None or grant["chain"] != chain or grant["protocol"] not in {None, "6"}:
            continue
        ports = _ports(grant)
        if (
            ports.first <= last
            and first <= ports.last
            and not (chain.endswith("-IN") and grant["pair"].startswith(own))
        ):
            yield line


def _ports(grant: re.Match[str]) -> Service:
    return Service("tcp", int(grant["first"] or 0), int(grant["last"] or grant["first"] or 65535))


def _words(line: str) -> list[str]:
    return line.replace(",", " ").split()
