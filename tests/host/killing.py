"""A helper that is killed at a chosen step: what it calls is intercepted, and SIGKILL ends it all."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.host.scratch import HEARD, Host

HELPER = "/usr/local/sbin/wireguard-mesh"
CALLS = "/var/lib/fault.calls"
# Lies over /usr/local/bin while a run is watched; all else that a test does takes half as long without.
INSTEAD = "/var/lib/fault.instead"

# What the helper and wg-quick call. `sleep` is left out: how often it is called is a matter of time.
_PROGRAMS = [
    "awk",
    "cat",
    "chmod",
    "cmp",
    "conntrack",
    "cp",
    "cut",
    "flock",
    "grep",
    "head",
    "ip",
    "iptables",
    "iptables-restore",
    "iptables-save",
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
    "ln",
    "mkdir",
    "mv",
    "nft",
    "ping",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sha256sum",
    "sort",
    "stat",
    "sync",
    "tail",
    "timeout",
    "touch",
    "tr",
    "wc",
    "wg",
    "wireguard-go",
]

# Whoever is left behind to watch the time is no part of the run.
_INSTEAD = """#!/bin/sh
[ -z "${FAULT_CALLS:-}" ] || {
    printf '%s\\0' "${0##*/} $*" >>"$FAULT_CALLS"
    case "${0##*/} $*" in
    $FAULT_AT*)
        count=0
        ! read -r count 2>/dev/null <"$FAULT_CALLS.count" || :
        echo $((count + 1)) >"$FAULT_CALLS.count"
        [ $((count + 1)) != "$FAULT_NTH" ] || pkill -KILL -s 0
        ;;
    esac
}
[ "${0##*/}" != setsid ] || unset FAULT_CALLS
"""

# Those that change something on the host, as what they are called with begins.
_CHANGING = re.compile(
    r"iptables-restore|ip6tables-restore|conntrack|setsid|sync|wireguard-go|rmdir|wg set"
    r"|ip (-. )?(link|addr|address|route|rule) (add|set|del|delete|change|replace)"
    r"|(mv|cp|rm|mkdir|touch|ln|chmod) .*(/etc/|/usr/|wg0[.]|wg0$|wg0/(applied|forward|rules|alive))"
)


@dataclass(frozen=True)
class Step:
    """A call of a program, in a run: how its command line begins, as a pattern of the shell's, and the how many-th."""

    pattern: str
    nth: int

    @property
    def changes(self) -> bool:
        """Whether this call changes more than the run's own work folder."""
        return _CHANGING.match(self.pattern) is not None

    @property
    def kind(self) -> str:
        """What it does, without to which of the routes, families or generations."""
        words = [word for word in self.pattern.split() if not word.startswith("-")]
        if words[0] in ("mv", "cp", "rm", "mkdir", "touch", "chmod"):
            last = re.sub(r"rules/[0-9a-f]{16}$", "rules", words[-1].removesuffix(".new"))
            return f"{words[0]} {last.rpartition('/')[2].removesuffix('4').removesuffix('6')}"
        if words[:2] == ["wg", "set"]:
            return " ".join([*words[:4], *words[-1:]] if words[-1] == "remove" else words[:4])
        return " ".join(words[:1] if words[0] in ("sync", "iptables-restore", "ip6tables-restore") else words[:3])


def one_of_each(steps: list[Step]) -> list[Step]:
    """Of the steps that change something, the first of each kind."""
    kinds: dict[str, Step] = {}
    for step in steps:
        if step.changes:
            kinds.setdefault(step.kind, step)
    return list(kinds.values())


@contextmanager
def intercepted(host: Host) -> Iterator[None]:
    """In the runs below every program that the helper calls is intercepted, wg-quick's own calls among them."""
    host.sh(f"mkdir {INSTEAD}; cp -a /usr/local/bin/. {INSTEAD}")
    for name in _PROGRAMS:
        real = host.try_("sh", "-c", f"command -v {name}").stdout.strip()
        if real:
            text = f'{_INSTEAD}exec {real} "$@"\n'
            host.run("sh", "-c", f"cat >{INSTEAD}/{name}; chmod 755 {INSTEAD}/{name}", stdin=text)
    # It looks into its own folder first.
    host.sh(f'cp "$(readlink -f "$(command -v wg-quick)")" {INSTEAD}/wg-quick')
    yield
    host.sh(f"rm -rf {INSTEAD} {CALLS} {CALLS}.count")


def _run(host: Host, words: tuple[str, ...], stdin: str, step: Step, program: str) -> subprocess.CompletedProcess[str]:
    host.sh(f"rm -f {CALLS} {CALLS}.count; mount --bind {INSTEAD} /usr/local/bin")
    # In a session of its own, all of which ends: `timeout` has a process group of its own.
    done = host.try_("/usr/bin/setsid", "-w", "sh", program, *words, stdin=stdin,
                     env={"FAULT_CALLS": CALLS, "FAULT_AT": step.pattern, "FAULT_NTH": str(step.nth)})  # fmt: skip
    host.sh("umount --lazy /usr/local/bin")  # whoever is left behind may still have something of it open
    HEARD.extend((done.stdout, done.stderr, host.read(CALLS)))  # the arguments of all that it called, too
    return done


def steps(host: Host, words: tuple[str, ...], stdin: str, program: str = HELPER) -> list[Step]:
    """The steps of a run that nobody kills, in their order."""
    _run(host, words, stdin, Step("nothing at all", 1), program)
    seen: dict[str, int] = {}
    found = []
    for call in host.read(CALLS).split("\0")[:-1]:
        line = call.split("\n")[0][:200]
        # Process numbers differ between runs, and so may what a pattern would take for more than a character.
        pattern = re.sub(r"[^A-Za-z0-9 /._:@=,*-]", "?", re.sub(r"(work\.|wgm)\d+", r"\1*", line))
        seen[pattern] = seen.get(pattern, 0) + 1
        found.append(Step(pattern, seen[pattern]))
    return found


def killed(host: Host, step: Step, words: tuple[str, ...], stdin: str, program: str = HELPER) -> bool:
    """Runs the helper and kills it there, before the program runs. False where this run never came there."""
    done = _run(host, words, stdin, step, program)
    return done.returncode in (-9, 137)
