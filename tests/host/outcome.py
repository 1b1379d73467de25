"""What a host holds and runs after a fault, and whether that is one generation as a whole."""

import re
import subprocess
from dataclasses import dataclass, replace
from typing import Self

from mesh.bundle import Bundle
from tests.host.observe import rules
from tests.host.scratch import Host
from tests.host.sites import AMS, NYC, SFO, Keys, between

PENDING = 75

# Without what the kernel makes up for each device anew: its number, and its link-local address.
_LOOK = """
for field in private-key listen-port fwmark; do wg show wg0 $field; done
wg show wg0 dump | sed 1d | cut -f 1-4,8 | sort
ip -o addr show dev wg0 | grep -v fe80: | cut -d ' ' -f 2- | sort
ip -o link show dev wg0 | grep -o 'mtu [0-9]*'
ip route | sort; ip -6 route | grep -v ^fe80 | sort
cd /etc/wireguard; find . -type f -exec stat -c '%n %a' {} + | sort; find . -type f -exec sha256sum {} + | sort
cat /etc/sysctl.d/60-wireguard-mesh-wg0.conf 2>/dev/null || :
cd /proc/sys/net; grep -r . ipv4/conf/*/forwarding ipv6/conf/*/*forwarding ipv6/conf/*/accept_ra
"""


def running(host: Host) -> tuple[str, ...]:
    """Everything that a configuration decides on this host: rules, interface, peers, routes, forwarding and files."""
    looked = host.sh(_LOOK)
    # wireguard-go lists AllowedIPs in any order.
    lines = [
        re.sub(r"[^\t]+(?=\t\w+$)", _sorted, line) if line.count("\t") > 2 else line for line in looked.split("\n")
    ]
    return rules(host, 4), rules(host, 6), *lines


def _sorted(found: re.Match[str]) -> str:
    return ",".join(sorted(found[0].split(",")))


def agrees(host: Host, bundle: Bundle) -> None:
    """Raises AssertionError unless what is confirmed, live, and in the files is this bundle, and nothing waits."""
    status = host.answer("status")
    told = f"confirmed: {bundle.generation}\nstaged: none\nlive: {bundle.generation}\n"
    assert told in status, status
    assert "differ" not in status, status
    assert "missing" not in status, status
    assert "goes back" not in status, status
    # Where a test has put systemd there, it has no unit to enable.
    drift = [line for line in status.splitlines() if line.startswith("drift: ") and "nobody starts wg0" not in line]
    assert drift in ([], ["drift: none"]), status
    conf = bundle.text.split("@conf\n", 1)[1].removesuffix("@end\n")
    assert host.read("/etc/wireguard/wg0.conf") == conf
    files = host.sh("cd /etc/wireguard; find . -type f | sed 's#/rules/[^/]*/#/rules/ID/#' | sort").split()
    rules_files = [f"./wg0.d/rules/ID/{name}" for name in ("forwarding", "rules.v4", "rules.v6")]
    assert files == ["./wg0.conf", "./wg0.d/confirmed", "./wg0.d/digest", *rules_files]


def tables(host: Host) -> dict[str, frozenset[str]]:
    """Our chains and rules, and the jumps to them, by family and table; those tables alone that have any."""
    found: dict[str, set[str]] = {}
    for family in (4, 6):
        for line in rules(host, family).splitlines():
            if line.startswith("*"):
                table = f"{line} {family}"
            elif "WG0-" in line:
                found.setdefault(table, set()).add(line)
    return {table: frozenset(lines) for table, lines in found.items()}


def up(host: Host, bundle: Bundle) -> None:
    """Applies and confirms as an `up` does, which asks a pending confirm once more."""
    host.answer("apply", stdin=bundle.text)
    confirm(host, bundle)


def confirm(host: Host, bundle: Bundle) -> None:
    """Confirms as an `up` does whose apply is done: over another connection once more where that is pending."""
    done = host.helper("confirm", stdin=bundle.generation)
    if done.returncode == PENDING:
        done = host.helper("confirm", stdin=bundle.generation)
    assert done.returncode == 0, f"confirm exited with {done.returncode}: {done.stdout}{done.stderr}"


def two_generations(keys: Keys) -> tuple[Bundle, Bundle]:
    """Two of one site that differ in everything that can."""
    other = replace(NYC, mtu=1400, listen_port=51999)
    return (
        keys.bundle(between(NYC, AMS), "nyc"),
        keys.bundle(between(other, SFO, access=(("sfo.lan", "nyc.virbr0 nyc", "tcp/443"),)), "nyc"),
    )


@dataclass(frozen=True)
class Prepared:
    """A host that runs `confirmed`, the change `new` that it is to get, and what it looks like with either."""

    host: Host
    confirmed: Bundle
    new: Bundle
    with_confirmed: tuple[str, ...]
    with_new: tuple[str, ...]

    @classmethod
    def of(cls, host: Host, keys: Keys) -> Self:
        """The host, having had both."""
        confirmed, new = two_generations(keys)
        up(host, new)
        with_new = running(host)
        up(host, confirmed)
        # Who watched for these would watch for the next one, too.
        host.sh("while pgrep -f '[w]ireguard-mesh watch wg0' >/dev/null; do sleep 0.1; done")
        return cls(host, confirmed, new, running(host), with_new)

    def apply(self) -> subprocess.CompletedProcess[str]:
        """The finished apply of the change."""
        return self.host.helper("apply", stdin=self.new.text)

    def runs_confirmed(self) -> None:
        """Raises AssertionError unless the host runs what was confirmed, whatever is staged."""
        assert live(running(self.host)) == live(self.with_confirmed)
        assert f"\nlive: {self.confirmed.generation}\n" in self.host.answer("status")

    def converges(self) -> None:
        """Applies and confirms once more. Raises AssertionError unless the host then is what it was told to be."""
        up(self.host, self.new)
        agrees(self.host, self.new)
        assert running(self.host) == self.with_new


def live(state: tuple[str, ...]) -> tuple[str, ...]:
    """What `running` gives, without the files, that for the boot among them."""
    return tuple(line for line in state if " ./" not in line and not line.startswith(("./", "net/", "#")))


def refused(done: subprocess.CompletedProcess[str], status: int, says: str) -> None:
    """Raises AssertionError unless the run ended so, and said so in one short line of our own."""
    assert (done.returncode, done.stdout) == (status, ""), done
    assert re.fullmatch(r"wireguard-mesh: [^\n]{1,1500}\n", done.stderr), done.stderr[:3000]
    assert re.search(says, done.stderr), done.stderr
