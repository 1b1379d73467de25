"""Sets of services, with nothing in them twice: what several grants let pass between the same two parties."""

from collections.abc import Iterable
from functools import lru_cache

from mesh.model import Service


@lru_cache(maxsize=4096)
def merged(services: tuple[Service | None, ...]) -> tuple[Service | None, ...]:
    """The same packets in as few services as can be, none a part of another: ICMP, then TCP, then UDP by port.

    None stands for every protocol and leaves nothing else to say. Ranges of ports that touch are one.
    """
    if None in services:
        return (None,)
    known = [service for service in services if service is not None]
    icmp = [Service("icmp")] if any(service.protocol == "icmp" for service in known) else []
    tcp = _joined(service for service in known if service.protocol == "tcp")
    udp = _joined(service for service in known if service.protocol == "udp")
    return (*icmp, *tcp, *udp)


def contained(services: tuple[Service, ...], others: tuple[Service, ...]) -> bool:
    """True where every packet of the one, to port 0 aside, is one of the others'. No services are every protocol."""
    return not others or (bool(services) and not without(services, others))


def common(services: tuple[Service, ...], others: tuple[Service, ...]) -> tuple[Service | None, ...]:
    """What is in both, merged. As in a grant, no services are every protocol."""
    if not services or not others:
        return merged(services or others or (None,))
    both = (
        Service(one.protocol, max(one.first, other.first), min(one.last, other.last))
        for one in services
        for other in others
        if one.protocol == other.protocol
    )
    return merged(tuple(each for each in both if each.first <= each.last))


def without(services: tuple[Service, ...], others: tuple[Service, ...]) -> tuple[Service, ...]:
    """What is left of the services without the others; both are named ones here. Port 0 alone is nothing left."""
    left = list(services)
    for other in others:
        left = [piece for each in left for piece in _cut(each, other)]
    return tuple(each for each in merged(tuple(left)) if each)


def _cut(service: Service, other: Service) -> list[Service]:
    if service.protocol != other.protocol or other.last < service.first or service.last < other.first:
        return [service]
    below = Service(service.protocol, service.first, other.first - 1)
    above = Service(service.protocol, other.last + 1, service.last)
    return [piece for piece in (below, above) if max(piece.first, 1) <= piece.last]


def _joined(services: Iterable[Service]) -> list[Service]:
    joined: list[Service] = []
    for service in sorted(services, key=lambda service: (service.first, service.last)):
        if joined and service.first <= joined[-1].last + 1:
            joined[-1] = Service(service.protocol, joined[-1].first, max(joined[-1].last, service.last))
        else:
            joined.append(service)
    return joined
