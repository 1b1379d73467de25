"""What a grant or an assertion is about, `tcp/443` and its like: from text to service, each said once."""

import re
from collections.abc import Iterator, Sequence

from mesh.config.faults import kind, mistyped, shown
from mesh.config.values import text
from mesh.model import Service
from mesh.services import common, merged

# The accepted forms, as a regular expression of JSON Schema (ECMA 262); the check below also knows the bounds.
PATTERN = r"^(icmp|(tcp|udp)(/[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?)?)$"

# What a probe can try: one port of TCP, or an echo.
PROBED = r"^(icmp|tcp/[1-9][0-9]{0,4})$"

_FORMS = "write it like tcp/443, udp/8000-8100, tcp or icmp"
_LAST = 65535


def service(value: object) -> Service:
    """`tcp/443`, `udp/8000-8100`, `tcp` or `udp` for all of its ports, or `icmp`, which is ICMPv6 in IPv6."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= _LAST:
            raise ValueError(f"{kind(value).removeprefix('the number ')} is no port; {_FORMS}")
        value = str(value)
    if not isinstance(value, str):
        raise mistyped("a port with its protocol", value, f"; {_FORMS}")
    written = text(value, "a port with its protocol")
    protocol, slash, numbers = written.partition("/")
    match protocol:
        case "icmp" if slash:
            raise ValueError(f"{shown(written)}: ICMP has no ports; write icmp")
        case "icmp":
            return Service("icmp")
        case "tcp" | "udp" if slash:
            return Service(protocol, *_range(written, numbers))
        case "tcp" | "udp":
            return Service(protocol, 0, _LAST)
    raise ValueError(_no_protocol(written))


def probed(value: object) -> Service:
    """What a probe tries, `tcp/443` or `icmp`: something that answers, or refuses, where it passes."""
    found = service(value)
    if found.protocol == "udp":
        raise ValueError(f"'{found}': nobody says whether a datagram arrived; try one port of TCP, or icmp")
    if found.protocol == "tcp" and found.first != found.last:
        raise ValueError(f"'{found}' is more than one port; a probe tries one, for example tcp/{found.first or 443}")
    return found


def repeated(services: Sequence[Service | None]) -> Iterator[tuple[int, str]]:
    """Yields the places of services that others of the list say already, whole or in part, and how to say it once."""
    for index, one in enumerate(services):
        if one is None:
            continue
        others = [other for turn, other in enumerate(services) if other and turn != index]
        before = [other for other in services[:index] if other]
        if one in before:
            yield index, f"{shown(str(one))} is named twice"
        elif wider := next((other for other in others if other != one and other.contains(one)), None):
            yield index, f"{shown(str(one))} is a part of {shown(str(wider))}; leave it out"
        elif other := next((other for other in before if not one.contains(other) and common((one,), (other,))), None):
            whole = next(piece for piece in merged(tuple(services)) if piece and piece.contains(one))
            yield index, f"{shown(str(one))} overlaps {shown(str(other))}; write {whole}"


def _range(written: str, numbers: str) -> tuple[int, int]:
    if "," in numbers:
        raise ValueError(f"{shown(written)} names several; make it a list, each with its protocol")
    first, hyphen, last = numbers.partition("-")
    for port in (first, last) if hyphen else (first,):
        if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > _LAST:
            raise ValueError(f"{shown(written)}: {shown(port)} is no port; it goes from 1 to {_LAST}")
    if hyphen and int(last) < int(first):
        protocol = written.partition("/")[0]
        raise ValueError(f"{shown(written)} is a range that ends before it begins; write {protocol}/{last}-{first}")
    # To grant from port 1 on is to grant all of them: port 0 is none that anything listens on.
    return 0 if numbers == f"1-{_LAST}" else int(first), int(last or first)


def _no_protocol(written: str) -> str:
    found = shown(written)
    number = r"[0-9]{1,5}(?:-[0-9]{1,5})?"
    if re.fullmatch(number, written):
        return f"{found} has no protocol; write tcp/{written} or udp/{written}"
    if match := re.fullmatch(rf"({number})/(tcp|udp)", written):
        return f"{found} has the protocol last; write {match[2]}/{match[1]}"
    if re.fullmatch(r"(icmp|tcp|udp)(/.*)?", written.lower()):
        return f"{found} is not in lower case; write {shown(written.lower())}"
    if written.lower() in {"ping", "icmpv6", "icmp6", "ipv6-icmp"}:
        return f"{found}: write icmp, which is ICMPv6 in IPv6"
    if written.lower() in {"all", "any", "*"}:
        return f"{found}: everything is meant where 'ports' is left out"
    return f"{found} has no protocol that is known here; {_FORMS}"
