"""Secrets of machines in clouds: a token, the operators' key, and keys that are written where none belongs."""

import pytest

from mesh.config import parse
from mesh.model import DigitalOcean, Secret
from tests.mesh.config.configs import SEALED, SSH_KEY, clouds, faults
from tests.mesh.config.test_secrets import KEYS, never_shows

TOKEN = "dop_v1_" + "0123456789abcdef" * 4


def test_a_token_is_a_secret_like_others() -> None:
    where = "sites.fra.digitalocean.token"
    assert [str(fault) for fault in faults(clouds({where: TOKEN}), stack_file=True)] == [
        f"{where}: is in plain text; make a new token, since this one may have been seen, and encrypt it:"
        f" pulumi config set --path --secret 'wireguard-mesh:{where}'"
    ]
    for written, token in ((f"{TOKEN}\n", TOKEN), (SEALED, None)):
        kind = parse(clouds({where: written}), stack_file=token is None).site("fra").kind
        assert isinstance(kind, DigitalOcean)
        assert kind.token == Secret(token)
        assert TOKEN not in repr(kind)
    for bad in (f"{TOKEN} {TOKEN}", "", 7, [TOKEN], f'"{TOKEN}"'):
        (fault,) = faults(clouds({where: bad}))
        assert (fault.place, TOKEN in fault.message) == (where, False)


def test_the_operators_key_is_that_of_ssh() -> None:
    assert parse(clouds({})).operator_key is None
    assert parse(clouds({"ssh.private_key": SSH_KEY})).operator_key == Secret(SSH_KEY)
    assert parse(clouds({"ssh.private_key": SEALED}), stack_file=True).operator_key == Secret(None)


CLOUD_FIELDS = [
    "operators",
    "sites.nyc.colo.sends_from",
    "sites.use1.aws",
    "sites.use1.aws.region",
    "sites.use1.aws.vpc",
    "sites.use1.aws.vpc_cidr",
    "sites.use1.aws.subnet",
    "sites.use1.aws.route_tables",
    "sites.use1.aws.instance_type",
    "sites.use1.aws.profile",
    "sites.use1.aws.role",
    "sites.use1.aws.tags",
    "sites.use1.aws.tags.team",
    "sites.fra.digitalocean",
    "sites.fra.digitalocean.region",
    "sites.fra.digitalocean.vpc",
    "sites.fra.digitalocean.size",
    "sites.fra.digitalocean.image",
    "sites.fra.digitalocean.token",
    "sites.fra.digitalocean.tags",
]


@pytest.mark.parametrize("field", CLOUD_FIELDS)
@pytest.mark.parametrize("key", [*KEYS.values(), TOKEN], ids=[*KEYS, "token"])
def test_a_key_in_the_wrong_place_of_a_cloud_is_never_shown(field: str, key: str) -> None:
    written: list[object] = [key, [key, {key: key}], {key: key}, f"{key[:8]}-{key[8:]}", [key, key]]
    never_shows(key, *(clouds({field: value}) for value in written))
