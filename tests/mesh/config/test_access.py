"""Bad stack configs, each with its whole report: grants."""

import pytest

from tests.mesh.config.configs import Row, changed, faults

TABLE: list[Row] = [
    (
        "a grant that names an unknown network is answered with the nearest one",
        {"access.0.from": ["ams.lna", "fra.lan"]},
        ["access[0].from[0]: 'ams.lna' is no site or network; did you mean 'ams.lan'?"],
    ),
    (
        "a grant that names an unknown site is answered with what there is",
        {"access.1.to": "zzz"},
        ["access[1].to: 'zzz' is no site or network; known here: ams, ams.lan, fra, fra.lan, nyc, nyc.virbr0"],
    ),
    (
        "a network and itself is a fault",
        {"access.0.to": ["nyc.virbr0", "fra.lan"]},
        ["access[0].to[1]: 'fra.lan' is in 'from' as well; a network's own hosts reach each other without the mesh"],
    ),
    (
        "a grant within one site is a fault",
        {"access.1": {"from": "ams", "to": "ams.lan"}},
        ["access[1]: both sides are at the site 'ams'; what does not cross a tunnel is not the mesh's to grant"],
    ),
    (
        "a grant between IPv4 and IPv6 only is a fault",
        {"sites.ams.networks.lan.cidr": "fd20::/64"},
        ["access[1]: one side has only IPv4 and the other only IPv6; nothing could pass"],
    ),
    (
        "a grant has two sides, and no empty ones",
        {"access.0": {"from": []}, "access.1": {"from": ["fra", None], "to": "ams.lan"}},
        [
            "access[0].to: is missing; name a site or a network, as 'site' or 'site.network'",
            "access[0].from: is an empty list; leave the key out, or give it a value",
            "access[1].from[1]: is empty; name a site or a network, or leave the place out",
        ],
    ),
    (
        "a party is named once",
        {"access.0.from": ["ams.lan", "ams.lan"]},
        ["access[0].from[1]: 'ams.lan' is named twice"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(changed(changes))] == report
