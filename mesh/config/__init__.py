"""From the stack config to a `Mesh`: one report of every fault, or a value in which nothing is left to check."""

import json
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import TypeVar

from mesh.assertions import broken
from mesh.config.checks import check_all
from mesh.config.colo import ColoPart, ProxyPart, SshPart
from mesh.config.draft import draft, position
from mesh.config.faults import ConfigError, place, report, without_pasted
from mesh.config.schema import ProbePart, SitePart, StackPart
from mesh.config.selectors import Selection
from mesh.config.stackfile import section_of
from mesh.config.values import is_private
from mesh.faults import Fault
from mesh.model import (
    Assertion,
    Colo,
    Endpoint,
    Grant,
    IPAddress,
    Kind,
    Mesh,
    Network,
    Party,
    Probe,
    Secret,
    Service,
    Site,
    SiteName,
    Ssh,
)
from mesh.probes import contradicted

__all__ = ["ConfigError", "Fault", "documentation_addresses", "engine_sections", "parse", "report"]

T = TypeVar("T")

# RFC 5737, RFC 3849, RFC 9637; names of RFC 2606.
_DOCUMENTATION = tuple(
    map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"))
)
_EXAMPLE_NAMES = ("example", "invalid", "example.com", "example.net", "example.org")


def parse(sections: Mapping[str, object], *, stack_file: bool = False) -> Mesh:
    """The mesh that the project's sections of a stack config describe.

    Sites and networks are in the order of their names, since the engine hands mappings over sorted: a stack file and
    the engine's config give the same mesh. A secret is a text, or `{"secure": ...}` while it is encrypted.

    `stack_file`: the sections were read from a stack file, where a secret in plain text is a fault.
    Raises ConfigError with all faults at once, in the order of the sections; or else, where there is none, with the
    assertions that do not hold, and the probes that the grants contradict.
    """
    drawn = draft(sections, stack_file=stack_file)
    selection = Selection(drawn)
    found = list(dict.fromkeys((*drawn.found, *check_all(drawn, selection))))
    if found:
        found.sort(key=lambda fault: position(drawn.raw, fault[0]))
        raise ConfigError(Fault(place(loc), without_pasted(message, drawn.raw)) for loc, message in found)
    mesh = _mesh(drawn.config, selection)
    if violated := (*broken(mesh), *contradicted(mesh)):
        raise ConfigError(violated)
    return mesh


def engine_sections(config: Mapping[str, str]) -> dict[str, object]:
    """The project's sections out of the engine's whole config, names with namespaces to texts of JSON.

    What is no JSON, as a section that is a mere word, or is nested without end, is left as it is, for `parse` to refuse
    in its report.
    """
    sections: dict[str, object] = {}
    for name, written in config.items():
        section = section_of(name)
        if section is not None and written:  # a key without a value arrives as an empty text
            try:
                sections[section] = json.loads(written)
            except (ValueError, RecursionError):
                sections[section] = written
    return sections


def documentation_addresses(mesh: Mesh) -> tuple[Fault, ...]:
    """A fault for every host or endpoint that is an example: an address or name kept for documentation.

    Nothing answers there; a real `up` would find out after minutes. Machines in clouds let in nobody but operators and
    what others send from, so that examples of these are faults as well where there are such machines.
    """
    named = list(_named(mesh))
    if any(site.endpoint.host is None for site in mesh.sites):
        named += _let_in(mesh)
    return tuple(
        Fault(where, f"{value} is an example, kept for documentation; give {real}")
        for where, value, real in named
        if _is_example(value.partition("/")[0])
    )


def _named(mesh: Mesh) -> Iterator[tuple[str, str, str]]:
    real = "the host's own address"
    for site in mesh.sites:
        if not isinstance(site.kind, Colo):
            continue
        ssh = site.kind.ssh
        if site.endpoint.host and site.endpoint.host != ssh.host:
            yield f"sites.{site.name}.endpoint", site.endpoint.host, real
        yield f"sites.{site.name}.colo.host", ssh.host, real
        if ssh.proxy:
            yield f"sites.{site.name}.colo.proxy.host", ssh.proxy.host, real


def _let_in(mesh: Mesh) -> Iterator[tuple[str, str, str]]:
    """What machines in clouds let in, where it was written and is not the endpoint's address."""
    for prefix in mesh.operators:
        yield "operators", str(prefix), "the prefixes that SSH really comes from"
    for site in mesh.sites:
        for address in site.kind.sends_from if isinstance(site.kind, Colo) else ():
            if str(address) != site.endpoint.host:
                yield f"sites.{site.name}.colo.sends_from", str(address), "the host's own address"


