"""What arrives at a machine, counted there: what has no answer may have been lost on its way, or on the way back."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.namespaces import Namespace
from tests.lab.clouds.stage import ask

_PROGRAMS = ("iptables", "ip6tables")


@contextmanager
def counted(at: Namespace, port: int, protocol: str = "tcp") -> Iterator[Callable[[], int]]:
    """What is called says how many packets to a port have come in there so far, wanted or not."""
    rule = ["PREROUTING", "-p", protocol, "--dport", str(port)]
    for program in _PROGRAMS:
        at.run([program, "-w", "-t", "raw", "-A", *rule])

    def count() -> int:
        saved = "".join(at.run([f"{program}-save", "-c", "-t", "raw"]).stdout for program in _PROGRAMS)
        counts = re.findall(rf"^\[(\d+):\d+\] -A PREROUTING -p {protocol} .*--dport {port}$", saved, re.MULTILINE)
        assert len(counts) == len(_PROGRAMS), f"the rules are not told as they were a moment ago:\n{saved}"
        return sum(map(int, counts))

    try:
        yield count
    finally:
        for program in _PROGRAMS:
            at.run([program, "-w", "-t", "raw", "-D", *rule])


def arrives(sender: Namespace, address: str, *, at: Namespace, port: int = 7000, source: str = "") -> bool:
    """Whether a request to connect arrives at a machine, whatever becomes of the answer."""
    with counted(at, port) as count:
        ask(sender, address, port, source)
        return count() > 0
