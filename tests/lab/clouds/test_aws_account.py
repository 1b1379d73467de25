"""The stand-in of an AWS account: what the fabric gets of it, what was there before, and what is left."""

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from lab.clouds.model import INTERNET, Rule, Vpc
from tests.lab.clouds.aws_bench import REGION, Bench, benched
from tests.lab.clouds.aws_things import (
    address,
    associated,
    group,
    image,
    ingress,
    instance,
    interface,
    internet,
    route,
    subnet,
    table,
    vpc,
)
from tests.lab.clouds.bench import Made, RefusedError

TAGS = {"Name": "dev-use1", "wireguard-mesh:site": "use1", "wireguard-mesh:stack": "dev"}
OLD, SUBNET, TABLES = "vpc-0a1b2c3d", "subnet-0a1b2c3d", ("rtb-0a1b2c3d", "rtb-0a1b2c3e")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with benched(tmp_path, monkeypatch) as made:
        yield made


class Gateway:
    """A gateway as the components make it, in a VPC of its own."""

    def __init__(self, bench: Bench) -> None:
        self.vpc = vpc(bench)
        self.internet = internet(bench, self.vpc)
        self.subnet = subnet(bench, self.vpc)
        self.table = table(bench, self.vpc)
        self.follows = bench.make("RouteTableAssociation", subnetId=self.subnet.id, routeTableId=self.table.id)
        self.out = route(bench, self.table, self.internet, "0.0.0.0/0")
        self.group = group(bench, self.vpc)
        self.rules = [
            ingress(bench, self.group),
            ingress(bench, self.group, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4="192.0.2.0/24"),
            bench.make("SecurityGroupEgressRule", securityGroupId=self.group.id, ipProtocol="-1", cidrIpv4="0.0.0.0/0"),
        ]
        self.interface = interface(bench, self.subnet, securityGroups=[self.group.id], sourceDestCheck=False)
        self.address = address(bench)
        self.stands = associated(bench, self.address, self.interface)
        self.machine = instance(bench, self.interface, userData="#cloud-config\n", tags=TAGS)
        self.way = route(bench, self.table, self.interface)

    def all(self) -> list[Made]:
        """In the order in which nothing is in the way."""
        last = [self.subnet, self.table, self.internet, self.group, self.vpc]
        return [
            self.way,
            self.machine,
            self.stands,
            self.address,
            self.interface,
            *self.rules,
            self.follows,
            self.out,
            *last,
        ]


def only(bench: Bench) -> Vpc:
    (found,) = bench.account.networks()
    return found


def only_of(bench: Bench, made: Made) -> Vpc:
    (found,) = (network for network in bench.account.networks() if network.id == made.id)
    return found


def test_the_fabric_gets_what_was_declared(bench: Bench) -> None:
    made = Gateway(bench)
    found = only(bench)
    (machine,) = found.machines
    (link,) = machine.links
    public = ip_address(made.address.state["publicIp"])
    assert (machine.id, machine.site, machine.hostname, machine.users) == (
        made.machine.id,
        "use1",
        "dev-use1",
        ("admin",),
    )
    assert (link.interface, link.addresses) == ("ens5", (ip_interface("10.10.0.4/24"),))
    assert (link.nat, link.sends_as, link.internet) == (((public, ip_address("10.10.0.4")),), public, True)
    assert (link.checked, link.table) == (False, made.table.id)
    assert link.ingress == (
        Rule("udp", 51820, 51820, ip_network("198.51.100.20/32")),
        Rule("tcp", 22, 22, ip_network("192.0.2.0/24")),
    )
    assert link.egress == (Rule(None, 0, 65535, ip_network("0.0.0.0/0")),)
    assert (found.id, found.cloud, found.cidrs) == (made.vpc.id, "aws", (ip_network("10.10.0.0/16"),))
    assert found.tables[made.table.id] == (
        (ip_network("0.0.0.0/0"), INTERNET),
        (ip_network("10.40.0.0/24"), made.machine.id),
    )
    assert found.subnets == ((ip_network("10.10.0.0/24"), made.table.id),)


