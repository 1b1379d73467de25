"""The stand-in of AWS as an engine sees it: previews, secrets, differences, what the provider does besides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.clouds.api import VARIABLE
from tests.lab.clouds.aws_bench import Bench, benched
from tests.lab.clouds.aws_things import (
    address,
    associated,
    group,
    image,
    ingress,
    instance,
    interface,
    internet,
    public_interface,
    route,
    subnet,
    table,
    vpc,
)
from tests.lab.clouds.bench import Made, RefusedError
from tests.lab.plugins.bench import SIGNATURE, UNKNOWN, secret


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


def test_a_preview_makes_nothing_and_knows_neither_ids_nor_addresses(bench: Bench) -> None:
    made = bench.make("Eip", preview=True, domain="vpc", tags={"a": "b"})
    assert made.id == ""
    assert {name for name, value in made.state.items() if value == UNKNOWN} == {
        "id",
        "allocationId",
        "arn",
        "associationId",
        "networkInterface",
        "privateIp",
        "publicIp",
        "tagsAll",
    }
    assert (made.state["domain"], made.state["tags"]) == ("vpc", {"a": "b"})
    assert bench.account.empty()
    assert address(bench).state["publicIp"] == "198.18.128.1"


def test_what_depends_on_a_preview_is_previewed_too(bench: Bench) -> None:
    made = bench.make(
        "Route", preview=True, routeTableId=UNKNOWN, destinationCidrBlock="10.40.0.0/24", gatewayId=UNKNOWN
    )
    assert made.state["gatewayId"] == UNKNOWN
    machine = bench.make(
        "Instance",
        preview=True,
        ami=image(bench),
        instanceType="t4g.nano",
        primaryNetworkInterface={"networkInterfaceId": UNKNOWN},
    )
    assert machine.state["publicIp"] == UNKNOWN
    assert bench.account.empty()


def test_an_unknown_value_replaces_what_it_may_change(bench: Bench) -> None:
    made = subnet(bench)
    assert bench.diff(made, vpcId=UNKNOWN) == (["vpcId"], ["vpcId"])
    assert bench.diff(made) == ([], [])


def test_secret_user_data_stays_wrapped_and_reaches_the_machine(bench: Bench) -> None:
    made = instance(bench, userData=secret("#cloud-config\n"))
    assert made.inputs["userData"] == made.state["userData"] == secret("#cloud-config\n")
    again = bench.read(made)
    assert again is not None
    assert again.state["userData"] == secret("#cloud-config\n")
    assert [machine.user_data for network in bench.account.networks() for machine in network.machines] == [
        "#cloud-config\n"
    ]
    open_one = instance(bench, public_interface(bench, "10.20.0.0/16"), userData="#cloud-config\n")
    assert SIGNATURE not in str(open_one.state)


def test_the_region_is_the_providers_unless_a_resource_has_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vpc(bench).state["region"] == "us-east-1"
    assert vpc(bench, region="eu-west-1").state["region"] == "eu-west-1"
    assert sorted(bench.books["regions"]) == ["eu-west-1", "us-east-1"]
    bench.configure()
    assert bench.check("Vpc", {"cidrBlock": "10.0.0.0/16"})[1] == {"region": "Missing region configuration"}
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert vpc(bench).state["region"] == "us-west-2"


def test_a_configuration_needs_a_region_and_roles_of_that_form(bench: Bench) -> None:
    role = "arn:aws:iam::123456789012:role/deploy"
    assert bench.check_config(region="us-east-1", profile="p", assumeRoles=[{"roleArn": role}]) == {}
    assert bench.check_config(profile="p") == {"region": "Missing region configuration"}
    assert set(bench.check_config(region="us-east-1", regoin="us-east-1")) == {"regoin"}
    for sent in ([{"roleArn": "deploy"}], '[{"roleArn": "deploy"}]'):  # the SDK sends JSON
        assert set(bench.check_config(region="us-east-1", assumeRoles=sent)) == {"assumeRoles"}
    assert bench.check_config(region=UNKNOWN, assumeRoles=UNKNOWN) == {}
    assert bench.check_config(region="us-esat-1", skipCredentialsValidation="true") == {}


def test_the_provider_reads_the_check_from_the_interface_and_would_switch_it_on(bench: Bench) -> None:
    one = public_interface(bench)
    one = bench.change(one, sourceDestCheck=False)
    machine = instance(bench, one)
    assert machine.state["sourceDestCheck"] is False
    assert "sourceDestCheck" not in machine.inputs, "a default that would conflict is not written into the inputs"
    assert bench.diff(machine) == (["sourceDestCheck"], [])
    assert bench.diff(machine, ignoring=("sourceDestCheck",)) == ([], [])
    bench.change(machine, tags={"a": "b"})
    after = bench.read(one)
    assert after is not None
    assert after.state["sourceDestCheck"] is True


def test_another_instance_type_stops_and_starts_the_same_instance(bench: Bench) -> None:
    made = instance(bench)
    larger = bench.change(made, instanceType="t4g.micro")
    assert (larger.id, larger.state["instanceType"], larger.state["instanceState"]) == (made.id, "t4g.micro", "running")
    with pytest.raises(RefusedError, match="does not match the architecture"):
        bench.change(made, instanceType="t3.nano")


def test_an_ignored_image_is_no_difference(bench: Bench) -> None:
    made = instance(bench)
    bench.account.publish("debian-12", "20990101")
    newer = image(bench)
    assert newer != made.state["ami"]
    assert bench.diff(made, ami=newer) == (["ami"], ["ami"])
    assert bench.diff(made, ami=newer, ignoring=("ami",)) == ([], [])


def test_a_rule_and_a_route_change_in_place(bench: Bench) -> None:
    rule = ingress(bench)
    moved = bench.change(rule, cidrIpv4="203.0.113.0/24", fromPort=51821, toPort=51821)
    assert (moved.id, moved.state["cidrIpv4"], moved.state["fromPort"]) == (rule.id, "203.0.113.0/24", 51821)
    around = vpc(bench, "10.20.0.0/16")
    inner, other = (interface(bench, subnet(bench, around, f"10.20.{number}.0/24")) for number in range(2))
    made = route(bench, table(bench, around), inner)
    assert bench.change(made, networkInterfaceId=other.id).state["networkInterfaceId"] == other.id
    with pytest.raises(RefusedError, match="already exists"):
        route(bench, Made("RouteTable", made.inputs["routeTableId"], {}, {}), other)


def test_what_is_no_longer_said_is_no_longer_there(bench: Bench) -> None:
    rule = ingress(bench, description="peer")
    bare = bench.change(rule, without=("description", "fromPort", "toPort"), ipProtocol="-1")
    assert not {"description", "fromPort", "toPort"} & {*bare.state}
    assert bench.diff(bare) == ([], [])
    made = vpc(bench, "10.20.0.0/16", tags={"a": "1"})
    assert bench.diff(bench.change(made, without=("tags",))) == ([], [])


def test_tags_are_added_changed_and_taken_away(bench: Bench) -> None:
    made = vpc(bench, tags={"a": "1", "b": "2"})
    assert bench.change(made, tags={"a": "3", "c": "4"}).state["tagsAll"] == {"a": "3", "c": "4"}


def test_a_subnet_follows_another_table(bench: Bench) -> None:
    around = vpc(bench)
    first, second, inner = table(bench, around), table(bench, around), subnet(bench, around)
    made = bench.make("RouteTableAssociation", subnetId=inner.id, routeTableId=first.id)
    moved = bench.change(made, routeTableId=second.id)
    assert moved.state["associationId"] != made.state["associationId"]
    assert bench.account.networks()[0].subnets[0][1] == second.id
    bench.remove(moved)
    assert bench.account.networks()[0].subnets[0][1] == around.state["mainRouteTableId"]


def test_an_interface_gets_and_loses_ipv6_addresses(bench: Bench) -> None:
    around = bench.ec2("CreateVpc", CidrBlock="10.10.0.0/16")
    bench.books["regions"]["us-east-1"]["vpcs"][around["VpcId"]]["Cidrs"].append("2001:db8::/56")
    inner = bench.make("Subnet", vpcId=around["VpcId"], cidrBlock="10.10.0.0/24", ipv6CidrBlock="2001:db8:0:1::/64")
    made = interface(bench, inner)
    more = bench.change(made, ipv6AddressCount=2)
    assert more.state["ipv6Addresses"] == ["2001:db8:0:1::4", "2001:db8:0:1::5"]
    assert bench.change(more, ipv6AddressCount=1).state["ipv6Addresses"] == ["2001:db8:0:1::4"]
    with pytest.raises(RefusedError, match="does not have an IPv6 CIDR block"):
        interface(bench, subnet(bench, vpc(bench, "10.20.0.0/16"), "10.20.0.0/24"), ipv6AddressCount=1)


def test_what_is_gone_reads_as_gone_and_is_deleted_without_a_word(bench: Bench) -> None:
    around = vpc(bench)
    internet(bench, around)
    inner = interface(bench, subnet(bench, around))
    stands = associated(bench, address(bench), inner)
    rule, way = ingress(bench, group(bench, around)), route(bench, table(bench, around), inner)
    for made in (stands, rule, way):
        assert bench.read(made) is not None
        bench.remove(made)
        assert bench.read(made) is None
        bench.remove(made)


def test_drift_is_read_and_undone(bench: Bench) -> None:
    made = interface(bench, sourceDestCheck=False)
    bench.ec2("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=made.id, SourceDestCheck=True)
    drifted = bench.read(made)
    assert drifted is not None
    assert bench.diff(drifted) == (["sourceDestCheck"], [])
    assert bench.change(drifted).state["sourceDestCheck"] is False


def test_properties_that_the_lab_does_nothing_with_are_refused(bench: Bench) -> None:
    assert (
        "the lab's account has no egress" in bench.check("SecurityGroup", {"vpcId": "vpc-1", "egress": []})[1]["egress"]
    )
    complete = {"vpcId": "vpc-1"}
    assert bench.check("SecurityGroup", complete)[1] == {}
    machine = {"primaryNetworkInterface": {"networkInterfaceId": "eni-1", "deviceIndex": 0}}
    assert set(bench.check("Instance", machine)[1]) == {"primaryNetworkInterface.deviceIndex"}


def test_what_the_lab_is_stricter_in_than_the_released_one(bench: Bench) -> None:
    """It has no default VPC to make an interface in; and ports that mean nothing, the docs only advise against."""
    machine = {"ami": image(bench), "instanceType": "t4g.nano"}
    assert set(bench.check("Instance", machine)[1]) == {"primaryNetworkInterface"}
    complete = machine | {"primaryNetworkInterface": {"networkInterfaceId": "eni-1"}}
    assert bench.check("Instance", complete)[1] == {}
    everything = {"securityGroupId": "sg-1", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    assert bench.check("SecurityGroupIngressRule", everything)[1] == {}
    assert set(bench.check("SecurityGroupIngressRule", everything | {"fromPort": 0})[1]) == {"fromPort"}


def test_what_aws_would_take_and_the_lab_knows_nothing_of_is_refused_in_the_labs_own_words(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="the lab's account has no family 'x9' of instance types"):
        instance(bench, instanceType="x9.nano")
    around = vpc(bench, "10.20.0.0/16")
    one, within = table(bench, around), subnet(bench, around, "10.20.0.0/24")
    inner = interface(bench, within)
    with pytest.raises(RefusedError, match="the lab's routers know none within a VPC"):
        route(bench, one, inner, "10.20.0.0/24")
    with pytest.raises(RefusedError, match="the lab's routers keep it"):
        bench.ec2("ReplaceRoute", RouteTableId=one.id, DestinationCidrBlock="10.20.0.0/16", NetworkInterfaceId=inner.id)
    to = group(bench, around)
    for protocol, first, last in (("icmp", 8, 0), ("icmp", 8, -1), ("icmpv6", 128, -1), ("icmpv6", None, 0)):
        with pytest.raises(RefusedError, match=f"let all types and codes of {protocol} pass: both ports have to be -1"):
            ingress(bench, to, ipProtocol=protocol, fromPort=first, toPort=last)
    assert ingress(bench, to, ipProtocol="icmp", fromPort=-1, toPort=-1).state["fromPort"] == -1


def test_what_the_schema_refuses_of_a_secret_does_not_show_it(bench: Bench) -> None:
    with pytest.raises(RefusedError) as refused:
        instance(bench, preview=True, userData=secret("hidden" * 3000))
    assert "the secret value is not valid" in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_without_a_lab_it_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(RefusedError, match="work in a lab only"):
        vpc(bench)
