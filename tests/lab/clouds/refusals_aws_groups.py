"""What the stand-in of AWS refuses of security groups and their rules."""

from lab.clouds.aws_groups import RULES
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.aws_things import (
    ERRORS,
    PROVIDER,
    QUOTAS,
    Row,
    group,
    ingress,
    interface,
    subnet,
    vpc,
)

RULE = f"{PROVIDER}vpc_security_group_ingress_rule.go"


def _groups(bench: Bench, *names: str) -> None:
    around = vpc(bench)
    for name in names:
        group(bench, around, name=name)


def _delete_group(bench: Bench, *, freed: bool) -> None:
    around = vpc(bench)
    one = group(bench, around)
    user = interface(bench, subnet(bench, around), securityGroups=[one.id])
    if freed:
        bench.remove(user)
    bench.remove(one)


def _delete_named_group(bench: Bench, *, freed: bool) -> None:
    around = vpc(bench)
    one, other = group(bench, around), group(bench, around)
    rule = ingress(bench, other, cidrIpv4=None, referencedSecurityGroupId=one.id)
    if freed:
        bench.remove(rule)
    bench.remove(one)


def _rules(bench: Bench, *ports: int) -> None:
    one = group(bench)
    for port in ports:
        ingress(bench, one, fromPort=port, toPort=port)


def _all_icmpv6(bench: Bench, first: str, second: str) -> None:
    one = group(bench)
    for source, port in ((first, None), (second, -1)):
        ingress(bench, one, ipProtocol="icmpv6", fromPort=port, toPort=port, cidrIpv4=None, cidrIpv6=source)


ROWS = (
    Row(
        "group's name taken",
        "a second security group of one name in a VPC",
        "InvalidGroup.Duplicate: The security group 'gateway' already exists",
        ERRORS,
        lambda bench: _groups(bench, "gateway", "gateway"),
        lambda bench: _groups(bench, "gateway", "gateways"),
    ),
    Row(
        "group named as an id",
        "a security group whose name begins with sg-",
        "cannot begin with sg-",
        f"{PROVIDER}vpc_security_group.go, name",
        lambda bench: _groups(bench, "sg-gateway"),
        lambda bench: _groups(bench, "gateway-sg-"),
    ),
    Row(
        "group described in Greek",
        "a security group whose description is not of the allowed characters",
        "for parameter GroupDescription is invalid",
        "Amazon EC2 API Reference, CreateSecurityGroup, GroupDescription: letters, digits, spaces and some signs",
        lambda bench: group(bench, description="γ"),
        lambda bench: group(bench, description="g"),
    ),
    Row(
        "group in use",
        "deleting a security group that a network interface has",
        "DependencyViolation: resource sg-",
        "Amazon EC2 API Reference, DeleteSecurityGroup",
        lambda bench: _delete_group(bench, freed=False),
        lambda bench: _delete_group(bench, freed=True),
    ),
    Row(
        "group that a rule names",
        "deleting a security group that another one's rule names",
        "DependencyViolation: resource sg-",
        "Amazon EC2 API Reference, DeleteSecurityGroup",
        lambda bench: _delete_named_group(bench, freed=False),
        lambda bench: _delete_named_group(bench, freed=True),
    ),
    Row(
        "same rule twice",
        "a second rule that lets the same in",
        'InvalidPermission.Duplicate: the specified rule "peer: 198.51.100.20/32, UDP, from port: 51820',
        ERRORS,
        lambda bench: _rules(bench, 51820, 51820),
        lambda bench: _rules(bench, 51820, 51821),
    ),
    Row(
        "rules enough",
        f"one rule more than {RULES} in a security group",
        "RulesPerSecurityGroupLimitExceeded",
        f"{QUOTAS}: inbound or outbound rules per security group 60",
        lambda bench: _rules(bench, *range(1, RULES + 2)),
        lambda bench: _rules(bench, *range(1, RULES + 1)),
    ),
    Row(
        "rule without ports",
        "a rule for UDP without ports",
        "Must specify both from and to ports with TCP/UDP.",
        "Amazon EC2 API Reference, AuthorizeSecurityGroupIngress: you must also specify a port or port range",
        lambda bench: ingress(bench, fromPort=None, toPort=None),
        lambda bench: ingress(bench, fromPort=0, toPort=65535),
    ),
    Row(
        "rule for ICMP without types",
        "a rule for ICMP without type and code, where ICMPv6 needs none",
        "Must specify both from and to ports with ICMP.",
        "Amazon EC2 API Reference, IpPermission: for tcp, udp, and icmp; for icmpv6, the port range is optional",
        lambda bench: ingress(bench, ipProtocol="icmp", fromPort=None, toPort=None),
        lambda bench: ingress(bench, ipProtocol="icmpv6", fromPort=None, toPort=None, cidrIpv4=None, cidrIpv6="::/0"),
    ),
    Row(
        "same rule twice, once with its ports",
        "a second rule for all ICMPv6, which names the types where the first one does not",
        'InvalidPermission.Duplicate: the specified rule "peer: ::/0, ICMPV6, from port: -1',
        "Amazon EC2 API Reference, IpPermission: without a port range all types and codes",
        lambda bench: _all_icmpv6(bench, "::/0", "::/0"),
        lambda bench: _all_icmpv6(bench, "::/0", "2001:db8::/32"),
    ),
    Row(
        "rule from two sources",
        "a rule with both an IPv4 and an IPv6 source",
        "Exactly one of these attributes must be configured: [cidr_ipv4,cidr_ipv6,prefix_list_id,",
        f"{RULE}: ExactlyOneOf",
        lambda bench: ingress(bench, cidrIpv6="::/0"),
        lambda bench: ingress(bench, cidrIpv4=None, cidrIpv6="::/0"),
    ),
    Row(
        "rule with host bits",
        "a rule from 198.51.100.20/24",
        'did you mean "198.51.100.0/24"?',
        f"{RULE}, cidr_ipv4: IPv4CIDRNetworkAddress",
        lambda bench: ingress(bench, cidrIpv4="198.51.100.20/24"),
        lambda bench: ingress(bench, cidrIpv4="198.51.100.0/24"),
    ),
    Row(
        "IPv6 as an IPv4 source",
        "a rule whose IPv4 source is an IPv6 block",
        '"2001:db8::/32" is not a valid IPv4 CIDR block',
        f"{RULE}, cidr_ipv4: IPv4CIDRNetworkAddress",
        lambda bench: ingress(bench, cidrIpv4="2001:db8::/32"),
        lambda bench: ingress(bench, cidrIpv4=None, cidrIpv6="2001:db8::/32"),
    ),
    Row(
        "IPv4 as an IPv6 source",
        "a rule whose IPv6 source is an IPv4 block",
        '"198.51.100.0/24" is not a valid IPv6 CIDR block',
        f"{RULE}, cidr_ipv6: IPv6CIDRNetworkAddress",
        lambda bench: ingress(bench, cidrIpv4=None, cidrIpv6="198.51.100.0/24"),
        lambda bench: ingress(bench, cidrIpv4="198.51.100.0/24"),
    ),
    Row(
        "rule of no group",
        "a rule of a security group that does not exist",
        "InvalidGroup.NotFound: The security group 'sg-0123456789abcdef0' does not exist",
        ERRORS,
        lambda bench: bench.make(
            "SecurityGroupIngressRule", securityGroupId="sg-0123456789abcdef0", ipProtocol="-1", cidrIpv4="0.0.0.0/0"
        ),
        ingress,
    ),
)
