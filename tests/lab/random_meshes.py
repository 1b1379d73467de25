"""Random environments for the lab, valid by construction: the sections of a stack config, and no code of mesh/."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMyRTpaEPZQG2yDxVGQHr6gM6jPj5zYh3ZyQxS1XQ0b"

# Of one protocol; those of one grant and of another may touch, overlap and contain each other. "" is every port.
_PORTS = (
    ["443"],
    ["22", "8000-8100"],
    ["80", "82-89"],
    ["1-1023"],
    ["1", "60000-65535"],
    ["7008"],
    ["32767-32769"],
    [""],
)


@dataclass(slots=True)
class _Draft:
    """An environment in the making. `parties`: each one's site, and the families in which it opens and is reached."""

    random: Random
    sites: dict[str, dict[str, Any]] = field(default_factory=dict)
    parties: dict[str, tuple[str, set[int], set[int]]] = field(default_factory=dict)
    networks: int = 0


def random_config(seed: int) -> dict[str, Any]:
    """3 to 5 sites with up to 3 networks each, of any family, many with a prefix that others have too; and grants.

    Two sites have the same IPv4 prefix in every mesh, and the first grant is of one TCP port at least. The same seed
    gives the same environment.
    """
    draft = _Draft(Random(seed))
    random = draft.random
    tunnels = {4: "10.99.0.0/24", 6: "fd99::/64"}
    families = random.choice([[4], [4, 6], [6, 4], [6]])
    names = random.sample(["ams", "fra", "nyc", "sfo", "use1", "sgp-2"], random.randint(3, 5))
    for number, name in enumerate(names, 1):
        _add_site(draft, name, number, families)
    return {
        "mesh": {"tunnel": [tunnels[family] for family in families], "persistent_keepalive": random.choice([0, 25])},
        "sites": draft.sites,
        "access": [
            {**_grant(draft), "ports": _ports(random, ["tcp"])},
            *(_grant(draft) for _ in range(random.randint(1, 6))),
        ],
    }


def _add_site(draft: _Draft, name: str, number: int, families: list[int]) -> None:
    random = draft.random
    host = random.choice([f"203.0.113.{number}", f"198.51.100.{number}", f"2001:db8::{number}"])
    site: dict[str, Any] = {
        "address": [{4: f"10.99.0.{number}", 6: f"fd99::{number}"}[family] for family in families],
        "colo": {"host": host, "host_key": HOST_KEY},
        "listen_port": random.choice([51820, 51821, 443]),
        "mtu": random.choice([1420, 1420, 1412, 1380]),
        "networks": {},
    }
    draft.sites[name] = site
    reached = set(families)
    twice = number <= 2  # has what another one has
    for index in range(random.randint(int(twice), 3)):
        label = ("lan", "vpc", "virbr0")[index]
        network = _network(draft, index, both=twice and index == 0)
        site["networks"][label] = {**network, "interface": f"eth{index + 1}"}
        versions = {6 if ":" in cidr else 4 for cidr in network["cidr"]}
        draft.parties[f"{name}.{label}"] = (name, versions, versions)
        reached |= versions
    draft.parties[name] = (name, set(families), reached)


def _network(draft: _Draft, index: int, *, both: bool) -> dict[str, Any]:
    """One with prefixes of its own, or with those of every site's network of that index, advertised as its own."""
    random = draft.random
    draft.networks += 1
    cidrs, known = [], []
    for family in random.choice([[4], [4, 6]] if both else [[4], [4], [6], [4, 6], [4, 6]]):
        length = random.choice([24, 24, 28, 30, 32] if family == 4 else [64, 64, 120, 127, 128])
        shared = f"10.20{index}.0.0/{length}" if family == 4 else f"fd20:{index}::/{length}"
        own = f"10.{draft.networks}.0.0/{length}" if family == 4 else f"fd00:{draft.networks}::/{length}"
        if both or random.random() < 0.5:
            cidrs.append(shared)
            known.append(own)
        else:
            cidrs.append(own)
    way_back: tuple[str, Any] = random.choice([("masquerade", True), ("return_route", "manual")])
    return dict([("cidr", cidrs), way_back, *([("advertise_as", known)] if known else [])])


def _grant(draft: _Draft) -> dict[str, Any]:
    """From and to one to three parties, of which the first two are at different sites and share a family."""
    random = draft.random
    pairs = [
        (source, destination)
        for source, (here, opens, _) in draft.parties.items()
        for destination, (there, _, reached) in draft.parties.items()
        if here != there and opens & reached
    ]
    source, destination = random.choice(pairs)
    others = [name for name in draft.parties if name not in (source, destination)]
    random.shuffle(others)

    def site_of(party: str) -> str:
        return draft.parties[party][0]

    more = random.choice([0, 0, 1, 2])
    sources = [source, *(name for name in others[:more] if site_of(name) != site_of(destination))]
    # No two of one site, which the config refuses where both are written by name.
    opening = {site_of(name) for name in sources}
    destinations = [destination, *(name for name in others[more : 2 * more] if site_of(name) not in opening)]
    grant: dict[str, Any] = {"from": sources, "to": destinations}
    if random.random() < 0.2:
        return grant
    return {**grant, "ports": _ports(random, random.choice([["tcp"], ["udp"], ["tcp", "udp"], []]))}


def _ports(random: Random, protocols: list[str]) -> list[str]:
    """Services of these protocols, none of which another contains; ICMP now and then, and always where it is alone."""
    found = [f"{protocol}/{ports}".rstrip("/") for protocol in protocols for ports in random.choice(_PORTS)]
    return [*found, "icmp"] if not found or random.random() < 0.3 else found
