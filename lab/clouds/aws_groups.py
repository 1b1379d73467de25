"""Security groups of the stand-in for AWS and their rules: what EC2 makes of them, and what it refuses."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Network

from lab.clouds.api import ApiError
from lab.clouds.aws_region import Action, Arguments, Item, Region, action, block, dependency, invalid, tagged
from mesh.model import IPNetwork

# Amazon VPC User Guide, "Amazon VPC quotas": rules of a group in one direction, for IPv4 and for IPv6 each.
RULES = 60
# AuthorizeSecurityGroupIngress, IpProtocol: names and numbers that mean the same.
PROTOCOLS: Mapping[str, str] = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
SOURCES = ("CidrIpv4", "CidrIpv6", "ReferencedGroupId")
RULE = ("IpProtocol", "FromPort", "ToPort", *SOURCES, "Description")
# CreateSecurityGroup, GroupName and GroupDescription: "up to 255 characters in length", and these.
_ALLOWED = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


@action("GroupName", "GroupDescription", "VpcId", optional=("Tags",))
def create_security_group(region: Region, arguments: Arguments) -> Item:
    """CreateSecurityGroup: a name only once in a VPC. It begins with a rule that lets everything out."""
    vpc, name = region.find("vpcs", arguments["VpcId"]), arguments["GroupName"]
    for parameter in ("GroupName", "GroupDescription"):
        if not _ALLOWED.fullmatch(arguments[parameter]):
            raise invalid(f"Value ({arguments[parameter]}) for parameter {parameter} is invalid.")
    if name.startswith("sg-"):
        raise invalid(f"Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*.")
    if name == "default":
        raise ApiError("InvalidGroup.Reserved", "The security group 'default' is reserved")
    if any(region.where("groups", VpcId=vpc["VpcId"], GroupName=name)):
        raise ApiError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc['VpcId']}'")
    known = {"VpcId": vpc["VpcId"], "GroupName": name, "GroupDescription": arguments["GroupDescription"]}
    group = region.add("groups", {**known, "Tags": tagged(arguments)})
    out = {"GroupId": group["GroupId"], "IsEgress": True, "IpProtocol": "-1"}
    region.add("rules", {**out, "CidrIpv4": "0.0.0.0/0"})
    if any(":" in cidr for cidr in vpc["Cidrs"]):
        region.add("rules", {**out, "CidrIpv6": "::/0"})
    return group


@action("GroupId")
def delete_security_group(region: Region, arguments: Arguments) -> Item:
    """DeleteSecurityGroup: not while an interface has it, or a rule of another group names it."""
    group = region.find("groups", arguments["GroupId"])
    identity = group["GroupId"]
    if group["GroupName"] == "default":
        raise ApiError("CannotDelete", f'the specified group: "{identity}" name: "default" cannot be deleted by a user')
    named = any(rule["GroupId"] != identity for rule in region.where("rules", ReferencedGroupId=identity))
    if named or any(identity in item["Groups"] for item in region.of("interfaces").values()):
        raise dependency(f"resource {identity} has a dependent object")
    for rule in list(region.where("rules", GroupId=identity)):
        region.remove("rules", rule["SecurityGroupRuleId"])
    region.remove("groups", identity)
    return {}


def _ports(arguments: Arguments, protocol: str) -> Item:
    first, last = arguments.get("FromPort"), arguments.get("ToPort")
    if protocol in ("tcp", "udp"):
        if first in (None, -1) or last in (None, -1):
            raise invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
        if not 0 <= first <= last <= 65535:
            raise invalid(f"Invalid TCP/UDP port range ({first}-{last})")
        return {"FromPort": first, "ToPort": last}
    if protocol in ("icmp", "icmpv6"):
        # IpPermission, IpProtocol: "For tcp, udp, and icmp, you must specify a port range. For icmpv6, the port range
        # is optional; if you omit the port range, traffic for all types and codes is allowed."
        if protocol == "icmp" and (first is None or last is None):
            raise invalid("Invalid value for portRange. Must specify both from and to ports with ICMP.")
        if any(each not in (None, -1) for each in (first, last)):
            text = f"the lab's security groups let all types and codes of {protocol} pass: both ports have to be -1"
            raise ApiError("Unsupported", text)
        return {"FromPort": -1, "ToPort": -1}
    return {}  # "Specifying -1 or a protocol number other than tcp, udp, icmp, or icmpv6 allows traffic on all ports"


def _rule(region: Region, group: Item, arguments: Arguments) -> Item:
    """A rule as it is kept, without id and direction. Raises ApiError where EC2 takes none like it."""
    given = str(arguments["IpProtocol"])
    protocol = PROTOCOLS.get(given, given)
    if protocol not in ("-1", "tcp", "udp", "icmp", "icmpv6"):
        # "Use a protocol number": those beyond the four are nothing that the lab lets pass
        raise invalid(f"Invalid value '{given}' for IP protocol. Unknown protocol.")
    rule: Item = {"IpProtocol": protocol, **_ports(arguments, protocol)}
    sources = [name for name in SOURCES if arguments.get(name)]
    if len(sources) != 1:
        code = "InvalidParameterCombination" if sources else "MissingParameter"
        raise ApiError(code, "Exactly one of cidrIpv4, cidrIpv6, prefixListId and referencedGroupId has to be given")
    match sources[0]:
        case "CidrIpv4":
            rule["CidrIpv4"] = str(_cidr(arguments["CidrIpv4"]))
        case "CidrIpv6":
            rule["CidrIpv6"] = str(_cidr(arguments["CidrIpv6"], IPv6Network))
        case _:
            other = region.find("groups", arguments["ReferencedGroupId"])
            if other["VpcId"] != group["VpcId"]:
                raise ApiError(
                    "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
                )
            rule["ReferencedGroupId"] = other["GroupId"]
    if arguments.get("Description"):
        if not _ALLOWED.fullmatch(arguments["Description"]):
            raise invalid(f"Invalid rule description '{arguments['Description']}'.")
        rule["Description"] = arguments["Description"]
    return rule


def _cidr(text: str, family: type[IPNetwork] | None = None) -> IPNetwork:
    try:
        return block(text, "cidr", family) if family else block(text, "cidr")
    except ApiError:
        raise invalid(f"CIDR block {text} is malformed") from None


def _same(one: Item, other: Item) -> bool:
    return all(one.get(name) == other.get(name) for name in RULE if name != "Description")


def _refuse_another(region: Region, rule: Item, besides: str | None = None) -> None:
    """Raises ApiError where the group has that rule in that direction already, or no room for it."""
    others = [
        other
        for other in region.where("rules", GroupId=rule["GroupId"], IsEgress=rule["IsEgress"])
        if other["SecurityGroupRuleId"] != besides
    ]
    if any(_same(rule, other) for other in others):
        ports = f"from port: {rule['FromPort']}, to port: {rule['ToPort']}, " if "FromPort" in rule else ""
        peer = next(rule[name] for name in SOURCES if name in rule)
        protocol = "ALL" if rule["IpProtocol"] == "-1" else rule["IpProtocol"].upper()
        raise ApiError(
            "InvalidPermission.Duplicate",
            f'the specified rule "peer: {peer}, {protocol}, {ports}ALLOW" already exists',
        )
    for family in ("CidrIpv4", "CidrIpv6"):
        if any(name in rule for name in (family, "ReferencedGroupId")):
            counted = [other for other in others if family in other or "ReferencedGroupId" in other]
            if len(counted) >= RULES:
                raise ApiError(
                    "RulesPerSecurityGroupLimitExceeded",
                    "The maximum number of rules per security group has been reached.",
                )


def _authorize(region: Region, arguments: Arguments, *, egress: bool) -> Item:
    group = region.find("groups", arguments["GroupId"])
    rule = {"GroupId": group["GroupId"], "IsEgress": egress, **_rule(region, group, arguments)}
    _refuse_another(region, rule)
    return region.add("rules", {**rule, "Tags": tagged(arguments)})


@action("GroupId", "IpProtocol", optional=(*RULE, "Tags"))
def authorize_security_group_ingress(region: Region, arguments: Arguments) -> Item:
    """AuthorizeSecurityGroupIngress, of one rule in the form that ModifySecurityGroupRules has for it."""
    return _authorize(region, arguments, egress=False)


@action("GroupId", "IpProtocol", optional=(*RULE, "Tags"))
def authorize_security_group_egress(region: Region, arguments: Arguments) -> Item:
    """AuthorizeSecurityGroupEgress, of one rule in the form that ModifySecurityGroupRules has for it."""
    return _authorize(region, arguments, egress=True)


@action("GroupId", "SecurityGroupRuleId", "IpProtocol", optional=RULE)
def modify_security_group_rules(region: Region, arguments: Arguments) -> Item:
    """ModifySecurityGroupRules, of one rule: its kind of source stays what it was."""
    group = region.find("groups", arguments["GroupId"])
    old = _rule_of(region, group, arguments["SecurityGroupRuleId"])
    new = {"GroupId": group["GroupId"], "IsEgress": old["IsEgress"], **_rule(region, group, arguments)}
    identity = old["SecurityGroupRuleId"]
    for name in SOURCES:
        if (name in old) != (name in new):
            raise invalid(
                f"Invalid rule type for security group rule '{identity}'. The type of its source cannot be modified."
            )
    _refuse_another(region, new, besides=identity)
    tags = old["Tags"]
    old.clear()
    old.update({**new, "SecurityGroupRuleId": identity, "Tags": tags})
    return old


def _rule_of(region: Region, group: Item, identity: str) -> Item:
    rule = region.find("rules", identity)
    if rule["GroupId"] != group["GroupId"]:
        raise ApiError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{identity}' does not exist")
    return rule


def _revoke(region: Region, arguments: Arguments, *, egress: bool) -> Item:
    """By id, or by what the rule says, which then has to fit exactly."""
    group = region.find("groups", arguments["GroupId"])
    if identity := arguments.get("SecurityGroupRuleId"):
        found: Iterator[Item] = iter([_rule_of(region, group, identity)])
    else:
        wanted = _rule(region, group, arguments)
        found = (rule for rule in region.where("rules", GroupId=group["GroupId"]) if _same(rule, wanted))
    rule = next((rule for rule in found if rule["IsEgress"] == egress), None)
    if rule is None:
        raise ApiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
    return region.remove("rules", rule["SecurityGroupRuleId"])


@action("GroupId", optional=("SecurityGroupRuleId", *RULE))
def revoke_security_group_ingress(region: Region, arguments: Arguments) -> Item:
    """RevokeSecurityGroupIngress, of one rule."""
    return _revoke(region, arguments, egress=False)


@action("GroupId", optional=("SecurityGroupRuleId", *RULE))
def revoke_security_group_egress(region: Region, arguments: Arguments) -> Item:
    """RevokeSecurityGroupEgress, of one rule."""
    return _revoke(region, arguments, egress=True)


ACTIONS: Mapping[str, Action] = {
    "CreateSecurityGroup": create_security_group,
    "DeleteSecurityGroup": delete_security_group,
    "AuthorizeSecurityGroupIngress": authorize_security_group_ingress,
    "AuthorizeSecurityGroupEgress": authorize_security_group_egress,
    "ModifySecurityGroupRules": modify_security_group_rules,
    "RevokeSecurityGroupIngress": revoke_security_group_ingress,
    "RevokeSecurityGroupEgress": revoke_security_group_egress,
}
