"""The stand-in of AWS's security groups and their rules as an engine sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clouds.aws_bench import Bench, benched
from tests.lab.clouds.aws_things import group, ingress, vpc
from tests.lab.clouds.bench import Made, RefusedError
from tests.lab.plugins.bench import secret


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


def rules_of(bench: Bench, made: Made) -> list[dict[str, Any]]:
    rules = bench.books["regions"]["us-east-1"]["rules"].values()
    return [rule for rule in rules if rule["GroupId"] == made.id]


def test_secret_text_that_does_not_fit_is_in_no_refusal(bench: Bench) -> None:
    with pytest.raises(RefusedError) as refused:
        ingress(bench, cidrIpv4=secret("hidden"))
    assert "hidden" not in str(refused.value)
    with pytest.raises(RefusedError, match="hidden"):
        ingress(bench, group(bench, vpc(bench, "10.20.0.0/16")), cidrIpv4="hidden")


def test_a_new_group_has_lost_the_rule_that_lets_everything_out(bench: Bench) -> None:
    around = vpc(bench)
    assert rules_of(bench, group(bench, around)) == []
    raw = bench.ec2("CreateSecurityGroup", GroupName="g", GroupDescription="g", VpcId=around.id)
    kept = rules_of(bench, Made("SecurityGroup", raw["GroupId"], {}, {}))
    assert [(rule["IsEgress"], rule["CidrIpv4"]) for rule in kept] == [(True, "0.0.0.0/0")]


def test_a_group_without_a_name_keeps_the_one_it_was_given(bench: Bench) -> None:
    made = group(bench)
    assert made.inputs["name"].startswith("it-")
    assert bench.diff(made) == ([], [])
    replaced = bench.difference(made, description="other")
    assert not replaced.deleteBeforeReplace
    named = group(bench, vpc(bench, "10.20.0.0/16"), name="gateway")
    assert bench.difference(named, description="other").deleteBeforeReplace
    assert not bench.difference(named, description="other", name="other").deleteBeforeReplace


def test_icmpv6_without_types_is_all_of_it_and_stays_without_them(bench: Bench) -> None:
    made = ingress(bench, ipProtocol="icmpv6", fromPort=None, toPort=None, cidrIpv4=None, cidrIpv6="::/0")
    (kept,) = rules_of(bench, Made("SecurityGroup", made.inputs["securityGroupId"], {}, {}))
    assert (kept["FromPort"], kept["ToPort"]) == (-1, -1)
    again = bench.read(made)
    assert again is not None
    assert not {"fromPort", "toPort"} & {*made.state, *again.state}
    assert bench.diff(again) == ([], [])
    drifted = bench.change(made, fromPort=-1, toPort=-1)
    assert (drifted.state["fromPort"], drifted.state["toPort"]) == (-1, -1)
