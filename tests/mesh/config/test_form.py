"""Bad stack configs, each with its whole report: keys, sections, types and marks that belong nowhere."""

import pytest

from tests.mesh.config.configs import GONE, HOST_KEY, Row, changed, faults

# What comes first in a site's stanza comes first here; none is left out.
AT_SITES = (
    "known here: address, colo, aws, digitalocean, networks, endpoint, listen_port, mtu, dns, private_key,"
    " key_generation, paused, reapply"
)

TABLE: list[Row] = [
    (
        "a misspelt key is answered with the nearest one",
        {"sites.nyc.netwroks": {}},
        ["sites.nyc.netwroks: unknown key; did you mean 'networks'?"],
    ),
    (
        "a section in a namespace that is ours but for its spelling",
        {"wireguard_mesh:assert": [{"from": "*", "to": "*", "expect": "deny"}]},
        ["[\"wireguard_mesh:assert\"]: unknown key; did you mean 'wireguard-mesh:assert'?"],
    ),
    (
        "an unknown key that is near to none is answered with all, and with where such a key is known",
        {
            "access.0.masquerade": True,
            "access.0.color": "red",
            "sites.ams.networks.lan.address": "10.20.0.1",
            "sites.ams.host_key": HOST_KEY,
            "sites.ams.vpc_cidr": "10.20.0.0/16",
            "sites.ams.expect": "deny",
            "tunnel": "10.99.0.0/24",
        },
        [
            "sites.ams.networks.lan.address: unknown key; it belongs to sites.ams; known here: cidr, interface,"
            " masquerade, return_route, advertise_as",
            f"sites.ams.host_key: unknown key; it belongs to sites.ams.colo; {AT_SITES}",
            f"sites.ams.vpc_cidr: unknown key; it belongs to sites.NAME.aws or sites.NAME.digitalocean; {AT_SITES}",
            f"sites.ams.expect: unknown key; it belongs to assert[N] or probes[N]; {AT_SITES}",
            "access[0].masquerade: unknown key; it belongs to sites.NAME.networks.NAME; known here: from, to, ports",
            "access[0].color: unknown key; known here: from, to, ports",
            "tunnel: unknown key; it belongs to mesh; known here: mesh, ssh, operators, sites, groups, access, assert,"
            " probes",
        ],
    ),
    (
        "an unknown key that is known in the entries of a list, where the config's list has none",
        {"access": [], "mesh.ports": False},
        [
            "mesh.ports: unknown key; it belongs to access[N] or assert[N]; known here: tunnel, interface, listen_port,"
            " mtu, persistent_keepalive, confirm_within, preshared_generation"
        ],
    ),
    (
        "a key that is like another one, and known where the same config has a place for it, is meant as it stands",
        {"sites.ams.user": "admin", "sites.ams.colo.networks": {}, "sites.ams.groups": {}, "sites.ams.usr": "admin"},
        [
            "sites.ams.colo.networks: unknown key; it belongs to sites.ams; known here: host, host_key, user, port,"
            " private_key, proxy, sends_from, adopt",
            f"sites.ams.user: unknown key; it belongs to sites.ams.colo; {AT_SITES}",
            f"sites.ams.groups: unknown key; it belongs to the top of the config; {AT_SITES}",
            f"sites.ams.usr: unknown key; {AT_SITES}",
        ],
    ),
    (
        "a word that was a truth value in older YAML is answered with the one that it would be",
        {"sites.ams.paused": "yes", "sites.nyc.paused": "Off", "sites.fra.paused": "true", "sites.fra.reapply": "yes"},
        [
            "sites.nyc.paused: expected true or false, found the text 'Off'; write false",
            "sites.ams.paused: expected true or false, found the text 'yes'; write true",
            "sites.fra.paused: expected true or false, found the text 'true'; leave the quotes out",
            "sites.fra.reapply: expected a whole number from 0 to 999999, found the text 'yes'",
        ],
    ),
    (
        "a misspelt section is answered with the nearest one",
        {"acess": []},
        ["acess: unknown key; did you mean 'access'?"],
    ),
    (
        "the nearest key is looked for in the right part, also where a site has the name of a key",
        {"sites.networks": {"address": "10.99.0.9", "colo": {"host": "192.0.2.9", "hostkey": HOST_KEY}}},
        [
            "sites.networks.colo.host_key: is missing; give the host's public key, one line of"
            " /etc/ssh/ssh_host_ed25519_key.pub on that host",
            "sites.networks.colo.hostkey: unknown key; did you mean 'host_key'?",
        ],
    ),
    (
        "an empty mesh names every section that it needs",
        {"mesh": GONE, "sites": GONE, "access": GONE},
        [
            "mesh.tunnel: is missing; give the network of the tunnel's own addresses, for example 10.99.0.0/24",
            "sites: there is none; a mesh begins with one site",
        ],
    ),
    (
        "sites without a site are a fault",
        {"sites": {}, "access": []},
        ["sites: there is none; a mesh begins with one site"],
    ),
    (
        "a section that is encrypted as a whole is a fault",
        {"sites": {"secure": "v1:abc:def"}, "access": []},
        ["sites: is encrypted as a whole; encrypt only the values in it that are secret"],
    ),
    (
        "a list of nothing but empty places is an empty list",
        {
            "mesh.tunnel": [None],
            "operators": [None],
            "sites.ams.dns": [None],
            "sites.ams.networks.lan.advertise_as": [None, None],
            "sites.fra.networks.lan.cidr": [None, None],
            "access.1.to": [None],
        },
        [
            "mesh.tunnel: is an empty list; leave the key out, or give it a value",
            "sites.ams.networks.lan.advertise_as: is an empty list; leave the key out, or give it a value",
            "sites.ams.dns: is an empty list; leave the key out, or give it a value",
            "sites.fra.networks.lan.cidr: is an empty list; leave the key out, or give it a value",
            "access[1].to: is missing; name a site or a network, as 'site' or 'site.network'",
            "operators: is an empty list; leave the key out, or give it a value",
        ],
    ),
    (
        "a list that is empty without its faulty values is none that was written so",
        {"operators": ["10.0.0.1/8"], "sites.ams.dns": ["nine"]},
        [
            "sites.ams.dns[0]: 'nine' is no IP address",
            "operators[0]: '10.0.0.1/8' has host bits set; the network is 10.0.0.0/8",
        ],
    ),
    (
        "every part has its type",
        {
            "mesh.tunnel": [None, {"v4": "10.99.0.0/24"}],
            "sites.nyc": "10.99.0.1",
            "sites.ams.networks": ["lan"],
            "sites.fra.networks.lan.masquerade": "yes",
            "sites.fra.address": 10.99,
            "access": "ams.lan to nyc.virbr0",
        },
        [
            "mesh.tunnel[1]: expected a network in CIDR notation, for example 10.20.0.0/24, found a mapping",
            "sites.nyc: expected a mapping of keys and values, found the text '10.99.0.1'",
            "sites.ams.networks: expected a mapping of keys and values, found a list",
            "sites.fra.address: expected an IP address, found the number 10.99; put it in quotes",
            "sites.fra.networks.lan.masquerade: expected true or false, found the text 'yes'; write true",
            "access: expected a list, found the text 'ams.lan to nyc.virbr0'",
        ],
    ),
    (
        "quotes, line breaks and what a shell expands are faults wherever they are",
        {
            "mesh.interface": "wg0\nPostUp = id",
            "sites.nyc.colo.user": "root; id",
            "sites.nyc.colo.host": "$(id)",
            "sites.ams.colo.host": "`id`",
            "sites.ams.endpoint": "a'b:51820",
            "sites.fra.endpoint": 'a"b:51820',
            "access.0.from": "ams.lan\x00",
        },
        [
            "mesh.interface: 'wg0\\nPostUp = id' contains a line break; expected the name of a network interface",
            "sites.nyc.colo.host: '$(id)' contains '$'; expected an address or a DNS name",
            "sites.nyc.colo.user: 'root; id' contains ';'; expected a user's name",
            "sites.ams.colo.host: '`id`' contains a backtick; expected an address or a DNS name",
            "sites.ams.endpoint: 'a'b:51820' contains a quote; expected host, host:port or [IPv6 address]:port",
            "sites.fra.endpoint: 'a\"b:51820' contains a quote; expected host, host:port or [IPv6 address]:port",
            "access[0].from: 'ams.lan\\x00' contains a control character; expected a site or site.network",
        ],
    ),
    (
        "a site's name with a line break is a fault, and shown on one line",
        {"sites.fra\n": {"address": "10.99.0.9", "colo": {"host": "192.0.2.9", "host_key": HOST_KEY}}},
        [
            "sites[\"fra\\n\"]: 'fra\\n' is no site's name: 1 to 63 of a-z, 0-9 and -, and no - at an end",
        ],
    ),
    (
        "letters outside ASCII are faults, digits that look like ours among them",
        {
            "sites.nyc.address": "10.99.0.\u0661",
            "sites.ams.colo.host": "m\u00fcnchen.mesh.net",
            "sites.fra.colo.host": "fra\u200b",
        },
        [
            "sites.nyc.address: '10.99.0.\\u0661' contains a character outside ASCII (U+0661); expected an IP address",
            "sites.ams.colo.host: 'm\\xfcnchen.mesh.net' contains a character outside ASCII (U+00FC);"
            " expected an address or a DNS name",
            "sites.fra.colo.host: 'fra\\u200b' contains a character outside ASCII (U+200B);"
            " expected an address or a DNS name",
        ],
    ),
    (
        "faults of values, of parts and of the whole come in one report, in the order of the file",
        {
            "mesh.mtu": 100,
            "sites.nyc.address": "10.99.0.2",
            "sites.nyc.colo.host_key": "ssh-rsa AAAA",
            "sites.nyc.networks.virbr0.cidr": "10.20.0.0/16",
            "sites.fra.colo.hots": "x",
            "access.1.from": "fra.lam",
        },
        [
            "mesh.mtu: 100 is out of range; it goes from 576 to 9000",
            "sites.nyc.colo.host_key: ssh-rsa is refused: pulumi-command offers no rsa-sha2 signatures for a"
            " pinned key, so"
            " that a current sshd refuses it; give the host's ed25519 key; see it on the host by"
            " 'cat /etc/ssh/ssh_host_ed25519_key.pub'",
            "sites.ams.address: 10.99.0.2 is taken by sites.nyc; the next free address is 10.99.0.1",
            "sites.ams.networks.lan.cidr: 10.20.0.0/24 overlaps sites.nyc.networks.virbr0.cidr (10.20.0.0/16);"
            " renumber one of them, or give both of them 'advertise_as'",
            "sites.fra.colo.hots: unknown key; did you mean 'host'?",
            "access[1].from: 'fra.lam' is no site or network; did you mean 'fra.lan'?",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report
