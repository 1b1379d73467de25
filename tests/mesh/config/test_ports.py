"""The ports of a grant: what may be written, what it becomes, and the whole report for what may not."""

import re

import pytest

from mesh.config import parse
from mesh.config.ports import PATTERN
from mesh.model import Service
from tests.mesh.config.configs import Row, changed, faults

FORMS = "write it like tcp/443, udp/8000-8100, tcp or icmp"


def _refused(written: object, message: str) -> Row:
    return f"{written!r} is no port", {"access.0.ports": written}, [f"access[0].ports: {message}"]


TABLE: list[Row] = [
    _refused(443, "'443' has no protocol; write tcp/443 or udp/443"),
    _refused("443", "'443' has no protocol; write tcp/443 or udp/443"),
    _refused("8000-8100", "'8000-8100' has no protocol; write tcp/8000-8100 or udp/8000-8100"),
    _refused(65536, f"65536 is no port; {FORMS}"),
    _refused(-1, f"-1 is no port; {FORMS}"),
    _refused(True, f"expected a port with its protocol, found true; {FORMS}"),
    _refused(4.43, f"expected a port with its protocol, found the number 4.43; {FORMS}"),
    _refused("tcp/0", "'tcp/0': '0' is no port; it goes from 1 to 65535"),
    _refused("tcp/65536", "'tcp/65536': '65536' is no port; it goes from 1 to 65535"),
    _refused("udp/0053", "'udp/0053': '0053' is no port; it goes from 1 to 65535"),
    _refused("tcp/", "'tcp/': '' is no port; it goes from 1 to 65535"),
    _refused("tcp/80-", "'tcp/80-': '' is no port; it goes from 1 to 65535"),
    _refused("tcp/80-90-100", "'tcp/80-90-100': '90-100' is no port; it goes from 1 to 65535"),
    _refused("tcp/https", "'tcp/https': 'https' is no port; it goes from 1 to 65535"),
    _refused("tcp/8100-8000", "'tcp/8100-8000' is a range that ends before it begins; write tcp/8000-8100"),
    _refused("tcp/80,443", "'tcp/80,443' names several; make it a list, each with its protocol"),
    _refused("icmp/8", "'icmp/8': ICMP has no ports; write icmp"),
    _refused("ping", "'ping': write icmp, which is ICMPv6 in IPv6"),
    _refused("icmpv6", "'icmpv6': write icmp, which is ICMPv6 in IPv6"),
    _refused("TCP/443", "'TCP/443' is not in lower case; write 'tcp/443'"),
    _refused("443/tcp", "'443/tcp' has the protocol last; write tcp/443"),
    _refused("sctp/5060", f"'sctp/5060' has no protocol that is known here; {FORMS}"),
    _refused("https", f"'https' has no protocol that is known here; {FORMS}"),
    _refused("all", "'all': everything is meant where 'ports' is left out"),
    _refused("tcp/443;id", "'tcp/443;id' contains ';'; expected a port with its protocol"),
    _refused(
        "tcp/\u0664", "'tcp/\\u0664' contains a character outside ASCII (U+0664); expected a port with its protocol"
    ),
    (
        "an empty list of ports is not everything",
        {"access.0.ports": []},
        ["access[0].ports: is an empty list; name what may pass, or leave the key out for everything"],
    ),
    (
        "ports without a value are not everything",
        {"access.0.ports": None},
        ["access[0].ports: is empty; name what may pass, or leave the key out for everything"],
    ),
    (
        "an empty place in the list is a fault, at its own place",
        {"access.0.ports": ["tcp/80", None, "tcp/port"]},
        [
            "access[0].ports[1]: is empty; name a port, or leave the place out",
            "access[0].ports[2]: 'tcp/port': 'port' is no port; it goes from 1 to 65535",
        ],
    ),
    (
        "a list of nothing but an empty place is a fault",
        {"access.0.ports": [None]},
        ["access[0].ports[0]: is empty; name a port, or leave the place out"],
    ),
    (
        "a port is named once, and not beside a range that it is a part of",
        {"access.0.ports": ["tcp/443", "tcp/400-500", "udp/443", "tcp/443", "icmp", "icmp", "udp", "tcp/500-501"]},
        [
            "access[0].ports[0]: 'tcp/443' is a part of 'tcp/400-500'; leave it out",
            "access[0].ports[2]: 'udp/443' is a part of 'udp'; leave it out",
            "access[0].ports[3]: 'tcp/443' is named twice",
            "access[0].ports[5]: 'icmp' is named twice",
            "access[0].ports[7]: 'tcp/500-501' overlaps 'tcp/400-500'; write tcp/400-501",
        ],
    ),
    (
        "ranges that overlap are one, and those that touch are not at fault",
        {"access.0.ports": ["tcp/1-100", "udp/50-150", "tcp/50-150", "tcp/152", "udp/1-49", "tcp/140-140"]},
        [
            "access[0].ports[2]: 'tcp/50-150' overlaps 'tcp/1-100'; write tcp/1-150",
            "access[0].ports[5]: 'tcp/140' is a part of 'tcp/50-150'; leave it out",
        ],
    ),
    (
        "ranges that overlap and are all ports together are the protocol alone",
        {"access.0.ports": ["tcp/1-40000", "tcp/30000-65535"]},
        ["access[0].ports[1]: 'tcp/30000-65535' overlaps 'tcp/1-40000'; write tcp"],
    ),
    (
        "all ports are named twice where they are written in two ways",
        {"access.0.ports": ["tcp", "tcp/1-65535"]},
        ["access[0].ports[1]: 'tcp' is named twice"],
    ),
    (
        "the ports of an assertion are those of a grant",
        {"assert": [{"from": "nyc.virbr0", "to": "ams.lan", "ports": [22, "tcp/22", "tcp/22"], "expect": "deny"}]},
        [
            "assert[0].ports[0]: '22' has no protocol; write tcp/22 or udp/22",
            "assert[0].ports[2]: 'tcp/22' is named twice",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report


GOOD = [
    ("tcp/1", Service("tcp", 1, 1)),
    ("tcp/65535", Service("tcp", 65535, 65535)),
    ("udp/8000-8100", Service("udp", 8000, 8100)),
    ("tcp/80-80", Service("tcp", 80, 80)),
    ("tcp", Service("tcp", 0, 65535)),
    ("udp", Service("udp", 0, 65535)),
    ("tcp/1-65535", Service("tcp", 0, 65535)),
    ("udp/1-65534", Service("udp", 1, 65534)),
    ("icmp", Service("icmp")),
]


@pytest.mark.parametrize(("written", "service"), GOOD)
def test_a_port_is_written_with_its_protocol(written: str, service: Service) -> None:
    assert parse(changed({"access.0.ports": written})).access[0].services == (service,)
    assert parse(changed({"access.0.ports": [written]})).access[0].services == (service,)


def test_without_ports_everything_is_meant() -> None:
    assert [grant.services for grant in parse(changed({"access.0.ports": ["tcp/80", "icmp"]})).access] == [
        (Service("tcp", 80, 80), Service("icmp")),
        (),
    ]


def test_an_editor_takes_and_refuses_what_the_check_does_but_for_the_bounds() -> None:
    refused = [row[1]["access.0.ports"] for row in TABLE if row[0].endswith("is no port")]
    bounds = {"tcp/65536", "tcp/8100-8000"}
    assert all(re.search(PATTERN, written) for written, _ in GOOD)
    assert {each for each in refused if isinstance(each, str) and re.search(PATTERN, each)} == bounds
