"""Instance types on AWS and the architecture that fits each: bad ones with their whole reports, and good ones."""

import pytest

from mesh.config.aws import architecture_of
from tests.mesh.config.configs import Row, clouds, faults

AWS = "sites.use1.aws"

TABLE: list[Row] = [
    (
        "an instance type has the form of one",
        {f"{AWS}.instance_type": "t4g"},
        [f"{AWS}.instance_type: 't4g' is no instance type; write it like t4g.nano"],
    ),
    (
        "a size of another cloud is no instance type",
        {f"{AWS}.instance_type": "s-1vcpu-1gb", f"{AWS}.architecture": "x86_64"},
        [f"{AWS}.instance_type: 's-1vcpu-1gb' is no instance type; write it like t4g.nano"],
    ),
    (
        "a Mac runs none of the images",
        {f"{AWS}.instance_type": "mac2-m2.metal"},
        [f"{AWS}.instance_type: 'mac2-m2.metal' is a Mac, which runs none of the images; take a type like t4g.nano"],
    ),
    (
        "an instance type fits the architecture that is the default",
        {f"{AWS}.instance_type": "t3.nano"},
        [
            f"{AWS}.instance_type: t3.nano is x86_64, and 'architecture' is arm64, as it is by default; write"
            " 'architecture: x86_64', or take a type like t4g.nano"
        ],
    ),
    (
        "an instance type fits the architecture that was written",
        {f"{AWS}.instance_type": "m7g.medium", f"{AWS}.architecture": "x86_64"},
        [
            f"{AWS}.instance_type: m7g.medium is arm64, and 'architecture' is x86_64; write 'architecture: arm64', or"
            " take a type like t3.nano"
        ],
    ),
    (
        "an architecture fits the type that is the default",
        {f"{AWS}.architecture": "x86_64"},
        [
            f"{AWS}.architecture: t4g.nano is arm64, and 'architecture' is x86_64; write 'architecture: arm64', or take"
            " a type like t3.nano"
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(clouds(changes))] == report


# From the lists in the Amazon EC2 instance types guide.
GRAVITON = [
    "t4g.nano",
    "a1.medium",
    "c7gn.medium",
    "m6gd.metal",
    "im4gn.large",
    "is4gen.medium",
    "x2gd.medium",
    "g5g.xlarge",
    "hpc7g.4xlarge",
    "i8g.large",
    "r8gb.large",
    "m8gd.metal-24xl",
]
OTHERS = [
    "t3.nano",
    "t2.micro",
    "t3a.small",
    "m5.large",
    "c7i-flex.large",
    "m7i.metal-24xl",
    "g4dn.xlarge",
    "g4ad.xlarge",
    "g6.xlarge",
    "gr6.4xlarge",
    "u-6tb1.56xlarge",
    "u7i-12tb.224xlarge",
    "hpc7a.96xlarge",
    "x2iedn.xlarge",
    "p4d.24xlarge",
    "inf2.xlarge",
    "trn1.2xlarge",
    "vt1.3xlarge",
    "i4i.large",
]


@pytest.mark.parametrize("name", GRAVITON)
def test_types_with_graviton_are_arm64(name: str) -> None:
    assert architecture_of(name) == "arm64"
    assert faults(clouds({f"{AWS}.instance_type": name})) == ()


@pytest.mark.parametrize("name", OTHERS)
def test_types_without_graviton_are_x86_64(name: str) -> None:
    assert architecture_of(name) == "x86_64"
    assert faults(clouds({f"{AWS}.instance_type": name, f"{AWS}.architecture": "x86_64"})) == ()


def test_an_architecture_may_be_written_that_is_the_default() -> None:
    assert faults(clouds({f"{AWS}.architecture": "arm64"})) == ()
