"""A site on AWS: what its firewall lets in, which routes it gets, and what replaces its instance."""

from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest

from mesh.model import NewVpc
from tests.components.conftest import IMAGE, Recorder
from tests.components.sites import AMS, NYC, build, fra, joined, roaming, three_kinds, use1, usw2

RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


def let_in(recorder: Recorder, site: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for name in recorder.starting(RULE):
        inputs = recorder.inputs(name)
        if name.startswith(f"{site}-in-"):
            source = inputs.get("cidrIpv4") or inputs["cidrIpv6"]
            found[name.removeprefix(f"{site}-in-")] = (
                inputs["ipProtocol"],
                inputs.get("fromPort"),
                inputs.get("toPort"),
                source,
            )
            assert inputs["securityGroupId"] == f"{site}-group-id"
            assert ("cidrIpv6" in inputs) == (":" in source)
    return found


def routed(recorder: Recorder, site: str) -> dict[str, tuple[str, str]]:
    """Prefix and table of each route to the gateway's interface, by name."""
    found = {}
    for name in recorder.starting("aws:ec2/route:Route"):
        inputs = recorder.inputs(name)
        if name.startswith(f"{site}-route-"):
            assert inputs["networkInterfaceId"] == f"{site}-interface-id"
            prefix = inputs.get("destinationCidrBlock") or inputs["destinationIpv6CidrBlock"]
            assert ("destinationIpv6CidrBlock" in inputs) == (":" in prefix)
            found[name.removeprefix(f"{site}-route-")] = (prefix, inputs["routeTableId"])
    return found


def test_operators_peers_and_what_the_own_network_may_open_are_let_in_and_nothing_else(recorder: Recorder) -> None:
    build(joined(NYC, AMS, use1(), fra()))
    assert let_in(recorder, "use1") == {
        "tcp-22-from-192.0.2.0-24": ("tcp", 22, 22, "192.0.2.0/24"),
        "tcp-22-from-2001_db8__-48": ("tcp", 22, 22, "2001:db8::/48"),
        "udp-51820-from-203.0.113.20-32": ("udp", 51820, 51820, "203.0.113.20/32"),
        "udp-51820-from-fra": ("udp", 51820, 51820, "198.51.100.103/32"),
        "udp-51820-from-203.0.113.10-32": ("udp", 51820, 51820, "203.0.113.10/32"),
        "icmp-from-10.10.0.0-16": ("icmp", -1, -1, "10.10.0.0/16"),
        "tcp-443-from-10.10.0.0-16": ("tcp", 443, 443, "10.10.0.0/16"),
        "udp-53-from-10.10.0.0-16": ("udp", 53, 53, "10.10.0.0/16"),
    }


def test_every_protocol_has_no_ports_and_icmp_of_either_family_all_types(recorder: Recorder) -> None:
    grants = [("use1.vpc", "nyc.virbr0", ""), ("usw2.vpc", "ams.lan", "icmp")]
    build(joined(NYC, AMS, use1(), usw2(), grants=grants))
    assert let_in(recorder, "use1")["all-from-10.10.0.0-16"] == ("-1", None, None, "10.10.0.0/16")
    assert let_in(recorder, "usw2")["icmpv6-from-fd50__-56"] == ("icmpv6", -1, -1, "fd50::/56")
    assert let_in(recorder, "usw2")["icmp-from-10.50.0.0-16"] == ("icmp", -1, -1, "10.50.0.0/16")


def test_anywhere_is_let_in_where_a_peer_has_no_fixed_address_and_nowhere_else(recorder: Recorder) -> None:
    build(joined(roaming(NYC), AMS, use1()))
    found = let_in(recorder, "use1")
    anywhere = {name for name, (*_, source) in found.items() if source.endswith("/0")}
    assert anywhere == {"udp-51820-from-0.0.0.0-0"}
    assert found["udp-51820-from-203.0.113.20-32"] == ("udp", 51820, 51820, "203.0.113.20/32")


def test_with_fixed_addresses_nothing_is_open_to_anywhere(recorder: Recorder) -> None:
    build(joined(NYC, AMS, use1(), usw2(), fra()))
    assert not [name for site in ("use1", "usw2") for name in let_in(recorder, site) if name.endswith("-0")]


def test_what_goes_out_is_declared_and_no_rule_is_the_group_s_own(recorder: Recorder) -> None:
    build(three_kinds())
    out = [recorder.inputs(f"use1-out-{family}") for family in ("v4", "v6")]
    assert [rule["ipProtocol"] for rule in out] == ["-1", "-1"]
    assert [rule.get("cidrIpv4") for rule in out] == ["0.0.0.0/0", None]
    assert [rule.get("cidrIpv6") for rule in out] == [None, "::/0"]
    assert {"ingress", "egress"}.isdisjoint(recorder.inputs("use1-group"))


def test_a_made_vpc_s_table_gets_a_route_for_each_prefix_that_a_grant_involves(recorder: Recorder) -> None:
    build(three_kinds())
    assert routed(recorder, "use1") == {
        "10.20.0.0-24": ("10.20.0.0/24", "use1-routes-id"),
        "10.40.0.0-24": ("10.40.0.0/24", "use1-routes-id"),
        "192.168.122.0-24": ("192.168.122.0/24", "use1-routes-id"),
    }


def test_each_table_of_a_vpc_that_is_there_gets_the_routes_of_both_families(recorder: Recorder) -> None:
    build(joined(NYC, AMS, usw2()))
    assert routed(recorder, "usw2") == {
        f"{prefix.replace('/', '-').replace(':', '_')}-{table}": (prefix, table)
        for prefix in ("10.20.0.0/24", "fd20::/64")
        for table in ("rtb-0a1b2c3d", "rtb-1a1b2c3d")
    }


def test_without_grants_no_route_is_made(recorder: Recorder) -> None:
    build(joined(NYC, AMS, use1(), usw2(), grants=()))
    assert routed(recorder, "use1") == routed(recorder, "usw2") == {}


def test_in_a_vpc_that_is_there_nothing_of_a_network_is_made(recorder: Recorder) -> None:
    build(joined(NYC, usw2()))
    kinds = ("vpc:Vpc", "subnet:Subnet", "internetGateway:", "routeTable:", "routeTableAssociation:")
    assert [name for kind in kinds for name in recorder.starting(f"aws:ec2/{kind}")] == []
    assert recorder.inputs("usw2-group")["vpcId"] == "vpc-0a1b2c3d"
    assert recorder.inputs("usw2-interface")["subnetId"] == "subnet-0a1b2c3d"


@pytest.mark.parametrize(
    ("cidr", "subnet"),
    [("10.10.0.0/16", "10.10.0.0/24"), ("10.10.4.0/24", "10.10.4.0/24"), ("10.10.0.0/28", "10.10.0.0/28")],
)
def test_a_made_vpc_has_one_subnet_with_a_way_to_the_internet(recorder: Recorder, cidr: str, subnet: str) -> None:
    build(joined(NYC, use1(cidr, vpc=NewVpc(IPv4Network(cidr)))))
    assert recorder.inputs("use1-vpc")["cidrBlock"] == cidr
    assert recorder.inputs("use1-subnet")["cidrBlock"] == subnet
    assert recorder.inputs("use1-internet-route")["gatewayId"] == "use1-internet-id"
    assert recorder.inputs("use1-routes-subnet")["subnetId"] == "use1-subnet-id"
    assert {"use1-internet-route", "use1-routes-subnet"} <= recorder.after("use1-host")
    # AWS takes an internet gateway to another VPC only when no public address needs it here: another one is made.
    assert list(recorder.requests["use1-internet"].replaceOnChanges) == ["vpcId"]
    # AWS gives no public address to an interface in a VPC without an internet gateway.
    assert "use1-internet" in recorder.after("use1-address-of-interface")


def test_the_made_subnet_is_in_the_first_own_zone_that_has_the_instance_type_and_stays_there(
    recorder: Recorder,
) -> None:
    """Local zones come first in the alphabet; they are no place for a gateway that nobody put there."""
    build(joined(NYC, use1(instance_type="t4g.micro")))
    assert recorder.inputs("use1-subnet")["availabilityZone"] == "us-east-1b"
    assert list(recorder.requests["use1-subnet"].ignoreChanges) == ["availabilityZone"]
    (call,) = (call for call in recorder.calls if "getInstanceTypeOfferings" in call.token)
    assert call.args == {
        "locationType": "availability-zone",
        "filters": [{"name": "instance-type", "values": ["t4g.micro"]}],
    }
    assert call.provider.split("::")[-2] == "use1-aws"


def test_in_a_vpc_that_is_there_no_zone_is_asked_for(recorder: Recorder) -> None:
    build(joined(NYC, usw2()))
    assert not [call for call in recorder.calls if "getInstanceTypeOfferings" in call.token]


def test_a_type_that_the_region_does_not_have_is_told_with_its_place(recorder: Recorder) -> None:
    recorder.zones = ["us-east-1-bos-1a"]
    with pytest.raises(pulumi.RunError, match=r"sites\.use1\.aws\.instance_type: t4g\.nano: no zone of us-east-1 has"):
        build(joined(NYC, use1()))


def test_the_interface_forwards_and_has_ipv6_only_where_a_network_has(recorder: Recorder) -> None:
    build(joined(NYC, use1(), usw2()))
    assert recorder.inputs("use1-interface")["sourceDestCheck"] is False
    assert "ipv6AddressCount" not in recorder.inputs("use1-interface")
    assert recorder.inputs("usw2-interface")["ipv6AddressCount"] == 1
    # The provider would turn the check on again, at the instance (terraform-provider-aws #44768).
    assert "sourceDestCheck" in recorder.requests["use1-gateway"].ignoreChanges


def test_an_address_comes_to_the_interface_before_an_instance_does(recorder: Recorder) -> None:
    build(joined(NYC, use1(), usw2()))
    for site in ("use1", "usw2"):
        assert f"{site}-address-of-interface" in recorder.after(f"{site}-gateway")


def test_a_zone_that_lacks_the_type_is_told_with_those_that_have_it(recorder: Recorder) -> None:
    recorder.zone = "us-east-1f"
    recorder.zones = ["us-east-1b", "us-east-1c"]
    expected = r"instance_type: t4g\.nano: us-east-1f, where .* does not have this type, but us-east-1b, us-east-1c do"
    with pytest.raises(pulumi.RunError, match=expected):
        build(joined(NYC, use1()))


def test_the_address_belongs_to_the_interface_and_so_outlives_the_instance(recorder: Recorder) -> None:
    build(three_kinds())
    assert recorder.inputs("use1-address-of-interface") == {
        "allocationId": "use1-address-id",
        "networkInterfaceId": "use1-interface-id",
    }
    # It stands for one interface at a time: in another subnet there is another one.
    assert recorder.requests["use1-address-of-interface"].deleteBeforeReplace
    assert not recorder.requests["use1-address"].deleteBeforeReplace
    for name in ("use1-address", "use1-address-of-interface", "use1-interface", "use1-group"):
        assert recorder.urn("use1-gateway") not in recorder.requests[name].dependencies
    assert recorder.inputs("use1-gateway")["primaryNetworkInterface"] == {"networkInterfaceId": "use1-interface-id"}


def test_metadata_needs_a_token_and_goes_no_further_and_the_disk_is_encrypted(recorder: Recorder) -> None:
    build(three_kinds())
    gateway = recorder.inputs("use1-gateway")
    assert gateway["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert gateway["rootBlockDevice"]["encrypted"] is True


def test_a_raised_generation_replaces_the_instance_and_nothing_else_does_unasked(recorder: Recorder) -> None:
    build(joined(NYC, use1(generation=3), usw2()))
    request = recorder.requests["use1-gateway"]
    assert request.replacement_trigger.string_value == "3 arm64"
    assert recorder.requests["usw2-gateway"].replacement_trigger.string_value == "1 arm64"
    assert request.deleteBeforeReplace
    assert {"ami", "userData"} <= set(request.ignoreChanges)
    triggered = [name for name, each in recorder.requests.items() if each.HasField("replacement_trigger")]
    assert sorted(triggered) == ["use1-gateway", "usw2-gateway"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({}, ("136693071363", "debian-12-arm64-*", "arm64", "t4g.nano", "admin")),
        (
            {"image": "ubuntu-24.04", "architecture": "x86_64", "instance_type": "t3.nano"},
            (
                "099720109477",
                "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
                "x86_64",
                "t3.nano",
                "ubuntu",
            ),
        ),
    ],
    ids=["Debian", "Ubuntu"],
)
def test_the_newest_image_of_its_publisher_is_looked_up_by_the_site_s_own_provider(
    recorder: Recorder, kind: dict[str, Any], expected: tuple[str, ...]
) -> None:
    build(joined(NYC, use1(**kind)))
    owner, name, architecture, size, user = expected
    (call,) = (call for call in recorder.calls if "getAmi" in call.token)
    filters = {each["name"]: each["values"] for each in call.args["filters"]}
    assert call.args["owners"] == [owner]
    assert call.args["mostRecent"] is True
    assert (filters["name"], filters["architecture"]) == ([name], [architecture])
    assert call.provider.split("::")[-2] == "use1-aws"
    gateway = recorder.inputs("use1-gateway")
    assert (gateway["ami"], gateway["instanceType"]) == (IMAGE, size)
    assert recorder.inputs("use1-host")["connection"]["user"] == user


def test_the_user_is_the_running_instance_s_and_not_the_next_generation_s(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another image in the config, the engine keeps the tag as it is."""
    new_resource = recorder.new_resource

    def kept(args: Any) -> Any:
        identity, outputs = new_resource(args)
        if args.name == "use1-gateway":
            outputs["tags"] = {**outputs["tags"], "wireguard-mesh:image": "debian-12"}
        return identity, outputs

    monkeypatch.setattr(recorder, "new_resource", kept)
    build(joined(NYC, use1(image="ubuntu-24.04")))
    assert 'tags["wireguard-mesh:image"]' in recorder.requests["use1-gateway"].ignoreChanges
    assert recorder.inputs("use1-gateway")["tags"]["wireguard-mesh:image"] == "ubuntu-24.04"
    assert recorder.inputs("use1-host")["connection"]["user"] == "admin"


def test_all_that_can_have_tags_says_whose_it_is(recorder: Recorder) -> None:
    build(joined(NYC, use1(tags=(("team", "net"), ("Name", "edge"), ("wireguard-mesh:site", "mine"))), fra()))
    tags = {"team": "net", "Name": "edge", "wireguard-mesh:site": "use1", "wireguard-mesh:stack": "test"}
    without = ("route:Route", "routeTableAssociation:", "eipAssociation:")
    for name in recorder.starting("aws:"):
        if not recorder.requests[name].type.split("/")[-1].startswith(without):
            assert {key: recorder.inputs(name)["tags"].get(key) for key in tags} == tags
    build(joined(NYC, usw2()))
    assert recorder.inputs("usw2-gateway")["tags"]["Name"] == "test-usw2"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({}, {}),
        ({"profile": "net"}, {"profile": "net"}),
        (
            {"role": "arn:aws:iam::123456789012:role/mesh"},
            {"assumeRoles": '[{"roleArn": "arn:aws:iam::123456789012:role/mesh"}]'},
        ),
    ],
    ids=["environment", "profile", "role"],
)
def test_each_site_has_a_provider_of_its_region_and_credentials(
    recorder: Recorder, kind: dict[str, Any], expected: dict[str, str]
) -> None:
    build(joined(NYC, use1(**kind), usw2()))
    given = recorder.inputs("use1-aws")
    assert given["region"] == "us-east-1"
    assert {key: given[key] for key in ("profile", "assumeRoles") if key in given} == expected
    assert recorder.inputs("usw2-aws")["region"] == "us-west-2"
    assert "profile" not in recorder.inputs("usw2-aws")
