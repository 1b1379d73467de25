"""What the stand-in of DigitalOcean refuses of VPCs and reserved addresses."""

from tests.lab.clouds.bench import Made
from tests.lab.clouds.digitalocean_bench import Bench
from tests.lab.clouds.digitalocean_rows import (
    OPENAPI,
    PROVIDER,
    Row,
    assigned,
    droplet,
    reserved,
    vpc,
)

RESERVED_LIMITS = "docs.digitalocean.com/products/networking/reserved-ips/details/limits"


def _in_it(bench: Bench) -> Made:
    made = vpc(bench)
    droplet(bench, vpcUuid=made.id)
    return made


def _only(bench: Bench) -> Made:
    bench.account.forget_default("fra1")
    return vpc(bench)


def _twice_assigned(bench: Bench) -> None:
    machine = droplet(bench)
    for _ in range(2):
        assigned(bench, machine)


def _assigned_one(bench: Bench, *, unassign: bool) -> None:
    address = reserved(bench)
    assignment = assigned(bench, droplet(bench), address)
    if unassign:
        bench.remove(assignment)
    bench.remove(address)


def _gone_before_its_assignment(bench: Bench, *, in_order: bool) -> None:
    machine = droplet(bench)
    assignment = assigned(bench, machine)
    for made in (assignment, machine) if in_order else (machine, assignment):
        bench.remove(made)


