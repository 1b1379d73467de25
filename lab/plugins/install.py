"""Puts the stand-in plugins where an engine looks for plugins: below a lab's own PULUMI_HOME, never the user's."""

import shlex
from pathlib import Path

from lab.plugins.versions import AWS, COMMAND, DIGITALOCEAN

ROOT = Path(__file__).parents[2]


def install_command_plugin(pulumi_home: Path, python: Path) -> Path:
    """Writes the stand-in for pulumi-command, run by that interpreter from this checkout; gives the program's path.

    `plugins/resource-command-v1.2.1/pulumi-resource-command` is where the engine keeps releases: a plugin there needs
    no manifest, and unlike one on PATH brings no warning.
    """
    return _install(pulumi_home, python, "command", COMMAND)


def install_cloud_plugins(pulumi_home: Path, python: Path) -> tuple[Path, Path]:
    """Writes the stand-ins for pulumi-aws and pulumi-digitalocean likewise; gives the programs' paths."""
    aws = _install(pulumi_home, python, "aws", AWS)
    return aws, _install(pulumi_home, python, "digitalocean", DIGITALOCEAN)


def _install(pulumi_home: Path, python: Path, name: str, version: str) -> Path:
    folder = pulumi_home / "plugins" / f"resource-{name}-v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"pulumi-resource-{name}"
    # isolated: neither the project's folder, where the engine starts it, nor the user's environment chooses modules
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lab.plugins.{name} import main; main()"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -I -c {shlex.quote(start)} "$@"\n')
    program.chmod(0o755)
    return program
