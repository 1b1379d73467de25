"""`python -m lab up|down|meshctl|shell`: what `make up`, `make down`, `make status` and `make shell` run."""

import argparse
import os
import sys

from lab.bringup import down, main_console, up
from lab.namespaces import LabError
from lab.toolchain import ToolchainError
from lab.visiting import meshctl, shell
from mesh.config.faults import ConfigError, report

ROOT_NEEDED = (
    "The lab makes network namespaces, mounts and firewall rules of its own, and the kernel lets only root do that. "
    "Nothing of this machine is changed. Run it as root, or with sudo."
)


def main() -> int:
    """Gives the exit status: 0 where everything is as the policy says, 1 where not or where something failed."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="An environment in a lab on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="bring it up and probe every pair").add_argument("stack", nargs="?", default="dev")
    end = verbs.add_parser("down", help="end it; nothing is left")
    end.add_argument("--all", action="store_true", help="end the labs of other checkouts too")
    ask = verbs.add_parser("meshctl", help="run a verb of meshctl that asks hosts, where its operator is")
    ask.add_argument("verb_there", metavar="VERB", choices=("status", "verify"))
    visit = verbs.add_parser("shell", help="a shell on a site's host, or one command there")
    visit.add_argument("site")
    for visitor in (ask, visit):
        visitor.add_argument("--stack", default="dev")
        visitor.add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print(ROOT_NEEDED, file=sys.stderr)
        return 1
    console = main_console()
    try:
        if arguments.verb == "down":
            down(console, everything=arguments.all)
            return 0
        if arguments.verb == "meshctl":
            return meshctl(arguments.stack, arguments.verb_there, arguments.words)
        if arguments.verb == "shell":
            return shell(arguments.stack, arguments.site, arguments.words)
        return 0 if up(arguments.stack, console) else 1
    except ConfigError as error:
        print(f"Pulumi.{arguments.stack}.yaml: {report(error.faults)}", file=sys.stderr)
        print(f"With the lines: .venv/bin/meshctl check {arguments.stack}", file=sys.stderr)
    except FileNotFoundError as error:
        print(f"{error.filename} is not there; name the stack of a Pulumi.STACK.yaml", file=sys.stderr)
    except (LabError, ToolchainError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
