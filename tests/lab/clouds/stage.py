"""A fabric of a test's own: the isolated internet, one machine outside, hosts in VPCs, and what passes between them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import IO, Any, cast

from lab import links
from lab.clouds.fabric import Fabric
from lab.clouds.model import INTERNET, CloudMachine, Link, Protocol, Rule, Vpc
from lab.clouds.wiring import Surroundings
from lab.namespaces import Keeper, Namespace, launch
from lab.topology import CloudSite, LanHost
from mesh import cloudinit, sshkeys
from mesh.model import Aws, DigitalOcean, ExistingVpc, SiteName

OUTSIDE = "198.18.0.1"
EIP = "198.19.0.1"
OTHER_EIP = "198.19.0.2"
RESERVED = "198.19.1.9"
DROPLET = "198.19.1.1"
ANCHOR = "10.19.0.5"
GATEWAY = "10.10.0.4"
HOST = "10.10.0.10"
REMOTE = "10.20.0.7"  # in another site's network

AWS = CloudSite(SiteName("use1"), Aws("us-east-1", ExistingVpc("vpc-1", "subnet-1", ("rtb-1",))), ())
DO = CloudSite(SiteName("fra"), DigitalOcean("fra1", "uuid-1"), ())

# Each ends with the one who started it: nsenter would not take it along.
_UNTIL_CLOSED = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
"""
_ANSWER = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.create_server((address, port), family=family) as server:
    print("ready", flush=True)
    while True:
        connection, peer = server.accept()
        with connection:
            connection.sendall(peer[0].encode())
"""
_ANSWER_UDP = """
import socket, sys
address, port, word = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((address, port))
    print("ready", flush=True)
    while True:
        _, peer = server.recvfrom(100)
        server.sendto(f"{word} {peer[0]}".encode(), peer)
"""
_ASK_UDP = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind(("", 5000))
    client.settimeout(0.7)
    client.sendto(b"?", (sys.argv[1], int(sys.argv[2])))
    try:
        print(client.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""
_ECHO = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    print("ready", flush=True)
    connection, _ = server.accept()
    while said := connection.recv(100):
        connection.sendall(said)
"""
_TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.7) as connection:
    for line in sys.stdin:
        try:
            connection.sendall(line.encode())
            print(connection.recv(100).decode().strip(), flush=True)
        except OSError as error:
            print(type(error).__name__, flush=True)
