"""What the network around a gateway has to know: routes that lead to it, and flows that its hosts open."""

from mesh.edge import edges
from mesh.model import SiteName
from mesh.plan import plan
from tests.mesh.meshes import familiar, mesh, network, site


def told(mesh_name: str, *access: tuple[str, str, str]) -> dict[str, tuple[list[str], list[str]]]:
    """By network: the routes, and the flows in words."""
    of = mesh(
        site(
            "ams",
            "10.99.0.2",
            network("lan", "10.20.0.0/24", "fd20::/64", interface="eth1"),
            network("guests", "10.21.0.0/24", interface="eth2"),
            endpoint="198.51.100.20",
        ),
        site(
            "nyc",
            "10.99.0.1",
            network("virbr0", "192.168.122.0/24", "fd22::/64", masquerade=True, advertise_as=["10.202.0.0/24"]),
            endpoint="203.0.113.10",
        ),
        access=access,
    )
    return {
        edge.network.name: (
            [str(route) for route in edge.routes],
            [f"{flow.source} -> {flow.destination} {flow.service or 'all'}" for flow in edge.opens],
        )
        for edge in edges(plan(of)[SiteName(mesh_name)])
    }


def test_hosts_that_open_flows_need_a_route_there_and_may_open_just_these() -> None:
    assert told("ams", ("ams.lan", "nyc.virbr0", "tcp/443"), ("nyc", "ams.guests", "")) == {
        "lan": (
            ["10.202.0.0/24", "fd22::/64"],
            ["10.20.0.0/24 -> 10.202.0.0/24 tcp/443", "fd20::/64 -> fd22::/64 tcp/443"],
        ),
        "guests": (["10.99.0.1/32"], []),
    }


def test_behind_masquerade_hosts_that_open_nothing_need_no_route() -> None:
    assert told("nyc", ("ams.lan", "nyc.virbr0", "tcp/443")) == {"virbr0": ([], [])}
    assert told("nyc", ("ams.lan", "nyc.virbr0", ""), ("nyc.virbr0", "ams", "icmp")) == {
        "virbr0": (
            ["10.20.0.0/24", "10.21.0.0/24", "10.99.0.2/32", "fd20::/64"],
            [
                "192.168.122.0/24 -> 10.99.0.2/32 icmp",
                "192.168.122.0/24 -> 10.20.0.0/24 icmp",
                "192.168.122.0/24 -> 10.21.0.0/24 icmp",
                "fd22::/64 -> fd20::/64 icmp",
            ],
        )
    }


def test_a_site_that_no_grant_names_has_nothing_to_tell() -> None:
    plans = plan(mesh(*familiar().sites))
    assert [(edge.routes, edge.opens) for one in plans.values() for edge in edges(one)] == [((), ())] * 4
