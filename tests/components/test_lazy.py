"""A cloud's SDK is loaded by a stack with a site in that cloud, and by no other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In a process of its own: this one has loaded all of them for other tests.
RUN = """
import json, sys
import pulumi
from tests.components.conftest import Monitor, Recorder
from tests.components import sites

made = Recorder()
pulumi.runtime.set_mocks(made, project="wireguard-mesh", stack="test", monitor=Monitor(made))
pulumi.runtime.settings.SETTINGS.callbacks = made
of = sites.joined(sites.NYC, sites.AMS, *(getattr(sites, name)() for name in sys.argv[1:]))
sites.build(of)
print(json.dumps(sorted(name for name in sys.modules if name in ("pulumi_aws", "pulumi_digitalocean"))))
"""


@pytest.mark.parametrize(
    ("sites", "loaded"),
    [
        ([], []),
        (["use1"], ["pulumi_aws"]),
        (["fra"], ["pulumi_digitalocean"]),
        (["use1", "fra"], ["pulumi_aws", "pulumi_digitalocean"]),
    ],
    ids=["colos alone", "AWS", "DigitalOcean", "both"],
)
def test_a_stack_loads_the_sdks_of_its_own_clouds_only(sites: list[str], loaded: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *sites], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == loaded
