"""What the stand-in of AWS refuses of instances, images, tags and parameters."""

from typing import Any

from lab.clouds.aws_instances import USER_DATA
from tests.lab.clouds.aws_bench import Bench
from tests.lab.clouds.aws_things import (
    DEBIAN,
    ERRORS,
    PROVIDER,
    Row,
    image,
    instance,
    interface,
    subnet,
    vpc,
)

UNSUPPORTED = "repost.aws/knowledge-center/ec2-instance-type-not-supported-az-error"


def _in_zone(bench: Bench, letter: str) -> None:
    """A subnet that names no zone lies in us-east-1e, as it may in AWS."""
    within = bench.make("Subnet", vpcId=vpc(bench).id, cidrBlock="10.10.0.0/24", **_zone(letter))
    instance(bench, interface(bench, within))


def _zone(letter: str) -> dict[str, Any]:
    return {"availabilityZone": f"us-east-1{letter}"} if letter else {}


def _offerings(bench: Bench, **arguments: Any) -> None:
    filters = [{"name": "instance-type", "values": ["t4g.nano"]}]
    bench.invoke("getInstanceTypeOfferings", **{"filters": filters, "locationType": "availability-zone"} | arguments)


def _two_instances(bench: Bench, *, on_one: bool) -> None:
    around = subnet(bench)
    first, second = interface(bench, around), interface(bench, around)
    instance(bench, first)
    instance(bench, first if on_one else second)


def _terminate(bench: Bench, *, protected: bool) -> None:
    bench.remove(instance(bench, disableApiTermination=protected))


def _modify(bench: Bench, *, stopped: bool) -> None:
    one = instance(bench)
    if stopped:
        bench.ec2("StopInstances", InstanceId=one.id)
    bench.ec2("ModifyInstanceAttribute", InstanceId=one.id, InstanceType="t4g.micro")


def _ami(bench: Bench, **arguments: Any) -> None:
    filters = [{"name": "architecture", "values": ["arm64"]}]
    bench.invoke("getAmi", **{"filters": filters, "owners": [DEBIAN], "mostRecent": True} | arguments)


