"""What a host in a cloud does with the cloud-init snippet that the stack puts out for it: it sets routes."""

import re
from collections.abc import Collection
from typing import Any

import yaml

from lab.namespaces import LabError, Namespace

_ROUTE = re.compile(r"ExecStart=/sbin/ip (route replace (\S+) via (\S+))")


def routes(text: str) -> dict[str, str]:
    """For each prefix the ip(8) command of a snippet. Raises LabError where it says anything else."""
    if not text:
        return {}
    try:
        (file,) = yaml.safe_load(text)["write_files"]
        lines = str(file["content"]).splitlines()
        enabled: list[list[str]] = yaml.safe_load(text)["runcmd"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise LabError(f"a cloud-init snippet that is not one file and its commands: {error}") from None
    unit = str(file["path"]).rpartition("/")[2]
    if not any(command[:1] == ["systemctl"] and unit in command for command in enabled):
        raise LabError(f"a cloud-init snippet that does not start {unit}")
    starts = [line for line in lines if line.startswith("Exec")]
    found = [match for line in starts if (match := _ROUTE.fullmatch(line))]
    if len(found) < len(starts):
        raise LabError(f"a cloud-init snippet with other commands than routes: {starts}")
    return {match[2]: match[1] for match in found}


def carry_out(text: str, host: Namespace, interface: str, ways: Collection[str]) -> None:
    """Makes the host's routes by way of others those of the snippet, as if it had been told at its first boot.

    `ways` are the addresses that it may name, its own site's gateway's: the fabric takes what goes beyond the VPC there
    and nowhere else. Raises LabError where it names another one.
    """
    wanted = routes(text)
    for command in wanted.values():
        if command.split()[-1] not in ways:
            raise LabError(f"{command}: {host.name} has its gateway at {' and '.join(ways) or 'no address'}")
    there = _present(host, interface)
    host.ip([f"route del {prefix} dev {interface}" for prefix in there if prefix not in wanted])
    host.ip(list(wanted.values()))


def _present(host: Namespace, interface: str) -> list[str]:
    """The prefixes that are reached by way of others; none where there is no such interface now."""
    done = host.run(["ip", "-4", "-json", "route", "show", "dev", interface], check=False)
    shown: list[dict[str, Any]] = yaml.safe_load(done.stdout) if done.returncode == 0 else []
    return [route["dst"] for route in shown or () if "gateway" in route]
