"""meshctl in a lab: run from the operator's namespace, with the lab's engine, state and keys."""

import os
import subprocess
import sys

from lab.deployment import CHECKOUT
from tests.lab.environment import Environment


def meshctl(environment: Environment, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The finished verb, on the environment's stack."""
    deployment = environment.deployment
    command = [sys.executable, "-m", "cli", verb, "--stack", deployment.stack, "-C", str(deployment.project), *options]
    variables = {**os.environ, **deployment.engine_environment()}
    variables["PATH"] = f"{deployment.engine / 'bin'}:{variables['PATH']}"
    return subprocess.run(
        environment.world.operator_command(command, CHECKOUT),
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
