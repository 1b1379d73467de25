"""Whatever is written, the config is either a mesh or a report: no other error, and no key in any text."""

import string
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.config.stackfile import load
from tests.mesh.config.configs import EXISTING, HOST_KEY, SEALED, SSH_KEY, UUID, WIREGUARD_KEY, changed, clouds, faults

KEYS = [WIREGUARD_KEY, SSH_KEY, *(line for line in SSH_KEY.splitlines() if "PRIVATE" not in line and len(line) > 40)]
WORDS = [
    "mesh",
    "ssh",
    "sites",
    "access",
    "tunnel",
    "nyc",
    "colo",
    "host",
    "host_key",
    "networks",
    "lan",
    "cidr",
    "from",
    "to",
    "groups",
    "clients",
    "assert",
    "expect",
    "ports",
    "port",
    "probes",
    "operators",
    "advertise_as",
    "return_route",
    "ams.lan",
    "a.b",
    "aws",
    "digitalocean",
    "region",
    "vpc",
    "vpc_cidr",
    "subnet",
    "route_tables",
    "tags",
    "token",
    "generation",
    "sends_from",
]
VALUES = [
    "10.99.0.0/24",
    "10.99.0.1",
    "::1",
    "fd00::/64",
    "0.0.0.0/0",
    "203.0.113.10:51820",
    "nyc.lan",
    "ams.*",
    "*",
    "clients",
    "tcp/443",
    443,
    "deny",
    "manual",
    "us-east-1",
    "fra1",
    "vpc-0a1b2c3d",
    "t3.nano",
    "x86_64",
    UUID,
    HOST_KEY,
    *KEYS,
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(VALUES),
    st.just(SEALED),
)
SECTIONS = ["mesh", "ssh", "sites", "access", "groups", "operators", "assert", "probes"]
keys = st.one_of(
    st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=10), st.integers(), st.sampled_from(KEYS)
)
data = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=25,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def whole() -> dict[str, Any]:
    """A good config that has every section."""
    return changed(
        {
            "groups": {"clients": ["ams.*", "fra.lan"], "all": ["clients", "nyc"]},
            "operators": ["192.0.2.0/28"],
            "sites.fra.networks.lan.advertise_as": "10.202.0.0/24",
            "sites.fra.mtu": 1412,
            "access.1": {"from": "fra", "to": "*", "ports": ["tcp/80-90", "icmp"]},
            "assert": [{"from": "nyc.*", "to": ["all"], "ports": "tcp/443", "expect": "deny"}],
            "probes": [{"from": "fra", "to": "10.20.0.9", "port": "tcp/80", "expect": "allow"}],
        }
    )


def whole_clouds() -> dict[str, Any]:
    """The same with machines in clouds, one of them in a VPC that exists."""
    return clouds(
        {
            **EXISTING,
            "sites.use1.aws.instance_type": "t4g.micro",
            "sites.use1.aws.architecture": "arm64",
            "sites.use1.aws.tags": {"team": "network"},
            "sites.fra.digitalocean.reserved_address": True,
            "sites.fra.digitalocean.generation": 2,
            "sites.fra.digitalocean.token": dict(SEALED),
            "sites.fra.digitalocean.tags": ["web"],
        }
    )


PLACES = [place for place in places(whole()) if place]
CLOUD_PLACES = [place for place in places(whole_clouds()) if place]


def judge(config: dict[str, Any]) -> None:
    found = faults(config)
    assert not any(key in str(fault) for key in KEYS for fault in found)
    assert all("\n" not in str(fault) and str(fault).isascii() and fault.place for fault in found)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from(SECTIONS), st.text(max_size=5)), data))
def test_any_data_is_a_mesh_or_a_report(config: dict[str, Any]) -> None:
    judge(config)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), data), min_size=1, max_size=3))
def test_any_value_at_any_place_of_a_good_config_is_a_mesh_or_a_report(changes: list[tuple[Any, Any]]) -> None:
    judge(_changed_at(whole(), changes))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CLOUD_PLACES), data), min_size=1, max_size=3))
def test_any_value_at_any_place_of_a_config_with_clouds_is_a_mesh_or_a_report(changes: list[tuple[Any, Any]]) -> None:
    judge(_changed_at(whole_clouds(), changes))


def _changed_at(config: Any, changes: list[tuple[Any, Any]]) -> dict[str, Any]:
    for place, value in changes:
        inner = config
        for part in place[:-1]:
            inner = inner[part] if _holds(inner, part) else None
        if isinstance(inner, dict) or _holds(inner, place[-1]):
            inner[place[-1]] = deepcopy(value)
    found: dict[str, Any] = config
    return found


def _holds(value: Any, part: object) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=string.printable + "\x00\u0661\ud800", max_size=60), st.sampled_from(KEYS))
def test_any_text_is_a_stack_file_or_a_report(text: str, key: str) -> None:
    for content in (text, f"config:\n  wireguard-mesh:sites: {text}\n  {key} {text}", f'"{key}{text}'):
        for fault in load(content).faults:
            assert not any(secret in str(fault) for secret in KEYS)


def test_the_config_that_is_changed_here_is_good() -> None:
    assert faults(whole()) == ()


def test_data_that_is_nested_without_end_is_a_report() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [{"a": deep}]
    config = whole()
    config["sites"]["nyc"]["networks"] = deep
    judge(config)
    assert load("config: " + "[" * 5000).faults