def test_each_thing_forgotten_is_missing_in_the_fabric(bench: Bench) -> None:
    made = Gateway(bench)
    bench.remove(made.rules[0])
    assert Rule("udp", 51820, 51820, ip_network("198.51.100.20/32")) not in (
        only(bench).machines[0].links[0].ingress or ()
    )
    bench.remove(made.way)
    assert ip_network("10.40.0.0/24") not in dict(only(bench).tables[made.table.id])
    bench.change(made.interface, sourceDestCheck=True)
    assert only(bench).machines[0].links[0].checked
    bench.remove(made.stands)
    assert (only(bench).machines[0].links[0].nat, only(bench).machines[0].links[0].sends_as) == ((), None)
    bench.remove(made.follows)
    assert only(bench).subnets[0][1] == made.vpc.state["mainRouteTableId"]


def test_a_route_to_an_interface_that_no_machine_has_leads_nowhere(bench: Bench) -> None:
    made = Gateway(bench)
    bench.ec2("StopInstances", InstanceId=made.machine.id)
    assert dict(only(bench).tables[made.table.id]).keys() == {ip_network("0.0.0.0/0")}
    bench.ec2("StartInstances", InstanceId=made.machine.id)
    assert ip_network("10.40.0.0/24") in dict(only(bench).tables[made.table.id])
    bench.remove(made.machine)
    assert dict(only(bench).tables[made.table.id]).keys() == {ip_network("0.0.0.0/0")}


def test_a_route_to_an_internet_gateway_that_is_detached_leads_nowhere(bench: Bench) -> None:
    made = Gateway(bench)
    bench.remove(made.stands)
    where = {"InternetGatewayId": made.internet.id, "VpcId": made.vpc.id}
    bench.ec2("DetachInternetGateway", **where)
    assert dict(only(bench).tables[made.table.id]).keys() == {ip_network("10.40.0.0/24")}
    elsewhere = vpc(bench, "10.20.0.0/16")
    bench.ec2("AttachInternetGateway", **where | {"VpcId": elsewhere.id})
    assert [dict(network.tables.get(made.table.id, ())).keys() for network in bench.account.networks()] == [
        {ip_network("10.40.0.0/24")},
        set(),
    ]
    bench.ec2("DetachInternetGateway", **where | {"VpcId": elsewhere.id})
    bench.ec2("AttachInternetGateway", **where)
    assert dict(only_of(bench, made.vpc).tables[made.table.id])[ip_network("0.0.0.0/0")] == INTERNET


def test_a_stopped_instance_keeps_its_place_and_nothing_gets_in_or_out(bench: Bench) -> None:
    made = Gateway(bench)
    (before,) = only(bench).machines
    bench.ec2("StopInstances", InstanceId=made.machine.id)
    (stopped,) = only(bench).machines
    assert (stopped.id, stopped.links[0].addresses) == (before.id, before.links[0].addresses)
    assert (before.on, stopped.on) == (True, False)
    bench.ec2("StartInstances", InstanceId=made.machine.id)
    assert only(bench).machines == (before,)


def test_a_replaced_instance_has_the_same_addresses_and_another_id(bench: Bench) -> None:
    made = Gateway(bench)
    before = only(bench).machines[0]
    bench.remove(made.machine)
    instance(bench, made.interface, tags=TAGS)
    after = only(bench).machines[0]
    assert after.id != before.id
    assert after.links == before.links


def test_all_groups_of_an_interface_count_together_and_a_named_group_is_its_members(bench: Bench) -> None:
    around = vpc(bench)
    one, other = group(bench, around), group(bench, around)
    ingress(bench, one)
    ingress(bench, other, ipProtocol="-1", fromPort=None, toPort=None, cidrIpv4=None, referencedSecurityGroupId=one.id)
    inner = subnet(bench, around)
    instance(bench, interface(bench, inner, securityGroups=[one.id, other.id]))
    (link,) = only(bench).machines[0].links
    assert set(link.ingress or ()) == {
        Rule("udp", 51820, 51820, ip_network("198.51.100.20/32")),
        Rule(None, 0, 65535, ip_network("10.10.0.4/32")),
    }


def test_a_machine_without_metadata_service_gets_no_user_data(bench: Bench) -> None:
    made = Gateway(bench)
    assert only(bench).machines[0].user_data == "#cloud-config\n"
    bench.change(made.machine, metadataOptions={"httpEndpoint": "disabled"})
    assert only(bench).machines[0].user_data == ""


def test_the_user_is_the_images(bench: Bench) -> None:
    filters = [
        {"name": "name", "values": ["ubuntu/images/*-24.04-arm64-*"]},
        {"name": "architecture", "values": ["arm64"]},
    ]
    ubuntu = bench.ask("getAmi", mostRecent=True, includeDeprecated=True, owners=["099720109477"], filters=filters)[
        "id"
    ]
    instance(bench, ami=ubuntu)
    assert only(bench).machines[0].users == ("ubuntu",)


