"""The stand-in for pulumi-aws: the resources and the function that a site is made of, on the lab's own account."""

import asyncio
import re

from lab.plugins.aws_addresses import Eip, EipAssociation, NetworkInterface
from lab.plugins.aws_groups import SecurityGroup, SecurityGroupEgressRule, SecurityGroupIngressRule
from lab.plugins.aws_instances import Instance, get_ami, get_instance_type_offerings
from lab.plugins.aws_routes import Route, RouteTable, RouteTableAssociation
from lab.plugins.aws_vpc import InternetGateway, Subnet, Vpc
from lab.plugins.base import Provider, Resource
from lab.plugins.serving import serve
from lab.plugins.values import Properties, plain, unknown
from lab.plugins.versions import AWS

# What of the provider's configuration the lab's account takes; it asks nobody for credentials.
_CONFIG = {"region", "profile", "assumeRoles", "skipCredentialsValidation", "skipRegionValidation", "version"}
_CONFIG |= {"skipMetadataApiCheck"}
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]{1,512}")


class Aws(Provider):
    """The plugin."""

    def config_faults(self, config: Properties) -> list[tuple[str, str]]:
        """A property that the account does not know, or no region (provider/config.go: errors/no_region.txt)."""
        faults = [(name, f"the lab's account has no {name}") for name in sorted({*config} - _CONFIG)]
        if not config.get("region"):
            faults.append(("region", "Missing region configuration"))
        roles = plain(config.get("assumeRoles"))
        if isinstance(roles, list) and not unknown(config.get("assumeRoles")):
            for role in roles:
                if not _ROLE.fullmatch(str(role.get("roleArn", ""))):
                    faults.append(("assumeRoles", f'"{role.get("roleArn", "")}" is not a valid ARN of a role'))
        return faults


def provider() -> Aws:
    """The plugin, as the engine starts it."""
    ec2 = [Vpc, InternetGateway, Subnet, RouteTable, RouteTableAssociation, Route, Eip, EipAssociation, SecurityGroup]
    ec2 += [NetworkInterface, Instance]
    resources: dict[str, Resource] = {f"ec2:{kind.__name__}": kind() for kind in ec2}
    resources |= {f"vpc:{kind.__name__}": kind() for kind in (SecurityGroupIngressRule, SecurityGroupEgressRule)}
    functions = {"ec2:getAmi": get_ami, "ec2:getInstanceTypeOfferings": get_instance_type_offerings}
    return Aws(AWS, resources, functions)


def main() -> None:
    """Serves the engine."""
    asyncio.run(serve(provider))