def _is_example(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return any(host == name or host.endswith(f".{name}") for name in _EXAMPLE_NAMES)
    return any(address in network for network in _DOCUMENTATION)


def _mesh(config: StackPart, selection: Selection) -> Mesh:
    sites = tuple(_site(name, config.sites[name], config) for name in sorted(config.sites))
    parties: dict[str, Party] = {site.name: site for site in sites}
    parties |= {str(network): network for site in sites for network in site.networks}

    def side(selectors: tuple[str | None, ...] | None) -> tuple[Party, ...]:
        return tuple(parties[name] for name in selection.parties(_given(selectors)))

    return Mesh(
        tunnel=_ordered(_given(config.mesh.tunnel)),
        interface=config.mesh.interface,
        persistent_keepalive=config.mesh.persistent_keepalive,
        sites=sites,
        access=tuple(
            Grant(side(grant.source), side(grant.destination), _services(grant.services)) for grant in config.access
        ),
        assertions=tuple(
            Assertion(side(each.source), side(each.destination), _services(each.services), _given(each.expect))
            for each in config.assertions
        ),
        operators=config.operators or (),
        operator_key=config.ssh.private_key,
        confirm_within=config.mesh.confirm_within or max(120, 3 * len(config.sites)),
        preshared_generation=config.mesh.preshared_generation,
        probes=tuple(map(_probe, config.probes)),
    )


def _probe(part: ProbePart) -> Probe:
    (address,) = _given(None if part.address is None else (part.address,))
    return Probe(SiteName(_given(part.source)), address, _given(part.service), _given(part.expect))


def _services(services: tuple[Service | None, ...] | None) -> tuple[Service, ...]:
    return tuple(_given(service) for service in services or ())


def _site(name: str, part: SitePart, config: StackPart) -> Site:
    listen_port = part.listen_port or config.mesh.listen_port
    if part.cloud:
        kind, endpoint = part.cloud.build(), Endpoint(None, listen_port)
    else:
        kind, endpoint = _colo(_given(part.colo), part, config, listen_port)
    return Site(
        name=SiteName(name),
        addresses=_ordered(_given(part.address)),
        endpoint=endpoint,
        listen_port=listen_port,
        kind=kind,
        networks=tuple(
            Network(
                site=SiteName(name),
                name=label,
                cidrs=_ordered(_given(network.cidr)),
                interface=_given(part.interface_of(network)),
                masquerade=part.masquerades(network),
                advertise_as=_ordered(network.advertise_as or ()),
                return_route=network.return_route,
            )
            for label, network in sorted(part.networks.items())
        ),
        dns=part.dns or (),
        private_key=part.private_key,
        mtu=part.mtu or config.mesh.mtu,
        key_generation=part.key_generation or 1,
        paused=part.paused,
        reapply=part.reapply,
    )


def _colo(colo: ColoPart, part: SitePart, config: StackPart, listen_port: int) -> tuple[Kind, Endpoint]:
    host, port = (part.endpoint.host, part.endpoint.port) if part.endpoint else (_given(colo.host), None)
    sends_from = tuple(dict.fromkeys(colo.sends_from or _literal(host)))
    return Colo(_ssh(colo, config.ssh), sends_from, colo.adopt), Endpoint(host, port or listen_port)


def _literal(host: str) -> tuple[IPAddress, ...]:
    """The address that a host is named by, where machines in clouds, which have IPv4, could see packets from it."""
    try:
        address = ip_address(host)
    except ValueError:
        return ()
    return (address,) if address.version == 4 and not is_private(ip_network(address)) else ()


def _ssh(colo: ColoPart, defaults: SshPart) -> Ssh:
    proxy = colo.proxy or defaults.proxy
    return Ssh(
        host=_given(colo.host),
        port=colo.port or defaults.port or 22,
        user=colo.user or defaults.user or "root",
        host_key=_given(colo.host_key),
        private_key=colo.private_key or defaults.private_key,
        proxy=_proxy(proxy, defaults.private_key) if proxy else None,
    )


def _proxy(part: ProxyPart, private_key: Secret | None) -> Ssh:
    return Ssh(_given(part.host), part.port, part.user, _given(part.host_key), part.private_key or private_key)


def _ordered(values: tuple[T, ...]) -> tuple[T, ...]:
    """One value of each family at most: IPv4 first, as every text has it."""
    return tuple(sorted(values, key=lambda value: getattr(value, "version", 0)))


def _given(value: T | None) -> T:
    if value is None:
        raise AssertionError("the checks let a config pass that lacks a required value")
    return value
