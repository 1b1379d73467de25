"""Sites at DigitalOcean: bad ones, each with its whole report, and what good ones become."""

from ipaddress import IPv4Network

import pytest

from mesh.config import parse
from mesh.model import DigitalOcean, NewVpc, Secret
from tests.mesh.config.configs import SEALED, UUID, Row, clouds, faults

DO = "sites.fra.digitalocean"
NET = "sites.fra.networks.vpc"
OLDER = {f"{DO}.vpc_cidr": None, f"{DO}.vpc": UUID}
SECOND: dict[str, object] = {
    "sites.ams": {
        "address": "10.99.0.4",
        "digitalocean": {"region": "ams3", "vpc_cidr": "10.40.0.0/22"},
        "networks": {"vpc": {"cidr": "10.40.2.0/24"}},
    },
    f"{DO}.vpc_cidr": "10.40.0.0/24",
}

TABLE: list[Row] = [
    (
        "a region and a VPC are needed",
        {DO: {}},
        [
            f"{DO}: has no VPC; give it 'vpc_cidr', the range of a new one, or 'vpc', the UUID of one that exists",
            f"{DO}.region: is missing; give the slug of the region, for example fra1",
        ],
    ),
    (
        "a region is named by its slug",
        {f"{DO}.region": "Frankfurt"},
        [f"{DO}.region: 'Frankfurt' is no region of DigitalOcean; write its slug, like fra1"],
    ),
    (
        "a region of another cloud is none",
        {f"{DO}.region": "eu-central-1"},
        [f"{DO}.region: 'eu-central-1' is no region of DigitalOcean; write its slug, like fra1"],
    ),
    (
        "a region has a number",
        {f"{DO}.region": "fra"},
        [f"{DO}.region: 'fra' is no region of DigitalOcean; write its slug, like fra1"],
    ),
    (
        "a VPC either exists or is made",
        {f"{DO}.vpc": UUID},
        [f"{DO}: has 'vpc', a VPC that exists, and 'vpc_cidr', a new one; leave one of them out"],
    ),
    (
        "a VPC that exists is named by a whole UUID",
        {**OLDER, f"{DO}.vpc": UUID[:-1]},
        [f"{DO}.vpc: '{UUID[:-1]}' is no UUID; `doctl vpcs list` shows the one of each VPC"],
    ),
    (
        "a UUID has hexadecimal digits only",
        {**OLDER, f"{DO}.vpc": f"{UUID[:-1]}g"},
        [f"{DO}.vpc: '{UUID[:-1]}g' is no UUID; `doctl vpcs list` shows the one of each VPC"],
    ),
    (
        "a VPC of another cloud is none",
        {**OLDER, f"{DO}.vpc": "vpc-0a1b2c3d"},
        [f"{DO}.vpc: 'vpc-0a1b2c3d' is no UUID; `doctl vpcs list` shows the one of each VPC"],
    ),
    (
        "a new VPC has a size that DigitalOcean takes",
        {f"{DO}.vpc_cidr": "10.40.0.0/29"},
        [f"{DO}.vpc_cidr: 10.40.0.0/29 is of no size that a VPC can have; its range is IPv4, from /16 to /28"],
    ),
    (
        "a new VPC is private",
        {f"{DO}.vpc_cidr": "100.65.0.0/16", f"{NET}.cidr": "100.65.0.0/16"},
        [
            f"{DO}.vpc_cidr: 100.65.0.0/16 is not private; DigitalOcean takes 10.0.0.0/8, 172.16.0.0/12 and"
            " 192.168.0.0/16"
        ],
    ),
    (
        "a new VPC is in none of DigitalOcean's own ranges",
        {f"{DO}.vpc_cidr": "10.244.8.0/24", f"{NET}.cidr": "10.244.8.0/24"},
        [
            f"{DO}.vpc_cidr: 10.244.8.0/24 overlaps 10.244.0.0/16, which DigitalOcean keeps for itself; take another"
            " range"
        ],
    ),
    (
        "two new VPCs of one account do not overlap, networks or not",
        SECOND,
        [
            f"{DO}.vpc_cidr: 10.40.0.0/24 overlaps sites.ams.digitalocean.vpc_cidr (10.40.0.0/22) in the same account,"
            " which DigitalOcean refuses; give one of them another range",
            f"{NET}.cidr: 10.40.0.0/24 overlaps sites.ams.digitalocean.vpc_cidr (10.40.0.0/22), a VPC in which packets"
            " to it would stay; renumber it, or give it 'advertise_as'",
        ],
    ),
    (
        "a network lies in the VPC",
        {f"{NET}.cidr": "10.40.1.0/24"},
        [f"{NET}.cidr: 10.40.1.0/24 lies outside {DO}.vpc_cidr (10.40.0.0/24); name the VPC's range, or a part of it"],
    ),
    (
        "a VPC has no IPv6, made or not",
        {**OLDER, f"{NET}.cidr": ["10.40.0.0/24", "fd40::/64"]},
        [f"{NET}.cidr: fd40::/64 is IPv6, and a VPC of DigitalOcean has IPv4 only; leave it out"],
    ),
    (
        "sizes and images have their forms",
        {f"{DO}.size": "t4g.nano", f"{DO}.image": "debian-12-x64"},
        [
            f"{DO}.size: 't4g.nano' is no size of droplets; write its slug, like s-1vcpu-1gb",
            f"{DO}.image: 'debian-12-x64' is not known here; write debian-12 or ubuntu-24.04",
        ],
    ),
    (
        "a generation is a whole number from 1 on, and a reserved address is there or not",
        {f"{DO}.generation": 1_000_000, f"{DO}.reserved_address": "yes"},
        [
            f"{DO}.generation: 1000000 is out of range; it goes from 1 to 999999",
            f"{DO}.reserved_address: expected true or false, found the text 'yes'; write true",
        ],
    ),
    (
        "a token is one word, and never shown",
        {f"{DO}.token": "dop_v1_ab cd"},
        [f"{DO}.token: is no token of DigitalOcean: letters, digits and _ without spaces, as it is shown once"],
    ),
    (
        "tags keep to what DigitalOcean takes and the program leaves",
        {f"{DO}.tags": ["web", "two words", "a.b", "Wireguard-Mesh:dev:fra", "t" * 256, "a,b", 7]},
        [
            f"{DO}.tags[1]: 'two words' contains a space; expected a tag",
            f"{DO}.tags[2]: 'a.b' is no tag; it may hold letters, digits and : - _",
            f"{DO}.tags[3]: 'Wireguard-Mesh:dev:fra' begins with 'wireguard-mesh:', which the program keeps for itself",
            f"{DO}.tags[4]: has 256 characters; a tag has at most 255",
            f"{DO}.tags[5]: 'a,b' is no tag; it may hold letters, digits and : - _",
            f"{DO}.tags[6]: expected a tag, found the number 7; put it in quotes",
        ],
    ),
    (
        "a tag in other capitals is the same",
        {f"{DO}.tags": ["web", "Web"]},
        [f"{DO}.tags: 'Web' is named twice; DigitalOcean does not tell capitals apart"],
    ),
    (
        "what belongs to AWS has no place at DigitalOcean",
        {f"{DO}.route_tables": ["rtb-0a1b2c3d"], f"{DO}.instance_type": "t4g.nano"},
        [
            f"{DO}.route_tables: unknown key; it belongs to sites.NAME.aws; known here: region, vpc_cidr, vpc, size,"
            " image, generation, reserved_address, token, tags",
            f"{DO}.instance_type: unknown key; it belongs to sites.NAME.aws; known here: region, vpc_cidr, vpc, size,"
            " image, generation, reserved_address, token, tags",
        ],
    ),
    (
        "a network whose droplets know no way back masquerades, or says how they know it",
        {f"{NET}.masquerade": False},
        [
            f"{NET}: access[0] lets other sites open flows to it, and nothing says how its hosts' answers come back;"
            " leave 'masquerade' out, which is true then, or give it 'return_route: manual' where the other droplets"
            " have the routes of the output 'fra.cloud_init'"
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(clouds(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        *(
            pytest.param({f"{DO}.vpc_cidr": cidr, f"{NET}.cidr": cidr}, id=cidr)
            for cidr in ("10.40.0.0/16", "172.31.240.0/28", "192.168.0.0/18")
        ),
        pytest.param({f"{NET}.cidr": "10.40.0.128/25"}, id="a part of the VPC"),
        pytest.param(OLDER, id="a VPC that exists"),
        pytest.param({**OLDER, f"{DO}.vpc": UUID.upper()}, id="a UUID in capitals"),
        pytest.param({**OLDER, f"{NET}.cidr": "172.20.0.0/20"}, id="a VPC whose range is not known"),
        pytest.param({f"{NET}.masquerade": False, f"{NET}.return_route": "manual"}, id="the routes are there"),
        pytest.param({f"{NET}.masquerade": False, "access.0.to": "fra"}, id="nobody opens flows to it"),
        pytest.param(
            {**SECOND, f"{DO}.token": "dop_v1_other", f"{NET}.advertise_as": "10.41.0.0/24"}, id="two accounts"
        ),
        pytest.param({**SECOND, "sites.ams.digitalocean.vpc_cidr": "10.40.2.0/24"}, id="two VPCs beside each other"),
        *(
            pytest.param({f"{DO}.size": size}, id=size)
            for size in ("s-1vcpu-1gb-amd", "c2-2vcpu-4gb", "so1_5-2vcpu-16gb", "m3-2vcpu-16gb", "c-2")
        ),
        pytest.param({f"{DO}.tags": "team:network_1-a"}, id="a single tag"),
        pytest.param({f"{DO}.tags": ["t" * 255, "wireguard-mesh"]}, id="a long tag, and one that is not ours"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(clouds(changes)) == ()


def test_whether_two_tokens_that_are_encrypted_are_of_one_account_is_unknown() -> None:
    sealed = clouds(
        {
            **SECOND,
            f"{DO}.token": SEALED,
            "sites.ams.digitalocean.token": SEALED,
            f"{NET}.advertise_as": "10.41.0.0/24",
        }
    )
    assert faults(sealed, stack_file=True) == ()


def test_a_region_and_a_range_are_enough() -> None:
    site = parse(clouds({})).site("fra")
    assert site.kind == DigitalOcean(region="fra1", vpc=NewVpc(IPv4Network("10.40.0.0/24")))
    assert (site.endpoint.host, site.endpoint.port) == (None, 51820)
    (network,) = site.networks
    assert (network.interface, network.masquerade, network.return_route) == ("eth1", True, None)


def test_everything_that_is_written_comes_with_the_droplet() -> None:
    changes: dict[str, object] = {
        **OLDER,
        f"{DO}.vpc": UUID.upper(),
        f"{DO}.size": "s-2vcpu-2gb",
        f"{DO}.image": "ubuntu-24.04",
        f"{DO}.generation": 2,
        f"{DO}.reserved_address": True,
        f"{DO}.token": "dop_v1_abc",
        f"{DO}.tags": ["web", "team:network"],
        f"{NET}.interface": "eth2",
    }
    site = parse(clouds(changes)).site("fra")
    assert site.kind == DigitalOcean(
        region="fra1",
        vpc=UUID,
        size="s-2vcpu-2gb",
        image="ubuntu-24.04",
        generation=2,
        reserved_address=True,
        token=Secret("dop_v1_abc"),
        tags=("web", "team:network"),
    )
    assert site.networks[0].interface == "eth2"


@pytest.mark.parametrize(
    ("written", "masquerades"),
    [
        ({}, True),
        ({"masquerade": True, "return_route": "manual"}, True),
        ({"masquerade": False, "return_route": "manual"}, False),
        ({"return_route": "manual"}, False),
        ({"masquerade": None}, True),
    ],
)
def test_masquerading_is_the_default_where_nothing_is_said_of_answers(
    written: dict[str, object], masquerades: bool
) -> None:
    changes = {f"{NET}.{key}": value for key, value in written.items()}
    assert parse(clouds(dict(changes))).site("fra").networks[0].masquerade is masquerades