ROWS = (
    Row(
        "a VPC's name is taken",
        "a VPC with the name of another one, in whatever region",
        "POST https://api.digitalocean.com/v2/vpcs: 422 a VPC with the same name already exists",
        OPENAPI + "vpcs/models/vpc.yml, name",
        lambda bench: (vpc(bench), vpc(bench, region="ams3", ipRange="10.41.0.0/24")),
        lambda bench: (vpc(bench), vpc(bench, name="stack-ams", region="ams3", ipRange="10.41.0.0/24")),
    ),
    Row(
        "a VPC's range overlaps",
        "a VPC whose range overlaps that of another one, in another region",
        "422 This range/size overlaps with another VPC network in your account: stack-fra 10.40.0.0/24.",
        OPENAPI + "vpcs/models/vpc.yml, ip_range",
        lambda bench: (vpc(bench), vpc(bench, name="other", region="ams3", ipRange="10.40.0.128/25")),
        lambda bench: (vpc(bench), vpc(bench, name="other", region="ams3", ipRange="10.40.1.0/25")),
    ),
    Row(
        "a VPC's range is reserved",
        "a VPC in a range that DigitalOcean keeps for itself",
        "422 ip_range 10.244.8.0/24 overlaps with a range that is reserved",
        "docs.digitalocean.com/products/networking/vpc/concepts/plan-your-network",
        lambda bench: vpc(bench, ipRange="10.244.8.0/24"),
        lambda bench: vpc(bench, ipRange="10.243.8.0/24"),
    ),
    Row(
        "a VPC's range is too large",
        "a VPC with a /15",
        "422 ip_range 10.40.0.0/15 may not be smaller than /28 nor larger than /16",
        OPENAPI + "vpcs/models/vpc.yml, ip_range",
        lambda bench: vpc(bench, ipRange="10.40.0.0/15"),
        lambda bench: vpc(bench, ipRange="10.40.0.0/16"),
    ),
    Row(
        "a VPC's range is too small",
        "a VPC with a /29",
        "422 ip_range 10.40.0.0/29 may not be smaller than /28 nor larger than /16",
        OPENAPI + "vpcs/models/vpc.yml, ip_range",
        lambda bench: vpc(bench, ipRange="10.40.0.0/29"),
        lambda bench: vpc(bench, ipRange="10.40.0.0/28"),
    ),
    Row(
        "a VPC's range is public",
        "a VPC with addresses that are not private",
        "422 ip_range 198.51.100.0/24 is not in the range of private addresses as defined in RFC1918",
        OPENAPI + "vpcs/models/vpc.yml, ip_range",
        lambda bench: vpc(bench, ipRange="198.51.100.0/24"),
        lambda bench: vpc(bench, ipRange="172.31.0.0/24"),
    ),
    Row(
        "a VPC's range is no CIDR",
        "a VPC with a range that cannot be",
        'expected "ip_range" to be a valid IPv4 Value, got 10.40.0.0/33: invalid CIDR address',
        PROVIDER + "vpc/resource_vpc.go, ip_range, IsCIDR",
        lambda bench: bench.make("Vpc", preview=True, name="a", region="fra1", ipRange="10.40.0.0/33"),
        lambda bench: bench.make("Vpc", preview=True, name="a", region="fra1", ipRange="10.40.0.0/28"),
    ),
    Row(
        "a VPC has members",
        "removing a VPC that a droplet is in",
        "409 Can not delete VPC with members",
        "github.com/pulumi/pulumi-digitalocean/issues/753; " + OPENAPI + "vpcs/vpcs_delete.yml has 403",
        lambda bench: bench.remove(_in_it(bench)),
        lambda bench: bench.remove(vpc(bench)),
    ),
    Row(
        "a region's default VPC",
        "removing the first VPC of a region, which became its default",
        "403 Can not delete default VPCs",
        OPENAPI + "vpcs/vpcs_create.yml and vpcs_delete.yml",
        lambda bench: bench.remove(_only(bench)),
        lambda bench: bench.remove(vpc(bench)),
    ),
    Row(
        "a VPC without a region",
        "a required property left out",
        'Missing required argument. The argument "region" is required',
        PROVIDER + "vpc/resource_vpc.go, region, Required",
        lambda bench: bench.make("Vpc", preview=True, name="a"),
        lambda bench: bench.make("Vpc", preview=True, name="a", region="fra1"),
    ),
    Row(
        "a fourth reserved address",
        "more reserved addresses than an account has by default",
        "422 this account has its 3 reserved IPs, its limit",
        RESERVED_LIMITS,
        lambda bench: [reserved(bench) for _ in range(4)],
        lambda bench: [reserved(bench) for _ in range(3)],
    ),
    Row(
        "a reserved address of another region",
        "assigning a reserved address to a droplet in another region",
        "422 the reserved IP is in ams3, the Droplet in fra1",
        "docs.digitalocean.com/products/networking/reserved-ips/details/availability",
        lambda bench: assigned(bench, droplet(bench), reserved(bench, "ams3")),
        lambda bench: assigned(bench, droplet(bench), reserved(bench, "fra1")),
    ),
    Row(
        "a second reserved address",
        "assigning a reserved address to a droplet that has one",
        "422 Droplet already has a reserved IP",
        RESERVED_LIMITS,
        _twice_assigned,
        lambda bench: assigned(bench, droplet(bench)),
    ),
    Row(
        "a droplet that is not there",
        "assigning a reserved address to no droplet",
        "https://api.digitalocean.com/v2/droplets/3164494/actions: 404 The resource you requested could not be found",
        PROVIDER + "reservedip/reserved_ip_actions.go, waitOnDroplet",
        lambda bench: assigned(bench, 3164494),
        lambda bench: assigned(bench, droplet(bench)),
    ),
    Row(
        "a reserved address in use",
        "giving back a reserved address that is assigned",
        "422 assigned reserved IP cannot be released",
        "github.com/digitalocean/terraform-provider-digitalocean/pull/1277 (of IPv6)",
        lambda bench: _assigned_one(bench, unassign=False),
        lambda bench: _assigned_one(bench, unassign=True),
    ),
    Row(
        "an assignment after its droplet",
        "removing the assignment of a reserved address whose droplet is gone",
        "invalid memory address or nil pointer dereference",
        PROVIDER + "reservedip/resource_reserved_ip_assignment.go, Delete",
        lambda bench: _gone_before_its_assignment(bench, in_order=False),
        lambda bench: _gone_before_its_assignment(bench, in_order=True),
    ),
)
