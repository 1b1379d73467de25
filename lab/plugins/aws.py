"""The stand-in for pulumi-aws: the resources and the function that a site is made of, on the lab's own account."""

import asyncio
import json
import re
from typing import Any

from lab.clouds.aws_region_list import REGIONS, no_such_host
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
        elif not unknown(config["region"]):
            faults += _region_faults(plain(config["region"]), config)
        for role in _read(config, "assumeRoles", []):
            if not _ROLE.fullmatch(str(role.get("roleArn", ""))):
                faults.append(("assumeRoles", f'"{role.get("roleArn", "")}" is not a valid ARN of a role'))
        return faults


def _read(config: Properties, name: str, default: Any) -> Any:
    """A property that is no string: the SDK sends it as JSON. The default where it is not there, or not known yet."""
    value = config.get(name)
    if value is None or unknown(value):
        return default
    value = plain(value)
    return json.loads(value) if isinstance(value, str) else value


def _region_faults(region: str, config: Properties) -> list[tuple[str, str]]:
    """What a region that does not exist is refused with: pulumi-aws leaves out the provider's list of regions.

    pulumi/pulumi-aws, provider/provider.go: skip_region_validation is true unless it is said otherwise; where the list
    is asked, the text is that of hashicorp/aws-sdk-go-base v2, validation/region.go. What finds it out is then
    validateCredentials in provider/config.go, which asks STS in that region.
    """
    if region in REGIONS:
        return []
    if not _read(config, "skipRegionValidation", default=True):
        return [("", f"Invalid AWS Region: {region}")]
    if _read(config, "skipCredentialsValidation", default=False):
        return []
    asked = "validating provider credentials: retrieving caller identity from STS: operation error STS:"
    sent = "GetCallerIdentity, https response error StatusCode: 0, RequestID: , request send failed"
    details = f"{asked} {sent}, {no_such_host('sts', region)}"
    return [("", f"unable to validate AWS credentials.\nDetails: {details}\n")]


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