"""
_ASK = """
import socket, sys
source = (sys.argv[3], 0) if sys.argv[3] else None
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.7, source) as connection:
        print(connection.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
"""


def rule(protocol: Protocol | None, port: int, prefix: str) -> Rule:
    return Rule(protocol, port, port, ip_network(prefix))


ANYTHING = (rule(None, 0, "0.0.0.0/0"), rule(None, 0, "::/0"))


def user_data(*, root: bool = True) -> str:
    key = sshkeys.generate()
    return cloudinit.user_data(key, sshkeys.public_key(key), root=root)


def instance(**changes: Any) -> CloudMachine:
    """A gateway in AWS with an Elastic IP, open to port 7000 from outside and to its VPC's, and sending anywhere."""
    link = Link(
        "ens5",
        (ip_interface(f"{GATEWAY}/24"),),
        internet=True,
        nat=((ip_address(EIP), ip_address(GATEWAY)),),
        sends_as=ip_address(EIP),
        checked=False,
        table="rtb-1",
        ingress=(rule("tcp", 7000, f"{OUTSIDE}/32"), rule(None, 0, "10.10.0.0/24")),
        egress=ANYTHING,
    )
    return CloudMachine("i-1", "use1", "use1", ("admin",), user_data(), (replace(link, **changes),))


def aws(*machines: CloudMachine, **changes: Any) -> Vpc:
    """A VPC with one subnet, whose table leads to the internet, and for another site's network to the gateway."""
    routes = ((ip_network("0.0.0.0/0"), INTERNET), (ip_network("10.20.0.0/24"), "i-1"))
    subnet = ip_network("10.10.0.0/24")
    vpc = Vpc("vpc-1", "aws", (ip_network("10.10.0.0/16"),), machines, {"rtb-1": routes}, ((subnet, "rtb-1"),))
    return replace(vpc, **changes)


def droplet(
    identity: str = "1",
    private: str = "10.40.0.2",
    *,
    site: str = "fra",
    public: str = DROPLET,
    anchor: str = ANCHOR,
    reserved: bool = False,
    opens_to: str = OUTSIDE,
) -> CloudMachine:
    """A gateway in DigitalOcean, open on port 7000 to one machine, by default that outside, and to its VPC's."""
    ingress = (rule("tcp", 7000, f"{opens_to}/32"), rule(None, 0, "10.40.0.0/24"))
    outer = Link(
        "eth0",
        (ip_interface(f"{public}/24"), ip_interface(f"{anchor}/16")),
        internet=True,
        nat=((ip_address(RESERVED), ip_address(anchor)),) if reserved else (),
        ingress=ingress,
        egress=ANYTHING,
    )
    addresses = (ip_interface(f"{private}/24"),)
    inner = Link("eth1", addresses, internet=False, checked=False, ingress=ingress, egress=ANYTHING)
    return CloudMachine(identity, site, site, ("root",), user_data(), (outer, inner))


def digital_ocean(*machines: CloudMachine) -> Vpc:
    return Vpc("uuid-1", "digitalocean", (ip_network("10.40.0.0/24"),), machines)


def _host(network: str, interface: str, *addresses: str) -> LanHost:
    site, _, name = network.partition(".")
    given = tuple(ip_interface(address) for address in addresses)
    return LanHost(f"lan-{network}", f"{name}.{site}", network, f"gw-{site}", interface, "", given, ())


class Stage:
    """A fabric and its surroundings. `told` is what it said of machines that do not boot."""

    def __init__(self, directory: Path, host: str, outside: str) -> None:
        """With `host` and `outside` the host of use1 and the machine outside have one more address."""
        self.directory = directory
        directory.mkdir()
        self._keeper = Keeper(directory.name)
        self.internet = self.launch("internet", "internet")
        self.outside = self.launch("outside", "gateway")
        public = tuple(ip_address(address) for address in (OUTSIDE, outside) if address)
        self.internet.ip(
            [
                "link set lo up",
                f"link add name port0 type veth peer name eth0 netns {self.outside.pid}",
                "addr add 169.254.0.1/32 dev port0",
                "addr add fe80::1/128 dev port0 nodad",
                "link set port0 up",
                *(f"route add {address} dev port0" for address in public),
            ]
        )
        self.outside.ip([*links.uplink("eth0", public)])
        self.hosts = {
            "use1": (
                _host("use1.vpc", "ens5", f"{HOST}/24", *filter(None, [host])),
                self.launch("lan-use1.vpc", "host"),
            ),
            "fra": (_host("fra.vpc", "eth1", "10.40.0.10/24"), self.launch("lan-fra.vpc", "host")),
        }
        self.told: list[str] = []
        self.fabric = self.another()

    def another(self, *sites: CloudSite) -> Fabric:
        """The fabric as a later process finds it."""
        around = Surroundings(
            self.directory, self._keeper.processes[0], self.internet, sites or (AWS, DO), (*self.hosts.values(),), {}
        )
        return Fabric(around, self.told.append)

    def launch(self, role: str, kind: Any) -> Namespace:
        """One more of the lab's machines."""
        return launch(self._keeper.processes[0], self.directory, role, kind, role)

    def host(self, site: str) -> Namespace:
        """The lab's own host in the VPC of a site."""
        return self.hosts[site][1]

    def show(self, *vpcs: Vpc) -> None:
        """Puts these in place, and waits until the machines have booted, well."""
        self.fabric.apply(vpcs)
        self.fabric.settle()
        assert not self.told

    def end(self) -> None:
        self._keeper.close()
        self._keeper.wait()


@contextmanager
def stage(directory: Path, *, host: str = "", outside: str = "") -> Iterator[Stage]:
    built = Stage(directory / f"stage-{os.getpid()}", host, outside)
    try:
        yield built
    finally:
        built.end()


@contextmanager
def answering(namespace: Namespace, address: str, port: int = 7000, *, udp: str = "") -> Iterator[None]:
    """Somebody there tells everyone who connects by which address he came; with `udp`, after that word, by UDP."""
    with _serving(namespace, *([_ANSWER_UDP, address, str(port), udp] if udp else [_ANSWER, address, str(port)])):
        yield


@contextmanager
def _serving(namespace: Namespace, program: str, *arguments: str) -> Iterator[None]:
    argv = namespace.python_command(["-c", _UNTIL_CLOSED + program, *arguments], sys.executable)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert cast("IO[str]", process.stdout).readline() == "ready\n"
            yield
        finally:
            cast("IO[str]", process.stdin).close()


def ask(namespace: Namespace, address: str, port: int = 7000, source: str = "") -> str:
    """By which address somebody there sees this one come, or the name of the error."""
    return namespace.python(["-c", _ASK, address, str(port), source], sys.executable).strip()


def ask_by_udp(namespace: Namespace, address: str, port: int = 7000) -> str:
    """The word that somebody there says, and the address that he sees, or the error's name. Always from one port."""
    return namespace.python(["-c", _ASK_UDP, address, str(port)], sys.executable).strip()


@contextmanager
def connection(namespace: Namespace, address: str, port: int) -> Iterator[Callable[[], str]]:
    """A connection that stays open; what is called says whether what is sent comes back on it (see `echoing`)."""
    argv = namespace.python_command(["-c", _TALK, address, str(port)], sys.executable)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def say() -> str:
            stdin.write("again\n")
            stdin.flush()
            return stdout.readline().strip()

        yield say
        stdin.close()


@contextmanager
def echoing(namespace: Namespace, address: str, port: int) -> Iterator[None]:
    """Somebody there sends back what he gets, on one connection."""
    with _serving(namespace, _ECHO, address, str(port)):
        yield


def pings(namespace: Namespace, address: str) -> bool:
    return namespace.run(["ping", "-c", "1", "-W", "0.7", address], check=False).returncode == 0


def lend(namespace: Namespace, address: str) -> None:
    """Gives a gateway an address of another site, as if that were behind it."""
    namespace.ip(["link set lo up", f"addr replace {address} dev lo"])
