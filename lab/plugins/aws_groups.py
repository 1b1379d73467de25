"""The stand-ins for AWS's firewall: SecurityGroup, SecurityGroupIngressRule and SecurityGroupEgressRule."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from lab.plugins import values
from lab.plugins.aws_bridged import REGION, TAGS, Ec2, Ec2Error, ask, differing
from lab.plugins.aws_validation import cidr, length
from lab.plugins.bridged import Fault, Input
from lab.plugins.calls import Call
from lab.plugins.values import Properties, plain

SOURCES = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId")
# Where an input that the bridge filled in is listed: pulumi-terraform-bridge, pkg/tfbridge/schema.go.
_DEFAULTS = "__defaults"


def _group_name(place: str, value: Any) -> list[Fault]:
    """vpc_security_group.go: at most 255 characters, and "cannot begin with sg-"."""
    too_long = length("name", 255)(place, value)
    return too_long or ([(place, "cannot begin with sg-")] if value.startswith("sg-") else [])


class SecurityGroup(Ec2):
    """`aws:ec2/securityGroup:SecurityGroup`: vpc_security_group.go; its rules are resources of their own here.

    EC2 gives every group a rule that lets everything out, and the provider takes it away "so users don't unknowingly
    have/use it". A group without a name gets one of its own, so that its successor can be made before it goes.
    """

    noun, resource, identity = "Security Group", "security-group", "GroupId"
    creates, deletes = "CreateSecurityGroup", "DeleteSecurityGroup"
    inputs = (
        Input("name", computed=True, replaces=True, validate=_group_name),
        Input("description", default="Managed by Pulumi", replaces=True, validate=length("description", 255)),
        Input("vpcId", required=True, replaces=True),
        Input("revokeRulesOnDelete", "boolean", default=False),
        TAGS,
        REGION,
    )
    outputs = ("arn", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "name": "GroupName",
        "description": "GroupDescription",
        "vpcId": "VpcId",
        "tags": "Tags",
    }

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[Fault]]:
        """As for all; and a name of seven random digits, the same at every later check (pkg/tfbridge/names.go)."""
        named = "name" in inputs
        if not named:
            kept = call.old_inputs.get("name") if _generated(call.old_inputs) else None
            inputs = inputs | {"name": kept or f"{call.name}-{secrets.token_hex(4)[:7]}"}
        given, faults = await super().check(call, inputs)
        return given if named else given | {_DEFAULTS: ["name"]}, faults

    def deletes_first(self, old: Properties, new: Properties) -> bool:
        """nameRequiresDeleteBeforeReplace, pkg/tfbridge/schema.go: where the program chose the name."""
        return not _generated(new) and old.get("name") == new.get("name")

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Without the rules that EC2 begins with."""
        identity, told = await super().make(call, inputs)
        for family, source in (("IPv4", {"CidrIpv4": "0.0.0.0/0"}), ("IPv6", {"CidrIpv6": "::/0"})):
            everything = {"GroupId": identity, "IpProtocol": "-1", **source}
            doing = f"revoking default {family} egress rule for Security Group ({identity})"
            try:
                await ask(inputs["region"], doing, "RevokeSecurityGroupEgress", **everything)
            except Ec2Error as error:
                if family == "IPv4" or error.refusal != "InvalidPermission.NotFound":
                    raise
        return identity, told


def _generated(inputs: Mapping[str, Any]) -> bool:
    return "name" in (plain(inputs.get(_DEFAULTS)) or ())


def _port(place: str, value: Any) -> list[Fault]:
    """vpc_security_group_ingress_rule.go: Between(-1, 65535)."""
    if -1 <= int(value) <= 65535:
        return []
    return [(place, f"Attribute {place} value must be between -1 and 65535, got: {int(value)}")]


class _Rule(Ec2):
    """vpc_security_group_ingress_rule.go and vpc_security_group_egress_rule.go."""

    resource, identity = "security-group-rule", "SecurityGroupRuleId"
    inputs = (
        Input("securityGroupId", required=True, replaces=True),
        Input("ipProtocol", required=True),
        Input("fromPort", "number", validate=_port),
        Input("toPort", "number", validate=_port),
        Input("cidrIpv4", validate=cidr(4)),
        Input("cidrIpv6", validate=cidr(6)),
        Input("referencedSecurityGroupId"),
        Input("description"),
        TAGS,
        REGION,
    )
    outputs = ("arn", "securityGroupRuleId", "tagsAll")
    names: ClassVar[Mapping[str, str]] = {
        "securityGroupId": "GroupId",
        "ipProtocol": "IpProtocol",
        "fromPort": "FromPort",
        "toPort": "ToPort",
        "cidrIpv4": "CidrIpv4",
        "cidrIpv6": "CidrIpv6",
        "referencedSecurityGroupId": "ReferencedGroupId",
        "description": "Description",
        "securityGroupRuleId": "SecurityGroupRuleId",
        "tags": "Tags",
    }

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[Fault]]:
        """As for all; and with every protocol "`from_port` and `to_port` should not be defined" (the docs of both)."""
        given, faults = await super().check(call, inputs)
        if plain(given.get("ipProtocol")) == "-1":
            text = "should not be defined where ip_protocol is -1, which is all ports of all protocols"
            faults += [(name, text) for name in ("fromPort", "toPort") if name in given]
        return given, faults

    def _combined(self, given: Properties) -> Iterable[Fault]:
        """ConfigValidators, in the words of hashicorp/terraform-plugin-framework-validators."""
        if len([name for name in SOURCES if given.get(name) not in (None, "")]) != 1:
            listed = "cidr_ipv4,cidr_ipv6,prefix_list_id,referenced_security_group_id"
            text = f"Exactly one of these attributes must be configured: [{listed}]"
            yield SOURCES[0], f"Invalid Attribute Combination. {text}"

    def replacing(self, changes: Mapping[str, values.Change], new: Properties) -> set[str]:
        """Besides the group, a source of another kind: "you cannot change the rule's source type" (ModifyPlan)."""
        moved = {name for name in SOURCES if changes.get(name) in ("add", "delete")}
        return super().replacing(changes, new) | moved

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:
        """Ports that nobody named and that are -1 stay unsaid: "propagate null" (Read)."""
        found = await super().look(call, identity, state)
        if found is None:
            return None
        unsaid = {name for name in ("fromPort", "toPort") if found[name] == -1 and state.get(name) is None}
        return found | dict.fromkeys(unsaid)

    async def apply(self, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        """As a whole, where anything of it differs."""
        named = ("ipProtocol", "fromPort", "toPort", *SOURCES, "description")
        if differing(state, inputs, *named) or any(name in state and name not in inputs for name in named):
            arguments = {name: value for name, value in self.arguments(inputs).items() if name != "Tags"}
            doing, action = f"updating {self.noun} ({identity})", "ModifySecurityGroupRules"
            await ask(inputs["region"], doing, action, SecurityGroupRuleId=identity, **arguments)

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """By its id, of its group."""
        where = {"GroupId": state["securityGroupId"], "SecurityGroupRuleId": identity}
        await self.gone(identity, state["region"], self.deletes, **where)


class SecurityGroupIngressRule(_Rule):
    """`aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule`."""

    noun = "VPC Security Group Ingress Rule"
    creates, deletes = "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"


class SecurityGroupEgressRule(_Rule):
    """`aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule`."""

    noun = "VPC Security Group Egress Rule"
    creates, deletes = "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress"
