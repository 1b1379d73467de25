"""Names: whatever sites are called, no resource takes the name of another one, in the state or in an account."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mesh.model import Site, SiteName
from tests.components.conftest import Recorder, recording
from tests.components.sites import NYC, build, fra, joined, sgp, use1, usw2

# What the program's own names are made of.
WORDS = (
    *("operator", "operators", "preshared", "fra", "peers", "firewall", "gateway", "a", "x", "host", "key", "login"),
    *("vpc", "routes", "internet", "route", "subnet", "address", "group", "interface", "aws", "config", "mesh", "1"),
)
ODD = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("-".join)
KINDS = (NYC, use1(), usw2(), fra(reserved_address=True), sgp())


def called(names: Sequence[str]) -> Recorder:
    """A mesh of a site of every kind, with these names, and grants both ways."""

    def renamed(site: Site, name: SiteName) -> Site:
        return replace(site, name=name, networks=tuple(replace(network, site=name) for network in site.networks))

    sites = [renamed(site, SiteName(name)) for site, name in zip(KINDS, names, strict=True)]
    inner = [f"{site}.{site.networks[0].name}" for site in sites]
    grants = [
        (inner[1], inner[0], ""),
        (inner[0], inner[2], "tcp/22"),
        (inner[3], inner[1], ""),
        (inner[1], inner[3], ""),
    ]
    with pytest.MonkeyPatch.context() as patched:
        recorder = recording(patched)
        build(joined(*sites, grants=grants))
    return recorder


def twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


# A failure says its names plainly: to look for shorter ones would take minutes.
@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(ODD, min_size=5, max_size=5, unique=True))
@example(["operator", "preshared", "operators", "mesh", "key"])
@example(["preshared", "operator", "operators-key", "mesh-key", "preshared-key"])
@example(["a", "x", "x-key", "fra", "fra-peers"])
@example(["a", "a-host", "a-host-key", "a-firewall", "a-firewall-peers"])
def test_no_site_s_name_makes_a_name_that_another_resource_has(names: list[str]) -> None:
    recorder = called(names)
    assert len(recorder.every_urn) > 60
    assert twice(recorder.every_urn) == []
    for kind in ("firewall:Firewall", "vpc:Vpc", "sshKey:SshKey", "tag:Tag"):
        made = [args for args in recorder.registered if args.typ == f"digitalocean:index/{kind}"]
        assert len(made) > 0
        assert twice([args.inputs["name"] for args in made]) == []


def test_stacks_whose_names_end_as_a_site_s_begins_keep_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dev` with `a-b`, and `dev-a` with `b`, in one account."""
    found = []
    for stack, name in (("dev", "a-b"), ("dev-a", "b")):
        monkeypatch.setattr("pulumi.get_stack", lambda stack=stack: stack)
        recorder = called(["nyc", "use1", "usw2", name, "sgp"])
        found += [recorder.inputs(f"{name}-{each}")["name"] for each in ("firewall", "firewall-peers", "vpc", "tag")]
    assert len(found) == 8
    assert twice(found) == []
