"""What the helper's tests look at: live state as comparable text, and a flow that notices a lost packet."""

import os
import re
import signal
import threading
from types import TracebackType
from typing import Self

from tests.host.scratch import Host, children

# A chain's counters and the dates in the comments change by themselves.
_BY_ITSELF = re.compile(r" \[\d+:\d+\]$|^#.*\n", re.MULTILINE)

# A program of the test's own says so by that file, when it is called as the test waits for.
COMES_THERE = "timeout 60 sh -c 'until [ -e /run/there ]; do sleep 0.1; done'"

# The nft backend leaves the table that our chains were in, without a rule.
_WITHOUT_RULES = re.compile(r"^\*\w+\n(:\w+ ACCEPT\n)*COMMIT\n", re.MULTILINE)


def rules(host: Host, family: int = 4) -> str:
    """The host's whole rule set."""
    return _BY_ITSELF.sub("", host.run("iptables-save" if family == 4 else "ip6tables-save"))


def foreign_rules(host: Host, family: int = 4) -> str:
    """The rule set without our chains and the rules that name them."""
    return "".join(line for line in rules(host, family).splitlines(keepends=True) if "WG0-" not in line)


def filled_tables(host: Host) -> str:
    """Both families' rule sets without the tables in which there is nothing: loading any rule into one leaves those."""
    return _WITHOUT_RULES.sub("", rules(host, 4) + rules(host, 6))


def peers(host: Host) -> dict[str, list[str]]:
    """Peers by public key: preshared key, endpoint, AllowedIPs, newest handshake, received, sent, keepalive."""
    dump = [line.split("\t") for line in host.run("wg", "show", "wg0", "dump").splitlines()]
    return {fields[0]: fields[1:] for fields in dump[1:]}


def state(host: Host) -> dict[str, object]:
    """Everything that a second apply must leave alone."""
    return {
        "rules": (rules(host, 4), rules(host, 6)),
        # Sorted, since wireguard-go lists peers and AllowedIPs in any order.
        "device": [host.run("wg", "show", "wg0", field) for field in ("private-key", "listen-port", "fwmark")],
        "peers": {
            key: (psk, endpoint, sorted(ips.split(",")), keepalive)
            for key, (psk, endpoint, ips, _, _, _, keepalive) in sorted(peers(host).items())
        },
        "link": host.run("ip", "-d", "address", "show", "dev", "wg0"),
        "routes": (host.run("ip", "route"), host.run("ip", "-6", "route")),
        "files": host.sh("cd /etc/wireguard; find . -exec stat -c '%n %i %a %Y %s' {} + | sort"),
        "forwarding": host.sh("cd /proc/sys/net; grep -r . ipv4/conf/*/forwarding ipv6/conf/*/*forwarding"),
    }


def unwatched(host: Host) -> None:
    """Waits until nobody there waits for a confirm, or follows a peer's keys, any more."""
    host.sh("while pgrep -f '[w]ireguard-mesh watch ' >/dev/null; do sleep 0.1; done")


def traces(host: Host) -> str:
    """What could be left of us anywhere on the host, once nobody there waits for a confirm any more."""
    unwatched(host)
    return filled_tables(host) + host.sh(
        "ip -o link | cut -d: -f2; ip route; ip rule; ip -6 route | grep -v ^fe80 || :;"
        "find /etc/wireguard /etc/systemd /etc/init.d /etc/sysctl.d /usr/local/*bin /run"
        " -path /run/wireguard -prune -o -print"
        " | sort;"
        "cd /proc/sys/net; grep -r . ipv4/conf/*/forwarding ipv6/conf/*/*forwarding ipv6/conf/*/accept_ra;"
        "ps -eo comm= | grep -c wireguard-go || :"
    )


def forwarding(host: Host, link: str) -> tuple[str, str]:
    """Whether IPv4 and IPv6 that come in there are forwarded. Before Linux 6.17, IPv6 has one answer for all links."""
    ipv6 = f"/proc/sys/net/ipv6/conf/{link}/force_forwarding"
    if not forwards_by_interface(host):
        ipv6 = "/proc/sys/net/ipv6/conf/all/forwarding"
    return host.read(f"/proc/sys/net/ipv4/conf/{link}/forwarding").strip(), host.read(ipv6).strip()


def forwards_by_interface(host: Host) -> bool:
    """Whether the kernel forwards IPv6 by interface, as from Linux 6.17 on."""
    return host.exists("/proc/sys/net/ipv6/conf/all/force_forwarding")


class Ping:
    """A flow of pings at 10 ms intervals. `lost` waits until later ones are answered: none is still on its way."""

    def __init__(self, host: Host, address: str, deadline: int = 120) -> None:
        """`deadline` in seconds ends the flow, so that one without answers is noticed."""
        self._host = host
        self._process = host.start("ping", "-n", "-i", "0.01", "-w", str(deadline), address)
        self._answered: set[int] = set()
        self._newest = 0
        self._ended = False
        self._came = threading.Condition()
        # Read all the time: what lies in the pipe is not known, and a full pipe would hold up the flow.
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        try:
            self._wait_for(5)
        except AssertionError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in children(self._process.pid):
            os.kill(pid, signal.SIGKILL)
        self._reader.join(timeout=10)
        self._process.communicate(timeout=10)

    def lost(self) -> list[int]:
        """The pings without an answer, of all that were sent up to now. Raises AssertionError where answers end."""
        self._wait_for(self._newest + 30)
        with self._came:
            # The last ones may be overtaken by later answers; what was under way when this was asked is before them.
            return [number for number in range(min(self._answered), self._newest - 25) if number not in self._answered]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"icmp_seq=(\d+) ttl", line):
                with self._came:
                    self._answered.add(int(found[1]))
                    self._newest = max(self._newest, int(found[1]))
                    self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    def _wait_for(self, number: int) -> None:
        with self._came:
            self._came.wait_for(lambda: self._ended or self._newest >= number, timeout=60)
            assert self._newest >= number, "ping ended"
