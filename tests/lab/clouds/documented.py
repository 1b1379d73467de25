"""The commands of docs/clouds.md, run as the operator would: on the state of a lab's stack."""

import os
import subprocess

from lab.deployment import CHECKOUT
from tests.lab.environment import Environment


def block(*words: str) -> str:
    """The only block of commands in the page that has these words."""
    text = (CHECKOUT / "docs" / "clouds.md").read_text()
    blocks = [part for part in text.split("\n\n") if part.startswith("    ") and all(word in part for word in words)]
    (found,) = blocks
    return "".join(f"{line.removeprefix('    ')}\n" for line in found.splitlines())


def carry_out(environment: Environment, script: str, stdin: str = "") -> str:
    """What the script prints, in the project's copy. Raises CalledProcessError."""
    deployment = environment.deployment
    variables = {
        **deployment.engine_environment(),
        "PATH": f"{deployment.engine.root / 'bin'}:{os.environ['PATH']}",
        "PULUMI_STACK": deployment.stack,
    }
    argv = ["env", *(f"{name}={value}" for name, value in variables.items()), "bash", "-euo", "pipefail", "-c", script]
    command = environment.world.operator_command(argv, deployment.project)
    return subprocess.run(command, check=True, input=stdin, stdout=subprocess.PIPE, text=True, timeout=120).stdout