def test_private_addresses_leave_out_those_of_aws_and_of_the_labs_host(bench: Bench) -> None:
    inner = subnet(bench)
    given = [interface(bench, inner).state["privateIp"] for _ in range(7)]
    assert given == [f"10.10.0.{number}" for number in (4, 5, 6, 7, 8, 9, 11)]
    full = subnet(bench, vpc(bench, "10.20.0.0/28"), "10.20.0.0/28")
    for _ in range(10):
        interface(bench, full)
    with pytest.raises(RefusedError, match="InsufficientFreeAddressesInSubnet"):
        interface(bench, full)


def test_what_was_there_before_is_not_what_is_left(bench: Bench) -> None:
    cidrs = [ip_network("10.60.0.0/16"), ip_network("2001:db8:60::/56")]
    bench.account.seed(REGION, OLD, cidrs, SUBNET, tables=TABLES, reserved=[ip_address("10.60.0.4")])
    bench.account.seed(REGION, OLD, cidrs, SUBNET, tables=TABLES)
    assert bench.account.empty()
    found = only(bench)
    assert found.subnets == ((cidrs[0], TABLES[0]), (cidrs[1], TABLES[0]))
    both = ((ip_network("0.0.0.0/0"), INTERNET), (ip_network("::/0"), INTERNET))
    assert [found.tables[name] for name in TABLES] == [both, both]
    inner = bench.make("NetworkInterface", subnetId=SUBNET, ipv6AddressCount=1)
    assert (inner.state["privateIp"], inner.state["ipv6Addresses"]) == ("10.60.0.5", ["2001:db8:60::4"])
    way = bench.make("Route", routeTableId=TABLES[1], destinationCidrBlock="10.40.0.0/24", networkInterfaceId=inner.id)
    assert bench.account.contents() == {"interfaces": [inner.id], "routes": [f"{TABLES[1]} 10.40.0.0/24"]}
    bench.remove(way)
    bench.remove(inner)
    assert bench.account.empty()


def test_a_seeded_vpc_without_tables_has_the_main_one(bench: Bench) -> None:
    bench.account.seed(REGION, OLD, [ip_network("10.60.0.0/16"), ip_network("10.61.0.0/24")], SUBNET)
    main = bench.books["regions"][REGION]["vpcs"][OLD]["MainRouteTableId"]
    assert [follows for _, follows in only(bench).subnets] == [main, main]
    assert only(bench).tables[main] == ((ip_network("0.0.0.0/0"), INTERNET),)


def test_nothing_is_left_when_all_is_removed(bench: Bench) -> None:
    made = Gateway(bench)
    assert {"instances", "vpcs", "addresses"} <= {*bench.account.contents()}
    for one in made.all():
        bench.remove(one)
    assert bench.account.contents() == {}
    assert bench.account.empty()
    assert only_books(bench) == {}


def only_books(bench: Bench) -> dict[str, object]:
    """What the account still keeps of the region, hidden or not."""
    return {kind: things for kind, things in bench.books["regions"][REGION].items() if things}


def test_the_books_are_plain_json(bench: Bench) -> None:
    Gateway(bench)
    assert json.loads(json.dumps(bench.books)) == bench.books


def test_public_addresses_are_nobody_elses_in_any_region(bench: Bench) -> None:
    given = {address(bench).state["publicIp"] for _ in range(3)}
    given.add(bench.make("Eip", region="eu-west-1").state["publicIp"])
    assert len(given) == 4


def test_a_newer_image_is_there_once_it_is_published(bench: Bench) -> None:
    before = image(bench)
    bench.account.publish("ubuntu-24.04", "20990101")
    assert image(bench) == before
    bench.account.publish("debian-12", "20990101")
    newest = image(bench)
    assert newest != before
    assert bench.ec2("DescribeImages", ImageIds=[before, newest])["Images"][0]["ImageId"] == newest
    both = bench.ec2("DescribeImages", ImageIds=[before, newest], IncludeDeprecated=True)["Images"]
    assert {one["ImageId"] for one in both} == {before, newest}
    instance(bench, ami=before)


def test_a_refused_call_changes_nothing(bench: Bench) -> None:
    made = Gateway(bench)
    before = json.dumps(bench.books)
    for one in (made.vpc, made.subnet, made.internet, made.group, made.interface):
        with pytest.raises(RefusedError):
            bench.remove(one)
    assert json.dumps(bench.books) == before
