"""Meshes whose texts the proofs are made of, and the texts themselves."""

from mesh import firewall, wgconf
from mesh.model import Mesh, SiteName
from mesh.plan import plan
from mesh.reachability import SiteTexts
from tests.mesh.meshes import familiar, mesh, network, site


def rendered(world: Mesh) -> dict[SiteName, SiteTexts]:
    return {
        name: SiteTexts(
            conf=wgconf.render_without_keys(one, "0123456789abcdef"),
            rules_v4=firewall.render(one.firewall, 4),
            rules_v6=firewall.render(one.firewall, 6),
            interface=world.interface,
        )
        for name, one in plan(world).items()
    }


def sample() -> Mesh:
    """Each kind of rule in both families: one way, two ways, to and from a gateway, by service, masqueraded or not."""
    return mesh(
        site(
            "nyc",
            ["10.99.0.1", "fd99::1"],
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True),
            endpoint="203.0.113.10",
        ),
        site(
            "ams",
            ["10.99.0.2", "fd99::2"],
            network("lan", "10.20.0.0/24", "fd20::/64"),
            endpoint="203.0.113.20",
            mtu=1412,
        ),
        site("sfo", ["10.99.0.3", "fd99::3"], network("lan", "10.30.0.0/24", "fd30::/64"), endpoint="2001:db8::30"),
        site(
            "fra",
            ["10.99.0.4", "fd99::4"],
            network("lan", "10.40.0.0/24", "fd40::/64"),
            endpoint="203.0.113.40",
            mtu=1300,
        ),
        tunnel=["10.99.0.0/24", "fd99::/64"],
        access=[
            ("ams.lan sfo.lan", "nyc.virbr0", ""),
            ("sfo.lan", "ams.lan", "tcp/443 udp/8000-8100 icmp"),
            ("fra", "ams.lan", "tcp/22"),
            ("nyc.virbr0", "fra", ""),
            ("fra.lan", "sfo.lan", "udp/53"),
        ],
    )


def advertised() -> Mesh:
    """Two sites with one prefix, mapped for what is opened, for what opens, and for the gateway's own addresses."""
    return mesh(
        site(
            "nyc",
            "10.99.0.1",
            network("virbr0", "192.168.122.0/24", "fd22::/64", advertise_as=["10.202.0.0/24"], masquerade=True),
            network("lan", "192.168.5.0/24", advertise_as=["10.203.0.0/24"]),
            endpoint="203.0.113.10",
        ),
        site(
            "ams",
            "10.99.0.2",
            network("virbr0", "192.168.122.0/24", "fd23::/64", advertise_as=["10.201.0.0/24", "fd24::/64"]),
            network("dmz", "10.21.0.0/24", interface="br1"),
            endpoint="203.0.113.20",
            mtu=1412,
        ),
        site("sfo", "10.99.0.3", endpoint="203.0.113.30"),
        access=[
            ("ams.virbr0", "nyc.virbr0", "tcp/443 tcp/30000-50000"),
            ("nyc.lan", "ams.virbr0", "tcp udp/53"),
            ("sfo", "nyc", "tcp/22"),
            ("ams.virbr0", "nyc", "icmp"),
        ],
    )


def bare() -> Mesh:
    """Two gateways that nothing is granted to."""
    return mesh(
        site("nyc", "10.99.0.1", endpoint="203.0.113.10"),
        site("ams", "10.99.0.2", network("lan", "10.20.0.0/24"), endpoint="203.0.113.20", mtu=1300),
    )


FIXED = {"familiar": familiar, "sample": sample, "advertised": advertised, "bare": bare}
