"""What `meshctl explain` is asked: two parties and a service, from the command line, with all faults of it at once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_network

from cli.check import Checked
from mesh.config import ports
from mesh.config.faults import nearest, shown
from mesh.model import IPNetwork, Mesh, Network, Party, Service

# The protocols that can be asked about, and what can be asked besides the services of a grant: an echo, and everything.
_PROTOCOLS = ("tcp", "udp", "icmp")
_MORE_SERVICES = ("ping", "all")


class QuestionError(Exception):
    """The question names what is not there; the text says what, and the way out, one fault a line."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whether one party can open a service to the other; `service` None asks what it can open at all."""

    source: Party
    destination: Party
    service: str | None

    @property
    def services(self) -> tuple[Service, ...]:
        """The services of a grant that it is about; as in a grant, none are all."""
        if self.service in (None, "all"):
            return ()
        return (ports.service("icmp" if self.service == "ping" else self.service),)


def question(checked: Checked, mesh: Mesh, source: str, destination: str, service: str | None) -> Question:
    """Looks the words up. Raises QuestionError."""
    groups = checked.file.sections.get("groups")
    parties: dict[str, Party] = {site.name: site for site in mesh.sites}
    parties |= {str(network): network for site in mesh.sites for network in site.networks}
    known = frozenset(groups) if isinstance(groups, dict) else frozenset[str]()
    faults = [_no_party(mesh, name, parties, known) for name in (source, destination) if name not in parties]
    opener, opened = parties.get(source), parties.get(destination)
    if opener and opened and site_of(opener) == site_of(opened):
        faults.append(f"{source} and {destination} are at one site; what passes there is not the mesh's to say")
    asked = None
    try:
        asked = None if service is None else _service(service)
    except ValueError as error:
        faults.append(str(error))
    if faults or opener is None or opened is None:
        raise QuestionError("\n".join(dict.fromkeys(faults)))
    return Question(opener, opened, asked)


def site_of(party: Party) -> str:
    """The name of the site that the party is, or is at."""
    return party.site if isinstance(party, Network) else party.name


def _no_party(mesh: Mesh, name: str, parties: dict[str, Party], groups: frozenset[str]) -> str:
    """What is wrong with a name that is no party's."""
    if name in groups or name.endswith("*"):
        return f"{shown(name)} stands for several; name one site or network of them"
    try:
        prefix = ip_network(name, strict=False)
    except ValueError:
        return f"{shown(name)} is no site or network; {nearest(name, sorted(parties))}"
    places = dict(_places(mesh, prefix))
    if not places:
        return f"{name} lies in no network and is no site's; known here: {', '.join(sorted(parties))}"
    return f"{name} {' and '.join(places.values())}; ask for {'that' if len(places) == 1 else 'one of them'}"


def _places(mesh: Mesh, prefix: IPNetwork) -> Iterator[tuple[str, str]]:
    """The parties that have an address or prefix, and how."""
    for site in mesh.sites:
        if prefix.num_addresses == 1 and prefix.network_address in site.addresses:
            yield site.name, f"is the tunnel address of {site}"
        for network in site.networks:
            if any(_within(prefix, known) for known in network.advertised):
                yield str(network), f"lies in {network}"
            elif any(_within(prefix, cidr) for cidr in network.cidrs):
                yield str(network), f"lies in {network} (there alone: others know it by {_listed(network)})"


def _within(prefix: IPNetwork, other: IPNetwork) -> bool:
    return prefix.version == other.version and prefix.subnet_of(other)  # type: ignore[arg-type]


def _listed(network: Network) -> str:
    return ", ".join(map(str, network.advertised))


def _service(text: str) -> str:
    """The service in the form in which it is said everywhere. Raises ValueError."""
    if text in _MORE_SERVICES:
        return text
    try:
        return str(ports.service(text))
    except ValueError:
        meant = _meant(text)
        if meant is None:
            raise
    raise ValueError(f"{shown(text)} is no service; did you mean '{meant}'?")


def _meant(text: str) -> str | None:
    """The service that was mistyped: its protocol, or what stands between that and the port."""
    found = re.fullmatch(r"\s*([A-Za-z]+)(?:[\s/:_-]*([1-9][0-9]*(?:-[0-9]+)?))?\s*", text)
    close = get_close_matches(found[1].lower(), (*_PROTOCOLS, *_MORE_SERVICES), n=1) if found else []
    if not found or not close:
        return None
    meant = f"{close[0]}/{found[2]}" if found[2] else close[0]
    try:
        return meant if meant in _MORE_SERVICES else str(ports.service(meant))
    except ValueError:
        return None