ROWS = (
    Row(
        "second instance on an interface",
        "a second instance with one network interface",
        "InvalidNetworkInterface.InUse: Interface: [eni-",
        f"{ERRORS}; hashicorp/terraform-provider-aws #27513",
        lambda bench: _two_instances(bench, on_one=True),
        lambda bench: _two_instances(bench, on_one=False),
    ),
    Row(
        "other processors",
        "an instance of arm64 with an image for x86_64",
        "The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64'",
        "skypilot-org/skypilot #6315",
        lambda bench: instance(bench, ami=image(bench, "x86_64")),
        lambda bench: instance(bench, ami=image(bench, "x86_64"), instanceType="t3.nano"),
    ),
    Row(
        "no such instance type",
        "an instance of a type that does not exist",
        "InvalidParameterValue: Invalid value 't4g.pico' for InstanceType.",
        ERRORS,
        lambda bench: instance(bench, instanceType="t4g.pico"),
        lambda bench: instance(bench, instanceType="t4g.micro"),
    ),
    Row(
        "zone without the instance type",
        "an instance in a zone that does not have its type",
        "Unsupported: Your requested instance type (t4g.nano) is not supported in your requested Availability Zone",
        f"{UNSUPPORTED}; ansible/ansible #67425",
        lambda bench: _in_zone(bench, "e"),
        lambda bench: _in_zone(bench, "a"),
    ),
    Row(
        "zone that nobody chose",
        "an instance in a subnet that was made without naming a zone, where AWS took one without its type",
        "(us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a",
        f"{UNSUPPORTED}; input-output-hk/bitte #136",
        lambda bench: _in_zone(bench, ""),
        lambda bench: _in_zone(bench, "c"),
    ),
    Row(
        "where types are offered, by nothing",
        "where an instance type is offered, by a kind of place that there is not",
        "expected location_type to be one of",
        f"{PROVIDER}ec2_instance_type_offerings_data_source.go, location_type",
        lambda bench: _offerings(bench, locationType="zone"),
        _offerings,
    ),
    Row(
        "no such image",
        "an instance of an image that its region does not have",
        "InvalidAMIID.NotFound: The image id '[ami-",
        f"{ERRORS}: ensure that you specify the AWS Region in which the AMI is located",
        lambda bench: instance(bench, ami=image(bench, region="eu-west-1")),
        lambda bench: instance(bench, ami=image(bench, region="us-east-1")),
    ),
    Row(
        "user data too long",
        f"an instance with {USER_DATA + 1} bytes of user data",
        "User data is limited to 16384 bytes",
        "Amazon EC2 API Reference, RunInstances, UserData: limited to 16 KB",
        lambda bench: instance(bench, userData="#" * (USER_DATA + 1)),
        lambda bench: instance(bench, userData="#" * USER_DATA),
    ),
    Row(
        "metadata for far away",
        "metadata that travels 65 hops",
        "InvalidParameterValue: Value (65) for parameter HttpPutResponseHopLimit is invalid.",
        "Amazon EC2 API Reference, InstanceMetadataOptionsRequest: possible values: integers from 1 to 64",
        lambda bench: instance(bench, metadataOptions={"httpPutResponseHopLimit": 65}),
        lambda bench: instance(bench, metadataOptions={"httpPutResponseHopLimit": 64}),
    ),
    Row(
        "metadata tokens as wished",
        "metadata tokens that are neither required nor optional",
        "InvalidParameterValue: Value (yes) for parameter HttpTokens is invalid.",
        "Amazon EC2 API Reference, InstanceMetadataOptionsRequest: optional | required",
        lambda bench: instance(bench, metadataOptions={"httpTokens": "yes"}),
        lambda bench: instance(bench, metadataOptions={"httpTokens": "required"}),
    ),
    Row(
        "root volume too small",
        "a root volume that is smaller than the image",
        "InvalidBlockDeviceMapping",
        ERRORS,
        lambda bench: instance(bench, rootBlockDevice={"volumeSize": 4}),
        lambda bench: instance(bench, rootBlockDevice={"volumeSize": 8}),
    ),
    Row(
        "instance type while it runs",
        "another instance type for an instance that is not stopped",
        "IncorrectInstanceState",
        f"{ERRORS}: some instance attributes can only be modified if the instance is in a 'stopped' state",
        lambda bench: _modify(bench, stopped=False),
        lambda bench: _modify(bench, stopped=True),
    ),
    Row(
        "protected instance",
        "terminating an instance that is protected against it",
        "OperationNotPermitted",
        ERRORS,
        lambda bench: _terminate(bench, protected=True),
        lambda bench: _terminate(bench, protected=False),
    ),
    Row(
        "reserved tag",
        "a tag that begins with aws:",
        "Tag keys starting with 'aws:' are reserved",
        "Amazon EC2 User Guide, Tag restrictions",
        lambda bench: vpc(bench, tags={"aws:name": "a"}),
        lambda bench: vpc(bench, tags={"name:aws": "a"}),
    ),
    Row(
        "image of nobody's",
        "the most recent image of whatever owner",
        "a third party may introduce a new image",
        "pulumi_aws.ec2.get_ami, allow_unsafe_filter",
        lambda bench: _ami(bench, owners=[]),
        _ami,
    ),
    Row(
        "one image of many",
        "an image where more than one fits",
        "Your query returned more than one result.",
        f"{PROVIDER}ec2_ami_data_source.go",
        lambda bench: _ami(bench, mostRecent=False),
        _ami,
    ),
    Row(
        "image that nobody made",
        "an image where none fits",
        "Your query returned no results.",
        f"{PROVIDER}ec2_ami_data_source.go",
        lambda bench: _ami(bench, nameRegex="^debian-11-"),
        lambda bench: _ami(bench, nameRegex="^debian-12-"),
    ),
    Row(
        "no such parameter",
        "a parameter that EC2 does not know",
        "UnknownParameter: The parameter CidrBlok is not recognized",
        ERRORS,
        lambda bench: bench.ec2("CreateVpc", CidrBlok="10.0.0.0/16"),
        lambda bench: bench.ec2("CreateVpc", CidrBlock="10.0.0.0/16"),
    ),
    Row(
        "parameter missing",
        "a security group without a description",
        "MissingParameter: The request must contain the parameter Description",
        ERRORS,
        lambda bench: bench.ec2("CreateSecurityGroup", GroupName="g", VpcId=vpc(bench).id),
        lambda bench: bench.ec2("CreateSecurityGroup", GroupName="g", VpcId=vpc(bench).id, Description="g"),
    ),
)
