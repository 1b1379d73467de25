"""Sites on AWS: bad ones, each with its whole report, and what good ones become."""

from ipaddress import IPv4Network

import pytest

from mesh.config import parse
from mesh.model import Aws, ExistingVpc, NewVpc
from tests.mesh.config.configs import EXISTING, Row, clouds, faults

AWS = "sites.use1.aws"
NET = "sites.use1.networks.vpc"
FORM = "8 or 17 hexadecimal digits in lower case"
BOTH = f"{AWS}: has 'vpc', a VPC that exists, and 'vpc_cidr', a new one; leave one of them out"
PART = (
    "belongs to a VPC that exists, and 'vpc_cidr' makes a new one; leave it out, or write 'vpc' in place of 'vpc_cidr'"
)

ELSEWHERE: list[Row] = [
    (
        f"a region of another partition is refused: {region}",
        {f"{AWS}.region": region},
        [
            f"{AWS}.region: '{region}' is of another partition of AWS (GovCloud, China, a sovereign or a secret"
            " one), where the publishers of images are others than those known here; take a region of the"
            " commercial one, like us-east-1"
        ],
    )
    for region in ("us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1", "eu-isoe-west-1")
]
TABLE: list[Row] = [
    (
        "a region and a VPC are needed",
        {AWS: {}},
        [
            f"{AWS}: has no VPC; give it 'vpc_cidr', the range of a new one, or 'vpc' and 'subnet' of one that exists",
            f"{AWS}.region: is missing; name the region, for example us-east-1",
        ],
    ),
    (
        "a region has the form of one",
        {f"{AWS}.region": "us-east"},
        [f"{AWS}.region: 'us-east' is no region of AWS; write it like us-east-1"],
    ),
    (
        "a region is no name of a place",
        {f"{AWS}.region": "US-East-1"},
        [f"{AWS}.region: 'US-East-1' is no region of AWS; write it like us-east-1"],
    ),
    (
        "a region of another cloud is none",
        {f"{AWS}.region": "fra1"},
        [f"{AWS}.region: 'fra1' is no region of AWS; write it like us-east-1"],
    ),
    (
        "an availability zone is answered with its region",
        {f"{AWS}.region": "eu-central-1b"},
        [f"{AWS}.region: 'eu-central-1b' is an availability zone; its region is eu-central-1"],
    ),
    *ELSEWHERE,
    (
        "a role is in the same partition as the region",
        {f"{AWS}.role": "arn:aws-us-gov:iam::123456789012:role/mesh"},
        [
            f"{AWS}.role: 'arn:aws-us-gov:iam::123456789012:role/mesh' is no ARN of a role; write it like"
            " arn:aws:iam::123456789012:role/NAME"
        ],
    ),
    (
        "a VPC either exists or is made",
        {**EXISTING, f"{AWS}.vpc_cidr": "10.10.0.0/16"},
        [BOTH],
    ),
    (
        "which of two VPCs a network is to lie in is not known",
        {**EXISTING, f"{AWS}.vpc_cidr": "10.77.0.0/16"},
        [BOTH],
    ),
    (
        "what belongs to a VPC that exists has no place beside a new one",
        {f"{AWS}.subnet": "subnet-0a1b2c3d", f"{AWS}.route_tables": "rtb-0a1b2c3d"},
        [f"{AWS}.subnet: {PART}", f"{AWS}.route_tables: {PART}"],
    ),
    (
        "a VPC that exists takes a subnet",
        {**EXISTING, f"{AWS}.subnet": None},
        [f"{AWS}.subnet: is missing; give the subnet of the VPC that the gateway is to lie in, a public one"],
    ),
    (
        "a subnet alone names no VPC",
        {**EXISTING, f"{AWS}.vpc": None, f"{AWS}.route_tables": None},
        [f"{AWS}.vpc: is missing; name the VPC in which subnet lies"],
    ),
    (
        "nor do a subnet and route tables",
        {**EXISTING, f"{AWS}.vpc": None},
        [f"{AWS}.vpc: is missing; name the VPC in which subnet and route_tables lie"],
    ),
    (
        "the ids of VPC, subnet and route tables have their forms",
        {
            **EXISTING,
            f"{AWS}.vpc": "vpc-0a1b2c3",
            f"{AWS}.subnet": "vpc-0a1b2c3d",
            f"{AWS}.route_tables": ["rtb-0A1B2C3D", "rtb-0123456789abcdef", "rtb-0a1b2c3d"],
        },
        [
            f"{AWS}.vpc: 'vpc-0a1b2c3' is no id of a VPC: that is 'vpc-' and {FORM}",
            f"{AWS}.subnet: 'vpc-0a1b2c3d' is no id of a subnet: that is 'subnet-' and {FORM}",
            f"{AWS}.route_tables[0]: 'rtb-0A1B2C3D' is no id of a route table: that is 'rtb-' and {FORM}",
            f"{AWS}.route_tables[1]: 'rtb-0123456789abcdef' is no id of a route table: that is 'rtb-' and {FORM}",
        ],
    ),
    (
        "a route table is named once",
        {**EXISTING, f"{AWS}.route_tables": ["rtb-0a1b2c3d", "rtb-0a1b2c3d"]},
        [f"{AWS}.route_tables: 'rtb-0a1b2c3d' is named twice"],
    ),
    (
        "no route tables at all is no list of them",
        {**EXISTING, f"{AWS}.route_tables": []},
        [f"{AWS}.route_tables: is an empty list; leave the key out, or give it a value"],
    ),
    (
        "a new VPC has a size that AWS takes, in IPv4",
        {f"{AWS}.vpc_cidr": "10.10.0.0/15"},
        [f"{AWS}.vpc_cidr: 10.10.0.0/15 is of no size that a VPC can have; its range is IPv4, from /16 to /28"],
    ),
    (
        "a VPC is not too small",
        {f"{AWS}.vpc_cidr": "10.10.0.0/29"},
        [f"{AWS}.vpc_cidr: 10.10.0.0/29 is of no size that a VPC can have; its range is IPv4, from /16 to /28"],
    ),
    (
        "a VPC is not IPv6, nor are its networks",
        {f"{AWS}.vpc_cidr": "fd10::/56"},
        [f"{AWS}.vpc_cidr: fd10::/56 is IPv6; its range is IPv4, from /16 to /28"],
    ),
    (
        "a network lies in the VPC",
        {f"{NET}.cidr": "10.11.0.0/16"},
        [f"{NET}.cidr: 10.11.0.0/16 lies outside {AWS}.vpc_cidr (10.10.0.0/16); name the VPC's range, or a part of it"],
    ),
    (
        "a network is not more than the VPC",
        {f"{AWS}.vpc_cidr": "10.10.0.0/17"},
        [f"{NET}.cidr: 10.10.0.0/16 lies outside {AWS}.vpc_cidr (10.10.0.0/17); name the VPC's range, or a part of it"],
    ),
    (
        "a new VPC has no IPv6",
        {f"{NET}.cidr": ["10.10.0.0/16", "fd10::/64"]},
        [
            f"{NET}.cidr: fd10::/64 is IPv6, and a VPC that is made has IPv4 only; leave it out, or name a VPC that"
            " has both"
        ],
    ),
    (
        "architectures and images are those that there are",
        {f"{AWS}.architecture": "amd64", f"{AWS}.image": "debian"},
        [
            f"{AWS}.architecture: 'amd64' is not known here; write arm64 or x86_64",
            f"{AWS}.image: 'debian' is not known here; write debian-12 or ubuntu-24.04",
        ],
    ),
    (
        "a generation is a whole number from 1 on",
        {f"{AWS}.generation": 0},
        [f"{AWS}.generation: 0 is out of range; it goes from 1 to 999999"],
    ),
    (
        "a generation is no text",
        {f"{AWS}.generation": "2"},
        [f"{AWS}.generation: expected a whole number from 1 to 999999, found the text '2'; leave the quotes out"],
    ),
    (
        "a role is named by its ARN, and a profile by a word",
        {f"{AWS}.role": "arn:aws:iam::12345:role/mesh", f"{AWS}.profile": "two words"},
        [
            f"{AWS}.role: 'arn:aws:iam::12345:role/mesh' is no ARN of a role; write it like"
            " arn:aws:iam::123456789012:role/NAME",
            f"{AWS}.profile: 'two words' contains a space; expected the name of a profile",
        ],
    ),
    (
        "what belongs to a colo has no place at a machine in a cloud",
        {f"{AWS}.host": "use1.mesh.net", f"{AWS}.reigon": "us-east-1"},
        [
            f"{AWS}.host: unknown key; it belongs to sites.NAME.colo; known here: region, vpc_cidr, vpc, subnet,"
            " route_tables, instance_type, architecture, image, generation, profile, role, tags",
            f"{AWS}.reigon: unknown key; did you mean 'region'?",
        ],
    ),
    (
        "a network in a VPC that exists comes back by route tables, and they were not named",
        {**EXISTING, f"{AWS}.route_tables": None},
        [
            f"{NET}: access[1] lets other sites open flows to it, and nothing says how its hosts' answers come back;"
            " list the VPC's 'route_tables', or give it 'masquerade: true'"
        ],
    ),
    (
        "route tables that cannot be read are one fault",
        {**EXISTING, f"{AWS}.route_tables": "rtb"},
        [f"{AWS}.route_tables: 'rtb' is no id of a route table: that is 'rtb-' and {FORM}"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(clouds(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        *(
            pytest.param({f"{AWS}.region": region}, id=region)
            for region in ("us-west-2", "ap-southeast-2", "ca-central-1", "il-central-1", "mx-central-1")
        ),
        *(
            pytest.param({f"{AWS}.vpc_cidr": cidr, f"{NET}.cidr": cidr}, id=cidr)
            for cidr in ("10.10.0.0/16", "10.10.0.0/28", "100.65.0.0/20")
        ),
        pytest.param({f"{NET}.cidr": "10.10.3.0/24"}, id="a part of the VPC"),
        pytest.param(EXISTING, id="a VPC that exists"),
        pytest.param({**EXISTING, f"{NET}.cidr": ["10.10.0.0/16", "fd10::/64"]}, id="IPv6 in a VPC that exists"),
        pytest.param({**EXISTING, f"{NET}.cidr": "192.168.5.0/24"}, id="a VPC whose range is not known"),
        pytest.param({**EXISTING, f"{AWS}.route_tables": "rtb-0a1b2c3d"}, id="one route table"),
        pytest.param({**EXISTING, f"{AWS}.route_tables": None, f"{NET}.masquerade": True}, id="masquerade"),
        pytest.param({**EXISTING, f"{AWS}.route_tables": None, f"{NET}.return_route": "manual"}, id="by hand"),
        pytest.param({**EXISTING, f"{AWS}.route_tables": None, "access": []}, id="nobody opens flows to it"),
        pytest.param({f"{AWS}.role": "arn:aws:iam::123456789012:role/ops/mesh@team"}, id="a role with a path"),
        pytest.param({f"{AWS}.generation": 999_999}, id="the last generation"),
        pytest.param({f"{AWS}.vpc": None}, id="a key without a value"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(clouds(changes)) == ()


def test_a_region_and_a_range_are_enough() -> None:
    site = parse(clouds({})).site("use1")
    assert site.kind == Aws(region="us-east-1", vpc=NewVpc(IPv4Network("10.10.0.0/16")))
    assert (site.endpoint.host, site.endpoint.port, site.listen_port) == (None, 51820, 51820)
    (network,) = site.networks
    assert (network.interface, network.masquerade, network.return_route) == ("ens5", False, None)


def test_everything_that_is_written_comes_with_the_instance() -> None:
    changes: dict[str, object] = {
        **EXISTING,
        f"{AWS}.instance_type": "c7i.large",
        f"{AWS}.architecture": "x86_64",
        f"{AWS}.image": "ubuntu-24.04",
        f"{AWS}.generation": 3,
        f"{AWS}.profile": "mesh",
        f"{AWS}.role": "arn:aws:iam::123456789012:role/mesh",
        f"{AWS}.tags": {"team": "network", "Cost Center": ""},
        f"{NET}.interface": "ens6",
        f"{NET}.masquerade": True,
        "sites.use1.listen_port": 443,
    }
    site = parse(clouds(changes)).site("use1")
    assert site.kind == Aws(
        region="us-east-1",
        vpc=ExistingVpc("vpc-0a1b2c3d", "subnet-0123456789abcdef0", ("rtb-0a1b2c3d", "rtb-0123456789abcdef0")),
        instance_type="c7i.large",
        architecture="x86_64",
        image="ubuntu-24.04",
        generation=3,
        profile="mesh",
        role="arn:aws:iam::123456789012:role/mesh",
        tags=(("Cost Center", ""), ("team", "network")),
    )
    assert site.endpoint.port == 443
    assert (site.networks[0].interface, site.networks[0].masquerade) == ("ens6", True)
