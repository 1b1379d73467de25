"""Two sites with the same network: everyone else sees two, by what they are advertised as, with real packets."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import IO, Any, cast

import pytest

from lab.namespaces import PATH, Namespace
from tests.lab.conftest import Start
from tests.lab.environment import sample

pytestmark = pytest.mark.lab

# Answers with who asked, as it sees them, and where they came to. Arguments: tcp/443 and the like.
_ANSWER = """
import selectors, socket, sys
def plain(address): return address[0].removeprefix("::ffff:")
with selectors.DefaultSelector() as selector:
    for service in sys.argv[1:]:
        protocol, port = service.split("/")
        server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("::", int(port)))
        if protocol == "tcp":
            server.listen()
        selector.register(server, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                sys.exit()
            if key.fileobj.type == socket.SOCK_DGRAM:
                _, peer = key.fileobj.recvfrom(100)
                key.fileobj.sendto(plain(peer).encode(), peer)
                continue
            client, peer = key.fileobj.accept()
            client.sendall(f"{plain(peer)} at {plain(client.getsockname())}".encode())
            client.close()
"""
# Asks, again each second for so many seconds: prints the answer, or nothing.
_ASK = """
import socket, sys, time
target, service, seconds = sys.argv[1:]
protocol, port = service.split("/")
family = socket.AF_INET6 if ":" in target else socket.AF_INET
deadline = time.monotonic() + int(seconds)
while time.monotonic() < deadline:
    with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.connect((target, int(port)))
            asking.send(b"?")
            print(asking.recv(200).decode())
            break
        except TimeoutError:
            pass
        except OSError:
            time.sleep(0.2)
"""
_SERVICES = ("tcp/443", "tcp/8080", "udp/53", "udp/54", "tcp/2222")


def same_twice() -> dict[str, Any]:
    """nyc masquerades, ams does not; both have the same prefixes. fra has others."""
    whole = sample()
    sites: dict[str, Any] = {name: whole["sites"][name] for name in ("ams", "nyc", "fra")}
    same = {"cidr": ["192.168.122.0/24", "fd22::/64"], "interface": "virbr0"}
    sites["ams"]["networks"] = {
        "virbr0": {**same, "advertise_as": ["10.201.0.0/24", "fd22:201::/64"], "return_route": "manual"}
    }
    sites["nyc"]["networks"] = {
        "virbr0": {**same, "advertise_as": ["10.202.0.0/24", "fd22:202::/64"], "masquerade": True}
    }
    access = [
        {"from": "ams.virbr0", "to": "nyc.virbr0", "ports": ["tcp/443", "icmp"]},
        {"from": "nyc.virbr0", "to": "ams.virbr0", "ports": ["tcp/8080", "udp/53"]},
        {"from": "fra.lan", "to": ["ams.virbr0", "nyc.virbr0"], "ports": "tcp/443"},
        {"from": "fra.lan", "to": "nyc", "ports": "tcp/2222"},
    ]
    return {"mesh": whole["mesh"], "ssh": whole["ssh"], "sites": sites, "access": access}


@contextmanager
def answering(namespaces: Sequence[Namespace]) -> Iterator[None]:
    """In each of them somebody answers at every service, granted or not."""
    with ExitStack() as stack:
        for namespace in namespaces:
            argv = namespace.python_command(["-c", _ANSWER, *_SERVICES], sys.executable)
            pipe = subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env={"PATH": PATH})
            )
            assert cast("IO[str]", process.stdout).readline() == "ready\n"
        yield


def asked(questions: Sequence[tuple[Namespace, str, str]], seconds: int = 15) -> list[str]:
    """What each hears that asks there for that service; "" for nothing in all the seconds."""

    def ask(question: tuple[Namespace, str, str]) -> str:
        namespace, target, service = question
        return namespace.python(["-c", _ASK, target, service, str(seconds)], sys.executable).strip()

    with ThreadPoolExecutor() as pool:
        return [*pool.map(ask, questions)]


def unanswered(questions: Sequence[tuple[Namespace, str, str]]) -> bool:
    """Whether nobody hears anything, asked for a second."""
    return asked(questions, 1) == [""] * len(questions)


def test_two_sites_with_one_prefix_are_two_networks_to_everyone(start: Start) -> None:
    environment = start(same_twice())
    environment.up()
    matrix = environment.probe(everywhere=True)
    assert matrix.as_granted, matrix.summary

    ams, nyc, fra = (environment.world.lan(name) for name in ("ams.virbr0", "nyc.virbr0", "fra.lan"))
    ams_host, nyc_host = (environment.world.host(name) for name in ("ams", "nyc"))
    with answering((ams, nyc, fra, ams_host, nyc_host)):
        # Both are 192.168.122.10 at home. To nyc's, others are its gateway, by the masquerade; to ams's, who they are.
        assert asked(
            [
                (ams, "10.202.0.10", "tcp/443"),
                (nyc, "10.201.0.10", "tcp/8080"),
                (nyc, "10.201.0.10", "udp/53"),
                (ams, "fd22:202::a", "tcp/443"),
                (nyc, "fd22:201::a", "tcp/8080"),
                (fra, "10.201.0.10", "tcp/443"),
                (fra, "10.202.0.10", "tcp/443"),
            ]
        ) == [
            "192.168.122.1 at 192.168.122.10",
            "10.202.0.10 at 192.168.122.10",
            "10.202.0.10",
            "fd22::1 at fd22::a",
            "fd22:202::a at fd22::a",
            "10.40.0.10 at 192.168.122.10",
            "192.168.122.1 at 192.168.122.10",
        ]
        # A host itself, by its advertised address in its network; nothing is forwarded, so nothing is masqueraded.
        assert asked([(fra, "10.202.0.1", "tcp/2222")]) == ["10.40.0.10 at 192.168.122.1"]
        # What nobody granted, and the addresses that others do not know.
        assert unanswered(
            [
                (ams, "10.202.0.10", "tcp/8080"),
                (nyc, "10.201.0.10", "tcp/443"),
                (nyc, "10.201.0.10", "udp/54"),
                (ams, "fd22:202::a", "tcp/8080"),
                (fra, "10.201.0.10", "tcp/8080"),
                (fra, "10.201.0.1", "tcp/2222"),
                (fra, "10.202.0.1", "tcp/443"),
                (ams, "10.202.0.1", "tcp/2222"),
                (fra, "192.168.122.10", "tcp/443"),
                (ams, "10.40.0.10", "tcp/443"),
            ]
        )

        # A peer that has thrown off its rules, and sends to nyc's own prefix as well: nyc does not let it in.
        environment.on(
            "fra",
            "iptables -I FORWARD -j ACCEPT;"
            " wg show wg0 allowed-ips | grep -F 10.202.0.0/24 | while read -r peer rest; do"
            ' wg set wg0 peer "$peer" allowed-ips "$(echo $rest | tr " " ,),192.168.122.0/24"; done;'
            " ip route add 192.168.122.0/24 dev wg0",
        )
        # These rules have no target: they count what comes.
        bare = ("192.168.122.10", "192.168.122.1")
        environment.on("nyc", "".join(f"iptables -t raw -I PREROUTING -i wg0 -s 10.40.0.10 -d {to};" for to in bare))
        assert asked([(fra, "10.202.0.10", "tcp/443")]) == ["192.168.122.1 at 192.168.122.10"]
        assert unanswered(
            [
                (fra, "10.202.0.10", "tcp/8080"),
                (fra, "192.168.122.10", "tcp/443"),
                (fra, "192.168.122.1", "tcp/2222"),
            ]
        )
        for to in bare:
            (counted,) = environment.on("nyc", f"iptables-save -c -t raw | grep -F -- '-d {to}/32 -i wg0'").splitlines()
            assert not counted.startswith("[0:"), "the peer did send it"
