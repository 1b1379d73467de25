"""The configuration reference: it is what the models say, and it leaves out nothing."""

from cli.reference import PAGE, page
from tests.mesh.config.configs import changed, faults


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == page(), "run: python -m cli.reference"


def test_every_part_of_the_config_has_its_table() -> None:
    titles = [line.removeprefix("## ") for line in page().splitlines() if line.startswith("## ")]
    assert titles == [
        "The sections, in the namespace `wireguard-mesh`",
        "`wireguard-mesh:mesh`",
        "`wireguard-mesh:ssh`",
        "`wireguard-mesh:ssh.proxy`",
        "`wireguard-mesh:sites.NAME`",
        "`wireguard-mesh:sites.NAME.colo`",
        "`wireguard-mesh:sites.NAME.colo.proxy`",
        "`wireguard-mesh:sites.NAME.aws`",
        "`wireguard-mesh:sites.NAME.digitalocean`",
        "`wireguard-mesh:sites.NAME.networks.NAME`",
        "`wireguard-mesh:access[N]`",
        "`wireguard-mesh:assert[N]`",
        "`wireguard-mesh:probes[N]`",
    ]


def test_what_may_be_written_alone_is_marked_as_a_list_in_its_row() -> None:
    assert "or a list`, one may be written alone. `access`, `assert` and `probes` are lists always.\n" in page()
    assert [str(fault) for fault in faults(changed({"access": {"from": "ams.lan", "to": "nyc.virbr0"}}))] == [
        "access: expected a list, found a mapping"
    ]
    assert faults(changed({"access": [{"from": "ams.lan", "to": "nyc.virbr0"}], "mesh.tunnel": ["10.99.0.0/24"]})) == ()


def test_a_row_tells_value_default_and_meaning() -> None:
    rows = page().splitlines()
    assert "| `interface` | interface name | `wg0` | The WireGuard interface on every host. |" in rows
    assert "| `cidr` | CIDR, or a list | **required** | The network's prefix; or two, IPv4 and IPv6. |" in rows
    assert any(row.startswith("| `listen_port` | 1 to 65535 | `51820` | ") for row in rows)
    assert any(row.startswith("| `masquerade` | `true` or `false` | `false` | ") for row in rows)
    assert any(row.startswith("| `from` | selector, or a list | **required** | ") for row in rows)
    assert any(row.startswith("| `ports` | port, or a list |  | ") for row in rows)
    assert any(row.startswith("| `groups` | selectors by name |  | ") for row in rows)
    assert any(row.startswith("| `operators` | CIDR, or a list |  | ") for row in rows)
    assert any(row.startswith("| `return_route` | `manual` |  | ") for row in rows)
    assert any(row.startswith("| `expect` | `allow` or `deny` | **required** | ") for row in rows)
    assert [row.split(" | ")[2] for row in rows if row.startswith("| `mtu` |")] == ["`1420`", ""]
