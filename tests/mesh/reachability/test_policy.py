"""Policy, texts and reachability say the same thing, for random meshes; and each line of the texts is needed for it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import combinations, permutations
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings

from mesh import firewall, wgconf
from mesh.model import Grant, Mesh, Network, Party, Service, Site, SiteName
from mesh.plan import plan
from mesh.reachability import SiteTexts, points, reachability
from tests.mesh.meshes import mesh, meshes, network, site

TABLE = dict[str, dict[str, str]]
TEXTS = dict[SiteName, SiteTexts]


def rendered(world: Mesh) -> TEXTS:
    return {
        name: SiteTexts(
            conf=wgconf.render_without_keys(one, "0123456789abcdef"),
            rules_v4=firewall.render(one.firewall, 4),
            rules_v6=firewall.render(one.firewall, 6),
            interface=world.interface,
        )
        for name, one in plan(world).items()
    }


def policy(world: Mesh) -> TABLE:
    """The plainest reading of the grants: what each ordered pair of parties of different sites may open."""
    networks = [each for one in world.sites for each in one.networks]
    parties: list[Party] = [*world.sites, *networks]
    table: TABLE = {}
    for source, destination in permutations(parties, 2):
        families = versions(source) & opened_versions(destination)
        granted = [grant for grant in world.access if source in grant.sources and destination in grant.destinations]
        words = in_words(granted, pinged=isinstance(source, Site) and isinstance(destination, Site))
        if home(source) != home(destination) and families and words:
            table.setdefault(str(source), {})[str(destination)] = words
    return table


def home(party: Party) -> str:
    return party.site if isinstance(party, Network) else party.name


def versions(party: Party) -> set[int]:
    return {each.version for each in (party.cidrs if isinstance(party, Network) else party.addresses)}


def opened_versions(party: Party) -> set[int]:
    """A gateway is open at its addresses in its networks, too."""
    return versions(party).union(*(versions(each) for each in (party.networks if isinstance(party, Site) else ())))


def any_overlap(world: Mesh) -> bool:
    cidrs = [cidr for one in world.sites for each in one.networks for cidr in each.cidrs]
    return any(one.version == other.version and one.overlaps(other) for one, other in combinations(cidrs, 2))


def in_words(granted: list[Grant], *, pinged: bool) -> str:
    if any(not grant.services for grant in granted):
        return "all"
    services = [service for grant in granted for service in grant.services]
    icmp = ["icmp"] if Service("icmp") in services else ["ping"] * pinged
    return ", ".join(icmp + [words for protocol in ("tcp", "udp") for words in ranges(protocol, services)])


def ranges(protocol: str, services: list[Service]) -> Iterator[str]:
    open_ports = {
        port for service in services if service.protocol == protocol for port in range(service.first, service.last + 1)
    }
    last = -1
    for first in sorted(open_ports):
        if first > last:
            last = first
            while last + 1 in open_ports:
                last += 1
            yield f"{protocol}/{first}" if first == last else f"{protocol}/{first}-{last}"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(meshes())
def test_the_texts_open_what_the_grants_say_and_nothing_else(world: Mesh) -> None:
    assume(not any_overlap(world))  # a config with such networks is refused
    assert reachability(rendered(world), points(world)) == policy(world)


def test_reachability_shares_no_code_with_the_plan() -> None:
    pending, seen = ["mesh.reachability"], set[str]()
    while pending:
        name = pending.pop()
        seen.add(name)
        text = Path(import_module(name).__file__ or "").read_text()
        pending += [
            found for found in re.findall(r"^(?:from|import) (mesh[.\w]+)", text, re.MULTILINE) if found not in seen
        ]
    own = {f"mesh.reachability.{name}" for name in ("boundaries", "flow", "gateway", "ruletext", "textnet")}
    assert seen == {"mesh.reachability", "mesh.model"} | own


def sample() -> Mesh:
    """Each kind of rule in both families: one way, two ways, to and from a gateway, by service, masqueraded or not."""
    return mesh(
        site(
            "nyc",
            ["10.99.0.1", "fd99::1"],
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True),
            endpoint="a",
        ),
        site("ams", ["10.99.0.2", "fd99::2"], network("lan", "10.20.0.0/24", "fd20::/64"), endpoint="b"),
        site("sfo", ["10.99.0.3", "fd99::3"], network("lan", "10.30.0.0/24", "fd30::/64"), endpoint="c"),
        site("fra", ["10.99.0.4", "fd99::4"], network("lan", "10.40.0.0/24", "fd40::/64"), endpoint="d"),
        tunnel=["10.99.0.0/24", "fd99::/64"],
        access=[
            ("ams.lan sfo.lan", "nyc.virbr0", ""),
            ("sfo.lan", "ams.lan", "tcp/443 udp/8000-8100 icmp"),
            ("fra", "ams.lan", "tcp/22"),
            ("nyc.virbr0", "fra", ""),
            ("fra.lan", "sfo.lan", "udp/53"),
        ],
    )


def without(texts: TEXTS, name: SiteName, field: str, start: int, end: int) -> TEXTS:
    """The texts without one stretch of one of them."""
    text = getattr(texts[name], field)
    return texts | {name: replace(texts[name], **{field: text[:start] + text[end:]})}


def stretches(texts: TEXTS, pattern: str, *fields: str) -> Iterator[tuple[str, TEXTS]]:
    """Each stretch that matches, and the texts without it."""
    for name, one in texts.items():
        for field in fields:
            for match in re.finditer(pattern, getattr(one, field), re.MULTILINE):
                yield f"{name}, {field}: {match[0].strip()}", without(texts, name, field, match.start(), match.end())


def unnoticed(world: Mesh, pattern: str, *fields: str) -> tuple[int, list[str]]:
    """How many stretches match, and those whose loss leaves the answer as it is."""
    texts = rendered(world)
    whole = reachability(texts, points(world))
    tried = list(stretches(texts, pattern, *fields))
    return len(tried), [lost for lost, rest in tried if reachability(rest, points(world)) == whole]


def test_the_sample_opens_what_its_grants_say() -> None:
    assert reachability(rendered(sample()), points(sample())) == policy(sample())


def test_the_loss_of_any_rule_is_noticed() -> None:
    # No flow can be opened with an INVALID packet; those rules keep such packets from escaping NAT.
    tried, kept = unnoticed(sample(), r"^-A (?!.*INVALID).*\n", "rules_v4", "rules_v6")
    assert tried > 80
    assert kept == []


def test_the_loss_of_any_prefix_in_allowed_ips_is_noticed() -> None:
    first, first_kept = unnoticed(sample(), r"(?<=AllowedIPs = )[^,\n]+, ", "conf")
    later, later_kept = unnoticed(sample(), r", [^,\n]+(?=[,\n])", "conf")
    assert first == 4 * 3
    assert later > 4 * 3 + 12
    assert first_kept + later_kept == []


def test_the_loss_of_an_address_or_of_a_peer_is_noticed() -> None:
    tried, kept = unnoticed(sample(), r"^Address = .*\n|^# \w+\n\[Peer\]\n(?:.+\n)+", "conf")
    assert tried == 4 * 2 + 4 * 3
    assert kept == []


def test_a_rule_that_moves_behind_the_end_of_its_chain_is_noticed() -> None:
    world = sample()
    texts = rendered(world)
    whole = reachability(texts, points(world))
    moved = 0
    for name, one in texts.items():
        for field in ("rules_v4", "rules_v6"):
            text = getattr(one, field)
            for rule in re.findall(r"^-A WG0-(?:FWD|IN|SRC) .*-j (?:ACCEPT|RETURN)\n", text, re.MULTILINE):
                later = text.replace(rule, "").replace("COMMIT\n*nat", f"{rule}COMMIT\n*nat")
                assert reachability(texts | {name: replace(one, **{field: later})}, points(world)) != whole, rule
                moved += 1
    assert moved > 40


def test_a_prefix_of_one_rule_that_is_halved_is_noticed() -> None:
    world = sample()
    texts = rendered(world)
    whole = reachability(texts, points(world))
    halved = 0
    for name, one in texts.items():
        for match in re.finditer(r"(?<=\.0/)24(?=.*-j (?:ACCEPT|RETURN|MASQUERADE))", one.rules_v4):
            # The tunnel's own prefix has no gateway in its upper half, so that its loss there is none.
            if "icmp" in one.rules_v4[match.start() :].partition("\n")[0]:
                continue
            narrower = one.rules_v4[: match.start()] + "25" + one.rules_v4[match.end() :]
            assert reachability(texts | {name: replace(one, rules_v4=narrower)}, points(world)) != whole, match
            halved += 1
    assert halved > 20
