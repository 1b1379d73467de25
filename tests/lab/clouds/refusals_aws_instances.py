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
    bench.ask("getInstanceTypeOfferings", **{"filters": filters, "locationType": "availability-zone"} | arguments)


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
    usual = {"filters": filters, "owners": [DEBIAN], "mostRecent": True, "includeDeprecated": True}
    bench.ask("getAmi", **usual | arguments)


def _previewed(bench: Bench, **inputs: Any) -> None:
    instance(bench, preview=True, **inputs)


def _run(bench: Bench, **arguments: Any) -> None:
    usual = {"ImageId": image(bench), "InstanceType": "t4g.nano", "NetworkInterfaceId": interface(bench).id}
    bench.ec2("RunInstances", **usual | arguments)


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
        "size of another family",
        "an instance of a type whose size other families have",
        "InvalidParameterValue: Invalid value 't4g.8xlarge' for InstanceType.",
        f"{ERRORS}; Amazon EC2 Instance Types, Instance type specifications",
        lambda bench: instance(bench, instanceType="t4g.8xlarge"),
        lambda bench: instance(bench, instanceType="m7g.8xlarge"),
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
        f"a preview of an instance with {USER_DATA + 1} bytes of user data, in one-byte and in two-byte letters",
        "expected length of user_data to be in the range (0 - 16384)",
        f"{PROVIDER}ec2_instance.go, user_data: StringLenBetween(0, 16384)",
        lambda bench: _previewed(bench, userData="#" + "ö" * (USER_DATA // 2)),
        lambda bench: _previewed(bench, userData="ö" * (USER_DATA // 2)),
    ),
    Row(
        "user data too long, at EC2",
        f"RunInstances with {USER_DATA + 1} bytes of user data",
        "InvalidParameterValue: User data is limited to 16384 bytes",
        "Amazon EC2 API Reference, RunInstances, UserData: limited to 16 KB; supergiant/capacity #148",
        lambda bench: _run(bench, UserData="#" * (USER_DATA + 1)),
        lambda bench: _run(bench, UserData="#" * USER_DATA),
    ),
    Row(
        "two who say whether to check",
        "a preview of an instance with both a primary network interface and a source/destination check of its own",
        '"primary_network_interface": conflicts with source_dest_check',
        f"{PROVIDER}ec2_instance.go, primary_network_interface: ConflictsWith (#49198)",
        lambda bench: _previewed(bench, sourceDestCheck=False),
        _previewed,
    ),
    Row(
        "metadata for far away",
        "a preview of an instance whose metadata travel 65 hops",
        "expected metadata_options.0.http_put_response_hop_limit to be in the range (1 - 64), got 65",
        f"{PROVIDER}ec2_instance.go, metadata_options.http_put_response_hop_limit: IntBetween(1, 64)",
        lambda bench: _previewed(bench, metadataOptions={"httpPutResponseHopLimit": 65}),
        lambda bench: _previewed(bench, metadataOptions={"httpPutResponseHopLimit": 64}),
    ),
    Row(
        "no hop",
        "a hop limit of 0 for the instance metadata",
        "expected metadata_options.0.http_put_response_hop_limit to be in the range (1 - 64), got 0",
        f"{PROVIDER}ec2_instance.go, metadata_options.http_put_response_hop_limit: IntBetween(1, 64)",
        lambda bench: _previewed(bench, metadataOptions={"httpPutResponseHopLimit": 0}),
        lambda bench: _previewed(bench, metadataOptions={"httpPutResponseHopLimit": 1}),
    ),
    Row(
        "metadata for far away, at EC2",
        "RunInstances with metadata that travel 65 hops",
        "InvalidParameterValue: Value (65) for parameter HttpPutResponseHopLimit is invalid.",
        "Amazon EC2 API Reference, InstanceMetadataOptionsRequest: possible values: integers from 1 to 64",
        lambda bench: _run(bench, MetadataOptions={"HttpPutResponseHopLimit": 65}),
        lambda bench: _run(bench, MetadataOptions={"HttpPutResponseHopLimit": 64}),
    ),
    Row(
        "metadata tokens as wished",
        "a preview of an instance with metadata tokens that are neither required nor optional",
        'expected metadata_options.0.http_tokens to be one of ["optional" "required"], got yes',
        f"{PROVIDER}ec2_instance.go, metadata_options.http_tokens: HttpTokensState",
        lambda bench: _previewed(bench, metadataOptions={"httpTokens": "yes"}),
        lambda bench: _previewed(bench, metadataOptions={"httpTokens": "required"}),
    ),
    Row(
        "volume of no type",
        "a preview of an instance with a root volume of type gp9",
        "expected root_block_device.0.volume_type to be one of",
        f"{PROVIDER}ec2_instance.go, root_block_device.volume_type: VolumeType",
        lambda bench: _previewed(bench, rootBlockDevice={"volumeType": "gp9"}),
        lambda bench: _previewed(bench, rootBlockDevice={"volumeType": "gp3"}),
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
        "image that is deprecated",
        "an image where all that fit are deprecated, without include_deprecated",
        "Your query returned no results.",
        "Amazon EC2 API Reference, DescribeImages, IncludeDeprecated: by default no deprecated AMIs",
        lambda bench: _ami(bench, includeDeprecated=False),
        _ami,
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
        "MissingParameter: The request must contain the parameter GroupDescription",
        f"{ERRORS}; Amazon EC2 API Reference, CreateSecurityGroup, GroupDescription: Required: Yes",
        lambda bench: bench.ec2("CreateSecurityGroup", GroupName="g", VpcId=vpc(bench).id),
        lambda bench: bench.ec2("CreateSecurityGroup", GroupName="g", VpcId=vpc(bench).id, GroupDescription="g"),
    ),
)
