"""Sites of several kinds in one mesh: kinds, and what two sites cannot share; whole reports."""

import pytest

from tests.mesh.config.configs import EXISTING, HOST_KEY, Row, clouds, faults

AWS, DO = "sites.use1.aws", "sites.fra.digitalocean"
NYC = "sites.nyc.networks.virbr0"
COLO = {"host": "use1.mesh.net", "host_key": HOST_KEY}
OTHER: dict[str, object] = {
    "address": "10.99.0.4",
    "aws": {
        "region": "us-east-1",
        "vpc": "vpc-0a1b2c3d",
        "subnet": "subnet-0a1b2c3d",
        "route_tables": ["rtb-0123456789abcdef0", "rtb-00000000"],
    },
    "networks": {"vpc": {"cidr": "10.11.0.0/16"}},
}

SPARE = {"address": "10.99.0.4", "colo": {"host": "spare.mesh.net", "host_key": HOST_KEY}}
TABLE: list[Row] = [
    (
        "a site is of one kind",
        {"sites.use1.colo": COLO},
        ["sites.use1: is of 2 kinds, colo and aws; a site is one machine, so keep one of them"],
    ),
    (
        "a site is not in two clouds",
        {
            "sites.use1.digitalocean": {"region": "fra1", "vpc_cidr": "10.10.0.0/16"},
            "sites.use1.colo": COLO,
        },
        ["sites.use1: is of 3 kinds, colo, aws and digitalocean; a site is one machine, so keep one of them"],
    ),
    (
        "a kind without a value is none",
        {AWS: None},
        [
            "sites.use1: is of no kind; give it 'colo', with the 'host' and 'host_key' of a host that exists, or 'aws'"
            " or 'digitalocean' for a machine that is to be made",
            "sites.use1.networks.vpc.interface: is missing; give the host's interface that leads to the network, for"
            " example eth1",
        ],
    ),
    (
        "a kind that is no mapping is one fault",
        {AWS: "us-east-1"},
        [f"{AWS}: expected a mapping of keys and values, found the text 'us-east-1'"],
    ),
    (
        "a cloud that is encrypted as a whole is one fault",
        {DO: {"secure": "v1:abc:def"}},
        [f"{DO}: is encrypted as a whole; encrypt only the values in it that are secret"],
    ),
    (
        "a machine in a cloud has the endpoint that the cloud gives",
        {"sites.use1.endpoint": "use1.mesh.net", "sites.fra.endpoint": "9.9.9.9:1"},
        [
            "sites.use1.endpoint: is given by AWS; leave it out",
            "sites.fra.endpoint: is given by DigitalOcean; leave it out",
        ],
    ),
    (
        "no name of a site is one that a rule of another site's firewall can have",
        {"sites.nyc-in-udp-51820-from-x": SPARE},
        [
            "sites.nyc-in-udp-51820-from-x: reads like the name of a firewall's rule, SITE-in-udp-PORT-from-SITE; take"
            " another one"
        ],
    ),
    (
        "addresses that a colo sends from are addresses",
        {"sites.nyc.colo.sends_from": ["nyc.mesh.net", "9.9.9.0/24"]},
        [
            "sites.nyc.colo.sends_from[0]: 'nyc.mesh.net' is no IP address",
            "sites.nyc.colo.sends_from[1]: '9.9.9.0/24' is no IP address",
        ],
    ),
    (
        "a route table belongs to one site",
        {**EXISTING, "sites.ohio": OTHER},
        [
            "sites.ohio.aws.route_tables: 'rtb-0123456789abcdef0' is one of sites.use1 too, and would lead to two"
            " gateways; list it at one site"
        ],
    ),
    (
        "networks of two sites in one VPC do not overlap",
        {
            **EXISTING,
            "sites.ohio": {**OTHER, "networks": {"vpc": {"cidr": "10.10.128.0/17"}}},
            "sites.ohio.aws.route_tables": None,
        },
        [
            "sites.ohio.networks.vpc.cidr: 10.10.128.0/17 overlaps sites.use1.networks.vpc.cidr (10.10.0.0/16);"
            " renumber one of them, or give both of them 'advertise_as'"
        ],
    ),
    (
        "a VPC is no other site's network, also where no network of its own is",
        {"sites.use1.networks.vpc.cidr": "10.10.1.0/24", f"{NYC}.cidr": "10.10.2.0/24"},
        [
            f"{NYC}.cidr: 10.10.2.0/24 overlaps {AWS}.vpc_cidr (10.10.0.0/16), a VPC in which packets to it would stay;"
            " renumber it, or give it 'advertise_as'"
        ],
    ),
    (
        "what a network is advertised as is not in another site's VPC",
        {"sites.use1.networks": None, "access": [], f"{NYC}.advertise_as": "10.10.2.0/24"},
        [
            f"{NYC}.advertise_as: 192.168.122.0/24, advertised as 10.10.2.0/24, overlaps {AWS}.vpc_cidr (10.10.0.0/16),"
            " a VPC in which packets to it would stay; advertise it as another prefix"
        ],
    ),
    (
        "a network around another site's VPC overlaps it",
        {"sites.use1.networks": None, "access": [], f"{NYC}.cidr": "10.10.0.0/15"},
        [
            f"{NYC}.cidr: 10.10.0.0/15 overlaps {AWS}.vpc_cidr (10.10.0.0/16), a VPC in which packets to it would stay;"
            " renumber it, or give it 'advertise_as'"
        ],
    ),
    (
        "a network that is all of another site's VPC overlaps it",
        {"sites.use1.networks": None, "access": [], f"{NYC}.cidr": "10.10.0.0/16"},
        [
            f"{NYC}.cidr: 10.10.0.0/16 overlaps {AWS}.vpc_cidr (10.10.0.0/16), a VPC in which packets to it would stay;"
            " renumber it, or give it 'advertise_as'"
        ],
    ),
    (
        "the tunnel is in no VPC, nor is an endpoint",
        {
            AWS: {"region": "us-east-1", "vpc_cidr": "10.99.0.0/16"},
            "sites.use1.networks": None,
            "access": [],
            "sites.nyc.endpoint": "10.99.9.1",
        },
        [
            f"{AWS}.vpc_cidr: 10.99.0.0/16 overlaps mesh.tunnel (10.99.0.0/24); give one of them another prefix",
            f"{AWS}.vpc_cidr: 10.99.0.0/16 contains the endpoint sites.nyc.endpoint (10.99.9.1): use1 would look for it"
            " in that network, and not outside; leave that address out of the network, or give the site another"
            " 'endpoint'",
        ],
    ),
    (
        "the tunnel's interface is none of the machine's",
        {"mesh.interface": "ens5"},
        ["sites.use1.networks.vpc.interface: 'ens5' is the tunnel's own interface (mesh.interface)"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(clouds(changes))] == report


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="a site of each kind"),
        pytest.param({"sites.use1.colo": None}, id="another kind without a value"),
        pytest.param(
            {
                "sites.x-in-udp-from": SPARE,
                "sites.in-udp-5-from-y": {
                    **SPARE,
                    "address": "10.99.0.5",
                    "colo": {"host": "y.mesh.net", "host_key": HOST_KEY},
                },
            },
            id="names near to those of rules",
        ),
        pytest.param(
            {**EXISTING, "sites.ohio": OTHER, "sites.ohio.aws.route_tables": "rtb-00000000"}, id="two gateways in a VPC"
        ),
        pytest.param(
            {"sites.use1.networks.vpc.cidr": ["10.10.1.0/24"], f"{NYC}.cidr": "10.11.0.0/24"}, id="beside a VPC"
        ),
        pytest.param(
            {
                "sites.use1.networks": None,
                "access": [],
                f"{NYC}.cidr": "10.10.0.0/15",
                f"{NYC}.advertise_as": "10.8.0.0/15",
            },
            id="a VPC's range in use elsewhere, known as another",
        ),
        pytest.param(
            {
                "sites.use1.networks.vpc": {"cidr": "10.10.0.0/16", "advertise_as": "10.12.0.0/16"},
                DO: {"region": "fra1", "vpc_cidr": "10.10.0.0/24"},
                "sites.fra.networks.vpc": {"cidr": "10.10.0.0/24", "advertise_as": "10.13.0.0/24"},
            },
            id="one range in two clouds, known as others",
        ),
        pytest.param({"ssh": {"port": 2222, "user": "ops"}}, id="defaults for colos"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(changes: dict[str, object]) -> None:
    assert faults(clouds(changes)) == ()
