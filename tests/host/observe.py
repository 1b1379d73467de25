"""What the helper's tests look at: live state as comparable text, and a flow that notices a lost packet."""

import re
from types import TracebackType
from typing import Self

from tests.host.scratch import Host

# A chain's counters and the dates in the comments change by themselves.
_BY_ITSELF = re.compile(r" \[\d+:\d+\]$|^#.*\n", re.MULTILINE)

# The nft backend leaves the table that our chains were in, without a rule.
_WITHOUT_RULES = re.compile(r"^\*\w+\n(:\w+ ACCEPT\n)*COMMIT\n", re.MULTILINE)


def rules(host: Host, family: int = 4) -> str:
    """The host's whole rule set."""
    return _BY_ITSELF.sub("", host.run("iptables-save" if family == 4 else "ip6tables-save"))


def foreign_rules(host: Host, family: int = 4) -> str:
    """The rule set without our chains and the rules that name them."""
    return "".join(line for line in rules(host, family).splitlines(keepends=True) if "WG0-" not in line)


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


def traces(host: Host) -> str:
    """What could be left of us anywhere on the host."""
    return _WITHOUT_RULES.sub("", rules(host, 4) + rules(host, 6)) + host.sh(
        "ip -o link | cut -d: -f2; ip route; ip rule; ip -6 route | grep -v ^fe80 || :;"
        "find /etc/wireguard /etc/systemd /etc/init.d /usr/local/*bin /run -path /run/wireguard -prune -o -print"
        " | sort;"
        "cd /proc/sys/net; grep -r . ipv4/conf/*/forwarding ipv6/conf/*/*forwarding ipv6/conf/*/accept_ra;"
        "ps -eo comm= | grep -c wireguard-go || :"
    )


class Ping:
    """A flow of pings at 10 ms intervals. `lost` waits until later ones are answered: none is still on its way."""

    def __init__(self, host: Host, address: str) -> None:
        self._host = host
        self._process = host.start("ping", "-n", "-i", "0.01", address)
        self._answered: set[int] = set()

    def __enter__(self) -> Self:
        self._read_until(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._host.kill(self._process)

    def lost(self) -> list[int]:
        """The pings without an answer, of all that were sent up to now. Raises AssertionError where answers end."""
        newest = max(self._answered)
        self._read_until(newest + 30)
        newest = max(self._answered) - 25
        return [number for number in range(min(self._answered), newest) if number not in self._answered]

    def _read_until(self, number: int) -> None:
        assert self._process.stdout is not None
        while number > max(self._answered, default=0):
            line = self._process.stdout.readline()
            assert line, "ping ended"
            if found := re.search(r"icmp_seq=(\d+) ttl", line):
                self._answered.add(int(found[1]))
