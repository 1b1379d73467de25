"""What the stand-in of AWS lists, next to the lists that come with pulumi_aws."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab.clouds.aws_region_list import REGIONS
from lab.clouds.aws_types import ARM64, X86_64


def listed(module: str) -> set[str]:
    """The values of a module's enumerations: read, not imported, since that would import all of pulumi_aws."""
    spec = find_spec("pulumi_aws")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / module).read_text()
    return set(re.findall(r' = "([^"]+)"$', text, re.MULTILINE))


def test_the_regions_are_those_of_the_partition() -> None:
    others = re.compile(r"cn-|eusc-|us-gov-|(us|eu)-iso")
    assert {region for region in listed("_enums.py") if not others.match(region)} == REGIONS


@pytest.mark.parametrize("family", [*ARM64, *X86_64])
def test_a_family_has_the_sizes_that_aws_has_of_it(family: str) -> None:
    sizes = {size for size in listed("ec2/_enums.py") if size.startswith(f"{family}.")}
    assert {f"{family}.{size}" for size in {**ARM64, **X86_64}[family]} == sizes
