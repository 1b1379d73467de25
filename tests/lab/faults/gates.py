"""Stops a host's program where a test wants it, and leaves the program as it is: gates stand before what it calls.

The commands of every step run under timeout(1), and each step calls some program half-way. On a host of the lab,
programs of these names in /usr/local/bin, which comes first on the PATH, wait at a gate where one is closed.
"""

from typing import Literal, TypeAlias

from lab.namespaces import Namespace

Step: TypeAlias = Literal["install", "apply", "confirm", "remove"]
Moment: TypeAlias = Literal["before", "during", "after"]

STEPS: tuple[Step, ...] = ("install", "apply", "confirm", "remove")

_FOLDER = "/run/gates"
# What each step calls half-way: the program half in place; the timer armed, no rule yet; the commit's first act; the
# interface gone, its rules not.
_HALF_WAY: dict[Step, str] = {
    "install": "chmod",
    "apply": "iptables-restore",
    "confirm": "sync",
    "remove": "iptables-restore",
}
_WAIT = f"""
gate() {{
    [ -e {_FOLDER}/"$1" ] || return 0
    echo "$$" >{_FOLDER}/waits
    mv {_FOLDER}/waits {_FOLDER}/reached
    while [ -e {_FOLDER}/"$1" ]; do sleep 0.05; done
}}
"""
_COMMANDS = f"""#!/bin/sh
{_WAIT}
step=
case " $* " in
*" sh "*" install "*) step=install ;;
*/wireguard-mesh\\ apply\\ *) step=apply ;;
*/wireguard-mesh\\ confirm\\ *) step=confirm ;;
*/wireguard-mesh\\ remove\\ *) step=remove ;;
*) exec /usr/bin/timeout "$@" ;;
esac
gate "$step.before"
status=0
/usr/bin/timeout "$@" || status=$?
gate "$step.after"
exit $status
"""
_PROGRAM = """#!/bin/sh
{wait}
gate {name}
exec "$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v {name})" "$@"
"""


def close(host: Namespace, step: Step, moment: Moment) -> None:
    """From now on the next such step waits there."""
    host.write("/usr/local/bin/timeout", _COMMANDS, mode=0o755)
    program = _HALF_WAY[step]
    host.write(f"/usr/local/bin/{program}", _PROGRAM.format(wait=_WAIT, name=program), mode=0o755)
    gate = program if moment == "during" else f"{step}.{moment}"
    host.write(f"{_FOLDER}/{gate}", "")


def reached(host: Namespace) -> bool:
    """Whether something waits at a gate of the host."""
    return host.path(f"{_FOLDER}/reached").exists()


def kill_waiting(host: Namespace) -> None:
    """What waits at a gate is killed, and the step with it."""
    host.run(["sh", "-c", f"kill -KILL $(cat {_FOLDER}/reached)"])


def open_all(host: Namespace) -> None:
    """What waits goes on, and the host has its own programs again."""
    programs = " ".join(f"/usr/local/bin/{name}" for name in sorted({"timeout", *_HALF_WAY.values()}))
    host.run(["sh", "-c", f"rm -rf {_FOLDER} {programs}"])
