"""Meshes for the lab's own tests, and the way into their worlds."""

import subprocess
from dataclasses import replace
from ipaddress import IPv4Network

from lab.world import World
from mesh.model import Aws, Colo, DigitalOcean, ExistingVpc, Mesh, NewVpc, Site, Ssh
from tests.mesh.meshes import HOST_KEY, mesh, network, site


def with_ssh(
    built: Site, host: str | None = None, port: int = 22, user: str = "root", proxy: Ssh | None = None
) -> Site:
    """The same colo, reached by SSH in another way."""
    assert isinstance(built.kind, Colo)
    ssh = Ssh(host or built.kind.ssh.host, port, user, HOST_KEY, proxy=proxy)
    return replace(built, kind=Colo(ssh))


def bastion(host: str, port: int = 22, user: str = "root") -> Ssh:
    return Ssh(host, port, user, HOST_KEY)


def pair() -> Mesh:
    """Two sites, both families in the tunnel and in the networks; ams may reach nyc's LAN, which masquerades."""
    return mesh(
        site(
            "nyc",
            ("10.99.0.1", "fd99::1"),
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True),
            endpoint="203.0.113.10",
        ),
        site(
            "ams",
            ("10.99.0.2", "fd99::2"),
            network("lan", "10.20.0.0/24", "fd20::/64", interface="eth1"),
            endpoint="198.51.100.20",
        ),
        tunnel=("10.99.0.0/24", "fd99::/64"),
        access=[("ams.lan", "nyc.virbr0", "")],
    )


def varied() -> Mesh:
    """A named endpoint behind a bastion, a user with sudo and a port of its own, an IPv6 endpoint, eth0 as a LAN."""
    jump = bastion("jump.example.net", 2222, "jump")
    nyc = site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10")
    ams = site("ams", "10.99.0.2", network("lan", "10.20.0.0/24", interface="eth0"), endpoint="198.51.100.20")
    sfo = site("sfo", "10.99.0.3", endpoint="sfo.example.com")
    fra = site("fra", "10.99.0.4", endpoint="2001:db8::4")
    return mesh(nyc, with_ssh(ams, port=2022, user="admin"), with_ssh(sfo, host="10.0.0.5", proxy=jump), fra)


def cloudy() -> Mesh:
    """A colo, AWS in a VPC that is there, and DigitalOcean in one that is to be made."""
    existing = ExistingVpc("vpc-0a1b2c3d", "subnet-0a1b2c3d", ("rtb-0a1b2c3d",))
    built = mesh(
        site("nyc", "10.99.0.1", network("virbr0", "192.168.122.0/24"), endpoint="203.0.113.10"),
        site(
            "use1",
            "10.99.0.2",
            network("vpc", "10.10.0.0/24", interface="ens5"),
            endpoint=None,
            kind=Aws("us-east-1", existing),
        ),
        site(
            "fra",
            "10.99.0.3",
            network("vpc", "10.40.0.0/24", interface="eth1", masquerade=True),
            endpoint=None,
            kind=DigitalOcean("fra1", NewVpc(IPv4Network("10.40.0.0/24"))),
        ),
    )
    return replace(built, operators=(IPv4Network("192.0.2.0/24"),))


def ssh(world: World, host: str, command: str, *, user: str = "root", port: int = 22, via: str = "") -> str:
    known = world.path / "known_hosts"
    known.write_text("".join(f"{name},[{name}]:2022,[{name}]:2222 {key}\n" for name, key in world.host_keys().items()))
    options = ["-i", str(world.operator_key_path), "-F", "/dev/null", "-o", f"UserKnownHostsFile={known}"]
    options += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    jump = ["-o", f"ProxyCommand=ssh {' '.join(options)} -p 2222 -W %h:%p {via}"] if via else []
    argv = ["ssh", *options, *jump, "-p", str(port), f"{user}@{host}", command]
    done = subprocess.run(world.operator_command(argv), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
